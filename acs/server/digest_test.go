package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// heart is the Inform of a heartbeat of a device that the door knows.
func heart(d *door, serial string) (*cwmp.Inform, string) {
	m := inform(serial, "2 PERIODIC")
	d.know(m)
	return m, string(keyOf(m))
}

func TestDigest(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		for _, way := range []string{"same connection", "new connection", "absolute uri", "unquoted"} {
			t.Run(algorithm+", "+way, func(t *testing.T) {
				t.Parallel()
				d := open(t)
				m, user := heart(d, "1")
				c := d.client()
				a := c.send(m)
				if first := a.Header.Values("WWW-Authenticate")[0]; !strings.Contains(first, "algorithm=MD5,") || isStale(a) || a.Close {
					t.Errorf("first challenge %q", first)
				}
				if len(a.Cookies()) > 0 {
					t.Error("a cookie before the first 200")
				}
				x := challenged(t, a, algorithm, user, password)
				if way == "new connection" { // i4.md A.2-2
					c = c.elsewhere()
				}
				if way == "absolute uri" {
					x.uri = "https://acs.example.net/acs"
				}
				c.send(m, x.sign, func(r *http.Request) {
					if way == "unquoted" {
						r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), `"`, ""))
					}
				}).has(t, "InformResponse")
				if got := d.clients.last(t); got.trust != models.L1 || got.previous {
					t.Errorf("arrived with %v", got.trust)
				}
				c.empty().is(t, http.StatusNoContent)
				// The next session uses the nonce on.
				c.elsewhere().send(m, x.sign).has(t, "InformResponse")
			})
		}
	}
}

func TestOnlyMD5(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) { c.SHA256 = false })
	m, user := heart(d, "1")
	a := d.client().send(m)
	if c := a.Header.Values("WWW-Authenticate"); len(c) != 1 {
		t.Errorf("challenges %q", c)
	}
	x := challenged(t, a, "MD5", user, password)
	x.algorithm = "SHA-256"
	d.client().send(m, x.sign).is(t, http.StatusUnauthorized)
}

// What was used cannot be used again, and what is not known to be unused is stale; neither costs a read (resolutions 3).
func TestStaleNonces(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*door, *digest, *cwmp.Inform){
		"replayed": func(d *door, x *digest, m *cwmp.Inform) {
			d.client().send(m, x.sign).has(t, "InformResponse")
			x.nc--
		},
		"count fell": func(d *door, x *digest, m *cwmp.Inform) {
			x.nc = 5
			d.client().send(m, x.sign).has(t, "InformResponse")
			x.nc = 3
		},
		"old":          func(d *door, _ *digest, _ *cwmp.Inform) { d.clock.advance(300 * time.Second) },
		"left ring":    func(d *door, _ *digest, _ *cwmp.Inform) { pass(64, func() { d.nonces.issue(0) }) },
		"another boot": func(d *door, _ *digest, _ *cwmp.Inform) { d.nonces.boot[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			m, user := heart(d, "1")
			x := challenged(t, d.client().send(m), "MD5", user, password)
			spoil(d, x, m)
			d.devices.read()
			c := d.client()
			a := c.send(m, x.sign)
			if a.is(t, http.StatusUnauthorized); !isStale(a) || a.Close {
				t.Errorf("stale %v, close %v", isStale(a), a.Close)
			}
			if n := d.devices.read(); n > 0 {
				t.Errorf("%d reads", n)
			}
			x = challenged(t, a, "MD5", user, password)
			c.send(m, x.sign).has(t, "InformResponse")
		})
	}
}

// another changes one character of a nonce.
func another(nonce string, i int) string {
	return nonce[:i] + map[bool]string{true: "B", false: "A"}[nonce[i] == 'A'] + nonce[i+1:]
}

func pass(n int, f func()) {
	for range n {
		f()
	}
}

// Headers that cannot be right are challenged again without a read.
func TestWorthlessHeaders(t *testing.T) {
	t.Parallel()
	d := open(t)
	m, user := heart(d, "1")
	x := challenged(t, d.client().send(m), "MD5", user, password)
	d.devices.read()
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	for name, spoil := range map[string]func(*http.Request){
		"forged nonce":      replace(x.nonce, another(x.nonce, 20)),
		"forged signature":  replace(x.nonce, another(x.nonce, 45)),
		"foreign nonce":     func(r *http.Request) { replace(x.nonce, "dcd98b7102dd2f0e8b11d0f600bfb0c093")(r) },
		"another uri":       replace(`uri="/acs"`, `uri="/"`),
		"no cnonce":         replace("cnonce", "x"),
		"no qop":            replace("qop=auth", "x=y"),
		"auth-int":          replace("qop=auth", "qop=auth-int"),
		"short nc":          replace("nc=0000", "nc="),
		"no nc":             replace("nc=", "n="),
		"unknown algorithm": replace("algorithm=MD5", "algorithm=SHA-512"),
		"session algorithm": replace("algorithm=MD5", "algorithm=MD5-sess"),
		"another scheme":    replace("Digest", "Bearer"),
		"an open quote":     replace(`uri="/acs"`, `uri="/acs`),
		"Basic":             func(r *http.Request) { r.SetBasicAuth(user, password.Reveal()) },
		"too long":          func(r *http.Request) { replace("Digest ", "Digest "+strings.Repeat("a=b,", 2000))(r) },
	} {
		a := d.client().send(m, x.sign, spoil)
		if a.StatusCode != http.StatusUnauthorized || a.Close || isStale(a) {
			t.Errorf("%s: status %d, close %v, stale %v", name, a.StatusCode, a.Close, isStale(a))
		}
		if n := d.devices.read(); n > 0 {
			t.Errorf("%s: %d reads", name, n)
		}
	}
	d.client().send(m, x.sign).has(t, "InformResponse")
}

// A session is challenged again twice, also when its client opens a connection each time; the count is in the nonce (i4.md A.2-2).
func TestRechallenges(t *testing.T) {
	t.Parallel()
	d := open(t)
	m, user := heart(d, "1")
	for _, reconnect := range []bool{false, true} {
		c := d.client()
		a := c.send(m)
		for try := 1; try <= 3; try++ {
			if a.is(t, http.StatusUnauthorized); a.Close {
				t.Fatalf("closed at challenge %d", try)
			}
			if reconnect {
				c = c.elsewhere()
			}
			a = c.send(m, challenged(t, a, "MD5", user, "wrong").sign)
		}
		if a.is(t, http.StatusUnauthorized); !a.Close {
			t.Error("not closed after two more challenges")
		}
	}
	// One that never answers a challenge has no more tries on its connection.
	c := d.client()
	for range 3 {
		if a := c.send(m); a.StatusCode != 401 || a.Close {
			t.Fatalf("status %d, close %v", a.StatusCode, a.Close)
		}
	}
	if a := c.send(m); a.StatusCode != 401 || !a.Close {
		t.Errorf("status %d, close %v", a.StatusCode, a.Close)
	}
}

// The credentials of another device admit nobody, with digest as with Basic.
func TestDigestOfAnotherDevice(t *testing.T) {
	t.Parallel()
	d := open(t)
	m, _ := heart(d, "1")
	_, thief := heart(d, "2")
	x := challenged(t, d.client().send(m), "SHA-256", thief, password)
	if a := d.client().send(m, x.sign); a.StatusCode != 401 || !a.Close {
		t.Errorf("status %d, close %v", a.StatusCode, a.Close)
	}
	if d.clients.count() > 0 || d.Stats().Impostors != 1 {
		t.Errorf("stats %+v", d.Stats())
	}
}

// Several clients that use one nonce at the same time: every count is taken once.
func TestNonceCountRace(t *testing.T) {
	t.Parallel()
	n := newNonces([32]byte{1}, time.Minute, 4, newFakeClock())
	given, ok := n.open(n.issue(0))
	if !ok {
		t.Fatal("own nonce not recognised")
	}
	taken := make(chan bool, 100)
	for range 100 {
		go func() { taken <- n.use(given.serial, 7) }()
	}
	count := 0
	for range 100 {
		if <-taken {
			count++
		}
	}
	if count != 1 {
		t.Errorf("taken %d times", count)
	}
}

func TestNonce(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	n := newNonces([32]byte{1}, time.Minute, 4, clock)
	text := n.issue(2)
	given, ok := n.open(text)
	if !ok || given.stale || given.tries != 2 || len(text) > 64 {
		t.Errorf("%q opened as %+v", text, given)
	}
	if _, ok := newNonces([32]byte{2}, time.Minute, 4, clock).open(text); ok {
		t.Error("opened with another key")
	}
	if given, ok := newNonces([32]byte{1}, time.Minute, 4, clock).open(text); !ok || !given.stale || given.tries != 0 {
		t.Errorf("another process opened it as %+v", given)
	}
	for i := range text {
		changed := text[:i] + string('A'+(text[i]-'A'+1)%26) + text[i+1:]
		if _, ok := n.open(changed); ok && changed != text {
			t.Errorf("%q is accepted for %q", changed, text)
		}
	}
	clock.advance(time.Minute)
	if given, _ := n.open(text); !given.stale {
		t.Error("not stale after its time")
	}
	if n.use(99, 1) {
		t.Error("a count of an unknown nonce was taken")
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		`Digest username="00005E-IMSPC-1", realm="i4", nonce="abc", uri="/acs", response="00", algorithm=MD5, cnonce="1", nc=00000001, qop=auth, opaque="x"`,
		`Digest username=a,realm=b,nonce=c,uri=/acs?x=1&y=2,qop="auth"`,
		`digest  username = "a, b" ,, realm="q\"q\\", unknown=1 nonce="no comma"`,
		`Digest username="open`, `Digest ="x"`, `Digest a`, `Digest`, `Basic dXNlcjpwYXNz`, ``, `   `, "Digest a=\tb", `Digest a="", a="2"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, ok := parseAuthorization(header)
		if !ok || a.scheme != "digest" {
			return
		}
		// What was read can be written canonically and reads the same.
		written := "Digest "
		for name, value := range a.params {
			written += fmt.Sprintf(`%s="%s", `, name, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
		}
		if len(written) > maxAuthorization {
			return
		}
		again, ok := parseAuthorization(written)
		if !ok || len(again.params) != len(a.params) {
			t.Fatalf("%q reads as %v, and %q as %v", header, a.params, written, again.params)
		}
		for name, value := range a.params {
			if again.params[name] != value {
				t.Fatalf("%s is %q, and then %q", name, value, again.params[name])
			}
		}
	})
}

func TestParseAuthorization(t *testing.T) {
	t.Parallel()
	a, ok := parseAuthorization(`DIGEST  Username = "a, \"b\\c" ,, realm=i4  uri="/acs?a=b" x= , y="", username="second"`)
	want := map[string]string{"username": `a, "b\c`, "realm": "i4", "uri": "/acs?a=b", "x": "", "y": ""}
	if !ok || a.scheme != "digest" || len(a.params) != len(want) {
		t.Fatalf("read as %v", a)
	}
	for name, value := range want {
		if a.params[name] != value {
			t.Errorf("%s is %q", name, a.params[name])
		}
	}
}
