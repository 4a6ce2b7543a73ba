package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/pki/pkitest"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// vendor makes screens. The platform believes them by the files of its folder.
type vendor struct {
	*pkitest.CA
	t           *testing.T
	bundle, crl string
	south       string // folder of the platform's own certificate
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	folder := t.TempDir()
	v := &vendor{CA: pkitest.NewCA(t, "Example Screens CA"), t: t, bundle: filepath.Join(folder, "cas.pem"), crl: filepath.Join(folder, "crl.pem"),
		south: pairIn(t, "acs.example")}
	put(t, v.bundle, v.PEM())
	v.revoke()
	return v
}

// revoke publishes a list that holds exactly these certificates.
func (v *vendor) revoke(certificates ...tls.Certificate) {
	v.t.Helper()
	put(v.t, v.crl+".new", v.CRL(nil, certificates...))
	if err := os.Rename(v.crl+".new", v.crl); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vendor) believe(c *Config) {
	c.South.TLS.Cert, c.South.TLS.Key = filepath.Join(v.south, "tls.crt"), filepath.Join(v.south, "tls.key")
	c.South.TLS.ClientCA, c.South.TLS.CRL = v.bundle, []string{v.crl}
	c.I4.Screen.Auth = authMTLS
	c.I4.GetPwd.Limits.NumberSeconds = 0 // an account logs in twice
}

// speaksTLS has the clients of the platform speak TLS.
func (p *platform) speaksTLS() *platform {
	p.south = strings.Replace(p.south, "http://", "https://", 1)
	return p
}

// presenting is the TLS of a client that presents a certificate, whatever the platform asks for; nil for none.
func presenting(c *tls.Certificate) *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true} // the platform's certificate is tested elsewhere
	if c != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	return config
}

func httpOver(config *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
}

// with makes a client's connections present a certificate.
func with(c *tls.Certificate) func(*sim.Config) {
	return func(s *sim.Config) { s.HTTP = httpOver(presenting(c)) }
}

// made is a screen in stock with the certificate that its vendor gave it; change may be nil.
func (p *platform) made(v *vendor, change func(*sim.Config)) (*sim.Client, tls.Certificate) {
	p.t.Helper()
	id := sim.NewScreenIdentity()
	c := v.Device(string(models.DeviceKeyOf(id.OUI, id.ProductClass, id.SerialNumber)), nil)
	return p.stocked(func(s *sim.Config) {
		s.Identity = id
		with(&c)(s)
		if change != nil {
			change(s)
		}
	}), c
}

// refused returns the alert that the south answers a certificate with.
func (p *platform) refused(c tls.Certificate, version uint16) string {
	p.t.Helper()
	config := presenting(&c)
	config.MinVersion, config.MaxVersion = version, version
	conn, err := tls.Dial("tcp", p.app.southAddr.Addr().String(), config)
	if err == nil { // in TLS 1.3 a client has finished before its certificate is looked at
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	return err.Error()
}

// statuses collects those of a client's exchanges from now on.
func (p *platform) statuses(client *sim.Client) *[]int {
	list := new([]int)
	p.observe(client, func(e sim.Exchange) error {
		*list = append(*list, e.Status)
		return nil
	})
	return list
}

func (p *platform) certificatesRefused(reason string) float64 {
	return metric(p.t, p.scrape(), `softacs_tls_client_certificates_total{outcome="`+reason+`"}`)
}

// Flow 6.1.4 of a screen with a certificate: nothing else is asked of it, at any time.
func TestScreensByCertificate(t *testing.T) {
	v := newVendor(t)
	eachPlatform(t, v.believe, func(t *testing.T, p *platform) {
		p.speaksTLS()
		screen, _ := p.made(v, nil)
		seen := p.statuses(screen)
		p.registersScreen(screen, 30)
		id, msisdn := p.order(object{"screenSerial": serialOf(screen)})
		p.heartbeatSays(screen, 0)
		p.hasEverything(screen, id, msisdn, "CERTIFICATE")
		p.done(screen.Heartbeat(t.Context()))
		p.want(0)(screen.ResetScreen(t.Context()))
		p.hasEverything(screen, id, msisdn, "CERTIFICATE")
		if slices.Contains(*seen, http.StatusUnauthorized) {
			t.Errorf("a screen with a certificate was challenged: %v", *seen)
		}
		if n := metric(t, p.scrape(), `softacs_cwmp_visits_total{trust="2"}`); n != 4 {
			t.Errorf("%v visits at L2", n)
		}

		// Its password alone opens nothing, and neither does nothing at all.
		password := screen.Get("managementServer.password")
		bare := p.screen(func(s *sim.Config) {
			with(nil)(s)
			s.Identity.SerialNumber = serialOf(screen)
			s.Username, s.ACSPassword = string(screen.Key()), models.Secret(password)
		})
		p.want(12)(bare.Heartbeat(t.Context()))
		p.registersScreen(bare, 40)

		// Other clients of the same door have no certificate and need none.
		account, number, mobile := p.provision(nil)
		pc := p.client(number, with(nil))
		p.login(pc, mobile)
		p.waitForEvent(account, "BINDING_CHANGED client.bound ACTIVE", 1)

		// Nor does a certificate help whose place another device took (resolutions 11).
		identity := sim.NewIdentity()
		own := v.Device(string(models.DeviceKeyOf(identity.OUI, identity.ProductClass, identity.SerialNumber)), nil)
		_, number, mobile = p.provision(nil)
		replaced := p.client(number, func(s *sim.Config) { with(&own)(s); s.Identity = identity })
		p.login(replaced, mobile)
		p.login(p.client(number, with(nil)), mobile)
		task := p.mutate("createDeviceTask", "task { id }", object{"idempotencyKey": "in vain", "kind": "GET_VALUES",
			"device": object{"id": p.deviceOf(replaced).text("id")}, "paths": []string{"Device.Time.NTPServer1"}}).text("task.id")
		p.want(12)(replaced.Heartbeat(t.Context()))
		p.wantTask(task, "PENDING")

		// A screen that presents another one's certificate.
		other, stolen := p.made(v, nil)
		thief := p.screen(func(s *sim.Config) {
			with(&stolen)(s)
			s.Identity.SerialNumber = serialOf(screen)
		})
		seen = p.statuses(thief)
		if _, err := thief.RegisterScreen(t.Context()); err == nil || !slices.Contains(*seen, http.StatusUnauthorized) || slices.Contains(*seen, http.StatusOK) {
			t.Errorf("the certificate of another screen: %v, %v", *seen, err)
		}
		p.tells(screen, "SECURITY security.identity_mismatch", 1)
		p.hasEverything(screen, id, msisdn, "CERTIFICATE")
		p.isScreen(other, "STOCK", "", "")
		if n := metric(t, p.scrape(), "softacs_cwmp_impostors_total"); n < 1 {
			t.Errorf("%v impostors", n)
		}

		// What vendors write into a common name (resolutions 53).
		for serial, name := range map[string]string{
			"MS/1 a": "00005E-IMSScreen-MS%2F1%20a", "MS/1 b": "00005e-IMSScreen-MS%2f1%20b", "MS/1 c": "00005E-IMSScreen-MS/1 c", "MS-1-d": "00005E-IMSScreen-MS-1-d",
		} {
			c := v.Device(name, nil)
			p.registersScreen(p.stocked(func(s *sim.Config) {
				with(&c)(s)
				s.Identity.SerialNumber = serial
			}), 30)
		}
		// A screen that nobody registered has proved who it is all the same, and is only counted.
		stranger := sim.NewScreenIdentity()
		c := v.Device(string(models.DeviceKeyOf(stranger.OUI, stranger.ProductClass, stranger.SerialNumber)), nil)
		unknown := p.screen(func(s *sim.Config) { with(&c)(s); s.Identity = stranger })
		p.registersScreen(unknown, 30)
		if d := p.screenOf(unknown); d != nil {
			t.Errorf("there is a row of a screen that is not in stock: %v", d)
		}
	})
}

func TestBadCertificatesAreAlerts(t *testing.T) {
	t.Parallel()
	v, stranger := newVendor(t), pkitest.NewCA(t, "Example Screens CA")
	p := secureSouth(t, v.south, v.believe)
	_, revoked := p.made(v, nil)
	v.revoke(revoked)
	usage := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	ended := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	storetest.Eventually(t, "the list is read again", func() bool { return strings.Contains(p.probe(revoked), "bad certificate") })
	for _, c := range []struct {
		presented tls.Certificate
		reason    string
	}{
		{revoked, "revoked"}, {v.Device("a", ended), "expired"}, {stranger.Device("a", nil), "foreign"}, {v.Device("a", usage), "unfit"},
		{v.Under("Issuing").Device("a", nil), "foreign"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			before := p.certificatesRefused(c.reason)
			if alert := p.refused(c.presented, version); !strings.Contains(alert, "tls: bad certificate") {
				t.Errorf("%s, %s: %s", c.reason, tls.VersionName(version), alert)
			}
			if n := p.certificatesRefused(c.reason); n != before+1 {
				t.Errorf("%s, %s: counted %v times", c.reason, tls.VersionName(version), n-before)
			}
		}
	}
	if n := metric(t, p.scrape(), "softacs_cwmp_sessions_total{outcome=\"completed\"}"); n != 0 {
		t.Errorf("%v sessions", n)
	}
	left := metric(t, p.scrape(), "softacs_tls_crl_expiry_seconds")
	if cas := metric(t, p.scrape(), "softacs_tls_client_ca_expiry_seconds"); left < 23*3600 || left > 24*3600 || cas < 47*3600 || cas > 48*3600 {
		t.Errorf("the list is good for %v s, the CA for %v s", left, cas)
	}
}

// keepOpen hides that connections could be closed: a client that goes on with the one it has.
type keepOpen struct{ http.RoundTripper }

// A certificate that is revoked is worth nothing at once: for new connections, resumed sessions and open connections.
func TestRevocationTakesEffect(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	p := secureSouth(t, v.south, v.believe)

	var certificates []tls.Certificate
	resuming := map[uint16]*tls.Config{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		_, c := p.made(v, nil)
		certificates = append(certificates, c)
		config := presenting(&c)
		config.MinVersion, config.MaxVersion, config.ClientSessionCache = version, version, tls.NewLRUClientSessionCache(8)
		resuming[version] = config
	}
	// get makes a new connection, resumed if the client can.
	get := func(config *tls.Config) (resumed bool, err error) {
		client := httpOver(config)
		defer client.CloseIdleConnections()
		answer, err := client.Get(p.south)
		if err != nil {
			return false, err
		}
		_ = answer.Body.Close()
		return answer.TLS.DidResume, nil
	}
	for version, config := range resuming {
		for n := range 2 {
			if resumed, err := get(config); err != nil || resumed != (n == 1) {
				t.Errorf("%s, connection %d: resumed %v, %v", tls.VersionName(version), n, resumed, err)
			}
		}
	}
	open, c := p.made(v, func(s *sim.Config) { s.HTTP.Transport = keepOpen{s.HTTP.Transport} })
	certificates = append(certificates, c)
	p.registersScreen(open, 30)
	p.heartbeatSays(open, 30)
	honest, _ := p.made(v, nil)
	p.registersScreen(honest, 30)

	v.revoke(certificates...)
	storetest.Eventually(t, "the list is read again", func() bool { return strings.Contains(p.probe(c), "bad certificate") })
	for version, config := range resuming {
		if resumed, err := get(config); err == nil {
			t.Errorf("%s: a session of a revoked certificate goes on (resumed: %v)", tls.VersionName(version), resumed)
		}
	}
	seen := p.statuses(open)
	if _, err := open.Heartbeat(t.Context()); err == nil || (*seen)[0] != http.StatusUnauthorized {
		t.Errorf("on the open connection: %v, %v", *seen, err)
	}
	p.heartbeatSays(honest, 30)

	// Back again, and a list that cannot be used changes nothing.
	v.revoke()
	storetest.Eventually(t, "the list is read again", func() bool { return p.probe(c) == "" })
	p.heartbeatSays(open, 30)
	failures := func() float64 { return metric(t, p.scrape(), "softacs_tls_client_ca_reload_failures_total") }
	put(t, v.crl, pkitest.NewCA(t, "Stranger").CRL(nil))
	storetest.Eventually(t, "the list of a stranger is seen", func() bool { return failures() == 1 })
	p.heartbeatSays(open, 30)
	v.revoke()

	// Another vendor's CA.
	second := pkitest.NewCA(t, "Second vendor")
	late := second.Device("00005E-IMSScreen-LATE", nil)
	if alert := p.probe(late); !strings.Contains(alert, "bad certificate") {
		t.Errorf("a vendor that is not there yet: %q", alert)
	}
	put(t, v.crl, slices.Concat(v.CRL(nil), second.CRL(nil)))
	put(t, v.bundle, slices.Concat(v.PEM(), second.PEM()))
	storetest.Eventually(t, "the second vendor is believed", func() bool { return p.probe(late) == "" })
	p.registersScreen(p.stocked(func(s *sim.Config) {
		with(&late)(s)
		s.Identity.SerialNumber = "LATE"
	}), 30)
	p.heartbeatSays(honest, 30)
}

// probe makes a connection that asks for nothing; it returns the alert, empty if there is none.
func (p *platform) probe(c tls.Certificate) string {
	p.t.Helper()
	config := presenting(&c)
	config.MaxVersion = tls.VersionTLS12 // where the handshake ends with the platform's word
	conn, err := tls.Dial("tcp", p.app.southAddr.Addr().String(), config)
	if err != nil {
		return err.Error()
	}
	_ = conn.Close()
	return ""
}

// loses presents its certificate at its first request only.
type loses struct{ first, rest http.RoundTripper }

func (l *loses) RoundTrip(r *http.Request) (*http.Response, error) {
	next := l.first
	l.first = l.rest
	return next.RoundTrip(r)
}

// A session may change its connection, but not its certificate (i4.md A.2-4).
func TestSessionsKeepTheirCertificate(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	p := secureSouth(t, v.south, v.believe)
	moving, _ := p.made(v, func(s *sim.Config) {
		if transport, ok := s.HTTP.Transport.(*http.Transport); ok {
			transport.DisableKeepAlives = true
		}
	})
	p.registersScreen(moving, 30)

	_, other := p.made(v, nil)
	for what, rest := range map[string]*tls.Config{"none": presenting(nil), "another one": presenting(&other)} {
		client, _ := p.made(v, func(s *sim.Config) { s.HTTP.Transport = &loses{s.HTTP.Transport, httpOver(rest).Transport} })
		seen := p.statuses(client)
		if _, err := client.RegisterScreen(t.Context()); err == nil || len(*seen) < 2 || (*seen)[0] != http.StatusOK || (*seen)[1] != http.StatusUnauthorized {
			t.Errorf("%s: %v, %v", what, *seen, err)
		}
	}
}

func TestClientCASettingsAreChecked(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	for _, c := range []struct {
		change func(*Config)
		says   string
	}{
		{func(c *Config) { c.South.TLS.ClientCA = "" }, "south.tls.crl: south.tls.clientCA is missing"},
		{func(c *Config) { c.South.TLS.Cert, c.South.TLS.Key = "", "" }, "south.tls.clientCA: without south.tls.cert"},
		{func(c *Config) { c.South.TLS.CRLGrace = -1 }, "south.tls.crlGrace: "},
		{func(c *Config) { c.South.TLS.CRL = []string{v.crl, "/nowhere"} }, "south.tls.clientCA and south.tls.crl: open /nowhere"},
		{func(c *Config) { c.South.TLS.ClientCA = v.crl }, "CERTIFICATE is expected"},
	} {
		config := defaultConfig()
		v.believe(&config)
		c.change(&config)
		if _, err := loadAuthorities(config, models.SystemClock{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, which should say %q", err, c.says)
		}
	}
	if none, err := loadAuthorities(defaultConfig(), models.SystemClock{}); none != nil || err != nil {
		t.Errorf("without CA: %v, %v", none, err)
	}
}
