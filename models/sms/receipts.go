package sms

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Report is what a provider says later about a message that it took.
type Report struct {
	ProviderID string
	// From is the number the message went to, as the provider writes it; it may be empty.
	From string
	// State is how the message ended, or SUBMITTED if it has not.
	State          models.SmsState
	ProviderStatus string
}

// topicMoved wakes receipts that came before their messages were known to be taken.
const topicMoved = "sms moved"

// maxProviderID is the longest message_id without its NUL (SMPP 3.4 5.2.23).
const maxProviderID = 64

// Report takes a receipt. One for a message that has ended, or that nobody knows, changes nothing and is no error; it is counted. A receipt may be
// faster than the commit of the answer that names its message, on any replica: it waits until whatever was on its way when it came has a
// result, which is a minute at most.
func (r *Room) Report(ctx context.Context, report Report) (err error) {
	ctx, done := context.WithCancel(models.WithActor(ctx, models.System("sms")))
	defer done()
	outcome, unnamed, first := UnknownReceipt, []models.ID(nil), true
	r.store.Loop(ctx, topicMoved, pollEvery, func(ctx context.Context) {
		// Who is on its way is read before who is known, so that no message slips through in between.
		if unnamed, err = r.onTheirWay(ctx, unnamed, first); err == nil {
			outcome, err = r.take(ctx, report)
		}
		first = false
		if err != nil || outcome != UnknownReceipt || len(unnamed) == 0 {
			done()
		}
	})
	if err == nil && outcome == UnknownReceipt && (first || len(unnamed) > 0) {
		err = context.Cause(ctx) // it ended before the wait did
	}
	if err != nil {
		return fmt.Errorf("take a receipt: %w", err)
	}
	if outcome == UnknownReceipt {
		slog.WarnContext(ctx, "a receipt for an unknown message", "providerId", report.ProviderID, "status", report.ProviderStatus)
	}
	r.count(func(s *Stats) { s.receipt(outcome) })
	return nil
}

// onTheirWay lists the messages that are claimed and have no result: all of them, or those of the list.
func (r *Room) onTheirWay(ctx context.Context, of []models.ID, all bool) (ids []models.ID, err error) {
	if !all && len(of) == 0 {
		return nil, nil
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		q := tx.DB.Model(&models.SmsMessage{}).Where("state = ? AND body IS NOT NULL", models.SmsSubmitted)
		if !all {
			q = q.Where("id IN ?", of)
		}
		return q.Pluck("id", &ids).Error
	})
	return ids, err
}

// nameOf is what the provider calls a message, as it is kept: it may be any octets, and the column takes texts only.
func nameOf(providerID string) string {
	return strings.ToValidUTF8(providerID[:min(len(providerID), maxProviderID)], "?")
}

// take finds the message of a receipt and ends it.
func (r *Room) take(ctx context.Context, report Report) (outcome ReceiptOutcome, err error) {
	names := notations(report.ProviderID)
	if len(names) == 0 {
		return UnknownReceipt, nil
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		outcome = UnknownReceipt
		var found []models.SmsMessage
		if err := tx.DB.Where("provider_id IN ?", names).Order("submitted_at DESC, id DESC").Limit(batch).Find(&found).Error; err != nil {
			return fmt.Errorf("find the message of a receipt: %w", err)
		}
		found = slices.DeleteFunc(found, func(m models.SmsMessage) bool { return !sameNumber(report.From, string(m.To)) })
		if len(found) == 0 {
			return nil
		}
		// Centres begin to count anew: of several messages with the name it is the one that waits, and the exact name goes before another notation.
		rank := func(m models.SmsMessage) int {
			rank := slices.Index(names, m.ProviderID)
			if m.State != models.SmsSubmitted {
				rank += len(names)
			}
			return rank
		}
		slices.SortStableFunc(found, func(a, b models.SmsMessage) int { return rank(a) - rank(b) })
		m := &found[0]
		switch {
		case m.State != models.SmsSubmitted:
			outcome = DuplicateReceipt
			return nil
		case report.State == models.SmsSubmitted:
			outcome = IntermediateReceipt
			return nil
		}
		ended, err := r.end(tx, m, Receipt{State: report.State, ProviderStatus: report.ProviderStatus})
		outcome = TakenReceipt
		if !ended {
			outcome = DuplicateReceipt
		}
		return err
	})
	return outcome, err
}

// notations are the ways to write a provider's name for a message, the given one first: centres answer submit_sm in hexadecimal and write the same
// number in decimal into the receipt, or the other way round, with or without zeros in front.
func notations(name string) (names []string) {
	if name == "" || len(name) > maxProviderID {
		return nil
	}
	name = nameOf(name)
	names = []string{name}
	for _, base := range []int{10, 16} {
		n, ok := new(big.Int).SetString(name, base)
		if !ok || n.Sign() < 0 || strings.ContainsAny(name, "+-_") {
			continue
		}
		for _, format := range []string{"%d", "%010d", "%x", "%X", "%08x", "%08X"} {
			if s := fmt.Sprintf(format, n); len(s) <= maxProviderID && !slices.Contains(names, s) {
				names = append(names, s)
			}
		}
	}
	return names
}

// tellingDigits is how many digits at the end tell numbers apart; what stands before them is written in many ways.
const tellingDigits = 8

// sameNumber tells whether a receipt may be about a message to the number. Without a number in it, it may be about any.
func sameNumber(written, number string) bool {
	digits := strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, written)
	if len(digits) < tellingDigits || len(number) < tellingDigits {
		return true
	}
	return digits[len(digits)-tellingDigits:] == number[len(number)-tellingDigits:]
}

// Receive takes a message that a subscriber wrote to us.
func (r *Room) Receive(ctx context.Context, from models.Number, text models.Secret) error {
	outcome := IgnoredMessage
	if r.Incoming != nil {
		if err := r.Incoming(models.WithActor(ctx, models.System("sms")), from, text.Reveal()); err != nil {
			r.count(func(s *Stats) { s.incoming(FailedMessage) })
			return fmt.Errorf("take an incoming message: %w", err)
		}
		outcome = TakenMessage
	}
	r.count(func(s *Stats) { s.incoming(outcome) })
	return nil
}
