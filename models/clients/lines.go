package clients

import "net/netip"

// Lines tells on which access line an address is, by the broadband account of that line (resolutions 10); false if it does not know. It answers
// at once, from memory.
type Lines interface {
	Account(addr netip.Addr) (string, bool)
}

// StaticLines are lines that never move (i4.screen.lines): the narrowest network that holds an address says whose it is.
type StaticLines map[netip.Prefix]string

// Account implements Lines.
func (l StaticLines) Account(addr netip.Addr) (account string, known bool) {
	if len(l) == 0 || !addr.IsValid() {
		return "", false
	}
	addr = addr.Unmap()
	for bits := addr.BitLen(); bits >= 0; bits-- {
		network, err := addr.Prefix(bits)
		if err != nil {
			return "", false
		}
		if account, known = l[network]; known {
			return account, true
		}
	}
	return "", false
}
