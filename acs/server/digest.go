package server

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
)

// maxTries is how often a session is challenged again after its first challenge was answered wrongly (i4.md A.2-2).
const maxTries = 2

// state is what can be said of an Authorization header without a read.
type state int

const (
	absent state = iota // none was sent
	wrong               // it cannot be right, whoever sends it
	stale               // it may be right, but its nonce is used up
	usable              // it has to be compared with the credentials of the device
)

// attempt is an Authorization header, judged as far as that needs no read.
type attempt struct {
	state    state
	username string
	password models.Secret // of Basic
	tries    int           // challenges that its session had refused before the one that this answers
	matches  func(models.HA1) bool
	// consume takes the nonce count once the attempt matched; false if it was used meanwhile.
	consume func() bool
}

// attempt reads the Authorization header of r. Form and HMAC of a nonce are checked here, before anything is read (resolutions 3).
func (s *Server) attempt(r *http.Request) attempt {
	header := r.Header.Get("Authorization")
	if strings.Trim(header, " \t") == "" {
		return attempt{state: absent}
	}
	a, ok := parseAuthorization(header)
	if !ok {
		return attempt{state: wrong}
	}
	switch a.scheme {
	case "basic":
		return s.basic(r, a)
	case "digest":
		return s.digest(r, a)
	}
	return attempt{state: wrong}
}

// basic is accepted when sent within TLS or in lab mode, and never offered (resolutions 3).
func (s *Server) basic(r *http.Request, a authorization) attempt {
	plain, err := base64.StdEncoding.DecodeString(a.token)
	username, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || r.TLS == nil && !s.config.Lab {
		return attempt{state: wrong}
	}
	given := devices.HA1Of(username, models.Secret(password))
	return attempt{state: usable, username: username, password: models.Secret(password),
		matches: func(ha1 models.HA1) bool { return equal(given.SHA256, ha1.SHA256) },
		consume: func() bool { return true },
	}
}

// digest is RFC 7616 with qop auth, and RFC 2617 as far as it is the same.
func (s *Server) digest(r *http.Request, a authorization) attempt {
	given, ok := s.nonces.open(a.params["nonce"])
	if !ok {
		return attempt{state: wrong}
	}
	refused := attempt{state: wrong, tries: given.tries}
	nc, err := strconv.ParseUint(a.params["nc"], 16, 32)
	qop := a.params["qop"]
	if err != nil || len(a.params["nc"]) != 8 || !strings.EqualFold(qop, "auth") || a.params["cnonce"] == "" || !sameTarget(r, a.params["uri"]) {
		return refused
	}
	hash, ha1 := md5Hex, func(h models.HA1) string { return h.MD5 }
	switch algorithm := a.params["algorithm"]; {
	case algorithm == "" || strings.EqualFold(algorithm, "MD5"):
	case s.config.SHA256 && strings.EqualFold(algorithm, "SHA-256"):
		hash, ha1 = sha256Hex, func(h models.HA1) string { return h.SHA256 }
	default:
		return refused
	}
	if given.stale || !s.nonces.fresh(given.serial, uint32(nc)) {
		return attempt{state: stale, tries: given.tries}
	}
	tail := strings.Join([]string{"", a.params["nonce"], a.params["nc"], a.params["cnonce"], qop, hash(r.Method + ":" + a.params["uri"])}, ":")
	return attempt{state: usable, tries: given.tries, username: a.params["username"],
		matches: func(h models.HA1) bool {
			return ha1(h) != "" && equal(hash(ha1(h)+tail), strings.ToLower(a.params["response"]))
		},
		consume: func() bool { return s.nonces.use(given.serial, uint32(nc)) },
	}
}

// sameTarget compares a digest uri with the request target; clients are seen that give the whole URL.
func sameTarget(r *http.Request, uri string) bool {
	if uri == r.RequestURI {
		return true
	}
	u, err := url.Parse(uri)
	return err == nil && u.IsAbs() && u.RequestURI() == r.RequestURI
}

// match finds the credential that an attempt was made with: the newest, or an older one that is still valid (i4.md A.2-6). All are compared.
func (a attempt) match(c models.HTTPCredentials) (ok, previous bool) {
	current := a.matches(c.Current)
	for _, ha1 := range c.Previous {
		previous = a.matches(ha1) || previous
	}
	return current || previous, !current && previous
}

// challenges are the values of WWW-Authenticate: MD5, which every client can, and then SHA-256 (i4.md A.2-1).
func (s *Server) challenges(tries int, isStale bool) []string {
	nonce := s.nonces.issue(tries)
	challenge := func(algorithm string) string {
		c := `Digest realm="` + devices.Realm + `", qop="auth", algorithm=` + algorithm + `, nonce="` + nonce + `", opaque="` + s.opaque + `"`
		if isStale {
			c += ", stale=true"
		}
		return c
	}
	if !s.config.SHA256 {
		return []string{challenge("MD5")}
	}
	return []string{challenge("MD5"), challenge("SHA-256")}
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
