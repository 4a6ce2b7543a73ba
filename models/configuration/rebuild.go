package configuration

import (
	"maps"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
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
	values, err := r.desired(tx, c.device, a)
	if err != nil {
		return 0, false, err
	}
	before, err := readValues(tx, "desired", d.ID, c.Desired)
	if err != nil {
		return 0, false, err
	}
	if c.State != models.ConfigurationNone && maps.Equal(before, values) {
		return c.DesiredVersion, false, nil
	}
	if c.Desired, err = tx.SealJSON("configurations", "desired", d.ID, values); err != nil {
		return 0, false, err
	}
	if err := c.move(models.ConfigurationPending); err != nil {
		return 0, false, err
	}
	c.DesiredVersion++
	c.Failure, c.Attempts, c.NextAt, c.FailedFirmware = "", 0, 0, ""
	if err := c.save(tx); err != nil {
		return 0, false, err
	}
	if err := devices.SetDesired(tx, d.ID, c.DesiredVersion); err != nil {
		return 0, false, err
	}
	if err := devices.SetWork(tx, d.ID, tx.Now); err != nil {
		return 0, false, err
	}
	d.DesiredVersion = c.DesiredVersion
	c.device.AccountID, c.device.Region = a.ID, a.Region
	return c.DesiredVersion, true, c.emit(tx, "config.pending", models.ConfigurationPending, c.DesiredVersion)
}

// clear ends the configuration of a device; DesiredVersion stays in the row, so that a later binding goes on counting from it.
func (c *current) clear(tx *store.Tx, d *models.Device) error {
	if c.State == models.ConfigurationNone {
		return nil
	}
	if err := c.move(models.ConfigurationNone); err != nil {
		return err
	}
	c.Configuration = models.Configuration{DeviceID: c.DeviceID, DesiredVersion: c.DesiredVersion, State: c.State}
	if err := c.save(tx); err != nil {
		return err
	}
	d.DesiredVersion, d.ConfirmedVersion = 0, 0
	if err := devices.SetDesired(tx, d.ID, 0); err != nil {
		return err
	}
	return devices.SetConfirmed(tx, d.ID, 0)
}
