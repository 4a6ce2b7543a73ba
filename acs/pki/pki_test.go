package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/pki"
	"github.com/softacs/softacs/acs/pki/pkitest"
)

func authorities(t *testing.T, grace time.Duration, bundle []byte, lists ...[]byte) *pki.Authorities {
	t.Helper()
	a, err := pki.New(bundle, lists, grace)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// verify returns "" for a good certificate, else the reason of its refusal.
func verify(t *testing.T, a *pki.Authorities, c tls.Certificate, now time.Time) pki.Reason {
	t.Helper()
	var presented []*x509.Certificate
	for _, der := range c.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		presented = append(presented, parsed)
	}
	id, err := a.Verify(presented, now)
	var refusal *pki.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case err != nil || id.CommonName != c.Leaf.Subject.CommonName || len(id.Fingerprint) != 64 || id.Issuer != c.Leaf.Issuer.String():
		t.Fatalf("%+v, %v", id, err)
	}
	return ""
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	vendor, other, stranger := pkitest.NewCA(t, "Vendor"), pkitest.NewCA(t, "Other vendor"), pkitest.NewCA(t, "Stranger")
	impostor := pkitest.NewCA(t, "Vendor") // of the same name
	first := vendor.Under("First")
	second := first.Under("Second")
	third := second.Under("Third")
	a := authorities(t, 0, slices.Concat([]byte("# of both vendors\n"), vendor.PEM(), other.PEM()))
	now := time.Now()

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(list ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = list }
	}
	for what, c := range map[string]struct {
		presented tls.Certificate
		want      pki.Reason
	}{
		"of a vendor":              {vendor.Device("a", nil), ""},
		"of another":               {other.Device("a", nil), ""},
		"one CA in between":        {first.Device("a", nil, first), ""},
		"two":                      {second.Device("a", nil, second, first), ""},
		"the CA of the list too":   {vendor.Device("a", nil, vendor), ""},
		"three":                    {third.Device("a", nil, third, second, first), pki.Unfit},
		"one that is missing":      {first.Device("a", nil), pki.Foreign},
		"of nobody":                {stranger.Device("a", nil, stranger), pki.Foreign},
		"of a CA of the same name": {impostor.Device("a", nil), pki.Foreign},
		"over": {vendor.Device("a", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
		}), pki.Expired},
		"not begun":            {vendor.Device("a", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }), pki.Expired},
		"for servers":          {vendor.Device("a", usage(x509.ExtKeyUsageServerAuth)), pki.Unfit},
		"for both":             {vendor.Device("a", usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), ""},
		"for what is not said": {vendor.Device("a", usage()), ""},
		"not for signatures":   {vendor.Device("a", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), pki.Unfit},
		"a CA's own":           {vendor.Device("a", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), pki.Unfit},
		"RSA of 1024 bits":     {vendor.DeviceWith(weak, "a", nil), pki.Unfit},
		"RSA of 2048 bits":     {vendor.DeviceWith(strong, "a", nil), ""},
		"P-224":                {vendor.DeviceWith(small, "a", nil), pki.Unfit},
		"Ed25519":              {vendor.DeviceWith(edwards, "a", nil), ""},
		"issued by a device":   {pkitest.Misused(t, vendor.Device("b", nil)).Device("a", nil), pki.Foreign},
	} {
		if got := verify(t, a, c.presented, now); got != c.want {
			t.Errorf("%s: %q, not %q", what, got, c.want)
		}
	}
	late := vendor.Device("a", func(c *x509.Certificate) { c.NotAfter = now.Add(96 * time.Hour) })
	if got := verify(t, a, late, now.Add(72*time.Hour)); got != pki.Expired {
		t.Errorf("of a CA that is over: %q", got)
	}
	if id, err := a.Verify(nil, now); id != nil || err != nil {
		t.Errorf("no certificate: %v, %v", id, err)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	vendor, other := pkitest.NewCA(t, "Vendor"), pkitest.NewCA(t, "Other vendor")
	issuing := vendor.Under("Issuing")
	stolen, honest := vendor.Device("stolen", nil), vendor.Device("honest", nil)
	foreign := other.Device("other", nil)
	below := issuing.Device("below", nil, issuing)
	both := slices.Concat(vendor.PEM(), other.PEM())
	all := slices.Concat(both, issuing.PEM())
	issuingCert := tls.Certificate{Leaf: issuing.Cert}
	der := func(list []byte) []byte {
		block, _ := pem.Decode(list)
		return block.Bytes
	}
	now := time.Now()
	later := func(l *x509.RevocationList) { l.ThisUpdate = now }

	for what, c := range map[string]struct {
		bundle                         []byte
		lists                          [][]byte
		stolen, honest, foreign, below pki.Reason
	}{
		"no lists":     {both, nil, "", "", "", ""},
		"one in PEM":   {both, [][]byte{vendor.CRL(nil, stolen)}, pki.Revoked, "", pki.Unchecked, pki.Unchecked},
		"two in DER":   {both, [][]byte{der(vendor.CRL(nil, stolen)), der(other.CRL(nil))}, pki.Revoked, "", "", pki.Unchecked},
		"two in one":   {both, [][]byte{slices.Concat(vendor.CRL(nil, stolen), other.CRL(nil, foreign))}, pki.Revoked, "", pki.Revoked, pki.Unchecked},
		"newer counts": {both, [][]byte{vendor.CRL(nil, honest), vendor.CRL(later, stolen), other.CRL(nil)}, pki.Revoked, "", "", pki.Unchecked},
		"in any order": {both, [][]byte{vendor.CRL(later, stolen), vendor.CRL(nil, honest), other.CRL(nil)}, pki.Revoked, "", "", pki.Unchecked},
		"issuing CA":   {all, [][]byte{vendor.CRL(nil, stolen), other.CRL(nil), issuing.CRL(nil)}, pki.Revoked, "", "", ""},
		"that is revoked": {all, [][]byte{vendor.CRL(nil, issuingCert), other.CRL(nil), issuing.CRL(nil)}, "", "", "",
			pki.Revoked},
	} {
		a := authorities(t, 0, c.bundle, c.lists...)
		for _, x := range []struct {
			presented tls.Certificate
			want      pki.Reason
		}{{stolen, c.stolen}, {honest, c.honest}, {foreign, c.foreign}, {below, c.below}} {
			if got := verify(t, a, x.presented, now); got != x.want {
				t.Errorf("%s: %s is %q, not %q", what, x.presented.Leaf.Subject, got, x.want)
			}
		}
	}

	// A list that is over counts for the grace.
	a := authorities(t, time.Hour, both, vendor.CRL(func(l *x509.RevocationList) { l.NextUpdate = now.Add(time.Hour) }, stolen))
	for after, want := range map[time.Duration]pki.Reason{59 * time.Minute: "", 119 * time.Minute: "", 121 * time.Minute: pki.Unchecked} {
		if got := verify(t, a, honest, now.Add(after)); got != want {
			t.Errorf("after %v: %q", after, got)
		}
	}
	if got := verify(t, a, stolen, now.Add(3*time.Hour)); got != pki.Revoked {
		t.Errorf("revoked by a list that is too old: %q", got)
	}
	cas, lists := a.Until()
	if !cas.Equal(vendor.Cert.NotAfter) || lists.Sub(now) < 59*time.Minute || lists.Sub(now) > time.Hour {
		t.Errorf("until %v, %v", cas, lists)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	vendor, stranger, impostor := pkitest.NewCA(t, "Vendor"), pkitest.NewCA(t, "Stranger"), pkitest.NewCA(t, "Vendor")
	device := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vendor.Device("a", nil).Certificate[0]})
	delta := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	list := vendor.CRL(nil)
	torn := bytes.Replace(list, []byte("-----END"), []byte("-----FIN"), 1)
	changed, _ := pem.Decode(list)
	changed.Bytes[len(changed.Bytes)-5] ^= 1
	for _, c := range []struct {
		bundle []byte
		list   []byte
		says   string
	}{
		{nil, nil, "no certificate in PEM"},
		{[]byte("what?"), nil, "no certificate in PEM"},
		{device, nil, "is no CA"},
		{list, nil, "CERTIFICATE is expected"},
		{slices.Concat(vendor.PEM(), stranger.PEM()[:300]), nil, "1 of 2 blocks"},
		{vendor.PEM(), []byte{}, "revocation list 1"},
		{vendor.PEM(), []byte("what?"), "revocation list 1"},
		{vendor.PEM(), vendor.PEM(), "X509 CRL is expected"},
		{vendor.PEM(), torn, "0 of 1 blocks"},
		{vendor.PEM(), pem.EncodeToMemory(changed), "the list of CN=Vendor"},
		{vendor.PEM(), stranger.CRL(nil), "is not in the bundle"},
		{vendor.PEM(), impostor.CRL(nil), "the list of CN=Vendor"},
		{vendor.PEM(), vendor.CRL(func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{delta} }), "is not understood"},
		{vendor.PEM(), vendor.CRL(func(l *x509.RevocationList) {
			for i := range l.RevokedCertificateEntries {
				l.RevokedCertificateEntries[i].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{48, 0}}}
			}
		}, vendor.Device("a", nil)), "an entry of the list"},
	} {
		var lists [][]byte
		if c.list != nil {
			lists = append(lists, c.list)
		}
		if _, err := pki.New(c.bundle, lists, 0); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, which should say %q", err, c.says)
		}
	}
}
