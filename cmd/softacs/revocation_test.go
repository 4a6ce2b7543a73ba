package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// act runs an action of an account.
func (p *platform) act(name, id, key string, more object) object {
	p.t.Helper()
	input := object{"idempotencyKey": key + id, "account": object{"id": id}}
	for k, v := range more {
		input[k] = v
	}
	return p.mutate(name, "account { state suspensions { reason } reauthRequired terminatedAt }", input)
}

func (p *platform) suspend(id, reason string) {
	p.t.Helper()
	p.act("suspendAccount", id, reason, object{"reason": reason})
}

// brings runs a session and returns its outcome and what each SetParameterValues of it set, without what belongs to the outcome, behind its key.
func (p *platform) brings(client *sim.Client, session func() (sim.Outcome, error)) (o sim.Outcome, list []string) {
	p.t.Helper()
	p.observe(client, func(e sim.Exchange) error {
		if set, ok := e.Got.(*cwmp.SetParameterValues); ok {
			values := slices.DeleteFunc(names(set.Parameters), func(s string) bool { return strings.HasPrefix(s, "ui.") })
			list = append(list, set.ParameterKey+" "+strings.Join(values, " "))
		}
		return nil
	})
	defer p.observe(client, nil)
	o, err := session()
	if err != nil {
		p.t.Fatal(err)
	}
	return o, list
}

func (p *platform) heartbeat(client *sim.Client) (sim.Outcome, []string) {
	p.t.Helper()
	return p.brings(client, func() (sim.Outcome, error) { return client.Heartbeat(p.t.Context()) })
}

// silent wants sessions in which the platform asks for nothing.
func (p *platform) silent(client *sim.Client) {
	p.t.Helper()
	for _, events := range [][]models.EventName{{models.EventPeriodic}, {models.EventBoot, models.EventPeriodic}, {models.EventPeriodic}} {
		o, got := p.brings(client, func() (sim.Outcome, error) { return client.Inform(p.t.Context(), events...) })
		if o.Status != 99 || got != nil {
			p.t.Errorf("%s: %+v, %q", events, o, got)
		}
	}
}

// binding is the state of the client's only binding.
func (p *platform) binding(client *sim.Client, want string) {
	p.t.Helper()
	if got := p.deviceOf(client).text("bindings.nodes.0.state"); got != want {
		p.t.Errorf("the binding is %s, not %s", got, want)
	}
}

func (p *platform) holds(client *sim.Client, line, secret string) {
	p.t.Helper()
	if client.Get("line.enable") != line || client.Get("line.sip.authPassword") != secret {
		p.t.Errorf("the client holds %s, %q, not %s, %q", client.Get("line.enable"), client.Get("line.sip.authPassword"), line, secret)
	}
}

const sipSecret = "s3cret-of-the-hss"

// boundWith is bound with a SIP secret that the test knows.
func (p *platform) boundWith(more object) (id, msisdn string, client *sim.Client) {
	p.t.Helper()
	input := object{"initialPassword": longTerm, "sipPassword": sipSecret}
	for k, v := range more {
		input[k] = v
	}
	id, msisdn, _ = p.provision(input)
	client = p.client(msisdn, nil)
	p.want(0)(client.Register(p.t.Context(), longTerm))
	return id, msisdn, client
}

// What a suspended or closed account takes from its clients, told by their heartbeats (i4.md B.10, 6.1.10).
func TestRevocation(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("suspended and resumed", func(t *testing.T, p *platform) {
			id, _, client := p.boundWith(nil)
			p.suspend(id, "NON_PAYMENT")
			p.waitForEvent(id, "BINDING_CHANGED client.suspended SUSPENDED", 1)
			p.binding(client, "SUSPENDED")
			o, got := p.heartbeat(client)
			if o.Status != 33 || o.Result != 2 || !slices.Equal(got, []string{"cfg-000000002 line.sip.authPassword= line.enable=Disabled"}) {
				t.Errorf("%+v, %q", o, got)
			}
			p.holds(client, "Disabled", "")
			p.configured(client, "APPLIED", "cfg-000000002")
			p.suspend(id, "MAINTENANCE") // another reason is nothing new to the device
			p.silent(client)
			p.refusal(33, client)
			p.silent(client)
			p.act("resumeAccount", id, "1", object{"reason": "NON_PAYMENT"})
			p.silent(client)
			p.act("resumeAccount", id, "2", nil)
			p.binding(client, "ACTIVE")
			o, got = p.heartbeat(client)
			if o.Status != 0 || o.Result != 1 || !slices.Equal(got, []string{"cfg-000000003 line.sip.authPassword=" + sipSecret + " line.enable=Enabled"}) {
				t.Errorf("%+v, %q", o, got)
			}
			p.holds(client, "Enabled", sipSecret)
			p.silent(client)
			p.waitForEvent(id, "CONFIGURATION_CHANGED config.applied APPLIED", 3)
			want := []string{
				"ACCOUNT_STATE_CHANGED account.suspended SUSPENDED", "BINDING_CHANGED client.suspended SUSPENDED", "CONFIGURATION_CHANGED config.pending PENDING",
				"CONFIGURATION_CHANGED config.applied APPLIED", "ACCOUNT_STATE_CHANGED account.suspended SUSPENDED", "SECURITY security.register_refused",
				"ACCOUNT_STATE_CHANGED account.resumed SUSPENDED",
				"ACCOUNT_STATE_CHANGED account.resumed ACTIVE", "BINDING_CHANGED client.resumed ACTIVE", "CONFIGURATION_CHANGED config.pending PENDING",
				"CONFIGURATION_CHANGED config.applied APPLIED",
			}
			codes := p.eventsOf(id)
			if got := codes[len(codes)-len(want):]; !slices.Equal(got, want) {
				t.Errorf("the log tells\n%q\nnot\n%q", got, want)
			}
		})
		p.run("suspended and resumed between two heartbeats", func(t *testing.T, p *platform) {
			id, _, client := p.boundWith(nil)
			p.suspend(id, "FRAUD")
			p.act("resumeAccount", id, "", nil)
			if o, got := p.heartbeat(client); o.Status != 99 || len(got) != 1 || !strings.HasPrefix(got[0], "cfg-000000003 ") {
				t.Errorf("%+v, %q", o, got)
			}
			p.holds(client, "Enabled", sipSecret)
			p.silent(client)
		})
		p.run("reset to its factory state while suspended", func(t *testing.T, p *platform) {
			id, _, client := p.boundWith(nil)
			p.suspend(id, "FRAUD")
			p.want(33)(client.Heartbeat(t.Context()))
			o, got := p.brings(client, func() (sim.Outcome, error) {
				return client.Inform(t.Context(), models.EventBootstrap, models.EventBoot, models.EventPeriodic)
			})
			if o.Status != 33 || len(got) != 1 || !strings.HasSuffix(got[0], " line.enable=Disabled") || !strings.Contains(got[0], " line.sip.authPassword= ") || strings.Contains(got[0], "line.sip.uri") {
				t.Errorf("%+v, %q", o, got)
			}
			p.act("resumeAccount", id, "", nil)
			p.want(0)(client.Heartbeat(t.Context()))
			p.holds(client, "Enabled", sipSecret)
		})
		p.run("suspended in the middle of a REGISTER", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(object{"initialPassword": longTerm, "sipPassword": sipSecret})
			client := p.client(msisdn, nil)
			p.observe(client, func(e sim.Exchange) error {
				if set, ok := e.Got.(*cwmp.SetParameterValues); ok && set.ParameterKey == "cfg-000000001" {
					p.suspend(id, "FRAUD")
				}
				return nil
			})
			p.want(33)(client.Register(t.Context(), longTerm))
			p.observe(client, nil)
			p.holds(client, "Disabled", "")
			p.binding(client, "SUSPENDED")
			p.act("resumeAccount", id, "", nil)
			p.want(0)(client.Heartbeat(t.Context()))
			p.binding(client, "ACTIVE")
		})
		p.run("closed", func(t *testing.T, p *platform) {
			id, msisdn, client := p.boundWith(nil)
			password := client.Get("managementServer.password")
			p.act("terminateAccount", id, "", nil)
			p.binding(client, "SUSPENDED")
			o, got := p.heartbeat(client)
			if o.Status != 34 || o.Result != 2 || len(got) != 1 || !strings.HasPrefix(got[0], "cfg-000000002 ") ||
				!strings.HasSuffix(got[0], " line.sip.authPassword= line.enable=Disabled") || client.Get("managementServer.password") == password {
				t.Errorf("%+v, %q", o, got)
			}
			p.gone(id, client)
			p.refusal(34, client)

			// The number belongs to a newer account, which knows another password.
			newer, _, _ := p.provision(object{"idempotencyKey": "again" + msisdn, "externalId": "again" + msisdn, "msisdn": msisdn, "initialPassword": "Green-Kite-43!"})
			p.want(1)(client.Register(t.Context(), longTerm))
			p.want(0)(client.Register(t.Context(), "Green-Kite-43!"))
			if got := p.deviceOf(client).text("bindings.nodes.1.account.id"); got != newer {
				t.Errorf("the device belongs to %s, not %s", got, newer)
			}
			p.silent(client)
		})
		p.run("suspended, then closed", func(t *testing.T, p *platform) {
			id, _, client := p.boundWith(nil)
			p.suspend(id, "REGULATORY")
			p.want(33)(client.Heartbeat(t.Context()))
			p.act("terminateAccount", id, "", nil)
			if o, got := p.heartbeat(client); o.Status != 34 || len(got) != 1 || !strings.HasSuffix(got[0], " line.sip.authPassword= line.enable=Disabled") {
				t.Errorf("%+v, %q", o, got)
			}
			p.gone(id, client)
		})
		p.run("closed with changes that come at the next boot", func(t *testing.T, p *platform) {
			id, _, client := p.boundWith(nil)
			p.act("terminateAccount", id, "", nil)
			client.SetFaults(sim.Faults{Status: 1})
			p.want(34)(client.Heartbeat(t.Context()))
			client.SetFaults(sim.Faults{})
			p.binding(client, "REMOVED")
			p.want(12)(client.Heartbeat(t.Context()))
		})
		p.run("a registered device keeps its credentials", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			identity := sim.NewIdentity()
			made := p.mutate("registerDevice", "acsUsername acsPassword", object{"idempotencyKey": identity.SerialNumber, "clientType": "PC",
				"identity": object{"oui": identity.OUI, "productClass": identity.ProductClass, "serialNumber": identity.SerialNumber}})
			client := p.client(msisdn, func(c *sim.Config) {
				c.Identity, c.Username, c.ACSPassword = identity, made.text("acsUsername"), models.Secret(made.text("acsPassword"))
			})
			p.want(0)(client.Register(t.Context(), longTerm))
			password := client.Get("managementServer.password")
			p.act("terminateAccount", id, "", nil)
			p.want(34)(client.Heartbeat(t.Context()))
			p.gone(id, client)
			if client.Get("managementServer.password") != password {
				t.Error("its password was changed")
			}
		})
		for name, faults := range map[string]sim.Faults{
			"whole request": {Methods: map[string]int{"SetParameterValues": 9001}}, "not supported": {Methods: map[string]int{"SetParameterValues": 9000}},
			"switch": {Parameters: map[string]int{"line.enable": 9007}}, "secret": {Parameters: map[string]int{"line.sip.authPassword": 9007}},
		} {
			p.run("refused: "+name, func(t *testing.T, p *platform) {
				id, _, client := p.boundWith(nil)
				password := client.Get("managementServer.password")
				p.act("terminateAccount", id, "", nil)
				client.SetFaults(faults)
				for try := range 4 {
					if _, got := p.heartbeat(client); try < 3 && len(got) != 1 || try == 3 && got != nil {
						t.Errorf("session %d brought %q", try+1, got)
					}
				}
				for range 3 { // an hour later, and later
					p.exec("UPDATE configurations SET next_at = 0 WHERE device_id IN (SELECT id FROM devices WHERE device_key = ?)", string(client.Key()))
					p.exec("UPDATE devices SET work_at = 1 WHERE device_key = ?", string(client.Key()))
					if _, got := p.heartbeat(client); len(got) != 1 {
						t.Errorf("later brought %q", got)
					}
				}
				p.binding(client, "SUSPENDED")
				if client.Get("managementServer.password") != password {
					t.Fatal("the client took a password that it refused")
				}
				client.SetFaults(sim.Faults{})
				p.exec("UPDATE configurations SET next_at = 0 WHERE device_id IN (SELECT id FROM devices WHERE device_key = ?)", string(client.Key()))
				p.exec("UPDATE devices SET work_at = 1 WHERE device_key = ?", string(client.Key()))
				p.want(34)(client.Heartbeat(t.Context()))
				p.gone(id, client)
			})
		}
	})
}

// gone wants a client that has answered for the closing of its account.
func (p *platform) gone(id string, client *sim.Client) {
	p.t.Helper()
	p.binding(client, "REMOVED")
	p.holds(client, "Disabled", "")
	p.configured(client, "NONE", "")
	p.waitForEvent(id, "BINDING_CHANGED client.unbound REMOVED", 1)
	for range 2 {
		p.want(12)(client.Heartbeat(p.t.Context()))
	}
	if n := count(p.eventsOf(id), "BINDING_CHANGED client.unbound REMOVED"); n != 1 {
		p.t.Errorf("it was unbound %d times", n)
	}
}

// drop loses the first request that contains text, after skip others that do, before it reaches the platform.
type drop struct {
	text string
	skip int
	done atomic.Bool
	next http.Transport
}

func (d *drop) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || d.text == "" || d.done.Load() {
		return d.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(body), d.text) && d.skip > 0 {
		d.skip--
	} else if strings.Contains(string(body), d.text) && d.done.CompareAndSwap(false, true) {
		return nil, errLost
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return d.next.RoundTrip(r)
}

// CloseIdleConnections lets a client that lost an answer begin its next session on another connection.
func (d *drop) CloseIdleConnections() { d.next.CloseIdleConnections() }

// Whatever is lost of a session that revokes or gives back, the client's retry leads to the same end, once.
func TestEveryLostAnswerOfARevocation(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		for _, what := range []string{"suspendAccount", "resumeAccount", "terminateAccount"} {
			for n := range 5 { // 0: the client's own answer; else the platform's nth
				p.run(fmt.Sprint(what, " ", n), func(_ *testing.T, p *platform) { p.revocationLosing(what, n) })
			}
		}
	})
}

func (p *platform) revocationLosing(what string, n int) {
	t := p.t
	id, msisdn, _ := p.provision(object{"initialPassword": longTerm, "sipPassword": sipSecret})
	loss := &drop{}
	client := p.client(msisdn, func(c *sim.Config) { c.HTTP = &http.Client{Transport: loss} })
	p.want(0)(client.Register(t.Context(), longTerm))
	if what == "resumeAccount" {
		p.suspend(id, "FRAUD")
		p.want(33)(client.Heartbeat(t.Context()))
	}
	more := object{}
	if what == "suspendAccount" {
		more["reason"] = "FRAUD"
	}
	p.act(what, id, what, more)

	lost := false
	if n == 0 {
		loss.text = "SetParameterValuesResponse"
	}
	p.observe(client, func(e sim.Exchange) error {
		if e.N == n && !lost {
			lost = true
			return errLost
		}
		return nil
	})
	told := map[int]bool{}
	o, err := client.Heartbeat(t.Context())
	if !errors.Is(err, errLost) || n > 0 && !lost || n == 0 && !loss.done.Load() {
		t.Fatalf("nothing was lost: %+v, %v", o, err)
	}
	told[o.Status] = true
	p.observe(client, nil)
	if o, err = client.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	told[o.Status] = true
	status := map[string]int{"suspendAccount": 33, "resumeAccount": 0, "terminateAccount": 34}[what]
	if !told[status] {
		t.Errorf("the client heard %v, not %d", told, status)
	}
	switch what {
	case "suspendAccount":
		p.silent(client)
		p.holds(client, "Disabled", "")
		p.binding(client, "SUSPENDED")
		p.configured(client, "APPLIED", "cfg-000000002")
	case "resumeAccount":
		p.silent(client)
		p.holds(client, "Enabled", sipSecret)
		p.binding(client, "ACTIVE")
		p.configured(client, "APPLIED", "cfg-000000003")
	case "terminateAccount":
		p.gone(id, client)
		p.refusal(34, client)
	}
}

// Suspensions and resumptions come while the client speaks: whatever meets whatever, the client ends with what the account is.
func TestRevocationsMeetSessions(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, _, client := p.boundWith(nil)
		turned := make(chan struct{})
		go func() {
			defer close(turned)
			for n := range 12 {
				p.act("suspendAccount", id, fmt.Sprint("s", n), object{"reason": "NON_PAYMENT"})
				p.act("resumeAccount", id, fmt.Sprint("r", n), nil)
			}
			p.act("suspendAccount", id, "last", object{"reason": "NON_PAYMENT"})
		}()
		for over := false; !over; {
			select {
			case <-turned:
				over = true
			default:
			}
			p.done(client.Heartbeat(t.Context()))
		}
		p.silent(client)
		p.holds(client, "Disabled", "")
		p.configured(client, "APPLIED", client.Get("managementServer.parameterKey"))
		p.binding(client, "SUSPENDED")
		p.act("terminateAccount", id, "", nil)
		p.want(34)(client.Heartbeat(t.Context()))
		p.gone(id, client)
	})
}
