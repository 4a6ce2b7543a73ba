package main

import (
	"net"
	"strings"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc4818"
)

const accountingSecret = "the secret of the access servers"

// accounting turns the listener on.
func accounting(c *Config) {
	c.AAA.Addr, c.AAA.Secret, c.AAA.Clients = "127.0.0.1:0", accountingSecret, []string{"127.0.0.1"}
}

// reports sends an Accounting-Request of a session on the line of this machine, and waits for its answer.
func (p *platform) reports(status rfc2866.AcctStatusType, session, user string, more ...func(*radius.Packet) error) {
	p.t.Helper()
	request := accountingRequest(p.t, accountingSecret, status, session, user, more...)
	answer, err := radius.Exchange(p.t.Context(), request, p.app.aaaAddr.LocalAddr().String())
	if err != nil || answer.Code != radius.CodeAccountingResponse {
		p.t.Fatalf("%+v, %v", answer, err)
	}
}

func accountingRequest(t *testing.T, secret string, status rfc2866.AcctStatusType, session, user string, more ...func(*radius.Packet) error) *radius.Packet {
	t.Helper()
	request := radius.New(radius.CodeAccountingRequest, []byte(secret))
	for _, add := range append([]func(*radius.Packet) error{
		func(r *radius.Packet) error { return rfc2866.AcctStatusType_Set(r, status) },
		func(r *radius.Packet) error { return rfc2866.AcctSessionID_SetString(r, session) },
		func(r *radius.Packet) error { return rfc2865.UserName_SetString(r, user) },
		func(r *radius.Packet) error { return rfc2865.NASIdentifier_SetString(r, "bras-1") },
		func(r *radius.Packet) error { return rfc2865.FramedIPAddress_Set(r, net.IPv4(127, 0, 0, 1)) },
	}, more...) {
		if err := add(request); err != nil {
			t.Fatal(err)
		}
	}
	return request
}

const (
	begins = rfc2866.AcctStatusType_Value_Start
	goesOn = rfc2866.AcctStatusType_Value_InterimUpdate
	stops  = rfc2866.AcctStatusType_Value_Stop
)

// A screen finds its order by the line that it is on, which RADIUS accounting tells, and is refused on another one.
func TestScreensByCertificateAndLine(t *testing.T) {
	v := newVendor(t)
	believing := func(c *Config) {
		v.believe(c)
		accounting(c)
		c.I4.Screen.LineCheck = "enforce"
	}
	eachPlatform(t, believing, func(t *testing.T, p *platform) {
		p.speaksTLS()
		// The order names the line only, and for a while nobody knows where the screen is.
		first, _ := p.made(v, nil)
		id, msisdn := p.order(object{"broadbandAccount": "ad-first"})
		p.registersScreen(first, 30)
		p.reports(begins, "1", "ad-somebody")
		p.heartbeatSays(first, 30)
		p.reports(stops, "1", "ad-somebody")
		p.heartbeatSays(first, 30)
		p.reports(begins, "2", "ad-first")
		p.heartbeatSays(first, 0)
		p.hasEverything(first, id, msisdn, "CERTIFICATE")

		// The order names both, and the screen was brought elsewhere.
		second, _ := p.made(v, nil)
		id, msisdn = p.order(object{"screenSerial": serialOf(second), "broadbandAccount": "ad-second"})
		p.registersScreen(second, 32)
		p.tells(second, "SECURITY security.line_mismatch", 1)
		p.reports(stops, "2", "ad-first")
		p.reports(begins, "3", "ad-second")
		p.reports(goesOn, "3", "ad-second")
		p.heartbeatSays(second, 0)
		p.hasEverything(second, id, msisdn, "CERTIFICATE")

		// An access server that begins anew has no lines; then a certificate needs none.
		third, _ := p.made(v, nil)
		id, msisdn = p.order(object{"screenSerial": serialOf(third), "broadbandAccount": "ad-third"})
		p.registersScreen(third, 32)
		p.reports(rfc2866.AcctStatusType_Value_AccountingOn, "", "")
		p.heartbeatSays(third, 0)
		p.hasEverything(third, id, msisdn, "CERTIFICATE")

		if line := p.app.readyLine(); !strings.Contains(line, " aaa="+p.app.aaaAddr.LocalAddr().String()) {
			t.Error(line)
		}
	})
}

func TestAccounting(t *testing.T) {
	eachPlatform(t, accounting, func(t *testing.T, p *platform) {
		packets := func(kind, outcome string) float64 {
			return metric(t, p.scrape(), `softacs_aaa_packets_total{kind="`+kind+`",outcome="`+outcome+`"}`)
		}
		// The listener reads one packet after the other: whoever was dropped was dropped before the next is answered.
		drop := func(from string, wire []byte) {
			t.Helper()
			conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "udp", p.app.aaaAddr.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(wire); err != nil {
				t.Fatal(err)
			}
		}
		encoded := func(secret string) []byte {
			wire, err := accountingRequest(t, secret, begins, "9", "ad-thief").Encode()
			if err != nil {
				t.Fatal(err)
			}
			return wire
		}
		drop("127.0.0.1", encoded("another secret"))
		drop("127.0.0.2", encoded(accountingSecret))
		drop("127.0.0.1", encoded(accountingSecret)[:30])
		drop("127.0.0.1", []byte{1, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		p.reports(begins, "1", "ad-1", func(r *radius.Packet) error {
			return rfc4818.DelegatedIPv6Prefix_Set(r, &net.IPNet{IP: net.ParseIP("2001:db8::"), Mask: net.CIDRMask(56, 128)})
		})
		for _, reason := range []string{"forged", "foreign", "malformed", "unexpected"} {
			if n := packets("unread", reason); n != 1 {
				t.Errorf("%s: %v", reason, n)
			}
		}
		p.reports(goesOn, "1", "ad-1")
		p.reports(rfc2866.AcctStatusType_Value_Failed, "1", "ad-1")
		if taken, ignored := packets("interim", "taken"), packets("other", "ignored"); taken != 1 || ignored != 1 {
			t.Errorf("%v taken, %v ignored", taken, ignored)
		}
		if n := metric(t, p.scrape(), "softacs_aaa_lines"); n != 2 {
			t.Errorf("%v lines", n)
		}
		if strings.Contains(p.scrape(), "ad-1") {
			t.Error("the metrics name a line")
		}
	})
}

// Lines of the configuration do not move, whatever is reported of them.
func TestConfiguredLinesComeFirst(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	p := secureSouth(t, v.south, func(c *Config) {
		v.believe(c)
		accounting(c)
		c.I4.Screen.Lines = []Line{{CIDR: "127.0.0.0/8", Account: "ad-fixed"}}
	})
	screen, _ := p.made(v, nil)
	id, msisdn := p.order(object{"broadbandAccount": "ad-fixed"})
	p.reports(begins, "1", "ad-other")
	p.registersScreen(screen, 0)
	p.hasEverything(screen, id, msisdn, "CERTIFICATE")
}

func TestAccountingSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lab    bool
		change func(*AAA)
		says   string
	}{
		{true, func(a *AAA) { a.Secret = "" }, "aaa.secret: "},
		{true, func(a *AAA) { a.Line = "calling-station" }, `aaa.line: user-name and nas-port-id are allowed, not "calling-station"`},
		{true, func(a *AAA) { a.MaxAge = 59 }, "aaa.maxAge: "},
		{true, func(a *AAA) { a.MaxLines = 0 }, "aaa.maxLines: "},
		{true, func(a *AAA) { a.Clients = []string{"bras.example.net"} }, "aaa.clients: addresses and ranges"},
		{true, func(a *AAA) { a.Addr = "0.0.0.0:1813" }, "aaa.addr: lab mode listens on loopback"},
		{false, func(a *AAA) { a.Clients = nil }, "aaa.clients: the addresses of those"},
		{true, func(a *AAA) { a.Clients = nil }, ""},
		{true, func(a *AAA) { *a = AAA{Line: "nas-port-id", MaxAge: 60, MaxLines: 1} }, ""},
	} {
		config := defaultConfig()
		accounting(&config)
		c.change(&config.AAA)
		config.Lab = c.lab
		config.SecretKeys, config.IMS.Domain, config.South.TLS.Cert, config.South.TLS.Key = "keys", "ims.example.net", "a", "b"
		err := config.complete()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v, which should say %q", err, c.says)
		}
	}
}
