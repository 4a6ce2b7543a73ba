package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
)

func revoked(d *models.Device, _ *models.HTTPCredentials) { d.Revoked = true }

// rotated makes the usual password an older one.
func rotated(d *models.Device, c *models.HTTPCredentials) {
	c.Previous = []models.HA1{devices.HA1Of(d.HTTPUsername, "older"), c.Current}
	c.Current = devices.HA1Of(d.HTTPUsername, "newer")
}

func own(d *models.Device, c *models.HTTPCredentials) {
	d.HTTPUsername = "me"
	c.Current = devices.HA1Of("me", password)
}

// The decision table of i4.md A.2-3 with resolutions 6, 7, 11 and 17, with Basic credentials in lab mode; digest has tests of its own.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	const key, other = "00005E-IMSPC-1", "00005E-IMSPC-2"
	type unknown struct{}
	for name, c := range map[string]struct {
		device   any // unknown{}, or what changes the row of a known one
		generic  bool
		events   []string
		username string
		password models.Secret
		// want
		status   int
		closes   bool
		arrives  bool
		trust    models.Trust
		previous bool
	}{
		"valid":                         {nil, false, []string{"2 PERIODIC"}, key, password, 200, false, true, models.L1, false},
		"valid, L0 event":               {nil, false, []string{"1 BOOT"}, key, password, 200, false, true, models.L1, false},
		"valid, older password":         {rotated, false, []string{"2 PERIODIC"}, key, password, 200, false, true, models.L1, true},
		"valid, newest password":        {rotated, false, []string{"2 PERIODIC"}, key, "newer", 200, false, true, models.L1, false},
		"valid, a name of its own":      {own, false, []string{"2 PERIODIC"}, "me", password, 200, false, true, models.L1, false},
		"the key, not its own name":     {own, false, []string{"2 PERIODIC"}, key, password, 401, true, false, 0, false},
		"another device's":              {nil, false, []string{"2 PERIODIC"}, other, password, 401, true, false, 0, false},
		"another device's, L0 event":    {nil, false, []string{"1 BOOT"}, other, password, 401, true, false, 0, false},
		"another device's for unknown":  {unknown{}, false, []string{"1 BOOT"}, other, password, 401, true, false, 0, false},
		"wrong password":                {nil, false, []string{"1 BOOT"}, key, "wrong", 401, false, false, 0, false},
		"any password of an unknown":    {unknown{}, false, []string{"1 BOOT"}, key, password, 401, false, false, 0, false},
		"revoked, right":                {revoked, false, []string{"2 PERIODIC"}, key, password, 200, false, true, models.L0, false},
		"revoked, wrong":                {revoked, false, []string{"2 PERIODIC"}, key, "wrong", 401, false, false, 0, false},
		"revoked, absent":               {revoked, false, []string{"2 PERIODIC"}, "", "", 401, false, false, 0, false},
		"absent, L0 events":             {nil, false, []string{"1 BOOT", "X CT-COM REGISTER"}, "", "", 200, false, true, models.L0, false},
		"absent, other events too":      {nil, false, []string{"1 BOOT", "2 PERIODIC"}, "", "", 401, false, false, 0, false},
		"absent, no event":              {nil, false, nil, "", "", 401, false, false, 0, false},
		"absent, unknown event":         {nil, false, []string{"X CT-COM WHATEVER"}, "", "", 401, false, false, 0, false},
		"absent, unknown device":        {unknown{}, false, []string{"2 PERIODIC"}, "", "", 200, false, true, models.L0, false},
		"generic, absent, L0 event":     {nil, true, []string{"1 BOOT"}, "", "", 401, false, false, 0, false},
		"generic, valid":                {nil, true, []string{"0 BOOTSTRAP"}, "00005E-Router-1", password, 200, false, true, models.L1, false},
		"generic, unknown":              {unknown{}, true, []string{"1 BOOT"}, "", "", 200, false, false, 0, false},
		"generic, unknown, with header": {unknown{}, true, []string{"1 BOOT"}, "00005E-Router-1", password, 401, false, false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, lab)
			m := inform("1", c.events...)
			if c.generic {
				m = generic(m)
			}
			switch set := c.device.(type) {
			case nil:
				d.know(m)
			case func(*models.Device, *models.HTTPCredentials):
				d.know(m, set)
			}
			a := d.client().send(m, func(r *http.Request) {
				if c.username != "" {
					r.SetBasicAuth(c.username, c.password.Reveal())
				}
			})
			if a.StatusCode != c.status || a.Close != c.closes {
				t.Fatalf("status %d, want %d; Connection: close %v, want %v", a.StatusCode, c.status, a.Close, c.closes)
			}
			if challenged := len(a.Header.Values("WWW-Authenticate")) == 2; challenged != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", a.Header.Values("WWW-Authenticate"))
			}
			if n := d.devices.read(); n != 1 {
				t.Errorf("%d reads, want 1", n)
			}
			if arrived := d.clients.count() == 1; arrived != c.arrives {
				t.Fatalf("arrived: %v", arrived)
			}
			if c.arrives {
				got := d.clients.last(t)
				if _, none := c.device.(unknown); got.trust != c.trust || got.previous != c.previous || none != (got.device == nil) {
					t.Errorf("arrived with %v, older credential %v, device %v", got.trust, got.previous, got.device)
				}
			}
			if (c.status == 200) != (len(a.Cookies()) == 1) {
				t.Errorf("cookies %v", a.Cookies())
			}
		})
	}
}

// An unknown GENERIC device is answered, counted and forgotten (resolutions 6).
func TestUnknownGeneric(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.client()
	c.send(generic(inform("1", "1 BOOT", "X CT-COM REGISTER"))).has(t, "InformResponse")
	c.send(&cwmp.TransferComplete{CommandKey: "x"}).has(t, "TransferCompleteResponse")
	c.empty().is(t, http.StatusNoContent)
	if s := d.Stats(); s.Strangers != 1 || d.clients.count() != 0 {
		t.Errorf("stats %+v", s)
	}
}

// The platform hears once a minute of a device that is impersonated.
func TestIdentityMismatch(t *testing.T) {
	t.Parallel()
	var events atomic.Int32
	var victim *models.Device
	d := open(t, lab, func(c *Config) {
		c.Security = func(ctx context.Context, code string, d *models.Device) {
			events.Add(1)
			if code != IdentityMismatch || d != victim || models.OriginFrom(ctx).RemoteAddress != "127.0.0.1" || models.ActorFrom(ctx).ID != d.ID {
				t.Errorf("security event %s about %v", code, d)
			}
		}
	})
	m := inform("1", "1 BOOT")
	victim = d.know(m)
	d.know(inform("2"))
	thief := func(r *http.Request) { r.SetBasicAuth("00005E-IMSPC-2", password.Reveal()) }
	for range 3 {
		d.client().send(m, thief)
	}
	d.client().send(inform("3", "1 BOOT"), thief) // of a device without row nobody can be told
	if n := events.Load(); n != 1 || d.Stats().Impostors != 4 {
		t.Errorf("%d events, stats %+v", n, d.Stats())
	}
	d.clock.advance(61e9)
	d.client().send(m, thief)
	if n := events.Load(); n != 2 {
		t.Errorf("%d events", n)
	}
}

// A client of old says number and password of its account as HTTP Basic, which is no claim to be another device (i4.md C.2.5).
func TestLegacyLogin(t *testing.T) {
	t.Parallel()
	legacy := func(c *Config) { c.LegacyBasic = true }
	mode := func(name, value string) func(*cwmp.Inform) {
		return func(in *cwmp.Inform) {
			in.Parameters = append(in.Parameters, cwmp.ParameterValue{Name: "Device.X_CT-COM_UserInfo." + name, Type: "xsd:string", Value: value})
		}
	}
	for name, c := range map[string]struct {
		set      func(*Config)
		event    string
		username string
		change   func(*cwmp.Inform)
		status   int
		password string
	}{
		"number and password":     {legacy, "X CT-COM REGISTER", "02162345678", nil, 200, "secret"},
		"mode plain":              {legacy, "X CT-COM REGISTER", "+86 (21) 6234-5678", mode("Auth.Mode", "plain"), 200, "secret"},
		"switched off":            {func(*Config) {}, "X CT-COM REGISTER", "02162345678", nil, 401, ""},
		"no number":               {legacy, "X CT-COM REGISTER", "00005E-IMSPC-2", nil, 401, ""},
		"another mode":            {legacy, "X CT-COM REGISTER", "02162345678", mode("Auth.Mode", "challenge"), 401, ""},
		"a password of its own":   {legacy, "X CT-COM REGISTER", "02162345678", mode("Password", "other"), 401, ""},
		"another event":           {legacy, "1 BOOT", "02162345678", nil, 401, ""},
		"the device's own, wrong": {legacy, "X CT-COM REGISTER", "00005E-IMSPC-1", nil, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, lab, c.set)
			m := inform("1", c.event)
			d.know(m)
			if c.change != nil {
				c.change(m)
			}
			a := d.client().send(m, func(r *http.Request) { r.SetBasicAuth(c.username, "secret") })
			if a.StatusCode != c.status {
				t.Fatalf("status %d, want %d", a.StatusCode, c.status)
			}
			if c.status != 200 {
				return
			}
			got := d.clients.last(t)
			if got.trust != models.L0 || got.in.Get("ui.userName") != c.username || got.in.Get("ui.password") != c.password || !got.in.Values["ui.password"].Secret {
				t.Errorf("arrived with %v, %v", got.trust, got.in.Values)
			}
			for _, raw := range got.in.Raw {
				if raw.Value == c.password {
					t.Errorf("%s holds the password", raw.Name)
				}
			}
		})
	}
}

// A device that was registered with a number as its user name is let in by its own credentials.
func TestLegacyLoginIsNotTheDevicesOwn(t *testing.T) {
	t.Parallel()
	d := open(t, lab, func(c *Config) { c.LegacyBasic = true })
	m := inform("1", "X CT-COM REGISTER")
	const username = "02162345678"
	d.know(m, func(row *models.Device, c *models.HTTPCredentials) {
		row.HTTPUsername, c.Current = username, devices.HA1Of(username, password)
	})
	d.client().send(m, func(r *http.Request) { r.SetBasicAuth(username, password.Reveal()) }).has(t, "InformResponse")
	if got := d.clients.last(t); got.trust != models.L1 || got.in.Get("ui.password") != "" {
		t.Errorf("arrived with %v, %v", got.trust, got.in.Values)
	}
}

// Basic is taken within TLS or in lab mode only, and never offered (resolutions 3).
func TestBasicWithoutTLS(t *testing.T) {
	t.Parallel()
	d := open(t)
	m := inform("1", "2 PERIODIC")
	d.know(m)
	basic := func(r *http.Request) { r.SetBasicAuth(string(keyOf(m)), password.Reveal()) }
	a := d.client().send(m, basic)
	a.is(t, http.StatusUnauthorized)
	if d.devices.read() > 0 {
		t.Error("a worthless header caused a read")
	}
	for _, c := range a.Header.Values("WWW-Authenticate") {
		if parsed, ok := parseAuthorization(c); !ok || parsed.scheme != "digest" {
			t.Errorf("offered %q", c)
		}
	}

	d = open(t)
	d.http.Close()
	d.http = httptest.NewUnstartedServer(d.Handler())
	d.Configure(d.http.Config)
	d.http.StartTLS()
	t.Cleanup(d.http.Close)
	d.know(m)
	c := d.client()
	c.send(m, basic).has(t, "InformResponse")
	if d.clients.last(t).trust != models.L1 {
		t.Error("not at L1")
	}
}

// When the database does not answer, clients are told to come later.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	d := open(t, lab)
	m := inform("1", "2 PERIODIC")
	d.know(m)
	d.devices.fail(errors.New("no database"))
	d.client().send(m).is(t, http.StatusServiceUnavailable)
	if d.Stats().Open > 0 {
		t.Error("a session was opened")
	}
	d.devices.fail(nil)
	for _, err := range []error{errors.New("torn"), &models.Error{Code: models.Unavailable, RetryAfterSeconds: 1000}} {
		d.clients.fail(err)
		a := d.client().send(m, func(r *http.Request) { r.SetBasicAuth(string(keyOf(m)), password.Reveal()) })
		a.is(t, http.StatusServiceUnavailable)
		if wait := a.Header.Get("Retry-After"); models.CodeOf(err) == models.Unavailable && len(wait) < 4 {
			t.Errorf("Retry-After: %s", wait)
		}
	}
	if s := d.Stats(); s.Open > 0 || s.Answers[503] != 3 {
		t.Errorf("stats %+v", s)
	}
}

// Clients that were refused together are not told the same time.
func TestSmear(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.devices.fail(errors.New("no database"))
	var waits []string
	for range 12 {
		waits = append(waits, d.client().send(inform("1", "1 BOOT")).Header.Get("Retry-After"))
	}
	slices.Sort(waits)
	if len(slices.Compact(waits)) < 2 {
		t.Errorf("everybody waits %s s", waits[0])
	}
}
