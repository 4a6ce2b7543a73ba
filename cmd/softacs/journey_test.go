package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// The main job, end to end: the BSS provisions an account, a PC client gets its password, authenticates, receives its parameters, and picks
// up a change with its heartbeat; every step is in the event log.
func TestJourney(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(object{"sipPassword": "s3cret-of-the-hss", "services": []object{{"code": "VIDEO", "enabled": true}}})
		client := p.client(msisdn, nil)
		p.login(client, mobile)

		for name, want := range map[string]string{
			"line.sip.authPassword": "s3cret-of-the-hss", "line.sip.uri": "sip:" + msisdn + "@ims.example.net", "line.directoryNumber": msisdn,
			"line.enable": "Enabled", "voice.enable": "Enabled", "video.enable": "1", "managementServer.parameterKey": "cfg-000000001",
			"managementServer.username": string(client.Key()), "sip.outboundProxy": "pcscf1.ims.example.net",
		} {
			if got := client.Get(name); got != want {
				t.Errorf("%s is %q, not %q", name, got, want)
			}
		}
		device := p.deviceOf(client)
		for path, want := range map[string]any{
			"reachability": "ONLINE", "clientType": "PC", "configuration.state": "APPLIED", "configuration.desiredKey": "cfg-000000001",
			"configuration.appliedKey": "cfg-000000001", "bindings.nodes.0.state": "ACTIVE", "bindings.nodes.0.method": "ONE_TIME_PASSWORD",
			"bindings.nodes.0.account.id": id,
		} {
			if got := device.at(path); got != want {
				t.Errorf("device.%s is %v, not %v", path, got, want)
			}
		}

		p.done(client.Heartbeat(t.Context()))
		var delivered []cwmp.ParameterValue
		p.mutate("modifyAccount", "account { version }", object{
			"idempotencyKey": "m" + msisdn, "account": object{"id": id},
			"services": []object{{"code": "VIDEO", "enabled": false}, {"code": "CALL_WAITING", "enabled": true}},
		})
		p.observe(client, func(e sim.Exchange) error {
			if set, ok := e.Got.(*cwmp.SetParameterValues); ok {
				delivered = append(delivered, set.Parameters...)
				if set.ParameterKey != "cfg-000000002" {
					t.Errorf("the change carries %q", set.ParameterKey)
				}
			}
			return nil
		})
		p.done(client.Heartbeat(t.Context()))
		p.observe(client, nil)
		if got := names(delivered); !slices.Equal(got, []string{"video.enable=0", "line.features.callWaitingEnable=1"}) && !slices.Equal(got, []string{"line.features.callWaitingEnable=1", "video.enable=0"}) {
			t.Errorf("the heartbeat delivered %v, not only the difference", got)
		}
		if got := p.deviceOf(client).text("configuration.appliedKey"); got != "cfg-000000002" {
			t.Errorf("the applied key is %q", got)
		}
		p.done(client.Heartbeat(t.Context()))
		want := []string{
			"ACCOUNT_CREATED account.created ACTIVE", "PASSWORD_CHANGED password.requested ONE_TIME", "SMS_STATE_CHANGED sms.queued QUEUED",
			"SMS_STATE_CHANGED sms.submitted SUBMITTED", "SMS_STATE_CHANGED sms.delivered DELIVERED",
			"DEVICE_REGISTERED device.registered", "DEVICE_INFORM client.authenticated", "BINDING_CHANGED client.bound PENDING", "CONFIGURATION_CHANGED config.pending PENDING",
			"DEVICE_REACHABILITY_CHANGED client.online ONLINE", "CONFIGURATION_CHANGED config.applied APPLIED", "BINDING_CHANGED client.bound ACTIVE",
			"ACCOUNT_CHANGED account.changed ACTIVE", "CONFIGURATION_CHANGED config.pending PENDING", "CONFIGURATION_CHANGED config.applied APPLIED",
		}
		p.waitForEvent(id, "CONFIGURATION_CHANGED config.applied APPLIED", 2)
		if got := p.eventsOf(id); !slices.Equal(got, want) {
			t.Errorf("the log tells\n%q\nnot\n%q", got, want)
		}
	})
}

func names(values []cwmp.ParameterValue) (list []string) {
	for _, v := range values {
		list = append(list, profile.Name(v.Name)+"="+v.Value)
	}
	return list
}

var errLost = errors.New("the answer was lost")

// The same journey with each HTTP answer lost once: whatever is lost, the client's own retry leads to the same end, once.
func TestEveryLostAnswer(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		for _, flow := range []struct {
			name      string
			exchanges int
		}{{"GETPWD", 3}, {"REGISTER", 5}, {"heartbeat", 4}} {
			for n := 1; n <= flow.exchanges; n++ {
				p.run(fmt.Sprintf("%s %d", flow.name, n), func(_ *testing.T, p *platform) { p.journeyLosing(flow.name, n) })
			}
		}
	})
}

// journeyLosing goes through the journey and loses the nth answer of one flow.
func (p *platform) journeyLosing(flow string, n int) {
	t := p.t
	id, msisdn, mobile := p.provision(nil)
	client := p.client(msisdn, nil)
	lost := false
	// run plays a session; if its answer is lost, it is repeated as the client's retry policy does.
	run := func(name string, session func() (sim.Outcome, error)) sim.Outcome {
		if name == flow {
			p.observe(client, func(e sim.Exchange) error {
				if e.N == n && !lost {
					lost = true
					return errLost
				}
				return nil
			})
			defer p.observe(client, nil)
		}
		o, err := session()
		if errors.Is(err, errLost) {
			if name == "REGISTER" && n == 5 {
				return o // the client has everything; its next session confirms it
			}
			o, err = client.Retry(t.Context())
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return o
	}
	if o := run("GETPWD", func() (sim.Outcome, error) { return client.GetPassword(t.Context()) }); o.Status != 0 {
		t.Fatalf("get password: %+v", o)
	}
	password := p.password(mobile, 1)
	run("REGISTER", func() (sim.Outcome, error) { return client.Register(t.Context(), password) })
	p.mutate("modifyAccount", "account { version }", object{
		"idempotencyKey": "m" + msisdn, "account": object{"id": id}, "services": []object{{"code": "VIDEO", "enabled": true}},
	})
	run("heartbeat", func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
	p.done(client.Heartbeat(t.Context()))
	if !lost {
		t.Fatalf("%s has no exchange %d", flow, n)
	}
	device := p.deviceOf(client)
	if device.text("configuration.state") != "APPLIED" || device.text("configuration.appliedKey") != device.text("configuration.desiredKey") ||
		device.text("bindings.nodes.0.state") != "ACTIVE" || client.Get("video.enable") != "1" ||
		client.Get("managementServer.parameterKey") != device.text("configuration.desiredKey") {
		t.Errorf("the client holds %s, the platform says %v", client.Get("managementServer.parameterKey"), device)
	}
	if sms := p.messages(mobile); len(sms) != 1 {
		t.Errorf("%d SMS", len(sms))
	}
	bound := 0
	storetest.Eventually(t, "the last event is readable", func() bool {
		codes := p.eventsOf(id)
		bound = count(codes, "BINDING_CHANGED client.bound ACTIVE")
		return bound > 0 && count(codes, "CONFIGURATION_CHANGED config.applied APPLIED") == 2 && count(codes, "SMS_STATE_CHANGED sms.delivered DELIVERED") == 1
	})
	if bound != 1 {
		t.Errorf("the binding became active %d times", bound)
	}
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// A mutation whose answer is lost is repeated with its idempotency key and gets the same answer; nothing is done twice.
func TestLostMutation(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		again := p.mutate("provisionAccount", "account { id version }", object{
			"idempotencyKey": msisdn, "externalId": "sub" + msisdn, "msisdn": msisdn, "boundMobile": mobile, "region": "pudong",
		})
		if again["replayed"] != true || again.text("account.id") != id {
			t.Errorf("the repeat: %v", again)
		}
		change := object{"idempotencyKey": "m", "account": object{"id": id}, "expectedVersion": 1, "maxDevices": 9}
		first := p.mutate("modifyAccount", "account { id version maxDevices }", change)
		second := p.mutate("modifyAccount", "account { id version maxDevices }", change)
		if first["replayed"] != false || second["replayed"] != true || second.at("account.version") != first.at("account.version") {
			t.Errorf("first %v, second %v", first, second)
		}
		storetest.Eventually(t, "the change is readable", func() bool { return len(p.eventsOf(id)) >= 2 })
		if got := p.eventsOf(id); !slices.Equal(got, []string{"ACCOUNT_CREATED account.created ACTIVE", "ACCOUNT_CHANGED account.changed ACTIVE"}) {
			t.Errorf("the log tells %q", got)
		}
	})
}

// A TR-069 device outside the profile, registered by an operator, runs tasks.
func TestGenericDeviceRunsTasks(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		serial := sim.NewIdentity().SerialNumber
		registered := p.mutate("registerDevice", "device { id reachability } acsUsername acsPassword", object{
			"idempotencyKey": serial, "identity": object{"oui": "00005E", "productClass": "CPE", "serialNumber": serial}, "clientType": "GENERIC",
		})
		task := func(kind string, more object) string {
			input := object{"idempotencyKey": kind, "device": object{"id": registered.text("device.id")}, "kind": kind}
			for k, v := range more {
				input[k] = v
			}
			return p.mutate("createDeviceTask", "task { id state }", input).text("task.id")
		}
		ids := []string{
			task("SET_VALUES", object{"values": []object{{"path": "Device.Time.NTPServer1", "value": "ntp.example.net"}}}),
			task("GET_VALUES", object{"paths": []string{"Device.Time.NTPServer1"}}),
			task("GET_NAMES", object{"objectPath": "Device.Time."}),
			task("REBOOT", nil),
		}
		client := p.client("+8621", func(c *sim.Config) {
			c.Identity = cwmp.DeviceID{Manufacturer: "Example", OUI: "00005E", ProductClass: "CPE", SerialNumber: serial}
			c.Type, c.Username, c.ACSPassword = models.Generic, registered.text("acsUsername"), models.Secret(registered.text("acsPassword"))
		})
		p.done(client.Boot(t.Context()))
		p.done(client.Boot(t.Context()))
		results := map[string]object{}
		for _, id := range ids {
			node, _ := p.query(`query($id: ID!) { node(id: $id) { ... on DeviceTask { kind state result } } }`, object{"id": id})["node"].(map[string]any)
			n := object(node)
			results[n.text("kind")] = n
			if n.text("state") != "SUCCEEDED" {
				t.Errorf("%s is %s", n.text("kind"), n.text("state"))
			}
		}
		if got := results["GET_VALUES"].text("result.values.0.value"); got != "ntp.example.net" {
			t.Errorf("the value read is %q", got)
		}
		if results["GET_NAMES"].at("result.names.0.path") == nil {
			t.Errorf("no names: %v", results["GET_NAMES"])
		}

		stranger := p.client("+8621", func(c *sim.Config) {
			c.Identity = cwmp.DeviceID{Manufacturer: "Example", OUI: "00005E", ProductClass: "CPE", SerialNumber: serial}
			c.Type, c.Username, c.ACSPassword = models.Generic, registered.text("acsUsername"), "wrong"
		})
		if _, err := stranger.Boot(t.Context()); status(err) != http.StatusUnauthorized {
			t.Errorf("a wrong password: %v", err)
		}
	})
}

// status is the HTTP status of a refused session.
func status(err error) int {
	var refused *sim.HTTPError
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}
