package configuration

import (
	"fmt"
	"maps"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// Applied records a SetParameterValuesResponse: status 0 confirms the delivery, 1 makes it COMMITTED until the BOOT that confirms it
// (TR-069 A.3.2.1, resolutions 48). ErrOvertaken if it counts no more.
func (r *Room) Applied(tx *store.Tx, d *models.Device, epoch int64, delivery *Delivery, status int) error {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil {
		return err
	}
	if c.SentVersion != delivery.Version {
		return ErrOvertaken
	}
	if status == 0 {
		values := make(map[string]string, len(delivery.Values))
		for _, v := range delivery.Values {
			values[v.Name] = v.Value
		}
		return r.confirm(tx, d, c, values, delivery.Full, delivery.Dropped)
	}
	if err := c.follow(tx, delivery.Version, models.TaskAcknowledged, nil); err != nil {
		return err
	}
	if c.State == models.ConfigurationSent {
		if err := c.move(models.ConfigurationCommitted); err != nil {
			return err
		}
		c.NextAt = 0
	} else {
		c.SentVersion = 0 // a newer version waits; the key at the next Inform tells what the device made of this one
	}
	return c.save(tx)
}

// Confirm reads from an Inform what became of a delivery whose answer is not known: the ParameterKey of the delivery means that it was
// applied, any other that it was not (i4.md B.10). A COMMITTED one is judged from the next BOOT on. It tells whether the delivery is now
// confirmed or, where the key alone does not say so, what to ask of the device; the answer is for Probed.
func (r *Room) Confirm(tx *store.Tx, d *models.Device, epoch int64, in *models.Inform) (applied bool, probe *models.Request, err error) {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil || c.SentVersion == 0 {
		return false, nil, err
	}
	started := in.Has(models.EventBoot) || in.Has(models.EventBootstrap)
	if c.State == models.ConfigurationCommitted && c.NextAt.IsZero() && !started {
		return false, nil, nil
	}
	arrived := models.VersionOf(in.ParameterKey) == c.SentVersion && !in.Has(models.EventBootstrap)
	if arrived && c.SentVersion == c.DesiredVersion {
		content, err := r.deliverable(tx, d, c.Configuration)
		if err != nil {
			return false, nil, err
		}
		if c.doubted() {
			names, err := r.probes(tx, c, content)
			if err != nil {
				return false, nil, err
			}
			if len(names) > 0 {
				probe, err = c.doubt(tx, names)
				return false, probe, err
			}
		}
		return true, nil, r.confirm(tx, d, c, content.values, false, content.unsupported)
	}
	switch {
	case arrived:
		err = r.arrived(tx, c, c.SentVersion, nil)
	case c.SentVersion == c.DesiredVersion:
		err = c.follow(tx, c.SentVersion, models.TaskPending, nil)
	default:
		err = c.follow(tx, c.SentVersion, models.TaskCancelled, nil)
	}
	if err != nil {
		return false, nil, err
	}
	c.SentVersion = 0
	if err := c.move(models.ConfigurationPending); err != nil {
		return false, nil, err
	}
	if err := c.save(tx); err != nil {
		return false, nil, err
	}
	return false, nil, devices.SetWork(tx, d.ID, tx.Now)
}

// confirm notes that the device holds values of c.SentVersion, beside or, if replace, instead of what it held before; refused are the names that
// it does not have.
func (r *Room) confirm(tx *store.Tx, d *models.Device, c *current, values map[string]string, replace bool, refused []string) error {
	applied := map[string]string{}
	var err error
	if !replace {
		if applied, err = readValues(tx, "applied", c.DeviceID, c.Applied); err != nil {
			return err
		}
	}
	maps.Copy(applied, values)
	if c.Applied, err = tx.SealJSON("configurations", "applied", c.DeviceID, applied); err != nil {
		return err
	}
	c.AppliedVersion, c.SentVersion = c.SentVersion, 0
	if c.AppliedVersion == c.DesiredVersion {
		if err := c.move(models.ConfigurationApplied); err != nil {
			return err
		}
		c.Failure, c.Attempts, c.NextAt = "", 0, 0
		if err := c.recovered(tx); err != nil {
			return err
		}
		c.SampleAt = r.config.Drift.next(d.Key, tx.Now)
	}
	if err := r.arrived(tx, c, c.AppliedVersion, refused); err != nil {
		return err
	}
	if err := c.save(tx); err != nil {
		return err
	}
	if err := devices.SetConfirmed(tx, d.ID, c.AppliedVersion); err != nil {
		return err
	}
	d.ConfirmedVersion = c.AppliedVersion
	if seconds, ok := devices.Heartbeat(applied[PeriodicInformInterval]); ok {
		if err := devices.SetHeartbeat(tx, d.ID, seconds); err != nil {
			return err
		}
		d.HeartbeatSeconds = seconds
	}
	if err := devices.SaveParameters(tx, d.ID, r.shown(values), nil); err != nil {
		return err
	}
	return c.emit(tx, "config.applied", models.ConfigurationApplied, c.AppliedVersion)
}

// shown are the values that Device.parameters may show, by path (resolutions 33).
func (r *Room) shown(values map[string]string) []models.Value {
	var list []models.Value
	for _, name := range r.ordered(values) {
		if isPath(name) {
			if !r.config.IsSecret(name) {
				list = append(list, models.Value{Name: name, Value: values[name]})
			}
		} else if p, _ := r.parameter(name); !p.Secret {
			list = append(list, models.Value{Name: r.config.Path(name), Value: values[name], Type: p.Type})
		}
	}
	return list
}

// Answered tells whether the device has answered for what is desired of it: it holds it, or will after its next start.
func (r *Room) Answered(tx *store.Tx, id models.ID) (bool, error) {
	var c models.Configuration
	if _, err := load(tx.DB, id, &c); err != nil {
		return false, err
	}
	return c.State == models.ConfigurationApplied || c.State == models.ConfigurationCommitted, nil
}

// NextWork tells when the device is next to be asked for its configuration; zero: not before something changes.
func (r *Room) NextWork(tx *store.Tx, id models.ID) (models.Time, error) {
	var c models.Configuration
	if _, err := load(tx.DB, id, &c); err != nil {
		return 0, fmt.Errorf("next configuration work: %w", err)
	}
	switch c.State {
	case models.ConfigurationPending, models.ConfigurationSent:
		return max(c.NextAt, c.ChangedAt), nil
	case models.ConfigurationCommitted:
		return c.NextAt, nil
	case models.ConfigurationApplied:
		return c.SampleAt, nil
	}
	return 0, nil
}
