package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	// topicDue wakes the loop that looks for webhooks nobody delivers to; topicSaved whoever delivers, because the row may be another now.
	topicDue   = "webhooks due"
	topicSaved = "webhooks saved"
	// pollEvery finds what another replica left behind and what is due again.
	pollEvery = time.Second
	// lease is how long a webhook belongs to whoever claimed it last or renewed the claim.
	lease      = 15 * time.Second
	renewEvery = lease / 3
)

// Run delivers until ctx ends, each webhook by one replica. What is on its way then gets its answer, and its place is kept.
func (r *Room) Run(ctx context.Context) {
	ctx = models.WithActor(ctx, models.System("webhooks"))
	var delivering sync.WaitGroup
	defer delivering.Wait()
	r.store.Loop(ctx, topicDue, pollEvery, func(ctx context.Context) {
		due, err := r.due(ctx)
		if err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "look for webhooks", "error", err)
		}
		for _, id := range due {
			if err := r.begin(ctx, id, &delivering); err != nil && ctx.Err() == nil {
				slog.ErrorContext(ctx, "begin to deliver to a webhook", "webhook", id, "error", err)
			}
		}
	})
}

// claimable are the webhooks that nobody delivers to and whose time has come.
const claimable = "enabled = ? AND lease_until <= ? AND next_attempt_at <= ?"

func (r *Room) due(ctx context.Context) (ids []models.ID, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Model(&models.Webhook{}).Where(claimable, true, tx.Now, tx.Now).Order("next_attempt_at, id").Pluck("id", &ids).Error
	})
	return ids, err
}

// begin claims a webhook and delivers to it in the background. While this process has not yet let go of it, it waits for that: two deliveries at a
// time would be out of order.
func (r *Room) begin(ctx context.Context, id models.ID, delivering *sync.WaitGroup) error {
	r.mu.Lock()
	busy := r.held[id]
	r.held[id] = true
	r.mu.Unlock()
	if busy {
		return nil
	}
	h := &holder{Room: r, wake: make(chan struct{}, 1)}
	claimed, err := h.claim(ctx, id)
	if err != nil || !claimed {
		r.letGo(id)
		return err
	}
	delivering.Go(func() {
		defer h.release(context.WithoutCancel(ctx))
		if err := h.hold(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "deliver to a webhook", "webhook", id, "error", err)
		}
	})
	return nil
}

func (r *Room) letGo(id models.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, id)
}

// holder is this process while it delivers to one webhook. Its writes count only as long as nobody raised the fence.
type holder struct {
	*Room
	w       models.Webhook
	secrets []models.Secret
	wake    chan struct{} // there may be events

	// writing keeps the writes of both its goroutines in order, so that a place never moves back.
	writing sync.Mutex

	mu       sync.Mutex
	until    models.Time      // end of the lease
	follower *events.Follower // while it follows
	idle     bool             // everything that the follower handed out was taken
}

// claim takes the lease; false if somebody else was faster, or the webhook is another now.
func (h *holder) claim(ctx context.Context, id models.ID) (claimed bool, err error) {
	err = h.store.InTx(ctx, func(tx *store.Tx) error {
		until := tx.Now.Add(lease)
		done := tx.DB.Model(&models.Webhook{}).Where("id = ?", id).Where(claimable, true, tx.Now, tx.Now).
			Updates(map[string]any{"lease_until": until, "fence": gorm.Expr("fence + 1")})
		if claimed = done.RowsAffected == 1; done.Error != nil || !claimed {
			return done.Error
		}
		var w models.Webhook
		if err := tx.DB.Where("id = ?", id).Take(&w).Error; err != nil {
			return err
		}
		secret, err := tx.Unseal("webhooks", "secret", id, w.Secret)
		if err != nil {
			return err
		}
		h.w, h.until, h.secrets = w, until, []models.Secret{models.Secret(secret)}
		if tx.Now < w.PreviousUntil {
			previous, err := tx.Unseal("webhooks", "previous_secret", id, w.PreviousSecret)
			if err != nil {
				return err
			}
			h.secrets = append(h.secrets, models.Secret(previous))
		}
		return nil
	})
	return claimed, err
}

// hold delivers and keeps the lease, until ctx ends, an attempt fails or the lease is lost.
func (h *holder) hold(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	saved, stop := h.store.Wakes(topicSaved)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer stop()
	defer end()
	renewing.Go(func() {
		defer end()
		for {
			waiting, cancel := context.WithCancel(ctx)
			go func() {
				defer cancel()
				_ = h.clock.Wait(waiting, renewEvery)
			}()
			select {
			case <-saved:
			case <-waiting.Done():
			}
			cancel()
			if ctx.Err() != nil {
				return
			}
			if held, err := h.renew(ctx); err != nil || !held {
				if err != nil && ctx.Err() == nil {
					slog.ErrorContext(ctx, "keep a webhook", "webhook", h.w.ID, "error", err)
				}
				return
			}
		}
	})
	return h.deliver(ctx)
}

// renew prolongs the lease, and keeps the place of a webhook for which nothing comes. The follower goes on with the rights of today.
func (h *holder) renew(ctx context.Context) (held bool, err error) {
	actor, err := h.people.Actor(ctx, h.w.CreatedByKind, h.w.CreatedByID)
	if err != nil && models.CodeOf(err) == "" {
		return false, err
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	follower, columns := h.follower, map[string]any{}
	if follower != nil && h.idle {
		columns["acked_cursor"] = follower.Cursor()
	}
	h.mu.Unlock()
	if follower != nil {
		follower.As(actor) // nobody, if the maker is disabled: then it ends
	}
	err = h.store.InTx(ctx, func(tx *store.Tx) error {
		held, err = h.write(tx, columns)
		return err
	})
	return held, err
}

// write changes the webhook and prolongs the lease; false, and nothing is changed, if it is no longer ours.
func (h *holder) write(tx *store.Tx, columns map[string]any) (held bool, err error) {
	until := tx.Now.Add(lease)
	columns["lease_until"] = until
	done := tx.DB.Model(&models.Webhook{}).Where("id = ? AND fence = ?", h.w.ID, h.w.Fence).Updates(columns)
	if done.Error != nil {
		return false, fmt.Errorf("write to a webhook: %w", done.Error)
	}
	if done.RowsAffected == 0 {
		return false, nil
	}
	tx.AfterCommit(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.until = max(h.until, until)
	})
	return true, nil
}

// release gives the lease back, so that the next one need not wait for its end.
func (h *holder) release(ctx context.Context) {
	h.letGo(h.w.ID)
	err := h.store.InTx(ctx, func(tx *store.Tx) error {
		tx.Wake(topicDue)
		return tx.DB.Model(&models.Webhook{}).Where("id = ? AND fence = ?", h.w.ID, h.w.Fence).Update("lease_until", 0).Error
	})
	if err != nil {
		slog.ErrorContext(ctx, "give a webhook back", "webhook", h.w.ID, "error", err)
	}
}
