package models_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
)

// The vector of i4.md C.7.
const vectorToken = "v1.8618900000001.4f0b9670.77aa0e15c1d24b0f9e3c5d6a8b7f1023.mHQXS3EOZNypRhDyV7D8rUvK8qtynwgXdxRlk7s_zL4"

var (
	vectorTokenKey = [32]byte(bytes.Repeat([]byte{0x36}, 32))
	vectorClaims   = models.NetworkToken{
		MDN: "8618900000001", ExpiresAt: models.TimeOf(time.Unix(0x4f0b9670, 0)), ClientNonce: "77aa0e15c1d24b0f9e3c5d6a8b7f1023",
	}
)

func TestNetworkTokenVector(t *testing.T) {
	t.Parallel()
	if got := vectorClaims.Sign(vectorTokenKey); got != vectorToken {
		t.Errorf("signed as %s", got)
	}
	for name, keys := range map[string][][32]byte{"the key": {vectorTokenKey}, "an older key": {{1}, vectorTokenKey}, "a newer key": {vectorTokenKey, {1}}} {
		if got, ok := models.ParseNetworkToken(vectorToken, keys); !ok || got != vectorClaims {
			t.Errorf("%s: read as %+v, %v", name, got, ok)
		}
	}
}

func TestForgedNetworkTokens(t *testing.T) {
	t.Parallel()
	keys := [][32]byte{vectorTokenKey}
	replaced := func(old, fresh string) string { return strings.Replace(vectorToken, old, fresh, 1) }
	for name, text := range map[string]string{
		"empty":               "",
		"dots":                "....",
		"another version":     replaced("v1", "v2"),
		"another number":      replaced("8618900000001", "8618900000002"),
		"no number":           replaced("8618900000001", ""),
		"another end":         replaced("4f0b9670", "4f0b9671"),
		"end in upper case":   replaced("4f0b9670", "4F0B9670"),
		"another nonce":       replaced("77aa", "77ab"),
		"nonce in upper case": replaced("77aa", "77AA"),
		"no signature":        vectorToken[:strings.LastIndexByte(vectorToken, '.')],
		"empty signature":     vectorToken[:strings.LastIndexByte(vectorToken, '.')+1],
		"padded signature":    vectorToken + "=",
		"long":                vectorToken + strings.Repeat("A", 300),
		// The last character of the signature holds four bits of it and two of nothing.
		"same signature, other text": vectorToken[:len(vectorToken)-1] + "5",
		"line break":                 vectorToken[:len(vectorToken)-4] + "\n" + vectorToken[len(vectorToken)-4:],
		"space":                      vectorToken + " ",
	} {
		if got, ok := models.ParseNetworkToken(text, keys); ok || got != (models.NetworkToken{}) {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
	for name, keys := range map[string][][32]byte{"another key": {{}}, "no key": nil} {
		if _, ok := models.ParseNetworkToken(vectorToken, keys); ok {
			t.Errorf("accepted with %s", name)
		}
	}
}

// Whatever is accepted is, to the byte, what the platform would have written.
func FuzzNetworkToken(f *testing.F) {
	for _, seed := range []string{
		vectorToken, vectorToken + "=", strings.ToUpper(vectorToken), vectorToken[:40], "", ".", "v1....",
		models.NetworkToken{MDN: "8613800138000", ExpiresAt: 1000, ClientNonce: strings.Repeat("0", 32)}.Sign(vectorTokenKey),
		models.NetworkToken{MDN: "8613800138000", ClientNonce: strings.Repeat("f", 32)}.Sign([32]byte{}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := models.ParseNetworkToken(text, [][32]byte{vectorTokenKey})
		if ok && got.Sign(vectorTokenKey) != text {
			t.Errorf("%q was accepted as %+v", text, got)
		}
		if !ok && got != (models.NetworkToken{}) {
			t.Errorf("%q was refused and read all the same: %+v", text, got)
		}
	})
}
