package clients_test

import (
	"net/netip"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// screen is a magic screen in stock, with an order for it on the line of its address.
func (h *house) screen() *client {
	h.Helper()
	c := h.client(nil)
	_, err := h.Devices.Register(storetest.As(h.T), devices.RegisterInput{
		IdempotencyKey: c.serial, OUI: "00005E", ProductClass: "IMSPC", SerialNumber: c.serial, ClientType: models.MagicScreen,
	})
	if err != nil {
		h.Fatal(err)
	}
	n := models.Number("8621" + c.serial[24:])
	_, err = h.accounts.Provision(storetest.As(h.T), accounts.ProvisionInput{
		IdempotencyKey: c.serial, ExternalID: c.serial, Msisdn: n, ClientTypes: []models.ClientType{models.MagicScreen}, MaxDevices: 1, Activate: true,
		ScreenSerial: c.serial, BroadbandAccount: "ad-1",
	})
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// says is an Inform of a screen, certified or not.
func (c *client) says(event models.EventName, trust models.Trust) *models.Inform {
	in := c.inform(event, map[string]string{"softClient.clientType": "MagicScreen", "managementServer.parameterKey": c.held["managementServer.parameterKey"]})
	in.ClientType, in.Claimed, in.Source = models.MagicScreen, "MagicScreen", netip.MustParseAddr("192.0.2.1")
	if trust == models.L2 {
		in.Certificate = &models.Certificate{Key: in.Key, Fingerprint: "00", Issuer: "CN=Screens"}
	}
	return in
}

// session plays one Inform of a screen and counts its statements.
func (c *client) session(event models.EventName, trust models.Trust) (o models.Outcome, statements int64) {
	c.Helper()
	in := c.says(event, trust)
	ctx, n := store.CountStatements(c.Context())
	o = c.play(ctx, c.arrive(ctx, in, trust), in)
	return o, n.Load()
}

// Without a certificate the SIP secret is given only where the line is enforced, or in a laboratory (i4.md B.4, resolutions 10).
func TestSecretsOfScreens(t *testing.T) {
	for name, x := range map[string]struct {
		clients.Screens
		secret bool
	}{
		"warned of":    {clients.Screens{Uncertified: true, LineCheck: clients.WarnOfLine}, false},
		"not looked":   {clients.Screens{Uncertified: true, LineCheck: clients.IgnoreLine}, false},
		"enforced":     {clients.Screens{Uncertified: true, LineCheck: clients.EnforceLine}, true},
		"a laboratory": {clients.Screens{Uncertified: true, LineCheck: clients.WarnOfLine, Trusting: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			x.Lines = clients.StaticLines{netip.MustParsePrefix("192.0.2.0/24"): "ad-1"}
			each(t, func(c *clients.Config) { c.Screens = x.Screens }, func(h *house) {
				c := h.screen()
				const secret = "line.sip.authPassword"
				if o, _ := c.session(models.EventRegister, models.L0); o.Result != models.ResultOK || (c.held[secret] != "") != x.secret {
					h.Errorf("%+v, the secret is %q", o, c.held[secret])
				}
				if c.held["line.enable"] != "Enabled" {
					h.Error("the line is off")
				}
				// With a certificate it is the screen that it says.
				if o, _ := c.session(models.EventRegister, models.L2); o.Result != models.ResultOK || c.held[secret] == "" {
					h.Errorf("%+v, with a certificate", o)
				}
			})
		})
	}
}

// A screen that has everything costs what any device costs: its look-up.
func TestAQuietScreenCostsItsLookup(t *testing.T) {
	each(t, func(c *clients.Config) { c.Screens.LineCheck = clients.WarnOfLine }, func(h *house) {
		c := h.screen()
		if o, _ := c.session(models.EventRegister, models.L2); o.Result != models.ResultOK {
			h.Fatalf("%+v", o)
		}
		c.session(models.EventPeriodic, models.L2)
		if o, n := c.session(models.EventPeriodic, models.L2); n != 1 || o != (models.Outcome{}) {
			h.Errorf("%d statements, %+v", n, o)
		}
	})
}

// Which line an address is on: that of the narrowest network.
func TestStaticLines(t *testing.T) {
	t.Parallel()
	lines := clients.StaticLines{
		netip.MustParsePrefix("192.0.2.0/24"): "street", netip.MustParsePrefix("192.0.2.7/32"): "house", netip.MustParsePrefix("2001:db8:1::/48"): "six",
	}
	for addr, want := range map[string]string{
		"192.0.2.7": "house", "192.0.2.8": "street", "::ffff:192.0.2.7": "house", "198.51.100.1": "", "2001:db8:1::5": "six", "2001:db8:2::5": "",
	} {
		if got, known, err := lines.Account(t.Context(), netip.MustParseAddr(addr)); got != want || known != (want != "") || err != nil {
			t.Errorf("%s: %q, %v, %v", addr, got, known, err)
		}
	}
	if _, known, _ := lines.Account(t.Context(), netip.Addr{}); known {
		t.Error("no address is on a line")
	}
}
