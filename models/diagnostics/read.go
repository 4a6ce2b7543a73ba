package diagnostics

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const chunk = 200

// ByDevice returns a page of the diagnostics of a device in scope, the newest first.
func (r *Room) ByDevice(ctx context.Context, deviceID models.ID, p store.Page) (page store.Slice[models.Diagnostic], err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		k := store.Keyset{Listing: "diagnostics of " + deviceID.String(), Column: "created_at", Desc: true}
		page, err = store.List(tx, inScope(tx).Where("device_id = ?", deviceID), k, p, func(t *models.Diagnostic) (any, models.ID) { return t.CreatedAt, t.ID })
		for i := range page.Items {
			show(&page.Items[i], tx.Now)
		}
		return err
	})
	return page, err
}

// ByIDs returns those of the diagnostics that exist and whose device is in scope.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Diagnostic, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = store.ByID(inScope(tx), ids, func(t *models.Diagnostic) models.ID { return t.ID })
		for _, t := range found {
			show(t, tx.Now)
		}
		return err
	})
	return found, err
}

// inScope selects the diagnostics of the devices on which the actor may run some.
func inScope(tx *store.Tx) *gorm.DB {
	q := tx.DB.Model(&models.Diagnostic{})
	scope := models.ActorFrom(tx.Context()).Scope(models.DiagRun)
	if scope.All {
		return q
	}
	return q.Where("EXISTS (?)", store.InScope(tx.DB.Table("devices").Select("1").Where("devices.id = diagnostics.device_id"), "devices.region", scope))
}

// show makes a diagnostic whose time is over look expired before ExpireDue has come by.
func show(t *models.Diagnostic, now models.Time) {
	if !final(t.State) && t.ExpiresAt <= now {
		t.State, t.CompletedAt = models.TaskExpired, t.ExpiresAt
	}
}

// ExpireDue ends the diagnostics whose device did not come, and returns how many.
func (r *Room) ExpireDue(ctx context.Context) (n int, err error) {
	for {
		var due []models.Diagnostic
		err := r.store.InTx(ctx, func(tx *store.Tx) (err error) {
			due, err = gorm.G[models.Diagnostic](tx.DB).Where("state IN ? AND expires_at <= ?", openStates, tx.Now).Order("expires_at").Limit(chunk).Find(ctx)
			if err != nil || len(due) == 0 {
				return err
			}
			byID, err := devicesOf(tx, due)
			for i := range due {
				if err != nil {
					return err
				}
				_, err = move(tx, byID[due[i].DeviceID], &due[i], models.TaskExpired, map[string]any{})
			}
			return err
		})
		if err != nil {
			return n, fmt.Errorf("expire diagnostics: %w", err)
		}
		n += len(due)
		if len(due) < chunk {
			return n, nil
		}
	}
}

func devicesOf(tx *store.Tx, list []models.Diagnostic) (map[models.ID]*models.Device, error) {
	byID := map[models.ID]*models.Device{}
	ids := make([]models.ID, len(list))
	for i := range list {
		ids[i] = list[i].DeviceID
		byID[ids[i]] = &models.Device{ID: ids[i]}
	}
	rows, err := gorm.G[models.Device](tx.DB).Where("id IN ?", ids).Find(tx.Context())
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	return byID, err
}

// Clean forgets the diagnostics that ended more than 90 days ago.
func (r *Room) Clean(ctx context.Context) error {
	return r.store.DeleteOld(ctx, &models.Diagnostic{}, "completed_at > 0 AND completed_at < ?", kept)
}
