package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	// maxEvents and maxBody bound a delivery; an event that is larger by itself travels alone.
	maxEvents = 256
	maxBody   = 1 << 20
	// kept is how many attempts of a webhook can be looked at.
	kept = 1000
	// giveUpAfter is how long nothing may be taken.
	giveUpAfter = 24 * time.Hour
	maxBackoff  = 15 * time.Minute
	maxRetry    = time.Hour // of what a receiver may ask for
	maxError    = 255
)

// Event is an event as receivers see it; the names are those of the schema's Event.
type Event struct {
	Cursor            string            `json:"cursor"`
	ID                string            `json:"id"`
	Type              models.EventType  `json:"type"`
	OccurredAt        models.Time       `json:"occurredAt"`
	SubjectID         string            `json:"subjectId"`
	SubjectVersion    int64             `json:"subjectVersion,omitempty"`
	AccountID         string            `json:"accountId,omitempty"`
	AccountExternalID string            `json:"accountExternalId,omitempty"`
	DeviceID          string            `json:"deviceId,omitempty"`
	ClientType        models.ClientType `json:"clientType,omitempty"`
	Region            string            `json:"region,omitempty"`
	CausedBy          *causedBy         `json:"causedBy,omitempty"`
	OnBehalfOf        string            `json:"onBehalfOf,omitempty"`
	RequestID         string            `json:"requestId,omitempty"`
	PayloadVersion    int               `json:"payloadVersion"`
	Payload           map[string]any    `json:"payload"`
}

type causedBy struct {
	Kind models.ActorKind `json:"kind"`
	ID   string           `json:"id,omitempty"`
	Name string           `json:"name,omitempty"`
}

var actorKinds = map[models.ActorKind]models.Kind{
	models.OperatorActor: models.KindOperator, models.APIClientActor: models.KindAPIClient, models.DeviceActor: models.KindDevice,
}

func globalID(kind models.Kind, id models.ID) string {
	if id.IsZero() {
		return ""
	}
	return models.Subject{Kind: kind, ID: id}.GlobalID()
}

func shown(e *events.Entry) Event {
	by := &causedBy{Kind: e.ActorKind, ID: globalID(actorKinds[e.ActorKind], e.ActorID), Name: e.ActorName}
	if e.ActorKind == models.DeviceActor {
		by.Name = "" // a device is named by its id
	}
	return Event{
		Cursor: e.Cursor, ID: globalID(models.KindEvent, e.ID), Type: e.Type, OccurredAt: e.OccurredAt, SubjectID: globalID(e.Subject.Kind, e.Subject.ID),
		SubjectVersion: e.SubjectVersion, AccountID: globalID(models.KindAccount, e.AccountID), AccountExternalID: e.AccountExternalID,
		DeviceID: globalID(models.KindDevice, e.DeviceID), ClientType: e.ClientType, Region: e.Region, CausedBy: by, OnBehalfOf: e.OnBehalfOf,
		RequestID: e.RequestID, PayloadVersion: models.PayloadVersion, Payload: e.PublicPayload(),
	}
}

// batch is what one delivery carries.
type batch struct {
	body   []byte
	events int
	// cursor is reached when it is taken.
	cursor string
}

// deliver hands over what there is and what comes. It ends with ctx, with the lease, or after an attempt that failed.
func (h *holder) deliver(ctx context.Context) error {
	actor, err := h.people.Actor(ctx, h.w.CreatedByKind, h.w.CreatedByID)
	if err != nil {
		return h.unable(ctx, err)
	}
	follower, err := h.log.Follow(models.WithActor(ctx, actor), filterOf(&h.w), h.w.AckedCursor, func() {
		select {
		case h.wake <- struct{}{}:
		default: // it has one to take already
		}
	})
	if err != nil {
		return h.unable(ctx, err)
	}
	defer follower.Close()
	h.mu.Lock()
	h.follower = follower
	h.mu.Unlock()
	var pending []*events.Entry
	for ctx.Err() == nil {
		if pending, err = h.collect(ctx, follower, pending); err != nil {
			return h.unable(ctx, err)
		}
		if len(pending) == 0 {
			select {
			case <-h.wake:
			case <-ctx.Done():
			}
			continue
		}
		var b batch
		if b, pending, err = h.pack(pending); err != nil {
			return err
		}
		if on, err := h.attempt(ctx, b); err != nil || !on {
			return err
		}
	}
	return nil
}

// collect asks for events until there are enough for a delivery.
func (h *holder) collect(ctx context.Context, follower *events.Follower, pending []*events.Entry) ([]*events.Entry, error) {
	h.mu.Lock()
	h.idle = false
	h.mu.Unlock()
	for len(pending) < maxEvents {
		more, err := follower.Next(ctx)
		if len(pending) > 0 && err != nil {
			return pending, nil // what there is may leave; the error comes again
		}
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			break
		}
		pending = append(pending, more...)
	}
	h.mu.Lock()
	h.idle = len(pending) == 0
	h.mu.Unlock()
	return pending, nil
}

// pack writes the body of the next delivery and returns what is left.
func (h *holder) pack(pending []*events.Entry) (b batch, rest []*events.Entry, err error) {
	b.body = fmt.Appendf(nil, `{"webhookId":%q,"events":[`, globalID(models.KindWebhook, h.w.ID))
	for _, e := range pending[:min(len(pending), maxEvents)] {
		text, err := json.Marshal(shown(e))
		if err != nil {
			return b, nil, fmt.Errorf("write an event: %w", err)
		}
		if b.events > 0 {
			if len(b.body)+len(text) > maxBody {
				break
			}
			b.body = append(b.body, ',')
		}
		b.body, b.cursor = append(b.body, text...), e.Cursor
		b.events++
	}
	b.body = append(b.body, "]}"...)
	return b, pending[b.events:], nil
}

// attempt sends a batch and keeps what became of it; false if that was the end.
func (h *holder) attempt(ctx context.Context, b batch) (on bool, err error) {
	h.mu.Lock()
	until := h.until
	h.mu.Unlock()
	// The answer has to come within the lease.
	if h.clock.Now().Add(h.config.Timeout) >= until {
		if held, err := h.renew(ctx); err != nil || !held {
			return false, err
		}
	}
	if ctx.Err() != nil {
		return false, nil
	}
	id := models.NewID()
	d := Delivery{ID: globalID(models.KindWebhookDelivery, id), URL: h.w.URL, Secrets: h.secrets, Attempt: h.w.ConsecutiveFailures + 1, At: h.clock.Now(), Body: b.body}
	// A stop lets the attempt end and its place be kept.
	ctx = context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(ctx, h.config.Timeout)
	answer, err := h.sender.Send(sending, d)
	cancel()
	row := models.WebhookDelivery{ID: id, WebhookID: h.w.ID, Cursor: b.cursor, Events: b.events, Attempt: d.Attempt, StatusCode: answer.StatusCode, At: d.At}
	switch {
	case err != nil:
		row.Error = clip(err.Error())
		h.count(Failed, b.events)
		return false, h.failed(ctx, row, 0, "")
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		row.Error = fmt.Sprintf("the receiver answered %d", answer.StatusCode)
		h.count(Refused, b.events)
		return false, h.failed(ctx, row, answer.RetryAfter, "")
	}
	h.count(Delivered, b.events)
	h.w.ConsecutiveFailures, h.w.FailingSince = 0, 0
	return h.keep(ctx, row, func(*store.Tx) (map[string]any, error) {
		return map[string]any{"acked_cursor": b.cursor, "consecutive_failures": 0, "failing_since": 0, "next_attempt_at": 0, "last_error": ""}, nil
	})
}

// unable keeps that nothing could be sent: the maker may not read events any more, or they are gone.
func (h *holder) unable(ctx context.Context, err error) error {
	coded := (*models.Error)(nil)
	if !errors.As(err, &coded) {
		return err
	}
	h.count(Failed, 0)
	reason := ""
	if coded.Code == models.CursorExpired {
		reason = coded.Reason
	}
	row := models.WebhookDelivery{ID: models.NewID(), WebhookID: h.w.ID, Cursor: h.w.AckedCursor, Attempt: h.w.ConsecutiveFailures + 1, At: h.clock.Now()}
	row.Error = clip("nothing could be sent: " + coded.Message)
	return h.failed(context.WithoutCancel(ctx), row, 0, reason)
}

// clip cuts to the width of the columns for errors, and to what they can hold.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}

// failed keeps an attempt that failed and says when the next one is, or gives up: after a day, or at once with a reason for which waiting is of no
// use.
func (h *holder) failed(ctx context.Context, row models.WebhookDelivery, retryAfter time.Duration, reason string) error {
	_, err := h.keep(ctx, row, func(tx *store.Tx) (map[string]any, error) {
		since := h.w.FailingSince
		if since.IsZero() {
			since = tx.Now
		}
		columns := map[string]any{"consecutive_failures": row.Attempt, "failing_since": since, "last_error": row.Error}
		end := since.Add(giveUpAfter)
		if tx.Now < end && reason == "" {
			columns["next_attempt_at"] = min(tx.Now.Add(max(backoff(row.Attempt), min(retryAfter, maxRetry))), end)
			return columns, nil
		}
		if reason == "" {
			reason = "NOT_TAKEN"
		}
		columns["enabled"], columns["given_up"], columns["version"], columns["updated_at"] = false, true, h.w.Version+1, tx.Now
		return columns, alarm(tx, &h.w, true, reason)
	})
	return err
}

// backoff is the time after an attempt: 1 s, 2 s, 4 s … 15 minutes, of which a random half is left out so that receivers are not hit in step.
func backoff(attempt int64) time.Duration {
	whole := min(time.Second<<min(attempt-1, 20), maxBackoff)
	return whole/2 + rand.N(whole/2+1)
}

// alarm tells that the webhook was given up, or is so no longer.
func alarm(tx *store.Tx, w *models.Webhook, on bool, reason string) error {
	fields := map[string]any{"webhook": w.ID}
	if on {
		fields["reason"] = reason
	}
	return events.Alarm(tx, on, "webhook.given_up", fields)
}

// keep writes an attempt, and what follows from it, if the lease is still ours.
func (h *holder) keep(ctx context.Context, row models.WebhookDelivery, change func(*store.Tx) (map[string]any, error)) (held bool, err error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	row.N = h.w.Attempts + 1
	err = h.store.InTx(ctx, func(tx *store.Tx) error {
		columns, err := change(tx)
		if err != nil {
			return err
		}
		columns["attempts"] = row.N
		if held, err = h.write(tx, columns); err != nil {
			return err
		}
		if !held {
			return errLost // with what change has written
		}
		if err := gorm.G[models.WebhookDelivery](tx.DB).Create(ctx, &row); err != nil {
			return err
		}
		if row.N%(kept/10) == 0 {
			return tx.DB.Where("webhook_id = ? AND n <= ?", h.w.ID, row.N-kept).Delete(&models.WebhookDelivery{}).Error
		}
		return nil
	})
	if errors.Is(err, errLost) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("keep what became of a delivery: %w", err)
	}
	h.w.Attempts = row.N
	return held, nil
}

// errLost rolls back what somebody would write who was overtaken.
var errLost = errors.New("the lease is lost")
