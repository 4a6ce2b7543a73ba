package webhooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/models/webhooks"
)

// sender is a receiver without a network between.
type sender func(ctx context.Context, d webhooks.Delivery) (webhooks.Answer, error)

func (f sender) Send(ctx context.Context, d webhooks.Delivery) (webhooks.Answer, error) {
	return f(ctx, d)
}

// place is one replica.
type place struct {
	*testing.T
	ctx   context.Context // of the maker
	store *store.Store
	clock *storetest.Clock
	log   *events.Log
	room  *webhooks.Room
}

func open(t *testing.T, s *store.Store, clock *storetest.Clock, send sender) *place {
	t.Helper()
	p := &place{T: t, store: s, clock: clock, log: events.New(s, clock)}
	people := operators.New(s, clock, operators.Config{Memory: 64, Passes: 1})
	_, err := people.Bootstrap(t.Context(), operators.Bootstrap{AdminPassword: "example-Admin-password-1", APIClientID: "bss", APIClientSecret: "example-client-secret-1"})
	if err != nil {
		t.Fatal(err)
	}
	p.room = webhooks.New(s, clock, p.log, people, send, webhooks.Config{})
	client, err := people.Authenticate(t.Context(), "bss", "example-client-secret-1", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	actor, err := people.Actor(t.Context(), models.APIClientActor, client.ID)
	if err != nil {
		t.Fatal(err)
	}
	p.ctx = models.WithActor(t.Context(), actor)
	return p
}

// run delivers until the end of the test, or until stop.
func (p *place) run() (stop func()) {
	ctx, end := context.WithCancel(p.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var log sync.WaitGroup
		log.Go(func() { p.log.Run(ctx) })
		p.room.Run(ctx)
		log.Wait()
	}()
	stop = func() {
		end()
		<-done
	}
	p.Cleanup(stop)
	return stop
}

func (p *place) hook() models.ID {
	p.Helper()
	w, err := p.room.Save(p.ctx, webhooks.SaveInput{URL: "https://bss.example.net/events", Enabled: true, Secret: "a-webhook-secret-for-the-tests"})
	if err != nil {
		p.Fatal(err)
	}
	return w.ID
}

func (p *place) row(id models.ID) *models.Webhook {
	p.Helper()
	found, err := p.room.ByIDs(p.ctx, []models.ID{id})
	if err != nil {
		p.Fatal(err)
	}
	return found[id]
}

// happen appends n events, whose payloads count from first.
func (p *place) happen(first, n int) {
	p.Helper()
	err := p.store.InTx(p.ctx, func(tx *store.Tx) error {
		for i := range n {
			err := events.Append(tx, models.Event{Type: models.AccountChanged, Subject: models.Subject{Kind: models.KindAccount, ID: models.NewID()},
				Payload: models.DocOf(map[string]any{"code": "account.changed", "n": first + i})})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, p.log.Sequence(p.ctx)); err != nil {
		p.Fatal(err)
	}
}

func numbers(t *testing.T, d webhooks.Delivery) (list []int) {
	t.Helper()
	var body struct {
		Events []struct{ Payload struct{ N int } }
	}
	if err := json.Unmarshal(d.Body, &body); err != nil {
		t.Error(err)
	}
	for _, e := range body.Events {
		list = append(list, e.Payload.N)
	}
	return list
}

// A receiver that takes nothing is asked again, ever more seldom, for a day; then the webhook is given up, with an alarm, until somebody saves it.
func TestBackOffAndGiveUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		var mu sync.Mutex
		var asked []webhooks.Delivery
		answer := webhooks.Answer{StatusCode: 500}
		p := open(t, s, clock, func(_ context.Context, d webhooks.Delivery) (webhooks.Answer, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, d)
			return answer, nil
		})
		attempts := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(asked)
		}
		id := p.hook()
		p.run()
		p.happen(0, 1)
		storetest.Eventually(t, "the first attempt", func() bool {
			clock.Advance(10 * time.Millisecond) // the log polls, from any moment on
			return p.row(id).ConsecutiveFailures == 1
		})
		began := p.row(id).FailingSince
		next := func() *models.Webhook {
			t.Helper()
			before := p.row(id)
			wait := before.NextAttemptAt.Sub(clock.Now())
			clock.Advance(wait - time.Millisecond)
			if attempts() != int(before.ConsecutiveFailures) {
				t.Fatal("an attempt came before its time")
			}
			clock.Advance(time.Millisecond)
			storetest.Eventually(t, "the next attempt", func() bool {
				if p.row(id).Attempts > before.Attempts {
					return true
				}
				clock.Advance(time.Second / 10) // the poll begins to wait at any moment
				return false
			})
			return p.row(id)
		}
		for n := 2; n <= 8; n++ {
			longest := time.Second << (n - 2)
			if wait := p.row(id).NextAttemptAt.Sub(p.row(id).FailingSince); n == 2 && (wait < longest/2 || wait > longest) {
				t.Errorf("the second attempt comes after %v", wait)
			}
			if w := next(); w.ConsecutiveFailures != int64(n) {
				t.Fatalf("failure %d is number %d", n, w.ConsecutiveFailures)
			}
		}
		mu.Lock()
		answer = webhooks.Answer{StatusCode: 503, RetryAfter: 40 * time.Minute}
		mu.Unlock()
		w := next()
		if wait := w.NextAttemptAt.Sub(clock.Now()); wait < 38*time.Minute || wait > 40*time.Minute {
			t.Errorf("Retry-After of 40 minutes is heard as %v", wait)
		}
		mu.Lock()
		answer = webhooks.Answer{StatusCode: 502, RetryAfter: 20 * time.Hour}
		mu.Unlock()
		if wait := next().NextAttemptAt.Sub(clock.Now()); wait > time.Hour {
			t.Errorf("a receiver makes us wait for %v", wait)
		}
		mu.Lock()
		answer = webhooks.Answer{StatusCode: 500}
		mu.Unlock()
		for w = next(); w.Enabled; w = next() {
			if wait := w.NextAttemptAt.Sub(clock.Now()); wait > 15*time.Minute {
				t.Fatalf("attempt %d waits %v", w.ConsecutiveFailures, wait)
			}
		}
		if after := w.UpdatedAt.Sub(began); w.State() != models.WebhookGivenUp || w.Version != 2 || after < 24*time.Hour || after > 25*time.Hour {
			t.Errorf("given up after %v: %+v", after, w)
		}
		given := attempts()
		clock.Advance(time.Hour)
		p.happen(1, 1)
		mu.Lock()
		answer = webhooks.Answer{StatusCode: 200}
		mu.Unlock()
		w, err := p.room.Save(p.ctx, webhooks.SaveInput{ID: id, URL: w.URL, Enabled: true})
		if err != nil || w.State() != models.WebhookActive {
			t.Fatal(w, err)
		}
		storetest.Eventually(t, "it goes on", func() bool {
			return attempts() > given && p.row(id).ConsecutiveFailures == 0 && p.row(id).Attempts == int64(attempts())
		})
		mu.Lock()
		var heard []string
		for _, d := range asked[given:] {
			var body struct{ Events []webhooks.Event }
			if err := json.Unmarshal(d.Body, &body); err != nil {
				t.Error(err)
			}
			for _, e := range body.Events {
				heard = append(heard, fmt.Sprint(e.Type, " ", e.Payload["code"]))
			}
		}
		mu.Unlock()
		// It was given up once the events stood there, and its own alarm is among what it missed.
		want := []string{"ACCOUNT_CHANGED account.changed", "ALARM_RAISED webhook.given_up", "ACCOUNT_CHANGED account.changed"}
		if len(heard) < 3 || !slices.Equal(heard[:3], want) {
			t.Errorf("heard %q", heard)
		}
		page, err := p.room.Deliveries(p.ctx, id, store.Page{First: 3})
		if err != nil || !page.HasNext || page.Items[0].StatusCode != 200 {
			t.Errorf("%+v, %v", page, err)
		}
		lag, err := p.room.Lag(p.ctx, p.row(id))
		if err != nil || lag > 0 {
			t.Errorf("lag %v, %v", lag, err)
		}
	})
}

// One of several replicas delivers. One that stops in the middle and wakes up after its lease writes nothing.
func TestOverslept(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := database(t)
			slow, quick := storetest.NewClock(), storetest.NewClock()
			entered, wake := make(chan []int, 1), make(chan struct{})
			asleep := open(t, storetest.Open(t, url, slow), slow, func(_ context.Context, d webhooks.Delivery) (webhooks.Answer, error) {
				entered <- numbers(t, d)
				<-wake
				return webhooks.Answer{StatusCode: 200}, nil
			})
			taken := make(chan []int, 10)
			awake := open(t, storetest.Open(t, url, quick), quick, func(_ context.Context, d webhooks.Delivery) (webhooks.Answer, error) {
				taken <- numbers(t, d)
				return webhooks.Answer{StatusCode: 200}, nil
			})
			id := asleep.hook()
			asleep.happen(0, 3)
			stopAsleep := asleep.run()
			if got := <-entered; !slices.Equal(got, []int{0, 1, 2}) {
				t.Fatal(got)
			}
			fence := awake.row(id).Fence
			awake.run()
			quick.Advance(14 * time.Second)
			if w := awake.row(id); w.Fence != fence {
				t.Fatal("two deliver at a time")
			}
			awake.happen(3, 1)
			storetest.Eventually(t, "the other one takes over", func() bool {
				quick.Advance(time.Second)
				return awake.row(id).Attempts == 1
			})
			if got := <-taken; !slices.Equal(got, []int{0, 1, 2, 3}) {
				t.Fatal(got)
			}
			before := awake.row(id)
			close(wake)
			stopAsleep()
			if after := awake.row(id); after.AckedCursor != before.AckedCursor || after.Attempts != 1 || after.Fence != before.Fence {
				t.Errorf("%+v became %+v", before, after)
			}
			if n := asleep.room.Stats().Deliveries[webhooks.Delivered]; n != 1 {
				t.Errorf("%d deliveries were taken", n)
			}
		})
	}
}

// A long backlog goes in batches of bounded number and size, each event once; only so many attempts are kept; a stop keeps the place.
func TestBatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		var mu sync.Mutex
		var heard []int
		var largest int
		p := open(t, s, clock, func(_ context.Context, d webhooks.Delivery) (webhooks.Answer, error) {
			mu.Lock()
			defer mu.Unlock()
			list := numbers(t, d)
			heard, largest = append(heard, list...), max(largest, len(list))
			if len(d.Body) > 1<<20+100 {
				t.Errorf("a body of %d bytes", len(d.Body))
			}
			return webhooks.Answer{StatusCode: 202}, nil
		})
		id := p.hook()
		p.happen(0, 600)
		err := s.InTx(p.ctx, func(tx *store.Tx) error {
			for i := range 40 { // 60 KiB each
				err := events.Append(tx, models.Event{Type: models.AccountChanged, Subject: models.Platform,
					Payload: models.DocOf(map[string]any{"code": "account.changed", "n": 600 + i, "long": strings.Repeat("x", 60<<10)})})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, p.log.Sequence(p.ctx)); err != nil {
			t.Fatal(err)
		}
		if lag, err := p.room.Lags(p.ctx); err != nil || len(lag) != 1 {
			t.Errorf("%v, %v", lag, err)
		}
		stop := p.run()
		count := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(heard)
		}
		storetest.Eventually(t, "everything is taken", func() bool { return count() == 640 })
		stop()
		for i, n := range heard {
			if i != n {
				t.Fatalf("%d came as number %d", n, i)
			}
		}
		if largest != 256 {
			t.Errorf("the largest batch has %d events", largest)
		}
		if w := p.row(id); w.LeaseUntil != 0 {
			t.Error("a stop keeps the lease")
		}
		begun := p.run()
		p.happen(640, 1)
		storetest.Eventually(t, "it goes on where it stopped", func() bool {
			clock.Advance(time.Second)
			return count() == 641
		})
		begun()
	})
}

// What the receiver waited for is no longer kept, or the database was restored: waiting is of no use.
func TestGoneAndRestored(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		p := open(t, s, clock, func(context.Context, webhooks.Delivery) (webhooks.Answer, error) {
			return webhooks.Answer{StatusCode: 200}, nil
		})
		id := p.hook()
		p.happen(0, 3)
		exec := func(statement string) {
			t.Helper()
			if err := s.InTx(p.ctx, func(tx *store.Tx) error { return tx.DB.Exec(statement).Error }); err != nil {
				t.Fatal(err)
			}
		}
		exec("DELETE FROM events WHERE position <= 2")
		p.run()
		gaveUp := func(reason string) {
			t.Helper()
			storetest.Eventually(t, "it is given up: "+reason, func() bool { return p.row(id).State() == models.WebhookGivenUp })
			if err := p.log.Sequence(p.ctx); err != nil {
				t.Fatal(err)
			}
			b, err := p.log.Read(p.ctx, events.Filter{Types: []models.EventType{models.AlarmRaised}}, "", 10)
			if err != nil || len(b.Events) == 0 {
				t.Fatal(b, err)
			}
			if last := b.Events[len(b.Events)-1].PublicPayload(); last["reason"] != reason || last["webhook"] != (models.Subject{Kind: models.KindWebhook, ID: id}).GlobalID() {
				t.Errorf("%v", last)
			}
			if lag, err := p.room.Lag(p.ctx, p.row(id)); err != nil || lag != 0 {
				t.Errorf("lag %v, %v", lag, err)
			}
		}
		gaveUp("RETENTION")
		again := func() {
			t.Helper()
			_, err := p.room.Rewind(p.ctx, webhooks.RewindInput{ID: id})
			if err == nil {
				_, err = p.room.Save(p.ctx, webhooks.SaveInput{ID: id, URL: "https://bss.example.net/events", Enabled: true})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		again()
		storetest.Eventually(t, "it goes on", func() bool { return p.row(id).Attempts > 1 && p.row(id).ConsecutiveFailures == 0 })
		exec("UPDATE log_head SET epoch = 2")
		_, err := p.room.Save(p.ctx, webhooks.SaveInput{ID: id, URL: "https://bss.example.net/other", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		gaveUp("RESTORED")
		again()
	})
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
		"255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1",
		"fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1",
	} {
		if webhooks.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as public", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.255.255",
		"192.169.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2400:3200::1"} {
		if !webhooks.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s does not count as public", text)
		}
	}
	if webhooks.Public(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}
