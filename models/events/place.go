package events

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// A place in the log is a cursor that somebody keeps in a row of theirs.

// Now is the place before what comes.
func Now(tx *store.Tx) (string, error) {
	h, err := readHead(tx.DB)
	return cursorAt(h.Epoch, h.Position), err
}

// After is the place after the event of a cursor, or before it with including; for no cursor the start of what is kept. Errors as Log.Read.
func After(tx *store.Tx, cursor string, including bool) (string, error) {
	h, horizon, err := bounds(tx)
	if err != nil {
		return "", err
	}
	position, err := h.resolve(cursor, horizon)
	if including && position > horizon {
		position--
	}
	return cursorAt(h.Epoch, position), err
}

// slow is how much later than its time an event may be numbered: a transaction begins, takes its time, and commits.
const slow = time.Minute

// Since is a place after which every event is that occurred at a time or later, and perhaps a few from before.
func Since(tx *store.Tx, at models.Time) (string, error) {
	h, horizon, err := bounds(tx)
	if err != nil {
		return "", err
	}
	before, after := horizon, h.Position // the event after before is not known to be too old, the one after after is not
	for before < after {
		middle := (before + after) / 2
		e, err := next(tx, middle)
		if err != nil {
			return "", err
		}
		if e.OccurredAt < at.Add(-slow) {
			before = *e.Position
		} else {
			after = middle
		}
	}
	return cursorAt(h.Epoch, after), nil
}

// next is the first event after a position; there is one.
func next(tx *store.Tx, position int64) (models.Event, error) {
	e, err := gorm.G[models.Event](tx.DB).Where("position > ?", position).Order("position").Limit(1).Take(tx.Context())
	if err != nil {
		return e, fmt.Errorf("read the event after position %d: %w", position, err)
	}
	return e, nil
}

// near bounds how far Behind looks for an event that matches.
const near = 10_000

// Behind is the age of the oldest event after the cursor that matches; zero if there is none. It looks at a bounded part of the log: if nothing of
// that matches, the first event beyond counts. Errors as Read.
func (l *Log) Behind(ctx context.Context, f Filter, cursor string) (age time.Duration, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		h, horizon, err := bounds(tx)
		if err != nil {
			return err
		}
		from, err := h.resolve(cursor, horizon)
		if err != nil || from >= h.Position {
			return err
		}
		var found []models.Event
		q := store.InScope(tx.DB.Where("position > ? AND position <= ?", from, from+near), "region", models.ActorFrom(ctx).Scope(models.EventRead))
		if err := f.apply(q).Order("position").Limit(1).Find(&found).Error; err != nil {
			return fmt.Errorf("read how far somebody is behind: %w", err)
		}
		if len(found) == 0 && h.Position > from+near {
			e, err := next(tx, from+near)
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		if len(found) > 0 {
			age = max(tx.Now.Sub(found[0].OccurredAt), 0)
		}
		return nil
	})
	return age, err
}
