package i4

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// Parameter is one row of the parameter list (i4.md D.3).
type Parameter struct {
	Name     string // logical, such as sip.outboundProxy
	Path     string
	Type     string // such as xsd:unsignedInt; empty for an object, whose path ends with a dot
	Writable bool   // by the platform
	Secret   bool   // reads back empty, is masked everywhere
	Optional bool   // a client without it still works (resolutions 38)
	// Service is the code of the service that owns it and Leaf its name below the service's object (resolutions 71); "" if an account may
	// not set it through a service.
	Service, Leaf string
	// Switch: it stands behind all other parameters of a SetParameterValues (i4.md B.10).
	Switch bool
	// Local: the user may change it on the client; a difference there is no drift (locallyModifiable, i4.md B.10).
	Local bool

	form form
}

// Check returns value in canonical writing. The error is a *models.Error that says what is allowed: TOO_LONG or INVALID.
func (p Parameter) Check(value string) (string, error) { return p.form.check(value) }

// form is what a value may look like.
type form struct {
	xsd      string
	max      int // characters of a string; 0: any
	from, to int64
	options  []string
}

const (
	xsdString      = "xsd:string"
	xsdBoolean     = "xsd:boolean"
	xsdInt         = "xsd:int"
	xsdUnsignedInt = "xsd:unsignedInt"
	xsdDateTime    = "xsd:dateTime"
)

// parseForm reads the types of profile.yaml, such as string(64), enum(a|b), unsignedInt(1..65535), boolean.
func parseForm(text string) (form, error) {
	bad := fmt.Errorf("type %q is none of string(max), enum(a|b), unsignedInt, unsignedInt(min..max), int, boolean, dateTime, object", text)
	name, rest, bounded := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	if bounded != closed {
		return form{}, bad
	}
	switch {
	case text == "object":
		return form{}, nil
	case name == "string" && bounded:
		n, err := strconv.Atoi(inner)
		if err != nil || n < 1 {
			return form{}, bad
		}
		return form{xsd: xsdString, max: n}, nil
	case name == "enum" && inner != "":
		return form{xsd: xsdString, options: strings.Split(inner, "|")}, nil
	case name == "unsignedInt" && bounded:
		low, high, ok := strings.Cut(inner, "..")
		from, err1 := strconv.ParseUint(low, 10, 32)
		to, err2 := strconv.ParseUint(high, 10, 32)
		if !ok || err1 != nil || err2 != nil || from > to {
			return form{}, bad
		}
		return form{xsd: xsdUnsignedInt, from: int64(from), to: int64(to)}, nil
	case bounded:
		return form{}, bad
	}
	switch f := formOf("xsd:" + name); name {
	case "unsignedInt", "int", "boolean", "dateTime":
		return f, nil
	}
	return form{}, bad
}

// formOf is the form of a bare xsd type; what it does not know is a string.
func formOf(xsd string) form {
	switch xsd {
	case xsdInt:
		return form{xsd: xsd, from: math.MinInt32, to: math.MaxInt32}
	case xsdUnsignedInt:
		return form{xsd: xsd, to: math.MaxUint32}
	}
	return form{xsd: xsd}
}

func (f form) check(value string) (string, error) {
	switch f.xsd {
	case xsdBoolean:
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "1", "true":
			return "1", nil
		case "0", "false":
			return "0", nil
		}
		return "", models.E(models.Invalid, "must be true, false, 1 or 0")
	case xsdInt, xsdUnsignedInt:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil || n < f.from || n > f.to {
			return "", models.E(models.Invalid, fmt.Sprintf("must be a whole number from %d to %d", f.from, f.to))
		}
		return strconv.FormatInt(n, 10), nil
	case xsdDateTime:
		t, ok := cwmp.ParseTime(value, nil)
		if !ok {
			return "", models.E(models.Invalid, "must be a time such as 2012-01-10T01:30:03Z")
		}
		return cwmp.FormatTime(t), nil
	}
	if len(f.options) > 0 {
		if slices.Contains(f.options, value) {
			return value, nil
		}
		return "", models.E(models.Invalid, "must be one of "+strings.Join(f.options, ", "))
	}
	if !inXML(value) {
		return "", models.E(models.Invalid, "must not contain control characters")
	}
	if f.max > 0 && utf8.RuneCountInString(value) > f.max {
		return "", models.E(models.TooLong, fmt.Sprintf("must have at most %d characters", f.max))
	}
	return value, nil
}

// inXML tells whether XML 1.0 can carry s.
func inXML(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}
