package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	// lease is after how long a claimed message without a result belongs to a process that died.
	lease = time.Minute
	// sendWithin bounds one attempt; it is well below the lease.
	sendWithin = lease / 2
	batch      = 50
	maxBackoff = time.Minute
	busyMax    = 8 * time.Second // i4.md B.1: 1, 2, 4, 8 s
	outage     = 30 * time.Second
	maxStatus  = 64 // bytes of a provider's word that are kept
	// receiptWithin is how long after its expiry a message may wait for its receipt: centres report what expired, but not at once.
	receiptWithin = time.Hour
)

// Run sends what is queued, woken after each commit of this process and polling, until ctx ends. A message is being sent by one replica only.
// What is on its way when ctx ends gets its result; a Line is hung up after that.
func (r *Room) Run(ctx context.Context) {
	ctx = models.WithActor(ctx, models.System("sms"))
	window := 1
	if r.line != nil {
		window = r.line.Window()
		connected, hangUp := context.WithCancel(context.WithoutCancel(ctx))
		var line sync.WaitGroup
		line.Go(func() { r.line.Run(connected, r) })
		defer line.Wait()
		defer hangUp()
	}
	o := outbox{Room: r, slots: make(chan struct{}, window)}
	defer o.sending.Wait()
	r.store.Loop(ctx, topic, pollEvery, func(ctx context.Context) {
		if err := o.tick(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "send messages", "error", err)
		}
	})
}

// outbox is the room while it runs.
type outbox struct {
	*Room
	slots   chan struct{} // of messages on their way
	sending sync.WaitGroup
}

// tick handles everything that is due now; messages may still be on their way when it returns.
func (o *outbox) tick(ctx context.Context) error {
	if err := o.abandon(ctx); err != nil {
		return err
	}
	if err := o.all(ctx, o.expire, "state = ? AND expires_at <= ?", models.SmsQueued, o.clock.Now()); err != nil {
		return err
	}
	for ctx.Err() == nil && o.connected() { // not connected: another replica may be
		due, err := o.find(ctx, "state = ? AND next_at <= ? AND expires_at > ?", models.SmsQueued, o.clock.Now(), o.clock.Now())
		if err != nil {
			return err
		}
		for i := range due {
			if err := o.handle(ctx, &due[i]); err != nil {
				return err
			}
		}
		if len(due) < batch {
			return nil
		}
	}
	return nil
}

func (r *Room) find(ctx context.Context, where string, args ...any) (rows []models.SmsMessage, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Where(where, args...).Order("next_at, id").Limit(batch).Find(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("look into the outbox: %w", err)
	}
	return rows, nil
}

// all ends every message that is found; f takes it out of what is found.
func (r *Room) all(ctx context.Context, f func(context.Context, *models.SmsMessage) error, where string, args ...any) error {
	for {
		found, err := r.find(ctx, where, args...)
		if err != nil {
			return err
		}
		for i := range found {
			if err := f(ctx, &found[i]); err != nil {
				return err
			}
		}
		if len(found) < batch {
			return nil
		}
	}
}

func (r *Room) expire(ctx context.Context, m *models.SmsMessage) error {
	return r.finish(ctx, m, Receipt{State: models.SmsExpired})
}

// handle claims one due message and sends it, as soon as there is a slot.
func (o *outbox) handle(ctx context.Context, m *models.SmsMessage) error {
	select {
	case o.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	free := func() { <-o.slots }
	if o.line != nil && o.line.Admit(ctx) != nil || ctx.Err() != nil || !o.connected() || m.ExpiresAt <= o.clock.Now() { // it may have waited long
		free()
		return nil
	}
	text, err := o.store.Unseal("sms_messages", "body", m.ID, m.Body)
	if err != nil {
		defer free()
		slog.ErrorContext(ctx, "open a message", "message", m.ID, "error", err)
		return o.finish(ctx, m, Receipt{State: models.SmsUndeliverable, ProviderStatus: "sealed"})
	}
	claimed, err := o.claim(ctx, m)
	if err != nil || !claimed {
		free()
		return err
	}
	// From here on the message counts as sent. A stop lets the attempt end and its result be kept.
	ctx = context.WithoutCancel(ctx)
	o.sending.Go(func() {
		defer free()
		if err := o.send(ctx, m, models.Secret(text)); err != nil {
			slog.ErrorContext(ctx, "keep what became of a message", "message", m.ID, "error", err)
		}
	})
	return nil
}

// send makes one attempt and keeps its result.
func (r *Room) send(ctx context.Context, m *models.SmsMessage, text models.Secret) error {
	sending, cancel := context.WithTimeout(ctx, sendWithin)
	receipt, err := r.sender.Send(sending, Outgoing{
		ID: m.ID, To: m.To, Text: text, Purpose: m.Purpose, At: m.SubmittedAt, ExpiresAt: m.ExpiresAt,
	})
	cancel()
	switch {
	case errors.Is(err, ErrBusy):
		slog.WarnContext(ctx, "a message has to wait", "message", m.ID, "attempt", m.Attempts, "error", err)
		r.count(func(s *Stats) { s.Busy++ })
		return r.postpone(ctx, m, busyMax)
	case err != nil:
		if r.line == nil {
			r.downUntil.Store(int64(r.clock.Now().Add(outage)))
		}
		slog.ErrorContext(ctx, "send a message", "message", m.ID, "attempt", m.Attempts, "error", err)
		r.count(func(s *Stats) { s.Unsent++ })
		return r.postpone(ctx, m, maxBackoff)
	}
	r.downUntil.Store(0)
	r.count(func(s *Stats) { s.Sent++ })
	if receipt.State == models.SmsSubmitted {
		return r.taken(ctx, m, receipt.ProviderID)
	}
	return r.finish(ctx, m, receipt)
}

// claim makes the message SUBMITTED; false if another replica was faster.
func (r *Room) claim(ctx context.Context, m *models.SmsMessage) (claimed bool, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		claimed, err = r.move(tx, m, map[string]any{
			"state": models.SmsSubmitted, "submitted_at": tx.Now, "attempts": m.Attempts + 1, "next_at": tx.Now.Add(lease),
		})
		if err != nil || !claimed {
			return err
		}
		after := *m
		after.State, after.SubmittedAt, after.Attempts = models.SmsSubmitted, tx.Now, m.Attempts+1
		if err := changed(tx, &after); err != nil {
			return err
		}
		tx.AfterCommit(func() { *m = after })
		return nil
	})
	return claimed, err
}

// taken notes that the provider took the message, and wipes its body: a message without body waits for its receipt.
func (r *Room) taken(ctx context.Context, m *models.SmsMessage, providerID string) error {
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		_, err := r.move(tx, m, map[string]any{
			"provider_id": nameOf(providerID), "body": nil, "next_at": max(m.ExpiresAt, tx.Now).Add(receiptWithin),
		})
		return err
	})
}

// finish ends the message and wipes its body.
func (r *Room) finish(ctx context.Context, m *models.SmsMessage, receipt Receipt) error {
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		_, err := r.end(tx, m, receipt)
		return err
	})
}

// end is finish within a transaction; false if somebody else was faster.
func (r *Room) end(tx *store.Tx, m *models.SmsMessage, receipt Receipt) (bool, error) {
	status := strings.ToValidUTF8(receipt.ProviderStatus[:min(len(receipt.ProviderStatus), maxStatus)], "")
	done, err := r.move(tx, m, map[string]any{"state": receipt.State, "provider_status": status, "final_at": tx.Now, "body": nil})
	if err != nil || !done {
		return false, err
	}
	after := *m
	after.State, after.ProviderStatus = receipt.State, status
	tx.AfterCommit(func() { r.count(func(s *Stats) { s.ended(receipt.State) }) })
	return true, changed(tx, &after)
}

// postpone puts the message back, to be tried 1, 2, 4 … longest seconds later.
func (r *Room) postpone(ctx context.Context, m *models.SmsMessage, longest time.Duration) error {
	back := min(time.Second<<min(max(m.Attempts-1, 0), 10), longest)
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		moved, err := r.move(tx, m, map[string]any{"state": models.SmsQueued, "next_at": min(tx.Now.Add(back), m.ExpiresAt)})
		if err != nil || !moved {
			return err
		}
		after := *m
		after.State = models.SmsQueued
		return changed(tx, &after)
	})
}

// move changes m if nobody changed it since it was read. Receipts that wait for m look again.
func (r *Room) move(tx *store.Tx, m *models.SmsMessage, columns map[string]any) (bool, error) {
	done := tx.DB.Model(&models.SmsMessage{}).Where("id = ? AND state = ? AND attempts = ?", m.ID, m.State, m.Attempts).Updates(columns)
	if done.Error != nil {
		return false, fmt.Errorf("move message %s: %w", m.ID, done.Error)
	}
	tx.Wake(topicMoved)
	return done.RowsAffected == 1, nil
}

// abandon ends what waited in vain. With a body, a process claimed it and died: nobody knows whether it left, so it must not be sent again
// (resolutions 58). Without, the provider took it and never reported.
func (r *Room) abandon(ctx context.Context) error {
	lost := func(ctx context.Context, m *models.SmsMessage) error {
		state := models.SmsUndeliverable
		if m.Body == nil {
			state = models.SmsExpired
		}
		return r.finish(ctx, m, Receipt{State: state, ProviderStatus: Unknown})
	}
	now := r.clock.Now()
	return r.all(ctx, lost, "state = ? AND next_at <= ? AND submitted_at <= ?", models.SmsSubmitted, now, now.Add(-lease))
}
