package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// brokenClock is a bug in the rules behind the south door: once armed, the next session that asks for the time panics, with a secret in its mouth.
type brokenClock struct {
	models.SystemClock
	armed atomic.Bool
}

const panicked = "Grey-Kite-47!"

func (c *brokenClock) Now() models.Time {
	if c.armed.Load() && strings.Contains(string(debug.Stack()), "acs/session.(*Session)") && c.armed.CompareAndSwap(true, false) {
		panic(fmt.Errorf("the password is %s", panicked))
	}
	return c.SystemClock.Now()
}

// A session that panics ends alone: its client is told and comes again, a session that is open goes on, the panic is counted, and the log has one
// line about it that tells where it was and no secret.
func TestAPanicEndsItsSessionAlone(t *testing.T) { // not parallel: it reads the log of the process
	log, clock := record(t), &brokenClock{}
	p := startPlatformAt(t, labConfig(t, storetest.SQLite(t), nil), clock)
	_, msisdn, mobile := p.provision(nil)
	victim := p.client(msisdn, nil)
	_, otherMsisdn, otherMobile := p.provision(nil)
	other := p.client(otherMsisdn, nil)

	hit := false
	p.observe(other, func(sim.Exchange) error {
		if hit {
			return nil
		}
		hit = true
		clock.armed.Store(true)
		if outcome, err := victim.GetPassword(t.Context()); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("the client was told %+v, %v", outcome, err)
		}
		return nil
	})
	p.login(other, otherMobile)
	if !hit || clock.armed.Load() {
		t.Fatal("nothing panicked")
	}
	p.login(victim, mobile)
	if n := metric(t, p.scrape(), "softacs_cwmp_panics_total"); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	var told []map[string]any
	for line := range strings.Lines(log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry["level"] == "ERROR" {
			told = append(told, entry)
		}
	}
	if len(told) != 1 || told[0]["msg"] != "panic in a cwmp session" || !strings.Contains(fmt.Sprint(told[0]["stack"]), "brokenClock") {
		t.Errorf("the log has the errors %v", told)
	}
	for _, secret := range []string{panicked, victim.Remembered().Reveal(), victim.Get("managementServer.password")} {
		if secret == "" || strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}
