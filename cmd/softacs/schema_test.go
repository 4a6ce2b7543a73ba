package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
)

// Each message that the platform sends goes out in each namespace that a client may speak; the wiretap holds them against its schema.
func TestEveryMessageValidates(t *testing.T) {
	eachPlatform(t, allModes, func(t *testing.T, p *platform) {
		for minor, version := range []cwmp.Version{cwmp.V1_0, cwmp.V1_1, cwmp.V1_2} {
			speak := func(c *sim.Config) { c.Version, c.Iterations = &version, 10_000 }

			id, msisdn, mobile := p.provision(nil)
			client := p.client(msisdn, speak)
			p.login(client, mobile)
			p.turn(id, "1", "VIDEO", true)
			task := p.upgrade(client, p.publish(fmt.Sprintf("2.1.%d", minor), nil))
			p.done(client.Heartbeat(t.Context()))
			if fault, _ := client.Download(t.Context()); fault != 0 {
				t.Fatalf("fault %d", fault)
			}
			p.done(client.Boot(t.Context())) // with a TransferComplete
			p.wantTask(task, "SUCCEEDED")
			p.mutate("createDeviceTask", "task { id }", object{
				"idempotencyKey": "reboot" + msisdn, "device": object{"id": p.deviceOf(client).text("id")}, "kind": "REBOOT"})
			for kind, more := range map[string]object{
				"SET_ATTRIBUTES": {"paths": []string{lineStatus}, "notification": 1}, "GET_ATTRIBUTES": {"paths": []string{tableOfLines}},
				"ADD_OBJECT": {"objectPath": tableOfLines}, "DELETE_OBJECT": {"objectPath": tableOfLines + "9."}, "GET_RPC_METHODS": nil,
				"SCHEDULE_INFORM": {"arguments": object{"delaySeconds": 60}}, "GET_NAMES": {"objectPath": ""},
			} {
				p.ask(client, kind, more)
			}
			client.Queue(&cwmp.GetRPCMethods{})
			p.done(client.Heartbeat(t.Context()))
			client.Queue(&cwmp.Unknown{Name: "Kicked"})
			var refused *sim.FaultError
			if _, err := client.Heartbeat(t.Context()); err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
			p.ask(client, "FACTORY_RESET", nil)
			p.done(client.Heartbeat(t.Context()))

			_, msisdn, _ = p.provision(object{"initialPassword": longTerm})
			client = p.client(msisdn, speak)
			p.want(0)(client.Register(t.Context(), longTerm))
			p.done(client.Heartbeat(t.Context()))
			p.want(1)(client.ChangePassword(t.Context(), "not-the-password", chosen))
			p.want(0)(client.ChangePassword(t.Context(), longTerm, chosen))

			_, _, mdn := p.provision(withMobile)
			p.loginBySMS(p.phone(mdn, speak), mdn)

			for _, message := range []string{"InformResponse", "SetParameterValues", "GetParameterValues", "Download", "TransferCompleteResponse", "Reboot",
				"SetParameterAttributes", "GetParameterAttributes", "AddObject", "DeleteObject", "GetRPCMethods", "ScheduleInform", "GetParameterNames", "FactoryReset",
				"GetRPCMethodsResponse", "Fault"} {
				if !p.tap.received(version, message) {
					t.Errorf("%s did not go out in %s", message, version.Namespace())
				}
			}
		}
	})
}

// received tells whether the clients got such a message in that version.
func (w *wiretap) received(version cwmp.Version, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.got {
		if bytes.Contains(text, []byte(`"`+version.Namespace()+`"`)) && (bytes.Contains(text, []byte("<cwmp:"+message+">")) || bytes.Contains(text, []byte("<cwmp:"+message+"/>"))) {
			return true
		}
	}
	return false
}
