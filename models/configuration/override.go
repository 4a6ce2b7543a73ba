package configuration

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// maxLayer is how many values a device layer holds.
const maxLayer = 1000

const redeliverConfiguration = "redeliverConfiguration"

// CheckOverride judges values for the device layer: what SET_VALUES takes, no parameter that the account decides about (POLICY_DENIED), and of
// a parameter of the profile only what the platform may write (INVALID). Fields are those of input.values.
func (r *Room) CheckOverride(values []models.Value) error {
	if err := r.config.Tasks.CheckValues(values); err != nil {
		return err
	}
	for i, v := range values {
		at := func(name string) []string { return []string{"input", "values", strconv.Itoa(i), name} }
		p, known := r.parameter(r.config.Name(v.Name))
		switch {
		case !known:
			continue
		case !p.Writable:
			return models.E(models.Invalid, "the platform does not write this parameter", at("path")...)
		case slices.Contains([]string{DirectoryNumber, AuthUserName, AuthPassword, PublicURI}, p.Name):
			return models.E(models.PolicyDenied, "the account decides about this parameter", at("path")...)
		case v.Type != p.Type:
			return models.E(models.Invalid, "this parameter is of the type "+p.Type, at("type")...)
		}
		if err := r.config.Check(p.Name, v.Value); err != nil {
			return models.E(models.Invalid, err.Error(), at("value")...)
		}
	}
	return nil
}

// Override writes values, which CheckOverride has passed, to the device layer, issues a version if that changes anything, and inserts a task
// that mirrors what becomes of them (resolutions 56). It reports false for a device without a desired configuration and leaves that as it is.
func (r *Room) Override(tx *store.Tx, d *models.Device, a *models.Account, configTask models.ID, values []models.Value) (bool, error) {
	c, err := r.lock(tx, d.ID)
	if err != nil || c.State == models.ConfigurationNone {
		return false, err
	}
	layer, err := readLayer(tx, c.Configuration)
	if err != nil {
		return false, err
	}
	for _, v := range values {
		v.Name = r.config.Name(v.Name)
		layer[v.Name] = v
	}
	if len(layer) > maxLayer {
		return false, models.E(models.QuotaExceeded, fmt.Sprintf("device %s has more than %d values of its own", d.ID, maxLayer))
	}
	if c.DeviceLayer, err = tx.SealJSON("configurations", "device_layer", d.ID, layer); err != nil {
		return false, err
	}
	if _, err := r.rebuild(tx, d, a, c); err != nil {
		return false, err
	}
	if err := r.config.Tasks.Mirror(tx, d, configTask, c.DesiredVersion, values); err != nil {
		return false, err
	}
	// A change of nothing makes no version: the mirror is where the one is that holds these values already.
	c.Mirrored = true
	switch c.State {
	case models.ConfigurationSent:
		err = c.follow(tx, c.DesiredVersion, models.TaskSent, nil)
	case models.ConfigurationCommitted:
		err = c.follow(tx, c.DesiredVersion, models.TaskAcknowledged, nil)
	case models.ConfigurationFailed:
		err = c.follow(tx, c.DesiredVersion, models.TaskFailed, nil)
	case models.ConfigurationApplied:
		var content content
		if content, err = r.deliverable(tx, d, c.Configuration); err == nil {
			err = r.arrived(tx, c, c.DesiredVersion, content.unsupported)
		}
	}
	if err != nil {
		return false, err
	}
	return true, c.save(tx)
}

// follow moves the mirrors of a version, if there are any.
func (c *current) follow(tx *store.Tx, version int64, to models.TaskState, fault *models.Fault) error {
	if !c.Mirrored {
		return nil
	}
	if to == models.TaskFailed && fault == nil {
		fault = &models.Fault{Code: internalError, Message: c.Failure}
	}
	return tasks.Follow(tx, c.device, tasks.Fate{Version: version, To: to, Fault: fault})
}

// arrived ends the mirrors of a version that the device holds; refused are the names that it does not have.
func (r *Room) arrived(tx *store.Tx, c *current, version int64, refused []string) error {
	if !c.Mirrored {
		return nil
	}
	paths := make([]string, len(refused))
	for i, name := range refused {
		paths[i] = r.config.Path(name)
	}
	c.Mirrored = version != c.DesiredVersion
	if err := tasks.Replaced(tx, c.device, version, true); err != nil {
		return err
	}
	return tasks.Follow(tx, c.device, tasks.Fate{Version: version, To: models.TaskSucceeded, Refused: paths})
}

func readLayer(tx *store.Tx, c models.Configuration) (map[string]models.Value, error) {
	layer := map[string]models.Value{}
	return layer, tx.UnsealJSON("configurations", "device_layer", c.DeviceID, c.DeviceLayer, &layer)
}

// layDevice lays the device layer over values.
func layDevice(values map[string]string, layer map[string]models.Value) {
	for name, v := range layer {
		values[name] = v.Value
	}
}

// RedeliverInput is the input of redeliverConfiguration. Wake asks the device to come at once; no device has told an address for that so far.
type RedeliverInput struct {
	IdempotencyKey string
	Device         devices.Ref
	Wake           bool
}

// redelivered is what the record of a redeliverConfiguration keeps.
type redelivered struct{ Device models.ID }

// Redeliver issues a new version with every parameter for a device in which the actor holds ACCOUNT_CARE; it is delivered at the next session.
// A device without a desired configuration is STATE_CONFLICT, one that is not in scope NOT_FOUND.
func (r *Room) Redeliver(ctx context.Context, in RedeliverInput) (id models.ID, replayed bool, err error) {
	if err := models.Need(ctx, models.AccountCare); err != nil {
		return id, false, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		normalised := in
		normalised.IdempotencyKey = ""
		prior, err := events.Once[redelivered](tx, redeliverConfiguration, in.IdempotencyKey, normalised)
		if err != nil {
			return err
		}
		if replayed = prior != nil; replayed {
			id = prior.Device
			return nil
		}
		d, err := devices.LockByRef(tx, in.Device, models.AccountCare)
		if models.CodeOf(err) == models.NotFound {
			return models.E(models.NotFound, "there is no such device", "input", "device")
		}
		if err != nil {
			return err
		}
		id = d.ID
		return r.redeliver(tx, d, in)
	})
	if err != nil {
		return models.ID{}, false, fmt.Errorf("redeliver a configuration: %w", err)
	}
	return id, replayed, nil
}

func (r *Room) redeliver(tx *store.Tx, d *models.Device, in RedeliverInput) error {
	c, err := r.lock(tx, d.ID)
	if err != nil {
		return err
	}
	if c.State == models.ConfigurationNone {
		e := models.E(models.StateConflict, "nobody's configuration is desired of this device", "input", "device")
		e.CurrentState = string(c.State)
		return e
	}
	before := c.DesiredVersion
	c.Applied, c.AppliedVersion = nil, 0 // what it holds counts for nothing: everything goes out
	if err := devices.SetConfirmed(tx, d.ID, 0); err != nil {
		return err
	}
	if err := c.issue(tx, d); err != nil {
		return err
	}
	if err := c.emit(tx, "config.pending", models.ConfigurationPending, c.DesiredVersion); err != nil {
		return err
	}
	err = events.Audit(tx, models.AuditEntry{
		Action: redeliverConfiguration, Subject: models.Subject{Kind: models.KindDevice, ID: d.ID},
		Changes: models.DocOf(map[string]any{"desiredKey": []any{models.ParameterKey(before), models.ParameterKey(c.DesiredVersion)}}),
	})
	if err != nil {
		return err
	}
	return events.Done(tx, redeliverConfiguration, in.IdempotencyKey, redelivered{Device: d.ID})
}

// issue makes the desired content a new version that waits from now on; older ones that wait are replaced by it.
func (c *current) issue(tx *store.Tx, d *models.Device) error {
	if err := c.move(models.ConfigurationPending); err != nil {
		return err
	}
	c.DesiredVersion++
	c.Failure, c.Attempts, c.NextAt = "", 0, 0
	if c.Mirrored {
		if err := tasks.Replaced(tx, c.device, c.DesiredVersion, false); err != nil {
			return err
		}
	}
	if err := c.save(tx); err != nil {
		return err
	}
	if err := devices.SetDesired(tx, d.ID, c.DesiredVersion); err != nil {
		return err
	}
	d.DesiredVersion = c.DesiredVersion
	return devices.SetWork(tx, d.ID, tx.Now)
}

// content is a desired content without what the device's firmware is known not to have.
type content struct {
	values map[string]string
	// layer tells the types of what has no logical name.
	layer       map[string]models.Value
	unsupported []string
}

func (r *Room) value(c content, name string) models.Value {
	if isPath(name) {
		return models.Value{Name: name, Value: c.values[name], Type: c.layer[name].Type, Secret: r.config.IsSecret(name)}
	}
	p, _ := r.parameter(name)
	return models.Value{Name: name, Value: c.values[name], Secret: p.Secret}
}

// isPath tells a path of the device layer from a logical name.
func isPath(name string) bool { return name != "" && name[0] >= 'A' && name[0] <= 'Z' }
