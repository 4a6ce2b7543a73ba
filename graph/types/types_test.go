package types_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
)

func text(m graphql.Marshaler) string {
	var b bytes.Buffer
	m.MarshalGQL(&b)
	return b.String()
}

func TestWritten(t *testing.T) {
	for name, c := range map[string][2]string{
		"small long":  {text(types.MarshalLong(1<<53 - 1)), "9007199254740991"},
		"large long":  {text(types.MarshalLong(1 << 53)), `"9007199254740992"`},
		"low long":    {text(types.MarshalLong(-1 << 53)), `"-9007199254740992"`},
		"time":        {text(types.MarshalDateTime(1767578400123)), `"2026-01-05T02:00:00.123Z"`},
		"never":       {text(types.MarshalDateTime(0)), "null"},
		"number":      {text(types.MarshalPhoneNumber("862162345678")), `"+862162345678"`},
		"no number":   {text(types.MarshalPhoneNumber("")), "null"},
		"no id":       {text(types.MarshalID(models.Subject{Kind: models.KindDevice})), "null"},
		"JSON":        {text(types.MarshalJSON(map[string]any{"a": []int{1}})), `{"a":[1]}`},
		"not as JSON": {text(types.MarshalJSON(func() {})), "null"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", name, c[0], c[1])
		}
	}
}

func TestIDs(t *testing.T) {
	s := models.Subject{Kind: models.KindAccount, ID: models.NewID()}
	if back, err := types.UnmarshalID(s.GlobalID()); err != nil || back != s {
		t.Errorf("%v %v", back, err)
	}
	for _, foreign := range []string{"", "!", "QWNjb3VudA", "QWNjb3VudDpzaG9ydA", s.ID.String()} {
		if back, err := types.UnmarshalID(foreign); err != nil || back != (models.Subject{}) {
			t.Errorf("%q names %v, %v", foreign, back, err)
		}
	}
	if _, err := types.UnmarshalID(json.Number("1")); models.CodeOf(err) != models.BadUserInput {
		t.Errorf("a number is an id: %v", err)
	}
}

func TestRead(t *testing.T) {
	nested := func(n int) any {
		var v any = "x"
		for range n {
			v = []any{v}
		}
		return v
	}
	for name, c := range map[string]struct {
		read func(any) error
		v    any
		ok   bool
	}{
		"long":              {long, json.Number("9223372036854775807"), true},
		"long as text":      {long, "-9223372036854775808", true},
		"long too large":    {long, json.Number("9223372036854775808"), false},
		"long a fraction":   {long, json.Number("1.5"), false},
		"long a boolean":    {long, true, false},
		"time":              {dateTime, "2026-11-23T08:00:00+08:00", true},
		"time without zone": {dateTime, "2026-11-23T08:00:00", false},
		"a day":             {dateTime, "2026-11-23", false},
		"before 1970":       {dateTime, "1969-12-31T23:59:59Z", false},
		"time a number":     {dateTime, json.Number("1"), false},
		"number":            {phone, "+862162345678", true},
		"without plus":      {phone, "862162345678", false},
		"zero first":        {phone, "+0862162345678", false},
		"too long":          {phone, "+8621623456789012", false},
		"spaces":            {phone, "+86 21 6234 5678", false},
		"JSON":              {free, map[string]any{"a": nested(7)}, true},
		"JSON too deep":     {free, map[string]any{"a": nested(8)}, false},
		"JSON too large":    {free, strings.Repeat("x", 64<<10), false},
	} {
		if err := c.read(c.v); (err == nil) != c.ok || err != nil && models.CodeOf(err) != models.BadUserInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func long(v any) error     { _, err := types.UnmarshalLong(v); return err }
func dateTime(v any) error { _, err := types.UnmarshalDateTime(v); return err }
func phone(v any) error    { _, err := types.UnmarshalPhoneNumber(v); return err }
func free(v any) error     { _, err := types.UnmarshalJSON(v); return err }
