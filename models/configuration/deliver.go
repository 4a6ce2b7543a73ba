package configuration

import (
	"fmt"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// Delivery is what one SetParameterValues brings a device. Whoever sends it may put values of its own before and behind Values.
type Delivery struct {
	// Version becomes the device's ParameterKey.
	Version int64
	// Values are in the order of delivery, by logical name; never empty.
	Values []models.Value
	// Full: everything is sent, not only what differs from the confirmed values.
	Full bool
	// Revokes: the line and its secret are taken away, because the account is suspended or closed.
	Revokes bool
	// Returns: the line comes back that was taken away, or the device may hold anything.
	Returns bool
	// Moved are the objects that the device has under other numbers.
	Moved []models.Moved
	// Dropped names what the device refused in this session; the sender leaves it out of its own values too.
	Dropped []string

	// forget: the device holds nothing that was confirmed, because it reported a key that is not the confirmed one.
	forget bool
	// repeated: optional offenders are already dropped, which is done once a session.
	repeated bool
}

// Due tells from the device's row alone whether a session has to ask for its configuration: work waits, the device started anew or tells of
// changed values, or it reports another version than the confirmed one. It costs no statement.
func Due(d *models.Device, in *models.Inform, now models.Time) bool {
	if d.DesiredVersion == 0 {
		return false
	}
	return !d.WorkAt.IsZero() && d.WorkAt <= now || in.Has(models.EventBoot) || in.Has(models.EventBootstrap) || in.Has(models.EventValueChange) ||
		models.VersionOf(in.ParameterKey) != d.ConfirmedVersion
}

// Pending returns what the device is owed now, nil if nothing: the difference to the confirmed values, or everything if key is not the one
// of the confirmed version. key is what the device holds at this moment: what it reported, after an applied delivery that delivery's, and
// "" after 0 BOOTSTRAP. What again names goes along though it was confirmed. A version that its firmware refused, or that waits for its next try or for a BOOT, is not owed (i4.md B.10).
func (r *Room) Pending(tx *store.Tx, d *models.Device, key string, again ...string) (*Delivery, error) {
	var c models.Configuration
	if found, err := load(tx.DB, d.ID, &c); err != nil || !found {
		return nil, err
	}
	known := holds(c, key)
	switch c.State {
	case models.ConfigurationNone:
		return nil, nil
	case models.ConfigurationApplied:
		if known {
			return nil, nil
		}
	case models.ConfigurationCommitted:
		if known || models.VersionOf(key) == c.SentVersion {
			return nil, nil
		}
	case models.ConfigurationFailed:
		if c.FailedFirmware == firmwareOf(d) {
			return nil, nil
		}
	case models.ConfigurationPending:
		if c.NextAt > tx.Now {
			return nil, nil
		}
	}
	return r.delivery(tx, d, c, key, !known, again)
}

// Everything returns the whole desired configuration whatever its state, as REGISTER delivers it (i4.md B.2); nil without one. key is what
// the device reported.
func (r *Room) Everything(tx *store.Tx, d *models.Device, key string) (*Delivery, error) {
	var c models.Configuration
	if found, err := load(tx.DB, d.ID, &c); err != nil || !found || c.State == models.ConfigurationNone {
		return nil, err
	}
	return r.delivery(tx, d, c, key, true, nil)
}

func holds(c models.Configuration, key string) bool {
	return c.AppliedVersion > 0 && models.VersionOf(key) == c.AppliedVersion
}

func (r *Room) delivery(tx *store.Tx, d *models.Device, c models.Configuration, key string, full bool, anew []string) (*Delivery, error) {
	content, err := r.deliverable(tx, d, c)
	if err != nil {
		return nil, err
	}
	values := content.values
	applied, err := readValues(tx, "applied", c.DeviceID, c.Applied)
	if err != nil {
		return nil, err
	}
	objects, err := Moved(tx, d.ID)
	if err != nil {
		return nil, err
	}
	delivery := &Delivery{Moved: objects, Version: c.DesiredVersion, Full: full, Revokes: revokes(values), forget: !holds(c, key)}
	delivery.Returns = values[LineEnable] != disabled && !revokes(values) && (full || applied[LineEnable] == disabled || revokes(applied))
	names := r.ordered(values)
	for _, name := range names {
		// What is revoked is told again with every version, whatever the device confirmed: it may have been set on the device since.
		again := delivery.Revokes && (name == LineEnable || name == AuthPassword) || slices.Contains(anew, name)
		if confirmed, set := applied[name]; full || again || !set || confirmed != values[name] {
			delivery.Values = append(delivery.Values, r.value(content, name))
		}
	}
	if len(delivery.Values) == 0 && len(names) > 0 {
		// The content came back to what the device has. Only its key is old, and a SetParameterValues needs a value to carry the new one.
		last := names[len(names)-1]
		delivery.Values = append(delivery.Values, r.value(content, last))
	}
	return delivery, nil
}

// deliverable is the desired content without what the device's firmware is known not to have.
func (r *Room) deliverable(tx *store.Tx, d *models.Device, c models.Configuration) (all content, err error) {
	if all.values, err = readValues(tx, "desired", c.DeviceID, c.Desired); err != nil {
		return all, err
	}
	if all.layer, err = readLayer(tx, c); err != nil {
		return all, err
	}
	err = tx.DB.Model(&models.UnsupportedParameter{}).Where("product_class = ? AND software_version = ?", d.ProductClass, d.SoftwareVersion).
		Pluck("name", &all.unsupported).Error
	if err != nil {
		return all, fmt.Errorf("read the unsupported parameters of %s %s: %w", d.ProductClass, d.SoftwareVersion, err)
	}
	for _, name := range all.unsupported {
		delete(all.values, name)
	}
	return all, nil
}

// Sent records that a delivery is about to leave; it must be committed before it does. ErrOvertaken if it is not to leave.
func (r *Room) Sent(tx *store.Tx, d *models.Device, epoch int64, delivery *Delivery) error {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil {
		return err
	}
	if c.State == models.ConfigurationNone || c.DesiredVersion != delivery.Version {
		return ErrOvertaken
	}
	if err := c.move(models.ConfigurationSent); err != nil {
		return err
	}
	c.SentVersion = delivery.Version
	if err := c.follow(tx, delivery.Version, models.TaskSent, nil); err != nil {
		return err
	}
	if delivery.forget {
		c.Applied, c.AppliedVersion = nil, 0
		d.ConfirmedVersion = 0
		if err := devices.SetConfirmed(tx, d.ID, 0); err != nil {
			return err
		}
	}
	if err := c.save(tx); err != nil {
		return err
	}
	// A device that started anew may have had no work; if the answer is lost, the next session has to look again.
	return devices.SetWork(tx, d.ID, tx.Now)
}
