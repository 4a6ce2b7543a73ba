package models

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
)

// DownloadLink lets one device fetch one file for some time (i4.md C.5). It authorises the transfer only: what the file is worth is told by
// its SHA-256 and its vendor's signature.
type DownloadLink struct {
	FileID string // letters, digits, - and _
	Name   string
	// Device is the first 16 hex digits of the SHA-256 of the device key.
	Device    string
	ExpiresAt Time // whole seconds
}

// MaxDownloadURL is the longest URL that a Download can carry.
const MaxDownloadURL = 256

// DeviceHash is DownloadLink.Device.
func DeviceHash(key DeviceKey) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}

// Path is the path of the link, /p/<file>/<name>, percent-encoded in one way only, however a client writes it.
func (l DownloadLink) Path() string { return "/p/" + l.FileID + "/" + url.PathEscape(l.Name) }

func (l DownloadLink) expiry() string { return fmt.Sprintf("%08x", uint32(l.ExpiresAt/1000)) }

func (l DownloadLink) sign(key [32]byte) string {
	sum := mac(key[:], "GET\n"+l.Path()+"\n"+l.Device+"\n"+l.expiry())
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// URL writes the link below origin, such as https://dl.example.net.
func (l DownloadLink) URL(origin string, key [32]byte) string {
	return origin + l.Path() + "?d=" + l.Device + "&e=" + l.expiry() + "&s=" + l.sign(key)
}

var (
	linkDevice = regexp.MustCompile(`^[0-9a-f]{16}$`)
	linkExpiry = regexp.MustCompile(`^[0-9a-f]{8}$`)
)

// ParseDownloadLink reads the parts of a link that one of the keys has signed; false for any other. Whether it is still good is the caller's
// to ask. Comparing takes the same time whatever differs.
func ParseDownloadLink(fileID, name string, query url.Values, keys [][32]byte) (l DownloadLink, ok bool) {
	l = DownloadLink{FileID: fileID, Name: name, Device: query.Get("d")}
	if !linkDevice.MatchString(l.Device) || !linkExpiry.MatchString(query.Get("e")) {
		return DownloadLink{}, false
	}
	seconds, err := strconv.ParseUint(query.Get("e"), 16, 32)
	if err != nil {
		return DownloadLink{}, false
	}
	l.ExpiresAt = Time(seconds * 1000)
	for _, key := range keys {
		if subtle.ConstantTimeCompare([]byte(query.Get("s")), []byte(l.sign(key))) == 1 {
			ok = true
		}
	}
	if !ok {
		return DownloadLink{}, false
	}
	return l, true
}
