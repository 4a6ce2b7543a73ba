package sim

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// authorization is a client's side of HTTP digest authentication (RFC 7616, qop=auth).
type authorization struct {
	realm, nonce, opaque, algorithm string
	count                           int
}

// begin forgets the challenge: a client waits for one in each session.
func (a *authorization) begin() { *a = authorization{} }

// challenge takes the challenge of a 401. It is false when there is none that the client can answer, or when its answer to the last one was
// wrong: only a stale nonce is worth another try.
func (a *authorization) challenge(headers []string, prefer string) bool {
	var chosen map[string]string
	for _, header := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		p := parameters(rest)
		if p["algorithm"] == "" {
			p["algorithm"] = "MD5"
		}
		if newHash(p["algorithm"]) == nil || p["nonce"] == "" || p["qop"] != "" && !strings.Contains(p["qop"], "auth") {
			continue
		}
		if chosen == nil || strings.EqualFold(p["algorithm"], prefer) && !strings.EqualFold(chosen["algorithm"], prefer) {
			chosen = p
		}
	}
	if chosen == nil || a.nonce != "" && !strings.EqualFold(chosen["stale"], "true") {
		return false
	}
	*a = authorization{realm: chosen["realm"], nonce: chosen["nonce"], opaque: chosen["opaque"], algorithm: chosen["algorithm"]}
	return true
}

// header is the Authorization header of the next request; "" before the first challenge.
func (a *authorization) header(method, uri, username, password string) string {
	if a.nonce == "" {
		return ""
	}
	a.count++
	h := func(text string) string {
		sum := newHash(a.algorithm)
		sum.Write([]byte(text))
		return hex.EncodeToString(sum.Sum(nil))
	}
	nc, cnonce := fmt.Sprintf("%08x", a.count), randomHex()
	response := h(strings.Join([]string{h(username + ":" + a.realm + ":" + password), a.nonce, nc, cnonce, "auth", h(method + ":" + uri)}, ":"))
	header := fmt.Sprintf(`Digest username=%s, realm=%s, nonce=%s, uri=%s, algorithm=%s, qop=auth, nc=%s, cnonce="%s", response="%s"`,
		quote(username), quote(a.realm), quote(a.nonce), quote(uri), a.algorithm, nc, cnonce, response)
	if a.opaque != "" {
		header += ", opaque=" + quote(a.opaque)
	}
	return header
}

func newHash(algorithm string) hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "MD5":
		return md5.New()
	case "SHA-256":
		return sha256.New()
	}
	return nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// parameters reads name=value and name="value" separated by commas.
func parameters(s string) map[string]string {
	p := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name = strings.ToLower(strings.Trim(name, " \t,"))
		rest = strings.TrimLeft(rest, " \t")
		var value strings.Builder
		if !strings.HasPrefix(rest, `"`) {
			bare, after, _ := strings.Cut(rest, ",")
			p[name], s = strings.TrimSpace(bare), after
			continue
		}
		i := 1
		for ; i < len(rest) && rest[i] != '"'; i++ {
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
			}
			value.WriteByte(rest[i])
		}
		p[name], s = value.String(), rest[min(i+1, len(rest)):]
	}
	return p
}
