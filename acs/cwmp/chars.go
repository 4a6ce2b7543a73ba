package cwmp

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isChar reports whether XML 1.0 can carry r (production Char).
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// badChar returns the offset of the first byte that is not UTF-8 or not a character of XML, or -1.
func badChar(b []byte) int {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if c < 0x20 && !isSpace(c) {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !isChar(r) {
			return i
		}
		i += n
	}
	return -1
}

// validText reports whether XML can carry s.
func validText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !isChar(r) }) < 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func allSpace(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// trim removes white space of XML at both ends.
func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

// maxName bounds names of elements and attributes in bytes. They end in logs and comparisons, and no name of CWMP
// comes near it.
const maxName = 256

// isNCName reports whether b is a name without colon (Namespaces in XML 1.0, production NCName) of at most maxName bytes.
func isNCName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName {
		return false
	}
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' ||
				i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.')) {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if !isNameStart(r) && (i == 0 || !isNameRest(r)) {
			return false
		}
		i += n
	}
	return true
}

// isNameStart is NameStartChar of XML 1.0, fifth edition, above ASCII.
func isNameStart(r rune) bool {
	switch {
	case r < 0xC0, r == 0xD7, r == 0xF7, r >= 0x300 && r < 0x370, r == 0x37E:
		return false
	case r < 0x2000:
		return true
	}
	return r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF ||
		r >= 0x3001 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD ||
		r >= 0x10000 && r <= 0xEFFFF
}

// isNameRest is what NameChar has above ASCII beyond NameStartChar.
func isNameRest(r rune) bool {
	return r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// splitName cuts a qualified name at its colon. It reports false for what is not a QName.
func splitName(b []byte) (prefix, local []byte, ok bool) {
	i := bytes.IndexByte(b, ':')
	if i < 0 {
		return nil, b, isNCName(b)
	}
	prefix, local = b[:i], b[i+1:]
	return prefix, local, isNCName(prefix) && isNCName(local)
}

// unescape resolves character references and the five predefined entities; there are no others without a DOCTYPE. It
// returns b itself if there is nothing to resolve, and false for a reference that XML does not allow.
func unescape(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b, '&')
	if i < 0 {
		return b, true
	}
	out := make([]byte, 0, len(b))
	for i >= 0 {
		out = append(out, b[:i]...)
		b = b[i+1:]
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			return nil, false
		}
		r, ok := entity(b[:end])
		if !ok {
			return nil, false
		}
		out = utf8.AppendRune(out, r)
		b = b[end+1:]
		i = bytes.IndexByte(b, '&')
	}
	return append(out, b...), true
}

func entity(name []byte) (rune, bool) {
	switch string(name) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	digits, found := strings.CutPrefix(string(name), "#")
	if !found {
		return 0, false
	}
	base := 10
	if hex, found := strings.CutPrefix(digits, "x"); found {
		digits, base = hex, 16
	}
	// ParseUint takes neither sign nor, with a given base, underscores.
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune || !isChar(rune(n)) {
		return 0, false
	}
	return rune(n), true
}
