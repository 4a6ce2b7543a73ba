package clients

import (
	"context"
	"net/netip"
)

// Lines tells on which access line an address is, by the broadband account of that line (resolutions 10); false if it does not know. It may
// read the database, so it is not to be asked within a transaction.
type Lines interface {
	Account(ctx context.Context, addr netip.Addr) (account string, known bool, err error)
}

// StaticLines are lines that never move (i4.screen.lines): the narrowest network that holds an address says whose it is.
type StaticLines map[netip.Prefix]string

// Account implements Lines.
func (l StaticLines) Account(_ context.Context, addr netip.Addr) (account string, known bool, err error) {
	if len(l) == 0 || !addr.IsValid() {
		return "", false, nil
	}
	addr = addr.Unmap()
	for bits := addr.BitLen(); bits >= 0; bits-- {
		network, err := addr.Prefix(bits)
		if err != nil {
			return "", false, nil
		}
		if account, known = l[network]; known {
			return account, true, nil
		}
	}
	return "", false, nil
}
