// Package pki judges the certificates that devices present (i4.md C.4): whether they descend from a CA of the operator's list, are in their time,
// strong enough, meant for clients and not revoked.
//
// It owns the rules about chains, keys and revocation lists. It refuses to know files, connections and Informs: whether a certificate's name is
// that of the device at the other end is the door's to compare.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Reason is why a certificate was refused.
type Reason string

// The reasons.
const (
	Expired   Reason = "expired"   // over, or not begun
	Foreign   Reason = "foreign"   // of no CA of the list
	Revoked   Reason = "revoked"   // by a revocation list
	Unchecked Reason = "unchecked" // there is no revocation list of its CA, or none that is new enough
	Unfit     Reason = "unfit"     // weak key, not for clients, chain too long
)

// Reasons are all of them.
var Reasons = []Reason{Expired, Foreign, Revoked, Unchecked, Unfit}

// Refusal is the error of a certificate that is not good.
type Refusal struct {
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string { return "client certificate " + string(r.Reason) + ": " + r.Detail }

// Identity is whom a good certificate names.
type Identity struct {
	CommonName  string // of the subject
	Fingerprint string // SHA-256, lower-case hex
	Issuer      string // distinguished name (RFC 4514)
}

// maxChain is how many certificates a chain has at most: the device's, two of CAs in between, and one of the list.
const maxChain = 4

// minRSA is the least size of an RSA key in bits, minCurve of an elliptic curve's (i4.md C.4).
const (
	minRSA   = 2048
	minCurve = 256
)

// Authorities are the CAs whose devices are believed, with their revocation lists. They do not change.
type Authorities struct {
	pool   *x509.CertPool
	cas    []*x509.Certificate
	listed bool // there are revocation lists, so each CA needs one
	// lists by the public key of the CA that signed them.
	lists map[string]*list
	grace time.Duration
}

// New reads a bundle of PEM certificates of CAs, and files with their revocation lists, PEM or DER. Without any list nothing is checked for
// revocation; with one, each CA needs its own, which counts for grace beyond its nextUpdate.
func New(bundle []byte, lists [][]byte, grace time.Duration) (*Authorities, error) {
	a := &Authorities{pool: x509.NewCertPool(), listed: len(lists) > 0, lists: map[string]*list{}, grace: grace}
	blocks, err := decode(bundle, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	for _, der := range blocks {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the bundle: %w", len(a.cas)+1, err)
		}
		if !ca.IsCA {
			return nil, fmt.Errorf("%s is no CA", ca.Subject)
		}
		a.pool.AddCert(ca)
		a.cas = append(a.cas, ca)
	}
	if len(a.cas) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	for i, file := range lists {
		if err := a.read(file); err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", i+1, err)
		}
	}
	return a, nil
}

// decode returns the blocks of a PEM file, all of the same kind. A file that was cut off has fewer blocks than beginnings of one.
func decode(file []byte, kind string) (blocks [][]byte, err error) {
	begun := bytes.Count(file, []byte("-----BEGIN "))
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind {
			return nil, fmt.Errorf("%s is expected, not %s", kind, block.Type)
		}
		blocks = append(blocks, block.Bytes)
	}
	if len(blocks) != begun {
		return nil, fmt.Errorf("%d of %d blocks of PEM are whole", len(blocks), begun)
	}
	return blocks, nil
}

// Pool holds the CAs, so that clients can be told which certificates to present.
func (a *Authorities) Pool() *x509.CertPool { return a.pool }

// Until is when the first of the CAs and the first of the lists run out; zero for no list.
func (a *Authorities) Until() (cas, lists time.Time) {
	for _, ca := range a.cas {
		cas = earlier(cas, ca.NotAfter)
	}
	for _, l := range a.lists {
		lists = earlier(lists, l.nextUpdate)
	}
	return cas, lists
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Verify judges the certificates that a client presented, its own first. It returns nil for none, and a *Refusal for one that is not good.
func (a *Authorities) Verify(presented []*x509.Certificate, now time.Time) (*Identity, error) {
	if len(presented) == 0 {
		return nil, nil
	}
	leaf, between := presented[0], x509.NewCertPool()
	for _, c := range presented[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, &Refusal{Reason: reasonOf(err), Detail: err.Error()}
	}
	if leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, &Refusal{Reason: Unfit, Detail: "not for signatures of a client"}
	}
	// One good chain is enough, unless another one shows a revocation.
	var refused *Refusal
	good := false
	for _, chain := range chains {
		switch r := a.judge(chain, now); {
		case r == nil:
			good = true
		case r.Reason == Revoked:
			return nil, r
		default:
			refused = r
		}
	}
	if !good {
		return nil, refused
	}
	sum := sha256.Sum256(leaf.Raw)
	return &Identity{CommonName: leaf.Subject.CommonName, Fingerprint: hex.EncodeToString(sum[:]), Issuer: leaf.Issuer.String()}, nil
}

func reasonOf(err error) Reason {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Expired
	case errors.As(err, &unknown):
		return Foreign
	}
	return Unfit
}

// judge judges a chain whose signatures and times are right; nil if it is good.
func (a *Authorities) judge(chain []*x509.Certificate, now time.Time) *Refusal {
	if len(chain) > maxChain {
		return &Refusal{Reason: Unfit, Detail: fmt.Sprintf("a chain of %d certificates", len(chain))}
	}
	for _, c := range chain {
		if !strong(c.PublicKey) {
			return &Refusal{Reason: Unfit, Detail: "weak key of " + c.Subject.String()}
		}
	}
	if !a.listed {
		return nil
	}
	for i, c := range chain[:len(chain)-1] {
		l := a.lists[string(chain[i+1].RawSubjectPublicKeyInfo)]
		switch {
		case l == nil:
			return &Refusal{Reason: Unchecked, Detail: "no revocation list of " + c.Issuer.String()}
		case l.has(c.SerialNumber):
			return &Refusal{Reason: Revoked, Detail: fmt.Sprintf("serial number %x of %s", c.SerialNumber, c.Issuer)}
		case now.After(l.nextUpdate.Add(a.grace)):
			return &Refusal{Reason: Unchecked, Detail: "the revocation list of " + c.Issuer.String() + " is too old"}
		}
	}
	return nil
}

func strong(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= minCurve
	case ed25519.PublicKey:
		return true
	}
	return false
}
