package events_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// TestMain finds out whether anything is left running once all is closed, but for what GORM never ends: a loop of each store's statement cache.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// reader is a follower that waits for what it is woken for.
type reader struct {
	*events.Follower
	t    *testing.T
	woke chan struct{}
}

func follow(t *testing.T, l *events.Log, ctx context.Context, f events.Filter, after string) *reader {
	t.Helper()
	r := &reader{t: t, woke: make(chan struct{}, 1)}
	var err error
	r.Follower, err = l.Follow(ctx, f, after, func() {
		select {
		case r.woke <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// next returns the next events, or the error that ends the follower.
func (r *reader) next() ([]*events.Entry, error) {
	r.t.Helper()
	deadline := time.After(time.Minute)
	for {
		entries, err := r.Next(r.t.Context())
		if len(entries) > 0 || err != nil {
			return entries, err
		}
		select {
		case <-r.woke:
		case <-deadline:
			r.t.Error("nothing came")
			return nil, context.DeadlineExceeded
		}
	}
}

// until collects cursors until that of the last event comes.
func (r *reader) until(last func(e *events.Entry) bool) (cursors []string) {
	for {
		entries, err := r.next()
		if err != nil {
			r.t.Error(err)
			return cursors
		}
		for _, e := range entries {
			if cursors = append(cursors, e.Cursor); last(e) {
				return cursors
			}
		}
	}
}

func running(t *testing.T, l *events.Log) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { l.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
}

func isLast(e *events.Entry) bool { return e.Payload.V["code"] == "last" }

// Whoever follows while others write, from wherever and however often it begins anew, sees what Read shows: no gap, no reorder.
func TestFollowersMissNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		running(t, log)
		var writers, readers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for i := range 60 {
					err := s.InTx(ctx, func(tx *store.Tx) error {
						for n := range 1 + i%3 {
							if err := appendIn(tx, fmt.Sprintf("%d.%d.%d", w, i, n), []string{"east", "west", ""}[i%3]); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		east := events.Filter{Regions: []string{"east"}}
		seen := make([][]string, 6)
		for i := range seen {
			r := follow(t, log, ctx, events.Filter{}, "")
			if i == 5 {
				r = follow(t, log, ctx, east, "")
			}
			readers.Go(func() {
				if i%2 == 1 { // one that stays
					seen[i] = r.until(isLast)
					return
				}
				random, last := rand.New(rand.NewPCG(uint64(i), 1)), ""
				for { // one that goes away after some events, and comes again after the last it wants to have seen
					some := 1 + random.IntN(40)
					r := follow(t, log, ctx, events.Filter{}, last)
					found := r.until(func(e *events.Entry) bool { some--; return some == 0 || isLast(e) })
					r.Close()
					seen[i] = append(seen[i], found...)
					last = found[len(found)-1]
					if all := read(t, log, ctx, last, 1); len(all.Events) == 0 && slices.Contains(codes(read(t, log, ctx, "", 1000)), "last") {
						return
					}
				}
			})
		}
		writers.Wait()
		if err := append1(ctx, s, "last", "east"); err != nil {
			t.Fatal(err)
		}
		readers.Wait()
		whole := read(t, log, ctx, "", 1000).Cursors
		part, err := log.Read(ctx, east, "", 1000)
		if err != nil || len(whole) != 4*60*2+1 {
			t.Fatal(len(whole), err)
		}
		for i, cursors := range seen {
			want := whole
			if i == 5 {
				want = part.Cursors
			}
			if !slices.Equal(cursors, want) {
				t.Errorf("follower %d saw %d events, the log has %d, or in another order", i, len(cursors), len(want))
			}
		}
	})
}

// A follower that does not read for so long that memory has gone on catches up from the database and holds up nobody.
func TestASlowFollowerFallsBackToTheDatabase(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := storetest.Open(t, storetest.SQLite(t), clock)
	ctx, log := storetest.As(t), events.New(s, clock)
	running(t, log)
	slow, quick := follow(t, log, ctx, events.Filter{}, ""), follow(t, log, ctx, events.Filter{}, "")
	if err := append1(ctx, s, "first", ""); err != nil {
		t.Fatal(err)
	}
	if e, err := slow.next(); err != nil || len(e) != 1 {
		t.Fatal(e, err)
	}
	for range 10 {
		err := s.InTx(ctx, func(tx *store.Tx) error {
			for range 500 {
				if err := appendIn(tx, "x", ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := append1(ctx, s, "last", ""); err != nil {
		t.Fatal(err)
	}
	all, rest := quick.until(isLast), slow.until(isLast)
	if len(all) != 5002 || !slices.Equal(all[1:], rest) {
		t.Errorf("the quick one saw %d, the slow one %d more", len(all), len(rest))
	}
}

// What a filter lets through in memory is what it lets through in SQL.
func TestFollowersFilterLikeReaders(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		running(t, log)
		ids := []models.ID{models.NewID(), models.NewID(), {}}
		types := []models.EventType{models.AccountChanged, models.DeviceInform, models.TaskStateChanged}
		kinds := []models.ClientType{models.PC, models.Mobile, ""}
		regions := []string{"east", "East", "", "west"}
		random := rand.New(rand.NewPCG(7, 7))
		type following struct {
			ctx    context.Context
			filter events.Filter
			reader *reader
		}
		var all []following
		for _, f := range []events.Filter{
			{}, {Types: types[:2]}, {Subjects: ids[:1]}, {ClientTypes: kinds[:1]}, {Accounts: ids[1:2]}, {Devices: ids[:2]}, {Regions: regions[:1]},
			{Types: types[1:], Devices: ids[:1], Regions: regions[1:]}, {Regions: []string{"east", "none"}},
		} {
			for _, ctx := range []context.Context{ctx, storetest.In(t, []string{"east", "west"}, models.EventRead)} {
				f := f
				all = append(all, following{ctx, f, follow(t, log, ctx, f, "")})
				for _, r := range all[len(all)-1:] { // nothing left: from here on it is memory that they read
					if entries, err := r.reader.Next(ctx); len(entries) > 0 || err != nil {
						t.Fatal(entries, err)
					}
				}
			}
		}
		err := s.InTx(ctx, func(tx *store.Tx) error {
			for range 120 {
				err := events.Append(tx, models.Event{
					Type: types[random.IntN(3)], Subject: models.Subject{Kind: models.KindAccount, ID: ids[random.IntN(2)]}, AccountID: ids[random.IntN(3)],
					DeviceID: ids[random.IntN(3)], ClientType: kinds[random.IntN(3)], Region: regions[random.IntN(4)],
					Payload: models.DocOf(map[string]any{"code": "x"}),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Eventually(t, "all are numbered", func() bool { return len(read(t, log, ctx, "", 200).Events) == 120 })
		for i, one := range all {
			want, err := log.Read(one.ctx, one.filter, "", 200)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for len(got) < len(want.Cursors) {
				entries, err := one.reader.next()
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					got = append(got, e.Cursor)
				}
			}
			if !slices.Equal(got, append([]string{}, want.Cursors...)) {
				t.Errorf("%d: %+v: memory has %d, SQL %d", i, one.filter, len(got), len(want.Cursors))
			}
		}
	})
}

func TestFollowersGoByTheRightsOfNow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		running(t, log)
		r := follow(t, log, storetest.In(t, []string{"east"}, models.EventRead), events.Filter{}, "")
		if _, err := log.Follow(storetest.As(t, models.AccountRead), events.Filter{}, "", func() {}); models.CodeOf(err) != models.Forbidden {
			t.Error("without EVENT_READ:", err)
		}
		if _, err := log.Follow(ctx, events.Filter{Regions: make([]string, 501)}, "", func() {}); models.CodeOf(err) != models.BadUserInput {
			t.Error("a long filter:", err)
		}
		in := func(code, region string) {
			t.Helper()
			if err := append1(ctx, s, code, region); err != nil {
				t.Fatal(err)
			}
		}
		in("not yet", "west")
		in("east", "east")
		if e, err := r.next(); err != nil || e[0].Payload.V["code"] != "east" {
			t.Fatal(e, err)
		}
		r.As(models.Actor{Grants: []models.Grant{{Permissions: []models.Permission{models.EventRead}, Regions: []string{"west"}}}})
		in("no more", "east")
		in("west", "west")
		if e, err := r.next(); err != nil || e[0].Payload.V["code"] != "west" {
			t.Fatal(e, err)
		}
		r.As(models.Actor{})
		if e, err := r.next(); models.CodeOf(err) != models.Forbidden {
			t.Error(e, err)
		}
	})
}

func TestFollowersHearWhatIsGone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		running(t, log)
		r := follow(t, log, ctx, events.Filter{}, "")
		for i := range 5 {
			if err := append1(ctx, s, fmt.Sprint(i), ""); err != nil {
				t.Fatal(err)
			}
		}
		cursors := r.until(func(e *events.Entry) bool { return e.Payload.V["code"] == "4" })
		change := func(statement string) {
			t.Helper()
			if err := s.InTx(ctx, func(tx *store.Tx) error { return tx.DB.Exec(statement).Error }); err != nil {
				t.Fatal(err)
			}
		}
		change("DELETE FROM events WHERE position <= 3")
		_, err := log.Follow(ctx, events.Filter{}, cursors[1], func() {})
		expired, ok := err.(*models.Error)
		if !ok || expired.Code != models.CursorExpired || expired.Horizon != cursors[2] || expired.Reason != "RETENTION" {
			t.Errorf("before the horizon: %#v", err)
		}
		later := follow(t, log, ctx, events.Filter{}, cursors[2])
		if e, err := later.next(); err != nil || e[0].Cursor != cursors[3] {
			t.Error("at the horizon:", e, err)
		}
		change("UPDATE log_head SET epoch = epoch + 1")
		if err := append1(ctx, s, "restored", ""); err != nil {
			t.Fatal(err)
		}
		if e, err := r.next(); models.CodeOf(err) != models.Unavailable {
			t.Error("after a restore:", e, err)
		}
		_, err = log.Follow(ctx, events.Filter{}, cursors[4], func() {})
		if expired, ok := err.(*models.Error); !ok || expired.Code != models.CursorExpired || expired.Reason != "RESTORED" {
			t.Errorf("a cursor from before the restore: %#v", err)
		}
	})
}

// Another process gives the positions; this one polls.
func TestFollowersOfAnotherProcess(t *testing.T) {
	t.Parallel()
	url, clock := storetest.MariaDB(t), storetest.NewClock()
	s, other := storetest.Open(t, url, clock), storetest.Open(t, url, clock)
	ctx, log, writer := storetest.As(t), events.New(s, clock), events.New(other, clock)
	running(t, log)
	r := follow(t, log, ctx, events.Filter{}, "")
	if err := append1(ctx, other, "elsewhere", ""); err != nil {
		t.Fatal(err)
	}
	if err := writer.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var moving sync.WaitGroup
	moving.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				clock.Advance(time.Second)
			}
		}
	})
	e, err := r.next()
	close(stop)
	moving.Wait()
	if err != nil || e[0].Payload.V["code"] != "elsewhere" {
		t.Error(e, err)
	}
}
