package server

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

func TestLimitsAtL0(t *testing.T) {
	t.Parallel()
	limited := func(c *Config) { c.Limits = Limits{L0PerMinuteIP: 3, L0PerSecond: 5} }
	d := open(t, limited)
	bound := inform("bound", "1 BOOT")
	d.know(bound)
	one := func(m *cwmp.Inform) int { return d.client().send(m).StatusCode }
	for range 3 {
		if status := one(inform("1", "1 BOOT")); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	d.client().send(inform("1", "1 BOOT")).is(t, http.StatusServiceUnavailable)
	d.client().send(generic(inform("1", "1 BOOT"))).is(t, http.StatusServiceUnavailable)
	if status := one(bound); status != 200 {
		t.Errorf("a bound device: status %d", status)
	}
	d.clock.advance(time.Minute)
	if status := one(inform("1", "1 BOOT")); status != 200 {
		t.Errorf("a minute later: status %d", status)
	}

	d = open(t, limited, lab) // loopback does not count there
	for range 10 {
		if status := one(inform("1", "1 BOOT")); status != 200 {
			t.Fatalf("in lab mode: status %d", status)
		}
	}

	d = open(t, func(c *Config) { c.Limits.L0PerSecond = 2 })
	one(inform("1", "1 BOOT"))
	one(inform("2", "1 BOOT"))
	d.client().send(inform("3", "1 BOOT")).is(t, http.StatusServiceUnavailable)

	d = open(t, func(c *Config) { c.Blocked = func(ip string) bool { return ip == "127.0.0.1" } })
	d.know(bound)
	d.client().send(inform("1", "1 BOOT")).is(t, http.StatusServiceUnavailable)
	d.client().send(bound).is(t, http.StatusServiceUnavailable) // it is the event that is at L0
	d.begin(d.client(), inform("bound", "2 PERIODIC"))
}

// Heartbeats that come too often are answered and left (resolutions 12).
func TestHeartbeatFlood(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) { c.Limits.HeartbeatSeconds = 30 })
	m := inform("1", "2 PERIODIC")
	row := d.know(m)
	c := d.client()
	x := d.begin(c, m)
	c.empty().is(t, http.StatusNoContent)
	beat := func(codes ...string) (arrived bool) {
		t.Helper()
		before := d.clients.count()
		c.send(inform("1", codes...), x.sign).has(t, "InformResponse")
		c.empty().is(t, http.StatusNoContent)
		return d.clients.count() > before
	}
	if beat("2 PERIODIC") {
		t.Error("the second heartbeat arrived")
	}
	if !beat("2 PERIODIC", "4 VALUE CHANGE") || !beat("1 BOOT") {
		t.Error("something else than a heartbeat did not arrive")
	}
	worked := *row
	worked.WorkAt = d.clock.Now()
	d.devices.put(&worked, models.HTTPCredentials{Current: ha1(password)})
	if !beat("2 PERIODIC") {
		t.Error("work waits, and the heartbeat did not arrive")
	}
	worked.WorkAt = d.clock.Now().Add(time.Hour)
	if beat("2 PERIODIC") {
		t.Error("work is not due, and the heartbeat arrived")
	}
	d.clock.advance(30 * time.Second)
	d.clients.fail(errors.New("torn"))
	c.send(m, x.sign).is(t, http.StatusServiceUnavailable)
	d.clients.fail(nil)
	if !beat("2 PERIODIC") {
		t.Error("a heartbeat that failed was counted")
	}
	if s := d.Stats(); s.Floods != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestWindowsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWindows[int](time.Minute, 1, 10)
	now := newFakeClock().Now()
	for i := range 1000 {
		if w.take(i, now) > 0 {
			t.Fatal("limited at the first time")
		}
	}
	if len(w.now)+len(w.before) > 20 {
		t.Errorf("%d + %d keys are kept", len(w.now), len(w.before))
	}
	if w.take(1, now.Add(59*time.Second)) != time.Second {
		t.Error("not limited within the minute")
	}
	w.take(2000, now.Add(time.Minute))
	if w.take(1, now.Add(time.Minute)) > 0 {
		t.Error("limited after the minute")
	}
}

// After an operator set the clock back by an hour, devices were silent for an hour: their windows lay in the future.
func TestAClockSetBackLimitsNobody(t *testing.T) {
	t.Parallel()
	w, at := newWindows[string](time.Minute, 1, 10), models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC))
	if wait := w.take("device", at); wait != 0 {
		t.Fatalf("the first one waits %s", wait)
	}
	if wait := w.take("device", at.Add(time.Second)); wait != 59*time.Second {
		t.Fatalf("the second one waits %s", wait)
	}
	if wait := w.take("device", at.Add(-time.Hour)); wait != 0 {
		t.Errorf("after the step it waits %s", wait)
	}
	if wait := w.take("device", at.Add(time.Second-time.Hour)); wait != 59*time.Second {
		t.Errorf("and is then limited for %s", wait)
	}
}
