package tasks

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	cancelDeviceTask = "cancelDeviceTask"
	maxNote          = 1000
)

// CancelInput is the input of cancelDeviceTask.
type CancelInput struct {
	ID             models.ID
	IdempotencyKey string
	// ExpectedVersion must be nil: a task has no version.
	ExpectedVersion *int64
	Note            string
}

// Cancel takes back a task that was not sent, of a device in which the actor holds DEVICE_WRITE; one that is elsewhere is NOT_FOUND, and one that
// was sent or has ended STATE_CONFLICT. Cancelling again changes nothing.
func (r *Room) Cancel(ctx context.Context, in CancelInput) (id models.ID, replayed bool, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return id, false, err
	}
	switch {
	case in.ExpectedVersion != nil:
		return id, false, models.E(models.Invalid, "a task has no version", "input", "expectedVersion")
	case utf8.RuneCountInString(in.Note) > maxNote:
		return id, false, models.E(models.TooLong, fmt.Sprintf("a note has at most %d characters", maxNote), "input", "note")
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		keyless := in
		keyless.IdempotencyKey = ""
		_, replayed, err = events.RepeatKeyed(tx, cancelDeviceTask, in.IdempotencyKey, keyless, func() (created, error) {
			return created{Task: in.ID}, cancel(tx, in)
		})
		return err
	})
	if err != nil {
		return id, false, fmt.Errorf("cancel a task: %w", err)
	}
	return in.ID, replayed, nil
}

func cancel(tx *store.Tx, in CancelInput) error {
	missing := models.E(models.NotFound, "there is no such task", "input", "id")
	var found []models.Task
	if err := tx.DB.Where("id = ?", in.ID).Limit(1).Find(&found).Error; err != nil {
		return fmt.Errorf("read task %s: %w", in.ID, err)
	}
	if len(found) == 0 {
		return missing
	}
	// The device first, as a session does that takes a task.
	d, err := devices.LockByRef(tx, devices.Ref{ID: found[0].DeviceID}, models.DeviceWrite)
	if models.CodeOf(err) == models.NotFound {
		return missing
	}
	if err != nil {
		return err
	}
	t := &models.Task{}
	if err := tx.Locked().Where("id = ?", in.ID).Take(t).Error; err != nil {
		return fmt.Errorf("read task %s: %w", in.ID, err)
	}
	show(t, tx.Now)
	if t.State == models.TaskCancelled {
		return nil
	}
	if !slices.Contains(models.TaskTransitions[t.State], models.TaskCancelled) {
		e := models.E(models.StateConflict, "only a task that was not sent can be taken back", "input", "id")
		e.CurrentState = string(t.State)
		return e
	}
	if ok, err := move(tx, d, t, models.TaskCancelled, map[string]any{}); err != nil || !ok {
		return err
	}
	changes := map[string]any{"state": []any{models.TaskPending, models.TaskCancelled}}
	if in.Note != "" {
		changes["note"] = []any{nil, in.Note}
	}
	return events.Audit(tx, models.AuditEntry{
		Action: cancelDeviceTask, Subject: models.Subject{Kind: models.KindTask, ID: t.ID}, Changes: models.DocOf(changes),
	})
}
