// Package diagnostics lets devices run tests: whether and how fast they reach a host, what their name server says, whether they can register
// (i4.md B.8, TR-143).
//
// It owns the table diagnostics, the moves of models.DiagnosticTransitions, which targets a device may be pointed at, and what is believed of its
// results. It refuses to know paths and when a device speaks: whoever holds the session tells Reported and Booted, asks Read and Begin, sends, and
// tells Answered or Lost. Writes of a session name its epoch, so an overtaken session changes nothing.
package diagnostics

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	// tries is how often inputs are sent, or a result is asked for, in all (resolutions 36).
	tries = 3
	// life is how long a diagnostic waits for its device, queued or running.
	life = 24 * time.Hour
	// maxOpen is how many diagnostics of a device may wait (i4.md B.8).
	maxOpen = 8
	// maxUnsolicited is how many results that nobody asked for are kept of a device.
	maxUnsolicited = 20
	kept           = 90 * 24 * time.Hour
	loopEvery      = time.Minute
)

// Config is what the room is built with.
type Config struct {
	// Timeout is how long a device may take to say that a test is over (i4.diag.timeout); 0: 10 minutes.
	Timeout time.Duration
	// PerHour bounds the diagnostics of a device in an hour, and the unsolicited results that are kept of it; 0: any number (resolutions 12).
	PerHour int
	// Targets are the hosts that devices may be pointed at.
	Targets Targets
}

// Room is all diagnostics.
type Room struct {
	store  *store.Store
	clock  models.Clock
	config Config
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Minute
	}
	return &Room{store: s, clock: clock, config: c}
}

var (
	openStates   = []models.TaskState{models.TaskPending, models.TaskSent, models.TaskAcknowledged}
	activeStates = []models.TaskState{models.TaskSent, models.TaskAcknowledged}
)

// move brings t to a state by a conditional update that names the state and the try it was in; false if it is no longer there.
func move(tx *store.Tx, d *models.Device, t *models.Diagnostic, to models.TaskState, columns map[string]any) (bool, error) {
	if !slices.Contains(models.DiagnosticTransitions[t.State], to) {
		return false, fmt.Errorf("diagnostic %s cannot go from %s to %s", t.ID, t.State, to)
	}
	columns["state"] = to
	if final(to) {
		columns["completed_at"] = tx.Now
	}
	done := tx.DB.Model(&models.Diagnostic{}).Where("id = ? AND state = ? AND attempts = ?", t.ID, t.State, t.Attempts).Updates(columns)
	if done.Error != nil || done.RowsAffected == 0 {
		return false, done.Error
	}
	t.State = to
	return true, tell(tx, d, t)
}

func final(state models.TaskState) bool { return len(models.DiagnosticTransitions[state]) == 0 }

// set changes columns of a diagnostic that stays where it is.
func set(tx *store.Tx, t *models.Diagnostic, columns map[string]any) error {
	return tx.DB.Model(&models.Diagnostic{}).Where("id = ? AND state = ? AND attempts = ?", t.ID, t.State, t.Attempts).Updates(columns).Error
}

// codes name the states in events (i4.md B.8, resolutions 22).
var codes = map[models.TaskState]string{
	models.TaskPending: "diag.queued", models.TaskSent: "diag.started", models.TaskAcknowledged: "diag.answered", models.TaskSucceeded: "diag.completed",
	models.TaskFailed: "diag.failed", models.TaskExpired: "diag.failed",
}

// tell logs the state that the diagnostic has come to.
func tell(tx *store.Tx, d *models.Device, t *models.Diagnostic) error {
	kind := models.TaskStateChanged
	if final(t.State) {
		kind = models.DiagnosticCompleted
	}
	e := devices.EventOf(d, kind, codes[t.State], map[string]any{"kind": t.Kind, "state": t.State})
	e.Subject, e.SubjectVersion = models.Subject{Kind: models.KindDiagnostic, ID: t.ID}, 0
	return events.Append(tx, e)
}

// fail ends a diagnostic by a fault.
func fail(tx *store.Tx, d *models.Device, t *models.Diagnostic, f *models.Fault) error {
	_, err := move(tx, d, t, models.TaskFailed, map[string]any{"fault": models.DocOf(bounded(f))})
	return err
}

// own is a fault of the platform's own finding (TR-069 A.5: 8002, internal error).
func own(message string) *models.Fault { return &models.Fault{Code: 8002, Message: message} }

// bounded cuts what a device may write at will to what a row is for.
func bounded(f *models.Fault) *models.Fault {
	const maxText, maxLines = 256, 16
	short := &models.Fault{Code: f.Code, Message: clip(f.Message, maxText)}
	for _, p := range f.Parameters[:min(len(f.Parameters), maxLines)] {
		short.Parameters = append(short.Parameters, models.ParameterFault{Path: clip(p.Path, maxText), Name: p.Name, Code: p.Code, Message: clip(p.Message, maxText)})
	}
	return short
}

// clip leaves out what cannot be shown and cuts to n characters.
func clip(s string, n int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == 0xFFFD {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	return string(runes[:min(len(runes), n)])
}

// Run expires what is due, and forgets what is old, once a minute until ctx ends.
func (r *Room) Run(ctx context.Context) {
	for r.clock.Wait(ctx, loopEvery) == nil {
		if _, err := r.ExpireDue(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "expire diagnostics", "error", err)
		}
		if err := r.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up old diagnostics", "error", err)
		}
	}
}

// Due is when the device's diagnostics want a session; zero if they do not. One runs at a time: the queue waits for it. Use it with
// devices.ClearWork.
func Due(tx *store.Tx, deviceID models.ID) (at models.Time, err error) {
	rows, err := open(tx, deviceID)
	queued := models.Time(0)
	running := false
	for _, t := range rows {
		switch {
		case t.State == models.TaskPending:
			if queued.IsZero() {
				queued = t.DueAt
			}
			continue
		case !t.Unsolicited:
			running = true
		}
		if at.IsZero() || t.DueAt < at {
			at = t.DueAt
		}
	}
	if !running && !queued.IsZero() && (at.IsZero() || queued < at) {
		at = queued
	}
	return at, err
}

// open are the diagnostics of a device that are not over, the oldest first.
func open(tx *store.Tx, deviceID models.ID) ([]models.Diagnostic, error) {
	rows, err := gorm.G[models.Diagnostic](tx.DB).Where("device_id = ? AND state IN ? AND expires_at > ?", deviceID, openStates, tx.Now).
		Order("id").Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the diagnostics of device %s: %w", deviceID, err)
	}
	return rows, nil
}
