package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/softacs/softacs/models/store/storetest"
)

// The real process is killed between a receiver's 2xx and the commit of the place, again and again. What was taken may be heard twice; nothing is
// missing, and without the repeats everything is in order.
func TestWebhookCrash(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, labConfig(t, database(t), nil))
			v.start()
			answered := make(chan struct{}, 100)
			r := newReceiver(t, nil)
			r.answers(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusNoContent)
				_ = http.NewResponseController(w).Flush() // it may be gone already
				answered <- struct{}{}
				return true
			})
			p := &platform{t: t, north: v.north}
			signIn := func() { p.token = p.accessToken("bss", "a-secret-for-the-tests") }
			signIn()
			begin := p.head()
			id := p.hook(r.URL, nil)
			for n := range 4 {
				for range 3 {
					p.provision(nil)
				}
				<-answered
				v.kill()
				for len(answered) > 0 {
					<-answered
				}
				v.start()
				signIn()
				if n > 0 { // once the lease of the dead is waited for; otherwise it is taken away
					p.mutate("rewindWebhook", "webhook { id }", object{"id": id, "cursor": p.webhook(id).text("ackedCursor")})
				} else {
					<-answered
				}
			}
			last, _, _ := p.provision(nil)
			r.awaits(last)
			want := p.log(begin)
			seen := map[string]bool{}
			var heard []string
			for _, e := range r.heard() {
				if cursor := e.text("cursor"); !seen[cursor] {
					seen[cursor] = true
					heard = append(heard, cursor)
				}
			}
			missing := slices.DeleteFunc(slices.Clone(want), func(e object) bool { return seen[e.text("cursor")] })
			inOrder := slices.EqualFunc(want, heard, func(e object, cursor string) bool { return e.text("cursor") == cursor })
			if !inOrder || len(missing) > 0 {
				t.Errorf("heard %d, want %d, missing %v", len(heard), len(want), missing)
			}
			if repeats := len(r.heard()) - len(heard); repeats > 0 {
				t.Logf("%d of %d were heard twice", repeats, len(heard))
			}
			v.terminate()
		})
	}
}
