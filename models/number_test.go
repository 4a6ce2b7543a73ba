package models_test

import (
	"testing"

	"github.com/softacs/softacs/models"
)

func TestNumbersAreNormalised(t *testing.T) {
	t.Parallel()
	plan := models.NumberPlan{Country: "86", Area: "21"}
	for _, c := range []struct {
		typed string
		want  models.Number // empty: not a number
	}{
		{"862162345678", "862162345678"},
		{"+86 21 6234-5678", "862162345678"},
		{"0086 (21) 62345678", "862162345678"},
		{"02162345678", "862162345678"},
		{"62345678", "862162345678"},
		{"6234567", "86216234567"},
		{"13800138000", "8613800138000"},
		{" 138-0013-8000 ", "8613800138000"},
		{"+44 20 7946 0958", "442079460958"},
		{"", ""},
		{"+", ""},
		{"00", ""},
		{"1234567", ""},
		{"+1234567", ""},
		{"1234567890123456", ""},
		{"+0862162345678", ""},
		{"abc", ""},
		{"86216234567a", ""},
		{"８６２１６２３４５６７８", ""},
		{"8621'; DROP TABLE", ""},
	} {
		got, ok := plan.Normalise(c.typed)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Normalise(%q) = %q, %v, want %q", c.typed, got, ok, c.want)
		}
	}
}

func TestE164(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]models.Number{
		"+862162345678": "862162345678", "+12345678": "12345678", "+1234567": "", "862162345678": "", "+0123456789": "", "+86 21": "", "": "",
		"+123456789012345": "123456789012345", "+1234567890123456": "",
	} {
		got, ok := models.ParseE164(typed)
		if got != want || ok != (want != "") {
			t.Errorf("ParseE164(%q) = %q, %v, want %q", typed, got, ok, want)
		}
		if ok && got.E164() != typed {
			t.Errorf("%q is written as %q", typed, got.E164())
		}
	}
}

func TestNumbersAreMasked(t *testing.T) {
	t.Parallel()
	for number, want := range map[models.Number]string{
		"": "", "8613800138000": "+86138****8000", "862162345678": "+86216****5678", "442079460958": "+442****0958", "12345678": "+12****5678",
	} {
		if got := number.Masked(); got != want {
			t.Errorf("%s is masked as %s, want %s", number, got, want)
		}
	}
}
