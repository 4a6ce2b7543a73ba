package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models/store/storetest"
)

// pairIn writes a certificate for name, and its key, into a new folder.
func pairIn(t *testing.T, name string) (folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	put(t, filepath.Join(folder, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	put(t, filepath.Join(folder, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return folder
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pointTo makes link lead to folder, in one step, as Kubernetes and certbot do.
func pointTo(t *testing.T, link, folder string) {
	t.Helper()
	if err := os.Symlink(folder, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

// secureSouth starts a platform whose south speaks TLS, with its files in the folder that a link leads to.
func secureSouth(t *testing.T, link string, change func(*Config)) *platform {
	t.Helper()
	p := startPlatform(t, labConfig(t, storetest.SQLite(t), func(c *Config) {
		c.South.TLS.Cert, c.South.TLS.Key = filepath.Join(link, "tls.crt"), filepath.Join(link, "tls.key")
		if change != nil {
			change(c)
		}
	}))
	p.south = strings.Replace(p.south, "http://", "https://", 1)
	return p
}

// handshake returns whom the south says it is.
func (p *platform) handshake(c *tls.Config) (name string, err error) {
	c.InsecureSkipVerify = true // the tests look at the certificate themselves
	conn, err := tls.Dial("tcp", p.app.southAddr.Addr().String(), c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func (p *platform) presents(name string) func() bool {
	return func() bool {
		got, err := p.handshake(&tls.Config{})
		if err != nil {
			p.t.Error(err)
		}
		return got == name
	}
}

// Certificates are renewed every few weeks by programs that restart nobody: the files change, and the next handshake but few shows the new one.
func TestCertificatesAreReadAgain(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "current")
	first, second := pairIn(t, "first.example"), pairIn(t, "second.example")
	pointTo(t, link, first)
	p := secureSouth(t, link, nil)
	if !p.presents("first.example")() {
		t.Fatal("another certificate than the configured one")
	}
	left := metric(t, p.scrape(), "softacs_tls_certificate_expiry_seconds")
	if left < 23*3600 || left > 24*3600 {
		t.Errorf("the certificate is good for %v s", left)
	}

	pointTo(t, link, second)
	storetest.Eventually(t, "the link leads to another pair", p.presents("second.example"))

	// A pair of which only one half was replaced yet, then files that are none.
	failures := func() float64 { return metric(t, p.scrape(), "softacs_tls_reload_failures_total") }
	third := pairIn(t, "third.example")
	halves := map[string][]byte{}
	for _, name := range []string{"tls.crt", "tls.key"} {
		text, err := os.ReadFile(filepath.Join(third, name))
		if err != nil {
			t.Fatal(err)
		}
		halves[name] = text
	}
	put(t, filepath.Join(second, "tls.crt"), halves["tls.crt"])
	storetest.Eventually(t, "half a pair is seen", func() bool { return failures() == 1 })
	put(t, filepath.Join(second, "tls.crt"), []byte("-----BEGIN CERTIFICATE-----\ncut"))
	storetest.Eventually(t, "half a file is seen", func() bool { return failures() == 2 })
	if err := os.Remove(filepath.Join(second, "tls.key")); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the lack of a file is seen", func() bool { return failures() == 3 })
	if !p.presents("second.example")() {
		t.Error("a pair that cannot be used replaced the one in use")
	}
	for name, text := range halves {
		put(t, filepath.Join(second, name), text)
	}
	storetest.Eventually(t, "the whole pair is there", p.presents("third.example"))
}

// What is looked at by the clock: once in a while, what is broken is complained of once.
func TestCertificatesAreLookedAtOnceInAWhile(t *testing.T) {
	t.Parallel()
	first, second := pairIn(t, "first.example"), pairIn(t, "second.example")
	link := filepath.Join(t.TempDir(), "current")
	pointTo(t, link, first)
	clock := storetest.NewClock()
	c, err := loadCertificates(filepath.Join(link, "tls.crt"), filepath.Join(link, "tls.key"), clock)
	if err != nil {
		t.Fatal(err)
	}
	seen := func() string {
		t.Helper()
		got, err := c.config(tls.VersionTLS12).GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.Subject.CommonName
	}
	pointTo(t, link, second)
	if name := seen(); name != "first.example" {
		t.Errorf("%s is shown at once: every handshake reads files", name)
	}
	clock.Advance(certificateCheck)
	if name := seen(); name != "second.example" {
		t.Errorf("%s is shown later", name)
	}
	put(t, filepath.Join(second, "tls.key"), nil)
	for range 5 {
		clock.Advance(certificateCheck)
		seen()
	}
	if n := c.failures.Load(); n != 1 {
		t.Errorf("one broken file was complained of %d times", n)
	}
	if _, err := loadCertificates(filepath.Join(link, "tls.crt"), filepath.Join(link, "tls.key"), clock); err == nil || !strings.HasPrefix(err.Error(), "south.tls: ") {
		t.Errorf("a start with a broken file: %v", err)
	}
	// Files that go away and come back as they were, as on a network file system, are complained of each time.
	pointTo(t, link, first)
	look := func() int64 { clock.Advance(certificateCheck); seen(); return c.failures.Load() }
	if n := look(); n != 1 {
		t.Fatalf("%d failures after a good pair", n)
	}
	for want := int64(2); want <= 3; want++ {
		pointTo(t, link, filepath.Join(first, "missing"))
		if n := look(); n != want {
			t.Errorf("%d failures, not %d", n, want)
		}
		pointTo(t, link, first)
		look()
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	t.Parallel()
	folder := pairIn(t, "acs.example")
	p := secureSouth(t, folder, nil)
	for what, c := range map[string]*tls.Config{
		"TLS 1.0":     {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"TLS 1.1":     {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"HTTP/2 only": {NextProtos: []string{"h2"}},
		"RC4":         {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}},
	} {
		if _, err := p.handshake(c); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	for what, c := range map[string]*tls.Config{
		"TLS 1.2": {MaxVersion: tls.VersionTLS12}, "TLS 1.3": {MinVersion: tls.VersionTLS13}, "HTTP/2 or 1.1": {NextProtos: []string{"h2", "http/1.1"}},
	} {
		if _, err := p.handshake(c); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	p = secureSouth(t, folder, func(c *Config) { c.I4.TLS.MinVersion = "1.3" })
	if _, err := p.handshake(&tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was accepted where 1.3 is the least")
	}
	if _, err := p.handshake(&tls.Config{}); err != nil {
		t.Error(err)
	}
}

func TestMinVersionIsChecked(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "1.0", "1.1", "TLS1.2"} {
		c := defaultConfig()
		c.Lab, c.I4.TLS.MinVersion = true, version
		if err := c.complete(); err == nil || !strings.Contains(err.Error(), "i4.tls.minVersion: 1.2 and 1.3 are allowed") {
			t.Errorf("%q: %v", version, err)
		}
	}
}

// Within TLS the session's cookie is Secure, in lab mode too; without, a client would not send it back.
func TestCookieIsSecureWithinTLS(t *testing.T) {
	t.Parallel()
	inform, err := os.ReadFile("../../acs/cwmp/testdata/01-pc-get-password.xml")
	if err != nil {
		t.Fatal(err)
	}
	folder := pairIn(t, "acs.example")
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	for _, secure := range []bool{true, false} {
		p := secureSouth(t, folder, func(c *Config) {
			if !secure {
				c.South.TLS.Cert, c.South.TLS.Key = "", ""
			}
		})
		url := p.south
		if !secure {
			url = strings.Replace(url, "https://", "http://", 1)
		}
		answer, err := insecure.Post(url, "text/xml", bytes.NewReader(inform))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		cookie := answer.Header.Get("Set-Cookie")
		if answer.StatusCode != http.StatusOK || !strings.Contains(cookie, "HttpOnly") || strings.Contains(cookie, "; Secure") != secure {
			t.Errorf("TLS %v: HTTP %d, %q", secure, answer.StatusCode, cookie)
		}
	}
}
