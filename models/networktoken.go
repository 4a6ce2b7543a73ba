package models

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// NetworkToken says that the operator's network vouched for a number: the portal gives it to whoever came with ClientNonce over a trusted
// gateway, REGISTER brings it back (i4.md B.3, C.7).
type NetworkToken struct {
	MDN         Number
	ExpiresAt   Time   // whole seconds
	ClientNonce string // 32 lower-case hex
}

// tokenBody is everything before the signature.
var tokenBody = regexp.MustCompile(`^v1\.([1-9]\d{7,14})\.([0-9a-f]{8})\.([0-9a-f]{32})$`)

// maxToken bounds AU.NetworkToken, string(256) in the book.
const maxToken = 256

// Sign writes the token: v1, the number, the end of its life in Unix seconds as 8 hex digits, the nonce, and the HMAC-SHA-256 of all that in
// base64url, with dots between them.
func (t NetworkToken) Sign(key [32]byte) string {
	body := strings.Join([]string{"v1", string(t.MDN), fmt.Sprintf("%08x", uint32(t.ExpiresAt/1000)), t.ClientNonce}, ".")
	sum := mac(key[:], body)
	return body + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseNetworkToken reads a token that one of the keys has signed; false for any other text. Whether it is still good is the caller's to ask.
// A token has one text only, so that one that was used is known again. Comparing takes the same time whatever differs.
func ParseNetworkToken(text string, keys [][32]byte) (t NetworkToken, ok bool) {
	end := strings.LastIndexByte(text, '.')
	if end < 0 || len(text) > maxToken {
		return t, false
	}
	parts := tokenBody.FindStringSubmatch(text[:end])
	if parts == nil {
		return t, false
	}
	seconds, err := strconv.ParseUint(parts[2], 16, 32)
	if err != nil {
		return t, false
	}
	t = NetworkToken{MDN: Number(parts[1]), ExpiresAt: Time(seconds * 1000), ClientNonce: parts[3]}
	for _, key := range keys {
		if subtle.ConstantTimeCompare([]byte(text), []byte(t.Sign(key))) == 1 {
			ok = true
		}
	}
	if !ok {
		return NetworkToken{}, false
	}
	return t, true
}
