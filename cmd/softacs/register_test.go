package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

const longTerm = "Blue-Kite-42!"

// refusal is what a REGISTER with the account's long-term password hears.
func (p *platform) refusal(status int, client *sim.Client) sim.Outcome {
	p.t.Helper()
	o := p.want(status)(client.Register(p.t.Context(), longTerm))
	if o.Result != 2 {
		p.t.Errorf("status %d has result %d", o.Status, o.Result)
	}
	return o
}

// Every row of the error table of i4.md B.2.
func TestRegisterErrors(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		withPassword := object{"initialPassword": longTerm}

		p.run("malformed", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			good := map[string]string{
				"ui.userName": msisdn, "auth.mode": "challenge", "auth.algorithm": models.ProofAlgorithm, "auth.purpose": "register",
				"auth.clientNonce": someRequestID, "softClient.loginSessionId": someRequestID, "softClient.clientType": "PC",
			}
			for name, bad := range map[string]string{
				"ui.userName": "nobody", "auth.mode": "plain", "auth.algorithm": "MD5", "auth.purpose": "changepwd", "auth.clientNonce": "short",
				"softClient.loginSessionId": "", "softClient.clientType": "Fridge",
			} {
				parameters := map[string]string{}
				for k, v := range good {
					parameters[k] = v
				}
				parameters[name] = bad
				path, _ := profile.Path(name)
				if o := p.want(40)(p.sendRegister(p.client(msisdn, nil), parameters)); o.Result != 2 || !strings.Contains(o.Desc, path) {
					t.Errorf("%s=%q: %+v", name, bad, o)
				}
			}
		})
		p.run("wrong password, then locked", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			for try := 1; try < 5; try++ {
				o := p.want(1)(client.Register(t.Context(), "wrong"))
				if o.Result != 2 || o.Limit != 5 || o.Times != try {
					t.Errorf("try %d: %+v", try, o)
				}
			}
			p.want(11)(client.Register(t.Context(), "wrong"))
			if o := p.refusal(11, client); o.RetryAfter < 1 || o.RetryAfter > 900 {
				t.Errorf("locked: %+v", o)
			}
			p.want(0)(p.client(msisdn, nil).Register(t.Context(), longTerm)) // another device of the owner is not locked out
			p.waitForEvent(id, "SECURITY security.locked", 1)
			if n := count(p.eventsOf(id), "SECURITY security.auth_failed"); n != 4 {
				t.Errorf("%d failures in the log", n)
			}
		})
		p.run("unknown account", func(t *testing.T, p *platform) {
			p.want(1)(p.client("+862199999998", nil).Register(t.Context(), longTerm))
		})
		p.run("challenge invalid", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			client.SetFaults(sim.Faults{WrongNonce: true})
			p.refusal(13, client)
			client.SetFaults(sim.Faults{EmptyProofs: 2})
			p.refusal(13, client)
			client.SetFaults(sim.Faults{Methods: map[string]int{"GetParameterValues": 9000}})
			p.refusal(13, client)
			client.SetFaults(sim.Faults{EmptyProofs: 1})
			p.want(0)(client.Register(t.Context(), longTerm))
		})
		p.run("nonce reused", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			var parameters []cwmp.ParameterValue
			p.observe(client, func(e sim.Exchange) error {
				if in, ok := e.Sent.(*cwmp.Inform); ok {
					parameters = in.Parameters
				}
				return nil
			})
			p.want(0)(client.Register(t.Context(), longTerm))
			p.want(13)(client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventRegister)}}, parameters))
		})
		p.run("account state and services", func(t *testing.T, p *platform) {
			for state, status := range map[string]int{"SUSPENDED": 33, "TERMINATED": 34, "PENDING": 17} {
				_, msisdn, _ := p.provision(withPassword)
				p.exec("UPDATE accounts SET state = ? WHERE msisdn = ?", state, msisdn[1:])
				p.refusal(status, p.client(msisdn, nil))
			}
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm, "clientTypes": []string{"MOBILE"}})
			p.refusal(17, p.client(msisdn, nil))
		})
		p.run("no SIP secret", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			p.exec("UPDATE accounts SET sip_password = NULL WHERE msisdn = ?", msisdn[1:])
			if o := p.refusal(4, p.client(msisdn, nil)); o.RetryAfter != 60 {
				t.Errorf("%+v", o)
			}
		})
		p.run("device conflict and take-over", func(t *testing.T, p *platform) {
			id, msisdn, mobile := p.provision(withPassword)
			first, second := p.client(msisdn, nil), p.client(msisdn, nil)
			p.want(0)(first.Register(t.Context(), longTerm))
			p.refusal(16, second)
			p.waitForEvent(id, "SECURITY security.device_conflict", 1)
			p.login(second, mobile)
			p.want(12)(first.Heartbeat(t.Context()))
			if state := p.deviceOf(first).text("bindings.nodes.0.state"); state != "REMOVED" {
				t.Errorf("the first device's binding is %s", state)
			}
			p.done(second.Heartbeat(t.Context()))
			p.waitForEvent(id, "BINDING_CHANGED client.unbound REMOVED", 1)
		})
		p.run("the platform is not believed", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			client.SetFaults(sim.Faults{Respond: func(m cwmp.Message) cwmp.Message {
				if set, ok := m.(*cwmp.SetParameterValues); ok && profile.Name(set.Parameters[0].Name) == "auth.serverProof" {
					return &cwmp.Fault{Code: 9001, String: "Request denied"}
				}
				return nil
			}})
			if _, err := client.Register(t.Context(), longTerm); err != nil {
				t.Fatal(err)
			}
			if state := p.deviceOf(client).text("bindings.nodes.0.state"); state != "PENDING" {
				t.Errorf("the binding is %s", state)
			}
			p.waitForEvent(id, "BINDING_CHANGED client.bound PENDING", 1)
			device := p.deviceOf(client).text("id")
			storetest.Eventually(t, "the security event", func() bool {
				return strings.Contains(p.raw(`query($d: [ID!]) { events(filter: {deviceIds: $d, types: [SECURITY]}) { nodes { payload } } }`, object{"d": []string{device}}), "server_proof_rejected")
			})
		})
		p.run("another device's credentials", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			p.want(0)(client.Register(t.Context(), longTerm))
			_, other, _ := p.provision(withPassword)
			victim := p.client(other, nil)
			p.want(0)(victim.Register(t.Context(), longTerm))
			victim.Set("managementServer.username", client.Get("managementServer.username"))
			victim.Set("managementServer.password", client.Get("managementServer.password"))
			if _, err := victim.Heartbeat(t.Context()); status(err) != http.StatusUnauthorized {
				t.Errorf("foreign credentials: %v", err)
			}
		})
		p.run("optional parameters refused", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			client.SetFaults(sim.Faults{Parameters: map[string]int{"sip.heartbeatCycle": 9005, "ui.resultDesc": 9005}})
			p.want(0)(client.Register(t.Context(), longTerm))
			device := p.deviceOf(client)
			if device.text("configuration.state") != "APPLIED" || device.text("bindings.nodes.0.state") != "ACTIVE" || device.at("configuration.unsupportedPaths.0") == nil {
				t.Errorf("%v", device)
			}
		})
		p.run("mandatory parameter refused", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(withPassword)
			client := p.client(msisdn, nil)
			client.SetFaults(sim.Faults{Parameters: map[string]int{"line.directoryNumber": 9007}})
			if o := p.want(0)(client.Register(t.Context(), longTerm)); o.Result != 2 {
				t.Errorf("%+v", o)
			}
			device := p.deviceOf(client)
			if device.text("configuration.state") != "FAILED" || device.text("bindings.nodes.0.state") != "PENDING" || !strings.Contains(device.text("configuration.failure"), "DirectoryNumber") {
				t.Errorf("%v", device)
			}
			client.SetFaults(sim.Faults{})
			p.want(0)(client.Register(t.Context(), longTerm))
			if state := p.deviceOf(client).text("bindings.nodes.0.state"); state != "ACTIVE" {
				t.Errorf("after the next REGISTER the binding is %s", state)
			}
		})
	})
}

// sendRegister sends a REGISTER with exactly these parameters.
func (p *platform) sendRegister(client *sim.Client, parameters map[string]string) (sim.Outcome, error) {
	var list []cwmp.ParameterValue
	for name, value := range parameters {
		client.Set(name, value) // what the base set says
		path, _ := profile.Path(name)
		list = append(list, cwmp.ParameterValue{Name: path, Type: "xsd:string", Value: value})
	}
	return client.Send(p.t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventRegister)}}, list)
}

// Settings that change what a REGISTER hears.
func TestRegisterPolicies(t *testing.T) {
	strict := func(c *Config) {
		c.I4.Auth.AntiEnumeration = false
		c.I4.Upgrade.MinVersion = map[string]string{"PC": "99.1"}
	}
	eachPlatform(t, strict, func(t *testing.T, p *platform) {
		p.want(2)(p.client("+862199999998", nil).Register(t.Context(), longTerm))
		_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		p.refusal(18, client)
		client.Set("deviceInfo.softwareVersion", "99.1.0")
		p.want(0)(client.Register(t.Context(), longTerm))
	})
}

func TestRegisterAgain(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Register.ReportAlready = true }, func(t *testing.T, p *platform) {
		id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		p.want(0)(client.Register(t.Context(), longTerm))
		before := client.Get("managementServer.password")
		if o := p.want(5)(client.Register(t.Context(), longTerm)); o.Result != 1 {
			t.Errorf("%+v", o)
		}
		if client.Get("managementServer.password") == before {
			t.Error("the management password was not renewed")
		}
		p.done(client.Heartbeat(t.Context()))
		if key := client.Get("managementServer.parameterKey"); key != "cfg-000000001" {
			t.Errorf("the ParameterKey is %q", key)
		}
		p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m" + id, "account": object{"id": id}, "sipPassword": "another"})
		p.want(0)(client.Register(t.Context(), longTerm))
		if got := client.Get("line.sip.authPassword"); got != "another" {
			t.Errorf("the SIP secret is %q", got)
		}
	})
}

func TestRejectPolicy(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Device.Conflict = "reject" }, func(t *testing.T, p *platform) {
		_, msisdn, mobile := p.provision(nil)
		p.login(p.client(msisdn, nil), mobile)
		p.exec("DELETE FROM password_requests") // the limit per number is not what this is about
		second := p.client(msisdn, nil)
		p.want(0)(second.GetPassword(t.Context()))
		p.want(16)(second.Register(t.Context(), p.password(mobile, 2)))
	})
}
