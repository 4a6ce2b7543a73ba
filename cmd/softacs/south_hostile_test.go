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

// What a client writes at will is bounded before it reaches a row: MariaDB refuses what SQLite takes, and a refused row would lock the client
// out for ever.
func TestOverlongValues(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("identity", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(nil)
			client := p.client(msisdn, func(c *sim.Config) { c.Identity.SerialNumber = strings.Repeat("😀", 64) })
			_, err := client.GetPassword(t.Context())
			var refused *sim.FaultError
			if !errors.As(err, &refused) || refused.Code != 8003 {
				t.Errorf("an identity that is too long once it is encoded: %v", err)
			}
		})
		p.run("what an Inform says", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			client := p.client(msisdn, func(c *sim.Config) {
				c.Identity.Manufacturer = strings.Repeat("製", 300)
				c.Now = func() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }
			})
			long := strings.Repeat("9.😀", 150)
			for _, name := range []string{"deviceInfo.softwareVersion", "deviceInfo.hardwareVersion", "softClient.osVersion", "softClient.localIPAddress", "line.status"} {
				client.Set(name, long)
			}
			p.want(0)(client.Register(t.Context(), longTerm))
			login := p.deviceOf(client).text("login.sessionId")
			client.Set("softClient.loginSessionId", long)
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			device := p.deviceOf(client)
			if got := device.text("softwareVersion"); got != string([]rune(long)[:64]) {
				t.Errorf("the software version is kept as %q", got)
			}
			if got := device.text("login.sessionId"); got != login {
				t.Errorf("the login session is %q", got)
			}
			if err := p.app.devices.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			skew, _ := p.query(`query($id: ID!) { node(id: $id) { ... on Device { clockSkewSeconds } } }`, object{"id": device.text("id")}).at("node.clockSkewSeconds").(float64)
			if skew != -1<<31 {
				t.Errorf("a clock that is 8,000 years ahead has a skew of %v s", skew)
			}
		})
		p.run("a change of very many values", func(t *testing.T, p *platform) {
			id, client := p.bound()
			var changed []cwmp.ParameterValue
			for i := range 600 {
				changed = append(changed, cwmp.ParameterValue{Name: fmt.Sprintf("Device.X_EXAMPLE_%s.%03d", strings.Repeat("a", 220), i), Value: "1"})
			}
			p.done(client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventValueChange)}}, changed))
			p.waitForEvent(id, "DEVICE_PARAMETER_CHANGED client.value_changed", 1)
		})
		p.run("a client type", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.Set("softClient.clientType", strings.Repeat("x", 70_000))
			p.want(40)(client.Register(t.Context(), longTerm))
		})
		p.run("a fault that names something very long", func(t *testing.T, p *platform) {
			id, client := p.bound()
			p.turn(id, "1", "VIDEO", true)
			client.SetFaults(sim.Faults{Respond: func(m cwmp.Message) cwmp.Message {
				if _, ok := m.(*cwmp.SetParameterValues); !ok {
					return nil
				}
				return &cwmp.Fault{Code: 9003, String: strings.Repeat("x", 5000), Parameters: []cwmp.ParameterFault{
					{Name: "Device." + strings.Repeat("😀", 2000), Code: 9005, String: strings.Repeat("y", 5000)},
				}}
			}})
			p.done(client.Heartbeat(t.Context()))
			p.configured(client, "FAILED", "cfg-000000002")
		})
	})
}

// A client without UI.ResultDesc that registers again never got the new management password, and after three such logins none of those that
// it knew was valid any more.
func TestRegisterAgainWithoutOptionalLeaf(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Register.ReportAlready = true }, func(t *testing.T, p *platform) {
		_, client := p.bound()
		client.SetFaults(sim.Faults{Parameters: map[string]int{"ui.resultDesc": 9005}})
		for range 5 {
			before := client.Get("managementServer.password")
			if o, err := client.Register(t.Context(), longTerm); err != nil || o.Status != 0 && o.Status != 5 || o.Result != 1 {
				t.Fatalf("%+v, %v", o, err)
			}
			if client.Get("managementServer.password") == before {
				t.Error("the management password was not renewed")
			}
		}
		p.done(client.Heartbeat(t.Context()))
	})
}

// A client was upgraded and registered before its first boot report: it was still spared what its older firmware did not have, for ever.
func TestRegisterAfterUpgrade(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		client.Set("deviceInfo.softwareVersion", "7.0-"+msisdn)
		client.SetFaults(sim.Faults{Parameters: map[string]int{"sip.heartbeatCycle": 9005}})
		p.want(0)(client.Register(t.Context(), longTerm))
		client.SetFaults(sim.Faults{})
		client.Set("deviceInfo.softwareVersion", "7.1-"+msisdn)
		got := p.deliveries(client, func() (sim.Outcome, error) { return client.Register(t.Context(), longTerm) })
		if !slices.ContainsFunc(got, func(list []string) bool { return slices.Contains(list, "sip.heartbeatCycle=60") }) {
			t.Errorf("delivered %v", got)
		}
	})
}
