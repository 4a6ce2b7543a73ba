package webhooks

import "net/netip"

// world is what of IPv6 is routed publicly at all (RFC 4291, 2.4); everything else of it, such as unique local addresses and multicast, is not.
var world = netip.MustParsePrefix("2000::/3")

// closed are networks that are no public targets: private, of one host, link or provider, for multicast or for nobody yet (the registries of RFC
// 6890), the metadata services of clouds, and IPv6 ranges that hold IPv4 addresses, which would be a way around the others.
var closed = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",           // Azure's metadata
	"2001::/23", "2001:db8::/32", // protocol assignments with Teredo, documentation
	"2002::/16", "3fff::/20", // 6to4, documentation
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Public tells whether an address may be delivered to outside lab mode.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.Is6() && !world.Contains(a) {
		return false
	}
	for _, network := range closed {
		if network.Contains(a) {
			return false
		}
	}
	return true
}
