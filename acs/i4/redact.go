package i4

import (
	"cmp"
	"slices"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
)

const (
	// maxLearnt is how many texts a Redactor looks for; shortest is the shortest of them: what is shorter is found everywhere by chance.
	maxLearnt = 2000
	shortest  = 4
	// A number is written with country code, area code or neither, so what all have in common is looked for.
	significantDigits = 8
)

// Redactor hides what must not be kept of the messages of one session: secrets and personal data, by the names of their parameters and then
// wherever their values occur. Use it by one goroutine at a time.
type Redactor struct {
	profile *Profile
	learnt  map[string]bool
}

// Redactor returns one that has learnt nothing yet.
func (p *Profile) Redactor() *Redactor { return &Redactor{profile: p, learnt: map[string]bool{}} }

// Message returns the text of a message without what its names tell must not be kept, and learns that. Before it is kept it has to pass Text,
// when all messages of the session are known. ok is false if it cannot be made safe.
func (r *Redactor) Message(body []byte, contentType string) (text string, ok bool) {
	out, hidden, err := cwmp.Redact(body, contentType, Redacted, func(name string) bool { return r.profile.IsSecret(name) || r.profile.IsPersonal(name) })
	if err != nil {
		return "", false
	}
	for _, value := range hidden {
		r.learn(value)
		for _, run := range strings.FieldsFunc(value, func(c rune) bool { return c < '0' || c > '9' }) {
			if len(run) >= significantDigits {
				r.learn(run[len(run)-significantDigits:])
			}
		}
	}
	return string(out), len(r.learnt) <= maxLearnt
}

func (r *Redactor) learn(value string) {
	value = strings.TrimSpace(value)
	if len(value) < shortest || value == Redacted || len(r.learnt) > maxLearnt {
		return
	}
	r.learnt[value] = true
}

// Text hides every text that was learnt.
func (r *Redactor) Text(text string) string {
	longest := make([]string, 0, 2*len(r.learnt))
	for value := range r.learnt {
		longest = append(longest, value)
		if escaped := inElement.Replace(value); escaped != value {
			longest = append(longest, escaped)
		}
	}
	// The longest first, so that no part of one is left because another was found within it.
	slices.SortFunc(longest, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(longest))
	for _, value := range longest {
		pairs = append(pairs, value, Redacted)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// inElement writes a text as cwmp.Redact does.
var inElement = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
