package models

import (
	"regexp"
	"strings"
)

// Number is a telephone number in E.164 digits without the plus.
type Number string

// E164 writes the number with its plus; empty for no number.
func (n Number) E164() string {
	if n == "" {
		return ""
	}
	return "+" + string(n)
}

// Masked keeps the first digits and the last four, as in +86138****0001; empty for no number.
func (n Number) Masked() string {
	if n == "" {
		return ""
	}
	keep := 3
	if strings.HasPrefix(string(n), "86") {
		keep = 5
	}
	if len(n) < keep+6 {
		keep = len(n) - 6
	}
	return "+" + string(n[:max(keep, 0)]) + "****" + string(n[max(len(n)-4, 0):])
}

// NumberPlan says how numbers are typed at home (i4.number, resolutions 19).
type NumberPlan struct {
	Country string // country code, e.g. 86
	Area    string // area code without trunk zero, e.g. 21; put before bare subscriber numbers
}

var (
	e164        = regexp.MustCompile(`^[1-9]\d{7,14}$`)
	homeMobile  = regexp.MustCompile(`^1[3-9]\d{9}$`)
	subscriber  = regexp.MustCompile(`^[2-9]\d{6,7}$`)
	punctuation = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "")
)

// ParseE164 reads + and 8 to 15 digits, the only form that the north accepts.
func ParseE164(s string) (Number, bool) {
	digits, plus := strings.CutPrefix(s, "+")
	if !plus || !e164.MatchString(digits) {
		return "", false
	}
	return Number(digits), true
}

// Normalise reads a number in any usual writing: +86…, 0086…, 021…, a mobile number, a bare subscriber number (i4.md B).
// It reports false if what is left is not a number.
func (p NumberPlan) Normalise(typed string) (Number, bool) {
	s := punctuation.Replace(strings.TrimSpace(typed))
	switch {
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	case strings.HasPrefix(s, "00"):
		s = s[2:]
	case strings.HasPrefix(s, "0"):
		s = p.Country + s[1:]
	case homeMobile.MatchString(s):
		s = p.Country + s
	case subscriber.MatchString(s):
		s = p.Country + p.Area + s
	}
	if !e164.MatchString(s) {
		return "", false
	}
	return Number(s), true
}
