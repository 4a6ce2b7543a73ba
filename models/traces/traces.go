// Package traces records the next sessions of single devices, for whoever looks into why one does not work.
//
// It owns the tables traces, cwmp_sessions and cwmp_messages: who may have a device traced and for how long, how much is kept and until when. It
// refuses to know what is in a message and what of it must not be kept: the door hands over texts in which that is hidden.
package traces

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	startDeviceTrace = "startDeviceTrace"
	maxMinutes       = 24 * 60
	maxReason        = 256 // characters
	// maxMessages is how many messages a trace records.
	maxMessages = 100
	// kept is how long a recorded session can be read.
	kept = 7 * 24 * time.Hour
	// cleanRows is how many sessions are deleted at a time; with at most 100 messages in a session that is 1,000 rows.
	cleanRows = 10
)

// Room is all traces.
type Room struct{ store *store.Store }

// New builds the room on s.
func New(s *store.Store) *Room { return &Room{store: s} }

// StartInput is the input of startDeviceTrace.
type StartInput struct {
	Device  devices.Ref
	Minutes int
	Reason  string
}

// Start records the next sessions of a device in which the actor holds TRACE_RUN, for 1 to 1,440 minutes and 100 messages, whichever ends
// first; another device is NOT_FOUND. A repeat starts anew. The audit log has who asked for it and why.
func (r *Room) Start(ctx context.Context, in StartInput) (deviceID models.ID, err error) {
	if err := models.Need(ctx, models.TraceRun); err != nil {
		return deviceID, err
	}
	reason := strings.TrimSpace(in.Reason)
	switch {
	case in.Minutes < 1 || in.Minutes > maxMinutes:
		return deviceID, models.E(models.Invalid, fmt.Sprintf("a trace runs for 1 to %d minutes", maxMinutes), "input", "minutes")
	case reason == "":
		return deviceID, models.E(models.Required, "why the device is traced is needed", "input", "reason")
	case utf8.RuneCountInString(reason) > maxReason:
		return deviceID, models.E(models.TooLong, fmt.Sprintf("a reason has at most %d characters", maxReason), "input", "reason")
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		d, err := devices.LockByRef(tx, in.Device, models.TraceRun)
		if models.CodeOf(err) == models.NotFound {
			return models.E(models.NotFound, "there is no such device", "input", "device")
		}
		if err != nil {
			return err
		}
		deviceID = d.ID
		t := models.Trace{ID: models.NewID(), DeviceID: d.ID, StartedAt: tx.Now, EndsAt: tx.Now.Add(time.Duration(in.Minutes) * time.Minute)}
		if err := gorm.G[models.Trace](tx.DB).Create(tx.Context(), &t); err != nil {
			return fmt.Errorf("insert a trace: %w", err)
		}
		if err := devices.SetTrace(tx, d.ID, t.EndsAt); err != nil {
			return err
		}
		return events.Audit(tx, models.AuditEntry{
			Action: startDeviceTrace, Subject: models.Subject{Kind: models.KindDevice, ID: d.ID},
			Changes: models.DocOf(map[string]any{"traceUntil": []any{nil, t.EndsAt}, "reason": []any{nil, reason}}),
		})
	})
	if err != nil {
		return models.ID{}, fmt.Errorf("start a trace: %w", err)
	}
	return deviceID, nil
}

// Keep records a session that has ended, of a device whose trace ran when the session began, as far as the trace has room for its messages. A
// trace without room is over.
func (r *Room) Keep(ctx context.Context, s models.CwmpSession) error {
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := devices.LockByID(tx, s.DeviceID); err != nil {
			return err
		}
		running, err := gorm.G[models.Trace](tx.DB).Where("device_id = ?", s.DeviceID).Order("id DESC").Limit(1).Find(tx.Context())
		if err != nil || len(running) == 0 {
			return err
		}
		t := running[0]
		messages := s.Messages[:min(len(s.Messages), maxMessages-t.Messages)]
		if s.StartedAt > t.EndsAt || len(messages) == 0 {
			return nil
		}
		for i := range messages {
			messages[i].SessionID, messages[i].N = s.ID, i+1
		}
		if err := gorm.G[models.CwmpSession](tx.DB).Create(tx.Context(), &s); err != nil {
			return err
		}
		for i := range messages { // one by one: several large ones may be more than a packet of MySQL
			if err := gorm.G[models.CwmpMessage](tx.DB).Create(tx.Context(), &messages[i]); err != nil {
				return err
			}
		}
		t.Messages += len(messages)
		if err := tx.DB.Model(&models.Trace{}).Where("id = ?", t.ID).Update("messages", t.Messages).Error; err != nil {
			return err
		}
		if t.Messages < maxMessages {
			return nil
		}
		return devices.SetTrace(tx, s.DeviceID, 0)
	})
	if err != nil {
		return fmt.Errorf("record a session of device %s: %w", s.DeviceID, err)
	}
	return nil
}

// ByDevice returns a page of the recorded sessions of a device in which the actor holds TRACE_RUN, the newest first, without their messages.
func (r *Room) ByDevice(ctx context.Context, deviceID models.ID, p store.Page) (page store.Slice[models.CwmpSession], err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := tx.DB.Model(&models.CwmpSession{}).Where("device_id = ? AND started_at > ?", deviceID, tx.Now.Add(-kept))
		if scope := models.ActorFrom(ctx).Scope(models.TraceRun); !scope.All {
			q = q.Where("EXISTS (?)", store.InScope(tx.DB.Table("devices").Select("1").Where("id = ?", deviceID), "region", scope))
		}
		k := store.Keyset{Listing: "sessions of " + deviceID.String(), Column: "started_at", Desc: true}
		page, err = store.List(tx, q, k, p, func(s *models.CwmpSession) (any, models.ID) { return s.StartedAt, s.ID })
		return err
	})
	return page, err
}

// Messages returns the messages of sessions that ByDevice has returned, in their order.
func (r *Room) Messages(ctx context.Context, sessionIDs []models.ID) (map[models.ID][]*models.CwmpMessage, error) {
	found := map[models.ID][]*models.CwmpMessage{}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		rows, err := gorm.G[models.CwmpMessage](tx.DB).Where("session_id IN ?", sessionIDs).Order("session_id, n").Find(ctx)
		for i := range rows {
			found[rows[i].SessionID] = append(found[rows[i].SessionID], &rows[i])
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the messages of sessions: %w", err)
	}
	return found, nil
}

// Clean deletes the sessions that nobody can read any longer, and their traces, at most 1,000 rows a statement.
func (r *Room) Clean(ctx context.Context) error {
	for n := cleanRows; n == cleanRows; {
		err := r.store.InTx(ctx, func(tx *store.Tx) error {
			old, err := gorm.G[models.CwmpSession](tx.DB).Select("id").Where("started_at <= ?", tx.Now.Add(-kept)).Order("started_at").Limit(cleanRows).Find(ctx)
			if n = len(old); err != nil || n == 0 {
				return err
			}
			ids := make([]models.ID, n)
			for i := range old {
				ids[i] = old[i].ID
			}
			if err := tx.DB.Where("session_id IN ?", ids).Delete(&models.CwmpMessage{}).Error; err != nil {
				return err
			}
			return tx.DB.Delete(&old).Error
		})
		if err != nil {
			return fmt.Errorf("clean up recorded sessions: %w", err)
		}
	}
	if err := r.store.DeleteOld(ctx, &models.Trace{}, "started_at <= ?", kept); err != nil {
		return fmt.Errorf("clean up traces: %w", err)
	}
	return nil
}
