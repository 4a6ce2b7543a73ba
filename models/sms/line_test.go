package sms_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// line is a provider with a connection.
type line struct {
	*provider
	down   atomic.Bool
	window int
	rate   chan struct{} // if set, each message needs a value
	hungUp atomic.Bool
}

func (l *line) Up() bool    { return !l.down.Load() }
func (l *line) Window() int { return l.window }
func (l *line) Admit(ctx context.Context) error {
	if l.rate == nil {
		return nil
	}
	select {
	case <-l.rate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (l *line) Run(ctx context.Context, _ sms.Receiver) {
	<-ctx.Done()
	l.hungUp.Store(true)
}

// eachLine is each with a line, which takes every message and calls the nth of them by the nth name.
func eachLine(t *testing.T, names []string, f func(h *house, l *line)) {
	t.Helper()
	each(t, func(h *house) {
		l := &line{provider: h.provider, window: 4}
		h.will(func(sms.Outgoing) (sms.Receipt, error) {
			return sms.Receipt{State: models.SmsSubmitted, ProviderID: names[(l.count()-1)%len(names)]}, nil
		})
		h.Room = sms.New(h.store, h.clock, l)
		f(h, l)
	})
}

func (h *house) will(answer func(sms.Outgoing) (sms.Receipt, error)) { h.provider.will(answer) }

// taken waits until the provider has taken the message.
func (h *house) taken(id models.ID) *models.SmsMessage {
	h.Helper()
	storetest.Eventually(h.T, "the message is taken", func() bool { m := h.get(id); return m.Body == nil })
	return h.get(id)
}

func (h *house) report(r sms.Report) {
	h.Helper()
	if err := h.Report(h.Context(), r); err != nil {
		h.Fatal(err)
	}
}

func TestATakenMessageWaitsForItsReceipt(t *testing.T) {
	eachLine(t, []string{"A1"}, func(h *house, _ *line) {
		h.run(h.Room)
		id := h.queue()
		m := h.taken(id)
		if m.State != models.SmsSubmitted || m.ProviderID != "A1" || !m.FinalAt.IsZero() {
			h.Errorf("taken as %+v", m)
		}
		h.advance(5 * time.Minute) // far beyond the lease
		h.report(sms.Report{ProviderID: "A1", State: models.SmsSubmitted, ProviderStatus: "ENROUTE"})
		if m := h.get(id); m.State != models.SmsSubmitted {
			h.Errorf("waiting it became %+v", m)
		}
		h.report(sms.Report{ProviderID: "A1", From: "8613800138000", State: models.SmsDelivered, ProviderStatus: "DELIVRD"})
		if m := h.get(id); m.State != models.SmsDelivered || m.ProviderStatus != "DELIVRD" || m.FinalAt != h.clock.Now() {
			h.Errorf("delivered as %+v", m)
		}
		h.report(sms.Report{ProviderID: "A1", State: models.SmsUndeliverable, ProviderStatus: "UNDELIV"})
		h.report(sms.Report{ProviderID: "B2", State: models.SmsDelivered})
		h.report(sms.Report{State: models.SmsDelivered})
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")
		s := h.Stats()
		if s.Sent != 1 || s.Ended[models.SmsDelivered] != 1 || s.Receipts[sms.TakenReceipt] != 1 || s.Receipts[sms.IntermediateReceipt] != 1 ||
			s.Receipts[sms.DuplicateReceipt] != 1 || s.Receipts[sms.UnknownReceipt] != 2 || !s.Up {
			h.Errorf("counted %+v", s)
		}
	})
}

func TestReceiptsEndMessagesByTheirState(t *testing.T) {
	ends := []models.SmsState{models.SmsUndeliverable, models.SmsExpired, models.SmsRejected}
	eachLine(t, []string{"1", "2", "3"}, func(h *house, l *line) {
		h.run(h.Room)
		for i, state := range ends {
			id := h.queue()
			m := h.taken(id)
			h.report(sms.Report{ProviderID: m.ProviderID, State: state, ProviderStatus: "WORD 011"})
			if m := h.get(id); m.State != state || m.ProviderStatus != "WORD 011" || m.Attempts != 1 || l.count() != i+1 {
				h.Errorf("%s: %+v", state, m)
			}
			h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.failed "+string(state))
		}
	})
}

// A centre named its messages by octets that are no text: MySQL took neither the name nor a search for it, and the message was given up.
func TestANameThatIsNoText(t *testing.T) {
	eachLine(t, []string{"A\xff\xfe1"}, func(h *house, _ *line) {
		h.run(h.Room)
		id := h.queue()
		h.taken(id)
		h.report(sms.Report{ProviderID: "B\xff", State: models.SmsDelivered})
		h.report(sms.Report{ProviderID: "A\xff\xfe1", State: models.SmsDelivered, ProviderStatus: "DELIVRD"})
		if m := h.get(id); m.State != models.SmsDelivered {
			h.Errorf("it ended as %+v", m)
		}
	})
}

// A receipt may come while the answer to submit_sm is still on its way, or is being committed, here or on another replica.
func TestAReceiptBeforeTheAnswerWaits(t *testing.T) {
	eachLine(t, nil, func(h *house, _ *line) {
		sent, goOn := make(chan struct{}), make(chan struct{})
		h.will(func(sms.Outgoing) (sms.Receipt, error) {
			close(sent)
			<-goOn
			return sms.Receipt{State: models.SmsSubmitted, ProviderID: "early"}, nil
		})
		h.run(h.Room)
		id := h.queue()
		<-sent
		other := sms.New(h.store, h.clock, nil) // the replica that gets the receipt
		reported := make(chan error, 1)
		go func() {
			reported <- other.Report(h.Context(), sms.Report{ProviderID: "early", State: models.SmsDelivered, ProviderStatus: "DELIVRD"})
		}()
		storetest.Eventually(h.T, "the receipt waits", func() bool { return h.clock.Waiting() >= 2 }) // the sender's poll and its own
		if m := h.get(id); m.State != models.SmsSubmitted || len(reported) != 0 {
			h.Errorf("before the answer: %+v", m)
		}
		close(goOn)
		if err := <-reported; err != nil {
			h.Fatal(err)
		}
		if m := h.get(id); m.State != models.SmsDelivered || m.ProviderID != "early" || m.Body != nil {
			h.Errorf("it ended as %+v", m)
		}
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")
	})
}

// A receipt that waits is given back when the connection ends, so that the provider brings it again.
func TestAWaitingReceiptIsNotAcknowledgedAtAStop(t *testing.T) {
	eachLine(t, nil, func(h *house, _ *line) {
		sent, goOn := make(chan struct{}), make(chan struct{})
		h.will(func(sms.Outgoing) (sms.Receipt, error) {
			close(sent)
			<-goOn
			return sms.Receipt{State: models.SmsSubmitted, ProviderID: "early"}, nil
		})
		h.run(h.Room)
		h.queue()
		<-sent
		defer close(goOn)
		ctx, cancel := context.WithCancel(h.Context())
		reported := make(chan error, 1)
		go func() { reported <- h.Report(ctx, sms.Report{ProviderID: "early", State: models.SmsDelivered}) }()
		storetest.Eventually(h.T, "the receipt waits", func() bool { return h.clock.Waiting() >= 2 })
		cancel()
		if err := <-reported; !errors.Is(err, context.Canceled) {
			h.Errorf("it was acknowledged: %v", err)
		}
		if err := h.Report(ctx, sms.Report{ProviderID: "late", State: models.SmsDelivered}); !errors.Is(err, context.Canceled) {
			h.Errorf("a late one was acknowledged: %v", err)
		}
	})
}

func TestReceiptsNameMessagesInTheirOwnNotation(t *testing.T) {
	pairs := [][2]string{
		{"1A2B3C", "1715004"}, {"2a2b3c", "2763580"}, {"003A2B3C", "3812156"}, {"4A2B3C", "0004860732"}, {"5909308", "5A2B3C"},
		{"0006957884", "6a2b3c"}, {"0000000007", "7"}, {"9", "0000000009"}, {"FFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175"},
		{"a-b-c", "a-b-c"}, {strings.Repeat("9", 64), strings.Repeat("9", 64)},
	}
	var names []string
	for _, pair := range pairs {
		names = append(names, pair[0])
	}
	eachLine(t, names, func(h *house, _ *line) {
		h.run(h.Room)
		for _, pair := range pairs {
			id := h.queue()
			h.taken(id)
			h.report(sms.Report{ProviderID: pair[1], From: "+8613800138000", State: models.SmsDelivered})
			if m := h.get(id); m.State != models.SmsDelivered || m.ProviderID != pair[0] {
				h.Errorf("%s is not %s", pair[0], pair[1])
			}
		}
	})
}

// The centre answers in hexadecimal and reports in decimal: a number is then the name of one message and, exactly, of another.
func TestTheRecipientDecidesBetweenNotations(t *testing.T) {
	eachLine(t, []string{"10", "16"}, func(h *house, _ *line) {
		h.run(h.Room)
		first := h.queue()
		h.taken(first)
		var second models.ID
		err := h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
			second, err = sms.Queue(tx, sms.Message{To: "8613900139999", Body: "x", Purpose: models.SmsNotice, ExpiresAt: tx.Now.Add(time.Hour)})
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
		h.taken(second)
		h.report(sms.Report{ProviderID: "16", From: "13800138000", State: models.SmsDelivered})
		h.report(sms.Report{ProviderID: "16", From: "13700137777", State: models.SmsDelivered})
		if a, b := h.get(first), h.get(second); a.State != models.SmsDelivered || b.State != models.SmsSubmitted {
			h.Errorf("they are %s and %s", a.State, b.State)
		}
	})
}

// A centre that was started anew counts from one again.
func TestANameThatComesAgainMeansTheMessageThatWaits(t *testing.T) {
	eachLine(t, []string{"1"}, func(h *house, _ *line) {
		h.run(h.Room)
		var ids []models.ID
		for range 2 {
			id := h.queue()
			h.taken(id)
			h.report(sms.Report{ProviderID: "1", State: models.SmsDelivered})
			ids = append(ids, id)
		}
		for _, id := range ids {
			if m := h.get(id); m.State != models.SmsDelivered {
				h.Errorf("%s", m.State)
			}
		}
	})
}

func TestAMessageWithoutReceiptExpires(t *testing.T) {
	eachLine(t, []string{"1"}, func(h *house, _ *line) {
		h.run(h.Room)
		id := h.queue()
		h.taken(id)
		h.advance(10*time.Minute + time.Hour - time.Millisecond)
		h.advance(0)
		if m := h.get(id); m.State != models.SmsSubmitted {
			h.Errorf("too early it is %s", m.State)
		}
		h.advance(time.Second)
		if m := h.becomes(id, models.SmsExpired); m.ProviderStatus != sms.Unknown {
			h.Errorf("it ended as %+v", m)
		}
		h.report(sms.Report{ProviderID: "1", State: models.SmsDelivered})
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.failed EXPIRED")
	})
}

func TestABusyProviderIsTriedAgainSoonAndIsNotDown(t *testing.T) {
	eachLine(t, nil, func(h *house, l *line) {
		h.will(func(sms.Outgoing) (sms.Receipt, error) { return sms.Receipt{}, fmt.Errorf("%w: 0x58", sms.ErrBusy) })
		h.run(h.Room)
		id := h.queue()
		for i, back := range []time.Duration{1, 2, 4, 8, 8} {
			storetest.Eventually(h.T, "the attempt failed", func() bool { m := h.get(id); return m.State == models.SmsQueued && m.Attempts == i+1 })
			if m := h.get(id); m.NextAt != h.clock.Now().Add(back*time.Second) || m.Body == nil {
				h.Errorf("after attempt %d it is tried at %s, now is %s", i+1, m.NextAt, h.clock.Now())
			}
			if !h.Available() {
				h.Error("it counts as down")
			}
			h.advance(back * time.Second)
		}
		storetest.Eventually(h.T, "the last attempt failed", func() bool { m := h.get(id); return m.State == models.SmsQueued && m.Attempts == 6 })
		h.advance(10 * time.Minute)
		h.becomes(id, models.SmsExpired)
		if s := h.Stats(); s.Busy != 6 || s.Sent != 0 || l.count() != 6 {
			h.Errorf("counted %+v", s)
		}
	})
}

func TestNothingIsClaimedWhileTheLineIsDown(t *testing.T) {
	eachLine(t, []string{"1"}, func(h *house, l *line) {
		l.down.Store(true)
		h.run(h.Room)
		first := h.queue()
		if h.Available() || h.Stats().Up {
			h.Error("it counts as up")
		}
		h.advance(10 * time.Minute)
		h.becomes(first, models.SmsExpired)
		h.wantHistory(first, "sms.queued QUEUED", "sms.failed EXPIRED")
		second := h.queue()
		l.down.Store(false)
		h.advance(time.Second)
		if m := h.taken(second); m.Attempts != 1 || l.count() != 1 || !h.Available() {
			h.Errorf("it left as %+v", m)
		}
	})
}

func TestUpToAWindowOfMessagesIsOnItsWay(t *testing.T) {
	eachLine(t, nil, func(h *house, l *line) {
		arrived, goOn := make(chan models.ID), make(chan struct{})
		h.will(func(m sms.Outgoing) (sms.Receipt, error) {
			arrived <- m.ID
			<-goOn
			return sms.Receipt{State: models.SmsSubmitted, ProviderID: m.ID.String()}, nil
		})
		stop := h.run(h.Room)
		var ids []models.ID
		for range l.window + 1 {
			ids = append(ids, h.queue())
		}
		for range l.window {
			<-arrived
		}
		if l.count() != l.window {
			h.Errorf("%d are on their way", l.count())
		}
		goOn <- struct{}{}
		<-arrived
		close(goOn)
		stop() // lets all of them end, then hangs up
		for _, id := range ids {
			if m := h.get(id); m.Body != nil || m.ProviderID != id.String() {
				h.Errorf("after the stop %+v", m)
			}
		}
		if !l.hungUp.Load() {
			h.Error("the line was not hung up")
		}
	})
}

// A message that the rate holds back has not been claimed: a stop does not wait for it, and another replica may send it.
func TestTheRateIsWaitedForBeforeTheClaim(t *testing.T) {
	eachLine(t, []string{"1"}, func(h *house, l *line) {
		l.rate = make(chan struct{})
		stop := h.run(h.Room)
		first, second := h.queue(), h.queue()
		l.rate <- struct{}{}
		h.taken(first)
		stop()
		if m := h.get(second); m.State != models.SmsQueued || m.Attempts != 0 || l.count() != 1 {
			h.Errorf("held back it is %+v", m)
		}
	})
}

func TestATextIsOneMessage(t *testing.T) {
	for text, fits := range map[string]bool{strings.Repeat("信", 70): true, strings.Repeat("信", 71): false, strings.Repeat("😀", 35): true, strings.Repeat("😀", 35) + "a": false} {
		if err := sms.CheckText(text); (err == nil) != fits {
			t.Errorf("%d characters: %v", len([]rune(text)), err)
		}
	}
	each(t, func(h *house) {
		err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
			_, err := sms.Queue(tx, sms.Message{To: "86139", Body: models.Secret(strings.Repeat("信", 71)), ExpiresAt: tx.Now.Add(time.Hour)})
			return err
		})
		if err == nil || strings.Contains(err.Error(), "信") {
			h.Errorf("too long a text: %v", err)
		}
	})
}

func TestIncomingMessages(t *testing.T) {
	each(t, func(h *house) {
		if err := h.Receive(h.Context(), "8613800138000", "hello"); err != nil {
			h.Errorf("nobody listens: %v", err)
		}
		var heard string
		h.Incoming = func(ctx context.Context, from models.Number, text string) error {
			heard = string(from) + " " + text + " " + models.ActorFrom(ctx).Name
			return nil
		}
		if err := h.Receive(h.Context(), "8613800138000", "hello"); err != nil || heard != "8613800138000 hello sms" {
			h.Errorf("heard %q, %v", heard, err)
		}
		h.Incoming = func(context.Context, models.Number, string) error { return errors.New("no database") }
		if err := h.Receive(h.Context(), "8613800138000", "hello"); err == nil {
			h.Error("it was acknowledged")
		}
		if s := h.Stats(); s.Incoming[sms.IgnoredMessage] != 1 || s.Incoming[sms.TakenMessage] != 1 || s.Incoming[sms.FailedMessage] != 1 {
			h.Errorf("counted %+v", s)
		}
	})
}
