package server

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
)

// PortalPath is where the token portal answers (i4.md B.3).
const PortalPath = "/i4/mdn"

// PortalConfig is how network tokens are given out.
type PortalConfig struct {
	Key  [32]byte      // signs the tokens
	TTL  time.Duration // i4.mobile.tokenTtl
	Plan models.NumberPlan
	// Header is where the operator's gateway says the number (i4.mobile.mdnHeader); Trusted are the addresses of such gateways. From anywhere
	// else the header means nothing.
	Header  string
	Trusted []netip.Prefix
	Clock   models.Clock
	// Answered hears the status of each answer; nil: nobody does.
	Answered func(status int)
}

// Portal gives a network token to a client behind a trusted gateway (i4.md B.3, resolutions 20). It is the only plain-HTTP door: header
// enrichment cannot work inside TLS. It keeps nothing, and nothing that it was told reaches a log.
func Portal(c PortalConfig) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, status := c.token(r)
		if c.Answered != nil {
			c.Answered(status)
		}
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		if status == http.StatusMethodNotAllowed {
			header.Set("Allow", http.MethodGet)
		}
		w.WriteHeader(status)
		if status != http.StatusOK {
			token = http.StatusText(status) + "\n"
		}
		_, _ = io.WriteString(w, token) // the client has gone if this fails
	})
}

// token judges a request. Who is not trusted learns nothing else.
func (c PortalConfig) token(r *http.Request) (token string, status int) {
	if r.URL.Path != PortalPath {
		return "", http.StatusNotFound
	}
	if r.Method != http.MethodGet {
		return "", http.StatusMethodNotAllowed
	}
	// Two values would be one of the gateway and one of the client.
	asserted := r.Header.Values(c.Header)
	if !c.trusts(r.RemoteAddr) || len(asserted) != 1 {
		return "", http.StatusForbidden
	}
	mdn, ok := c.Plan.Normalise(asserted[0])
	if !ok {
		return "", http.StatusForbidden
	}
	nonces := r.URL.Query()["cn"]
	if len(nonces) != 1 || len(nonces[0]) != 32 {
		return "", http.StatusBadRequest
	}
	if _, err := hex.DecodeString(nonces[0]); err != nil {
		return "", http.StatusBadRequest
	}
	claims := models.NetworkToken{MDN: mdn, ExpiresAt: c.Clock.Now().Add(c.TTL), ClientNonce: strings.ToLower(nonces[0])}
	return claims.Sign(c.Key), http.StatusOK
}

func (c PortalConfig) trusts(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(c.Trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// The portal's requests are a line and a few headers.
const (
	portalTime   = 5 * time.Second
	portalHeader = 8 << 10
)

// ConfigurePortal sets the limits of the portal's HTTP server. Handler stays the caller's.
func ConfigurePortal(h *http.Server) {
	h.ReadHeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout = portalTime, portalTime, portalTime, portalTime
	h.MaxHeaderBytes = portalHeader
}
