package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
)

const (
	tableOfLines = "Device.Services.VoiceService.1.VoiceProfile.1.Line."
	lineStatus   = tableOfLines + "1.Status"
)

// ask queues a task and returns its id.
func (p *platform) ask(client *sim.Client, kind string, more object) string {
	p.t.Helper()
	n := <-number.next
	number.next <- n + 1
	input := object{"idempotencyKey": fmt.Sprint(kind, n), "device": object{"id": p.deviceOf(client).text("id")}, "kind": kind}
	for k, v := range more {
		input[k] = v
	}
	return p.mutate("createDeviceTask", "task { id }", input).text("task.id")
}

// Each kind of task that is one request asks for it and shows what was answered; the heartbeat of the profile takes them all.
func TestObjectTasks(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, client := p.bound()
		beat := func() { p.done(client.Heartbeat(t.Context())) }

		set := p.ask(client, "SET_ATTRIBUTES", object{"paths": []string{lineStatus}, "notification": 2})
		get := p.ask(client, "GET_ATTRIBUTES", object{"paths": []string{tableOfLines + "1.Status"}})
		add := p.ask(client, "ADD_OBJECT", object{"objectPath": tableOfLines})
		methods := p.ask(client, "GET_RPC_METHODS", nil)
		later := p.ask(client, "SCHEDULE_INFORM", object{"arguments": object{"delaySeconds": 60}})
		key := client.Get("managementServer.parameterKey")
		beat()
		p.wantTask(set, "SUCCEEDED")
		if got := p.wantTask(get, "SUCCEEDED"); got.text("result.attributes.0.path") != lineStatus || fmt.Sprint(got.at("result.attributes.0.notification")) != "2" {
			t.Errorf("attributes %v", got)
		}
		if got := p.wantTask(add, "SUCCEEDED"); fmt.Sprint(got.at("result.instance")) != "2" || fmt.Sprint(got.at("result.status")) != "0" {
			t.Errorf("the new object is %v", got)
		}
		if got := fmt.Sprint(p.wantTask(methods, "SUCCEEDED").at("result.methods")); !strings.Contains(got, "AddObject") {
			t.Errorf("methods %s", got)
		}
		p.wantTask(later, "SUCCEEDED")
		if client.Get("managementServer.parameterKey") != key {
			t.Error("a task changed the ParameterKey")
		}
		shown := p.query(`query($id: ID!) { node(id: $id) { ... on Device { parameters(pathPrefix: "`+lineStatus+`") { nodes { notification } } } } }`,
			object{"id": p.deviceOf(client).text("id")})
		if fmt.Sprint(shown.at("node.parameters.nodes.0.notification")) != "2" {
			t.Errorf("parameters %v", shown)
		}

		// DELETE_OBJECT is done and its answer lost; when it is asked for again the object is not there any more.
		drop := p.ask(client, "DELETE_OBJECT", object{"objectPath": tableOfLines + "2."})
		p.observe(client, loseRequest[*cwmp.DeleteObject])
		if _, err := client.Heartbeat(t.Context()); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		p.observe(client, nil)
		client.SetFaults(sim.Faults{Methods: map[string]int{"DeleteObject": 9005}})
		beat()
		if got := p.task(drop); got.text("state") != "SUCCEEDED" {
			t.Errorf("after a lost answer %v", got)
		}
		client.SetFaults(sim.Faults{})

		// An object that was made though nobody heard of it is not made twice.
		twice := p.ask(client, "ADD_OBJECT", object{"objectPath": tableOfLines})
		p.observe(client, loseRequest[*cwmp.AddObject])
		if _, err := client.Heartbeat(t.Context()); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		p.observe(client, nil)
		beat()
		if got := p.wantTask(twice, "FAILED"); fmt.Sprint(got.at("fault.code")) != "8002" {
			t.Errorf("after a lost answer %v", got)
		}

		// What the firmware does not know is not asked for again until there is another one.
		client.SetFaults(sim.Faults{Methods: map[string]int{"ScheduleInform": 9000}})
		delay := object{"arguments": object{"delaySeconds": 5}}
		first := p.ask(client, "SCHEDULE_INFORM", delay)
		beat()
		p.wantTask(first, "FAILED")
		client.SetFaults(sim.Faults{})
		again := object{"idempotencyKey": "again" + first, "device": object{"id": p.deviceOf(client).text("id")}, "kind": "SCHEDULE_INFORM", "arguments": delay["arguments"]}
		refused := p.query(`mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) { userErrors { code field message } } }`, object{"i": again})
		if got := fmt.Sprint(refused.at("createDeviceTask.userErrors")); !strings.Contains(got, "UNSUPPORTED_BY_DEVICE field:[input kind]") || !strings.Contains(got, "ScheduleInform") {
			t.Errorf("the second task: %s", got)
		}
		client.Set("deviceInfo.softwareVersion", "9.9.9")
		beat()
		third := p.ask(client, "SCHEDULE_INFORM", delay)
		beat()
		p.wantTask(third, "SUCCEEDED")

		p.run("cancel", func(t *testing.T, p *platform) {
			id := p.ask(client, "REBOOT", nil)
			for range 2 {
				if got := p.mutate("cancelDeviceTask", "task { state completedAt }", object{"id": id}); got.text("task.state") != "CANCELLED" {
					t.Errorf("cancelled: %v", got)
				}
			}
			p.done(client.Heartbeat(t.Context()))
			p.wantTask(id, "CANCELLED")
			refused := p.raw(`mutation($i: TargetActionInput!) { cancelDeviceTask(input: $i) { userErrors { code ... on StateConflict { currentState } } } }`,
				object{"i": object{"id": third}})
			if !strings.Contains(refused, "STATE_CONFLICT") || !strings.Contains(refused, "SUCCEEDED") {
				t.Error(refused)
			}
		})

		p.run("refused", func(t *testing.T, p *platform) {
			for field, input := range map[string]object{
				"notification":           {"kind": "SET_ATTRIBUTES", "paths": []string{lineStatus}},
				"notification 3":         {"kind": "SET_ATTRIBUTES", "paths": []string{lineStatus}, "notification": 3},
				"paths":                  {"kind": "GET_ATTRIBUTES"},
				"objectPath":             {"kind": "ADD_OBJECT", "objectPath": tableOfLines + "1."},
				"objectPath 2":           {"kind": "DELETE_OBJECT", "objectPath": tableOfLines},
				"objectPath 3":           {"kind": "ADD_OBJECT", "objectPath": lineStatus},
				"objectPath 4":           {"kind": "FACTORY_RESET", "objectPath": tableOfLines},
				"arguments":              {"kind": "GET_RPC_METHODS", "arguments": object{"x": 1}},
				"arguments,delaySeconds": {"kind": "SCHEDULE_INFORM", "arguments": object{}},
				"arguments,x":            {"kind": "SCHEDULE_INFORM", "arguments": object{"delaySeconds": 1, "x": 1}},
			} {
				input["idempotencyKey"], input["device"] = field, object{"id": p.deviceOf(client).text("id")}
				got := p.raw(`mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) { userErrors { code field } } }`, object{"i": input})
				want := `["input","` + strings.ReplaceAll(strings.Fields(field)[0], ",", `","`) + `"]`
				if !strings.Contains(got, want) {
					t.Errorf("%s: %s", field, got)
				}
			}
		})

		p.run("statistics are read on demand", func(t *testing.T, p *platform) { // i4.md B.9: no Seq, so they are in no report
			client.Set("line.stats.packetsSent", "4711")
			read := p.ask(client, "GET_VALUES", object{"paths": []string{tableOfLines + "1.Stats."}})
			p.done(client.Heartbeat(t.Context()))
			if got := fmt.Sprint(p.wantTask(read, "SUCCEEDED").at("result.values")); strings.Count(got, "path:") != 26 || !strings.Contains(got, "4711") {
				t.Errorf("read %s", got)
			}
		})

		reset := p.ask(client, "FACTORY_RESET", nil)
		beat()
		p.wantTask(reset, "SUCCEEDED")
		if client.Get("managementServer.username") != "" {
			t.Error("nothing was reset")
		}
	})
}

// loseRequest breaks the session when the platform asks for such a thing.
func loseRequest[M cwmp.Message](e sim.Exchange) error {
	if _, ok := e.Got.(M); ok {
		return errLost
	}
	return nil
}
