// Package sms is the outbox of short messages: queued in the transaction of the use-case, sent after it, each at most once (resolutions 58).
// What an SMS centre says about them later, and what subscribers write to us, arrives here too.
//
// It owns sms_messages. It refuses to know what a message says and how it travels: Sender is implemented by outbound. Bodies are sealed while
// they wait and wiped when the provider has taken the message or it has ended; they are never logged and never shown.
package sms

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf16"

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

// Receipt is what became of a message: DELIVERED, UNDELIVERABLE, REJECTED or EXPIRED, and the provider's word for it, at most 64 characters; or
// SUBMITTED if the provider took it, calls it ProviderID and reports later.
type Receipt struct {
	State          models.SmsState
	ProviderID     string
	ProviderStatus string
}

// Unknown is the ProviderStatus of a message of which nobody knows whether it arrived.
const Unknown = "unknown"

// ErrBusy is what the error of a Sender wraps if the provider is there and wants to hear less: the channel does not count as down.
var ErrBusy = errors.New("the provider takes no more messages now")

// Sender sends a message. It returns an error only if the message certainly did not leave; then it is tried again until it expires, and the
// channel counts as down until something is sent. Whatever may have left has a Receipt.
type Sender interface {
	Send(ctx context.Context, m Outgoing) (Receipt, error)
}

// Line is a Sender with a connection. Nothing is sent while it is not up, and at most Window messages at a time.
type Line interface {
	Sender
	// Run keeps the connection until ctx ends, and hands over what it hears.
	Run(ctx context.Context, to Receiver)
	Up() bool
	Window() int
	// Admit waits until the rate lets one more message leave; it is asked before each Send. It ends early with ctx's error.
	Admit(ctx context.Context) error
}

// Receiver is whom a Line tells what it hears: the Room. After an error the same must be handed over again.
type Receiver interface {
	Report(ctx context.Context, r Report) error
	Receive(ctx context.Context, from models.Number, text models.Secret) error
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
	// Incoming hears the messages that subscribers write to us; nil: nobody does. Set it before Run.
	Incoming func(ctx context.Context, from models.Number, text string) error

	store  *store.Store
	clock  models.Clock
	sender Sender
	line   Line // the sender, if it is one
	counters
	// downUntil: after a failed attempt the channel counts as down until then, or until something was sent. A Line knows better.
	downUntil atomic.Int64
}

// New opens the room; a nil sender means that nothing can be sent (resolutions 63).
func New(s *store.Store, clock models.Clock, sender Sender) *Room {
	line, _ := sender.(Line)
	return &Room{store: s, clock: clock, sender: sender, line: line}
}

// Available tells whether a message may be expected to leave soon: there is a sender, and it is not in outage.
func (r *Room) Available() bool {
	return r.connected() && models.Time(r.downUntil.Load()) <= r.clock.Now()
}

// connected tells whether there is anything to send by.
func (r *Room) connected() bool {
	if r.line != nil {
		return r.line.Up()
	}
	return r.sender != nil
}

// maxUnits is how much one short message holds in UCS-2 (i4.md B.1).
const maxUnits = 70

// CheckText tells whether a text fits into one message. More would travel in parts, which arrive singly and in any order, and cost as much each.
func CheckText(text string) error {
	if n := len(utf16.Encode([]rune(text))); n > maxUnits {
		return fmt.Errorf("the text has %d UTF-16 units, and one SMS holds %d", n, maxUnits)
	}
	return nil
}

// topic wakes the worker after a commit.
const topic = "sms"

// Queue puts a message into the outbox, with the event SMS_STATE_CHANGED (sms.queued). It leaves after the commit. A text that fails CheckText is
// an internal error: templates are checked at start.
func Queue(tx *store.Tx, m Message) (models.ID, error) {
	if err := CheckText(m.Body.Reveal()); err != nil {
		return models.ID{}, fmt.Errorf("queue a message: %w", err)
	}
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

// Since counts the messages of a purpose that were queued to an account after a time.
func Since(tx *store.Tx, account models.ID, purpose models.SmsPurpose, after models.Time) (n int64, err error) {
	err = tx.DB.Model(&models.SmsMessage{}).Where("account_id = ? AND queued_at > ? AND purpose = ?", account, after, purpose).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count the messages of account %s: %w", account, err)
	}
	return n, nil
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
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.SmsMessage, err error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		q := store.InScope(tx.DB, "region", models.ActorFrom(ctx).Scope(models.AccountRead))
		found, err = store.ByID(q, ids, func(m *models.SmsMessage) models.ID { return m.ID })
		return err
	})
	return found, err
}

// pollEvery finds what another replica queued, what is due again and what a dead process left behind.
const pollEvery = time.Second
