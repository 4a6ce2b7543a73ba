package tasks

import (
	"fmt"
	"slices"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// mirrorLife is how long a mirror is kept open at most: it does not expire by itself, its version ends it.
const mirrorLife = 10 * 365 * 24 * time.Hour

// sendable selects the tasks that are sent themselves.
const sendable = "config_version = 0"

// CheckValues judges values that are to be set on devices: 1 to 64, paths and types as SET_VALUES takes them (resolutions 52, 79). The fields
// are those of input.values.
func (r *Room) CheckValues(values []models.Value) error { return r.checkValues(values) }

// Redact is values as the north may see them.
func (r *Room) Redact(values []models.Value) []models.Value { return r.redact(values) }

// Mirror inserts a SET_VALUES task that shows what becomes of a version of the device's configuration (resolutions 56). It is never sent;
// Follow moves it.
func (r *Room) Mirror(tx *store.Tx, d *models.Device, configTask models.ID, version int64, values []models.Value) error {
	t, err := r.build(tx, d, models.NewID(), models.SetValues, models.TaskRequest{Values: values}, mirrorLife)
	if err != nil {
		return err
	}
	t.ConfigTaskID, t.ConfigVersion = configTask, version
	t.NextAt = t.ExpiresAt
	if err := tx.DB.Create(t).Error; err != nil {
		return fmt.Errorf("insert the mirror of a configuration: %w", err)
	}
	return tell(tx, d, t)
}

// Fate is what became of a version of a device's configuration.
type Fate struct {
	Version int64
	To      models.TaskState
	// Fault is why it failed; the client's words are cut to what a row holds.
	Fault *models.Fault
	// Refused are the paths that the device does not have: a mirror that set one of them fails although the rest was applied.
	Refused []string
}

// Follow moves the open mirrors of the version.
func Follow(tx *store.Tx, d *models.Device, fate Fate) error {
	return follow(tx, d, fate, "config_version = ? AND state IN ?", fate.Version, openStates)
}

// Replaced cancels the mirrors of older versions: a later one comes instead of them. Those in the device's hands are spared unless it has arrived.
func Replaced(tx *store.Tx, d *models.Device, version int64, arrived bool) error {
	states := []models.TaskState{models.TaskPending}
	if arrived {
		states = openStates
	}
	return follow(tx, d, Fate{To: models.TaskCancelled}, "config_version > 0 AND config_version < ? AND state IN ?", version, states)
}

// Dropped cancels all open mirrors: the device serves nobody any more.
func Dropped(tx *store.Tx, d *models.Device) error {
	return follow(tx, d, Fate{To: models.TaskCancelled}, "config_version > 0 AND state IN ?", openStates)
}

func follow(tx *store.Tx, d *models.Device, fate Fate, where string, args ...any) error {
	var open []models.Task
	if err := tx.Locked().Where("device_id = ?", d.ID).Where(where, args...).Order("id").Find(&open).Error; err != nil {
		return fmt.Errorf("read the mirrors of device %s: %w", d.ID, err)
	}
	for i := range open {
		t, to, fault, columns := &open[i], fate.To, fate.Fault, map[string]any{}
		if to == t.State {
			continue
		}
		switch to {
		case models.TaskSent:
			columns["attempts"], columns["sent_at"] = t.Attempts+1, tx.Now
		case models.TaskSucceeded:
			if fault = refusedOf(t, fate.Refused); fault != nil {
				to = models.TaskFailed
			} else {
				columns["result"] = models.DocOf(map[string]any{"status": 0})
			}
		}
		if fault != nil {
			columns["fault"] = models.DocOf(bounded(fault))
		}
		if _, err := move(tx, d, t, to, columns); err != nil {
			return err
		}
	}
	return nil
}

// refusedOf is the fault of a mirror some of whose values the device does not have (TR-069 A.5.1: 9005).
func refusedOf(t *models.Task, refused []string) *models.Fault {
	fault := &models.Fault{Code: 9003, Message: "the device does not have these parameters"}
	for _, v := range t.Shown.V.Values {
		if slices.Contains(refused, v.Name) {
			fault.Parameters = append(fault.Parameters, models.ParameterFault{Path: v.Name, Code: 9005})
		}
	}
	if len(fault.Parameters) == 0 {
		return nil
	}
	return fault
}
