package clients_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

const (
	loginID = "softClient.loginSessionId"
	why     = "softClient.logoffReason"
)

// online is a client whose next session owes nothing.
func (h *house) online() *client {
	h.Helper()
	c := h.client(h.provision())
	if o := c.register(); o.Result != models.ResultOK {
		h.Fatalf("%+v", o)
	}
	first := c.heartbeat()
	c.play(h.Context(), c.arrive(h.Context(), first, models.L1), first)
	return c
}

// logoff is the Inform of a LOGOFF with other events beside it.
func (c *client) logoff(session, reason string, others ...models.EventName) *models.Inform {
	in := c.inform(models.EventLogoff, map[string]string{loginID: session, why: reason, "softClient.onlineStatus": "Offline"})
	in.Events[0].Vendor = true
	for _, name := range others {
		in.Events = append(in.Events, models.InformEvent{Name: name, Vendor: name == models.EventStatistics})
	}
	return in
}

// told are the events about the client's presence.
func (c *client) told() (list []string) {
	c.Helper()
	id := c.row().ID
	err := c.store.View(c.Context(), func(tx *store.Tx) error {
		found, err := gorm.G[models.Event](tx.DB).Where("device_id = ?", id).Order("n").Find(tx.Context())
		for _, e := range found {
			if code := fmt.Sprint(e.Payload.V["code"]); e.Type == models.DeviceReachabilityChanged || strings.HasPrefix(code, "client.logoff") {
				line := code
				if reason, ok := e.Payload.V["reason"]; ok {
					line += " " + fmt.Sprint(reason)
				}
				list = append(list, line)
			}
		}
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
	return list
}

func TestLogoff(t *testing.T) {
	each(t, nil, func(h *house) {
		for _, test := range []struct {
			name, session, reason string
			others                []models.EventName
			want                  models.Reachability
			logout                string
			told                  string // after client.online
		}{
			{name: "of the current login", session: "own", reason: "UserExit", want: models.Offline, logout: "UserExit", told: "client.offline UserExit"},
			{name: "without a login", reason: "SystemShutdown", want: models.Offline, logout: "SystemShutdown", told: "client.offline SystemShutdown"},
			{name: "with a heartbeat", session: "own", reason: "Upgrade", others: []models.EventName{models.EventPeriodic}, want: models.Offline, logout: "Upgrade", told: "client.offline Upgrade"},
			{name: "with statistics", session: "own", reason: "Kicked", others: []models.EventName{models.EventStatistics}, want: models.Offline, logout: "Kicked", told: "client.offline Kicked"},
			{name: "of another login", session: "other", reason: "UserExit", want: models.Online, told: "client.logoff_stale UserExit"},
			{name: "undelivered until the next start", session: "next", reason: "UserExit", others: []models.EventName{models.EventBoot}, want: models.Online, told: "client.logoff_stale UserExit"},
			{name: "with a word of its own", session: "own", reason: "battery low", want: models.Offline, logout: "battery low", told: "client.offline battery low"},
			{name: "with too many words", session: "own", reason: strings.Repeat("x", 40), want: models.Offline, logout: strings.Repeat("x", 32), told: "client.offline " + strings.Repeat("x", 32)},
			{name: "with what cannot be shown", session: "own", reason: "再见", want: models.Offline, logout: "Other", told: "client.offline Other"},
			{name: "with the platform's reason", session: "own", reason: "HeartbeatLost", want: models.Offline, logout: "Other", told: "client.offline Other"},
			{name: "without reason", session: "own", want: models.Offline, logout: "Other", told: "client.offline Other"},
		} {
			c := h.online()
			session := test.session
			if session == "own" {
				session = c.held[loginID]
			}
			h.clock.Advance(time.Minute)
			in := c.logoff(session, test.reason, test.others...)
			c.play(h.Context(), c.arrive(h.Context(), in, models.L1), in)
			d := c.row()
			if d.Reachability != test.want || d.LogoutReason != test.logout || d.LogoutAt.IsZero() != (test.logout == "") {
				h.Errorf("%s: %s, %q at %s", test.name, d.Reachability, d.LogoutReason, d.LogoutAt)
			}
			if login := d.LoginSessionID; (login == c.held[loginID]) == (test.session == "next") {
				h.Errorf("%s: the login is %s", test.name, login)
			}
			if told := c.told(); !slices.Equal(told, []string{"client.online", test.told}) {
				h.Errorf("%s: %q", test.name, told)
			}
			if err := c.Devices.Flush(h.Context()); err != nil {
				h.Fatal(err)
			}
			p, err := c.Devices.PresenceByIDs(h.Context(), []models.ID{d.ID})
			if err != nil || p[d.ID].LastInformAt != h.clock.Now() || p[d.ID].ExpiresAt.IsZero() != (test.want == models.Offline) {
				h.Errorf("%s: %+v, %v", test.name, p, err)
			}
		}
	})
}

// Nothing is asked of a client that goes, whatever waits for it; and it is gone at its Inform, before any empty POST.
func TestNothingIsAskedOfAClientThatGoes(t *testing.T) {
	each(t, nil, func(h *house) {
		for _, others := range [][]models.EventName{nil, {models.EventPeriodic}, {models.EventStatistics}} {
			c := h.online()
			err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
				if err := devices.SetReauth(tx, c.row().ID, true); err != nil {
					return err
				}
				return devices.SetWork(tx, c.row().ID, tx.Now)
			})
			if err != nil {
				h.Fatal(err)
			}
			v := c.arrive(h.Context(), c.logoff(c.held[loginID], "UserExit", others...), models.L1)
			if d := c.row(); d.Reachability != models.Offline {
				h.Errorf("%v: %s after the Inform", others, d.Reachability)
			}
			r, err := v.Next(h.Context())
			if statistics := slices.Contains(others, models.EventStatistics); err != nil || (r != nil) != statistics {
				h.Errorf("%v: asked %+v, %v", others, r, err)
			}
			v.End(h.Context(), nil)
		}
		stranger := h.client(nil)
		v := stranger.arrive(h.Context(), stranger.logoff("x", "UserExit"), models.L0)
		if r, err := v.Next(h.Context()); r != nil || err != nil {
			h.Errorf("a stranger is asked %+v, %v", r, err)
		}
	})
}

// A client that did not hear the InformResponse says it again: that costs the look-up and changes nothing. The next session brings it back with
// its login; a login that an operator ended stays ended.
func TestLogoffAgainAndBack(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.online()
		bye := c.logoff(c.held[loginID], "UserExit")
		c.arrive(h.Context(), bye, models.L1)
		left := c.row().LogoutAt
		for range 3 {
			h.clock.Advance(10 * time.Second)
			ctx, n := store.CountStatements(h.Context())
			c.arrive(ctx, bye, models.L1)
			if n.Load() != 1 {
				h.Errorf("a repeated LOGOFF took %d statements", n.Load())
			}
		}
		if told := c.told(); !slices.Equal(told, []string{"client.online", "client.offline UserExit"}) || c.row().LogoutAt != left {
			h.Errorf("%q, left at %s", told, c.row().LogoutAt)
		}
		in := c.heartbeat()
		c.play(h.Context(), c.arrive(h.Context(), in, models.L1), in)
		if d := c.row(); d.Reachability != models.Online || !d.LogoutAt.IsZero() || d.LogoutReason != "" {
			h.Errorf("%s, login ended %q at %s", d.Reachability, d.LogoutReason, d.LogoutAt)
		}
		c.arrive(h.Context(), bye, models.L1)
		c.held[loginID] = h.hex32()
		boot := c.inform(models.EventBoot, map[string]string{loginID: c.held[loginID]})
		c.arrive(h.Context(), boot, models.L1)
		c.arrive(h.Context(), bye, models.L1) // one more time, from before the start
		if d := c.row(); d.Reachability != models.Online || !d.LogoutAt.IsZero() || d.LoginSessionID != c.held[loginID] {
			h.Errorf("%s, login %s ended at %s", d.Reachability, d.LoginSessionID, d.LogoutAt)
		}
		c.arrive(h.Context(), c.logoff(c.held[loginID], "SystemShutdown"), models.L1)
		if err := h.store.InTx(h.Context(), func(tx *store.Tx) error { return devices.SetReauth(tx, c.row().ID, true) }); err != nil {
			h.Fatal(err)
		}
		c.arrive(h.Context(), c.heartbeat(), models.L1)
		if d := c.row(); d.Reachability != models.Online || d.LogoutReason != "SystemShutdown" {
			h.Errorf("%s, login ended %q", d.Reachability, d.LogoutReason)
		}
		want := []string{"client.online", "client.offline UserExit", "client.online", "client.offline UserExit", "client.online", "client.logoff_stale UserExit",
			"client.offline SystemShutdown", "client.online"}
		if told := c.told(); !slices.Equal(told, want) {
			h.Errorf("%q", told)
		}
	})
}

// What a session confirms of the heartbeat's interval counts from its confirmation on, not from the next Inform.
func TestAConfirmedIntervalMovesTheDeadline(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.online()
		h.exec("UPDATE devices SET heartbeat_seconds = 86400")
		h.exec("UPDATE configurations SET applied_version = 0, state = 'PENDING'")
		deadline := func() time.Duration {
			h.Helper()
			if err := c.Devices.Flush(h.Context()); err != nil {
				h.Fatal(err)
			}
			d := c.row()
			p, err := c.Devices.PresenceByIDs(h.Context(), []models.ID{d.ID})
			if err != nil {
				h.Fatal(err)
			}
			return p[d.ID].ExpiresAt.Sub(h.clock.Now())
		}
		c.held["managementServer.parameterKey"] = "another"
		in := c.heartbeat()
		v := c.arrive(h.Context(), in, models.L1)
		if d := deadline(); d != 3*24*time.Hour+time.Minute {
			h.Errorf("%s after the Inform", d)
		}
		h.clock.Advance(time.Second)
		c.play(h.Context(), v, in)
		if d := deadline(); c.row().HeartbeatSeconds != 600 || d != 31*time.Minute {
			h.Errorf("%s after %d s were confirmed", d, c.row().HeartbeatSeconds)
		}
	})
}
