package server

import "strings"

// maxAuthorization bounds an Authorization header.
const maxAuthorization = 4 << 10

// authorization is an Authorization header taken apart.
type authorization struct {
	scheme string // lower case
	token  string // what follows the scheme, for Basic
	params map[string]string
}

// parseAuthorization reads a header as clients write it: values quoted or not, commas within quotes, commas missing or doubled, space around
// the equals sign, parameters that nobody knows. Of a parameter given twice the first counts. False if it has no meaning at all.
func parseAuthorization(header string) (authorization, bool) {
	header = strings.Trim(header, " \t")
	scheme, rest, _ := strings.Cut(header, " ")
	a := authorization{scheme: strings.ToLower(scheme), token: strings.Trim(rest, " \t")}
	if len(header) > maxAuthorization || scheme == "" {
		return authorization{}, false
	}
	if a.scheme != "digest" {
		return a, true
	}
	a.params = map[string]string{}
	for rest = a.token; ; {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return a, true
		}
		name, after, ok := strings.Cut(rest, "=")
		name = strings.TrimRight(name, " \t")
		if !ok || name == "" || strings.ContainsAny(name, " \t,\"") {
			return authorization{}, false
		}
		value, after, ok := cutValue(strings.TrimLeft(after, " \t"))
		if !ok {
			return authorization{}, false
		}
		if name = strings.ToLower(name); !has(a.params, name) {
			a.params[name] = value
		}
		rest = after
	}
}

func has(m map[string]string, name string) bool {
	_, ok := m[name]
	return ok
}

// cutValue takes a token or a quoted string from the front of s; false if a quote is not closed.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
