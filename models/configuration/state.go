package configuration

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Transitions is the state table of a device's configuration. A new version always leads to PENDING, the end of a binding to NONE.
var Transitions = map[models.ConfigurationState][]models.ConfigurationState{
	models.ConfigurationNone:      {models.ConfigurationPending},
	models.ConfigurationPending:   {models.ConfigurationPending, models.ConfigurationSent, models.ConfigurationNone},
	models.ConfigurationSent:      {models.ConfigurationPending, models.ConfigurationSent, models.ConfigurationCommitted, models.ConfigurationApplied, models.ConfigurationFailed, models.ConfigurationNone},
	models.ConfigurationCommitted: {models.ConfigurationPending, models.ConfigurationSent, models.ConfigurationApplied, models.ConfigurationNone},
	models.ConfigurationApplied:   {models.ConfigurationPending, models.ConfigurationSent, models.ConfigurationNone},
	models.ConfigurationFailed:    {models.ConfigurationPending, models.ConfigurationSent, models.ConfigurationNone},
}

// ErrOvertaken says that a newer session has taken the device's work, or a newer version is desired: the caller's delivery counts no more.
var ErrOvertaken = errors.New("the delivery was overtaken")

// current is the locked row of a device's configuration within one transaction.
type current struct {
	models.Configuration
	device *models.Device
	exists bool
}

// lock reads a device and its configuration and holds both until the commit; a device without one has state NONE.
func (r *Room) lock(tx *store.Tx, id models.ID) (*current, error) {
	d, err := devices.LockByID(tx, id)
	if err != nil {
		return nil, fmt.Errorf("lock device %s: %w", id, err)
	}
	c := &current{device: d}
	if c.exists, err = load(tx.Locked(), id, &c.Configuration); err != nil {
		return nil, err
	}
	return c, nil
}

// take is lock for a session that took the device's work as epoch.
func (r *Room) take(tx *store.Tx, id models.ID, epoch int64) (*current, error) {
	c, err := r.lock(tx, id)
	if err == nil && c.device.SessionEpoch != epoch {
		return nil, ErrOvertaken
	}
	return c, err
}

func load(db *gorm.DB, id models.ID, into *models.Configuration) (found bool, err error) {
	err = db.Where("device_id = ?", id).Take(into).Error
	if store.IsMissing(err) {
		*into = models.Configuration{DeviceID: id, State: models.ConfigurationNone}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the configuration of device %s: %w", id, err)
	}
	return true, nil
}

// move changes the state; one that the table does not know is a mistake of this package.
func (c *current) move(to models.ConfigurationState) error {
	if !slices.Contains(Transitions[c.State], to) {
		return fmt.Errorf("the configuration of device %s cannot go from %s to %s", c.DeviceID, c.State, to)
	}
	c.State = to
	return nil
}

func (c *current) save(tx *store.Tx) error {
	c.ChangedAt = tx.Now
	var err error
	if c.exists {
		_, err = gorm.G[models.Configuration](tx.DB).Where("device_id = ?", c.DeviceID).Select("*").Updates(tx.Context(), c.Configuration)
	} else {
		err = gorm.G[models.Configuration](tx.DB).Create(tx.Context(), &c.Configuration)
	}
	if err != nil {
		return fmt.Errorf("save the configuration of device %s: %w", c.DeviceID, err)
	}
	c.exists = true
	return nil
}

// emit appends CONFIGURATION_CHANGED about one version of the device's configuration (resolutions 22, 65).
func (c *current) emit(tx *store.Tx, code string, state models.ConfigurationState, version int64) error {
	payload := map[string]any{"state": state, "key": models.ParameterKey(version)}
	if state == models.ConfigurationFailed {
		payload["failure"] = c.Failure
	}
	return events.Append(tx, devices.EventOf(c.device, models.ConfigurationChanged, code, payload))
}

// alarm appends ALARM_RAISED or ALARM_CLEARED about the device; cause is the code of what it is about (resolutions 22).
func (c *current) alarm(tx *store.Tx, t models.EventType, cause string, fields map[string]any) error {
	payload := map[string]any{"cause": cause}
	maps.Copy(payload, fields)
	code := "alarm.raised"
	if t == models.AlarmCleared {
		code = "alarm.cleared"
	}
	return events.Append(tx, devices.EventOf(c.device, t, code, payload))
}

func readValues(tx *store.Tx, column string, id models.ID, sealed models.Sealed) (map[string]string, error) {
	values := map[string]string{}
	return values, tx.UnsealJSON("configurations", column, id, sealed, &values)
}
