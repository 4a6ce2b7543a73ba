package aaa

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/lines"
)

var (
	secret = []byte("a secret of the tests")
	source = netip.MustParseAddr("192.0.2.1")
	now    = models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC))
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func prefix(text string) *net.IPNet {
	_, network, err := net.ParseCIDR(text)
	must(err)
	return network
}

// request is an Accounting-Request of a session with everything; change may take some of it away.
func request(status rfc2866.AcctStatusType, change func(*radius.Packet)) *radius.Packet {
	p := radius.New(radius.CodeAccountingRequest, secret)
	must(rfc2866.AcctStatusType_Set(p, status))
	must(rfc2866.AcctSessionID_SetString(p, "0000A1"))
	must(rfc2865.UserName_SetString(p, "ad12345678@example.net"))
	must(rfc2865.NASIdentifier_SetString(p, "bras-1"))
	must(rfc2865.FramedIPAddress_Set(p, net.IPv4(100, 64, 1, 2)))
	if change != nil {
		change(p)
	}
	return p
}

func TestPackets(t *testing.T) {
	t.Parallel()
	plain, _, _ := read(request(rfc2866.AcctStatusType_Value_Start, nil), source, false, now)
	for what, c := range map[string]struct {
		status   rfc2866.AcctStatusType
		change   func(*radius.Packet)
		byPort   bool
		want     lines.Kind // "": it tells nothing
		account  string
		networks string
	}{
		"start":   {rfc2866.AcctStatusType_Value_Start, nil, false, lines.Started, "ad12345678@example.net", "100.64.1.2/32"},
		"interim": {rfc2866.AcctStatusType_Value_InterimUpdate, nil, false, lines.Going, "ad12345678@example.net", "100.64.1.2/32"},
		"stop":    {rfc2866.AcctStatusType_Value_Stop, nil, false, lines.Ended, "ad12345678@example.net", "100.64.1.2/32"},
		"stop of nobody": {rfc2866.AcctStatusType_Value_Stop, func(p *radius.Packet) { rfc2865.UserName_Del(p) }, false, lines.Ended,
			"", ""},
		"on":          {rfc2866.AcctStatusType_Value_AccountingOn, func(p *radius.Packet) { rfc2866.AcctSessionID_Del(p) }, false, lines.Reset, "", ""},
		"off":         {rfc2866.AcctStatusType_Value_AccountingOff, nil, false, lines.Reset, "", ""},
		"tunnel":      {9, nil, false, "", "", ""},
		"failed":      {rfc2866.AcctStatusType_Value_Failed, nil, false, "", "", ""},
		"no session":  {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { rfc2866.AcctSessionID_Del(p) }, false, "", "", ""},
		"no user":     {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { rfc2865.UserName_Del(p) }, false, "", "", ""},
		"blank user":  {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { must(rfc2865.UserName_SetString(p, " ")) }, false, "", "", ""},
		"binary user": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { must(rfc2865.UserName_Set(p, []byte{0xff, 1})) }, false, "", "", ""},
		"long user": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
			must(rfc2865.UserName_SetString(p, strings.Repeat("a", 129)))
		}, false, "", "", ""},
		"by port": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
			must(rfc2869.NASPortID_SetString(p, " slot=1;port=7;vlan=100 "))
		}, true, lines.Started, "slot=1;port=7;vlan=100", "100.64.1.2/32"},
		"by port without": {rfc2866.AcctStatusType_Value_Start, nil, true, "", "", ""},
		"no address":      {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { rfc2865.FramedIPAddress_Del(p) }, false, "", "", ""},
		"the user chooses": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
			must(rfc2865.FramedIPAddress_Set(p, net.IPv4(255, 255, 255, 254)))
		}, false, "", "", ""},
		"IPv6": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
			must(rfc6911.FramedIPv6Address_Set(p, net.ParseIP("2001:db8:1::7")))
			must(rfc3162.FramedIPv6Prefix_Set(p, prefix("2001:db8:2::/64")))
			must(rfc4818.DelegatedIPv6Prefix_Set(p, prefix("2001:db8:300::/56")))
		}, false, lines.Started, "ad12345678@example.net", "100.64.1.2/32 2001:db8:1::7/128 2001:db8:2::/64 2001:db8:300::/56"},
		"too wide": {rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
			must(rfc4818.DelegatedIPv6Prefix_Set(p, prefix("2001:db8::/32")))
		}, false, lines.Started, "ad12345678@example.net", "100.64.1.2/32"},
	} {
		report, _, ok := read(request(c.status, c.change), source, c.byPort, now)
		var list []string
		for _, network := range report.Networks {
			list = append(list, network.String())
		}
		if ok != (c.want != "") || ok && (report.Kind != c.want || report.Account != c.account || strings.Join(list, " ") != c.networks || report.At != now) {
			t.Errorf("%s: %+v, %v", what, report, ok)
		}
		if report.Server != plain.Server {
			t.Errorf("%s: of another access server", what)
		}
	}

	// How long ago it was, and of whom.
	delayed, _, _ := read(request(rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) { must(rfc2866.AcctDelayTime_Set(p, 90)) }), source, false, now)
	if delayed.At != now.Add(-90*time.Second) || delayed.Session != plain.Session {
		t.Errorf("%+v", delayed)
	}
	servers := map[[32]byte]bool{plain.Server: true}
	for _, change := range []func(*radius.Packet){
		func(p *radius.Packet) { must(rfc2865.NASIdentifier_SetString(p, "bras-2")) },
		func(p *radius.Packet) { rfc2865.NASIdentifier_Del(p) },
		func(p *radius.Packet) {
			rfc2865.NASIdentifier_Del(p)
			must(rfc2865.NASIPAddress_Set(p, net.IPv4(192, 0, 2, 9)))
		},
		func(p *radius.Packet) {
			rfc2865.NASIdentifier_Del(p)
			must(rfc3162.NASIPv6Address_Set(p, net.ParseIP("2001:db8::9")))
		},
	} {
		report, _, _ := read(request(rfc2866.AcctStatusType_Value_Start, change), source, false, now)
		if servers[report.Server] || report.Session == plain.Session {
			t.Errorf("the same access server, or the same session: %+v", report)
		}
		servers[report.Server] = true
	}
}

func TestAnswersRepeatWhatProxiesAdded(t *testing.T) {
	t.Parallel()
	sent := request(rfc2866.AcctStatusType_Value_Start, func(p *radius.Packet) {
		must(rfc2865.ProxyState_AddString(p, "first"))
		must(rfc2865.ProxyState_AddString(p, "second"))
	})
	wire, err := sent.Encode()
	must(err)
	p, why := open(append(slices.Clone(wire), "padding"...), secret)
	if p == nil {
		t.Fatal(why)
	}
	text, err := answer(p)
	must(err)
	got, err := radius.Parse(text, secret)
	if err != nil || !radius.IsAuthenticResponse(text, wire, secret) || got.Code != radius.CodeAccountingResponse || got.Identifier != sent.Identifier {
		t.Fatalf("%+v, %v", got, err)
	}
	if states, _ := rfc2865.ProxyState_GetStrings(got); !slices.Equal(states, []string{"first", "second"}) || len(got.Attributes) != 2 {
		t.Errorf("%v of %d attributes", states, len(got.Attributes))
	}
}

func TestPacketsThatAreDropped(t *testing.T) {
	t.Parallel()
	wire, err := request(rfc2866.AcctStatusType_Value_Start, nil).Encode()
	must(err)
	changed := slices.Clone(wire)
	changed[len(changed)-1] ^= 1
	access, err := radius.New(radius.CodeAccessRequest, secret).Encode()
	must(err)
	for what, c := range map[string]struct {
		datagram []byte
		want     Outcome
	}{
		"nothing": {nil, Malformed}, "cut": {wire[:19], Malformed}, "shorter than it says": {wire[:len(wire)-1], Malformed},
		"no length": {append([]byte{4, 1, 0, 3}, make([]byte, 16)...), Malformed},
		"changed":   {changed, Forged}, "an Access-Request": {access, Unexpected},
	} {
		if p, why := open(c.datagram, secret); p != nil || why != c.want {
			t.Errorf("%s: %v, %s", what, p, why)
		}
	}
	if p, why := open(wire, []byte("another")); p != nil || why != Forged {
		t.Errorf("another secret: %v, %s", p, why)
	}
}

func FuzzPacket(f *testing.F) {
	everything := func(p *radius.Packet) {
		must(rfc2866.AcctDelayTime_Set(p, 4_000_000_000))
		must(rfc2869.NASPortID_SetString(p, "slot=1"))
		must(rfc2865.NASIPAddress_Set(p, net.IPv4(192, 0, 2, 9)))
		must(rfc6911.FramedIPv6Address_Set(p, net.ParseIP("2001:db8:1::7")))
		must(rfc3162.FramedIPv6Prefix_Set(p, prefix("2001:db8:2::/64")))
		must(rfc4818.DelegatedIPv6Prefix_Set(p, prefix("2001:db8:300::/56")))
		must(rfc2865.ProxyState_AddString(p, "first"))
	}
	for status := range kinds {
		for _, change := range []func(*radius.Packet){nil, everything, func(p *radius.Packet) { p.Attributes = p.Attributes[:1] }} {
			wire, err := request(status, change).Encode()
			must(err)
			f.Add(wire, false)
			f.Add(wire, true)
		}
	}
	f.Fuzz(func(t *testing.T, datagram []byte, byPort bool) {
		if p, _ := open(datagram, secret); p != nil && !radius.IsAuthenticRequest(datagram[:int(datagram[2])<<8|int(datagram[3])], secret) {
			t.Error("opened without the secret")
		}
		p, err := radius.Parse(datagram, secret)
		if err != nil {
			return
		}
		report, kind, ok := read(p, source, byPort, now)
		switch {
		case report.At > now || report.At < now.Add(-maxDelay):
			t.Errorf("it was at %s", report.At)
		case len(report.Account) > maxAccount || !utf8.ValidString(report.Account) || len(report.Networks) > lines.MaxNetworks:
			t.Errorf("%+v", report)
		case ok && (kind == Start || kind == Interim) && (report.Account == "" || len(report.Networks) == 0):
			t.Errorf("%s tells nothing: %+v", kind, report)
		}
		for _, network := range report.Networks {
			if !lines.Fits(network) || network != network.Masked() {
				t.Errorf("%s is no line's", network)
			}
		}
		if text, err := answer(p); err == nil && (len(text) < 20 || !bytes.Equal(text[:2], []byte{byte(radius.CodeAccountingResponse), p.Identifier})) {
			t.Errorf("answer %x", text)
		}
	})
}
