package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

const (
	chosen  = models.Secret("Red-Kite-43!")
	changed = "PASSWORD_CHANGED password.changed SET"
	notice  = "【天翼宽带多媒体】您的客户端登录密码已修改。如非本人操作，请尽快联系客服。"
)

// quick is a PC client of the account that derives its new verifiers with the fewest iterations.
func (p *platform) quick(msisdn string) *sim.Client {
	p.t.Helper()
	return p.client(msisdn, func(c *sim.Config) { c.Iterations = 10_000 })
}

// settled is a quick client of a new account with a long-term password, registered, and with its new credentials in use.
func (p *platform) settled(more object) (client *sim.Client, id, msisdn, mobile string) {
	p.t.Helper()
	input := object{"initialPassword": longTerm}
	for k, v := range more {
		input[k] = v
	}
	id, msisdn, mobile = p.provision(input)
	client = p.quick(msisdn)
	p.want(0)(client.Register(p.t.Context(), longTerm))
	p.done(client.Heartbeat(p.t.Context()))
	return client, id, msisdn, mobile
}

func (p *platform) passwordState(id string) string {
	p.t.Helper()
	return p.query(`query($id: ID!) { account(ref: {id: $id}) { passwordState } }`, object{"id": id}).text("account.passwordState")
}

// audits counts the rows of the audit log about the account's password, by outcome.
func (p *platform) audits(action string, outcome models.AuditOutcome, account string) (n int64) {
	p.t.Helper()
	err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
		id := tx.DB.Table("accounts").Select("id").Where("msisdn = ?", account[1:])
		return tx.DB.Model(&models.AuditEntry{}).Where("action = ? AND outcome = ? AND subject_id IN (?)", action, outcome, id).Count(&n).Error
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// The whole flow 6.1.5 as everybody sees it.
func TestChangePassword(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		client, id, msisdn, mobile := p.settled(nil)
		before := client.Get("managementServer.password")
		if o := p.want(0)(client.ChangePassword(t.Context(), longTerm, chosen)); o.Result != 1 {
			t.Errorf("%+v", o)
		}
		if key := client.Get("managementServer.parameterKey"); key != "cfg-000000001" {
			t.Errorf("the ParameterKey is %q", key)
		}
		if client.Get("managementServer.password") == before {
			t.Error("the management password was not renewed")
		}
		p.done(client.Heartbeat(t.Context()))
		p.waitForEvent(id, changed, 1)
		storetest.Eventually(t, "the notice", func() bool { return len(p.messages(mobile)) == 1 })
		if m := p.messages(mobile)[0]; m.Text != notice || m.Purpose != "NOTICE" {
			t.Errorf("%+v", m)
		}
		if state := p.passwordState(id); state != "SET" {
			t.Errorf("the password is %s", state)
		}
		if n := p.audits("changePassword", models.AuditSuccess, msisdn); n != 1 {
			t.Errorf("%d audit rows", n)
		}
		p.want(1)(client.Register(t.Context(), longTerm))
		p.want(0)(client.Register(t.Context(), chosen))
	})
}

// A one-time password may be changed by the device and in the binding that it made, right after it was used.
func TestChangeOneTimePassword(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Device.Max = map[string]int{"PC": 2} }, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		client := p.quick(msisdn)
		p.want(0)(client.GetPassword(t.Context()))
		otp := p.password(mobile, 1)
		p.want(0)(client.Register(t.Context(), otp))
		if state := p.passwordState(id); state != "ONE_TIME" {
			t.Errorf("the password is %s", state)
		}
		p.exec("DELETE FROM password_requests") // the limit per number is not what this is about
		other := p.quick(msisdn)
		p.want(0)(other.GetPassword(t.Context()))
		second := p.password(mobile, 2)
		p.want(1)(client.ChangePassword(t.Context(), second, chosen)) // it is the other device's, and unused
		p.want(0)(client.ChangePassword(t.Context(), otp, chosen))
		p.want(1)(other.Register(t.Context(), second)) // the change ended it
		p.want(1)(client.ChangePassword(t.Context(), otp, "Sea-Kite-44!"))
		p.want(0)(other.Register(t.Context(), chosen))
		if state := p.passwordState(id); state != "SET" {
			t.Errorf("the password is %s", state)
		}
		p.waitForEvent(id, changed, 1)
	})
}

// With i4.password.mustChangeInitial nobody is served before the one-time password was changed; then the next session brings everything.
func TestChangePasswordBeforeService(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Password.MustChangeInitial = true }, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		client := p.quick(msisdn)
		p.want(0)(client.GetPassword(t.Context()))
		otp := p.password(mobile, 1)
		p.want(15)(client.Register(t.Context(), otp))
		p.done(client.Heartbeat(t.Context()))
		if client.Get("line.enable") != "Disabled" || client.Get("line.sip.authPassword") != "" || client.Get("managementServer.parameterKey") != "" {
			t.Errorf("service was delivered before the change: %q", client.Get("managementServer.parameterKey"))
		}
		p.want(0)(client.ChangePassword(t.Context(), otp, chosen))
		if key := client.Get("managementServer.parameterKey"); key != "" {
			t.Errorf("the change delivered %q", key)
		}
		p.done(client.Heartbeat(t.Context()))
		if client.Get("line.enable") != "Enabled" || client.Get("line.sip.authPassword") == "" || client.Get("managementServer.parameterKey") != "cfg-000000001" {
			t.Errorf("after the change the client holds %q", client.Get("managementServer.parameterKey"))
		}
		p.waitForEvent(id, "CONFIGURATION_CHANGED config.applied APPLIED", 1)
		p.want(0)(client.Register(t.Context(), chosen))
	})
}

// Other devices that came in by a password have to prove the new one.
func TestChangePasswordOfOtherDevices(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Device.Max = map[string]int{"PC": 2} }, func(t *testing.T, p *platform) {
		client, id, msisdn, _ := p.settled(object{"maxDevices": 2})
		other := p.quick(msisdn)
		p.want(0)(other.Register(t.Context(), longTerm))
		p.done(other.Heartbeat(t.Context()))
		p.want(0)(client.ChangePassword(t.Context(), longTerm, chosen))
		p.waitForEvent(id, "PASSWORD_CHANGED client.reauth_required SET", 1)
		p.want(12)(other.Heartbeat(t.Context()))
		p.want(12)(other.ChangePassword(t.Context(), chosen, "Sea-Kite-44!"))
		p.want(1)(other.Register(t.Context(), longTerm))
		p.want(0)(other.Register(t.Context(), chosen))
		p.want(99)(other.Heartbeat(t.Context()))
		p.want(99)(client.Heartbeat(t.Context()))
		p.want(0)(other.ChangePassword(t.Context(), chosen, "Sea-Kite-44!"))
		p.want(12)(client.Heartbeat(t.Context()))
	})
}

// sendChange sends a CHANGEPWD with exactly these parameters.
func (p *platform) sendChange(client *sim.Client, parameters map[string]string) (sim.Outcome, error) {
	p.t.Helper()
	var list []cwmp.ParameterValue
	for name, value := range parameters {
		path, _ := profile.Path(name)
		list = append(list, cwmp.ParameterValue{Name: path, Type: "xsd:string", Value: value})
	}
	return client.Send(p.t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventChangePassword)}}, list)
}

// Every row of the error table of i4.md B.5: what the client is told, and what the north hears.
func TestChangePasswordErrors(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		// refused is a change that is told this status with Result 2, and noted once by this security event.
		refused := func(p *platform, client *sim.Client, id string, status int, event string) sim.Outcome {
			p.t.Helper()
			o := p.want(status)(client.ChangePassword(p.t.Context(), longTerm, chosen))
			if o.Result != 2 {
				p.t.Errorf("status %d has result %d", o.Status, o.Result)
			}
			p.waitForEvent(id, "SECURITY "+event, 1)
			return o
		}
		unchanged := func(p *platform, client *sim.Client, msisdn string) {
			p.t.Helper()
			client.SetFaults(sim.Faults{})
			p.want(0)(client.Register(p.t.Context(), longTerm))
			if n := p.audits("changePassword", models.AuditSuccess, msisdn); n != 0 {
				p.t.Errorf("%d changes are in the audit log", n)
			}
		}
		p.run("malformed", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			good := map[string]string{
				"ui.userName": msisdn, "ui.requestId": someRequestID, "auth.mode": "challenge", "auth.algorithm": models.ProofAlgorithm,
				"auth.purpose": "changepwd", "auth.clientNonce": someRequestID,
			}
			n := 0
			for name, bad := range map[string]string{
				"ui.userName": "nobody", "ui.requestId": "r1", "auth.mode": "timestamp", "auth.algorithm": "MD5", "auth.purpose": "register", "auth.clientNonce": "short",
			} {
				parameters := map[string]string{}
				for k, v := range good {
					parameters[k] = v
				}
				parameters[name] = bad
				path, _ := profile.Path(name)
				if o := p.want(40)(p.sendChange(client, parameters)); o.Result != 2 || !strings.Contains(o.Desc, path) {
					t.Errorf("%s=%q: %+v", name, bad, o)
				}
				n++
			}
			p.waitForEvent(id, "SECURITY security.malformed", n)
			unchanged(p, client, msisdn)
		})
		p.run("another account's number", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			_, other, _ := p.provision(object{"initialPassword": longTerm})
			client.Set("ui.userName", other)
			refused(p, client, id, 1, "security.foreign_number")
			client.Set("ui.userName", msisdn)
			unchanged(p, client, msisdn)
		})
		p.run("wrong password, then locked", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			client.SetFaults(sim.Faults{WrongProof: true})
			for try := 1; try < 5; try++ {
				if o := refused(p, client, id, 1, "security.auth_failed"); o.Limit != 5 || o.Times != try {
					t.Errorf("try %d: %+v", try, o)
				}
			}
			refused(p, client, id, 11, "security.locked")
			client.SetFaults(sim.Faults{})
			if o := refused(p, client, id, 11, "security.locked"); o.RetryAfter < 1 || o.RetryAfter > 900 {
				t.Errorf("locked: %+v", o)
			}
			p.want(11)(client.Register(t.Context(), longTerm)) // the same counter
			p.exec("DELETE FROM lockouts")
			unchanged(p, client, msisdn)
		})
		p.run("too many", func(t *testing.T, p *platform) {
			client, id, _, _ := p.settled(nil)
			words := []models.Secret{longTerm, chosen}
			for i := range 5 {
				p.want(0)(client.ChangePassword(t.Context(), words[i%2], words[(i+1)%2]))
			}
			o := p.want(10)(client.ChangePassword(t.Context(), chosen, longTerm))
			if o.Result != 2 || o.RetryAfter < 86_000 || o.RetryAfter > 86_400 {
				t.Errorf("%+v", o)
			}
			p.waitForEvent(id, "SECURITY security.rate_limited", 1)
			p.want(0)(client.Register(t.Context(), chosen))
		})
		p.run("not bound any more", func(t *testing.T, p *platform) {
			client, id, msisdn, mobile := p.settled(nil)
			p.login(p.quick(msisdn), mobile)
			p.want(12)(client.ChangePassword(t.Context(), longTerm, chosen))
			p.waitForEvent(id, "BINDING_CHANGED client.unbound REMOVED", 1)
			p.want(12)(p.quick(msisdn).ChangePassword(t.Context(), longTerm, chosen)) // a stranger
		})
		p.run("challenge invalid", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			for _, faults := range []sim.Faults{
				{WrongNonce: true}, {EmptyProofs: 2}, {Methods: map[string]int{"GetParameterValues": 9000}}, {Parameters: map[string]int{"auth.salt": 9005}},
			} {
				client.SetFaults(faults)
				refused(p, client, id, 13, "security.challenge_invalid")
			}
			client.SetFaults(sim.Faults{WrongProof: true})
			refused(p, client, id, 1, "security.auth_failed")
			client.SetFaults(sim.Faults{KeepNonce: true})
			refused(p, client, id, 13, "security.challenge_invalid")
			p.waitForEvent(id, "SECURITY security.challenge_invalid", 5)
			unchanged(p, client, msisdn)
		})
		p.run("password rejected", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			for _, faults := range []sim.Faults{
				{WrongMAC: true}, {Answers: map[string]string{"auth.newStoredKey": "00"}},
				{WrongVerifier: func(v *sim.NewVerifier, _ models.Verifier) { v.Iterations = 9_999 }},
				{WrongVerifier: func(v *sim.NewVerifier, _ models.Verifier) { v.Iterations = 1_000_001 }},
				{WrongVerifier: func(v *sim.NewVerifier, old models.Verifier) { v.Verifier = old }},
			} {
				client.SetFaults(faults)
				refused(p, client, id, 19, "security.password_rejected")
			}
			client.SetFaults(sim.Faults{})
			p.want(19)(client.Retry(t.Context())) // the answer of a RequestId stays
			p.want(10)(client.ChangePassword(t.Context(), longTerm, chosen))
			p.waitForEvent(id, "SECURITY security.password_rejected", 5)
			unchanged(p, client, msisdn)
		})
		p.run("the platform is not believed", func(t *testing.T, p *platform) {
			client, id, msisdn, _ := p.settled(nil)
			client.SetFaults(sim.Faults{Parameters: map[string]int{"auth.serverProof": 9007}, Respond: func(m cwmp.Message) cwmp.Message {
				if set, ok := m.(*cwmp.SetParameterValues); ok && profile.Name(set.Parameters[0].Name) == "auth.serverProof" {
					return &cwmp.Fault{Code: 9001, String: "Request denied"}
				}
				return nil
			}})
			if _, err := client.ChangePassword(t.Context(), longTerm, chosen); err != nil {
				t.Fatal(err)
			}
			device := p.deviceOf(client).text("id")
			storetest.Eventually(t, "the security event", func() bool {
				return strings.Contains(p.raw(`query($d: [ID!]) { events(filter: {deviceIds: $d, types: [SECURITY]}) { nodes { payload } } }`, object{"d": []string{device}}), "server_proof_rejected")
			})
			p.waitForEvent(id, changed, 1) // the change stays
			client.SetFaults(sim.Faults{})
			p.want(0)(client.Retry(t.Context()))
			p.want(0)(client.Register(t.Context(), chosen))
			if n := p.audits("changePassword", models.AuditSuccess, msisdn); n != 1 {
				t.Errorf("%d changes are in the audit log", n)
			}
		})
		p.run("an error of ours", func(t *testing.T, p *platform) {
			client, _, msisdn, _ := p.settled(nil)
			p.exec("ALTER TABLE password_changes RENAME TO password_changes_away")
			if o := p.want(50)(client.ChangePassword(t.Context(), longTerm, chosen)); o.Result != 2 || o.Desc != "INTERNAL" || o.RetryAfter != 60 {
				t.Errorf("%+v", o)
			}
			p.exec("ALTER TABLE password_changes_away RENAME TO password_changes")
			if n := p.audits("changePassword", models.AuditFailed, msisdn); n != 1 {
				t.Errorf("%d audit rows of the failure", n)
			}
			p.want(0)(client.Retry(t.Context()))
		})
	})
}

// Each HTTP answer of a change is lost once: the client's retry leads to the same end, once.
func TestChangePasswordLosingEachAnswer(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		exchanges := 0
		for n := 0; n <= exchanges; n++ { // the first run loses none and counts
			p.run(fmt.Sprint("answer ", n), func(t *testing.T, p *platform) {
				client, id, msisdn, mobile := p.settled(nil)
				lost := false
				p.observe(client, func(e sim.Exchange) error {
					if n == 0 {
						exchanges = e.N
					}
					if e.N == n && !lost {
						lost = true
						return errLost
					}
					return nil
				})
				o, err := client.ChangePassword(t.Context(), longTerm, chosen)
				if (err != nil) != (n > 0) {
					t.Fatal(err)
				}
				for try := 1; err != nil; try++ {
					if try > 3 {
						t.Fatal(err)
					}
					o, err = client.Retry(t.Context())
				}
				if o.Status != 0 || o.Result != 1 {
					t.Errorf("%+v", o)
				}
				p.observe(client, nil)
				p.done(client.Heartbeat(t.Context())) // with the new credentials
				p.want(0)(client.Register(t.Context(), chosen))
				p.want(1)(client.Register(t.Context(), longTerm))
				storetest.Eventually(t, "the notice", func() bool { return len(p.messages(mobile)) > 0 })
				p.waitForEvent(id, "SMS_STATE_CHANGED sms.delivered DELIVERED", 1)
				if events := p.eventsOf(id); count(events, changed) != 1 || count(events, "SMS_STATE_CHANGED sms.queued QUEUED") != 1 || len(p.messages(mobile)) != 1 {
					t.Errorf("not done once: %q", events)
				}
				if n := p.audits("changePassword", models.AuditSuccess, msisdn); n != 1 {
					t.Errorf("%d audit rows", n)
				}
			})
		}
		if exchanges < 5 {
			t.Errorf("a change took %d exchanges", exchanges)
		}
	})
}

// After the grace time nobody can prove the old password any more, so a repeat is told that it was done and gets nothing else.
func TestChangePasswordRepeatedLate(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.ChangePwd.Grace = 0 }, func(t *testing.T, p *platform) {
		client, id, _, _ := p.settled(nil)
		p.want(0)(client.ChangePassword(t.Context(), longTerm, chosen))
		var told []string
		p.observe(client, func(e sim.Exchange) error {
			if set, ok := e.Got.(*cwmp.SetParameterValues); ok {
				told = append(told, names(set.Parameters)...)
			}
			return nil
		})
		p.done(client.Retry(t.Context())) // the client does not take a success without proof for one
		p.observe(client, nil)
		if !slices.Equal(told, []string{"ui.status=0", "ui.result=1", "ui.resultDesc="}) {
			t.Errorf("the repeat was told %q", told)
		}
		p.done(client.Heartbeat(t.Context()))
		p.want(0)(client.Register(t.Context(), chosen))
		if n := count(p.eventsOf(id), changed); n != 1 {
			t.Errorf("%d changes", n)
		}
	})
}

// i4.changepwd.transport=tls-plaintext: the platform sees the new password, judges it and keeps it nowhere.
func TestChangePasswordInPlainText(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.ChangePwd.Transport = "tls-plaintext" }, func(t *testing.T, p *platform) {
		client, id, msisdn, _ := p.settled(nil)
		for _, weak := range []models.Secret{"Re-43!", "redkite43", longTerm, models.Secret(msisdn)} {
			if o := p.want(19)(client.ChangePassword(t.Context(), longTerm, weak)); o.Result != 2 {
				t.Errorf("%+v", o)
			}
		}
		p.want(0)(client.ChangePassword(t.Context(), longTerm, chosen))
		p.want(0)(client.Retry(t.Context()))
		p.want(1)(client.Register(t.Context(), longTerm))
		p.want(0)(client.Register(t.Context(), chosen))
		p.waitForEvent(id, "SECURITY security.password_rejected", 4)
		p.waitForEvent(id, changed, 1)
	})
}

// Settings that cannot be worked with are named at start.
func TestPasswordSettings(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(c *Config){
		"i4.cgn.ranges":          func(c *Config) { c.I4.CGN.Ranges = []string{"100.64.0.0"} },
		"i4.cgn.factor":          func(c *Config) { c.I4.CGN.Factor = 0 },
		"i4.auth.realm":          func(c *Config) { c.I4.Auth.Modes = []string{"challenge", "timestamp"} },
		"i4.auth.minIterations":  func(c *Config) { c.I4.Auth.MinIterations = 1000 },
		"i4.changepwd.grace":     func(c *Config) { c.I4.ChangePwd.Grace = -1 },
		"i4.changepwd.transport": func(c *Config) { c.I4.ChangePwd.Transport = "plain" },
		"i4.reset.ttl":           func(c *Config) { c.I4.Reset.TTL = 0 },
		"i4.mobile.codeTtl":      func(c *Config) { c.I4.Mobile.CodeTTL = 0 },
	} {
		c := labConfig(t, storetest.SQLite(t), change)
		a, err := start(t.Context(), c, models.SystemClock{})
		if err == nil {
			_ = a.stop(t.Context())
		}
		if err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
