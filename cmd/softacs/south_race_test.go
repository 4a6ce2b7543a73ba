package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// read reads one number behind the platform's back.
func (p *platform) read(query string, into *int64, arguments ...any) {
	p.t.Helper()
	err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error { return tx.DB.Raw(query, arguments...).Scan(into).Error })
	if err != nil {
		p.t.Fatal(err)
	}
}

// patiently repeats a session that is answered 503, as a client's retry policy does.
func patiently(session func() (sim.Outcome, error)) (o sim.Outcome, err error) {
	for {
		if o, err = session(); status(err) != http.StatusServiceUnavailable {
			return o, err
		}
	}
}

// A client repeats its GETPWD 20 times at once, each on a connection of its own: one SMS, one answer.
func TestOneSMSForParallelRepeats(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, msisdn, mobile := p.provision(nil)
		identity := sim.NewIdentity()
		var group sync.WaitGroup
		for range 20 {
			client := p.client(msisdn, func(c *sim.Config) { c.Identity = identity })
			group.Go(func() {
				o, err := patiently(func() (sim.Outcome, error) {
					return p.askWith(client, map[string]string{"ui.userName": msisdn, "ui.requestId": someRequestID})
				})
				if err != nil || o.Status != 0 || o.RetryAfter != 60 {
					t.Errorf("%+v, %v", o, err)
				}
			})
		}
		group.Wait()
		p.password(mobile, 1)
		var queued int64
		p.read("SELECT COUNT(*) FROM sms_messages", &queued)
		if queued != 1 {
			t.Errorf("%d SMS", queued)
		}
	})
}

// Two devices prove the same one-time password at the same time: one of them is bound, the other hears that it is wrong.
func TestOneBindingForOnePassword(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.GetPwd.BindDevice = false }, func(t *testing.T, p *platform) {
		for range 5 {
			id, msisdn, mobile := p.provision(nil)
			both := []*sim.Client{p.client(msisdn, nil), p.client(msisdn, nil)}
			p.want(0)(both[0].GetPassword(t.Context()))
			password := p.password(mobile, 1)
			var statuses [2]int
			var group sync.WaitGroup
			for i, client := range both {
				group.Go(func() {
					o, err := patiently(func() (sim.Outcome, error) { return client.Register(t.Context(), password) })
					if err != nil {
						t.Error(err)
					}
					statuses[i] = o.Status
				})
			}
			group.Wait()
			slices.Sort(statuses[:])
			if statuses != [2]int{0, 1} {
				t.Errorf("they hear %v", statuses)
			}
			var live int64
			p.read("SELECT COUNT(*) FROM bindings WHERE live_device_id IS NOT NULL AND account_id = (SELECT id FROM accounts WHERE msisdn = ?)", &live, msisdn[1:])
			if live != 1 {
				t.Errorf("account %s has %d bindings", id, live)
			}
		}
	})
}

// The BSS changes an account over and over while its device registers, sends heartbeats and is taken over: nobody waits for anybody for ever, and
// what the device holds at the end is what is desired.
func TestChangesDuringSessions(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Device.Conflict = "replace" }, func(t *testing.T, p *platform) {
		id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		both := []*sim.Client{p.client(msisdn, nil), p.client(msisdn, nil)}
		var group sync.WaitGroup
		group.Go(func() {
			for i := range 12 {
				p.turn(id, fmt.Sprint(i), "VIDEO", i%2 == 0)
			}
		})
		for _, client := range both {
			group.Go(func() {
				for range 4 {
					for _, session := range []func() (sim.Outcome, error){
						func() (sim.Outcome, error) { return client.Register(t.Context(), longTerm) },
						func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) },
					} {
						// 401: the client was taken over and bound again, and lost the answer with its new password to the newer session.
						if _, err := patiently(session); err != nil && status(err) != http.StatusUnauthorized {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		winner := both[0]
		p.want(0)(winner.Register(t.Context(), longTerm))
		p.done(winner.Heartbeat(t.Context()))
		device := p.deviceOf(winner)
		var live int64
		p.read("SELECT COUNT(*) FROM bindings WHERE live_device_id IS NOT NULL AND state = 'ACTIVE' AND account_id = (SELECT id FROM accounts WHERE msisdn = ?)", &live, msisdn[1:])
		if device.text("configuration.state") != "APPLIED" || live != 1 || winner.Get("video.enable") != "0" ||
			winner.Get("managementServer.parameterKey") != device.text("configuration.desiredKey") {
			t.Errorf("the client holds %s, the platform says %v", winner.Get("managementServer.parameterKey"), device)
		}
		p.want(12)(both[1].Heartbeat(t.Context()))
	})
}

// A device is taken over while a delivery is in its hands: what it answers counts no more, and it is told to authenticate again.
func TestTakeOverDuringDelivery(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Device.Conflict = "replace" }, func(t *testing.T, p *platform) {
		for name, open := range map[string]func(old *sim.Client) (sim.Outcome, error){
			"heartbeat": func(old *sim.Client) (sim.Outcome, error) { return old.Heartbeat(t.Context()) },
			"REGISTER":  func(old *sim.Client) (sim.Outcome, error) { return old.Register(t.Context(), longTerm) },
		} {
			id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			old, newer := p.client(msisdn, nil), p.client(msisdn, nil)
			p.want(0)(old.Register(t.Context(), longTerm))
			p.turn(id, "1", "VIDEO", true)
			taken := false
			p.observe(old, func(e sim.Exchange) error {
				if set, ok := e.Got.(*cwmp.SetParameterValues); ok && set.ParameterKey == "cfg-000000002" && !taken {
					taken = true
					p.want(0)(newer.Register(t.Context(), longTerm))
				}
				return nil
			})
			if _, err := open(old); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			p.observe(old, nil)
			p.want(12)(old.Heartbeat(t.Context()))
			if d := p.deviceOf(old); !taken || d.text("bindings.nodes.0.state") != "REMOVED" || d.text("configuration.state") != "NONE" {
				t.Errorf("%s: the old device is %v", name, d)
			}
			if d := p.deviceOf(newer); d.text("bindings.nodes.0.state") != "ACTIVE" || d.text("configuration.state") != "APPLIED" {
				t.Errorf("%s: the new device is %v", name, d)
			}
			// It may come back with a proof, under new credentials.
			p.want(0)(old.Register(t.Context(), longTerm))
			p.done(old.Heartbeat(t.Context()))
			if d := p.deviceOf(old); d.text("configuration.state") != "APPLIED" || old.Get("video.enable") != "1" {
				t.Errorf("%s: the old device comes back as %v", name, d)
			}
		}
	})
}

// A device goes to another account: the old binding ends, and it gets everything of the new one.
func TestAnotherAccount(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		first, client := p.bound()
		second, msisdn, _ := p.provision(object{"initialPassword": longTerm, "sipPassword": "secret-of-the-second"})
		again := p.client(msisdn, func(c *sim.Config) {
			c.Identity.SerialNumber = string(client.Key())[len("00005E-IMSPC-"):]
		})
		again.Set("managementServer.parameterKey", client.Get("managementServer.parameterKey"))
		p.want(0)(again.Register(t.Context(), longTerm))
		if again.Get("line.sip.authPassword") != "secret-of-the-second" || again.Get("line.directoryNumber") != msisdn {
			t.Errorf("it serves %s", again.Get("line.directoryNumber"))
		}
		p.done(again.Heartbeat(t.Context()))
		p.waitForEvent(first, "BINDING_CHANGED client.unbound REMOVED", 1)
		p.waitForEvent(second, "BINDING_CHANGED client.bound ACTIVE", 1)
		p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m" + first, "account": object{"id": first}, "sipPassword": "changed"})
		if got := p.deliveries(again, func() (sim.Outcome, error) { return again.Heartbeat(t.Context()) }); got != nil {
			t.Errorf("a change of the account that it left brought %v", got)
		}
	})
}

// A PC that an operator registered has its own user name; it is told to authenticate, is bound, replaced, and keeps its credentials
// (resolutions 7).
func TestRegisteredDeviceIsBound(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		identity := sim.NewIdentity()
		made := p.mutate("registerDevice", "device { id } acsUsername acsPassword", object{
			"idempotencyKey": identity.SerialNumber, "identity": object{"oui": identity.OUI, "productClass": identity.ProductClass, "serialNumber": identity.SerialNumber},
			"clientType": "PC", "acsUsername": "desk-" + identity.SerialNumber[:8],
		})
		_, msisdn, mobile := p.provision(object{"initialPassword": longTerm})
		username := "desk-" + identity.SerialNumber[:8]
		client := p.client(msisdn, func(c *sim.Config) {
			c.Identity, c.Username, c.ACSPassword = identity, username, models.Secret(made.text("acsPassword"))
		})
		old := client.Get("managementServer.password")
		p.want(12)(client.Heartbeat(t.Context()))
		p.want(0)(client.Register(t.Context(), longTerm))
		if client.Get("managementServer.username") != username || client.Get("managementServer.password") == old {
			t.Errorf("the credentials are %s", client.Get("managementServer.username"))
		}
		p.done(client.Heartbeat(t.Context()))
		thief := p.client(msisdn, func(c *sim.Config) { c.Identity, c.Username, c.ACSPassword = identity, username, models.Secret(old) })
		if _, err := thief.Heartbeat(t.Context()); status(err) != http.StatusUnauthorized {
			t.Errorf("the password before the first use of the new one: %v", err)
		}

		p.login(p.client(msisdn, nil), mobile)
		task := p.mutate("createDeviceTask", "task { id }", object{
			"idempotencyKey": identity.SerialNumber, "device": object{"id": made.text("device.id")}, "kind": "GET_VALUES", "paths": []string{"Device.DeviceInfo.SoftwareVersion"},
		}).text("task.id")
		p.want(12)(client.Heartbeat(t.Context()))
		if state := p.query(`query($id: ID!) { node(id: $id) { ... on DeviceTask { state } } }`, object{"id": task}).text("node.state"); state != "SUCCEEDED" {
			t.Errorf("a task of the replaced device is %s", state)
		}
	})
}

// A device outside the profile: no Inform without credentials, nothing of the profile to it, and its ParameterKey stays its own (resolutions 6).
func TestGenericDevice(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		identity := cwmp.DeviceID{Manufacturer: "Example", OUI: "00005E", ProductClass: "CPE", SerialNumber: sim.NewIdentity().SerialNumber}
		made := p.mutate("registerDevice", "device { id } acsUsername acsPassword", object{
			"idempotencyKey": identity.SerialNumber, "identity": object{"oui": "00005E", "productClass": "CPE", "serialNumber": identity.SerialNumber}, "clientType": "GENERIC",
		})
		generic := func(username, password string) *sim.Client {
			return p.client("+8621", func(c *sim.Config) {
				c.Identity, c.Type, c.Username, c.ACSPassword = identity, models.Generic, username, models.Secret(password)
			})
		}
		codes := []string{"0 BOOTSTRAP", "1 BOOT", "2 PERIODIC", "4 VALUE CHANGE", "X CT-COM GETPWD", "X CT-COM REGISTER", "X CT-COM BIND", "X CT-COM LOGOFF", "X EXAMPLE OTHER"}
		for _, code := range codes {
			if _, err := generic("", "").Send(t.Context(), []cwmp.Event{{Code: code}}, nil); status(err) != http.StatusUnauthorized {
				t.Errorf("%s without credentials: %v", code, err)
			}
		}

		client := generic(made.text("acsUsername"), made.text("acsPassword"))
		client.Set("managementServer.parameterKey", "theirs-7")
		sets := 0
		p.observe(client, func(e sim.Exchange) error {
			switch m := e.Got.(type) {
			case nil, *cwmp.InformResponse:
			case *cwmp.SetParameterValues:
				if sets++; m.ParameterKey != "theirs-7" || len(m.Parameters) != 1 || m.Parameters[0].Name != "Device.Time.NTPServer1" {
					t.Errorf("it is set %+v", m)
				}
			default:
				return fmt.Errorf("it is asked %s", m.Method())
			}
			return nil
		})
		for _, code := range codes {
			p.mutate("createDeviceTask", "task { id }", object{
				"idempotencyKey": code + identity.SerialNumber, "device": object{"id": made.text("device.id")}, "kind": "SET_VALUES",
				"values": []object{{"path": "Device.Time.NTPServer1", "value": code}},
			})
			if _, err := client.Send(t.Context(), []cwmp.Event{{Code: code}}, nil); err != nil {
				t.Errorf("%s: %v", code, err)
			}
		}
		if sets != len(codes) || client.Get("managementServer.parameterKey") != "theirs-7" || client.Get("Device.Time.NTPServer1") != "X EXAMPLE OTHER" {
			t.Errorf("%d of %d tasks were set, the key is %s", sets, len(codes), client.Get("managementServer.parameterKey"))
		}
	})
}
