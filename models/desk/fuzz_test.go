package desk

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
)

// Whatever somebody types is refused, or a short text that can be seen and is looked for by a few ranges of indices.
func FuzzSearchText(f *testing.F) {
	for _, text := range []string{"", "021-6234 5678", "８６２１６２３４５６７８", "王小明", "%_'\\", "a\x00", "\u202e1", "\xff", "ﷺﷺﷺ", "00:1A:2b-3c.4d 5e", " sip:x@y "} {
		f.Add(text)
	}
	r := &Room{config: Config{Plan: models.NumberPlan{Country: "86", Area: "21"}}}
	f.Fuzz(func(t *testing.T, text string) {
		clean, err := plain(text)
		if err != nil {
			if models.CodeOf(err) != models.BadUserInput {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		n := utf8.RuneCountInString(clean)
		if n < 1 || n > maxText || !utf8.ValidString(clean) {
			t.Errorf("%q became %q", text, clean)
		}
		for _, c := range clean {
			if !unicode.IsGraphic(c) {
				t.Errorf("%q keeps %U", text, c)
			}
		}
		scope := models.Scope{Regions: []string{"north"}}
		if len(r.accountLeads(clean, scope)) > 9 || len(deviceLeads(clean, scope)) > 6 {
			t.Errorf("%q is looked for in too many places", text)
		}
	})
}
