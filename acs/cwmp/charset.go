package cwmp

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// The encodings that a declaration may name, in lower case; nil is UTF-8. GB 18030 contains GBK, which contains GB 2312.
var encodings = map[string]encoding.Encoding{
	"utf-8": nil, "utf8": nil, "us-ascii": nil, "ascii": nil,
	"gbk": simplifiedchinese.GB18030, "gb2312": simplifiedchinese.GB18030, "gb18030": simplifiedchinese.GB18030,
	"cp936": simplifiedchinese.GB18030, "x-gbk": simplifiedchinese.GB18030,
	"iso-8859-1": charmap.ISO8859_1, "iso8859-1": charmap.ISO8859_1, "latin1": charmap.ISO8859_1,
}

// document returns a copy of body in UTF-8, without byte order mark and XML declaration and with line ends as XML wants
// them. The copy is ours: the lexer writes into its input, and callers compare and store theirs.
func document(body []byte, contentType string) ([]byte, error) {
	rest, bom := bytes.CutPrefix(body, []byte("\xEF\xBB\xBF"))
	declared, size, ok := declaration(rest)
	if !ok {
		return nil, &SyntaxError{Reason: "malformed XML declaration"}
	}
	charset := ""
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		charset = strings.ToLower(params["charset"])
	}
	enc, ok := choose(bom, charset, declared, rest)
	if !ok {
		return nil, &SyntaxError{Reason: "character encoding not supported"}
	}
	rest = rest[size:]

	var text []byte
	if enc == nil {
		text = append(make([]byte, 0, len(rest)+1), rest...) // one more for the NUL of the lexer
	} else {
		var err error
		if text, err = enc.NewDecoder().Bytes(rest); err != nil {
			return nil, &SyntaxError{Reason: "text does not fit its character encoding"}
		}
		// The decoder puts this character where it cannot read; nobody sends it on purpose.
		if i := bytes.IndexRune(text, utf8.RuneError); i >= 0 {
			return nil, &SyntaxError{Offset: i, Reason: "text does not fit its character encoding"}
		}
	}
	if i := badChar(text); i >= 0 {
		return nil, &SyntaxError{Offset: i, Reason: "character not allowed in XML"}
	}
	if bytes.IndexByte(text, '\r') >= 0 {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	return text, nil
}

// choose settles what the byte order mark, the Content-Type and the declaration say. Clients are seen to send a fixed
// "utf-8" in one of the latter two with a truthful "GBK" in the other, and text in GBK is not valid UTF-8 by chance: so
// UTF-8 wins if anything names it and the bytes agree, otherwise the Content-Type comes first (RFC 7303).
func choose(bom bool, charset, declared string, body []byte) (encoding.Encoding, bool) {
	if bom {
		return nil, true
	}
	var other encoding.Encoding
	utf := charset == "" && declared == ""
	for _, name := range []string{declared, charset} {
		if name == "" {
			continue
		}
		enc, ok := encodings[name]
		switch {
		case !ok:
			return nil, false
		case enc == nil:
			utf = true
		default:
			other = enc
		}
	}
	if utf && (other == nil || utf8.Valid(body)) {
		return nil, true
	}
	return other, true
}

// declaration reads an XML declaration at the very beginning: the encoding it names in lower case, "" if none, and its
// size in bytes, 0 if there is no declaration. It reports false if there is one that XML does not allow.
func declaration(b []byte) (name string, size int, ok bool) {
	if !bytes.HasPrefix(b, []byte("<?xml")) || len(b) < 6 || !isSpace(b[5]) {
		return "", 0, true // a processing instruction such as xml-stylesheet, or an element
	}
	end := bytes.Index(b, []byte("?>"))
	if end < 0 {
		return "", 0, false
	}
	rest := b[5:end]
	// The order is fixed: version, then encoding, then standalone.
	version, rest, ok := pseudoAttribute(rest, "version")
	if !ok || version != "1.0" {
		return "", 0, false
	}
	name, rest, ok = pseudoAttribute(rest, "encoding")
	if !ok {
		return "", 0, false
	}
	standalone, rest, ok := pseudoAttribute(rest, "standalone")
	if !ok || standalone != "" && standalone != "yes" && standalone != "no" || !allSpace(rest) {
		return "", 0, false
	}
	return strings.ToLower(name), end + 2, true
}

// pseudoAttribute takes name="value" from the beginning of b. If another name is there it takes nothing and returns "".
func pseudoAttribute(b []byte, name string) (value string, rest []byte, ok bool) {
	s := bytes.TrimLeft(b, " \t\r\n")
	if !bytes.HasPrefix(s, []byte(name)) {
		return "", b, true
	}
	if len(s) == len(b) {
		return "", nil, false // white space is due before it
	}
	s = bytes.TrimLeft(s[len(name):], " \t\r\n")
	if len(s) == 0 || s[0] != '=' {
		return "", nil, false
	}
	s = bytes.TrimLeft(s[1:], " \t\r\n")
	if len(s) == 0 || s[0] != '"' && s[0] != '\'' {
		return "", nil, false
	}
	end := bytes.IndexByte(s[1:], s[0])
	if end <= 0 {
		return "", nil, false
	}
	return string(s[1 : 1+end]), s[2+end:], true
}
