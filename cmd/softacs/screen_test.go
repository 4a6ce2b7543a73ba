package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// screen makes a simulated magic screen, of which nobody has heard.
func (p *platform) screen(change func(*sim.Config)) *sim.Client {
	return p.client("", func(c *sim.Config) {
		c.Type, c.Identity, c.Number = models.MagicScreen, sim.NewScreenIdentity(), ""
		if change != nil {
			change(c)
		}
	})
}

func serialOf(client *sim.Client) string { return client.Get("deviceInfo.serialNumber") }

func screenIdentity(client *sim.Client) object {
	return object{"oui": "00005E", "productClass": "IMSScreen", "serialNumber": serialOf(client)}
}

// stocked is a screen that the vendor's list names.
func (p *platform) stocked(change func(*sim.Config)) *sim.Client {
	p.t.Helper()
	client := p.screen(change)
	p.mutate("registerDevice", "device { stockState }", object{
		"idempotencyKey": serialOf(client), "identity": screenIdentity(client), "clientType": "MAGIC_SCREEN", "model": "MS-2011",
	})
	return client
}

// screenOf reads a screen and what became of it.
func (p *platform) screenOf(client *sim.Client) object {
	p.t.Helper()
	d := p.query(`query($identity: DeviceIdentityInput!) { device(ref: {identity: $identity}) {
		id version stockState reachability tags configuration { appliedKey state } bindings { nodes { state method account { id } } }
	} }`, object{"identity": screenIdentity(client)})
	device, _ := d["device"].(map[string]any)
	return device
}

// isScreen checks stock state, state of the newest binding and the account of that, empty for none.
func (p *platform) isScreen(client *sim.Client, stock, binding, account string) {
	p.t.Helper()
	d := p.screenOf(client)
	var newest object
	if list, _ := d.at("bindings.nodes").([]any); len(list) > 0 {
		newest = object(list[len(list)-1].(map[string]any))
	}
	if d.text("stockState") != stock || newest.text("state") != binding || newest.text("account.id") != account {
		p.t.Errorf("the screen is %v; %s, %s of %s were expected", d, stock, binding, account)
	}
}

// codes lists the codes of all events of a screen, in order.
func (p *platform) codes(client *sim.Client) (all []string) {
	p.t.Helper()
	d := p.query(`query($d: [ID!]) { events(filter: {deviceIds: $d}, first: 1000) { nodes { type payload } } }`, object{"d": []string{p.screenOf(client).text("id")}})
	nodes, _ := d.at("events.nodes").([]any)
	for _, n := range nodes {
		node := object(n.(map[string]any))
		all = append(all, strings.TrimSpace(node.text("type")+" "+node.text("payload.code")+" "+node.text("payload.state")))
	}
	return all
}

// tells waits until an event of the screen is in the log exactly so many times.
func (p *platform) tells(client *sim.Client, event string, times int) {
	p.t.Helper()
	storetest.Eventually(p.t, fmt.Sprintf("%s is readable %d times", event, times), func() bool { return count(p.codes(client), event) >= times })
	if n := count(p.codes(client), event); n != times {
		p.t.Errorf("%s was told %d times, not %d", event, n, times)
	}
}

// order provisions an account that orders a screen.
func (p *platform) order(more object) (id, msisdn string) {
	p.t.Helper()
	input := object{"clientTypes": []string{"PC", "MAGIC_SCREEN"}}
	for k, v := range more {
		input[k] = v
	}
	id, msisdn, _ = p.provision(input)
	return id, msisdn
}

// hasEverything checks that a screen was given all that its account has.
func (p *platform) hasEverything(client *sim.Client, account, msisdn, method string) {
	p.t.Helper()
	secret := p.query(`query($id: ID!) { account(ref: {id: $id}) { sipPassword } }`, object{"id": account}).text("account.sipPassword")
	for name, want := range map[string]string{
		"ui.userName": msisdn[1:], "line.enable": "Enabled", "line.directoryNumber": msisdn, "line.sip.authPassword": secret,
		"managementServer.username": string(client.Key()), "managementServer.periodicInformInterval": "600",
	} {
		if got := client.Get(name); got != want {
			p.t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	p.isScreen(client, "ACTIVE", "ACTIVE", account)
	if got := p.screenOf(client).text("bindings.nodes.0.method"); got != method {
		p.t.Errorf("bound by %s", got)
	}
}

func (p *platform) registersScreen(client *sim.Client, status int) sim.Outcome {
	p.t.Helper()
	return p.want(status)(client.RegisterScreen(p.t.Context()))
}

func (p *platform) heartbeatSays(client *sim.Client, status int) {
	p.t.Helper()
	p.want(status)(client.Heartbeat(p.t.Context()))
}

// changeOrder changes the order of an account.
func (p *platform) changeOrder(account, key string, more object) {
	p.t.Helper()
	input := object{"idempotencyKey": key + account, "account": object{"id": account}}
	for k, v := range more {
		input[k] = v
	}
	p.mutate("modifyAccount", "account { id }", input)
}

func (p *platform) restock(client *sim.Client, state string) object {
	p.t.Helper()
	return p.mutate("updateDevice", "device { version stockState }", object{"device": object{"identity": screenIdentity(client)}, "stockState": state})
}

// waited are the events of a screen that waits and is then served, as from its first REGISTER.
var waited = []string{
	"DEVICE_REGISTERED device.registered", "DEVICE_INFORM screen.seen", "DEVICE_BOOTSTRAP screen.waiting", "DEVICE_INFORM client.authenticated",
	"BINDING_CHANGED screen.bound PENDING", "CONFIGURATION_CHANGED config.pending PENDING", "DEVICE_REACHABILITY_CHANGED client.online ONLINE",
	"CONFIGURATION_CHANGED config.applied APPLIED", "BINDING_CHANGED screen.bound ACTIVE",
}

// The whole flow 6.1.4 of a screen without certificate, in a laboratory: it waits, its order comes, it is served.
func TestScreens(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("the order comes later", func(t *testing.T, p *platform) {
			client := p.stocked(nil)
			p.isScreen(client, "STOCK", "", "")
			if o := p.registersScreen(client, 30); o.Result != 2 || client.Get("managementServer.periodicInformInterval") != "300" {
				t.Errorf("%+v, heartbeat %s", o, client.Get("managementServer.periodicInformInterval"))
			}
			p.heartbeatSays(client, 30)
			p.heartbeatSays(client, 30)
			p.tells(client, "DEVICE_BOOTSTRAP screen.waiting", 1)
			if client.Get("line.sip.authPassword") != "" || client.Get("managementServer.username") != "" {
				t.Error("a screen that waits was given something")
			}
			id, msisdn := p.order(object{"screenSerial": serialOf(client)})
			p.isScreen(client, "ALLOCATED", "", "")
			p.heartbeatSays(client, 0)
			p.hasEverything(client, id, msisdn, "LINE")
			p.tells(client, "BINDING_CHANGED screen.bound ACTIVE", 1)
			if got := p.codes(client); !slices.Equal(got, waited) {
				t.Errorf("the log tells\n%q", got)
			}
			if got := p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }); got != nil {
				t.Errorf("an ordinary heartbeat brought %v", got)
			}
			// What changes afterwards comes with a heartbeat, as for everybody (B.10).
			p.turn(id, "video", "VIDEO", true)
			p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if client.Get("managementServer.parameterKey") != "cfg-000000002" {
				t.Errorf("the screen has %s", client.Get("managementServer.parameterKey"))
			}
		})
		p.run("the order was there before", func(_ *testing.T, p *platform) {
			client := p.screen(nil)
			id, msisdn := p.order(object{"screenSerial": serialOf(client)})
			p.mutate("registerDevice", "device { id }", object{"idempotencyKey": serialOf(client), "identity": screenIdentity(client), "clientType": "MAGIC_SCREEN"})
			p.registersScreen(client, 0)
			p.hasEverything(client, id, msisdn, "LINE")
			p.registersScreen(client, 0) // once more: the same binding
			p.hasEverything(client, id, msisdn, "LINE")
			p.tells(client, "BINDING_CHANGED screen.bound ACTIVE", 1)
		})
		p.run("modifyAccount brings the order", func(_ *testing.T, p *platform) {
			client := p.stocked(nil)
			id, msisdn := p.order(nil)
			p.registersScreen(client, 30)
			p.changeOrder(id, "serial", object{"screenSerial": serialOf(client)})
			p.heartbeatSays(client, 0)
			p.hasEverything(client, id, msisdn, "LINE")
		})
		p.run("firmware that knows the standard only", func(t *testing.T, p *platform) {
			client := p.stocked(nil)
			id, _ := p.order(object{"screenSerial": serialOf(client)})
			p.want(0)(client.Inform(t.Context(), models.EventBootstrap, models.EventBoot))
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
		p.run("a boot is answered while it waits", func(t *testing.T, p *platform) {
			client := p.stocked(nil)
			p.done(client.Boot(t.Context())) // it has not asked yet
			p.registersScreen(client, 30)
			p.want(30)(client.Boot(t.Context()))
		})
		p.run("not in stock", func(t *testing.T, p *platform) {
			client := p.screen(nil)
			p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 30)
			if d := p.screenOf(client); d != nil {
				t.Errorf("a stranger has a row: %v", d)
			}
			if !strings.Contains(p.scrape(), "softacs_screens_unknown_total 1") {
				t.Error("it was not counted")
			}
			p.heartbeatSays(client, 12)
		})
		p.run("a factory reset", func(t *testing.T, p *platform) {
			client := p.stocked(nil)
			id, msisdn := p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 0)
			p.done(client.Heartbeat(t.Context()))
			for range 4 {
				before := client.Get("managementServer.password")
				p.want(0)(client.ResetScreen(t.Context()))
				if client.Get("managementServer.password") == before {
					t.Error("the credentials are the old ones")
				}
				p.hasEverything(client, id, msisdn, "LINE")
				p.done(client.Heartbeat(t.Context()))
			}
			p.tells(client, "SECURITY security.frequent_resets", 1)
		})
		p.run("a swap", func(t *testing.T, p *platform) {
			old, fresh := p.stocked(nil), p.stocked(nil)
			id, msisdn := p.order(object{"screenSerial": serialOf(old)})
			p.registersScreen(old, 0)
			p.registersScreen(fresh, 30)
			p.changeOrder(id, "swap", object{"screenSerial": serialOf(fresh)})
			p.isScreen(old, "RETURNED", "REMOVED", id)
			p.isScreen(fresh, "ALLOCATED", "", "")
			p.tells(old, "BINDING_CHANGED screen.swap_detected REMOVED", 1)
			p.heartbeatSays(fresh, 0)
			p.hasEverything(fresh, id, msisdn, "LINE")
			p.heartbeatSays(old, 12)
			p.registersScreen(old, 31)
			p.heartbeatSays(old, 12)
			p.restock(old, "STOCK")
			p.registersScreen(old, 30)
			if codes := p.eventsOf(id); slices.Index(codes, "BINDING_CHANGED screen.swap_detected REMOVED") < slices.Index(codes, "ACCOUNT_CHANGED account.changed ACTIVE") {
				t.Errorf("the log tells\n%q", codes)
			}
		})
	})
}

// Each row of the error table of i4.md B.4.
func TestScreenErrors(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		ordered := func(more object) (client *sim.Client, id string) {
			client = p.stocked(nil)
			input := object{"screenSerial": serialOf(client)}
			for k, v := range more {
				input[k] = v
			}
			id, _ = p.order(input)
			return client, id
		}
		p.run("30: the account is not active yet", func(t *testing.T, p *platform) {
			client, id := ordered(object{"activate": false})
			p.registersScreen(client, 30)
			p.tells(client, "DEVICE_BOOTSTRAP screen.waiting", 1)
			p.act("activateAccount", id, "on", nil)
			p.heartbeatSays(client, 0)
		})
		p.run("30: two orders name it", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			second, _ := p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 30)
			p.changeOrder(second, "away", object{"screenSerial": nil})
			p.heartbeatSays(client, 0)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
		p.run("30: the account does not include screens", func(_ *testing.T, p *platform) {
			client, _ := ordered(object{"clientTypes": []string{"PC"}})
			p.registersScreen(client, 30)
			p.isScreen(client, "STOCK", "", "")
		})
		p.run("31: stolen", func(t *testing.T, p *platform) {
			client, id := ordered(nil)
			p.registersScreen(client, 0)
			if d := p.restock(client, "STOLEN"); d.text("device.stockState") != "STOLEN" || d.at("device.version") != 2.0 {
				t.Errorf("%v", d)
			}
			p.isScreen(client, "STOLEN", "REMOVED", id)
			p.tells(client, "SECURITY screen.stolen", 1)
			p.heartbeatSays(client, 31)
			p.registersScreen(client, 31)
			p.heartbeatSays(client, 31)
			p.tells(client, "SECURITY security.screen_stolen", 1)
			p.restock(client, "STOCK")
			p.tells(client, "SECURITY screen.recovered", 1)
			p.registersScreen(client, 0)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
		p.run("31: it serves another account", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.registersScreen(client, 0)
			p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 31)
			p.registersScreen(client, 31)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
			p.tells(client, "SECURITY security.screen_bound_to_other", 1)
			p.done(client.Heartbeat(p.t.Context())) // who has it keeps it
		})
		p.run("33 and back", func(t *testing.T, p *platform) {
			client, id := ordered(nil)
			p.suspend(id, "NON_PAYMENT")
			p.registersScreen(client, 33)
			p.heartbeatSays(client, 33)
			p.act("resumeAccount", id, "back", nil)
			p.heartbeatSays(client, 0)
			p.suspend(id, "FRAUD")
			p.heartbeatSays(client, 33)
			if client.Get("line.enable") != "Disabled" || client.Get("line.sip.authPassword") != "" {
				t.Error("the line is on")
			}
			p.isScreen(client, "ACTIVE", "SUSPENDED", id)
			p.registersScreen(client, 33)
		})
		p.run("34, then 12", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.registersScreen(client, 0)
			p.act("terminateAccount", id, "end", nil)
			p.heartbeatSays(client, 34)
			p.isScreen(client, "RETURNED", "REMOVED", id)
			p.heartbeatSays(client, 12)
			p.registersScreen(client, 34)
			another, _ := p.order(object{"screenSerial": serialOf(client)})
			p.isScreen(client, "ALLOCATED", "REMOVED", id)
			p.registersScreen(client, 0)
			p.isScreen(client, "ACTIVE", "ACTIVE", another)
		})
		p.run("an order takes over what another account has given up", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.registersScreen(client, 0)
			p.act("terminateAccount", id, "end", nil) // it was switched off and never heard of that
			second, msisdn := p.order(object{"screenSerial": serialOf(client)})
			p.want(0)(client.ResetScreen(p.t.Context()))
			p.isScreen(client, "ACTIVE", "ACTIVE", second)
			if got := client.Get("line.directoryNumber"); got != msisdn {
				p.t.Errorf("the screen has the number %s", got)
			}
			p.changeOrder(second, "less", object{"clientTypes": []string{"PC"}})
			third, _ := p.order(object{"screenSerial": serialOf(client)})
			p.want(0)(client.ResetScreen(p.t.Context()))
			p.isScreen(client, "ACTIVE", "ACTIVE", third)
		})
		p.run("17: screens are not included any more", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.registersScreen(client, 0)
			p.changeOrder(id, "less", object{"clientTypes": []string{"PC"}})
			p.heartbeatSays(client, 17)
			p.registersScreen(client, 17)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
		p.run("4: the secret is not known", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.exec("UPDATE accounts SET sip_password = NULL WHERE screen_serial = ?", serialOf(client))
			p.registersScreen(client, 4)
			p.changeOrder(id, "secret", object{"sipPassword": "a-secret-that-came-late"})
			p.heartbeatSays(client, 0)
		})
		p.run("40: malformed", func(t *testing.T, p *platform) {
			client, _ := ordered(nil)
			for name, value := range map[string]string{
				"softClient.stbID": "12", "softClient.macAddress": "00:11:22:33:44:zz", "ui.broadbandAccount": strings.Repeat("a", 65),
				"softClient.loginSessionId": strings.Repeat("1", 33), "auth.mode": "challenge", "softClient.clientType": "PC",
			} {
				path, _ := profile.Path(name)
				list := []cwmp.ParameterValue{{Name: path, Type: "xsd:string", Value: value}}
				before := client.Get(name)
				client.Set(name, value)
				o := p.want(40)(client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventRegister)}}, list))
				if !strings.Contains(o.Desc, path) && !strings.Contains(o.Desc, name) {
					t.Errorf("%s: %+v", name, o)
				}
				client.Set(name, before)
			}
			p.registersScreen(client, 0)
		})
		p.run("50, and nothing is left of it", func(_ *testing.T, p *platform) {
			client, id := ordered(nil)
			p.exec("ALTER TABLE screens RENAME TO screens_away")
			p.registersScreen(client, 50)
			p.exec("ALTER TABLE screens_away RENAME TO screens")
			p.isScreen(client, "ALLOCATED", "", "")
			p.registersScreen(client, 0)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
	})
}

// A screen may lose any answer: of the session in which it waits, of the one in which it is served, with its first REGISTER and with a heartbeat.
func TestScreenLosesAnswers(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		for _, flow := range []struct {
			name      string
			exchanges int
		}{{"waiting", 3}, {"served at once", 3}, {"served by a heartbeat", 3}} {
			for n := 1; n <= flow.exchanges; n++ {
				p.run(fmt.Sprintf("%s %d", flow.name, n), func(t *testing.T, p *platform) {
					client := p.stocked(nil)
					lose := func(session func() (sim.Outcome, error)) {
						lost := false
						p.observe(client, func(e sim.Exchange) error {
							if e.N == n && !lost {
								lost = true
								return errLost
							}
							return nil
						})
						_, err := session()
						p.observe(client, nil)
						if !lost || !errors.Is(err, errLost) {
							t.Fatalf("nothing was lost: %v", err)
						}
						p.done(client.Retry(t.Context()))
					}
					register := func() (sim.Outcome, error) { return client.RegisterScreen(t.Context()) }
					if flow.name == "waiting" {
						lose(register)
					} else if flow.name == "served by a heartbeat" {
						p.registersScreen(client, 30)
					}
					id, msisdn := p.order(object{"screenSerial": serialOf(client)})
					switch flow.name {
					case "waiting":
						p.heartbeatSays(client, 0)
					case "served at once":
						lose(register)
					default:
						lose(func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
					}
					p.done(client.Heartbeat(t.Context()))
					p.hasEverything(client, id, msisdn, "LINE")
					p.tells(client, "BINDING_CHANGED screen.bound PENDING", 1)
					p.tells(client, "BINDING_CHANGED screen.bound ACTIVE", 1)
				})
			}
		}
	})
}
