package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/clients"
)

// How clients authenticate, and the token portal of mobile clients (i4.md B.2, B.3, C.2).

const tokenPurpose = "network token" // of the keys that sign network tokens

// waysConfig says which ways to authenticate are open. keys are those of network tokens.
func waysConfig(c Config, keys [][32]byte) (ways clients.Ways, mobile clients.Mobile, err error) {
	a, m := c.I4.Auth, c.I4.Mobile
	for _, list := range []struct {
		key            string
		given, allowed []string
	}{
		{"i4.auth.modes", a.Modes, []string{"challenge", "timestamp"}},
		{"i4.mobile.modes", m.Modes, []string{"network", "sms", "mo-sms"}},
		{"i4.auth.legacyPlaintext", []string{a.LegacyPlaintext}, []string{"deny", "tls-only"}},
		{"i4.mobile.imsiMismatch", []string{m.IMSIMismatch}, []string{"sms", "reject"}},
	} {
		for _, one := range list.given {
			if !slices.Contains(list.allowed, one) {
				last := len(list.allowed) - 1
				return ways, mobile, fmt.Errorf("%s: %s and %s are allowed, not %q", list.key, strings.Join(list.allowed[:last], ", "), list.allowed[last], one)
			}
		}
	}
	if len(a.Modes) == 0 {
		return ways, mobile, errors.New("i4.auth.modes: challenge, timestamp or both are needed")
	}
	if m.TokenTTL < 1 || m.TokenTTL > 3600 {
		return ways, mobile, errors.New("i4.mobile.tokenTtl: 1 to 3600 seconds")
	}
	ways = clients.Ways{
		Challenge: slices.Contains(a.Modes, "challenge"), Timestamp: slices.Contains(a.Modes, "timestamp"), Window: seconds(a.TimestampWindow),
		Plain: a.LegacyPlaintext == "tls-only", MustChangeInitial: c.I4.Password.MustChangeInitial,
	}
	mobile = clients.Mobile{Modes: m.Modes, RejectIMSI: m.IMSIMismatch == "reject", TokenKeys: keys, AssertedTTL: seconds(m.TokenTTL)}
	return ways, mobile, nil
}

var loopback = []string{"127.0.0.0/8", "::1/128"}

// gateways are the addresses whose word about a number is taken; nobody's, but in lab mode the machine's own.
func gateways(c Config) (list []netip.Prefix, err error) {
	given := c.I4.Mobile.TrustedGateways
	if len(given) == 0 && c.Lab {
		given = loopback
	}
	return networks("i4.mobile.trustedGateways", given)
}

// networks reads addresses and ranges.
func networks(key string, given []string) (list []netip.Prefix, err error) {
	for _, text := range given {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: addresses and ranges such as 10.1.0.0/16 are allowed, not %q", key, text)
		}
		list = append(list, prefix.Masked())
	}
	return list, nil
}

// listenPortal opens the token portal, the one door that speaks plain HTTP outside lab mode, on an address of its own.
func (a *app) listenPortal(ctx context.Context) (err error) {
	if a.config.Portal.Addr == "" {
		return nil
	}
	trusted, err := gateways(a.config)
	if err != nil {
		return err
	}
	header := a.config.I4.Mobile.MDNHeader
	if header == "" || strings.Trim(header, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("i4.mobile.mdnHeader: the name of an HTTP header is letters, digits and hyphens, not %q", header)
	}
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "softacs_portal_answers_total", Help: "Answers of the token portal by HTTP status.",
	}, []string{"status"})
	a.metrics.registry.MustRegister(answers)
	a.portal = &http.Server{ErrorLog: a.north.ErrorLog, Handler: server.Portal(server.PortalConfig{
		Key: a.store.Derive(tokenPurpose), TTL: seconds(a.config.I4.Mobile.TokenTTL), Header: header, Trusted: trusted, Clock: a.clock,
		Plan:     models.NumberPlan{Country: a.config.I4.Number.Country, Area: a.config.I4.Number.Area},
		Answered: func(status int) { answers.WithLabelValues(strconv.Itoa(status)).Inc() },
	})}
	server.ConfigurePortal(a.portal)
	if a.portalAddr, err = net.Listen("tcp", a.config.Portal.Addr); err != nil {
		return fmt.Errorf("portal.addr: %w", err)
	}
	a.serve(ctx, "portal", a.portal, a.portalAddr)
	return nil
}
