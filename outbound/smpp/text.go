package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// Codings of texts (SMPP 3.4 5.2.19).
const (
	codingDefault = 0
	codingASCII   = 1
	codingLatin1  = 3
	codingUCS2    = 8
)

const userDataHeader = 0x40 // esm_class 5.2.12: the message begins with a header of its own

// ucs2 is UTF-16 with the high octet first, which is what centres take UCS-2 for.
func ucs2(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return string(b)
}

var errCoding = errors.New("the message is not a text")

// text reads what a subscriber wrote. The default alphabet of the centre is taken for ASCII, which it agrees with in digits and letters.
func (m *SM) text() (string, error) {
	octets := m.Message.Reveal()
	if m.ESMClass&userDataHeader != 0 {
		if octets == "" || len(octets) <= int(octets[0]) {
			return "", errCoding
		}
		octets = octets[1+int(octets[0]):]
	}
	switch m.DataCoding {
	case codingUCS2:
		if len(octets)%2 != 0 {
			return "", errCoding
		}
		units := make([]uint16, 0, len(octets)/2)
		for i := 0; i < len(octets); i += 2 {
			units = append(units, uint16(octets[i])<<8|uint16(octets[i+1]))
		}
		return string(utf16.Decode(units)), nil
	case codingDefault, codingASCII, codingLatin1:
		var b strings.Builder
		for _, c := range []byte(octets) {
			b.WriteRune(rune(c))
		}
		return b.String(), nil
	}
	return "", errCoding
}

// longestValidity is the longest that a relative time can say without months, whose length is nobody's business.
const longestValidity = 30 * 24 * time.Hour

// validity writes a validity_period relative to the centre's own clock, YYMMDDhhmmss000R (SMPP 3.4 7.1.1), so that the clocks of both sides need
// not agree. Parts of a second are cut off; the shortest is one second.
func validity(d time.Duration) string {
	s := int(max(min(d, longestValidity), time.Second) / time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", s/86_400, s/3600%24, s/60%60, s%60)
}
