package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// bound provisions an account and registers a client with it.
func (p *platform) bound() (id string, client *sim.Client) {
	p.t.Helper()
	id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
	client = p.client(msisdn, nil)
	p.want(0)(client.Register(p.t.Context(), longTerm))
	return id, client
}

// turn switches a service of the account.
func (p *platform) turn(id, key, service string, on bool) {
	p.t.Helper()
	p.mutate("modifyAccount", "account { id }", object{
		"idempotencyKey": key + id, "account": object{"id": id}, "services": []object{{"code": service, "enabled": on}},
	})
}

// deliveries runs a session and returns the parameters of each configuration that it brought.
func (p *platform) deliveries(client *sim.Client, session func() (sim.Outcome, error)) (list [][]string) {
	p.t.Helper()
	p.observe(client, func(e sim.Exchange) error {
		if set, ok := e.Got.(*cwmp.SetParameterValues); ok {
			list = append(list, names(set.Parameters))
		}
		return nil
	})
	defer p.observe(client, nil)
	p.done(session())
	return list
}

// probes runs a session and returns what the client was asked to tell and what it was sent.
func (p *platform) probes(client *sim.Client, session func(context.Context) (sim.Outcome, error)) (asked []string, sent [][]string) {
	p.t.Helper()
	p.observe(client, func(e sim.Exchange) error {
		switch m := e.Got.(type) {
		case *cwmp.GetParameterValues:
			for _, path := range m.Names {
				asked = append(asked, profile.Name(path))
			}
		case *cwmp.SetParameterValues:
			sent = append(sent, names(m.Parameters))
		}
		return nil
	})
	defer p.observe(client, nil)
	p.done(session(p.t.Context()))
	return asked, sent
}

func (p *platform) configured(client *sim.Client, state, desired string) {
	p.t.Helper()
	d := p.deviceOf(client)
	if d.text("configuration.state") != state || d.text("configuration.desiredKey") != desired {
		p.t.Errorf("the configuration is %v, not %s of %s", d["configuration"], state, desired)
	}
}

// starts is a session after a start of the client that shows its credentials.
func starts(client *sim.Client) func(context.Context) (sim.Outcome, error) {
	return func(ctx context.Context) (sim.Outcome, error) {
		return client.Inform(ctx, models.EventBoot, models.EventPeriodic)
	}
}

// Every way in which a change may reach a client or fail to (i4.md B.10).
func TestHeartbeatConfiguration(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("a plain heartbeat is no event", func(t *testing.T, p *platform) {
			id, client := p.bound()
			p.waitForEvent(id, "BINDING_CHANGED client.bound ACTIVE", 1)
			before := len(p.eventsOf(id))
			for range 3 {
				if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); got != nil {
					t.Errorf("delivered %v", got)
				}
			}
			if after := len(p.eventsOf(id)); after != before {
				t.Errorf("%d events", after-before)
			}
		})
		p.run("changes coalesce", func(t *testing.T, p *platform) {
			id, client := p.bound()
			p.turn(id, "1", "VIDEO", true)
			p.turn(id, "2", "PRESENCE", true)
			p.turn(id, "3", "PRESENCE", true) // changes nothing
			got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if len(got) != 1 || slices.Contains(got[0], "video.enable=1") || !slices.Contains(got[0], "presence.enable=1") {
				t.Errorf("delivered %v", got)
			}
			p.configured(client, "APPLIED", "cfg-000000003")
		})
		p.run("a reset device gets everything and new credentials", func(t *testing.T, p *platform) {
			_, client := p.bound()
			password := client.Get("managementServer.password")
			got := p.deliveries(client, func() (sim.Outcome, error) {
				return client.Inform(t.Context(), models.EventBootstrap, models.EventBoot, models.EventPeriodic)
			})
			if len(got) != 1 || len(got[0]) < 20 || client.Get("managementServer.password") == password {
				t.Errorf("delivered %v", got)
			}
			p.done(client.Heartbeat(t.Context()))
			p.configured(client, "APPLIED", "cfg-000000001")
		})
		p.run("an unknown ParameterKey means everything", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.Set("managementServer.parameterKey", "somebody else's")
			got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if len(got) != 1 || len(got[0]) < 20 {
				t.Errorf("delivered %v", got)
			}
		})
		p.run("an optional parameter refused", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.SetFaults(sim.Faults{Parameters: map[string]int{"presence.serverURI": 9005}})
			p.turn(id, "1", "PRESENCE", true)
			got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if len(got) != 2 || slices.ContainsFunc(got[1], func(s string) bool { return s == "presence.serverURI=sip:presence@ims.example.net" }) || !slices.Contains(got[1], "presence.enable=1") {
				t.Errorf("delivered %v", got)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
		})
		p.run("a mandatory parameter refused", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.SetFaults(sim.Faults{Parameters: map[string]int{"line.sip.authPassword": 9007}})
			p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "1" + id, "account": object{"id": id}, "sipPassword": "rotated"})
			p.done(client.Heartbeat(t.Context()))
			p.configured(client, "FAILED", "cfg-000000002")
			p.waitForEvent(id, "CONFIGURATION_CHANGED config.failed FAILED", 1)
			p.waitForEvent(id, "ALARM_RAISED alarm.raised", 1)
			if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); got != nil {
				t.Errorf("a failed version was sent again: %v", got)
			}
			for _, next := range []string{"3.0", "4.0"} { // the alarm is the same
				client.Set("deviceInfo.softwareVersion", next)
				p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			}
			p.waitForEvent(id, "CONFIGURATION_CHANGED config.failed FAILED", 3)
			client.SetFaults(sim.Faults{})
			p.turn(id, "2", "VIDEO", true)
			p.configured(client, "PENDING", "cfg-000000003")
			p.done(client.Heartbeat(t.Context()))
			p.configured(client, "APPLIED", "cfg-000000003")
			p.waitForEvent(id, "ALARM_CLEARED alarm.cleared", 1)
			p.waitForEvent(id, "ALARM_RAISED alarm.raised", 1)
		})
		for _, fault := range []int{9001, 9002, 9004} {
			p.run(fmt.Sprintf("the whole request refused with %d", fault), func(t *testing.T, p *platform) {
				id, client := p.bound()
				p.turn(id, "1", "VIDEO", true)
				client.SetFaults(sim.Faults{Methods: map[string]int{"SetParameterValues": fault}})
				for try := range 4 {
					got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
					if want := 1; try < 3 && len(got) != want || try == 3 && len(got) != 0 {
						t.Errorf("session %d delivered %v", try+1, got)
					}
				}
				client.SetFaults(sim.Faults{})
				p.turn(id, "2", "VIDEO", false)
				p.done(client.Heartbeat(t.Context()))
				p.configured(client, "APPLIED", "cfg-000000003")
			})
		}
		p.run("committed until the next boot", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.SetFaults(sim.Faults{Status: 1})
			p.turn(id, "1", "VIDEO", true)
			p.done(client.Heartbeat(t.Context()))
			p.configured(client, "COMMITTED", "cfg-000000002")
			client.SetFaults(sim.Faults{})
			if got, sent := p.probes(client, client.Heartbeat); got != nil || sent != nil {
				t.Errorf("before the boot it was asked for %v and sent %v", got, sent)
			}
			if got, sent := p.probes(client, starts(client)); !slices.Equal(got, []string{"video.codecList", "video.enable"}) || sent != nil {
				t.Errorf("at the boot it was asked for %v and sent %v", got, sent)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
			if got, _ := p.probes(client, starts(client)); got != nil {
				t.Errorf("asked again for %v", got)
			}
		})
		p.run("committed, and without effect at the boot", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.SetFaults(sim.Faults{Status: 1})
			p.turn(id, "1", "VIDEO", true)
			p.done(client.Heartbeat(t.Context()))
			client.SetFaults(sim.Faults{})
			client.Set("video.enable", "0")
			got, sent := p.probes(client, starts(client))
			if len(got) != 2 || len(sent) != 1 || !slices.Contains(sent[0], "video.enable=1") || len(sent[0]) > 5 {
				t.Errorf("it was asked for %v and sent %v", got, sent)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
		})
		p.run("committed, and the client does not tell", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.SetFaults(sim.Faults{Status: 1, Methods: map[string]int{"GetParameterValues": 9005}})
			p.turn(id, "1", "VIDEO", true)
			p.done(client.Heartbeat(t.Context()))
			if got, sent := p.probes(client, starts(client)); len(got) != 2 || sent != nil {
				t.Errorf("it was asked for %v and sent %v", got, sent)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
		})
		p.run("committed, and what it tells is lost", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			loss := &drop{}
			client := p.client(msisdn, func(c *sim.Config) { c.HTTP = &http.Client{Transport: loss} })
			p.want(0)(client.Register(t.Context(), longTerm))
			client.SetFaults(sim.Faults{Status: 1})
			p.turn(id, "1", "VIDEO", true)
			p.done(client.Heartbeat(t.Context()))
			loss.text = "GetParameterValuesResponse"
			if _, err := client.Inform(t.Context(), models.EventBoot, models.EventPeriodic); err == nil {
				t.Fatal("nothing was lost")
			}
			p.configured(client, "COMMITTED", "cfg-000000002")
			if got, sent := p.probes(client, client.Heartbeat); len(got) != 2 || sent != nil {
				t.Errorf("it was asked for %v and sent %v", got, sent)
			}
			p.configured(client, "APPLIED", "cfg-000000002")
		})
		p.run("a client type taken away", func(t *testing.T, p *platform) {
			id, client := p.bound()
			p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "1" + id, "account": object{"id": id}, "clientTypes": []string{"MOBILE"}})
			p.want(17)(client.Heartbeat(t.Context()))
			if got := client.Get("line.enable"); got != "Disabled" {
				t.Errorf("the line is %s", got)
			}
		})
	})
}
