package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// presence reads what is known of a device's presence: its state, how its login ended, and its history as lines, newest first.
func (p *platform) presence(client *sim.Client) (state, login string, history []string) {
	p.t.Helper()
	d := object(p.query(`query($id: ID!) { device(ref: {id: $id}) { reachability login { sessionId logoutAt reason }
		presenceHistory { nodes { state previousState reason loginSessionId durationSeconds } } } }`,
		object{"id": p.deviceOf(client).text("id")}))
	nodes, _ := d.at("device.presenceHistory.nodes").([]any)
	for _, n := range nodes {
		c := object(n.(map[string]any))
		history = append(history, strings.TrimSpace(c.text("previousState")+" "+c.text("state")+" "+c.text("reason")))
	}
	if login = d.text("device.login.reason"); (login == "") != (d.text("device.login.logoutAt") == "") {
		p.t.Errorf("the login is %v", d.at("device.login"))
	}
	return d.text("device.reachability"), login, history
}

// isPresent checks presence; history is that of all changes, newest first.
func (p *platform) isPresent(client *sim.Client, state, login string, history ...string) {
	p.t.Helper()
	gotState, gotLogin, gotHistory := p.presence(client)
	if gotState != state || gotLogin != login || !slices.Equal(gotHistory, history) {
		p.t.Errorf("%s, login ended %q, %q; not %s, %q, %q", gotState, gotLogin, gotHistory, state, login, history)
	}
}

// comings are the events of an account about presence, in order.
func (p *platform) comings(accountID string) (list []string) {
	p.t.Helper()
	for _, e := range p.eventsOf(accountID) {
		if strings.HasPrefix(e, "DEVICE_REACHABILITY_CHANGED ") || strings.Contains(e, "logoff") {
			list = append(list, e[strings.Index(e, " ")+1:])
		}
	}
	return list
}

// wire runs a session and returns what went over it, an exchange a line.
func (p *platform) wire(client *sim.Client, session func() (sim.Outcome, error)) (lines []string, err error) {
	p.t.Helper()
	name := func(m cwmp.Message) string {
		if m == nil {
			return "-"
		}
		return m.Method()
	}
	p.observe(client, func(e sim.Exchange) error {
		lines = append(lines, fmt.Sprint(name(e.Sent), " ", e.Status, " ", name(e.Got)))
		return nil
	})
	defer p.observe(client, nil)
	_, err = session()
	return lines, err
}

// present is a bound client that has used its credentials.
func (p *platform) present() (id string, client *sim.Client) {
	p.t.Helper()
	id, client = p.bound()
	p.done(client.Heartbeat(p.t.Context()))
	return id, client
}

func (p *platform) logoff(client *sim.Client, reason string) func() (sim.Outcome, error) {
	return func() (sim.Outcome, error) { return client.Logoff(p.t.Context(), reason) }
}

const (
	first = "NEVER_SEEN ONLINE"
	back  = "OFFLINE ONLINE"
)

var (
	goodbye = []string{"Inform 401 -", "Inform 200 InformResponse", "- 204 -"}
	came    = "client.online ONLINE"
	left    = "client.offline OFFLINE"
)

// Every way in which a client may say that it goes (i4.md B.6).
func TestLogoff(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("and again, and back", func(t *testing.T, p *platform) {
			id, client := p.present()
			p.turn(id, "1", "VIDEO", true) // what waits goes on waiting
			lines, err := p.wire(client, p.logoff(client, "UserExit"))
			if err != nil || !slices.Equal(lines, goodbye) {
				t.Errorf("%q, %v", lines, err)
			}
			p.isPresent(client, "OFFLINE", "UserExit", "ONLINE OFFLINE UserExit", first)
			p.waitForEvent(id, "DEVICE_REACHABILITY_CHANGED "+left, 1)
			if lines, err = p.wire(client, func() (sim.Outcome, error) { return client.Retry(t.Context()) }); err != nil || !slices.Equal(lines, goodbye) {
				t.Errorf("%q, %v", lines, err)
			}
			p.done(client.Boot(t.Context())) // without credentials: it changes no presence
			p.isPresent(client, "OFFLINE", "UserExit", "ONLINE OFFLINE UserExit", first)
			if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); len(got) != 1 {
				t.Errorf("delivered %v", got)
			}
			p.isPresent(client, "ONLINE", "", back, "ONLINE OFFLINE UserExit", first)
			p.waitForEvent(id, "DEVICE_REACHABILITY_CHANGED "+came, 2)
			if got := p.comings(id); !slices.Equal(got, []string{came, left, came}) {
				t.Errorf("events %q", got)
			}
		})
		for _, reason := range []string{"SystemShutdown", "AccountSwitch", "Kicked", "NetworkLost", "Upgrade"} {
			p.run(reason, func(_ *testing.T, p *platform) {
				_, client := p.present()
				p.done(client.Logoff(p.t.Context(), reason))
				p.isPresent(client, "OFFLINE", reason, "ONLINE OFFLINE "+reason, first)
			})
		}
		p.run("of another login", func(t *testing.T, p *platform) {
			id, client := p.present()
			client.SetFaults(sim.Faults{OtherLogin: true})
			for times := range 2 {
				lines, err := p.wire(client, p.logoff(client, "UserExit"))
				if err != nil || !slices.Equal(lines, goodbye) {
					t.Errorf("%q, %v", lines, err)
				}
				p.waitForEvent(id, "DEVICE_INFORM client.logoff_stale", times+1)
			}
			p.isPresent(client, "ONLINE", "", first)
		})
		p.run("from before the next start", func(t *testing.T, p *platform) {
			id, client := p.present()
			p.done(client.Logoff(t.Context(), "UserExit"))
			old := client.Get("softClient.loginSessionId")
			p.done(client.Boot(t.Context()))
			p.done(client.Heartbeat(t.Context()))
			next := client.Get("softClient.loginSessionId")
			client.Set("softClient.loginSessionId", old)
			p.done(client.Logoff(t.Context(), "UserExit"))
			client.Set("softClient.loginSessionId", next)
			p.waitForEvent(id, "DEVICE_INFORM client.logoff_stale", 1)
			p.isPresent(client, "ONLINE", "", back, "ONLINE OFFLINE UserExit", first)
		})
		p.run("by a client that closes at once", func(t *testing.T, p *platform) {
			_, client := p.present()
			client.SetFaults(sim.Faults{CloseAfterInform: true})
			lines, err := p.wire(client, p.logoff(client, "SystemShutdown"))
			if err != nil || !slices.Equal(lines, goodbye[:2]) {
				t.Errorf("%q, %v", lines, err)
			}
			p.isPresent(client, "OFFLINE", "SystemShutdown", "ONLINE OFFLINE SystemShutdown", first)
		})
		p.run("by the code of set-top boxes", func(t *testing.T, p *platform) {
			_, client := p.present()
			p.done(client.Send(t.Context(), []cwmp.Event{{Code: "M X_CTC_SHUT_DOWN"}}, nil))
			p.isPresent(client, "OFFLINE", "Other", "ONLINE OFFLINE Other", first)
		})
		p.run("without credentials", func(t *testing.T, p *platform) {
			id, client := p.present()
			name := client.Get("managementServer.username")
			client.Set("managementServer.username", "")
			lines, err := p.wire(client, p.logoff(client, "UserExit"))
			if err == nil || !slices.Equal(lines, goodbye[:1]) {
				t.Errorf("%q, %v", lines, err)
			}
			client.Set("managementServer.username", name)
			client.Set("managementServer.password", "wrong")
			lines, err = p.wire(client, p.logoff(client, "UserExit"))
			if err == nil || slices.ContainsFunc(lines, func(s string) bool { return s != goodbye[0] }) {
				t.Errorf("%q, %v", lines, err)
			}
			p.isPresent(client, "ONLINE", "", first)
			if got := p.comings(id); !slices.Equal(got, []string{came}) {
				t.Errorf("events %q", got)
			}
		})
		p.run("by a stranger", func(t *testing.T, p *platform) {
			client := p.client("+862169999999", nil)
			lines, err := p.wire(client, p.logoff(client, "UserExit"))
			if err != nil || !slices.Equal(lines, goodbye[1:]) {
				t.Errorf("%q, %v", lines, err)
			}
			if d := p.deviceOf(client); d != nil {
				t.Errorf("it became %v", d)
			}
		})
		for n := range goodbye {
			p.run(fmt.Sprintf("whose answer %d is lost", n+1), func(t *testing.T, p *platform) {
				id, client := p.present()
				seen := 0
				p.observe(client, func(sim.Exchange) error {
					if seen++; seen == n+1 {
						return errLost
					}
					return nil
				})
				_, err := client.Logoff(t.Context(), "UserExit")
				for errors.Is(err, errLost) {
					_, err = client.Retry(t.Context())
				}
				p.done(sim.Outcome{}, err)
				p.isPresent(client, "OFFLINE", "UserExit", "ONLINE OFFLINE UserExit", first)
				p.waitForEvent(id, "DEVICE_REACHABILITY_CHANGED "+left, 1)
				if got := p.comings(id); !slices.Equal(got, []string{came, left}) {
					t.Errorf("events %q", got)
				}
			})
		}
	})
}

// clocked runs f on both databases on a platform whose time a test moves.
func clocked(t *testing.T, change func(*Config), f func(t *testing.T, p *platform, clock *storetest.Clock)) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c, clock := labConfig(t, database(t), change), storetest.NewClock()
			a, err := start(t.Context(), c, clock)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := a.stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
			p := &platform{t: t, app: a, north: "http://" + a.northAddr.Addr().String(), south: "http://" + a.southAddr.Addr().String() + "/acs", tap: newWiretap(t)}
			p.token = p.accessToken("bss", "a-secret-for-the-tests")
			f(t, p, clock)
		})
	}
}

// pass lets time go by, at least d and a little more on a slow machine; the platform keeps up with it.
func (p *platform) pass(clock *storetest.Clock, d time.Duration) {
	p.t.Helper()
	for ; d > 0; d -= 2 * time.Second {
		clock.Advance(2 * time.Second)
		polls := 0
		storetest.Eventually(p.t, "the platform beats", func() bool {
			var at models.Time
			err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
				return tx.DB.Model(&models.Beat{}).Select("at").Scan(&at).Error
			})
			if err != nil {
				p.t.Fatal(err)
			}
			if clock.Now().Sub(at) < 24*time.Second {
				return true
			}
			if polls++; polls%100 == 0 {
				clock.Advance(2 * time.Second) // it began to wait only now
			}
			return false
		})
	}
	p.token = p.accessToken("bss", "a-secret-for-the-tests")
}

// passUntil lets time go by until something has happened.
func (p *platform) passUntil(clock *storetest.Clock, what string, ok func() bool) {
	p.t.Helper()
	for range 100 {
		if ok() {
			return
		}
		p.pass(clock, 4*time.Second)
	}
	p.t.Fatalf("it did not happen that %s", what)
}

// goes waits until the client is found gone.
func (p *platform) goes(clock *storetest.Clock, client *sim.Client) {
	p.t.Helper()
	p.passUntil(clock, "a client goes offline", func() bool {
		state, _, _ := p.presence(client)
		return state == "OFFLINE"
	})
}

// A client that is not heard of goes OFFLINE by its deadline and comes back with its next heartbeat.
func TestHeartbeatLost(t *testing.T) {
	quick := func(c *Config) { c.I4.Heartbeat = map[string]Heartbeat{"PC": {Interval: 60, Missed: 3, Grace: 10}} }
	clocked(t, quick, func(t *testing.T, p *platform, clock *storetest.Clock) {
		id, client := p.present()
		other, _, _ := p.provision(object{"initialPassword": longTerm})
		p.pass(clock, 40*time.Second)
		p.isPresent(client, "ONLINE", "", first)
		p.pass(clock, 40*time.Second)
		p.isPresent(client, "STALE", "", first)
		p.pass(clock, 60*time.Second)
		p.isPresent(client, "STALE", "", first)
		p.goes(clock, client)
		p.isPresent(client, "OFFLINE", "HeartbeatLost", "ONLINE OFFLINE HeartbeatLost", first)
		storetest.Eventually(t, "one device was found gone", func() bool { return metric(t, p.scrape(), "softacs_presence_expired_total") == 1 })
		p.done(client.Heartbeat(t.Context()))
		p.isPresent(client, "ONLINE", "", back, "ONLINE OFFLINE HeartbeatLost", first)
		for range 5 {
			p.pass(clock, 60*time.Second)
			p.done(client.Heartbeat(t.Context()))
		}
		if _, login, history := p.presence(client); login != "" || len(history) != 3 {
			t.Errorf("login ended %q, %q", login, history)
		}
		p.waitForEvent(id, "DEVICE_REACHABILITY_CHANGED "+came, 2)
		if got := p.comings(id); !slices.Equal(got, []string{came, left, came}) {
			t.Errorf("events %q", got)
		}
		if got := p.comings(other); got != nil {
			t.Errorf("events of somebody else: %q", got)
		}
		p.done(client.Logoff(t.Context(), "UserExit"))
		p.pass(clock, 5*time.Minute)
		p.isPresent(client, "OFFLINE", "UserExit", "ONLINE OFFLINE UserExit", back, "ONLINE OFFLINE HeartbeatLost", first)
	})
}

// When all clients vanish at once it is rather the platform: expiry is frozen, and the log tells it once.
func TestMassExpirySuspected(t *testing.T) {
	change := func(c *Config) {
		c.I4.Heartbeat = map[string]Heartbeat{"PC": {Interval: 30, Missed: 1, Grace: 10}}
		c.I4.Presence = Presence{MassPercent: 20, MassMinimum: 2, FreezeMinutes: 5}
	}
	clocked(t, change, func(t *testing.T, p *platform, clock *storetest.Clock) {
		_, one := p.present()
		_, two := p.present()
		alarms := func() (list []string) {
			page := p.query(`{ events(filter: {types: [ALARM_RAISED, ALARM_CLEARED]}) { nodes { type subject { __typename } subjectId payload } } }`, nil)
			nodes, _ := page.at("events.nodes").([]any)
			for _, n := range nodes {
				e := object(n.(map[string]any))
				if e.at("subject") != nil || e.text("subjectId") == "" {
					t.Errorf("%v", e)
				}
				list = append(list, e.text("type")+" "+e.text("payload.code"))
			}
			return list
		}
		p.passUntil(clock, "an alarm is raised", func() bool { return len(alarms()) > 0 })
		p.pass(clock, time.Minute)
		for _, client := range []*sim.Client{one, two} {
			p.isPresent(client, "STALE", "", first)
		}
		if n := metric(t, p.scrape(), "softacs_presence_frozen"); n != 1 {
			t.Errorf("frozen: %v", n)
		}
		for _, client := range []*sim.Client{one, two} {
			p.goes(clock, client)
			p.isPresent(client, "OFFLINE", "HeartbeatLost", "ONLINE OFFLINE HeartbeatLost", first)
		}
		p.passUntil(clock, "the alarm is cleared", func() bool { return len(alarms()) > 1 })
		const code = " presence.mass_expiry_suspected"
		if got := alarms(); !slices.Equal(got, []string{"ALARM_RAISED" + code, "ALARM_CLEARED" + code}) {
			t.Errorf("%q", got)
		}
	})
}

// What i4.heartbeat and i4.presence do not allow is named by its key.
func TestPresenceSettings(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"i4.heartbeat.Phone":         func(c *Config) { c.I4.Heartbeat = map[string]Heartbeat{"Phone": {}} },
		"i4.heartbeat.PC.interval":   func(c *Config) { c.I4.Heartbeat = map[string]Heartbeat{"PC": {Interval: -1}} },
		"i4.heartbeat.Mobile.missed": func(c *Config) { c.I4.Heartbeat = map[string]Heartbeat{"Mobile": {Missed: 101}} },
		"i4.heartbeat.Generic.grace": func(c *Config) { c.I4.Heartbeat = map[string]Heartbeat{"Generic": {Grace: 100_000}} },
		"i4.presence.massPercent":    func(c *Config) { c.I4.Presence.MassPercent = 101 },
		"i4.presence.massMinimum":    func(c *Config) { c.I4.Presence.MassMinimum = 0 },
		"i4.presence.freezeMinutes":  func(c *Config) { c.I4.Presence.FreezeMinutes = 0 },
	} {
		c := defaultConfig()
		c.Lab = true
		if err := c.complete(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.complete(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := defaultConfig()
	c.I4.Heartbeat = map[string]Heartbeat{"Generic": {Interval: 300, Missed: 5, Grace: 30}}
	if got := devicesConfig(c, profile).Heartbeat[models.Generic]; got != (devices.Rhythm{Interval: 5 * time.Minute, Missed: 5, Grace: 30 * time.Second}) {
		t.Errorf("%+v", got)
	}
}
