package graph_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/graph/transport"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

const following = `subscription($after: String, $filter: EventFilter) { eventStream(after: $after, filter: $filter) { cursor type } }`

// events reads a stream until f says that it has enough; errOver when it ends before.
func (o *open) events(body io.Reader, f func(sent) bool) error {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, 1<<20)
	var one sent
	data := false
	for scanner.Scan() {
		name, value, _ := strings.Cut(scanner.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			one.event = value
		case "id":
			one.id = value
		case "data":
			one.data, data = one.data+value, true
		}
		if scanner.Text() == "" && data {
			if !f(one) {
				return nil
			}
			one, data = sent{}, false
		}
	}
	return errOver
}

// Closing codes are those of the protocol; what a client gets wrong closes its own socket only.
func TestSocketsFollowTheProtocol(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{})
	init := fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, o.bss)
	subscribe := `{"id":"1","type":"subscribe","payload":{"query":"subscription { eventStream { cursor } }"}}`
	bystander := o.connect(o.bss)
	bystander.subscribe("b", following, nil)
	for name, c := range map[string]struct {
		messages []string
		code     websocket.StatusCode
	}{
		"no JSON":                 {[]string{`hello`}, 4400},
		"no type":                 {[]string{`{}`}, 4400},
		"unknown type":            {[]string{init, `{"type":"start"}`}, 4400},
		"a list":                  {[]string{`[]`}, 4400},
		"id a number":             {[]string{init, `{"id":1,"type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400},
		"no id":                   {[]string{init, `{"type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400},
		"empty id":                {[]string{init, `{"id":"","type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400},
		"no payload":              {[]string{init, `{"id":"1","type":"subscribe"}`}, 4400},
		"no query":                {[]string{init, `{"id":"1","type":"subscribe","payload":{}}`}, 4400},
		"complete without id":     {[]string{init, `{"type":"complete"}`}, 4400},
		"ping with a list":        {[]string{init, `{"type":"ping","payload":[]}`}, 4400},
		"init with a list":        {[]string{`{"type":"connection_init","payload":[]}`}, 4400},
		"init with a number":      {[]string{`{"type":"connection_init","payload":{"authorization":1}}`}, 4400},
		"subscribe before init":   {[]string{subscribe}, 4401},
		"no token":                {[]string{`{"type":"connection_init"}`}, 4403},
		"wrong token":             {[]string{`{"type":"connection_init","payload":{"authorization":"Bearer x"}}`}, 4403},
		"other scheme":            {[]string{`{"type":"connection_init","payload":{"authorization":"Basic eDp4"}}`}, 4403},
		"same id twice":           {[]string{init, subscribe, subscribe}, 4409},
		"init twice":              {[]string{init, init}, 4429},
		"a frame that is too big": {[]string{init, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", 256<<10) + `"}}`}, websocket.StatusMessageTooBig},
	} {
		s := o.dial()
		for _, m := range c.messages {
			s.send(m)
		}
		if code := s.closed(); code != c.code {
			t.Errorf("%s: closed with %d, want %d", name, code, c.code)
		}
	}
	if code := o.dial("graphql-ws").closed(); code != 4406 {
		t.Errorf("another subprotocol: %d", code)
	}
	late := o.dial()
	h.clock.Advance(time.Second)
	storetest.Eventually(t, "somebody looks", func() bool { h.clock.Advance(10 * time.Second); return h.clock.Waiting() > 0 })
	if code := late.closed(); code != 4408 {
		t.Errorf("no connection_init: %d", code)
	}
	o.append(1)
	bystander.cursors("b", 1)
}

func TestOperationsOverASocket(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{Operations: 3})
	s := o.connect(o.bss)
	s.send(`{"type":"ping"}`)
	s.want(`{"type":"pong"}`)
	s.send(`{"type":"ping","payload":{"a":[1]}}`)
	s.want(`{"type":"pong","payload":{"a":[1]}}`)
	s.send(`{"type":"pong"}`)
	s.subscribe("q", `{ __typename }`, nil)
	s.want(`{"id":"q","type":"next","payload":{"data":{"__typename":"Query"}}}`)
	s.want(`{"id":"q","type":"complete"}`)
	s.subscribe("q", provisionAccount, h.input("ext-1", "+862162345678", nil)) // the id is free again
	if m := s.next(); dig(m, "payload.data.provisionAccount.account.externalId") != "ext-1" {
		t.Errorf("got %v", m)
	}
	s.want(`{"id":"q","type":"complete"}`)
	for query, code := range map[string]string{
		`{`:                           "GRAPHQL_PARSE_FAILED",
		`{ nothing }`:                 "GRAPHQL_VALIDATION_FAILED",
		`subscription { __typename }`: "GRAPHQL_VALIDATION_FAILED",
		`subscription { a: eventStream { cursor } b: eventStream { cursor } }`: "GRAPHQL_VALIDATION_FAILED",
		`subscription { eventStream(after: "x") { cursor } }`:                  "BAD_USER_INPUT",
	} {
		s.subscribe("e", query, nil)
		if m := s.next(); m["type"] != "error" || m["id"] != "e" || dig(m, "payload.0.extensions.code") != code || dig(m, "payload.0.extensions.requestId") == nil {
			t.Errorf("%s: %v", query, m)
		}
	} // no `complete` follows: the next message is the next error
	o.settled()
	s.subscribe("1", following, map[string]any{"filter": map[string]any{"types": []any{"ACCOUNT_CREATED"}}})
	s.cursors("1", 1)
	s.subscribe("2", following, map[string]any{"filter": map[string]any{"types": []any{"DEVICE_INFORM"}}})
	s.subscribe("3", following, map[string]any{"filter": map[string]any{"types": []any{"DEVICE_INFORM"}}})
	s.subscribe("4", following, nil)
	if m := s.next(); m["id"] != "4" || dig(m, "payload.0.extensions.code") != "THROTTLED" {
		t.Errorf("one too many: %v", m)
	}
	s.send(`{"id":"2","type":"complete"}`)
	s.send(`{"id":"unknown","type":"complete"}`)
	s.subscribe("2", following, map[string]any{"filter": map[string]any{"types": []any{"TASK_STATE_CHANGED"}}})
	o.appendOf(1, models.TaskStateChanged, models.Subject{Kind: models.KindTask, ID: models.NewID()}, "", "x")
	s.cursors("2", 1)
	o.appendOf(1, models.DeviceInform, models.Subject{Kind: models.KindDevice, ID: models.NewID()}, "", "x")
	s.cursors("3", 1)
	// A subscription is not one answer.
	for _, accept := range []string{"application/json", "application/graphql-response+json"} {
		a := h.askIn(t.Context(), o.bss, following, nil, map[string]string{"Accept": accept})
		if a.code() != "BAD_USER_INPUT" {
			t.Errorf("%s: %d %s", accept, a.status, a.text)
		}
	}
}

// Whoever follows over either protocol and is cut off again and again, wherever it may be, has seen everything once and in order.
func TestStreamsMissNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		o := newHouse(t, s, clock, false).open(transport.Limits{})
		var writers, readers sync.WaitGroup
		seen := make([][]string, 6)
		var mu sync.Mutex
		note := func(i int, cursor string) (n int) {
			mu.Lock()
			defer mu.Unlock()
			seen[i] = append(seen[i], cursor)
			return len(seen[i])
		}
		last := func(i int) string {
			mu.Lock()
			defer mu.Unlock()
			if len(seen[i]) == 0 {
				return ""
			}
			return seen[i][len(seen[i])-1]
		}
		const total = 3*50*2 + 1
		for i := range seen {
			readers.Go(func() {
				for done := false; !done; {
					if i%2 == 0 {
						w := o.connect(o.bss)
						w.subscribe("x", following, map[string]any{"after": last(i)})
						for cut := false; !cut && !done; {
							n := note(i, w.cursors("x", 1)[0])
							done, cut = n >= total, n%(17+i) == 0
						}
						_ = w.CloseNow()
						continue
					}
					ctx, cancel := context.WithCancel(context.Background())
					r, err := o.sse(ctx, o.bss, following, nil, map[string]string{"Last-Event-ID": last(i)})
					if err != nil || r.StatusCode != http.StatusOK {
						t.Error(r, err)
						cancel()
						return
					}
					_ = o.events(r.Body, func(e sent) bool {
						if e.event != "next" || e.id == "" || !strings.Contains(e.data, `"cursor":"`+e.id+`"`) {
							t.Errorf("got %+v", e)
						}
						n := note(i, e.id)
						done = n >= total
						return !done && n%(23+i) != 0
					})
					cancel()
					_ = r.Body.Close()
				}
			})
		}
		for range 3 {
			writers.Go(func() {
				for i := range 50 {
					o.append(1 + 2*(i%2))
				}
			})
		}
		writers.Wait()
		o.append(1)
		readers.Wait()
		all := o.settled()
		for i, cursors := range seen {
			if !slices.Equal(cursors, all) {
				t.Errorf("%d saw %d events of %d, or in another order", i, len(cursors), len(all))
			}
		}
	})
}

// TestMain finds out whether anything is left running once all is closed, but for what GORM never ends: a loop of each store's statement cache.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// A token that ends, ends what was opened with it, and whoever loses a right loses what needs it.
func TestStreamsEndWithTheirRights(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{})
	weak := h.client("weak", nil, models.EventRead)
	s, short := o.connect(o.bss), o.connect(weak)
	short.subscribe("1", following, nil)
	r, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	o.append(1)
	short.cursors("1", 1)
	h.must(h.bss, `mutation($i: SaveRoleInput!) { saveRole(input: $i) { role { id } userErrors { code message } } }`, map[string]any{"i": map[string]any{
		"id": h.must(h.bss, `{ roles { id name } }`, nil).role("weak"), "name": "weak", "permissions": []any{"ACCOUNT_READ"}, "regions": []any{},
	}})
	stop := o.moving(time.Second)
	if m := short.next(); m["type"] != "error" || dig(m, "payload.0.extensions.code") != "FORBIDDEN" {
		t.Errorf("without EVENT_READ: %v", m)
	}
	short.subscribe("1", following, nil)
	if m := short.next(); m["type"] != "error" || dig(m, "payload.0.extensions.code") != "FORBIDDEN" {
		t.Errorf("without EVENT_READ: %v", m)
	}
	stop()
	h.clock.Advance(10 * time.Minute)
	stop = o.moving(time.Second)
	defer stop()
	if code := s.closed(); code != 4403 {
		t.Errorf("the socket closed with %d", code)
	}
	var got []string
	_ = o.events(r.Body, func(e sent) bool {
		if e.event == "complete" || strings.Contains(e.data, "UNAUTHENTICATED") {
			got = append(got, e.event)
		}
		return true
	})
	if fmt.Sprint(got) != "[next complete]" {
		t.Errorf("the stream ended with %v", got)
	}
	again, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil || again.StatusCode != http.StatusUnauthorized {
		t.Error(again, err)
	}
	_ = again.Body.Close()
}

// role finds a role's id by its name.
func (a answer) role(name string) any {
	list, _ := a.at("roles").([]any)
	for _, r := range list {
		if dig(r, "name") == name {
			return dig(r, "id")
		}
	}
	return nil
}

// moving moves the clock on until stop.
func (o *open) moving(step time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for (models.SystemClock{}).Wait(ctx, 5*time.Millisecond) == nil {
			o.clock.Advance(step)
		}
	})
	return func() { cancel(); done.Wait() }
}

// A peer who does not read is cut; it holds up nobody and may go on after its last cursor.
func TestASlowPeerIsCut(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{Write: 500 * time.Millisecond})
	o.client = narrow()
	slow := o.connect(o.bss)
	const wide = `subscription($after: String) { eventStream(after: $after) { cursor payload } }`
	silent, err := o.sse(t.Context(), o.bss, wide, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Body.Close()
	defer o.client.CloseIdleConnections()
	o.client = http.DefaultClient
	quick := o.connect(o.bss)
	slow.subscribe("x", wide, nil)
	quick.subscribe("x", wide, nil)
	const each, rounds = 10, 40
	for range rounds { // more than the buffers of a connection hold
		o.appendOf(each, models.AccountChanged, models.Subject{Kind: models.KindAccount, ID: models.NewID()}, "", strings.Repeat("x", 8000))
		quick.cursors("x", each)
	}
	all := o.settled()
	storetest.Eventually(t, "the others are cut", func() bool { return o.log.Followers() == 1 })
	var first []string
	for {
		m, err := slow.receive()
		if err != nil {
			break
		}
		first = append(first, dig(m, "payload.data.eventStream.cursor").(string))
	}
	if len(first) == 0 || len(first) == len(all) {
		t.Fatalf("the slow one got %d of %d", len(first), len(all))
	}
	again := o.connect(o.bss)
	again.subscribe("x", wide, map[string]any{"after": first[len(first)-1]})
	if got := append(first, again.cursors("x", len(all)-len(first))...); !slices.Equal(got, all) {
		t.Error("the slow one missed something")
	}
	n := 0
	if err := o.events(silent.Body, func(sent) bool { n++; return true }); n == 0 || n == len(all) {
		t.Errorf("the silent stream got %d of %d, %v", n, len(all), err)
	}
}

// narrow is a client whose system keeps little of what it has not read.
func narrow() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(8 << 10)
		}
		return c, err
	}}}
}

func TestConnectionsAreLimited(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{Connections: 4, PerActor: 2})
	other := h.client("other", nil, models.EventRead)
	first := o.connect(o.bss)
	r, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r, err)
	}
	third := o.dial()
	third.send(fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, o.bss))
	if code := third.closed(); code != websocket.StatusTryAgainLater {
		t.Errorf("the third socket of an actor: %d", code)
	}
	full, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil || full.StatusCode != http.StatusTooManyRequests || full.Header.Get("Retry-After") == "" {
		t.Error(full, err)
	}
	_ = full.Body.Close()
	o.connect(other)
	o.connect(other)
	_, response, err := websocket.Dial(t.Context(), o.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Error("one too many:", response, err)
	}
	_ = r.Body.Close()
	_ = first.CloseNow()
	storetest.Eventually(t, "there is room again", func() bool {
		s, _, err := websocket.Dial(t.Context(), o.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err == nil {
			_ = s.CloseNow()
		}
		return err == nil
	})
}

// Subscriptions of one actor to the same share what is made of an event; those of another do not.
func TestTheSameIsMadeOnce(t *testing.T) {
	h := onSQLite(t, false)
	var mu sync.Mutex
	made := 0
	h.config.Observe = func(_ context.Context, op graph.Operation) {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == "subscription" && op.Outcome == "ok" {
			made++
		}
	}
	o := h.open(transport.Limits{})
	h.must(h.bss, provisionAccount, h.input("ext-1", "+862162345678", map[string]any{"displayName": "王小明"}))
	account := models.Subject{Kind: models.KindAccount}
	o.inTx(func(tx *store.Tx) error { return tx.DB.Raw("SELECT id FROM accounts").Row().Scan(&account.ID) })
	blind := h.client("blind", nil, models.EventRead, models.AccountRead)
	head := o.settled()
	const named = `subscription($a: String, $n: Boolean!) { eventStream(after: $a) { cursor subject { ... on Account { externalId @include(if: $n) displayName } } } }`
	const plain = `subscription($a: String) { eventStream(after: $a) { cursor type } }`
	var sockets []*socket
	for i := range 20 {
		token, query, variables := o.bss, plain, map[string]any{"a": head[len(head)-1]}
		switch {
		case i >= 18:
			token = blind
			fallthrough
		case i >= 15:
			query, variables["n"] = named, i%2 == 0
		}
		s := o.connect(token)
		s.subscribe("x", query, variables)
		sockets = append(sockets, s)
	}
	storetest.Eventually(t, "all follow", func() bool { return o.log.Followers() == 20 })
	o.appendOf(1, models.AccountChanged, account, "", "x")
	for i, s := range sockets {
		m := s.next()
		name := dig(m, "payload.data.eventStream.subject.displayName")
		if want := map[bool]any{true: "王***", false: "王小明"}[i >= 18]; i >= 15 && name != want {
			t.Errorf("%d: %v", i, m)
		}
		subject, _ := dig(m, "payload.data.eventStream.subject").(map[string]any)
		if _, has := subject["externalId"]; i >= 15 && has != (i%2 == 0) {
			t.Errorf("%d: %v", i, m)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if made != 1+3+2 { // the plain one once; each disclosure by itself; the masked ones differ in a variable
		t.Errorf("made %d times", made)
	}
}

// The door ends all it has open, so that clients go on elsewhere, and leaves nothing behind.
func TestTheDoorCloses(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{})
	s, waiting := o.connect(o.bss), o.dial()
	s.subscribe("x", following, nil)
	r, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	o.append(1)
	s.cursors("x", 1)
	closed := make(chan error, 1)
	go func() { closed <- o.door.Close(context.Background()) }()
	if code := s.closed(); code != websocket.StatusGoingAway {
		t.Errorf("the socket: %d", code)
	}
	if code := waiting.closed(); code != websocket.StatusGoingAway {
		t.Errorf("the socket without init: %d", code)
	}
	if err := o.events(r.Body, func(e sent) bool { return e.event != "complete" }); err != errOver {
		t.Error("the stream was completed")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	late, err := o.sse(t.Context(), o.bss, following, nil, nil)
	if err != nil || late.StatusCode != http.StatusServiceUnavailable {
		t.Error("after closing:", late, err)
	}
	_ = late.Body.Close()
	if n := o.log.Followers(); n != 0 {
		t.Errorf("%d still follow", n)
	}
}
