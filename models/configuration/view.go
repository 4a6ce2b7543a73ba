package configuration

import (
	"context"
	"fmt"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// View is what the north sees of a device's configuration. Keys are ParameterKeys, empty for none; paths are written for people.
type View struct {
	DesiredKey, AppliedKey string
	State                  models.ConfigurationState
	Failure                string
	UnsupportedPaths       []string
	// Drifting: the device keeps changing back what it is given.
	Drifting  bool
	ChangedAt models.Time
}

type firmware struct{ productClass, softwareVersion string }

// Get returns the configurations of those of the devices that the actor may read, by device. It needs DEVICE_READ and three statements,
// however many devices are asked for.
func (r *Room) Get(ctx context.Context, ids []models.ID) (map[models.ID]View, error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return nil, err
	}
	views := make(map[models.ID]View, len(ids))
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var list []models.Device
		q := tx.DB.Select("id", "created_at", "product_class", "software_version").Where("id IN ?", ids)
		if err := store.InScope(q, "region", models.ActorFrom(ctx).Scope(models.DeviceRead)).Find(&list).Error; err != nil {
			return fmt.Errorf("read devices: %w", err)
		}
		var rows []models.Configuration
		if err := tx.DB.Omit("desired", "applied", "device_layer").Where("device_id IN ?", ids).Find(&rows).Error; err != nil {
			return fmt.Errorf("read configurations: %w", err)
		}
		unsupported, err := r.unsupported(tx, list)
		if err != nil {
			return err
		}
		for _, d := range list {
			v := View{State: models.ConfigurationNone, ChangedAt: d.CreatedAt, UnsupportedPaths: unsupported[firmware{d.ProductClass, d.SoftwareVersion}]}
			if i := slices.IndexFunc(rows, func(c models.Configuration) bool { return c.DeviceID == d.ID }); i >= 0 {
				c := rows[i]
				v.State, v.Failure, v.Drifting, v.ChangedAt = c.State, c.Failure, c.Drifting, c.ChangedAt
				if c.State != models.ConfigurationNone {
					v.DesiredKey, v.AppliedKey = models.ParameterKey(c.DesiredVersion), models.ParameterKey(c.AppliedVersion)
				}
			}
			views[d.ID] = v
		}
		return nil
	})
	return views, err
}

// Desired returns what a device ought to hold, by logical name; nothing for a device without configuration. It has secrets in it.
func Desired(tx *store.Tx, deviceID models.ID) (map[string]string, error) {
	var c models.Configuration
	if found, err := load(tx.DB, deviceID, &c); err != nil || !found || c.State == models.ConfigurationNone {
		return nil, err
	}
	return readValues(tx, "desired", deviceID, c.Desired)
}

// unsupported lists, by firmware, the paths that the devices' firmware answered 9005 for.
func (r *Room) unsupported(tx *store.Tx, list []models.Device) (map[firmware][]string, error) {
	var classes, versions []string
	for _, d := range list {
		classes, versions = append(classes, d.ProductClass), append(versions, d.SoftwareVersion)
	}
	var rows []models.UnsupportedParameter
	err := tx.DB.Where("product_class IN ? AND software_version IN ?", classes, versions).Order("name").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read unsupported parameters: %w", err)
	}
	paths := map[firmware][]string{}
	for _, u := range rows {
		key := firmware{u.ProductClass, u.SoftwareVersion}
		paths[key] = append(paths[key], r.config.Path(u.Name))
	}
	return paths, nil
}
