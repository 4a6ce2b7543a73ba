package models

import (
	"net/url"
	"strings"
)

// Certificate is a client certificate that was judged good: its chain ends at a CA of the operator's, it is in its time and not revoked
// (i4.md C.4), and it names the device that presents it.
type Certificate struct {
	Key DeviceKey // of the device that it names
	// Fingerprint is the SHA-256 of the certificate, in lower-case hex; Issuer the distinguished name of the CA that issued it (RFC 4514).
	Fingerprint, Issuer string
}

// IsNamed tells whether a certificate's common name means this device (i4.md C.4, resolutions 53). Vendors differ in what they encode: a name
// of three parts is one identity, however it is written; with more hyphens in it, it says no more than its decoded text does.
func (k DeviceKey) IsNamed(commonName string) bool {
	if string(k) == commonName {
		return true
	}
	parts := strings.Split(commonName, "-")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return false
		}
		parts[i] = decoded
	}
	switch {
	case len(parts) < 3:
		return false
	case len(parts) == 3:
		return k == DeviceKeyOf(parts[0], parts[1], parts[2])
	}
	own, err := url.PathUnescape(string(k))
	return err == nil && own == strings.ToUpper(parts[0])+"-"+strings.Join(parts[1:], "-")
}
