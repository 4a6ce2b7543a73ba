// Package events keeps the log of what was done: one event log with one cursor, the hash-chained audit log, and the record of mutations by
// idempotency key.
//
// A use-case appends in its own transaction; positions are given afterwards by sequence, so that no reader ever skips a late commit
// (docs/architecture.md). It owns the tables events, audit_entries, log_head, deeds and deed_secrets. The package refuses to know what an event
// means: nothing here reacts to one.
package events

import (
	"context"
	"fmt"
	"maps"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// topic wakes the sequencer after a commit.
const topic = "log"

// Append adds an event to the transaction. Actor, request and time come from it; Payload must hold the i4 name under "code".
func Append(tx *store.Tx, e models.Event) error {
	if e.Payload.V["code"] == nil {
		return fmt.Errorf("append %s: the payload has no code", e.Type)
	}
	actor, origin := models.ActorFrom(tx.Context()), models.OriginFrom(tx.Context())
	e.ID, e.OccurredAt, e.RequestID = models.NewID(), tx.Now, origin.RequestID
	e.ActorKind, e.ActorID, e.ActorName, e.OnBehalfOf = actor.Kind, actor.ID, actor.Name, actor.OnBehalfOf
	if !e.AccountID.IsZero() && e.AccountExternalID == "" {
		// A room below accounts knows the account by its id only; whoever follows the log knows it by the BSS's.
		err := tx.DB.Table("accounts").Where("id = ?", e.AccountID).Limit(1).Pluck("external_id", &e.AccountExternalID).Error
		if err != nil {
			return fmt.Errorf("append %s: %w", e.Type, err)
		}
	}
	if err := gorm.G[models.Event](tx.DB).Create(tx.Context(), &e); err != nil {
		return fmt.Errorf("append %s: %w", e.Type, err)
	}
	tx.Wake(topic)
	return nil
}

// Audit adds a row to the audit log in the transaction. Changes hold no secret and no personal data.
func Audit(tx *store.Tx, e models.AuditEntry) error {
	actor, origin := models.ActorFrom(tx.Context()), models.OriginFrom(tx.Context())
	e.ID, e.At, e.RequestID, e.RemoteAddress = models.NewID(), tx.Now, origin.RequestID, origin.RemoteAddress
	e.ActorKind, e.ActorID, e.ActorName, e.OnBehalfOf = actor.Kind, actor.ID, actor.Name, actor.OnBehalfOf
	if e.Outcome == "" {
		e.Outcome = models.AuditSuccess
	}
	if err := gorm.G[models.AuditEntry](tx.DB).Create(tx.Context(), &e); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	tx.Wake(topic)
	return nil
}

// Log is the reading side, for those who ask and those who follow, and the sequencer.
type Log struct {
	store *store.Store
	clock models.Clock
	live  live
}

// New returns the log kept in s.
func New(s *store.Store, clock models.Clock) *Log { return &Log{store: s, clock: clock} }

// Filter narrows what is read; an empty list does not narrow.
type Filter struct {
	Types       []models.EventType
	Subjects    []models.ID
	ClientTypes []models.ClientType
	Accounts    []models.ID
	Devices     []models.ID
	Regions     []string
}

// Batch is a page of the log. End is the cursor to go on from; Horizon the oldest cursor still kept.
type Batch struct {
	Events  []models.Event
	Cursors []string
	End     string
	HasNext bool
	Horizon string
	// through is the position up to which everything that matches is in Events or was read before.
	through int64
}

// Head returns the newest cursor; the empty string for an empty log (resolutions 45).
func (l *Log) Head(ctx context.Context) (string, error) {
	if err := models.Need(ctx, models.EventRead); err != nil {
		return "", err
	}
	var h head
	err := l.store.View(ctx, func(tx *store.Tx) (err error) {
		h, err = readHead(tx.DB)
		return err
	})
	if h.Position == 0 {
		return "", err
	}
	return cursorAt(h.Epoch, h.Position), err
}

// Read returns up to first events after the cursor, in the order of the log, of the regions in which the actor may read events.
// CURSOR_EXPIRED names the horizon; a text that is no cursor of this log is BAD_USER_INPUT.
func (l *Log) Read(ctx context.Context, f Filter, after string, first int) (Batch, error) {
	if err := models.Need(ctx, models.EventRead); err != nil {
		return Batch{}, err
	}
	batch := Batch{End: after}
	err := l.store.View(ctx, func(tx *store.Tx) error {
		h, horizon, err := bounds(tx)
		if err != nil {
			return err
		}
		batch.Horizon = cursorAt(h.Epoch, horizon)
		from, err := h.resolve(after, horizon)
		if err != nil {
			return err
		}
		q := store.InScope(tx.DB.Where("position > ?", from), "region", models.ActorFrom(ctx).Scope(models.EventRead))
		if err := f.apply(q).Order("position").Limit(first + 1).Find(&batch.Events).Error; err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if batch.HasNext = len(batch.Events) > first; batch.HasNext {
			batch.Events = batch.Events[:first]
		}
		batch.through = h.Position
		for i, e := range batch.Events {
			batch.Cursors = append(batch.Cursors, cursorAt(h.Epoch, *e.Position))
			if i == len(batch.Events)-1 && (batch.HasNext || *e.Position > h.Position) { // numbered after the head was read
				batch.through = *e.Position
			}
		}
		if n := len(batch.Cursors); n > 0 {
			batch.End = batch.Cursors[n-1]
		}
		return nil
	})
	return batch, err
}

// bounds reads the head of the log and its horizon: the position before the oldest event that is kept.
func bounds(tx *store.Tx) (h head, horizon int64, err error) {
	if h, err = readHead(tx.DB); err != nil {
		return h, 0, err
	}
	oldest, err := gorm.G[models.Event](tx.DB).Where("position IS NOT NULL").Order("position").Limit(1).Find(tx.Context())
	if err != nil {
		return h, 0, fmt.Errorf("read the log's horizon: %w", err)
	}
	if horizon = h.Position; len(oldest) == 1 {
		horizon = *oldest[0].Position - 1
	}
	return h, horizon, nil
}

func (f Filter) apply(q *gorm.DB) *gorm.DB {
	if len(f.Types) > 0 {
		q = q.Where("type IN ?", f.Types)
	}
	if len(f.Subjects) > 0 {
		q = q.Where("subject_id IN ?", f.Subjects)
	}
	if len(f.ClientTypes) > 0 {
		q = q.Where("client_type IN ?", f.ClientTypes)
	}
	if len(f.Accounts) > 0 {
		q = q.Where("account_id IN ?", f.Accounts)
	}
	if len(f.Devices) > 0 {
		q = q.Where("device_id IN ?", f.Devices)
	}
	if len(f.Regions) > 0 {
		q = q.Where("region IN ?", f.Regions)
	}
	return q
}

// Alarm appends ALARM_RAISED, or ALARM_CLEARED if on is false, about the platform itself (resolutions 40). fields go beside the code; nil is none.
func Alarm(tx *store.Tx, on bool, code string, fields map[string]any) error {
	kind := models.AlarmCleared
	if on {
		kind = models.AlarmRaised
	}
	payload := map[string]any{"code": code}
	maps.Copy(payload, fields)
	return Append(tx, models.Event{Type: kind, Subject: models.Platform, Payload: models.DocOf(payload)})
}
