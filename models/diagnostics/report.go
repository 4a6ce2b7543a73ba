package diagnostics

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// Reported takes an `8 DIAGNOSTICS COMPLETE`, before it is answered: from then on the device no longer tells. It belongs to the diagnostic whose
// TaskId it names or, if it names none, to the one whose object is in an end state; anything else is kept as unsolicited. The result itself is read
// in this session or a later one. A repeated Inform changes nothing.
func (r *Room) Reported(ctx context.Context, d *models.Device, in *models.Inform) error {
	taskID := in.Get(nameTaskID)
	over := map[models.DiagnosticKind]bool{}
	for kind, what := range tests {
		if ended(in.Get(what.state())) {
			over[kind] = true
		}
	}
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := devices.LockByID(tx, d.ID); err != nil {
			return err
		}
		rows, err := open(tx, d.ID)
		if err != nil {
			return err
		}
		for i := range rows {
			t := &rows[i]
			if t.Unsolicited {
				continue
			}
			named := taskID != "" && taskID == t.TaskID
			active := t.State != models.TaskPending
			if named || taskID == "" && active && (over[t.Kind] || len(over) == 0) {
				return r.complete(tx, d, t, named || over[t.Kind])
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(over)) {
			if err := r.expect(tx, d, kind, clip(taskID, 64)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the end of a diagnostic of device %s: %w", d.ID, err)
	}
	return nil
}

// complete marks a diagnostic as run; one of which the Inform does not say that is only looked after.
func (r *Room) complete(tx *store.Tx, d *models.Device, t *models.Diagnostic, sure bool) error {
	columns := map[string]any{"due_at": tx.Now, "readings": 0}
	if sure && t.State != models.TaskAcknowledged {
		columns["unanswered"] = false
		if _, err := move(tx, d, t, models.TaskAcknowledged, columns); err != nil {
			return err
		}
	} else if err := set(tx, t, columns); err != nil {
		return err
	}
	return wake(tx, d)
}

// wake gives the device's own session something to do.
func wake(tx *store.Tx, d *models.Device) error {
	tx.AfterCommit(func() { d.WorkAt = tx.Now })
	return devices.SetWork(tx, d.ID, tx.Now)
}

// expect queues the reading of a result that nobody asked for, unless it is known.
func (r *Room) expect(tx *store.Tx, d *models.Device, kind models.DiagnosticKind, taskID string) error {
	room, err := r.makeRoom(tx, d, kind, taskID)
	if err != nil || !room {
		return err
	}
	t := unsolicited(tx, d, kind, taskID)
	t.State, t.DueAt, t.ExpiresAt = models.TaskAcknowledged, tx.Now, tx.Now.Add(life)
	if err := insert(tx, d, t); err != nil {
		return err
	}
	return wake(tx, d)
}

// keep stores a result that was read in place of another one.
func (r *Room) keep(tx *store.Tx, d *models.Device, kind models.DiagnosticKind, taskID string, values []models.Value) error {
	taskID = clip(taskID, 64)
	room, err := r.makeRoom(tx, d, kind, taskID)
	if err != nil || !room {
		return err
	}
	t := unsolicited(tx, d, kind, taskID)
	t.State, t.ExpiresAt = models.TaskAcknowledged, tx.Now.Add(life)
	if err := insert(tx, d, t); err != nil {
		return err
	}
	a := answerOf(tests[kind].object, values)
	return finish(tx, d, t, a, a[stateLeaf[1:]])
}

func unsolicited(tx *store.Tx, d *models.Device, kind models.DiagnosticKind, taskID string) *models.Diagnostic {
	return &models.Diagnostic{ID: models.NewID(), DeviceID: d.ID, Kind: kind, TaskID: taskID, Unsolicited: true, CreatedAt: tx.Now, Dropped: lacking(d)}
}

// makeRoom tells whether an unsolicited result is kept: one that is not known, within the limit of an hour. The oldest go.
func (r *Room) makeRoom(tx *store.Tx, d *models.Device, kind models.DiagnosticKind, taskID string) (bool, error) {
	var known int64
	q := tx.DB.Model(&models.Diagnostic{}).Where("device_id = ? AND kind = ?", d.ID, kind)
	if taskID == "" {
		q = q.Where("unsolicited = ? AND state = ?", true, models.TaskAcknowledged)
	} else { // one that expired before its result came is not known
		q = q.Where("task_id = ? AND (unsolicited = ? OR state <> ?)", taskID, true, models.TaskExpired)
	}
	if err := q.Count(&known).Error; err != nil || known > 0 {
		return false, err
	}
	recent, err := r.recent(tx, d.ID, true)
	if err != nil || r.config.PerHour > 0 && len(recent) >= r.config.PerHour {
		return false, err
	}
	old, err := gorm.G[models.Diagnostic](tx.DB).Where("device_id = ? AND unsolicited = ?", d.ID, true).Order("id DESC").
		Offset(maxUnsolicited - 1).Limit(maxUnsolicited).Find(tx.Context())
	if err != nil || len(old) == 0 {
		return err == nil, err
	}
	return true, tx.DB.Delete(&old).Error
}

// Booted looks after a diagnostic that ran when the device started: tests and results do not survive that (i4.md B.8). Call it at `1 BOOT`.
func (r *Room) Booted(ctx context.Context, d *models.Device) error {
	const running = "device_id = ? AND state IN ? AND unsolicited = ?"
	var n int64
	err := r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Model(&models.Diagnostic{}).Where(running, d.ID, activeStates, false).Count(&n).Error
	})
	if err == nil && n > 0 {
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.DB.Model(&models.Diagnostic{}).Where(running, d.ID, activeStates, false).Update("due_at", tx.Now).Error; err != nil {
				return err
			}
			return wake(tx, d)
		})
	}
	if err != nil {
		return fmt.Errorf("look after the diagnostics of device %s: %w", d.ID, err)
	}
	return nil
}
