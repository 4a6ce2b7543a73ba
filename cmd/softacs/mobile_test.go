package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// withMobile is an account that mobile clients may use.
var withMobile = object{"clientTypes": []string{"PC", "MOBILE"}, "initialPassword": longTerm}

const (
	someIMSI  = "460030000000001"
	otherIMSI = "460030000000002"
)

// phone makes a simulated mobile client with this SIM card.
func (p *platform) phone(mdn string, change func(*sim.Config)) *sim.Client {
	return p.client(mdn, func(c *sim.Config) {
		c.Type, c.Identity, c.Number, c.MDN, c.Portal = models.Mobile, sim.NewMobileIdentity(), "", mdn, p.portal
		if change != nil {
			change(c)
		}
	})
}

// mobileOf reads a mobile client and what became of it.
func (p *platform) mobileOf(client *sim.Client) object {
	p.t.Helper()
	serial := string(client.Key())[strings.LastIndex(string(client.Key()), "-")+1:]
	d := p.query(`query($serial: String!) { device(ref: {identity: {oui: "00005E", productClass: "IMSMobile", serialNumber: $serial}}) {
		id clientType reachability configuration { appliedKey state } bindings { nodes { id state method account { id } } }
	} }`, object{"serial": serial})
	device, _ := d["device"].(map[string]any)
	return device
}

// identified are the events of the first REGISTER of a mobile client, after which its account has these.
func identified() []string {
	return []string{
		"ACCOUNT_CREATED account.created ACTIVE", "DEVICE_REGISTERED device.registered", "DEVICE_INFORM client.authenticated",
		"DEVICE_INFORM mobile.identified", "BINDING_CHANGED client.bound PENDING", "CONFIGURATION_CHANGED config.pending PENDING",
		"DEVICE_REACHABILITY_CHANGED client.online ONLINE", "CONFIGURATION_CHANGED config.applied APPLIED", "BINDING_CHANGED client.bound ACTIVE",
	}
}

// served checks that a mobile client has everything, as by this method.
func (p *platform) served(client *sim.Client, accountID, msisdn, method string) {
	p.t.Helper()
	for name, want := range map[string]string{
		"ui.userName": msisdn[1:], "line.enable": "Enabled", "line.directoryNumber": msisdn, "managementServer.username": string(client.Key()),
		"managementServer.parameterKey": "cfg-000000001", "auth.serverProof": client.Get("auth.serverProof"),
	} {
		if got := client.Get(name); got != want {
			p.t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	device := p.mobileOf(client)
	for path, want := range map[string]any{
		"clientType": "MOBILE", "reachability": "ONLINE", "configuration.state": "APPLIED", "bindings.nodes.0.state": "ACTIVE",
		"bindings.nodes.0.method": method, "bindings.nodes.0.account.id": accountID, "bindings.nodes.1": nil,
	} {
		if got := device.at(path); got != want {
			p.t.Errorf("device.%s is %v, not %v", path, got, want)
		}
	}
	p.done(client.Heartbeat(p.t.Context()))
}

// Each mode of B.3: the client is bound and served, and the log tells how it was identified.
func TestMobileModes(t *testing.T) {
	eachPlatform(t, allModes, func(t *testing.T, p *platform) {
		for mode, x := range map[string]struct {
			method   string
			register func(p *platform, client *sim.Client, mdn string)
		}{
			"network": {"NETWORK", func(p *platform, client *sim.Client, _ string) { p.want(0)(client.RegisterNetwork(p.t.Context())) }},
			"sms":     {"SMS", (*platform).loginBySMS},
			"mo-sms": {"NETWORK", func(p *platform, client *sim.Client, mdn string) {
				p.assert(mdn, strings.ToUpper(someRequestID))
				p.want(0)(client.RegisterMO(p.t.Context(), someRequestID))
			}},
		} {
			p.run(mode, func(t *testing.T, p *platform) {
				id, msisdn, mdn := p.provision(withMobile)
				client := p.phone(mdn, func(c *sim.Config) { c.IMSI = someIMSI })
				x.register(p, client, mdn)
				p.served(client, id, msisdn, x.method)
				p.waitForEvent(id, "BINDING_CHANGED client.bound ACTIVE", 1)
				codes := slices.DeleteFunc(p.eventsOf(id), func(code string) bool { return strings.HasPrefix(code, "SMS_") })
				if !slices.Equal(codes, identified()) {
					t.Errorf("the log tells\n%q", codes)
				}
				if by := p.identifiedBy(id); by != mode {
					t.Errorf("identified by %q", by)
				}
			})
		}
		p.run("the account's own number", func(t *testing.T, p *platform) {
			id, msisdn, _ := p.provision(withMobile)
			client := p.phone(msisdn, nil)
			p.want(0)(client.RegisterNetwork(t.Context()))
			p.served(client, id, msisdn, "NETWORK")
		})
		p.run("a password, as on a PC", func(t *testing.T, p *platform) {
			id, msisdn, mdn := p.provision(withMobile)
			client := p.phone(mdn, func(c *sim.Config) { c.Number, c.IMSI = msisdn, someIMSI })
			p.want(0)(client.Register(t.Context(), longTerm))
			if state := p.mobileOf(client).text("bindings.nodes.0.state"); state != "ACTIVE" {
				t.Errorf("the binding is %q", state)
			}
			p.done(client.Boot(t.Context()))
			if n := count(p.eventsOf(id), "DEVICE_INFORM mobile.identified"); n != 0 {
				t.Error("nobody vouched for the number")
			}
		})
	})
}

func allModes(c *Config) { c.I4.Mobile.Modes = []string{"network", "sms", "mo-sms"} }

// loginBySMS takes a mobile client through both sessions of mode sms.
func (p *platform) loginBySMS(client *sim.Client, mdn string) {
	p.t.Helper()
	before := len(p.messages(mdn))
	if o := p.want(20)(client.RegisterSMS(p.t.Context())); o.Result != 0 || o.RetryAfter != 60 {
		p.t.Errorf("%+v", o)
	}
	code := p.password(mdn, before+1)
	if m := p.messages(mdn)[before]; m.Purpose != "LOGIN_CODE" || len(code.Reveal()) != 8 {
		p.t.Errorf("%+v", m)
	}
	p.want(0)(client.RegisterCode(p.t.Context(), code))
}

// assert is an SMS of the mobile to the service number.
func (p *platform) assert(mdn, text string) {
	p.t.Helper()
	if err := p.app.sms.Receive(p.t.Context(), models.Number(mdn[1:]), models.Secret("REG "+text+".")); err != nil {
		p.t.Fatal(err)
	}
}

// identifiedBy is what the last mobile.identified of the account says.
func (p *platform) identifiedBy(accountID string) (by string) {
	p.t.Helper()
	page := p.query(`query($accounts: [ID!]) { events(filter: {accountIds: $accounts, types: [DEVICE_INFORM]}, first: 1000) { nodes { payload } } }`, object{"accounts": []string{accountID}})
	nodes, _ := page.at("events.nodes").([]any)
	for _, n := range nodes {
		if payload := object(n.(map[string]any)); payload.text("payload.code") == "mobile.identified" {
			by = payload.text("payload.by")
		}
	}
	return by
}

// Each mode with each HTTP answer lost once: the client's own retry leads to the same end, once.
func TestMobileLostAnswers(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		for _, flow := range []struct {
			name      string
			exchanges int
		}{{"network", 3}, {"code asked for", 3}, {"code proved", 5}} {
			for n := 1; n <= flow.exchanges; n++ {
				p.run(fmt.Sprintf("%s %d", flow.name, n), func(_ *testing.T, p *platform) { p.mobileLosing(flow.name, n) })
			}
		}
	})
}

// mobileLosing identifies a mobile client and loses the nth answer of one session.
func (p *platform) mobileLosing(flow string, n int) {
	t := p.t
	id, msisdn, mdn := p.provision(withMobile)
	client := p.phone(mdn, func(c *sim.Config) { c.IMSI = someIMSI })
	run := func(name string, status int, session func() (sim.Outcome, error)) {
		lost := false
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
			o, err = client.Retry(t.Context())
		}
		if err != nil || o.Status != status {
			t.Fatalf("%s: %+v, %v", name, o, err)
		}
	}
	method := "NETWORK"
	if flow == "network" {
		run(flow, 0, func() (sim.Outcome, error) { return client.RegisterNetwork(t.Context()) })
	} else {
		method = "SMS"
		run("code asked for", 20, func() (sim.Outcome, error) { return client.RegisterSMS(t.Context()) })
		code := p.password(mdn, 1)
		// The last answer of all is 204: whoever lost it has everything, and its next session confirms that.
		if flow == "code proved" && n == 5 {
			p.observe(client, func(e sim.Exchange) error {
				if e.N == n {
					return errLost
				}
				return nil
			})
			if _, err := client.RegisterCode(t.Context(), code); !errors.Is(err, errLost) {
				t.Fatal(err)
			}
			p.observe(client, nil)
		} else {
			run("code proved", 0, func() (sim.Outcome, error) { return client.RegisterCode(t.Context(), code) })
		}
		if got := len(p.messages(mdn)); got != 1 {
			t.Errorf("%d SMS", got)
		}
	}
	p.served(client, id, msisdn, method)
	p.waitForEvent(id, "BINDING_CHANGED client.bound ACTIVE", 1)
	if codes := p.eventsOf(id); count(codes, "BINDING_CHANGED client.bound PENDING") != 1 || count(codes, "DEVICE_REGISTERED device.registered") != 1 ||
		count(codes, "DEVICE_REACHABILITY_CHANGED client.online ONLINE") != 1 {
		t.Errorf("something happened twice: %q", codes)
	}
}

// The SIM card at the first authentication (i4.md B.3).
func TestIMSI(t *testing.T) {
	for policy, x := range map[string]int{"sms": 23, "reject": 1} {
		t.Run(policy, func(t *testing.T) {
			eachPlatform(t, func(c *Config) { c.I4.Mobile.IMSIMismatch = policy }, func(t *testing.T, p *platform) {
				const mismatch = "SECURITY security.imsi_mismatch"
				id, _, mdn := p.provision(object{"clientTypes": []string{"MOBILE"}, "imsi": someIMSI})
				client := p.phone(mdn, func(c *sim.Config) { c.IMSI = otherIMSI })
				p.turnedAway(x, id, mismatch)(client.RegisterNetwork(t.Context()))
				if policy == "sms" { // the mobile itself is the better witness
					p.loginBySMS(client, mdn)
					p.waitForEvent(id, mismatch, 2)
				} else {
					p.want(20)(client.RegisterSMS(t.Context()))
					p.turnedAway(1, id, mismatch)(client.RegisterCode(t.Context(), p.password(mdn, 1)))
				}
				p.want(0)(p.phone(mdn, func(c *sim.Config) { c.IMSI = someIMSI }).RegisterNetwork(t.Context()))
				p.want(0)(p.phone(mdn, nil).RegisterNetwork(t.Context())) // hidden by the system
			})
		})
	}
}

// Another SIM card at a later boot suspends the binding until the client has authenticated again.
func TestSIMChange(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, _, mdn := p.provision(withMobile) // whose own SIM card nobody has told
		// It shows its credentials unasked: a 1 BOOT without them is let in too, and says nothing that could be believed.
		client := p.phone(mdn, func(c *sim.Config) { c.Basic = true })
		p.want(0)(client.RegisterNetwork(t.Context()))
		p.done(client.Boot(t.Context()))
		client.Set("ui.imsi", someIMSI) // the system shows it from now on
		p.done(client.Boot(t.Context()))
		p.done(client.Boot(t.Context()))
		if n := count(p.eventsOf(id), "SECURITY security.sim_changed"); n != 0 {
			t.Error("the same card was taken for another one")
		}
		client.Set("ui.imsi", otherIMSI)
		for range 2 {
			p.want(12)(client.Boot(t.Context()))
		}
		p.want(12)(client.Heartbeat(t.Context()))
		p.waitForEvent(id, "SECURITY security.sim_changed", 1)
		p.waitForEvent(id, "BINDING_CHANGED client.suspended SUSPENDED", 1)
		if state := p.mobileOf(client).text("bindings.nodes.0.state"); state != "SUSPENDED" {
			t.Errorf("the binding is %s", state)
		}
		p.want(0)(client.RegisterNetwork(t.Context()))
		p.done(client.Boot(t.Context()))
		if state := p.mobileOf(client).text("bindings.nodes.0.state"); state != "ACTIVE" {
			t.Errorf("after REGISTER the binding is %s", state)
		}
		if n := count(p.eventsOf(id), "SECURITY security.sim_changed"); n != 1 {
			t.Errorf("told %d times", n)
		}
		var sealed []models.MobileIdentity
		err := p.app.store.View(t.Context(), func(tx *store.Tx) error { return tx.DB.Find(&sealed).Error })
		if err != nil || len(sealed) != 1 || len(sealed[0].IMSI) < 20 || strings.Contains(string(sealed[0].IMSI), otherIMSI) {
			t.Errorf("%v, %v", sealed, err)
		}
	})
}
