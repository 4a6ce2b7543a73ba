package models

// AccessLine is what RADIUS accounting last told of an address or a prefix: whose access line it is (i4.md B.4).
type AccessLine struct {
	// Network is a prefix in canonical text, such as 100.64.1.2/32 or 2001:db8:0:7::/64.
	Network string `gorm:"primaryKey"`
	Account string // broadband account, as the AAA server writes it
	// Session is SHA-256 of the access server and its session, Server that of the server alone.
	Session, Server []byte
	HeardAt         Time
	Ended           bool // kept for a while, so that a report that was on its way meanwhile does not begin it again
}

// AccessServer is an access server that began anew: what was heard of its lines until then is over.
type AccessServer struct {
	Server  []byte `gorm:"primaryKey"`
	ResetAt Time
}
