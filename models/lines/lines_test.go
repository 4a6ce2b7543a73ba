package lines_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models/lines"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

type setup struct {
	*testing.T
	*lines.Room
	clock *storetest.Clock
}

const (
	maxAge = time.Hour
	most   = 6
)

func open(t *testing.T, s *store.Store, clock *storetest.Clock) *setup {
	return &setup{T: t, Room: lines.New(s, lines.Config{MaxAge: maxAge, Max: most}), clock: clock}
}

// report is one of the session of bras, delayed by so long.
func (s *setup) report(kind lines.Kind, bras, session, account string, late time.Duration, networks ...string) lines.Report {
	r := lines.Report{Kind: kind, Server: sha256.Sum256([]byte(bras)), Session: sha256.Sum256([]byte(bras + session)), Account: account, At: s.clock.Now().Add(-late)}
	for _, text := range networks {
		r.Networks = append(r.Networks, netip.MustParsePrefix(text))
	}
	return r
}

func (s *setup) take(reports ...lines.Report) {
	s.Helper()
	taken, err := s.Take(s.Context(), reports)
	if err != nil || slices.Contains(taken, false) {
		s.Fatalf("%v, %v", taken, err)
	}
}

// is checks whose line an address is on, "" for nobody's.
func (s *setup) is(addr, want string) {
	s.Helper()
	account, known, err := s.Account(s.Context(), netip.MustParseAddr(addr))
	if err != nil || account != want || known != (want != "") {
		s.Errorf("%s is %q (%v), %v; %q was expected", addr, account, known, err, want)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store, clock *storetest.Clock) {
		s := open(t, st, clock)
		second := func() { clock.Advance(time.Second) }
		const v4, v6 = "100.64.1.2/32", "2001:db8:0:700::/56"

		// A session begins, goes on with another address, and ends: without a word of which.
		s.is("100.64.1.2", "")
		s.take(s.report(lines.Started, "bras", "1", "line a", 0, v4))
		s.is("100.64.1.2", "line a")
		s.is("100.64.1.3", "")
		s.is("::ffff:100.64.1.2", "line a")
		second()
		s.take(s.report(lines.Going, "bras", "1", "line a", 0, v4, v6))
		s.is("2001:db8:0:7ff::1", "line a")
		s.is("2001:db8:0:800::1", "")
		second()
		s.take(s.report(lines.Ended, "bras", "1", "", 0))
		s.is("100.64.1.2", "")
		s.is("2001:db8:0:7ff::1", "")
		// It does not begin again, however late its reports come.
		s.take(s.report(lines.Going, "bras", "1", "line a", time.Second, v4))
		second()
		s.take(s.report(lines.Started, "bras", "1", "line a", 0, v4))
		s.is("100.64.1.2", "")

		// The address goes to another line. What is late or of the former session changes nothing, nor does a repetition.
		next := s.report(lines.Started, "bras", "2", "line b", 0, v4)
		s.take(next)
		s.take(next, next)
		second()
		s.take(s.report(lines.Started, "bras", "0", "line of old", time.Minute, v4), s.report(lines.Ended, "bras", "1", "line a", 0, v4))
		s.is("100.64.1.2", "line b")
		// An end that is faster than its beginning.
		s.take(s.report(lines.Ended, "bras", "9", "line z", 0, "100.64.9.9/32"))
		second()
		s.take(s.report(lines.Started, "bras", "9", "line z", 2*time.Second, "100.64.9.9/32"), s.report(lines.Going, "bras", "9", "line z", 0, "100.64.9.9/32"))
		s.is("100.64.9.9", "")
		// An end within a batch is an end before what follows.
		s.take(s.report(lines.Ended, "bras", "2", "", 0), s.report(lines.Started, "bras", "3", "line c", 0, v4))
		s.is("100.64.1.2", "line c")
		s.take(s.report(lines.Started, "bras", "4", "line d", 0, v6), s.report(lines.Ended, "bras", "4", "", 0))
		s.is("2001:db8:0:7ff::1", "")

		// The narrowest network counts.
		second()
		s.take(s.report(lines.Started, "bras", "5", "line e", 0, v6), s.report(lines.Started, "bras", "6", "line f", 0, "2001:db8:0:7aa::/64"))
		s.is("2001:db8:0:7aa::1", "line f")
		s.is("2001:db8:0:7ab::1", "line e")

		// An access server begins anew: its lines are over, those of others are not; what comes after it counts, what was before does not.
		s.take(s.report(lines.Started, "other", "1", "line g", 0, "100.64.5.5/32"))
		second()
		s.take(s.report(lines.Reset, "bras", "", "", 0))
		for _, addr := range []string{"100.64.1.2", "2001:db8:0:7aa::1", "2001:db8:0:7ab::1"} {
			s.is(addr, "")
		}
		s.is("100.64.5.5", "line g")
		s.take(s.report(lines.Started, "bras", "3", "line c", time.Second, v4))
		s.is("100.64.1.2", "")
		s.take(s.report(lines.Started, "bras", "7", "line h", 0, v4)) // within the millisecond of the reset
		s.is("100.64.1.2", "line h")
		second()
		s.take(s.report(lines.Reset, "bras", "", "", time.Minute)) // late: there was a newer one
		s.is("100.64.1.2", "line h")
		s.take(s.report(lines.Reset, "bras", "", "", 0), s.report(lines.Started, "bras", "8", "line i", 0, v4))
		s.is("100.64.1.2", "line i")

		// Nobody is forgotten who is heard of, and everybody else is.
		clock.Advance(maxAge - time.Second)
		s.is("100.64.1.2", "line i")
		s.take(s.report(lines.Going, "other", "1", "line g", 0, "100.64.5.5/32"))
		clock.Advance(2 * time.Second)
		s.is("100.64.1.2", "")
		s.is("100.64.5.5", "line g")
		if err := s.Clean(t.Context()); err != nil || s.Known() != 1 {
			t.Errorf("%d lines are left, %v", s.Known(), err)
		}
		s.is("100.64.5.5", "line g")
		// Another process, or this one again, knows what was told before.
		again := open(t, st, clock)
		again.is("100.64.5.5", "line g")
	})
}

func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store, clock *storetest.Clock) {
		s := open(t, st, clock)
		address := func(n int) string { return fmt.Sprintf("100.64.0.%d/32", n) }
		var reports []lines.Report
		for n := range most + 2 {
			reports = append(reports, s.report(lines.Started, "bras", fmt.Sprint(n), fmt.Sprint("line ", n), 0, address(n)))
		}
		taken, err := s.Take(t.Context(), reports)
		if err != nil || !slices.Equal(taken, []bool{true, true, true, true, true, true, false, false}) || s.Known() != most {
			t.Fatalf("%v, %v, %d", taken, err, s.Known())
		}
		s.is("100.64.0.6", "")
		clock.Advance(time.Minute)
		s.take(s.report(lines.Going, "bras", "0", "line 0", 0, address(0))) // those that are known go on
		if taken, err := s.Take(t.Context(), reports[6:7]); err != nil || taken[0] {
			t.Errorf("%v, %v", taken, err)
		}
		clock.Advance(maxAge)
		if err := s.Clean(t.Context()); err != nil || s.Known() != 0 {
			t.Fatalf("%d lines are left, %v", s.Known(), err)
		}
		s.take(s.report(lines.Started, "bras", "6", "line 6", 0, address(6)))
	})
}

// Replicas take reports of the same addresses at the same time.
func TestLinesOfSeveralReplicas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store, clock *storetest.Clock) {
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				s := open(t, st, clock)
				for i := range 5 {
					reports := []lines.Report{
						s.report(lines.Started, "bras", "1", "line a", 0, "100.64.0.1/32", "2001:db8::/64"),
						s.report(lines.Going, "bras", "2", "line b", 0, "100.64.0.2/32"), s.report(lines.Ended, "bras", fmt.Sprint(n, i), "", 0),
					}
					if n%2 == 1 {
						slices.Reverse(reports)
					}
					if _, err := s.Take(t.Context(), reports); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		s := open(t, st, clock)
		s.is("100.64.0.1", "line a")
		s.is("100.64.0.2", "line b")
		s.is("2001:db8::9", "line a")
	})
}

func TestNetworksOfALine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"100.64.0.1/32": true, "100.64.0.0/31": false, "0.0.0.0/32": false, "0.0.0.0/0": false, "224.0.0.1/32": false, "127.0.0.1/32": true,
		"2001:db8::/48": true, "2001:db8::/47": false, "2001:db8::1/128": true, "::/0": false, "::/128": false, "ff02::1/128": false, "::ffff:1.2.3.4/128": false,
	} {
		if got := lines.Fits(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if lines.Fits(netip.Prefix{}) {
		t.Error("no network")
	}
}
