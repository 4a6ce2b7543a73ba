package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models/store/storetest"
)

const hookSecret = "a-webhook-secret-for-the-tests"

// receiver is what a BSS runs to hear of events.
type receiver struct {
	t       *testing.T
	secrets []string // any of them has to fit
	*httptest.Server

	mu     sync.Mutex
	events []object
	posts  []http.Header
	// answer, if there is one, stands for 204; what it does not take with 2xx does not count as heard.
	answer func(n int, w http.ResponseWriter, r *http.Request) (taken bool)
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request) bool) *receiver {
	t.Helper()
	r := &receiver{t: t, secrets: []string{hookSecret}, answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the platform ended in the middle of it
	}
	var post struct {
		WebhookID string
		Events    []object
	}
	if err := json.Unmarshal(body, &post); err != nil || post.WebhookID == "" || len(post.Events) == 0 || q.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	n := len(r.posts) + 1
	r.posts = append(r.posts, q.Header.Clone())
	answer := r.answer
	r.mu.Unlock()
	if fitting := r.signed(q.Header, body); fitting == 0 {
		r.t.Errorf("no secret fits %v", q.Header)
	}
	if answer != nil && !answer(n, w, q) {
		return
	}
	r.mu.Lock()
	r.events = append(r.events, post.Events...)
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
	}
}

// signed tells how many of the signatures fit a secret, as docs/api.md says it is done.
func (r *receiver) signed(header http.Header, body []byte) (fitting int) {
	at, err := strconv.ParseInt(header.Get("Softacs-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		r.t.Errorf("timestamp %q", header.Get("Softacs-Timestamp"))
	}
	for one := range strings.SplitSeq(header.Get("Softacs-Signature"), ",") {
		given, err := hex.DecodeString(strings.TrimPrefix(one, "v1="))
		if err != nil {
			r.t.Error(err)
		}
		for _, secret := range r.secrets {
			mac := hmac.New(sha256.New, []byte(secret))
			fmt.Fprintf(mac, "%d.%s", at, body)
			if hmac.Equal(given, mac.Sum(nil)) {
				fitting++
			}
		}
	}
	return fitting
}

func (r *receiver) heard() []object {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *receiver) headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

func (r *receiver) answers(f func(n int, w http.ResponseWriter, r *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// awaits waits until a receiver has heard of an account.
func (r *receiver) awaits(account string) {
	r.t.Helper()
	storetest.Eventually(r.t, "the receiver hears of the account", func() bool {
		return slices.ContainsFunc(r.heard(), func(e object) bool { return e.text("accountId") == account })
	})
}

// hook makes a webhook and returns its id.
func (p *platform) hook(url string, more object) string {
	p.t.Helper()
	input := object{"url": url, "types": []string{}, "secret": hookSecret}
	for k, v := range more {
		input[k] = v
	}
	return p.mutate("saveWebhook", "webhook { id }", input).text("webhook.id")
}

const hookFields = `id version url types enabled state ackedCursor lagSeconds consecutiveFailures failingSince nextAttemptAt lastError
	deliveries(first: 20) { nodes { id cursor events attempt statusCode error at } pageInfo { hasNextPage endCursor } }`

func (p *platform) webhook(id string) object {
	p.t.Helper()
	w, _ := p.query(`query($id: ID!) { node(id: $id) { ... on Webhook { `+hookFields+` } } }`, object{"id": id})["node"].(map[string]any)
	return w
}

// waitForHook waits until a webhook looks as ok wants.
func (p *platform) waitForHook(id, what string, ok func(w object) bool) object {
	p.t.Helper()
	var w object
	storetest.Eventually(p.t, what, func() bool {
		w = p.webhook(id)
		return ok(w)
	})
	return w
}

func (p *platform) head() string { return p.query(`{ eventHead }`, nil).text("eventHead") }

// log is what events answers after a cursor.
func (p *platform) log(after string) (list []object) {
	p.t.Helper()
	nodes, _ := p.query(`query($after: String) { events(after: $after, first: 1000) { nodes { cursor id type occurredAt subjectId accountId accountExternalId
		deviceId region payloadVersion payload } } }`, object{"after": after}).at("events.nodes").([]any)
	for _, n := range nodes {
		list = append(list, n.(map[string]any))
	}
	return list
}

// What receivers hear is what events answers, in its order, whole or narrowed; later than said, again when asked, and never when nobody wants it.
func TestWebhooks(t *testing.T) {
	quick := func(c *Config) { c.Webhooks.Timeout = 1 }
	eachPlatform(t, quick, func(t *testing.T, p *platform) {
		p.run("order and filters", func(t *testing.T, p *platform) {
			begin := p.head()
			all, created, west, one := newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, nil)
			p.hook(all.URL, nil)
			p.hook(created.URL, object{"types": []string{"ACCOUNT_CREATED"}})
			p.hook(west.URL, object{"filter": object{"regions": []string{"west"}}})
			var ids []string
			for i := range 12 {
				id, msisdn, _ := p.provision(object{"region": []string{"east", "west"}[i%2]})
				ids = append(ids, id)
				p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m" + msisdn, "account": object{"id": id}, "maxDevices": 2})
			}
			p.hook(one.URL, object{"filter": object{"accountIds": []string{ids[3]}}, "from": ""})
			last, _, _ := p.provision(object{"region": "west"})
			all.awaits(last)
			created.awaits(last)
			west.awaits(last)
			compare := func(name string, r *receiver, wanted func(object) bool) {
				var want []object
				for _, e := range p.log(begin) {
					for key, value := range e {
						if value == nil {
							delete(e, key)
						}
					}
					if wanted(e) {
						want = append(want, e)
					}
				}
				heard := r.heard()
				for _, e := range heard {
					for _, more := range []string{"causedBy", "requestId", "subjectVersion", "clientType", "onBehalfOf"} {
						delete(e, more)
					}
				}
				if len(want) > 0 && !reflect.DeepEqual(heard, want) {
					t.Errorf("%s: heard %v\nwant %v", name, heard, want)
				}
			}
			compare("all", all, func(object) bool { return true })
			compare("created", created, func(e object) bool { return e.text("type") == "ACCOUNT_CREATED" })
			compare("west", west, func(e object) bool { return e.text("region") == "west" })
			storetest.Eventually(t, "the account's two events arrive", func() bool { return len(one.heard()) == 2 })
			compare("one", one, func(e object) bool { return e.text("accountId") == ids[3] })
			for _, post := range created.headers() {
				if post.Get("Softacs-Attempt") != "1" || post.Get("Softacs-Delivery") == "" {
					t.Errorf("%v", post)
				}
			}
		})
		p.run("failures", func(t *testing.T, p *platform) {
			r := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) bool {
				status := http.StatusNoContent
				if n == 1 {
					status = http.StatusInternalServerError
				}
				w.WriteHeader(status)
				return n > 1
			})
			id := p.hook(r.URL, nil)
			account, _, _ := p.provision(nil)
			p.waitForHook(id, "the first attempt is seen to fail", func(w object) bool {
				return w.text("state") == "RETRYING" && w.at("consecutiveFailures") == 1.0 && w.text("nextAttemptAt") != "" && w.text("failingSince") != "" &&
					w.text("lastError") == "the receiver answered 500" && w.at("deliveries.nodes.0.statusCode") == 500.0
			})
			r.awaits(account)
			w := p.waitForHook(id, "the second attempt is seen to succeed", func(w object) bool { return w.text("state") == "ACTIVE" && w.at("lagSeconds") == 0.0 })
			first := object(w.at("deliveries.nodes.0").(map[string]any))
			if w.at("consecutiveFailures") != 0.0 || first.at("attempt") != 2.0 || first.at("statusCode") != 204.0 || first.at("error") != nil || first.text("cursor") == "" {
				t.Errorf("%v", w)
			}
			if second := r.headers()[1]; second.Get("Softacs-Attempt") != "2" || second.Get("Softacs-Delivery") != first.text("id") {
				t.Errorf("%v, %v", second, first)
			}
		})
		p.run("rewind, switch off, change", rewound)
		p.run("hostile receivers", hostile)
		p.run("rights", hookRights)
	})
}

func rewound(t *testing.T, p *platform) {
	r := newReceiver(t, nil)
	id := p.hook(r.URL, object{"types": []string{"ACCOUNT_CREATED"}})
	account, _, _ := p.provision(nil)
	r.awaits(account)
	first := r.heard()[0]
	rewind := func(more object) {
		t.Helper()
		input := object{"id": id, "cursor": ""}
		for k, v := range more {
			input[k] = v
		}
		p.mutate("rewindWebhook", "webhook { ackedCursor }", input)
	}
	times := func(account string) (n int) {
		for _, e := range r.heard() {
			if e.text("accountId") == account {
				n++
			}
		}
		return n
	}
	rewind(nil)
	storetest.Eventually(t, "everything is heard again", func() bool { return times(account) == 2 })
	if again := r.heard()[1]; again.text("cursor") == first.text("cursor") || times(account) != 2 {
		t.Error("from the start there is more than the last one")
	}
	rewind(object{"since": first.text("occurredAt")})
	storetest.Eventually(t, "what was since then is heard again", func() bool { return times(account) == 3 })
	rewind(object{"cursor": first.text("cursor")}) // after it: nothing
	next, _, _ := p.provision(nil)
	r.awaits(next)
	if times(account) != 3 || times(next) != 1 {
		t.Errorf("%d and %d times", times(account), times(next))
	}

	off := p.mutate("saveWebhook", "webhook { version state enabled ackedCursor }", object{"id": id, "expectedVersion": 1, "url": r.URL, "types": []string{"ACCOUNT_CREATED"}, "enabled": false})
	if off.text("webhook.state") != "DISABLED" || off.at("webhook.version") != 2.0 {
		t.Errorf("%v", off)
	}
	missed, _, _ := p.provision(nil)
	witness := newReceiver(t, nil)
	p.hook(witness.URL, object{"from": off.text("webhook.ackedCursor")})
	witness.awaits(missed)
	if times(missed) != 0 {
		t.Error("one that is switched off hears of events")
	}
	// On again, with another secret: both sign, and nothing was lost.
	r.mu.Lock()
	r.secrets = []string{"another-secret-for-the-tests", hookSecret}
	before := len(r.posts)
	r.mu.Unlock()
	p.mutate("saveWebhook", "webhook { version }", object{"id": id, "expectedVersion": 2, "url": r.URL, "types": []string{"ACCOUNT_CREATED"}, "secret": "another-secret-for-the-tests"})
	r.awaits(missed)
	if header := r.headers()[before]; strings.Count(header.Get("Softacs-Signature"), "v1=") != 2 {
		t.Errorf("%v", header)
	}
}

// hostile receivers cost themselves time and nobody else.
func hostile(t *testing.T, p *platform) {
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	defer close(leave)
	inside := newReceiver(t, nil)
	receivers := map[string]struct {
		answer func(n int, w http.ResponseWriter, r *http.Request) bool
		want   func(w object) bool
	}{
		"hangs": {
			func(_ int, _ http.ResponseWriter, r *http.Request) bool {
				entered <- struct{}{}
				select {
				case <-leave:
				case <-r.Context().Done():
				}
				return false
			},
			func(w object) bool { return w.text("lastError") == "the receiver did not answer in time" },
		},
		"header by header": {
			func(_ int, w http.ResponseWriter, r *http.Request) bool {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return false
				}
				defer conn.Close()
				_, err = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n")
				for i := 0; err == nil && r.Context().Err() == nil; i++ {
					_, err = fmt.Fprintf(conn, "X-%d: x\r\n", i)
					select {
					case <-leave:
						return false
					case <-time.After(10 * time.Millisecond):
					}
				}
				return false
			},
			func(w object) bool { return w.text("lastError") == "the receiver did not answer in time" },
		},
		"endless header": {
			func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return false
				}
				defer conn.Close()
				_, err = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nX: ")
				for err == nil {
					_, err = conn.Write(make([]byte, 1<<16))
				}
				return false
			},
			func(w object) bool {
				return w.text("state") == "RETRYING" && w.at("deliveries.nodes.0.statusCode") == nil
			},
		},
		"ten gigabytes": {
			func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusOK)
				for sent := 0; sent < 10<<30; sent += 1 << 20 {
					if _, err := w.Write(make([]byte, 1<<20)); err != nil {
						return true
					}
				}
				t.Error("somebody read all of it")
				return true
			},
			func(w object) bool {
				return w.text("state") == "ACTIVE" && w.at("deliveries.nodes.0.statusCode") == 200.0
			},
		},
		"redirects inside": {
			func(_ int, w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
				return false
			},
			func(w object) bool { return w.text("lastError") == "the receiver answered 307" },
		},
		"no HTTP": {
			func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
					_ = conn.Close()
				}
				return false
			},
			func(w object) bool {
				return w.text("state") == "RETRYING" && w.at("deliveries.nodes.0.statusCode") == nil
			},
		},
	}
	good := newReceiver(t, nil)
	p.hook(good.URL, nil)
	hooks := map[string]string{}
	for name, x := range receivers {
		hooks[name] = p.hook(newReceiver(t, x.answer).URL, object{"types": []string{"ACCOUNT_CREATED"}})
	}
	account, _, _ := p.provision(nil)
	good.awaits(account)
	<-entered // one of them holds its request, and others hear of what comes
	account, _, _ = p.provision(nil)
	good.awaits(account)
	for name, x := range receivers {
		p.waitForHook(hooks[name], name, x.want)
	}
	if heard := inside.headers(); len(heard) > 0 {
		t.Errorf("a redirect was followed: %v", heard)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	p.hook(gone.URL, nil)
	id := p.hook(gone.URL+"/?token=very-secret", nil)
	p.provision(nil)
	w := p.waitForHook(id, "nobody is there", func(w object) bool { return w.text("lastError") != "" })
	if strings.Contains(w.text("lastError"), "very-secret") {
		t.Error(w.text("lastError"))
	}
}

// hookRights: a webhook hears of what its maker may read, as long as they may.
func hookRights(t *testing.T, p *platform) {
	role := p.mutate("saveRole", "role { id }", object{"name": "east-hooks", "permissions": []string{"WEBHOOK_ADMIN", "EVENT_READ"}, "regions": []string{"east"}}).text("role.id")
	var client any // none yet
	save := func(enabled bool) {
		client = p.mutate("saveApiClient", "apiClient { id }", object{"id": client, "clientId": "east", "roleIds": []string{role}, "enabled": enabled}).at("apiClient.id")
	}
	save(true)
	secret := p.mutate("rotateApiClientSecret", "secret", object{"id": client, "idempotencyKey": "east"}).text("secret")
	r := newReceiver(t, nil)
	east := *p
	east.token = p.accessToken("east", secret)
	theirs := p.hook(newReceiver(t, nil).URL, nil)
	id := east.hook(r.URL, nil)
	p.provision(object{"region": "west"})
	p.provision(nil)
	account, _, _ := p.provision(object{"region": "east"})
	r.awaits(account)
	for _, e := range r.heard() {
		if e.text("region") != "east" {
			t.Errorf("heard of %v", e)
		}
	}
	if list := east.query(`{ webhooks { id url } }`, nil).at("webhooks").([]any); len(list) != 1 || object(list[0].(map[string]any)).text("id") != id {
		t.Errorf("somebody of a region sees %v", list)
	}
	if w := east.webhook(theirs); w != nil {
		t.Errorf("somebody of a region reads %v", w)
	}
	for name, input := range map[string]object{"saveWebhook": {"id": theirs, "url": r.URL, "types": []string{}}, "rewindWebhook": {"id": theirs, "cursor": ""}} {
		inputType := strings.ToUpper(name[:1]) + name[1:] + "Input"
		raw := east.raw(fmt.Sprintf("mutation($i: %s!) { %s(input: $i) { webhook { id } userErrors { code field } } }", inputType, name), object{"i": input})
		if !strings.Contains(raw, `"code":"NOT_FOUND"`) {
			t.Errorf("%s: %s", name, raw)
		}
	}
	save(false)
	p.waitForHook(id, "the maker is gone", func(w object) bool {
		if w.text("state") != "RETRYING" {
			p.provision(object{"region": "east"})
		}
		return w.text("state") == "RETRYING" && strings.HasPrefix(w.text("lastError"), "nothing could be sent: ")
	})
	save(true)
	p.mutate("saveWebhook", "webhook { state }", object{"id": id, "url": r.URL, "types": []string{}})
	account, _, _ = p.provision(object{"region": "east"})
	r.awaits(account)
}
