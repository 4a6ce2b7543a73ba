package sms

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	// lease is after how long a submitted message without a result belongs to a process that died.
	lease = time.Minute
	// sendWithin bounds one attempt; it is well below the lease.
	sendWithin = lease / 2
	batch      = 50
	maxBackoff = time.Minute
	outage     = 30 * time.Second
	maxStatus  = 64 // bytes of a provider's word that are kept
)

// Run sends what is queued, woken after each commit of this process and polling, until ctx ends. A message is being sent by one replica only.
func (r *Room) Run(ctx context.Context) {
	r.store.Loop(ctx, topic, pollEvery, func(ctx context.Context) {
		if err := r.tick(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "send messages", "error", err)
		}
	})
}

// tick handles everything that is due now.
func (r *Room) tick(ctx context.Context) error {
	ctx = models.WithActor(ctx, models.System("sms"))
	if err := r.abandon(ctx); err != nil {
		return err
	}
	for {
		due, err := r.find(ctx, "state = ? AND next_at <= ?", models.SmsQueued, r.clock.Now())
		if err != nil {
			return err
		}
		for i := range due {
			if ctx.Err() != nil {
				return nil // stopping: claim nothing more
			}
			if err := r.handle(ctx, &due[i]); err != nil {
				return err
			}
		}
		if len(due) < batch {
			return nil
		}
	}
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

// handle takes one due message as far as it comes.
func (r *Room) handle(ctx context.Context, m *models.SmsMessage) error {
	if m.ExpiresAt <= r.clock.Now() {
		return r.finish(ctx, m, Receipt{State: models.SmsExpired})
	}
	if r.sender == nil {
		return r.postpone(ctx, m)
	}
	text, err := r.store.Unseal("sms_messages", "body", m.ID, m.Body)
	if err != nil {
		slog.ErrorContext(ctx, "open a message", "message", m.ID, "error", err)
		return r.finish(ctx, m, Receipt{State: models.SmsUndeliverable, ProviderStatus: "sealed"})
	}
	claimed, err := r.claim(ctx, m)
	if err != nil || !claimed {
		return err
	}
	// From here on the message counts as sent. A stop lets the attempt end and its result be kept.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	receipt, err := r.sender.Send(ctx, Outgoing{
		ID: m.ID, To: m.To, Text: models.Secret(text), Purpose: m.Purpose, At: m.SubmittedAt, ExpiresAt: m.ExpiresAt,
	})
	cancel()
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		r.downUntil.Store(int64(r.clock.Now().Add(outage)))
		slog.ErrorContext(ctx, "send a message", "message", m.ID, "attempt", m.Attempts, "error", err)
		return r.postpone(ctx, m)
	}
	r.downUntil.Store(0)
	return r.finish(ctx, m, receipt)
}

// claim makes the message SUBMITTED; false if another replica was faster.
func (r *Room) claim(ctx context.Context, m *models.SmsMessage) (claimed bool, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		claimed, err = r.move(tx, m, map[string]any{"state": models.SmsSubmitted, "submitted_at": tx.Now, "attempts": m.Attempts + 1})
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

// finish ends the message and wipes its body.
func (r *Room) finish(ctx context.Context, m *models.SmsMessage, receipt Receipt) error {
	receipt.ProviderStatus = strings.ToValidUTF8(receipt.ProviderStatus[:min(len(receipt.ProviderStatus), maxStatus)], "")
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		done, err := r.move(tx, m, map[string]any{
			"state": receipt.State, "provider_status": receipt.ProviderStatus, "final_at": tx.Now, "body": nil,
		})
		if err != nil || !done {
			return err
		}
		after := *m
		after.State, after.ProviderStatus = receipt.State, receipt.ProviderStatus
		return changed(tx, &after)
	})
}

// postpone puts the message back, to be tried 1, 2, 4 … 60 seconds later.
func (r *Room) postpone(ctx context.Context, m *models.SmsMessage) error {
	back := min(time.Second<<min(max(m.Attempts-1, 0), 10), maxBackoff)
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		moved, err := r.move(tx, m, map[string]any{"state": models.SmsQueued, "next_at": min(tx.Now.Add(back), m.ExpiresAt)})
		if err != nil || !moved || m.State == models.SmsQueued {
			return err
		}
		after := *m
		after.State = models.SmsQueued
		return changed(tx, &after)
	})
}

// move changes m if nobody changed it since it was read.
func (r *Room) move(tx *store.Tx, m *models.SmsMessage, columns map[string]any) (bool, error) {
	done := tx.DB.Model(&models.SmsMessage{}).Where("id = ? AND state = ? AND attempts = ?", m.ID, m.State, m.Attempts).Updates(columns)
	if done.Error != nil {
		return false, fmt.Errorf("move message %s: %w", m.ID, done.Error)
	}
	return done.RowsAffected == 1, nil
}

// abandon ends what a process submitted and died over: nobody knows whether it left, so it must not be sent again (resolutions 58).
func (r *Room) abandon(ctx context.Context) error {
	for {
		lost, err := r.find(ctx, "state = ? AND submitted_at <= ?", models.SmsSubmitted, r.clock.Now().Add(-lease))
		if err != nil {
			return err
		}
		for i := range lost {
			if err := r.finish(ctx, &lost[i], Receipt{State: models.SmsUndeliverable, ProviderStatus: "unknown"}); err != nil {
				return err
			}
		}
		if len(lost) < batch {
			return nil
		}
	}
}
