package i4

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
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

// Sent learns the secrets of a request: its device may quote them when it complains.
func (r *Redactor) Sent(request *models.Request) {
	for _, v := range request.Values {
		if v.Secret || r.profile.IsSecret(v.Name) {
			r.learn(v.Value)
		}
	}
}

// query is that of a URL within a text; it signs the URL (i4.md C.5).
var query = regexp.MustCompile(`(?i)(https?://[^\s?"'<>]*\?)[^\s"'<>]+`)

// Fault hides in a device's complaint what it was sent as a secret, and the queries of URLs. It takes nil for none.
func (r *Redactor) Fault(f *models.Fault) {
	if f == nil {
		return
	}
	hide := func(text string) string { return r.Text(query.ReplaceAllString(text, "${1}"+Redacted)) }
	f.Message = hide(f.Message)
	for i := range f.Parameters {
		p := &f.Parameters[i]
		if _, known := r.profile.Parameter(p.Path); !known { // it may be any text
			p.Path, p.Name = hide(p.Path), hide(p.Name)
		}
		p.Message = hide(p.Message)
	}
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
