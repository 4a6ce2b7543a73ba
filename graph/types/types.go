// Package types reads and writes the scalars of the northbound schema and names its abstract types. It knows texts and ranges and nothing of what
// they are used for.
package types

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/models"
)

func bad(message string) error { return models.E(models.BadUserInput, message) }

func raw(text string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, text) })
}

// MarshalID writes the opaque global id of a row: see models.Subject.GlobalID. The zero ID is null.
func MarshalID(s models.Subject) graphql.Marshaler {
	if s.ID.IsZero() {
		return graphql.Null
	}
	return raw(`"` + s.GlobalID() + `"`)
}

// UnmarshalID reads what MarshalID wrote. A text that is no id of ours names nothing: the zero Subject, which no row has.
func UnmarshalID(v any) (models.Subject, error) {
	text, ok := v.(string)
	if !ok {
		return models.Subject{}, bad("an id is a string")
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return models.Subject{}, nil
	}
	kind, rest, found := bytes.Cut(plain, []byte(":"))
	var s models.Subject
	if !found || len(rest) != len(s.ID) {
		return models.Subject{}, nil
	}
	s.Kind = models.Kind(kind)
	copy(s.ID[:], rest)
	return s, nil
}

const exact = 1<<53 - 1

// MarshalLong writes a JSON number, or a string beyond 2^53-1.
func MarshalLong(n int64) graphql.Marshaler {
	text := strconv.FormatInt(n, 10)
	if n > exact || n < -exact {
		text = `"` + text + `"`
	}
	return raw(text)
}

// UnmarshalLong reads a whole number or its digits in a string.
func UnmarshalLong(v any) (int64, error) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, bad("a Long is a whole number of 64 bits")
	}
	return n, nil
}

// MarshalDateTime writes RFC 3339 in UTC with milliseconds; never is null.
func MarshalDateTime(t models.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return raw(`"` + t.String() + `"`)
}

// UnmarshalDateTime reads RFC 3339 with any offset, of the years 1970 to 9999.
func UnmarshalDateTime(v any) (models.Time, error) {
	text, _ := v.(string)
	std, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || std.UnixMilli() <= 0 || std.UTC().Year() > 9999 {
		return 0, bad("a DateTime is RFC 3339, such as 2026-11-23T08:00:00Z")
	}
	return models.TimeOf(std), nil
}

// MarshalPhoneNumber writes the number with its plus; no number is null.
func MarshalPhoneNumber(n models.Number) graphql.Marshaler {
	if n == "" {
		return graphql.Null
	}
	return graphql.MarshalString(n.E164())
}

// UnmarshalPhoneNumber reads + and 8 to 15 digits.
func UnmarshalPhoneNumber(v any) (models.Number, error) {
	text, _ := v.(string)
	n, ok := models.ParseE164(text)
	if !ok {
		return "", bad("a PhoneNumber is + and 8 to 15 digits, the first not 0")
	}
	return n, nil
}

const (
	maxJSONBytes = 64 << 10
	maxJSONDepth = 8
)

// MarshalJSON writes any value.
func MarshalJSON(v any) graphql.Marshaler {
	text, err := json.Marshal(v)
	if err != nil {
		return graphql.Null
	}
	return raw(string(text))
}

// UnmarshalJSON takes any value of at most 64 KiB and depth 8.
func UnmarshalJSON(v any) (any, error) {
	if depth(v) > maxJSONDepth {
		return nil, bad("a JSON value nests at most 8 levels")
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxJSONBytes {
		return nil, bad("a JSON value has at most 64 KiB")
	}
	return v, nil
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	case []any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	default:
		return 0
	}
	return deepest + 1
}
