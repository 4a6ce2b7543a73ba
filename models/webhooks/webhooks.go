// Package webhooks pushes the event log to receivers: each webhook gets what it is to hear of, in the order of the log, at least once, from a place
// that is committed only after the receiver said 2xx.
//
// It owns webhooks and webhook_deliveries. It refuses to know how a delivery travels and is signed: Sender is implemented by outbound. What an
// event means is none of its business either.
package webhooks

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/store"
)

// Delivery is one attempt on its way.
type Delivery struct {
	// ID is its global id.
	ID  string
	URL string
	// Secrets sign it, all of them.
	Secrets []models.Secret
	Attempt int64
	At      models.Time
	// Body is JSON (docs/api.md).
	Body []byte
}

// Answer is what a receiver said. RetryAfter is how long it wants to be left alone; zero if it did not say.
type Answer struct {
	StatusCode int
	RetryAfter time.Duration
}

// Sender posts a delivery, once, within the deadline of ctx. An error means that there was no answer; its text may be shown and holds no URL.
type Sender interface {
	Send(ctx context.Context, d Delivery) (Answer, error)
}

// Config is what the room is built with.
type Config struct {
	// Lab allows plain HTTP and targets that are not public (docs/architecture.md).
	Lab bool
	// Timeout bounds an attempt; 0 means 10 s.
	Timeout time.Duration
}

// MaxTimeout keeps an attempt well within the lease.
const MaxTimeout = lease * 2 / 3

// Room keeps the webhooks and delivers to them.
type Room struct {
	store  *store.Store
	clock  models.Clock
	log    *events.Log
	people *operators.Room
	sender Sender
	config Config

	mu sync.Mutex
	// held are the webhooks that this process delivers to.
	held  map[models.ID]bool
	stats map[Outcome]uint64
	taken uint64
}

// New opens the room.
func New(s *store.Store, clock models.Clock, log *events.Log, people *operators.Room, sender Sender, c Config) *Room {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	return &Room{store: s, clock: clock, log: log, people: people, sender: sender, config: c, held: map[models.ID]bool{}, stats: map[Outcome]uint64{}}
}

// visible narrows to what the actor may administer: all, or with WEBHOOK_ADMIN in some regions what they made themselves.
func visible(tx *store.Tx) (where string, args []any) {
	actor := models.ActorFrom(tx.Context())
	if actor.Scope(models.WebhookAdmin).All {
		return "1 = 1", nil
	}
	return "created_by_id = ?", []any{actor.ID}
}

// List returns the webhooks that the actor may administer, oldest first. It needs WEBHOOK_ADMIN.
func (r *Room) List(ctx context.Context) (list []models.Webhook, err error) {
	if err := models.Need(ctx, models.WebhookAdmin); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		where, args := visible(tx)
		return tx.DB.Where(where, args...).Order("created_at, id").Find(&list).Error
	})
	if err != nil {
		return nil, fmt.Errorf("list the webhooks: %w", err)
	}
	return list, nil
}

// ByIDs returns those of the webhooks that exist and that the actor may administer. It needs WEBHOOK_ADMIN.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Webhook, err error) {
	if err := models.Need(ctx, models.WebhookAdmin); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		where, args := visible(tx)
		found, err = store.ByID(tx.DB.Where(where, args...), ids, func(w *models.Webhook) models.ID { return w.ID })
		return err
	})
	return found, err
}

// Deliveries lists the attempts of a webhook that are kept, newest first. Webhooks that the actor may not administer have none.
func (r *Room) Deliveries(ctx context.Context, id models.ID, p store.Page) (page store.Slice[models.WebhookDelivery], err error) {
	found, err := r.ByIDs(ctx, []models.ID{id})
	if err != nil || found[id] == nil {
		return page, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := tx.DB.Model(&models.WebhookDelivery{}).Where("webhook_id = ?", id)
		page, err = store.List(tx, q, store.Keyset{Listing: "deliveries of " + id.String(), Column: "n", Desc: true}, p,
			func(d *models.WebhookDelivery) (any, models.ID) { return d.N, d.ID })
		return err
	})
	return page, err
}

// Lag is the age of the oldest event that the webhook has to get and has not taken; zero if there is none, or its place is no longer kept.
func (r *Room) Lag(ctx context.Context, w *models.Webhook) (time.Duration, error) {
	// Whoever looks need not be the one by whose rights it hears.
	actor, err := r.people.Actor(ctx, w.CreatedByKind, w.CreatedByID)
	if models.CodeOf(err) != "" {
		actor, err = models.System("webhooks"), nil
	}
	if err != nil {
		return 0, err
	}
	lag, err := r.log.Behind(models.WithActor(ctx, actor), filterOf(w), w.AckedCursor)
	if models.CodeOf(err) == models.CursorExpired {
		return 0, nil
	}
	return lag, err
}

// Lags is the lag of each webhook that is switched on. It is for measuring, so nobody's rights narrow it.
func (r *Room) Lags(ctx context.Context) (map[models.ID]time.Duration, error) {
	list, err := r.List(models.WithActor(ctx, models.System("webhooks")))
	if err != nil {
		return nil, err
	}
	lags := map[models.ID]time.Duration{}
	for i := range list {
		if list[i].Enabled {
			if lags[list[i].ID], err = r.Lag(ctx, &list[i]); err != nil {
				return nil, err
			}
		}
	}
	return lags, nil
}

func filterOf(w *models.Webhook) events.Filter {
	f := w.Filter.V
	filter := events.Filter{Types: w.Types.V, ClientTypes: f.ClientTypes, Accounts: f.Accounts, Devices: f.Devices, Regions: f.Regions}
	for _, s := range f.Subjects {
		filter.Subjects = append(filter.Subjects, s.ID)
	}
	return filter
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes of attempts.
const (
	Delivered Outcome = "delivered" // 2xx
	Refused   Outcome = "refused"   // another status
	Failed    Outcome = "failed"    // no answer, or nothing that could be sent
)

// Stats are the counters of this process since its start.
type Stats struct {
	Deliveries map[Outcome]uint64
	// Events are those that were taken.
	Events uint64
}

// Stats reads the counters.
func (r *Room) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Deliveries: maps.Clone(r.stats), Events: r.taken}
}

func (r *Room) count(o Outcome, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stats[o]++; o == Delivered {
		r.taken += uint64(events)
	}
}
