package sms_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// provider is a sender that a test directs.
type provider struct {
	mu     sync.Mutex
	sent   []sms.Outgoing
	answer func(m sms.Outgoing) (sms.Receipt, error)
}

func (p *provider) Send(_ context.Context, m sms.Outgoing) (sms.Receipt, error) {
	p.mu.Lock()
	p.sent = append(p.sent, m)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		return sms.Receipt{State: models.SmsDelivered, ProviderStatus: "ok"}, nil
	}
	return answer(m)
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

func (p *provider) will(answer func(m sms.Outgoing) (sms.Receipt, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

type house struct {
	*testing.T
	*sms.Room
	store    *store.Store
	clock    *storetest.Clock
	provider *provider
}

func each(t *testing.T, f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		p := &provider{}
		f(&house{T: t, Room: sms.New(s, clock, p), store: s, clock: clock, provider: p})
	})
}

// run starts the worker; the returned function stops it and waits for its end.
func (h *house) run(room *sms.Room) (stop func()) {
	ctx, cancel := context.WithCancel(h.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		room.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.Cleanup(stop)
	return stop
}

var account = models.ID{7}

func (h *house) queue() (id models.ID) {
	h.Helper()
	err := h.store.InTx(storetest.As(h.T), func(tx *store.Tx) (err error) {
		id, err = sms.Queue(tx, sms.Message{
			AccountID: account, Region: "sh", To: "8613800138000", Body: "code K7MQ29XT", Purpose: models.SmsPasswordReset, ExpiresAt: tx.Now.Add(10 * time.Minute),
		})
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return id
}

func (h *house) get(id models.ID) *models.SmsMessage {
	h.Helper()
	found, err := h.ByIDs(storetest.As(h.T), []models.ID{id})
	if err != nil || found[id] == nil {
		h.Fatalf("read message %s: %v, %v", id, found, err)
	}
	return found[id]
}

func (h *house) becomes(id models.ID, state models.SmsState) *models.SmsMessage {
	h.Helper()
	storetest.Eventually(h.T, "the message is "+string(state), func() bool { return h.get(id).State == state })
	return h.get(id)
}

// history is the code and state of each event of the message.
func (h *house) history(id models.ID) (seen []string) {
	h.Helper()
	err := h.store.View(h.Context(), func(tx *store.Tx) error {
		rows, err := gorm.G[models.Event](tx.DB).Where("subject_id = ?", id).Order("n").Find(tx.Context())
		for _, e := range rows {
			seen = append(seen, e.Payload.V["code"].(string)+" "+e.Payload.V["state"].(string))
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return seen
}

func (h *house) wantHistory(id models.ID, want ...string) {
	h.Helper()
	got := h.history(id)
	if len(got) != len(want) {
		h.Fatalf("events %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			h.Fatalf("events %q, want %q", got, want)
		}
	}
}

func TestAQueuedMessageIsSentAfterTheCommit(t *testing.T) {
	each(t, func(h *house) {
		h.run(h.Room)
		id := h.queue()
		m := h.becomes(id, models.SmsDelivered)
		if m.Body != nil || m.ProviderStatus != "ok" || m.Attempts != 1 || m.SubmittedAt.IsZero() || m.FinalAt.IsZero() || m.AccountID != account {
			h.Errorf("the message ended as %+v", m)
		}
		sent := h.provider.sent[0]
		if h.provider.count() != 1 || sent.ID != id || sent.To != "8613800138000" || sent.Text.Reveal() != "code K7MQ29XT" || sent.Purpose != models.SmsPasswordReset {
			h.Errorf("sent %+v", sent)
		}
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")
	})
}

func TestABodyRestsSealedAndARolledBackMessageNeverLeaves(t *testing.T) {
	each(t, func(h *house) {
		id := h.queue()
		if m := h.get(id); len(m.Body) == 0 || string(m.Body) == "code K7MQ29XT" || m.State != models.SmsQueued {
			h.Errorf("it rests as %+v", m)
		}
		lost := errors.New("no")
		err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
			if _, err := sms.Queue(tx, sms.Message{To: "86139", Body: "x", ExpiresAt: tx.Now.Add(time.Hour)}); err != nil {
				return err
			}
			return lost
		})
		if !errors.Is(err, lost) {
			h.Fatal(err)
		}
		h.run(h.Room)
		h.becomes(id, models.SmsDelivered)
		if h.provider.count() != 1 {
			h.Errorf("%d were sent", h.provider.count())
		}
	})
}

func TestTwoReplicasSendOnce(t *testing.T) {
	each(t, func(h *house) {
		second := sms.New(h.store, h.clock, h.provider)
		h.run(h.Room)
		h.run(second)
		var ids []models.ID
		for range 20 {
			ids = append(ids, h.queue())
		}
		for _, id := range ids {
			h.becomes(id, models.SmsDelivered)
		}
		if h.provider.count() != len(ids) {
			h.Errorf("%d messages were sent %d times", len(ids), h.provider.count())
		}
	})
}

// advance moves the clock once the sender waits for it; a sender that begins to wait later would not notice.
func (h *house) advance(d time.Duration) {
	h.Helper()
	storetest.Eventually(h.T, "the sender waits", func() bool { return h.clock.Waiting() > 0 })
	h.clock.Advance(d)
}

func TestWhatDidNotLeaveIsTriedAgainUntilItExpires(t *testing.T) {
	each(t, func(h *house) {
		down := errors.New("connection refused")
		h.provider.will(func(sms.Outgoing) (sms.Receipt, error) { return sms.Receipt{}, down })
		h.run(h.Room)
		id := h.queue()
		storetest.Eventually(h.T, "the first attempt failed", func() bool { m := h.get(id); return m.State == models.SmsQueued && m.Attempts == 1 })
		if h.Available() {
			h.Error("the channel counts as up")
		}
		if m := h.get(id); m.State != models.SmsQueued || m.Attempts != 1 || m.NextAt != h.clock.Now().Add(time.Second) {
			h.Errorf("after the first attempt %+v", m)
		}
		h.provider.will(nil)
		h.advance(time.Second)
		m := h.becomes(id, models.SmsDelivered)
		if m.Attempts != 2 || !h.Available() {
			h.Errorf("after the outage %+v", m)
		}
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")

		h.provider.will(func(sms.Outgoing) (sms.Receipt, error) { return sms.Receipt{}, down })
		id = h.queue()
		storetest.Eventually(h.T, "it failed again", func() bool { m := h.get(id); return m.State == models.SmsQueued && m.Attempts == 1 })
		h.advance(10 * time.Minute)
		if m := h.becomes(id, models.SmsExpired); m.Body != nil || m.FinalAt.IsZero() || m.Attempts != 1 {
			h.Errorf("the expired message is %+v", m)
		}
		if !h.Available() {
			h.Error("an outage is forgotten after a while")
		}
	})
}

func TestARefusedMessageEnds(t *testing.T) {
	each(t, func(h *house) {
		long := "这个供应商的回答远远超过六十四个字节，因此必须在不破坏字符的情况下截断"
		h.provider.will(func(sms.Outgoing) (sms.Receipt, error) {
			return sms.Receipt{State: models.SmsRejected, ProviderStatus: long}, nil
		})
		h.run(h.Room)
		id := h.queue()
		m := h.becomes(id, models.SmsRejected)
		if m.Body != nil || m.ProviderStatus != long[:63] {
			h.Errorf("the refused message is %+v", m)
		}
		h.wantHistory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.failed REJECTED")
	})
}

// A process that died between the claim and the result may have sent the message: it is not sent again (resolutions 58).
func TestASubmittedMessageOfADeadProcessIsNotSentAgain(t *testing.T) {
	each(t, func(h *house) {
		id := h.queue()
		err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Model(&models.SmsMessage{}).Where("id = ?", id).Updates(map[string]any{"state": models.SmsSubmitted, "submitted_at": tx.Now, "attempts": 1}).Error
		})
		if err != nil {
			h.Fatal(err)
		}
		stop := h.run(h.Room)
		h.becomes(h.queue(), models.SmsDelivered)
		stop()
		if m := h.get(id); m.State != models.SmsSubmitted {
			h.Errorf("within the lease it is %s", m.State)
		}
		h.clock.Advance(time.Minute)
		h.run(h.Room)
		m := h.becomes(id, models.SmsUndeliverable)
		if m.ProviderStatus != "unknown" || m.Body != nil || h.provider.count() != 1 {
			h.Errorf("it ended as %+v after %d sends", m, h.provider.count())
		}
		h.wantHistory(id, "sms.queued QUEUED", "sms.failed UNDELIVERABLE")
	})
}

func TestAStopKeepsTheResultOfWhatIsOnItsWay(t *testing.T) {
	each(t, func(h *house) {
		began, goOn := make(chan struct{}), make(chan struct{})
		h.provider.will(func(sms.Outgoing) (sms.Receipt, error) {
			close(began)
			<-goOn
			return sms.Receipt{State: models.SmsDelivered}, nil
		})
		ctx, cancel := context.WithCancel(h.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			h.Room.Run(ctx)
		}()
		first, second := h.queue(), h.queue()
		<-began
		cancel()
		close(goOn)
		<-ended
		states := []models.SmsState{h.get(first).State, h.get(second).State}
		if states[0] != models.SmsDelivered || states[1] != models.SmsQueued {
			h.Errorf("after the stop they are %v", states)
		}
	})
}

func TestWithoutSenderNothingIsAvailable(t *testing.T) {
	each(t, func(h *house) {
		room := sms.New(h.store, h.clock, nil)
		if room.Available() {
			h.Error("available without a sender")
		}
		id := h.queue()
		h.run(room)
		h.advance(10 * time.Minute)
		h.becomes(id, models.SmsExpired)
		h.wantHistory(id, "sms.queued QUEUED", "sms.failed EXPIRED")
	})
}

func TestMessagesAreListedWithinTheRegion(t *testing.T) {
	each(t, func(h *house) {
		ids := []models.ID{h.queue()}
		h.clock.Advance(time.Second)
		ids = append(ids, h.queue())
		here := storetest.In(h.T, []string{"sh"}, models.AccountRead)
		page, err := h.ByAccount(here, account, store.Page{First: 1})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != ids[1] || !page.HasNext {
			h.Fatalf("the first page is %+v, %v", page, err)
		}
		page, err = h.ByAccount(here, account, store.Page{First: 1, After: page.Cursors[0]})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != ids[0] || page.HasNext {
			h.Fatalf("the second page is %+v, %v", page, err)
		}
		if _, err := h.ByAccount(here, models.ID{8}, store.Page{First: 1, After: page.Cursors[0]}); models.CodeOf(err) != models.BadUserInput {
			h.Errorf("the cursor of another account: %v", err)
		}
		away := storetest.In(h.T, []string{"bj"}, models.AccountRead)
		page, err = h.ByAccount(away, account, store.Page{First: 5})
		found, err2 := h.ByIDs(away, ids)
		if err != nil || err2 != nil || len(page.Items) != 0 || len(found) != 0 {
			h.Errorf("another region sees %v and %v (%v, %v)", page.Items, found, err, err2)
		}
		nobody := storetest.As(h.T, models.DeviceRead)
		_, err = h.ByAccount(nobody, account, store.Page{First: 5})
		_, err2 = h.ByIDs(nobody, ids)
		if models.CodeOf(err) != models.Forbidden || models.CodeOf(err2) != models.Forbidden {
			h.Errorf("without permission: %v, %v", err, err2)
		}
	})
}
