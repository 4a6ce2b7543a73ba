package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// turnedAway checks what a mobile client hears of a refusal, with the event about its account that tells the north.
func (p *platform) turnedAway(status int, accountID, event string) func(sim.Outcome, error) sim.Outcome {
	p.t.Helper()
	before := count(p.eventsOf(accountID), event)
	return func(o sim.Outcome, err error) sim.Outcome {
		p.t.Helper()
		if p.want(status)(o, err); o.Result != 2 {
			p.t.Errorf("status %d has result %d", o.Status, o.Result)
		}
		p.waitForEvent(accountID, event, before+1)
		return o
	}
}

func (p *platform) suspendAccount(id string) {
	p.t.Helper()
	p.mutate("suspendAccount", "account { state }", object{"idempotencyKey": "s" + id, "account": object{"id": id}, "reason": "NON_PAYMENT"})
}

func (p *platform) terminateAccount(id string) {
	p.t.Helper()
	p.mutate("terminateAccount", "account { state }", object{"idempotencyKey": "t" + id, "account": object{"id": id}})
}

// Every row of the error table of i4.md B.3, beside those that have a test of their own below.
func TestMobileErrors(t *testing.T) {
	eachPlatform(t, func(c *Config) {
		allModes(c)
		c.I4.Upgrade.MinVersion = map[string]string{"Mobile": "2.0"}
	}, func(t *testing.T, p *platform) {
		const refused = "SECURITY security.register_refused"
		p.run("malformed", func(t *testing.T, p *platform) {
			_, _, mdn := p.provision(withMobile)
			for mode, good := range map[string]map[string]string{
				"network": {"ui.mdn": mdn, "auth.clientNonce": someRequestID},
				"mo-sms":  {"ui.mdn": mdn, "auth.clientNonce": someRequestID},
				"sms":     {"ui.mdn": mdn, "ui.requestId": someRequestID},
				"challenge": {"ui.userName": mdn, "auth.clientNonce": someRequestID, "auth.purpose": "mobile",
					"auth.algorithm": models.ProofAlgorithm},
			} {
				good["auth.mode"], good["softClient.loginSessionId"], good["softClient.clientType"] = mode, someRequestID, "Mobile"
				for name := range good {
					parameters := map[string]string{}
					for k, v := range good {
						parameters[k] = v
					}
					parameters[name] = ""
					if name == "auth.purpose" {
						parameters[name] = "changepwd"
					}
					path, _ := profile.Path(name)
					if o := p.want(40)(p.sendRegister(p.phone(mdn, nil), parameters)); o.Result != 2 || !strings.Contains(o.Desc, path) {
						t.Errorf("%s without %s: %+v", mode, name, o)
					}
				}
				good["ui.imsi"] = "no IMSI"
				if o := p.want(40)(p.sendRegister(p.phone(mdn, nil), good)); !strings.Contains(o.Desc, "IMSI") {
					t.Errorf("%s: %+v", mode, o)
				}
			}
			// A PC has no SIM card.
			pc := p.client(mdn, nil)
			p.want(40)(p.sendRegister(pc, map[string]string{"auth.mode": "network", "ui.mdn": mdn, "auth.clientNonce": someRequestID, "softClient.loginSessionId": someRequestID}))
		})
		p.run("malformed, of a known device", func(t *testing.T, p *platform) {
			_, _, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			p.want(0)(client.RegisterNetwork(t.Context()))
			p.want(40)(p.sendRegister(client, map[string]string{"auth.mode": "carrier pigeon", "softClient.clientType": "Mobile"}))
			p.deviceEvent(client, "security.malformed")
		})
		p.run("account state and services", func(t *testing.T, p *platform) {
			for status, change := range map[int]func(id string){33: p.suspendAccount, 34: p.terminateAccount} {
				id, _, mdn := p.provision(withMobile)
				change(id)
				p.turnedAway(status, id, refused)(p.phone(mdn, nil).RegisterNetwork(t.Context()))
			}
			id, _, mdn := p.provision(object{"clientTypes": []string{"MOBILE"}, "activate": false})
			p.turnedAway(17, id, refused)(p.phone(mdn, nil).RegisterNetwork(t.Context()))
			// Without mobile clients in its subscription nobody has this mobile number (resolutions 9).
			_, _, none := p.provision(object{"clientTypes": []string{"PC"}})
			p.want(1)(p.phone(none, nil).RegisterNetwork(t.Context()))
		})
		p.run("no SIP secret", func(t *testing.T, p *platform) {
			id, msisdn, mdn := p.provision(withMobile)
			p.exec("UPDATE accounts SET sip_password = NULL WHERE msisdn = ?", msisdn[1:])
			if o := p.turnedAway(4, id, refused)(p.phone(mdn, nil).RegisterNetwork(t.Context())); o.RetryAfter != 60 {
				t.Errorf("%+v", o)
			}
		})
		p.run("old version", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			client.Set("deviceInfo.softwareVersion", "1.9")
			p.turnedAway(18, id, refused)(client.RegisterNetwork(t.Context()))
		})
		p.run("take-over", func(t *testing.T, p *platform) {
			id, msisdn, mdn := p.provision(withMobile)
			first, second, third := p.phone(mdn, nil), p.phone(mdn, nil), p.phone(mdn, func(c *sim.Config) { c.Number = msisdn })
			p.want(0)(first.RegisterNetwork(t.Context()))
			p.want(0)(second.RegisterNetwork(t.Context()))
			p.waitForEvent(id, "BINDING_CHANGED client.unbound REMOVED", 1)
			p.want(12)(first.Heartbeat(t.Context()))
			p.loginBySMS(first, mdn)
			p.want(12)(second.Heartbeat(t.Context()))
			p.turnedAway(16, id, "SECURITY security.device_conflict")(third.Register(t.Context(), longTerm))
		})
		p.run("wrong code, then locked", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			p.want(20)(client.RegisterSMS(t.Context()))
			code := p.password(mdn, 1)
			client.SetFaults(sim.Faults{EmptyProofs: 2})
			p.want(13)(client.RegisterCode(t.Context(), code))
			client.SetFaults(sim.Faults{WrongNonce: true})
			p.want(13)(client.RegisterCode(t.Context(), code))
			client.SetFaults(sim.Faults{})
			for try := 1; try < 5; try++ {
				if o := p.turnedAway(1, id, "SECURITY security.auth_failed")(client.RegisterCode(t.Context(), "WRONG")); o.Times != try || o.Limit != 5 {
					t.Errorf("try %d: %+v", try, o)
				}
			}
			p.turnedAway(11, id, "SECURITY security.locked")(client.RegisterCode(t.Context(), "WRONG"))
			p.want(11)(client.RegisterCode(t.Context(), code))
			p.want(11)(client.RegisterSMS(t.Context()))
		})
		p.run("the code is one device's, once", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			client, thief := p.phone(mdn, nil), p.phone(mdn, nil)
			p.want(20)(client.RegisterSMS(t.Context()))
			code := p.password(mdn, 1)
			p.turnedAway(1, id, "SECURITY security.auth_failed")(thief.RegisterCode(t.Context(), code))
			p.want(0)(client.RegisterCode(t.Context(), code))
			p.done(client.Heartbeat(t.Context()))
			p.turnedAway(1, id, "SECURITY security.auth_failed")(client.RegisterCode(t.Context(), code))
		})
		p.run("nonce reused", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			p.want(20)(client.RegisterSMS(t.Context()))
			code := p.password(mdn, 1)
			p.want(0)(client.RegisterCode(t.Context(), code))
			client.SetFaults(sim.Faults{KeepNonce: true})
			p.turnedAway(13, id, "SECURITY security.challenge_invalid")(client.RegisterCode(t.Context(), code))
		})
		p.run("rate limited", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			p.want(20)(client.RegisterSMS(t.Context()))
			if o := p.turnedAway(10, id, "SECURITY security.rate_limited")(client.RegisterSMS(t.Context())); o.RetryAfter < 1 || o.RetryAfter > 60 {
				t.Errorf("%+v", o)
			}
			// The mobile has had its SMS of the day, whoever asked for them (i4.md B.3).
			p.exec("UPDATE password_requests SET created_at = created_at - 3600000")
			for range 4 {
				p.want(20)(p.phone(mdn, nil).RegisterSMS(t.Context()))
				p.exec("UPDATE password_requests SET created_at = created_at - 3600000")
			}
			p.turnedAway(10, id, "SECURITY security.rate_limited")(p.phone(mdn, nil).RegisterSMS(t.Context()))
			if n := len(p.messages(mdn)); n > 5 {
				t.Errorf("%d SMS", n)
			}
		})
		p.run("no SMS vouches", func(t *testing.T, p *platform) {
			id, _, mdn := p.provision(withMobile)
			_, _, other := p.provision(withMobile)
			client := p.phone(mdn, nil)
			const failed = "SECURITY security.network_id_failed"
			nonce := strings.Repeat("ab", 16)
			p.turnedAway(23, id, failed)(client.RegisterMO(t.Context(), nonce))
			p.assert(other, nonce)
			p.assert(mdn, nonce) // later, and so nobody's word
			p.turnedAway(23, id, failed)(client.RegisterMO(t.Context(), nonce))
			nonce = strings.Repeat("cd", 16)
			p.assert(mdn, nonce+"0")
			p.turnedAway(23, id, failed)(client.RegisterMO(t.Context(), nonce))
			p.assert(mdn, nonce)
			p.exec("UPDATE asserted_numbers SET until = 1")
			p.turnedAway(23, id, failed)(client.RegisterMO(t.Context(), nonce))
			p.assert(mdn, nonce)
			p.want(0)(client.RegisterMO(t.Context(), nonce))
			p.turnedAway(23, id, failed)(client.RegisterMO(t.Context(), nonce)) // once
		})
		p.run("several accounts have the mobile", func(t *testing.T, p *platform) {
			_, _, mdn := p.provision(withMobile)
			p.provision(object{"clientTypes": []string{"PC"}, "boundMobile": mdn}) // which has no mobile clients
			client := p.phone(mdn, nil)
			p.want(0)(client.RegisterNetwork(t.Context()))
			p.provision(object{"clientTypes": []string{"MOBILE"}, "boundMobile": mdn})
			p.want(1)(client.RegisterNetwork(t.Context()))
			p.want(20)(client.RegisterSMS(t.Context()))
			p.want(1)(client.RegisterCode(t.Context(), "ANYTHING"))
			if n := len(p.messages(mdn)); n != 0 {
				t.Errorf("%d SMS for nobody", n)
			}
		})
		p.run("nobody has the mobile", func(t *testing.T, p *platform) {
			const nobody = "+8613999999999"
			client := p.phone(nobody, nil)
			p.want(1)(client.RegisterNetwork(t.Context()))
			first := p.want(20)(client.RegisterSMS(t.Context()))
			if first.RetryAfter != 60 || len(p.messages(nobody)) != 0 {
				t.Errorf("%+v, %d SMS", first, len(p.messages(nobody)))
			}
			p.want(10)(client.RegisterSMS(t.Context())) // as for anybody
			if o := p.want(1)(client.RegisterCode(t.Context(), "ANYTHING")); o.Limit != 5 || o.Times != 1 {
				t.Errorf("%+v", o)
			}
		})
		p.run("an error of ours", func(t *testing.T, p *platform) {
			_, msisdn, mdn := p.provision(withMobile)
			p.exec("ALTER TABLE used_tokens RENAME TO used_tokens_away")
			if o := p.want(50)(p.phone(mdn, nil).RegisterNetwork(t.Context())); o.Result != 2 || o.Desc != "INTERNAL" || o.RetryAfter != 60 {
				t.Errorf("%+v", o)
			}
			p.exec("ALTER TABLE used_tokens_away RENAME TO used_tokens")
			if n := p.audits("register", models.AuditFailed, msisdn); n != 1 {
				t.Errorf("%d audit rows of the failure", n)
			}
		})
	})
}

// deviceEvent waits for a SECURITY event about a device.
func (p *platform) deviceEvent(client *sim.Client, code string) {
	p.t.Helper()
	device := p.mobileOf(client).text("id")
	storetest.Eventually(p.t, code+" is readable", func() bool {
		return strings.Contains(p.raw(`query($d: [ID!]) { events(filter: {deviceIds: $d, types: [SECURITY]}) { nodes { payload } } }`, object{"d": []string{device}}), code)
	})
}

// A network token is good for one client, number, time and use; what fails counts against the device.
func TestNetworkTokens(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		const failed = "SECURITY security.network_id_failed"
		id, _, mdn := p.provision(withMobile)
		_, _, other := p.provision(withMobile)
		key := p.app.store.Derive(tokenPurpose)
		read := func(token string) models.NetworkToken {
			claims, ok := models.ParseNetworkToken(token, [][32]byte{key})
			if !ok {
				t.Errorf("the portal gave %q", token)
			}
			return claims
		}
		for name, forge := range map[string]func(token string) string{
			"none":           func(string) string { return "" },
			"of nobody":      func(token string) string { return read(token).Sign([32]byte{}) },
			"cut":            func(token string) string { return token[:len(token)-1] },
			"expired":        func(token string) string { c := read(token); c.ExpiresAt -= 121_000; return c.Sign(key) },
			"another nonce":  func(token string) string { c := read(token); c.ClientNonce = someRequestID; return c.Sign(key) },
			"another number": func(token string) string { c := read(token); c.MDN = models.Number(other[1:]); return c.Sign(key) },
		} {
			p.run(name, func(t *testing.T, p *platform) {
				client := p.phone(mdn, nil)
				client.SetFaults(sim.Faults{ForgeToken: forge})
				p.turnedAway(23, id, failed)(client.RegisterNetwork(t.Context()))
				client.SetFaults(sim.Faults{})
				p.want(0)(client.RegisterNetwork(t.Context()))
			})
		}
		p.run("used before", func(t *testing.T, p *platform) {
			client, used := p.phone(mdn, nil), ""
			client.SetFaults(sim.Faults{ForgeToken: func(token string) string { used = token; return token }})
			p.want(0)(client.RegisterNetwork(t.Context()))
			client.SetFaults(sim.Faults{KeepNonce: true, ForgeToken: func(string) string { return used }})
			p.turnedAway(23, id, failed)(client.RegisterNetwork(t.Context()))
		})
		p.run("too often", func(t *testing.T, p *platform) {
			client := p.phone(mdn, nil)
			client.SetFaults(sim.Faults{ForgeToken: func(string) string { return "forged" }})
			for range 9 {
				p.want(23)(client.RegisterNetwork(t.Context()))
			}
			p.turnedAway(11, id, "SECURITY security.locked")(client.RegisterNetwork(t.Context()))
			client.SetFaults(sim.Faults{})
			if o := p.want(11)(client.RegisterNetwork(t.Context())); o.RetryAfter < 1 || o.RetryAfter > 3600 {
				t.Errorf("%+v", o)
			}
			p.want(0)(p.phone(mdn, nil).RegisterNetwork(t.Context()))
		})
	})
}

// The portal as its clients see it: the token for a gateway's word and nothing for anybody else, on a listener of its own.
func TestPortal(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Mobile.MDNHeader = "X-MDN" }, func(t *testing.T, p *platform) {
		ask := func(method, url, header, mdn string) (int, string, http.Header) {
			r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if header != "" {
				r.Header.Set(header, mdn)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode, string(text), answer.Header
		}
		const good = "?cn=" + someRequestID
		status, token, header := ask(http.MethodGet, p.portal+good, "X-MDN", "13800000001")
		claims, ok := models.ParseNetworkToken(token, p.app.store.DeriveAll(tokenPurpose))
		if status != 200 || !ok || claims.MDN != "8613800000001" || header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
			t.Errorf("HTTP %d %v, token of %+v", status, header, claims)
		}
		north := strings.TrimSuffix(p.south, "/acs")
		for name, x := range map[string]struct {
			method, url, header string
			want                int
		}{
			"no nonce":           {"GET", p.portal, "X-MDN", 400},
			"no header":          {"GET", p.portal + good, "", 403},
			"the default header": {"GET", p.portal + good, "X-Up-Calling-Line-Id", 403},
			"POST":               {"POST", p.portal + good, "X-MDN", 405},
			"at the ACS":         {"GET", north + "/i4/mdn" + good, "X-MDN", 405},
			"at the API":         {"GET", p.north + "/i4/mdn" + good, "X-MDN", 404},
			"ACS at the portal":  {"POST", strings.TrimSuffix(p.portal, "/i4/mdn") + "/acs", "", 404},
		} {
			if status, text, _ := ask(x.method, x.url, x.header, "13800000001"); status != x.want && !(name == "at the API" && !strings.Contains(text, "v1.")) {
				t.Errorf("%s: HTTP %d %s", name, status, text)
			}
		}
		_, metrics, _ := ask(http.MethodGet, "http://"+p.app.adminAddr.Addr().String()+"/metrics", "", "")
		for _, line := range []string{`softacs_portal_answers_total{status="200"} 1`, `softacs_portal_answers_total{status="403"} 2`} {
			if !strings.Contains(metrics, line) {
				t.Errorf("the metrics lack %s", line)
			}
		}
		if strings.Contains(metrics, "13800000001") || strings.Contains(metrics, token) {
			t.Error("the metrics tell who asked")
		}
	})
}

// Outside lab mode nobody's word is taken unless they are configured, and the door opens on no address by itself.
func TestPortalTrustsNobodyByDefault(t *testing.T) {
	t.Parallel()
	c := defaultConfig()
	if list, err := gateways(c); err != nil || len(list) != 0 || c.Portal.Addr != "" {
		t.Errorf("%v, %v, portal on %q", list, err, c.Portal.Addr)
	}
	c.I4.Mobile.TrustedGateways = []string{"10.1.2.3/16", "192.0.2.7", "2001:db8::/32"}
	if list, err := gateways(c); err != nil || len(list) != 3 || list[0].String() != "10.1.0.0/16" || list[1].String() != "192.0.2.7/32" {
		t.Errorf("%v, %v", list, err)
	}
	c.I4.Mobile.TrustedGateways = []string{"gateway.example.net"}
	if _, err := gateways(c); err == nil || !strings.Contains(err.Error(), "i4.mobile.trustedGateways") {
		t.Errorf("a name is no address: %v", err)
	}
}

// The SMS channel is down: everybody hears 22.
func TestMobileWithoutSMS(t *testing.T) {
	broken := func(c *Config) { c.SMS = models.Secret("file:" + filepath.Join(t.TempDir(), "missing", "sms.jsonl")) }
	eachPlatform(t, broken, func(t *testing.T, p *platform) {
		id, _, mdn := p.provision(withMobile)
		p.want(20)(p.phone(mdn, nil).RegisterSMS(t.Context()))
		storetest.Eventually(t, "the outage is noticed", func() bool { return !p.app.sms.Available() })
		_, _, other := p.provision(withMobile)
		for _, number := range []string{other, "+8613999999998"} {
			if o := p.want(22)(p.phone(number, nil).RegisterSMS(t.Context())); o.Result != 2 || o.RetryAfter != 60 {
				t.Errorf("%+v", o)
			}
		}
		if n := count(p.eventsOf(id), "SMS_STATE_CHANGED sms.delivered DELIVERED"); n != 0 {
			t.Error("a message was delivered into nothing")
		}
		p.waitForEvent(id, "SMS_STATE_CHANGED sms.queued QUEUED", 1)
	})
}

// With anti-enumeration off a mobile hears what it is; the mode that is not open is no mode.
func TestMobileInTheOpen(t *testing.T) {
	open := func(c *Config) { c.I4.Auth.AntiEnumeration, c.I4.Mobile.Modes = false, []string{"sms"} }
	eachPlatform(t, open, func(t *testing.T, p *platform) {
		_, _, mdn := p.provision(withMobile)
		for _, session := range []func(*sim.Client) (sim.Outcome, error){
			func(c *sim.Client) (sim.Outcome, error) { return c.RegisterNetwork(t.Context()) },
			func(c *sim.Client) (sim.Outcome, error) { return c.RegisterMO(t.Context(), someRequestID) },
		} {
			if o := p.want(40)(session(p.phone(mdn, nil))); !strings.Contains(o.Desc, "Auth.Mode") {
				t.Errorf("%+v", o)
			}
		}
		nobody := p.phone("+8613999999997", nil)
		p.want(2)(nobody.RegisterSMS(t.Context()))
		p.want(2)(nobody.RegisterCode(t.Context(), "ANYTHING"))
		for status, change := range map[int]func(id string){33: p.suspendAccount, 34: p.terminateAccount} {
			id, _, mdn := p.provision(withMobile)
			change(id)
			p.want(status)(p.phone(mdn, nil).RegisterSMS(t.Context()))
		}
		_, _, shared := p.provision(withMobile)
		p.provision(object{"clientTypes": []string{"MOBILE"}, "boundMobile": shared})
		p.want(1)(p.phone(shared, nil).RegisterSMS(t.Context()))
		p.loginBySMS(p.phone(mdn, nil), mdn)
	})
}
