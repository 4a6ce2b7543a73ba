// Package tasks keeps the work that waits for a device's session: what an operator asked of one device, whether it was sent, and what came of
// it.
//
// It owns the tables tasks, device_downloads, transfer_reports and unsupported_methods and the moves of models.TaskTransitions. It refuses to
// know how a request is written on the wire and when a device speaks: whoever holds the session asks Next, sends, and tells Answered, Rebooted
// or Lost. Writes of a session name its epoch, so an overtaken session changes nothing (design decision 3).
package tasks

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/store"
)

const (
	createDeviceTask = "createDeviceTask"
	maxOpen          = 100 // tasks a device
	// tries is how often a task is sent in all (resolutions 36).
	tries = 3
	// sessionTime is how long a session may last; a sent task is not expired before.
	sessionTime = 5 * time.Minute
	expireEvery = time.Minute
)

// Config is what the room is built with.
type Config struct {
	// Denied are the paths that no task may set, whatever their case; one that ends with a dot denies everything below it (resolutions 79).
	Denied []string
	// IsSecret tells whether the value at a path may never be shown; nil: none is.
	IsSecret func(path string) bool
	// Packages are what DOWNLOAD brings; nil: there is no such kind of task.
	Packages *packages.Room
	// Spread is the most that is added at random to the delay of a download, so that devices come one after the other (i4.upgrade.spread).
	Spread time.Duration
}

// Room is all tasks.
type Room struct {
	store  *store.Store
	clock  models.Clock
	config Config
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	if c.IsSecret == nil {
		c.IsSecret = func(string) bool { return false }
	}
	return &Room{store: s, clock: clock, config: c}
}

// CreateInput is the input of createDeviceTask. Nil means left out; which kind takes what is resolutions 52.
type CreateInput struct {
	IdempotencyKey string
	Device         devices.Ref
	Kind           models.TaskKind
	Paths          []string
	Values         []models.Value
	ObjectPath     *string
	NextLevel      bool
	Notification   *int
	// Arguments is an object as JSON decodes it.
	Arguments        any
	PackageID        *models.ID
	DelaySeconds     int
	ExpiresInSeconds int
	// Wake asks the device to come at once. No device has told an address for that so far, so its next session takes the task.
	Wake bool
}

// created is what the record of a createDeviceTask keeps.
type created struct{ Task models.ID }

// Create queues a task for a device in which the actor holds DEVICE_WRITE; another device is NOT_FOUND. The arguments are checked to the last
// value; a device with 100 open tasks takes no more (QUOTA_EXCEEDED), one whose software answered 9000 to the method none of that kind
// (UNSUPPORTED_BY_DEVICE). replayed tells that the idempotency key was used before.
func (r *Room) Create(ctx context.Context, in CreateInput) (id models.ID, replayed bool, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return id, false, err
	}
	request, err := r.check(in)
	if err != nil {
		return id, false, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		prior, err := events.Once[created](tx, createDeviceTask, in.IdempotencyKey, in.fingerprint(tx))
		if err != nil {
			return err
		}
		if prior != nil {
			id, replayed = prior.Task, true
			return nil
		}
		id, replayed = models.NewID(), false
		return r.create(tx, id, in, request)
	})
	if err != nil {
		return models.ID{}, false, fmt.Errorf("create a task: %w", err)
	}
	return id, replayed, nil
}

func (r *Room) create(tx *store.Tx, id models.ID, in CreateInput, request models.TaskRequest) error {
	d, err := devices.LockByRef(tx, in.Device, models.DeviceWrite)
	if models.CodeOf(err) == models.NotFound {
		return models.E(models.NotFound, "there is no such device", "input", "device")
	}
	if err != nil {
		return err
	}
	lacks, err := Lacks(tx, d, methods[in.Kind])
	if err != nil {
		return err
	}
	if lacks {
		return models.E(models.UnsupportedByDevice, "the device's software does not know "+string(methods[in.Kind]), "input", "kind")
	}
	if in.Kind == models.DownloadTask {
		if err := r.admitDownload(tx, d, request.PackageID); err != nil {
			return err
		}
	}
	var open int64
	if err := tx.DB.Model(&models.Task{}).Where("device_id = ? AND state IN ? AND expires_at > ? AND "+sendable, d.ID, openStates, tx.Now).Count(&open).Error; err != nil {
		return fmt.Errorf("count the tasks of device %s: %w", d.ID, err)
	}
	if open >= maxOpen {
		return models.E(models.QuotaExceeded, fmt.Sprintf("the device has %d open tasks already", maxOpen), "input", "device")
	}
	if err := r.insert(tx, d, id, in.Kind, request, time.Duration(in.ExpiresInSeconds)*time.Second); err != nil {
		return err
	}
	err = events.Audit(tx, models.AuditEntry{
		Action: createDeviceTask, Subject: models.Subject{Kind: models.KindTask, ID: id},
		Changes: models.DocOf(map[string]any{"device": []any{nil, d.ID}, "kind": []any{nil, in.Kind}, "paths": []any{nil, pathsOf(request)}}),
	})
	if err != nil {
		return err
	}
	return events.Done(tx, createDeviceTask, in.IdempotencyKey, created{Task: id})
}

// insert queues a task that was checked.
func (r *Room) insert(tx *store.Tx, d *models.Device, id models.ID, kind models.TaskKind, request models.TaskRequest, life time.Duration) error {
	t, err := r.build(tx, d, id, kind, request, life)
	if err != nil {
		return err
	}
	if err := gorm.G[models.Task](tx.DB).Create(tx.Context(), t); err != nil {
		return fmt.Errorf("insert a task: %w", err)
	}
	if kind == models.DownloadTask {
		if err := r.insertDownload(tx, t, request); err != nil {
			return err
		}
	}
	if err := devices.SetWork(tx, d.ID, tx.Now); err != nil {
		return err
	}
	return tell(tx, d, t)
}

// build makes the row of a task that begins now.
func (r *Room) build(tx *store.Tx, d *models.Device, id models.ID, kind models.TaskKind, request models.TaskRequest, life time.Duration) (*models.Task, error) {
	sealed, err := tx.SealJSON("tasks", "request", id, request)
	if err != nil {
		return nil, err
	}
	actor := models.ActorFrom(tx.Context())
	return &models.Task{
		ID: id, DeviceID: d.ID, Kind: kind, State: models.TaskPending, Request: sealed, Shown: models.DocOf(r.shown(request)),
		NextAt: tx.Now, CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(life),
		CreatedByKind: actor.Kind, CreatedByID: actor.ID, CreatedByName: actor.Name,
	}, nil
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

// shown is the request as the north may see it.
func (r *Room) shown(request models.TaskRequest) models.TaskRequest {
	request.Values = r.redact(request.Values)
	return request
}

// redact hides the values at secret paths.
func (r *Room) redact(values []models.Value) []models.Value {
	shown := make([]models.Value, len(values))
	for i, v := range values {
		if v.Secret || r.config.IsSecret(v.Name) {
			v.Value, v.Secret = models.Secret(v.Value).String(), true
		}
		shown[i] = v
	}
	if len(shown) == 0 {
		return nil
	}
	return shown
}

func pathsOf(request models.TaskRequest) []string {
	paths := append([]string{}, request.Paths...)
	for _, v := range request.Values {
		paths = append(paths, v.Name)
	}
	if request.ObjectPath != "" {
		paths = append(paths, request.ObjectPath)
	}
	return paths
}

var openStates = []models.TaskState{models.TaskPending, models.TaskSent, models.TaskAcknowledged}

// tell logs the state that the task has come to.
func tell(tx *store.Tx, d *models.Device, t *models.Task) error {
	e := devices.EventOf(d, models.TaskStateChanged, "task."+strings.ToLower(string(t.State)), map[string]any{"kind": t.Kind, "state": t.State})
	e.Subject, e.SubjectVersion = models.Subject{Kind: models.KindTask, ID: t.ID}, 0
	return events.Append(tx, e)
}

// Run expires what is due once a minute until ctx ends.
func (r *Room) Run(ctx context.Context) {
	for r.clock.Wait(ctx, expireEvery) == nil {
		if _, err := r.ExpireDue(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "expire tasks", "error", err)
		}
	}
}
