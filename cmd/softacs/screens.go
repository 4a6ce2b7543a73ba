package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/models/clients"
)

// Screen is how magic screens authenticate (i4.md B.4).
type Screen struct {
	Auth      string `koanf:"auth"`
	LineCheck string `koanf:"lineCheck"`
	Lines     []Line `koanf:"lines"`
}

// Line is an access line whose addresses never change.
type Line struct {
	CIDR    string `koanf:"cidr"`
	Account string `koanf:"account"`
}

// UnmarshalText reads 192.0.2.8/32=ad12345, as an environment variable says it.
func (l *Line) UnmarshalText(text []byte) error {
	l.CIDR, l.Account, _ = strings.Cut(string(text), "=")
	return nil // screensConfig looks at both
}

// Values of i4.screen.auth.
const (
	authMTLS       = "mtls"
	authSerialLine = "serial+line"
)

// auth is i4.screen.auth, which lab mode sets because it has no TLS (resolutions 10).
func (s Screen) auth(lab bool) string {
	if lab {
		return cmp.Or(s.Auth, authSerialLine)
	}
	return cmp.Or(s.Auth, authMTLS)
}

func screensConfig(c Config) (out clients.Screens, err error) {
	s := c.I4.Screen
	out.Trusting = c.Lab
	switch auth := s.auth(c.Lab); auth {
	case authMTLS:
	case authSerialLine:
		out.Uncertified = true
	default:
		return out, fmt.Errorf("i4.screen.auth: %s and %s are allowed, not %q", authMTLS, authSerialLine, auth)
	}
	switch out.LineCheck = clients.LineCheck(s.LineCheck); out.LineCheck {
	case clients.EnforceLine, clients.WarnOfLine, clients.IgnoreLine:
	default:
		return out, fmt.Errorf("i4.screen.lineCheck: enforce, warn and off are allowed, not %q", s.LineCheck)
	}
	static := clients.StaticLines{}
	for _, line := range s.Lines {
		network, err := netip.ParsePrefix(line.CIDR)
		if err != nil || line.Account == "" {
			return out, fmt.Errorf("i4.screen.lines: each has a cidr such as 192.0.2.8/32 and the broadband account of the line, not %q and %q", line.CIDR, line.Account)
		}
		if other, twice := static[network.Masked()]; twice && other != line.Account {
			return out, fmt.Errorf("i4.screen.lines: %s is on two lines", network)
		}
		static[network.Masked()] = line.Account
	}
	out.Lines = static
	return out, nil
}

// screens are the counters of magic screens.
func (s scraped) screens(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(
		prometheus.NewDesc("softacs_screens_unknown_total", "REGISTERs of magic screens that are not in stock.", nil, nil),
		prometheus.CounterValue, float64(s.clients.UnknownScreens()),
	)
}
