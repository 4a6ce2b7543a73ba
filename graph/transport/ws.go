package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/softacs/softacs/models"
)

// Close codes of graphql-transport-ws.
const (
	closeBadRequest     websocket.StatusCode = 4400
	closeUnauthorized   websocket.StatusCode = 4401
	closeForbidden      websocket.StatusCode = 4403
	closeBadSubprotocol websocket.StatusCode = 4406
	closeInitTimeout    websocket.StatusCode = 4408
	closeDuplicate      websocket.StatusCode = 4409
	closeTooManyInits   websocket.StatusCode = 4429
)

const (
	subprotocol = "graphql-transport-ws"
	maxID       = 256
)

// WS serves operations over WebSocket by the protocol graphql-transport-ws. A socket is known by the token in its connection_init or in the header of
// its handshake. Cookies mean nothing here, so that a page of a foreign origin gains nothing by opening one.
type WS struct {
	Hub *Hub
	// MaxMessage bounds a message of the client, in octets.
	MaxMessage int64
	// Greet reads of the handshake what the door needs and returns how it judges a credential: "" for none in connection_init.
	Greet func(r *http.Request) func(ctx context.Context, authorization string) (Caller, error)
}

// Supports tells whether the request asks for a WebSocket.
func (WS) Supports(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do takes the connection over and returns; the socket lives on by itself.
func (t WS) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	s := &socket{hub: t.Hub, exec: exec, greet: t.Greet(r), opened: t.Hub.clock.Now(), operations: map[string]*operation{}}
	s.heard = s.opened
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := t.Hub.enter(s, ""); err != nil {
		s.cancel()
		http.Error(w, "too many connections are open", statusOfLimit(w, err))
		return
	}
	options := &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
	}
	taken := &taking{ResponseWriter: w}
	conn, err := websocket.Accept(taken, r, options)
	if err != nil { // it has answered
		s.cancel()
		t.Hub.leave(s)
		return
	}
	conn.SetReadLimit(t.MaxMessage)
	s.mu.Lock()
	s.conn, s.raw = conn, taken.conn
	ended := s.ended
	s.mu.Unlock()
	if ended || !t.Hub.run(s.serve) {
		_ = conn.CloseNow()
		s.cancel()
		t.Hub.leave(s)
	}
}

// socket is one WebSocket. While nothing happens it costs one goroutine, which reads.
type socket struct {
	hub    *Hub
	exec   graphql.GraphExecutor
	greet  func(ctx context.Context, authorization string) (Caller, error)
	ctx    context.Context
	cancel context.CancelFunc

	mu         sync.Mutex
	conn       *websocket.Conn // nil until the handshake is done
	raw        net.Conn        // under it
	caller     Caller          // nil until connection_init was accepted
	operations map[string]*operation
	ended      bool
	opened     models.Time
	heard      models.Time
}

// message is one of graphql-transport-ws.
type message struct {
	ID      *string         `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func (s *socket) serve() {
	defer s.over()
	if s.conn.Subprotocol() != subprotocol {
		s.close(closeBadSubprotocol, "Subprotocol not acceptable")
		return
	}
	for {
		kind, text, err := s.conn.Read(context.Background())
		if err != nil {
			return
		}
		var m message
		if kind != websocket.MessageText || json.Unmarshal(text, &m) != nil {
			s.close(closeBadRequest, "Invalid message received")
			return
		}
		s.mu.Lock()
		s.heard = s.hub.clock.Now()
		s.mu.Unlock()
		if code, reason := s.take(m); code != 0 {
			s.close(code, reason)
			return
		}
	}
}

// take does what a message says; a code closes the socket.
func (s *socket) take(m message) (code websocket.StatusCode, reason string) {
	switch m.Type {
	case "connection_init":
		return s.init(m.Payload)
	case "ping":
		return s.pong(m.Payload)
	case "pong":
		return 0, ""
	case "subscribe":
		return s.subscribe(m)
	case "complete":
		if m.ID == nil || *m.ID == "" {
			return closeBadRequest, "Invalid message received"
		}
		if o := s.remove(*m.ID); o != nil {
			o.stop()
		}
		return 0, ""
	}
	return closeBadRequest, "Invalid message received"
}

func (s *socket) init(payload json.RawMessage) (websocket.StatusCode, string) {
	if s.caller != nil { // only this goroutine writes it
		return closeTooManyInits, "Too many initialisation requests"
	}
	var members map[string]json.RawMessage
	var authorization string
	if len(payload) > 0 && json.Unmarshal(payload, &members) != nil {
		return closeBadRequest, "Invalid message received"
	}
	if text, given := members["authorization"]; given && json.Unmarshal(text, &authorization) != nil {
		return closeBadRequest, "Invalid message received"
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.hub.limits.Operation)
	defer cancel()
	caller, err := s.greet(ctx, authorization)
	switch {
	case err == nil:
		err = s.hub.name(s, caller.Key())
	case models.CodeOf(err) == "":
		return websocket.StatusTryAgainLater, "Internal error"
	}
	if models.CodeOf(err) == models.Throttled {
		return websocket.StatusTryAgainLater, "Too many connections"
	}
	if err != nil {
		return closeForbidden, "Forbidden"
	}
	s.mu.Lock()
	s.caller = caller
	s.mu.Unlock()
	s.write([]byte(`{"type":"connection_ack"}`))
	return 0, ""
}

func (s *socket) pong(payload json.RawMessage) (websocket.StatusCode, string) {
	answer := []byte(`{"type":"pong"`)
	if len(payload) > 0 && string(payload) != "null" {
		if payload[0] != '{' {
			return closeBadRequest, "Invalid message received"
		}
		answer = append(append(answer, `,"payload":`...), payload...)
	}
	s.write(append(answer, '}'))
	return 0, ""
}

func (s *socket) subscribe(m message) (websocket.StatusCode, string) {
	if s.caller == nil {
		return closeUnauthorized, "Unauthorized"
	}
	if m.ID == nil || *m.ID == "" || len(*m.ID) > maxID {
		return closeBadRequest, "Invalid message received"
	}
	params, err := decode(m.Payload)
	if err != nil {
		return closeBadRequest, "Invalid message received"
	}
	o := &operation{socket: s, id: *m.ID}
	o.ctx, o.cancel = context.WithCancel(s.caller.Context(s.ctx))
	s.mu.Lock()
	full := len(s.operations) >= s.hub.limits.Operations
	_, taken := s.operations[o.id]
	if !taken && !full {
		s.operations[o.id] = o
	}
	s.mu.Unlock()
	switch {
	case taken:
		o.cancel()
		return closeDuplicate, "Subscriber for " + clip(o.id, 64) + " already exists"
	case full:
		o.refuse(s.exec.DispatchError(o.ctx, listOf(models.E(models.Throttled, "too many operations run on this socket"))))
	default:
		s.hub.run(func() { o.begin(params) })
	}
	return 0, ""
}

// clip cuts a text that goes into the reason of a close frame, which has at most 123 octets, between two characters.
func clip(text string, n int) string { return strings.ToValidUTF8(text[:min(len(text), n)], "") }

func (s *socket) remove(id string) *operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.operations[id]
	delete(s.operations, id)
	return o
}

// write sends a message; when that takes too long or does not succeed, the connection is gone and serve ends.
func (s *socket) write(text []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.hub.limits.Write)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text) == nil
}

// close tells the client why and waits, not for long, until it has heard; nothing more is sent.
func (s *socket) close(code websocket.StatusCode, reason string) {
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	conn := s.conn
	s.mu.Unlock()
	if first && conn != nil {
		s.cancel()
		_ = conn.Close(code, reason)
	}
}

// over lets go of everything once nothing can be read any more.
func (s *socket) over() {
	s.cancel()
	s.mu.Lock()
	s.ended = true
	running := s.operations
	s.operations = map[string]*operation{}
	s.mu.Unlock()
	for _, o := range running {
		o.stop()
	}
	_ = s.conn.CloseNow()
	s.hub.leave(s)
}

// check looks at the token, the time for connection_init, and whether the peer is still there.
func (s *socket) check(ctx context.Context, now models.Time) {
	s.mu.Lock()
	caller, conn, silent, ended := s.caller, s.conn, now.Sub(s.heard), s.ended
	if silent >= s.hub.limits.Ping {
		s.heard = now
	}
	s.mu.Unlock()
	if conn == nil || ended {
		return
	}
	switch {
	case caller == nil:
		if now.Sub(s.opened) >= s.hub.limits.Init {
			s.hub.run(func() { s.close(closeInitTimeout, "Connection initialisation timeout") })
		}
		return
	case models.CodeOf(caller.Check(ctx)) == models.Unauthenticated:
		s.hub.run(func() { s.close(closeForbidden, "Forbidden") })
		return
	}
	if silent >= s.hub.limits.Ping {
		s.hub.run(s.ping)
	}
}

// ping asks by a message and by a frame: every library answers the latter.
func (s *socket) ping() {
	ctx, cancel := context.WithTimeout(s.ctx, 2*s.hub.limits.Write)
	defer cancel()
	if !s.write([]byte(`{"type":"ping"}`)) || s.conn.Ping(ctx) != nil {
		_ = s.conn.CloseNow()
	}
}

func (s *socket) end() {
	s.hub.run(func() { s.close(websocket.StatusGoingAway, "Going away: go on after your last cursor") })
}

func (s *socket) cut() {
	s.mu.Lock()
	s.ended = true
	raw := s.raw
	s.mu.Unlock()
	if raw != nil {
		_ = raw.Close() // what reads, writes or waits for the peer's goodbye fails now
	}
}

// taking remembers the connection under a WebSocket.
type taking struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack takes the connection over.
func (t *taking) Hijack() (conn net.Conn, buffered *bufio.ReadWriter, err error) {
	conn, buffered, err = http.NewResponseController(t.ResponseWriter).Hijack()
	t.conn = conn
	return conn, buffered, err
}
