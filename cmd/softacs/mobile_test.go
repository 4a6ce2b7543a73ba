package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
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
	if err := p.app.clients.Asserted(p.t.Context(), models.Number(mdn[1:]), "REG "+text+"."); err != nil {
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
