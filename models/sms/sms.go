// Package sms is the outbox of short messages: queued in the transaction of the use-case, sent after it, each at most once (resolutions 58).
//
// It owns sms_messages. It refuses to know what a message says and how it travels: Sender is implemented by outbound. Bodies are sealed while
// they wait and wiped when the message has ended; they are never logged and never shown.
package sms

import (
	"context"

	"fmt"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Outgoing is a message on its way.
type Outgoing struct {
	ID        models.ID
	To        models.Number
	Text      models.Secret
	Purpose   models.SmsPurpose
	At        models.Time // when it is submitted
	ExpiresAt models.Time
}

// Receipt is how a message ended: DELIVERED, UNDELIVERABLE, REJECTED or EXPIRED, and the provider's word for it, at most 64 characters.
type Receipt struct {
	State          models.SmsState
	ProviderStatus string
}

// Sender sends a message. It returns an error only if the message certainly did not leave; then it is tried again until it expires, and the
// channel counts as down until something is sent. Whatever may have left has a Receipt.
type Sender interface {
	Send(ctx context.Context, m Outgoing) (Receipt, error)
}

// Message is what Queue takes.
type Message struct {
	AccountID models.ID // zero: none
	Region    string
	To        models.Number
	Body      models.Secret
	Purpose   models.SmsPurpose
	ExpiresAt models.Time
}

// Room keeps the outbox and sends from it.
type Room struct {
	store  *store.Store
	clock  models.Clock
	sender Sender
	// downUntil: after a failed attempt the channel counts as down until then, or until something was sent.
	downUntil atomic.Int64
}

// New opens the room; a nil sender means that nothing can be sent (resolutions 63).
func New(s *store.Store, clock models.Clock, sender Sender) *Room {
	return &Room{store: s, clock: clock, sender: sender}
}

// Available tells whether a message may be expected to leave soon: there is a sender, and it is not in outage.
func (r *Room) Available() bool {
	return r.sender != nil && models.Time(r.downUntil.Load()) <= r.clock.Now()
}

// topic wakes the worker after a commit.
const topic = "sms"

// Queue puts a message into the outbox, with the event SMS_STATE_CHANGED (sms.queued). It leaves after the commit.
func Queue(tx *store.Tx, m Message) (models.ID, error) {
	row := models.SmsMessage{
		ID: models.NewID(), AccountID: m.AccountID, Region: m.Region, To: m.To, Purpose: m.Purpose, State: models.SmsQueued,
		QueuedAt: tx.Now, NextAt: tx.Now, ExpiresAt: m.ExpiresAt,
	}
	body, err := tx.Seal("sms_messages", "body", row.ID, []byte(m.Body.Reveal()))
	if err != nil {
		return models.ID{}, err
	}
	row.Body = body
	if err := gorm.G[models.SmsMessage](tx.DB).Create(tx.Context(), &row); err != nil {
		return models.ID{}, fmt.Errorf("queue a message: %w", err)
	}
	tx.Wake(topic)
	return row.ID, changed(tx, &row)
}

// codes are the i4 names of what happened (i4.md B.1); payload.state tells the failures apart.
var codes = map[models.SmsState]string{
	models.SmsQueued: "sms.queued", models.SmsSubmitted: "sms.submitted", models.SmsDelivered: "sms.delivered",
	models.SmsUndeliverable: "sms.failed", models.SmsRejected: "sms.failed", models.SmsExpired: "sms.failed",
}

// changed appends the event of m's new state.
func changed(tx *store.Tx, m *models.SmsMessage) error {
	payload := map[string]any{"code": codes[m.State], "state": m.State, "purpose": m.Purpose}
	if !m.AccountID.IsZero() {
		payload["account"] = m.AccountID
	}
	if m.ProviderStatus != "" {
		payload["providerStatus"] = m.ProviderStatus
	}
	return events.Append(tx, models.Event{
		Type: models.SmsStateChanged, Subject: models.Subject{Kind: models.KindSms, ID: m.ID}, Payload: models.DocOf(payload),
		AccountID: m.AccountID, Region: m.Region,
	})
}

// ByAccount lists the messages of an account, the newest first, of the regions in which the actor may read accounts.
func (r *Room) ByAccount(ctx context.Context, account models.ID, page store.Page) (list store.Slice[models.SmsMessage], err error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return list, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := store.InScope(tx.DB.Where("account_id = ?", account), "region", models.ActorFrom(ctx).Scope(models.AccountRead))
		order := store.Keyset{Listing: "messages of " + account.String(), Column: "queued_at", Desc: true}
		list, err = store.List(tx, q, order, page, func(m *models.SmsMessage) (any, models.ID) { return m.QueuedAt, m.ID })
		return err
	})
	return list, err
}

// ByIDs returns the messages that exist in the regions in which the actor may read accounts.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (map[models.ID]*models.SmsMessage, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	found := make(map[models.ID]*models.SmsMessage, len(ids))
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var rows []*models.SmsMessage
		q := store.InScope(tx.DB.Where("id IN ?", ids), "region", models.ActorFrom(ctx).Scope(models.AccountRead))
		if err := q.Find(&rows).Error; err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		for _, row := range rows {
			found[row.ID] = row
		}
		return nil
	})
	return found, err
}

// pollEvery finds what another replica queued, what is due again and what a dead process left behind.
const pollEvery = time.Second
