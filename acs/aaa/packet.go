package aaa

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"
	"unicode"
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

// Kind is what a packet tells (Acct-Status-Type); Unread for one that is not looked into.
type Kind string

// The kinds of packets.
const (
	Start   Kind = "start"
	Interim Kind = "interim"
	Stop    Kind = "stop"
	On      Kind = "on"
	Off     Kind = "off"
	Other   Kind = "other"
	Unread  Kind = "unread"
)

var kinds = map[rfc2866.AcctStatusType]Kind{
	rfc2866.AcctStatusType_Value_Start: Start, rfc2866.AcctStatusType_Value_InterimUpdate: Interim, rfc2866.AcctStatusType_Value_Stop: Stop,
	rfc2866.AcctStatusType_Value_AccountingOn: On, rfc2866.AcctStatusType_Value_AccountingOff: Off,
}

// open takes a datagram apart if it is an Accounting-Request of somebody who knows the secret; else why says what is wrong.
func open(datagram, secret []byte) (p *radius.Packet, why Outcome) {
	if len(datagram) < 20 {
		return nil, Malformed
	}
	// Octets beyond the length are padding (RFC 2865 section 3).
	length := int(binary.BigEndian.Uint16(datagram[2:4]))
	if length < 20 || length > len(datagram) {
		return nil, Malformed
	}
	datagram = datagram[:length]
	switch {
	case radius.Code(datagram[0]) != radius.CodeAccountingRequest:
		return nil, Unexpected
	case !radius.IsAuthenticRequest(datagram, secret):
		return nil, Forged
	}
	p, err := radius.Parse(datagram, secret)
	if err != nil {
		return nil, Malformed
	}
	return p, ""
}

// answer is the Accounting-Response; it repeats what proxies on the way have added (RFC 2865 section 5.33).
func answer(p *radius.Packet) ([]byte, error) {
	response := p.Response(radius.CodeAccountingResponse)
	for _, attribute := range p.Attributes {
		if attribute.Type == rfc2865.ProxyState_Type {
			response.Attributes = append(response.Attributes, attribute)
		}
	}
	return response.Encode()
}

const (
	maxAccount = 128 // bytes
	// maxDelay bounds Acct-Delay-Time.
	maxDelay = 30 * 24 * time.Hour
)

// read makes a packet a report; ok is false if it tells nothing of lines. byPort: the line's name is NAS-Port-Id instead of User-Name.
func read(p *radius.Packet, from netip.Addr, byPort bool, now models.Time) (report lines.Report, kind Kind, ok bool) {
	kind = Other
	if known, is := kinds[rfc2866.AcctStatusType_Get(p)]; is {
		kind = known
	}
	server := serverOf(p, from)
	delay := min(time.Duration(rfc2866.AcctDelayTime_Get(p))*time.Second, maxDelay)
	report = lines.Report{Server: sha256.Sum256(server), At: now.Add(-delay)}
	switch kind {
	case Other:
		return report, kind, false
	case On, Off:
		report.Kind = lines.Reset
		return report, kind, true
	case Start:
		report.Kind = lines.Started
	case Interim:
		report.Kind = lines.Going
	case Stop:
		report.Kind = lines.Ended
	}
	session := rfc2866.AcctSessionID_Get(p)
	if len(session) == 0 {
		return report, kind, false
	}
	// Both have a length of at most one octet, so that no two pairs are the same text.
	report.Session = sha256.Sum256(append(append([]byte{byte(len(server))}, server...), session...))
	name := rfc2865.UserName_Get(p)
	if byPort {
		name = rfc2869.NASPortID_Get(p)
	}
	account, legible := text(name)
	report.Account, report.Networks = account, networks(p)
	if report.Kind == lines.Ended {
		if !legible {
			report.Networks = nil // the session's lines end all the same
		}
		return report, kind, true
	}
	return report, kind, legible && len(report.Networks) > 0
}

// serverOf names the access server as it names itself in every packet, else by its address.
func serverOf(p *radius.Packet, from netip.Addr) []byte {
	if id := rfc2865.NASIdentifier_Get(p); len(id) > 0 {
		return id
	}
	for _, ip := range []net.IP{rfc2865.NASIPAddress_Get(p), rfc3162.NASIPv6Address_Get(p)} {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			return addr.Unmap().AppendTo(nil)
		}
	}
	return from.AppendTo(nil)
}

// text is a name as it is kept; false if there is none that people could read.
func text(name []byte) (string, bool) {
	s := strings.TrimSpace(string(name))
	ok := s != "" && len(s) <= maxAccount && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
	if !ok {
		return "", false
	}
	return s, true
}

// networks are the addresses and prefixes of the session. RFC 2865 section 5.8 has two addresses that mean that somebody else is to choose one.
func networks(p *radius.Packet) (list []netip.Prefix) {
	add := func(network netip.Prefix) {
		if lines.Fits(network) && len(list) < lines.MaxNetworks {
			list = append(list, network.Masked())
		}
	}
	v4, _ := rfc2865.FramedIPAddress_Gets(p) // up to the first that is malformed
	v6, _ := rfc6911.FramedIPv6Address_Gets(p)
	for _, ip := range append(v4, v6...) {
		addr, ok := netip.AddrFromSlice(ip)
		if addr = addr.Unmap(); ok && addr.As16()[12] != 255 || addr.Is6() {
			add(netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	framed, _ := rfc3162.FramedIPv6Prefix_Gets(p)
	delegated, _ := rfc4818.DelegatedIPv6Prefix_Gets(p)
	for _, network := range append(framed, delegated...) {
		bits, _ := network.Mask.Size()
		if addr, ok := netip.AddrFromSlice(network.IP); ok {
			add(netip.PrefixFrom(addr, bits))
		}
	}
	return list
}
