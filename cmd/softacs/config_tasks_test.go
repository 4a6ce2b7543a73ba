package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models/store/storetest"
)

// push creates a config task and returns it.
func (p *platform) push(key string, filter object, perMinute int, values ...object) object {
	p.t.Helper()
	task, _ := p.mutate("createConfigTask", "configTask { id version state target { matched frozen filter } values { path value type } }", object{
		"idempotencyKey": key, "name": "task " + key, "filter": filter, "values": values, "maxStartsPerMinute": perMinute,
	})["configTask"].(map[string]any)
	return task
}

// progress reads a config task as STATE total/pending/inFlight/succeeded/failed/skipped/cancelled.
func (p *platform) progress(id string) string {
	p.t.Helper()
	d := p.query(`query($id: ID!) { configTask(id: $id) { state progress { total pending inFlight succeeded failed skipped cancelled } } }`, object{"id": id})
	text := d.text("configTask.state")
	for i, name := range []string{"total", "pending", "inFlight", "succeeded", "failed", "skipped", "cancelled"} {
		text += fmt.Sprintf("%c%v", " ///////"[i], d.at("configTask.progress."+name))
	}
	return text
}

func (p *platform) progressed(id, want string) {
	p.t.Helper()
	last := ""
	storetest.Eventually(p.t, "the config task is "+want, func() bool {
		if now := p.progress(id); now != last {
			last = now
			p.t.Log(now)
		}
		return last == want
	})
}

// mirrors are the tasks of a config task by state, with their faults.
func (p *platform) mirrors(id string) (list []string) {
	p.t.Helper()
	d := p.query(`query($id: ID!) { configTask(id: $id) { tasks { nodes { kind state attempts fault { code parameterFaults { path code } } } } } }`, object{"id": id})
	nodes, _ := d.at("configTask.tasks.nodes").([]any)
	for _, n := range nodes {
		task := object(n.(map[string]any))
		text := task.text("kind") + " " + task.text("state")
		if faults, _ := task.at("fault.parameterFaults").([]any); len(faults) > 0 {
			text += fmt.Sprintf(" %v", object(faults[0].(map[string]any)).text("path"))
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

func of(clients ...string) object { return object{"ids": clients} }

// One set of parameters for many devices (resolutions 56), each way in which its version may end.
func TestConfigTask(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		const proxy = "Device.Services.VoiceService.1.VoiceProfile.1.SIP.OutboundProxy"
		vendor := "Device.X_EXAMPLE_Tone.Volume"
		set := func(path, value string) object { return object{"path": path, "value": value} }
		p.run("applied, with a device that has no configuration", func(t *testing.T, p *platform) {
			id, client := p.bound()
			device := p.deviceOf(client).text("id")
			generic := p.mutate("registerDevice", "device { id }", object{"idempotencyKey": "plain", "clientType": "GENERIC",
				"identity": object{"oui": "00005E", "productClass": "Plain", "serialNumber": "1"}}).text("device.id")
			task := p.push("a"+id, of(device, generic), 600, set(proxy, "pcscf9.ims.example.net"))
			if task.text("state") != "RUNNING" || fmt.Sprint(task.at("target.matched")) != "2" || task.at("target.frozen") != true {
				t.Errorf("created %v", task)
			}
			p.progressed(task.text("id"), "RUNNING 2/0/1/0/0/1/0")
			if got := p.mirrors(task.text("id")); !slices.Equal(got, []string{"SET_VALUES PENDING"}) {
				t.Errorf("mirrors %q", got)
			}
			got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if len(got) != 1 || !slices.Equal(got[0], []string{"sip.outboundProxy=pcscf9.ims.example.net"}) {
				t.Errorf("delivered %v", got)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
			p.progressed(task.text("id"), "COMPLETED 2/0/0/1/0/1/0")
			if got := p.mirrors(task.text("id")); !slices.Equal(got, []string{"SET_VALUES SUCCEEDED"}) {
				t.Errorf("mirrors %q", got)
			}
			// A change of nothing is done at once; the device layer outlives what the account changes.
			again := p.push("b"+id, of(device), 600, set(proxy, "pcscf9.ims.example.net"))
			p.progressed(again.text("id"), "COMPLETED 1/0/0/1/0/0/0")
			p.turn(id, "1", "VIDEO", true)
			if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); slices.Contains(slices.Concat(got...), "sip.outboundProxy") {
				t.Errorf("delivered %v", got)
			}
			if client.Get("sip.outboundProxy") != "pcscf9.ims.example.net" {
				t.Errorf("the client has %s", client.Get("sip.outboundProxy"))
			}
			p.waitForEvent(id, "TASK_STATE_CHANGED task.succeeded SUCCEEDED", 2)
		})
		p.run("a lost answer, and a client that lacks the parameter", func(t *testing.T, p *platform) {
			id, client := p.bound()
			_, second := p.bound()
			task := p.push("a"+id, of(p.deviceOf(client).text("id"), p.deviceOf(second).text("id")), 600, set(vendor, "7"))
			p.progressed(task.text("id"), "RUNNING 2/0/2/0/0/0/0")
			client.Set(vendor, "1")
			p.observe(client, func(e sim.Exchange) error {
				if isSet(e) {
					return errLost
				}
				return nil
			})
			if _, err := client.Heartbeat(t.Context()); err == nil {
				t.Error("nothing was lost")
			}
			p.observe(client, nil)
			p.done(client.Retry(t.Context()))
			if got := client.Get(vendor); got != "7" {
				t.Errorf("the client has %q", got)
			}
			p.done(second.Heartbeat(t.Context()))
			p.configured(second, "APPLIED", "cfg-000000002")
			p.progressed(task.text("id"), "COMPLETED_WITH_FAILURES 2/0/0/1/1/0/0")
			if got := p.mirrors(task.text("id")); !slices.Equal(got, []string{"SET_VALUES FAILED " + vendor, "SET_VALUES SUCCEEDED"}) {
				t.Errorf("mirrors %q", got)
			}
		})
		p.run("replaced, refused, cancelled", func(t *testing.T, p *platform) {
			id, client := p.bound()
			_, second := p.bound()
			device := p.deviceOf(client).text("id")
			task := p.push("a"+id, of(device), 600, set(proxy, "pcscf8.ims.example.net"))
			p.progressed(task.text("id"), "RUNNING 1/0/1/0/0/0/0")
			p.turn(id, "1", "VIDEO", true)
			p.progressed(task.text("id"), "COMPLETED_WITH_FAILURES 1/0/0/0/0/0/1")

			refused := p.push("b"+id, of(device), 600, set(proxy, "pcscf7.ims.example.net"))
			p.progressed(refused.text("id"), "RUNNING 1/0/1/0/0/0/0")
			client.SetFaults(sim.Faults{Parameters: map[string]int{"sip.outboundProxy": 9007}})
			p.done(client.Heartbeat(t.Context()))
			p.progressed(refused.text("id"), "COMPLETED_WITH_FAILURES 1/0/0/0/1/0/0")

			slow := p.push("c"+id, of(device, p.deviceOf(second).text("id")), 1, set(proxy, "pcscf6.ims.example.net"))
			p.progressed(slow.text("id"), "RUNNING 2/1/1/0/0/0/0") // the second would be begun a minute later
			cancel := object{"id": slow.text("id"), "idempotencyKey": "c" + id, "note": "enough"}
			document := `mutation($i: TargetActionInput!) { cancelConfigTask(input: $i) { configTask { state version } replayed userErrors { code field } } }`
			for _, replayed := range []bool{false, true} {
				d := p.query(document, object{"i": cancel})
				if d.text("cancelConfigTask.configTask.state") != "ABORTED" || d.at("cancelConfigTask.replayed") != replayed {
					t.Errorf("cancelled %v", d)
				}
			}
			if got := p.progress(slow.text("id")); got != "ABORTED 2/0/1/0/0/0/1" {
				t.Error(got)
			}
			d := p.query(document, object{"i": object{"id": task.text("id")}})
			if got := fmt.Sprint(d.at("cancelConfigTask.userErrors")); !strings.Contains(got, "STATE_CONFLICT") {
				t.Errorf("an ended task: %s", got)
			}
		})
		p.run("what is no config task", func(t *testing.T, p *platform) {
			document := `mutation($i: CreateConfigTaskInput!) { createConfigTask(input: $i) { configTask { id } replayed userErrors { code field } } }`
			for _, x := range []struct {
				change object
				want   string
			}{
				{object{"name": " "}, "REQUIRED field:[input name]"},
				{object{"maxStartsPerMinute": 0}, "INVALID field:[input maxStartsPerMinute]"},
				{object{"values": []object{}}, "REQUIRED field:[input values]"},
				{object{"values": []object{set("Device.ManagementServer.URL", "http://x")}}, "POLICY_DENIED field:[input values 0 path]"},
				{object{"values": []object{set(proxy[:len(proxy)-len("SIP.OutboundProxy")]+"Line.1.SIP.AuthPassword", "x")}}, "POLICY_DENIED field:[input values 0 path]"},
				{object{"values": []object{set("Device.DeviceInfo.SoftwareVersion", "9")}}, "INVALID field:[input values 0 path]"},
				{object{"values": []object{set(proxy[:len(proxy)-len("SIP.OutboundProxy")]+"SIP.OutboundProxyPort", "x")}}, "INVALID field:[input values 0 type]"},
			} {
				input := object{"idempotencyKey": "k", "name": "n", "filter": object{"ids": []string{}}, "values": []object{set(proxy, "p")}}
				for k, v := range x.change {
					input[k] = v
				}
				if got := fmt.Sprint(p.query(document, object{"i": input}).at("createConfigTask.userErrors")); !strings.Contains(got, x.want) {
					t.Errorf("%v: %s", x.change, got)
				}
			}
		})
	})
}

// Everything again, at a desk's request.
func TestRedeliver(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, client := p.bound()
		client.Set("sip.outboundProxy", "evil.example.net")
		device := p.deviceOf(client).text("id")
		input := object{"idempotencyKey": "again", "device": object{"id": device}}
		p.mutate("redeliverConfiguration", "device { configuration { state desiredKey } }", input)
		if replay := p.mutate("redeliverConfiguration", "device { configuration { state desiredKey } }", input); replay["replayed"] != true || replay.text("device.configuration.desiredKey") != "cfg-000000002" {
			t.Errorf("replayed %v", replay)
		}
		got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
		if len(got) != 1 || len(got[0]) < 20 || client.Get("sip.outboundProxy") == "evil.example.net" {
			t.Errorf("delivered %v", got)
		}
		p.configured(client, "APPLIED", "cfg-000000002")
		p.waitForEvent(id, "CONFIGURATION_CHANGED config.applied APPLIED", 2)
		d := p.query(`mutation($i: RedeliverInput!) { redeliverConfiguration(input: $i) { userErrors { code field } } }`, object{"i": object{"idempotencyKey": "x",
			"device": object{"identity": object{"oui": "00005E", "productClass": "IMSPC", "serialNumber": "nobody"}}}})
		if got := fmt.Sprint(d.at("redeliverConfiguration.userErrors")); !strings.Contains(got, "NOT_FOUND") {
			t.Error(got)
		}
		free := p.mutate("registerDevice", "device { id }", object{"idempotencyKey": "free", "clientType": "PC",
			"identity": object{"oui": "00005E", "productClass": "IMSPC", "serialNumber": "free"}}).text("device.id")
		d = p.query(`mutation($i: RedeliverInput!) { redeliverConfiguration(input: $i) { userErrors { code field } } }`, object{"i": object{"idempotencyKey": "y", "device": object{"id": free}}})
		if got := fmt.Sprint(d.at("redeliverConfiguration.userErrors")); !strings.Contains(got, "STATE_CONFLICT") {
			t.Error(got)
		}
	})
}

// What a client changes of what it was given comes back, a few times a day; what is its user's own stays.
func TestDrift(t *testing.T) {
	often := func(c *Config) { c.I4.Drift = Drift{Interval: 3600, Sample: 100, PerDay: 2} }
	clocked(t, often, func(t *testing.T, p *platform, clock *storetest.Clock) {
		id, client := p.present()
		change := func(values map[string]string) []string {
			return slices.Concat(p.deliveries(client, func() (sim.Outcome, error) { return client.Change(t.Context(), values) })...)
		}
		mine := map[string]string{"line.features.doNotDisturbEnable": "1", "line.sip.authPassword": "other"}
		if got := change(mine); got != nil {
			t.Errorf("what is the user's own was set to %v", got)
		}
		if got := change(map[string]string{"sip.outboundProxyPort": "5070"}); !slices.Equal(got, []string{"sip.outboundProxyPort=5060"}) {
			t.Errorf("delivered %v", got)
		}
		p.waitForEvent(id, "CONFIGURATION_CHANGED config.drift PENDING", 1)
		p.configured(client, "APPLIED", "cfg-000000002")

		// Read back once in the interval: a heartbeat before costs nothing.
		client.Set("sip.outboundProxy", "evil.example.net")
		if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); got != nil {
			t.Errorf("delivered %v", got)
		}
		clock.Advance(time.Hour)
		p.token = p.accessToken("bss", "a-secret-for-the-tests")
		if got := slices.Concat(p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })...); len(got) != 1 || !strings.HasPrefix(got[0], "sip.outboundProxy=") {
			t.Errorf("delivered %v", got)
		}
		p.configured(client, "APPLIED", "cfg-000000003")

		// The third of a day is an alarm, once.
		for range 2 {
			if got := change(map[string]string{"sip.outboundProxyPort": "5071"}); got != nil {
				t.Errorf("delivered %v", got)
			}
		}
		p.waitForEvent(id, "ALARM_RAISED alarm.raised", 1)
		client.Set("sip.outboundProxyPort", "5060")
		clock.Advance(time.Hour)
		p.token = p.accessToken("bss", "a-secret-for-the-tests")
		p.done(client.Heartbeat(t.Context()))
		p.waitForEvent(id, "ALARM_CLEARED alarm.cleared", 1)
		clock.Advance(24 * time.Hour)
		p.token = p.accessToken("bss", "a-secret-for-the-tests")
		client.Set("sip.outboundProxyPort", "5072")
		if got := slices.Concat(p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })...); !slices.Equal(got, []string{"sip.outboundProxyPort=5060"}) {
			t.Errorf("the next day: %v", got)
		}
	})
}

// The answer to a SIP registration is known to the desk, and the secret comes again when there is anything new (resolutions 54).
func TestRegistrationCause(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, client := p.bound()
		line := func() string {
			d := p.query(`query($id: ID!) { device(ref: {id: $id}) { registrations { lineIndex number status sipStatus reason since answeredAt reportedAt } } }`, object{"id": p.deviceOf(client).text("id")})
			lines, _ := d.at("device.registrations").([]any)
			if len(lines) != 1 {
				return fmt.Sprint(lines)
			}
			l := object(lines[0].(map[string]any))
			if l.text("since") == "" || l.text("reportedAt") < l.text("since") {
				t.Errorf("times %v", l)
			}
			return fmt.Sprintf("%v %v %v %v %v", l["lineIndex"], l["status"], l["sipStatus"], l["reason"], l["number"] != nil)
		}
		if got := line(); got != "[]" {
			t.Errorf("before the first heartbeat: %s", got)
		}
		p.done(client.Heartbeat(t.Context()))
		if got := line(); got != "1 UP <nil> <nil> true" {
			t.Error(got)
		}
		refused := func() []string {
			return slices.Concat(p.deliveries(client, func() (sim.Outcome, error) {
				return client.Answered(t.Context(), 403, "Forbidden\u202e"+strings.Repeat("x", 300))
			})...)
		}
		if got := refused(); got != nil {
			t.Errorf("nothing new is desired, delivered %v", got)
		}
		if got := line(); got != "1 ERROR 403 Forbidden"+strings.Repeat("x", 119)+" true" {
			t.Error(got)
		}
		p.turn(id, "1", "VIDEO", true)
		if got := refused(); !slices.Contains(got, "line.sip.authPassword="+client.Get("line.sip.authPassword")) {
			t.Errorf("the secret is not in %v", got)
		}
		p.done(client.Answered(t.Context(), 200, "OK"))
		if got := line(); got != "1 UP 200 OK true" {
			t.Error(got)
		}
		// A hostile client: the row stays bounded, and unknown words are unknown.
		client.Set("line.status", "Dancing")
		client.Set("softClient.lastRegister.code", "4294967295")
		p.done(client.Heartbeat(t.Context()))
		if got := line(); got != "1 UNKNOWN <nil> <nil> true" {
			t.Error(got)
		}
	})
}

func isSet(e sim.Exchange) bool {
	_, ok := e.Got.(*cwmp.SetParameterValues)
	return ok
}
