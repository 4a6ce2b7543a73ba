// Package configtasks pushes one set of parameters to many devices: at its rate a ConfigTask writes the device layer of each device that it
// matched, which issues a version of the device's configuration, and a task that mirrors that version shows what becomes of it (resolutions 56).
//
// It owns the tables config_tasks and config_targets. It refuses to know how a version reaches a device: once a device is begun, its mirror
// tells the rest. The rate is a row: whoever moves next_at forward has claimed the devices in between, so any number of replicas and restarts
// keep it together.
package configtasks

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

const (
	createConfigTask = "createConfigTask"
	cancelConfigTask = "cancelConfigTask"

	maxName = 128
	maxNote = 255
	maxRate = 6_000 // starts a minute
	// maxGiven bounds the filter that is kept, in bytes of JSON.
	maxGiven = 32 << 10
)

// Room is all config tasks.
type Room struct {
	store         *store.Store
	clock         models.Clock
	devices       *devices.Room
	tasks         *tasks.Room
	configuration *configuration.Room
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, d *devices.Room, t *tasks.Room, c *configuration.Room) *Room {
	return &Room{store: s, clock: clock, devices: d, tasks: t, configuration: c}
}

// CreateInput is the input of createConfigTask. Given is the filter as the caller wrote it, to be shown again.
type CreateInput struct {
	IdempotencyKey string
	Name           string
	Filter         devices.Filter
	Given          map[string]any
	Values         []models.Value
	PerMinute      int
}

// created is what the record of a createConfigTask keeps.
type created struct{ ConfigTask models.ID }

// Create begins a config task on the devices that pass the filter now and in which the actor holds DEVICE_WRITE; later ones are not taken in.
// Values are judged like those of a device layer (configuration.CheckOverride).
func (r *Room) Create(ctx context.Context, in CreateInput) (task *models.ConfigTask, replayed bool, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return nil, false, err
	}
	if err := in.check(); err != nil {
		return nil, false, err
	}
	if err := r.configuration.CheckOverride(in.Values); err != nil {
		return nil, false, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		did, again, err := events.Repeat(tx, createConfigTask, in.IdempotencyKey, in.fingerprint(tx), func() (created, error) { return r.create(tx, in) })
		if err != nil {
			return err
		}
		replayed = again
		task, err = load(tx.DB, did.ConfigTask)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("create a config task: %w", err)
	}
	return task, replayed, nil
}

func (r *Room) create(tx *store.Tx, in CreateInput) (created, error) {
	actor := models.ActorFrom(tx.Context())
	task := &models.ConfigTask{
		ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, Name: in.Name, Shown: models.DocOf(r.tasks.Redact(in.Values)),
		Filter: models.DocOf(in.Given), PerMinute: in.PerMinute, State: models.JobRunning, NextAt: tx.Now,
		CreatedByKind: actor.Kind, CreatedByID: actor.ID, CreatedByName: actor.Name,
	}
	var err error
	if task.Layer, err = tx.SealJSON("config_tasks", "layer", task.ID, in.Values); err != nil {
		return created{}, err
	}
	matching := store.InScope(r.devices.Matching(tx, in.Filter), "devices.region", actor.Scope(models.DeviceWrite)).Select("devices.id")
	taken := tx.DB.Exec("INSERT INTO config_targets (config_task_id, device_id, state) SELECT ?, matching.id, ? FROM (?) AS matching",
		task.ID, models.TargetWaiting, matching)
	if taken.Error != nil {
		return created{}, fmt.Errorf("take in the devices: %w", taken.Error)
	}
	if task.Matched = taken.RowsAffected; task.Matched == 0 {
		task.State, task.CompletedAt = models.JobCompleted, tx.Now
	}
	if err := gorm.G[models.ConfigTask](tx.DB).Create(tx.Context(), task); err != nil {
		return created{}, fmt.Errorf("insert a config task: %w", err)
	}
	paths := make([]string, len(in.Values))
	for i, v := range in.Values {
		paths[i] = v.Name
	}
	return created{task.ID}, events.Audit(tx, models.AuditEntry{
		Action: createConfigTask, Subject: models.Subject{Kind: models.KindConfigTask, ID: task.ID},
		Changes: models.DocOf(map[string]any{
			"name": []any{nil, in.Name}, "paths": []any{nil, paths}, "matched": []any{nil, task.Matched}, "maxStartsPerMinute": []any{nil, in.PerMinute},
		}),
	})
}

func (in CreateInput) check() error {
	switch {
	case strings.TrimSpace(in.Name) == "":
		return models.E(models.Required, "a name is needed", "input", "name")
	case utf8.RuneCountInString(in.Name) > maxName:
		return models.E(models.TooLong, fmt.Sprintf("a name has at most %d characters", maxName), "input", "name")
	case !utf8.ValidString(in.Name), strings.ContainsFunc(in.Name, unicode.IsControl):
		return models.E(models.Invalid, "a name holds no control characters", "input", "name")
	case in.PerMinute < 1 || in.PerMinute > maxRate:
		return models.E(models.Invalid, fmt.Sprintf("1 to %d starts a minute are allowed", maxRate), "input", "maxStartsPerMinute")
	}
	if given, err := json.Marshal(in.Given); err != nil || len(given) > maxGiven {
		return models.E(models.TooLong, fmt.Sprintf("a filter has at most %d bytes", maxGiven), "input", "filter")
	}
	return nil
}

// fingerprint is what makes two inputs the same; values may be secrets, so it is an HMAC.
func (in CreateInput) fingerprint(tx *store.Tx) any {
	in.IdempotencyKey = ""
	text, err := json.Marshal(in)
	if err != nil {
		text = fmt.Appendf(nil, "%+v", in) // plain data always marshals
	}
	sum := tx.HMAC("idempotency", string(text))
	return hex.EncodeToString(sum[:])
}

// CancelInput is the input of cancelConfigTask. ExpectedVersion is nil for any; without an IdempotencyKey a repeat answers the same state.
type CancelInput struct {
	ID              models.ID
	IdempotencyKey  string
	ExpectedVersion *int64
	Note            string
}

// Cancel lets a running config task begin no more devices; what has begun goes on. One that has ended is STATE_CONFLICT, except that a cancelled
// one stays cancelled. It needs DEVICE_WRITE everywhere or to have made the task.
func (r *Room) Cancel(ctx context.Context, in CancelInput) (task *models.ConfigTask, replayed bool, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return nil, false, err
	}
	if utf8.RuneCountInString(in.Note) > maxNote {
		return nil, false, models.E(models.TooLong, fmt.Sprintf("a note has at most %d characters", maxNote), "input", "note")
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		normalised := in
		normalised.IdempotencyKey = ""
		did, again, err := events.RepeatKeyed(tx, cancelConfigTask, in.IdempotencyKey, normalised, func() (created, error) {
			return created{in.ID}, r.cancel(tx, in)
		})
		if err != nil {
			return err
		}
		replayed = again
		task, err = load(tx.DB, did.ConfigTask)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("cancel a config task: %w", err)
	}
	return task, replayed, nil
}

func (r *Room) cancel(tx *store.Tx, in CancelInput) error {
	task, err := load(tx.Locked(), in.ID)
	if err != nil {
		return err
	}
	actor := models.ActorFrom(tx.Context())
	if task == nil || !actor.Scope(models.DeviceWrite).All && task.CreatedByID != actor.ID {
		return models.E(models.NotFound, "there is no such config task", "input", "id")
	}
	if in.ExpectedVersion != nil && *in.ExpectedVersion != task.Version {
		e := models.E(models.VersionConflict, "the config task has changed meanwhile", "input", "expectedVersion")
		e.CurrentVersion = task.Version
		return e
	}
	switch task.State {
	case models.JobAborted:
		return nil
	case models.JobRunning:
	default:
		e := models.E(models.StateConflict, "the config task has ended", "input", "id")
		e.CurrentState = string(task.State)
		return e
	}
	err = tx.DB.Model(&models.ConfigTarget{}).Where("config_task_id = ? AND state = ?", task.ID, models.TargetWaiting).
		Update("state", models.TargetCancelled).Error
	if err != nil {
		return fmt.Errorf("cancel the targets of config task %s: %w", task.ID, err)
	}
	if _, err := end(tx, task, models.JobAborted); err != nil {
		return err
	}
	changes := map[string]any{"state": []any{models.JobRunning, task.State}}
	if in.Note != "" {
		changes["note"] = []any{nil, in.Note}
	}
	return events.Audit(tx, models.AuditEntry{
		Action: cancelConfigTask, Subject: models.Subject{Kind: models.KindConfigTask, ID: task.ID}, Changes: models.DocOf(changes),
	})
}

// end brings a running task to a final state; false if it is no longer running.
func end(tx *store.Tx, task *models.ConfigTask, to models.JobState) (bool, error) {
	done := tx.DB.Model(&models.ConfigTask{}).Where("id = ? AND state = ?", task.ID, models.JobRunning).Updates(map[string]any{
		"state": to, "version": gorm.Expr("version + 1"), "updated_at": tx.Now, "completed_at": tx.Now,
	})
	if done.Error != nil || done.RowsAffected == 0 {
		return false, done.Error
	}
	task.State, task.Version, task.UpdatedAt, task.CompletedAt = to, task.Version+1, tx.Now, tx.Now
	return true, nil
}

// load reads a config task, nil if there is none.
func load(q *gorm.DB, id models.ID) (*models.ConfigTask, error) {
	var task models.ConfigTask
	err := q.Where("id = ?", id).Take(&task).Error
	if store.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read config task %s: %w", id, err)
	}
	return &task, nil
}
