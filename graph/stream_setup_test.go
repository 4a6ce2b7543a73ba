package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/graph/transport"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// open is a house whose door listens, with the limits that cmd sets on a request, and whose log runs.
type open struct {
	*house
	door   *graph.Door
	url    string
	client *http.Client

	mu          sync.Mutex
	connections map[net.Conn]struct{}
}

func (h *house) open(limits transport.Limits) *open {
	h.Helper()
	o := &open{house: h, client: http.DefaultClient, connections: map[net.Conn]struct{}{}}
	config := h.config
	config.Streams = limits
	var err error
	if o.door, err = graph.New(config); err != nil {
		h.Fatal(err)
	}
	o.handler = o.door
	mux := http.NewServeMux()
	mux.Handle("/", o.door)
	mux.HandleFunc("POST /test/append", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		o.append(n)
		o.settled()
	})
	mux.HandleFunc("POST /test/expire", func(http.ResponseWriter, *http.Request) { o.expire() })
	mux.HandleFunc("POST /test/cut", func(_ http.ResponseWriter, r *http.Request) { o.cutAll(r.Context().Value(connKey{}).(net.Conn)) })
	server := httptest.NewUnstartedServer(mux)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 20*time.Second, 20*time.Second
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	server.Listener = listener{server.Listener, o}
	server.Start()
	o.url = server.URL + "/graphql"
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.log.Run(ctx) })
	h.Cleanup(func() {
		closing, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := o.door.Close(closing); err != nil {
			h.Error(err)
		}
		o.client.CloseIdleConnections()
		server.Close()
		stop()
		running.Wait()
	})
	return o
}

type connKey struct{}

// listener remembers its connections, so that a test can cut them, and keeps little for a peer who does not read.
type listener struct {
	net.Listener
	of *open
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(8 << 10)
		l.of.mu.Lock()
		l.of.connections[c] = struct{}{}
		l.of.mu.Unlock()
	}
	return c, err
}

func (o *open) cutAll(but net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.connections {
		if c != but {
			_ = c.Close()
			delete(o.connections, c)
		}
	}
}

func (o *open) inTx(f func(tx *store.Tx) error) {
	o.Helper()
	ctx := models.WithActor(context.Background(), models.System("test"))
	if err := o.store.InTx(ctx, f); err != nil {
		o.Error(err)
	}
}

// append adds n events to the log in one transaction; it does not wait until they are numbered.
func (o *open) append(n int) {
	o.appendOf(n, models.AccountChanged, models.Subject{Kind: models.KindAccount, ID: models.NewID()}, "", "x")
}

func (o *open) appendOf(n int, kind models.EventType, subject models.Subject, region, code string) {
	o.inTx(func(tx *store.Tx) error {
		for range n {
			err := events.Append(tx, models.Event{Type: kind, Subject: subject, Region: region, Payload: models.DocOf(map[string]any{"code": code})})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// expire drops the older half of the log.
func (o *open) expire() {
	o.inTx(func(tx *store.Tx) error {
		var last int64
		if err := tx.DB.Raw("SELECT MAX(position) FROM events").Scan(&last).Error; err != nil {
			return err
		}
		return tx.DB.Exec("DELETE FROM events WHERE position <= ?", last/2).Error
	})
}

// settled waits until all is numbered and returns the cursors of the whole log.
func (o *open) settled() []string {
	o.Helper()
	ctx := storetest.As(o.T)
	storetest.Eventually(o.T, "all events are numbered", func() bool {
		lag, err := o.log.Lag(ctx)
		return err == nil && lag.Events == 0
	})
	var all []string
	for after := ""; ; {
		b, err := o.log.Read(ctx, events.Filter{}, after, 1000)
		if err != nil {
			o.Fatal(err)
		}
		all = append(all, b.Cursors...)
		if after = b.End; !b.HasNext {
			return all
		}
	}
}

// socket is a client of graphql-transport-ws that does what a test says.
type socket struct {
	*websocket.Conn
	t testing.TB
}

func (o *open) dial(subprotocols ...string) *socket {
	o.Helper()
	if subprotocols == nil {
		subprotocols = []string{"graphql-transport-ws"}
	}
	conn, response, err := websocket.Dial(o.Context(), o.url, &websocket.DialOptions{Subprotocols: subprotocols, HTTPClient: o.client})
	if err != nil {
		o.Fatal(err, response)
	}
	conn.SetReadLimit(1 << 20)
	o.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{conn, o.T}
}

// connect is a socket that has been let in.
func (o *open) connect(token string) *socket {
	o.Helper()
	s := o.dial()
	s.send(fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, token))
	s.want(`{"type":"connection_ack"}`)
	return s
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) subscribe(id, query string, variables map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]any{"query": query, "variables": variables}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(string(text))
}

// receive returns the next message that is no ping.
func (s *socket) receive() (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, text, err := s.Read(ctx)
		if err != nil {
			return nil, err
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if m["type"] != "ping" {
			return m, nil
		}
	}
}

func (s *socket) next() map[string]any {
	s.t.Helper()
	m, err := s.receive()
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (s *socket) want(text string) {
	s.t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		s.t.Fatal(err)
	}
	if got := s.next(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("got %v, want %v", got, want)
	}
}

// closed waits for the end and returns its code; what still came before it is dropped.
func (s *socket) closed() websocket.StatusCode {
	s.t.Helper()
	for {
		if _, err := s.receive(); err != nil {
			if websocket.CloseStatus(err) < 0 {
				s.t.Log(err)
			}
			return websocket.CloseStatus(err)
		}
	}
}

// cursors reads n events of a subscription.
func (s *socket) cursors(id string, n int) (list []string) {
	s.t.Helper()
	for len(list) < n {
		m := s.next()
		cursor, ok := dig(m, "payload.data.eventStream.cursor").(string)
		if m["id"] != id || m["type"] != "next" || !ok {
			s.t.Fatalf("got %v", m)
		}
		list = append(list, cursor)
	}
	return list
}

// sse sends an operation by graphql-sse.
func (o *open) sse(ctx context.Context, token, query string, variables map[string]any, header map[string]string) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return o.client.Do(r)
}

// sent is one event of a stream.
type sent struct{ event, id, data string }

var errOver = errors.New("the stream ended")
