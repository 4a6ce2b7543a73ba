package smpp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]smpp.Config{
		"smpp://id:pw@smsc.example.net:2776?source=10086": {Addr: "smsc.example.net:2776", SystemID: "id", Password: "pw", Source: smpp.Address{NPI: 1, Digits: "10086"}},
		"smpp://id:p%40%3F@[::1]/?source=%2B8621555":      {Addr: "[::1]:2775", SystemID: "id", Password: "p@?", Source: smpp.Address{TON: 1, NPI: 1, Digits: "8621555"}},
		"smpp://id@smsc?source=Telecom&tls=false":         {Addr: "smsc:2775", SystemID: "id", Source: smpp.Address{TON: 5, Digits: "Telecom"}},
	} {
		got, err := smpp.ParseURL(models.Secret(text))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	got, err := smpp.ParseURL("smpp://id:pw@smsc?source=1&tls=true")
	if err != nil || got.TLS == nil || got.TLS.ServerName != "smsc" || got.TLS.MinVersion != tls.VersionTLS12 || got.TLS.RootCAs != nil {
		t.Errorf("with TLS: %+v, %v", got, err)
	}
}

func TestWrongURLsAreRefusedWithoutShowingThem(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"smpp://id:hunter2@host":                               "source is missing",
		"smpp://id:hunter2@host:x?source=1":                    "the form is",
		"smpp://host?source=1":                                 "the form is",
		"smpp://id:hunter2@?source=1":                          "the form is",
		"smpp://id:hunter2@host/path?source=1":                 "the form is",
		"http://id:hunter2@host?source=1":                      "the form is",
		"smpp://id:hunter2%zz@host?source=1":                   "the form is",
		"smpp://id:hunter2@host?source=%zz":                    "the form is",
		"smpp://:hunter2@host?source=1":                        "room for 15",
		"smpp://id:hunter2hunter2@host?source=1":               "room for 15",
		"smpp://0123456789abcdef:hunter2@host?source=1":        "room for 15",
		"smpp://id:hunter2@host?source=1&hunter2=1":            "source, tls and ca",
		"smpp://id:hunter2@host?source=1&source=2":             "each once",
		"smpp://id:hunter2@host?source=123456789012345678901":  "source is a service number",
		"smpp://id:hunter2@host?source=电信":                     "source is a service number",
		"smpp://id:hunter2@host?source=1&tls=yes":              "tls is true or false",
		"smpp://id:hunter2@host?source=1&ca=x":                 "ca is for tls=true",
		"smpp://id:hunter2@host?source=1&tls=true&ca=/none/x":  "/none/x",
		"smpp://id:hunter2@host?source=1&tls=true&ca=" + empty: "no certificate",
	} {
		_, err := smpp.ParseURL(models.Secret(text))
		if err == nil || !strings.HasPrefix(err.Error(), "sms: ") || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", text, err, says)
		}
	}
}

// authority is a CA of the test's own with a certificate for 127.0.0.1.
func authority(t *testing.T) (server *tls.Config, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the centre"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, ca
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, ca := authority(t)
	with := func(query string) func(c *smpp.Config) {
		return func(c *smpp.Config) {
			changed, err := smpp.ParseURL(models.Secret(fmt.Sprintf("smpp://%s:%s@%s?source=10086&%s", smpptest.SystemID, smpptest.Password, c.Addr, query)))
			if err != nil {
				t.Fatal(err)
			}
			c.TLS = changed.TLS
		}
	}
	l := connect(t, smpptest.Config{TLS: server}, with("tls=true&ca="+url.QueryEscape(ca)))
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted || len(l.centre.Submits()) != 1 {
		t.Errorf("%+v", o)
	}
	_, another := authority(t)
	for name, query := range map[string]string{"the machine's CAs": "tls=true", "another CA": "tls=true&ca=" + url.QueryEscape(another), "no TLS": "tls=false"} {
		l := attempt(t, l.centre, with(query))
		l.clock.pass(t, time.Second) // it failed and waits
		if o := <-l.send(); o.err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}
