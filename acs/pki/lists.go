package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// list is a certificate revocation list (RFC 5280 section 5).
type list struct {
	thisUpdate, nextUpdate time.Time
	serials                map[string]struct{}
}

func (l *list) has(serial *big.Int) bool {
	_, ok := l.serials[string(serial.Bytes())]
	return ok
}

// read takes the revocation lists of a file: one in DER, or any number in PEM. Of two lists of a CA the newer one counts.
func (a *Authorities) read(file []byte) error {
	blocks, err := decode(file, "X509 CRL")
	if err != nil {
		return err
	}
	if len(blocks) == 0 {
		blocks = [][]byte{file}
	}
	for _, der := range blocks {
		if err := a.add(der); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authorities) add(der []byte) error {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if parsed.NextUpdate.IsZero() {
		return fmt.Errorf("the list of %s has no nextUpdate", parsed.Issuer)
	}
	// A list that holds a part only says so in a critical extension, and must not be used as a whole one (RFC 5280 section 5.2).
	for _, extension := range parsed.Extensions {
		if extension.Critical {
			return fmt.Errorf("the list of %s is of a kind that is not understood (extension %s): a full list is needed", parsed.Issuer, extension.Id)
		}
	}
	l := &list{thisUpdate: parsed.ThisUpdate, nextUpdate: parsed.NextUpdate, serials: map[string]struct{}{}}
	for _, entry := range parsed.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			if extension.Critical {
				return fmt.Errorf("an entry of the list of %s is not understood (extension %s)", parsed.Issuer, extension.Id)
			}
		}
		l.serials[string(entry.SerialNumber.Bytes())] = struct{}{}
	}
	var refused error = fmt.Errorf("%s, which signed a list, is not in the bundle of CAs", parsed.Issuer)
	for _, ca := range a.cas {
		if string(ca.RawSubject) != string(parsed.RawIssuer) {
			continue
		}
		if err := parsed.CheckSignatureFrom(ca); err != nil {
			refused = errors.Join(fmt.Errorf("the list of %s", parsed.Issuer), err)
			continue
		}
		key := string(ca.RawSubjectPublicKeyInfo)
		if before := a.lists[key]; before == nil || before.thisUpdate.Before(l.thisUpdate) {
			a.lists[key] = l
		}
		return nil
	}
	return refused
}
