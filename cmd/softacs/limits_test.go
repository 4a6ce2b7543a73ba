package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

// unlimited switches every limit off, so that a test sees the one that it sets.
func unlimited(c *Config) {
	c.I4.GetPwd.Limits = PasswordLimits{}
	c.I4.Lockout = Lockout{Minutes: 15, MaxHours: 24}
	c.I4.Limits = DoorLimits{Sessions: 20_000}
	c.I4.ChangePwd.Day, c.I4.Reset.Day = 0, 0
}

// Each limit of i4.md C.3 and resolutions 12 does what its key says, and nothing at 0. Those per address and for all together are below.
func TestEachLimit(t *testing.T) {
	t.Parallel()
	const wrong = "Wrong-Horse-1!"
	again := func(p *platform, client *sim.Client) {
		p.want(0)(client.GetPassword(p.t.Context()))
		if o := p.want(10)(client.GetPassword(p.t.Context())); o.RetryAfter == 0 {
			p.t.Errorf("%+v", o)
		}
	}
	// locked: the second wrong proof, or the first after it, hears for how long.
	locked := func(tries, seconds int) func(p *platform, client *sim.Client) {
		return func(p *platform, client *sim.Client) {
			for range tries - 1 {
				p.want(1)(client.Register(p.t.Context(), wrong))
			}
			if o := p.want(11)(client.Register(p.t.Context(), wrong)); o.RetryAfter != seconds {
				p.t.Errorf("%+v", o)
			}
			p.want(11)(client.Register(p.t.Context(), longTerm))
		}
	}
	for key, x := range map[string]struct {
		set  func(c *Config)
		sees func(p *platform, client *sim.Client)
	}{
		"none": {func(*Config) {}, func(p *platform, client *sim.Client) {
			for range 6 {
				p.want(0)(client.GetPassword(p.t.Context()))
				p.want(1)(client.Register(p.t.Context(), wrong))
			}
			p.want(0)(client.Register(p.t.Context(), longTerm))
			for range 3 {
				p.done(client.Heartbeat(p.t.Context()))
			}
			if n := metric(p.t, p.scrape(), "softacs_cwmp_floods_total"); n != 0 {
				p.t.Errorf("%v heartbeats came too often", n)
			}
		}},
		"i4.getpwd.limits.numberSeconds": {func(c *Config) { c.I4.GetPwd.Limits.NumberSeconds = 60 }, again},
		"i4.getpwd.limits.numberDay":     {func(c *Config) { c.I4.GetPwd.Limits.NumberDay = 1 }, again},
		"i4.getpwd.limits.mdnDay":        {func(c *Config) { c.I4.GetPwd.Limits.MDNDay = 1 }, again},
		"i4.getpwd.limits.device10min":   {func(c *Config) { c.I4.GetPwd.Limits.Device10Min = 1 }, again},
		"i4.getpwd.limits.deviceDay":     {func(c *Config) { c.I4.GetPwd.Limits.DeviceDay = 1 }, again},
		"i4.lockout.tries":               {func(c *Config) { c.I4.Lockout.Tries = 2 }, locked(2, 15*60)},
		"i4.lockout.minutes":             {func(c *Config) { c.I4.Lockout.Tries, c.I4.Lockout.Minutes = 1, 3 }, locked(1, 3*60)},
		"i4.lockout.maxHours":            {func(c *Config) { c.I4.Lockout.Tries, c.I4.Lockout.Minutes, c.I4.Lockout.MaxHours = 1, 120, 1 }, locked(1, 3600)},
		"i4.lockout.deviceHour":          {func(c *Config) { c.I4.Lockout.DeviceHour = 2 }, locked(2, 3600)},
		"i4.lockout.accountHour": {func(c *Config) { c.I4.Lockout.AccountHour = 2 }, func(p *platform, client *sim.Client) {
			for range 2 {
				p.want(1)(client.Register(p.t.Context(), wrong))
			}
			p.want(1)(client.Register(p.t.Context(), longTerm)) // only one-time passwords count for an hour
		}},
		"i4.limits.heartbeatSeconds": {func(c *Config) { c.I4.Limits.HeartbeatSeconds = 3600 }, func(p *platform, client *sim.Client) {
			p.want(0)(client.Register(p.t.Context(), longTerm))
			for range 3 {
				p.done(client.Heartbeat(p.t.Context()))
			}
			if n := metric(p.t, p.scrape(), "softacs_cwmp_floods_total"); n != 2 {
				p.t.Errorf("%v heartbeats came too often", n)
			}
		}},
		"i4.limits.sessions": {func(c *Config) { c.I4.Limits.Sessions = 1 }, func(p *platform, client *sim.Client) {
			client.SetFaults(sim.Faults{CloseAfterInform: true})
			p.done(client.GetPassword(p.t.Context()))
			if _, err := p.client("+862169999999", nil).GetPassword(p.t.Context()); status(err) != http.StatusServiceUnavailable {
				p.t.Errorf("a second session: %v", err)
			}
		}},
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			p := startPlatform(t, labConfig(t, storetest.SQLite(t), func(c *Config) {
				unlimited(c)
				x.set(c)
			}))
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			x.sees(p, p.client(msisdn, nil))
		})
	}
}

// production starts a platform outside lab mode, where loopback addresses are limited like any other, and makes clients for it.
func production(t *testing.T, set func(*Config)) (newClient func(number string) *sim.Client) {
	t.Helper()
	folder := pairIn(t, "acs.example")
	c := labConfig(t, storetest.SQLite(t), nil)
	c.Lab, c.Bootstrap.APIClient, c.Portal.Addr = false, "", ""
	c.South.TLS.Cert, c.South.TLS.Key = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	c.SMS = models.Secret(smpptest.Start(t, smpptest.Config{}).URL())
	unlimited(&c)
	set(&c)
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	a, err := start(t.Context(), c, models.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	storetest.Eventually(t, "the SMS centre is connected", a.sms.Available)
	return func(number string) *sim.Client {
		t.Helper()
		client, err := sim.New(sim.Config{URL: "https://" + a.southAddr.Addr().String() + "/acs", Identity: sim.NewIdentity(), Number: number,
			HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
}

// burst sends requests for passwords at the same time, until one is limited.
func burst(p *platform, newClient func(string) *sim.Client, limited func(sim.Outcome, error) bool) {
	p.t.Helper()
	storetest.Eventually(p.t, "one of a burst is limited", func() bool {
		var hit atomic.Bool
		var wg sync.WaitGroup
		for n := range 4 {
			client := newClient(fmt.Sprintf("0216999000%d", n))
			wg.Go(func() {
				if limited(client.GetPassword(p.t.Context())) {
					hit.Store(true)
				}
			})
		}
		wg.Wait()
		return hit.Load()
	})
}

// The limits per address, and of all together, hold whatever number and device an Inform names.
func TestEachLimitOfAddresses(t *testing.T) {
	t.Parallel()
	busy := func(t *testing.T, err error) {
		t.Helper()
		if status(err) != http.StatusServiceUnavailable {
			t.Errorf("not over the limit: %v", err)
		}
	}
	for key, x := range map[string]struct {
		set  func(c *Config)
		sees func(p *platform, newClient func(string) *sim.Client)
	}{
		"none": {func(*Config) {}, func(p *platform, newClient func(string) *sim.Client) {
			for _, number := range []string{"02169990001", "02169990002", "02169990003"} {
				p.want(0)(newClient(number).GetPassword(p.t.Context()))
				p.want(1)(newClient(number).Register(p.t.Context(), "Wrong-Horse-1!"))
			}
		}},
		"i4.getpwd.limits.ipHour": {func(c *Config) { c.I4.GetPwd.Limits.IPHour = 1 }, func(p *platform, newClient func(string) *sim.Client) {
			p.want(0)(newClient("02169990001").GetPassword(p.t.Context()))
			p.want(10)(newClient("02169990002").GetPassword(p.t.Context()))
		}},
		"i4.lockout.ipHour": {func(c *Config) { c.I4.Lockout.IPHour = 1 }, func(p *platform, newClient func(string) *sim.Client) {
			p.want(1)(newClient("02169990001").Register(p.t.Context(), "Wrong-Horse-1!"))
			_, err := newClient("02169990002").Register(p.t.Context(), "Wrong-Horse-1!")
			busy(p.t, err)
		}},
		"i4.cgn": {func(c *Config) {
			c.I4.Lockout.IPHour, c.I4.CGN.Ranges, c.I4.CGN.Factor = 1, []string{"127.0.0.0/8"}, 2
		}, func(p *platform, newClient func(string) *sim.Client) {
			for range 2 {
				p.want(1)(newClient("02169990001").Register(p.t.Context(), "Wrong-Horse-1!"))
			}
			_, err := newClient("02169990002").Register(p.t.Context(), "Wrong-Horse-1!")
			busy(p.t, err)
		}},
		"i4.limits.l0PerMinuteIp": {func(c *Config) { c.I4.Limits.L0PerMinuteIP = 1 }, func(p *platform, newClient func(string) *sim.Client) {
			p.want(0)(newClient("02169990001").GetPassword(p.t.Context()))
			_, err := newClient("02169990002").GetPassword(p.t.Context())
			busy(p.t, err)
		}},
		"i4.limits.l0PerSecond": {func(c *Config) { c.I4.Limits.L0PerSecond = 1 }, func(p *platform, newClient func(string) *sim.Client) {
			burst(p, newClient, func(_ sim.Outcome, err error) bool { return status(err) == http.StatusServiceUnavailable })
		}},
		"i4.getpwd.limits.globalPerSecond": {func(c *Config) { c.I4.GetPwd.Limits.GlobalPerSecond = 1 }, func(p *platform, newClient func(string) *sim.Client) {
			burst(p, newClient, func(o sim.Outcome, err error) bool { return err == nil && o.Status == 10 && o.RetryAfter > 0 })
		}},
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			x.sees(&platform{t: t}, production(t, x.set))
		})
	}
}
