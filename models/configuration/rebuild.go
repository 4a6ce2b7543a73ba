package configuration

import (
	"maps"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// Rebuild merges the layers of a device for its account. Content that differs from what is desired becomes a new version, waiting from now
// on, with an event; versions of a device only ever rise. Unchanged content changes nothing and makes no event. A nil account means that the
// device serves nobody any more: its state becomes NONE. A GENERIC device has no configuration (resolutions 6, 48).
func (r *Room) Rebuild(tx *store.Tx, d *models.Device, a *models.Account) (version int64, changed bool, err error) {
	if d.ClientType == models.Generic {
		return 0, false, nil
	}
	c, err := r.lock(tx, d.ID)
	if err != nil {
		return 0, false, err
	}
	if a == nil {
		return 0, c.State != models.ConfigurationNone, c.clear(tx, d)
	}
	changed, err = r.rebuild(tx, d, a, c)
	return c.DesiredVersion, changed, err
}

// rebuild is Rebuild of a locked configuration.
func (r *Room) rebuild(tx *store.Tx, d *models.Device, a *models.Account, c *current) (changed bool, err error) {
	layer, err := readLayer(tx, c.Configuration)
	if err != nil {
		return false, err
	}
	values, err := r.desired(tx, c.device, a, layer)
	if err != nil {
		return false, err
	}
	before, err := readValues(tx, "desired", d.ID, c.Desired)
	if err != nil {
		return false, err
	}
	if c.State != models.ConfigurationNone && maps.Equal(before, values) {
		return false, nil
	}
	if c.Desired, err = tx.SealJSON("configurations", "desired", d.ID, values); err != nil {
		return false, err
	}
	if err := c.issue(tx, d); err != nil {
		return false, err
	}
	c.device.AccountID, c.device.Region = a.ID, a.Region
	return true, c.emit(tx, "config.pending", models.ConfigurationPending, c.DesiredVersion)
}

// clear ends the configuration of a device. DesiredVersion stays in the row, so that a later binding goes on counting from it, and so does what
// was set for the device alone.
func (c *current) clear(tx *store.Tx, d *models.Device) error {
	if c.State == models.ConfigurationNone {
		return nil
	}
	if err := c.move(models.ConfigurationNone); err != nil {
		return err
	}
	if c.Mirrored {
		if err := tasks.Dropped(tx, c.device); err != nil {
			return err
		}
	}
	if err := c.recovered(tx); err != nil {
		return err
	}
	if c.Drifting {
		if err := c.alarm(tx, models.AlarmCleared, "config.drift", nil); err != nil {
			return err
		}
	}
	c.Configuration = models.Configuration{DeviceID: c.DeviceID, DesiredVersion: c.DesiredVersion, State: c.State, DeviceLayer: c.DeviceLayer}
	if err := c.save(tx); err != nil {
		return err
	}
	d.DesiredVersion, d.ConfirmedVersion = 0, 0
	if err := devices.SetDesired(tx, d.ID, 0); err != nil {
		return err
	}
	return devices.SetConfirmed(tx, d.ID, 0)
}
