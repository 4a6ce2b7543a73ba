// Package pkitest makes CAs, certificates of devices and revocation lists for tests, at run time: nothing of it is good for anything else.
package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync/atomic"
	"testing"
	"time"
)

// CA is a certification authority.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	t    *testing.T
}

var serial atomic.Int64

// NewCA makes one that signed itself.
func NewCA(t *testing.T, name string) *CA {
	t.Helper()
	template := authority(name)
	key := NewKey(t)
	return &CA{Cert: sign(t, template, template, key.Public(), key), Key: key, t: t}
}

// Under makes a CA that this one signed.
func (ca *CA) Under(name string) *CA {
	ca.t.Helper()
	key := NewKey(ca.t)
	return &CA{Cert: sign(ca.t, authority(name), ca.Cert, key.Public(), ca.Key), Key: key, t: ca.t}
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{Organization: []string{"Example Screens"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// NewKey makes a key of P-256.
func NewKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// PEM is the certificate of the CA.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
}

// Device issues a certificate of a device for a day, which it presents followed by those of the CAs in between. change may be nil.
func (ca *CA) Device(commonName string, change func(*x509.Certificate), between ...*CA) tls.Certificate {
	ca.t.Helper()
	return ca.DeviceWith(NewKey(ca.t), commonName, change, between...)
}

// DeviceWith is Device with a key of the caller's.
func (ca *CA) DeviceWith(key crypto.Signer, commonName string, change func(*x509.Certificate), between ...*CA) tls.Certificate {
	ca.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	leaf := sign(ca.t, template, ca.Cert, key.Public(), ca.Key)
	c := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, b := range between {
		c.Certificate = append(c.Certificate, b.Cert.Raw)
	}
	return c
}

// CRL is a list of the CA that revokes certificates, in PEM. change may be nil.
func (ca *CA) CRL(change func(*x509.RevocationList), revoked ...tls.Certificate) []byte {
	ca.t.Helper()
	number := big.NewInt(serial.Add(1))
	template := &x509.RevocationList{Number: number, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}
	for _, c := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now().Add(-time.Minute), ReasonCode: 1})
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Cert, ca.Key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// Misused is a device that signs as if it were a CA.
func Misused(t *testing.T, device tls.Certificate) *CA {
	key, ok := device.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatal("no key")
	}
	return &CA{Cert: device.Leaf, Key: key, t: t}
}
