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
)

const realm = "i4.example.net"

func timestampMode(c *Config) { c.I4.Auth.Modes, c.I4.Auth.Realm = []string{"timestamp"}, realm }

// derives10k makes the client derive with as few iterations as the tests' platform.
func derives10k(c *sim.Config) { c.Iterations, c.Realm = 10_000, realm }

// The proof without a challenge (i4.md C.2.4): one request of the platform, the delivery.
func TestTimestampMode(t *testing.T) {
	eachPlatform(t, timestampMode, func(t *testing.T, p *platform) {
		withPassword := object{"initialPassword": longTerm}
		stamp := func(client *sim.Client, password models.Secret) (sim.Outcome, error) {
			return client.RegisterTimestamp(t.Context(), password, realm)
		}
		p.run("served", func(t *testing.T, p *platform) {
			_, msisdn, mobile := p.provision(withPassword)
			client := p.client(msisdn, derives10k)
			asked := 0
			p.observe(client, func(e sim.Exchange) error {
				if e.Got != nil && e.Got.Method() != "InformResponse" {
					asked++
				}
				return nil
			})
			p.want(0)(stamp(client, longTerm))
			p.observe(client, nil)
			if asked != 1 {
				t.Errorf("%d requests", asked)
			}
			if state := p.deviceOf(client).text("bindings.nodes.0.state"); state != "ACTIVE" {
				t.Errorf("the binding is %s", state)
			}
			p.done(client.Heartbeat(t.Context()))
			// A one-time password has the same salt.
			other := p.client(msisdn, derives10k)
			p.want(0)(other.GetPassword(t.Context()))
			p.want(0)(stamp(other, p.password(mobile, 1)))
		})
		p.run("each lost answer", func(t *testing.T, p *platform) {
			for n := 1; n <= 3; n++ {
				_, msisdn, _ := p.provision(withPassword)
				client := p.client(msisdn, derives10k)
				lost := false
				p.observe(client, func(e sim.Exchange) error {
					if e.N == n && !lost {
						lost = true
						return errLost
					}
					return nil
				})
				o, err := stamp(client, longTerm)
				if errors.Is(err, errLost) {
					o, err = client.Retry(t.Context())
				}
				p.want(0)(o, err)
				p.done(client.Heartbeat(t.Context()))
			}
		})
		p.run("refusals", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, derives10k)
			for _, skew := range []time.Duration{301 * time.Second, -time.Hour} {
				client.SetFaults(sim.Faults{TimestampSkew: skew})
				o := p.want(14)(stamp(client, longTerm))
				if told, ok := cwmp.ParseTime(o.ServerTime, nil); !ok || time.Since(told).Abs() > time.Minute {
					t.Errorf("the platform's clock is %q", o.ServerTime)
				}
				p.want(0)(stamp(client, longTerm)) // corrected by that, and no failure
				client = p.client(msisdn, derives10k)
				p.exec("DELETE FROM bindings")
			}
			client.SetFaults(sim.Faults{TimestampSkew: 250 * time.Second})
			p.want(0)(stamp(client, longTerm))
			client.SetFaults(sim.Faults{KeepNonce: true})
			p.turnedAway(13, id, "SECURITY security.challenge_invalid")(stamp(client, longTerm))
			client.SetFaults(sim.Faults{})
			if o := p.turnedAway(1, id, "SECURITY security.auth_failed")(stamp(client, "wrong")); o.Times != 1 {
				t.Errorf("%+v", o)
			}
			p.want(1)(stamp(p.client("+862199999997", derives10k), longTerm))
			if o := p.want(40)(p.client(msisdn, nil).Register(t.Context(), longTerm)); !strings.Contains(o.Desc, "Auth.Mode") {
				t.Errorf("a challenge: %+v", o)
			}
			for range 3 {
				p.want(1)(stamp(client, "wrong"))
			}
			p.turnedAway(11, id, "SECURITY security.locked")(stamp(client, "wrong"))
			p.want(11)(stamp(client, longTerm))
		})
		p.run("malformed", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			good := map[string]string{
				"ui.userName": msisdn, "auth.mode": "timestamp", "auth.algorithm": models.ProofAlgorithm, "auth.purpose": "register",
				"auth.clientNonce": someRequestID, "softClient.loginSessionId": someRequestID, "softClient.clientType": "PC",
				"auth.timestamp": "2012-01-10T01:31:00Z", "auth.proof": strings.Repeat("0", 64),
			}
			for name, bad := range map[string]string{
				"ui.userName": "nobody", "auth.timestamp": "2012-01-10T09:31:00+08:00", "auth.proof": "none", "auth.purpose": "mobile", "auth.clientNonce": "",
			} {
				parameters := map[string]string{}
				for k, v := range good {
					parameters[k] = v
				}
				parameters[name] = bad
				path, _ := profile.Path(name)
				if o := p.want(40)(p.sendRegister(p.client(msisdn, nil), parameters)); !strings.Contains(o.Desc, path) {
					t.Errorf("%s=%q: %+v", name, bad, o)
				}
			}
			p.want(14)(p.sendRegister(p.client(msisdn, nil), good))
		})
	})
}

// A password in clear, where somebody has allowed it (i4.md C.2.5).
func TestPlainMode(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Auth.LegacyPlaintext = "tls-only" }, func(t *testing.T, p *platform) {
		legacy := func(client *sim.Client) bool {
			serial := string(client.Key())[strings.LastIndex(string(client.Key()), "-")+1:]
			d := p.query(`query($s: String!) { device(ref: {identity: {oui: "00005E", productClass: "IMSPC", serialNumber: $s}}) { legacyAuth } }`, object{"s": serial})
			flag, _ := d.at("device.legacyAuth").(bool)
			return flag
		}
		p.run("in the parameters", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			client := p.client(msisdn, nil)
			if o := p.turnedAway(1, id, "SECURITY security.auth_failed")(client.RegisterPlain(t.Context(), "wrong")); o.Times != 1 {
				t.Errorf("%+v", o)
			}
			p.want(0)(client.RegisterPlain(t.Context(), longTerm))
			if client.Get("auth.serverProof") != "" {
				t.Error("the platform proved itself to a client that cannot know")
			}
			if device := p.deviceOf(client); device.text("bindings.nodes.0.state") != "ACTIVE" || device.text("bindings.nodes.0.method") != "PASSWORD" || !legacy(client) {
				t.Errorf("%v", device)
			}
			p.done(client.Heartbeat(t.Context()))
			p.want(0)(client.Register(t.Context(), longTerm))
			if legacy(client) {
				t.Error("a client that proved its password is no legacy client")
			}
			p.want(1)(p.client("+862199999996", nil).RegisterPlain(t.Context(), longTerm))
			p.suspendAccount(id)
			p.turnedAway(33, id, "SECURITY security.register_refused")(client.RegisterPlain(t.Context(), longTerm))
		})
		p.run("a one-time password", func(t *testing.T, p *platform) {
			_, msisdn, mobile := p.provision(nil)
			client := p.client(msisdn, nil)
			p.want(0)(client.GetPassword(t.Context()))
			code := p.password(mobile, 1)
			p.want(0)(client.RegisterPlain(t.Context(), code))
			p.done(client.Heartbeat(t.Context()))
			p.want(1)(client.RegisterPlain(t.Context(), code))
		})
		p.run("as HTTP Basic", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			client := p.client(msisdn, func(c *sim.Config) {
				c.Basic, c.Username, c.ACSPassword = true, "0"+strings.TrimPrefix(msisdn, "+86"), longTerm
			})
			p.want(0)(client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventRegister)}}, nil))
			if !legacy(client) {
				t.Error("the device is not flagged")
			}
			p.done(client.Heartbeat(t.Context())) // with the credentials that it was given
		})
		p.run("lost answers", func(t *testing.T, p *platform) {
			for n := 1; n <= 3; n++ {
				_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
				client := p.client(msisdn, nil)
				lost := false
				p.observe(client, func(e sim.Exchange) error {
					if e.N == n && !lost {
						lost = true
						return errLost
					}
					return nil
				})
				o, err := client.RegisterPlain(t.Context(), longTerm)
				if errors.Is(err, errLost) {
					o, err = client.Retry(t.Context())
				}
				p.want(0)(o, err)
				p.done(client.Heartbeat(t.Context()))
			}
		})
	})
}

// By default a password in clear is refused, however it comes.
func TestPlainModeIsOff(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		if o := p.want(40)(p.client(msisdn, nil).RegisterPlain(t.Context(), longTerm)); !strings.Contains(o.Desc, "Auth.Mode") {
			t.Errorf("%+v", o)
		}
		basic := p.client(msisdn, func(c *sim.Config) { c.Basic, c.Username, c.ACSPassword = true, msisdn, longTerm })
		if _, err := basic.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventRegister)}}, nil); status(err) != 401 {
			t.Errorf("%v", err)
		}
	})
}

// Status 15: who proved a one-time password is managed, and gets its service only after it has changed it (resolutions 13).
func TestMustChangeInitial(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Password.MustChangeInitial = true }, func(t *testing.T, p *platform) {
		for n := range 6 { // 0: nothing is lost
			p.run(fmt.Sprintf("losing answer %d", n), func(t *testing.T, p *platform) {
				id, msisdn, mobile := p.provision(nil)
				client := p.client(msisdn, nil)
				p.want(0)(client.GetPassword(t.Context()))
				code := p.password(mobile, 1)
				lost := false
				var delivered []string
				p.observe(client, func(e sim.Exchange) error {
					if set, ok := e.Got.(*cwmp.SetParameterValues); ok {
						delivered = append(delivered, names(set.Parameters)...)
						if set.ParameterKey != "" {
							t.Errorf("the ParameterKey becomes %q", set.ParameterKey)
						}
					}
					if e.N == n && !lost {
						lost = true
						return errLost
					}
					return nil
				})
				o, err := client.Register(t.Context(), code)
				if errors.Is(err, errLost) && n < 5 {
					o, err = client.Retry(t.Context())
				}
				if n < 5 {
					if p.want(15)(o, err); o.Result != 1 {
						t.Errorf("%+v", o)
					}
				}
				if slices.ContainsFunc(delivered, func(v string) bool {
					return strings.HasPrefix(v, "line.") || strings.HasPrefix(v, "voice.") || strings.HasPrefix(v, "sip.")
				}) {
					t.Errorf("service was delivered: %q", delivered)
				}
				if client.Get("managementServer.password") == "" || client.Get("line.sip.authPassword") != "" || client.Get("auth.serverProof") == "" {
					t.Error("the client cannot be managed, or has its service")
				}
				for range 2 {
					if o := p.want(15)(client.Heartbeat(t.Context())); o.Result != 1 {
						t.Errorf("%+v", o)
					}
				}
				if device := p.deviceOf(client); device.text("configuration.state") != "PENDING" || device.text("bindings.nodes.0.state") != "ACTIVE" {
					t.Errorf("%v", device)
				}
				p.observe(client, nil)
				p.want(0)(client.ChangePassword(t.Context(), code, "Another-Kite-43!"))
				if client.Get("line.sip.authPassword") != "" {
					t.Error("the rest came with the change, not in the next session")
				}
				p.done(client.Heartbeat(t.Context()))
				if client.Get("line.sip.authPassword") == "" || client.Get("managementServer.parameterKey") != "cfg-000000001" {
					t.Error("after the change the service did not come")
				}
				p.waitForEvent(id, "CONFIGURATION_CHANGED config.applied APPLIED", 1)
				p.want(0)(client.Register(t.Context(), "Another-Kite-43!"))
			})
		}
		p.run("the long-term password ends it", func(t *testing.T, p *platform) {
			_, msisdn, mobile := p.provision(object{"initialPassword": longTerm})
			client := p.client(msisdn, nil)
			p.want(0)(client.GetPassword(t.Context()))
			p.want(15)(client.Register(t.Context(), p.password(mobile, 1)))
			p.want(0)(client.Register(t.Context(), longTerm))
			p.done(client.Heartbeat(t.Context()))
			if client.Get("line.sip.authPassword") == "" {
				t.Error("no service")
			}
		})
		p.run("what a suspended account takes goes out all the same", func(t *testing.T, p *platform) {
			id, msisdn, mobile := p.provision(nil)
			client := p.client(msisdn, nil)
			p.want(0)(client.GetPassword(t.Context()))
			p.want(15)(client.Register(t.Context(), p.password(mobile, 1)))
			p.suspendAccount(id)
			p.want(33)(client.Heartbeat(t.Context()))
		})
		p.run("a mobile's code is no password", func(t *testing.T, p *platform) {
			_, _, mdn := p.provision(withMobile)
			p.loginBySMS(p.phone(mdn, nil), mdn)
		})
	})
}

// What cannot be meant is refused at start, by the name of its key.
func TestModeSettings(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*Config){
		"i4.auth.modes":           func(c *Config) { c.I4.Auth.Modes = []string{"challenge", "plain"} },
		"i4.mobile.modes":         func(c *Config) { c.I4.Mobile.Modes = []string{"mms"} },
		"i4.auth.legacyPlaintext": func(c *Config) { c.I4.Auth.LegacyPlaintext = "yes" },
		"i4.mobile.imsiMismatch":  func(c *Config) { c.I4.Mobile.IMSIMismatch = "" },
		"i4.mobile.tokenTtl":      func(c *Config) { c.I4.Mobile.TokenTTL = 0 },
	} {
		c := defaultConfig()
		change(&c)
		if _, err := clientsConfig(c, nil); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := defaultConfig()
	c.I4.Auth.Modes = nil // nobody could log in with a password
	if _, err := clientsConfig(c, nil); err == nil || !strings.HasPrefix(err.Error(), "i4.auth.modes:") {
		t.Errorf("no mode: %v", err)
	}
	c.I4.Auth.Modes = []string{"timestamp"}
	if _, err := passwordsConfig(c); err == nil || !strings.HasPrefix(err.Error(), "i4.auth.realm:") {
		t.Errorf("timestamp mode without realm: %v", err)
	}
}
