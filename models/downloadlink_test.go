package models_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
)

// The vector of i4.md C.2.6.
const vectorURL = "https://dl.i4.example.net/p/p7K3xQ9w/imspc-2.1.0.exe?d=364a82e82bcd5b9e&e=4f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A"

var (
	vectorLinkKey = [32]byte(bytes.Repeat([]byte{0x5c}, 32))
	vectorLink    = models.DownloadLink{
		FileID: "p7K3xQ9w", Name: "imspc-2.1.0.exe", ExpiresAt: models.TimeOf(time.Unix(0x4f0c1a80, 0)),
		Device: models.DeviceHash("00005E-IMSPC-7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5"),
	}
)

func TestDownloadLinkVector(t *testing.T) {
	t.Parallel()
	if got := vectorLink.URL("https://dl.i4.example.net", vectorLinkKey); got != vectorURL {
		t.Errorf("signed as %s", got)
	}
	u, err := url.Parse(vectorURL)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][][32]byte{"the key": {vectorLinkKey}, "an older key": {{1}, vectorLinkKey}, "a newer key": {vectorLinkKey, {1}}} {
		if got, ok := models.ParseDownloadLink("p7K3xQ9w", "imspc-2.1.0.exe", u.Query(), keys); !ok || got != vectorLink {
			t.Errorf("%s: read as %+v, %v", name, got, ok)
		}
	}
	for name, forged := range map[string]string{
		"another device": "d=464a82e82bcd5b9e&e=4f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A",
		"more time":      "d=364a82e82bcd5b9e&e=5f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A",
		"no signature":   "d=364a82e82bcd5b9e&e=4f0c1a80",
		"upper case":     strings.ToUpper("d=364a82e82bcd5b9e&e=4f0c1a80") + "&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A",
		"a sign":         "d=364a82e82bcd5b9e&e=-f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A",
		"padding":        "d=364a82e82bcd5b9e&e=4f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A=",
		"nothing":        "",
	} {
		q, err := url.ParseQuery(forged)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := models.ParseDownloadLink("p7K3xQ9w", "imspc-2.1.0.exe", q, [][32]byte{vectorLinkKey}); ok {
			t.Errorf("%s passes", name)
		}
	}
	if _, ok := models.ParseDownloadLink("p7K3xQ9w", "other.exe", u.Query(), [][32]byte{vectorLinkKey}); ok {
		t.Error("another file passes")
	}
}
