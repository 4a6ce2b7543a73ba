package transport

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/softacs/softacs/models"
)

const eventStream = "text/event-stream"

// SSE serves one operation a request as a stream of events, by the protocol graphql-sse in its mode of distinct connections. The id of an event is its
// cursor, which a client that comes again sends as Last-Event-ID. A stream that ends without the event `complete` may be taken up again.
type SSE struct {
	Hub *Hub
	// MaxBody bounds a body, in octets.
	MaxBody int64
	// Caller is who sends the request; nil for nobody.
	Caller func(ctx context.Context) Caller
}

// Supports tells whether the request asks for a stream of events and would not take an answer in JSON: browsers' libraries name both for a
// query, whose answer may have to set a cookie.
func (SSE) Supports(r *http.Request) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return false
	}
	stream := false
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, parameters, err := mime.ParseMediaType(part)
		switch {
		case err != nil, parameters["q"] == "0":
		case media == eventStream:
			stream = true
		case media == responseJSON, media == plainJSON:
			return false
		}
	}
	return stream
}

// Do answers one request; its context ends when the client has gone.
func (t SSE) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	refuse := func(status int, response *graphql.Response) { write(ctx, w, plainJSON, status, response, true) }
	params, status, err := t.receive(w, r)
	if err != nil {
		refuse(status, exec.DispatchError(ctx, listOf(err)))
		return
	}
	operation, errs := prepare(ctx, params, exec)
	if errs == nil && operation.Operation.Operation == ast.Mutation && r.Method == http.MethodGet {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, exec.DispatchError(ctx, listOf(errMutation)))
		return
	}
	c := &stream{
		w: w, http: http.NewResponseController(w), exec: exec, caller: t.Caller(ctx), limit: t.Hub.limits.Write, ping: t.Hub.limits.Ping,
		poke: make(chan struct{}, 1), sent: t.Hub.clock.Now(),
	}
	if errs != nil {
		response := exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		if status := statusOf(response.Errors, true, plainJSON); status == http.StatusUnauthorized {
			refuse(status, response)
			return
		}
		c.begin()
		c.refuse(ctx, response)
		return
	}
	key := ""
	if c.caller != nil {
		key = c.caller.Key()
	}
	if err := t.Hub.enter(c, key); err != nil {
		refuse(statusOfLimit(w, err), exec.DispatchError(ctx, listOf(err)))
		return
	}
	defer t.Hub.leave(c)
	c.begin()
	if operation.Operation.Operation != ast.Subscription {
		ctx, cancel := context.WithTimeout(ctx, t.Hub.limits.Operation)
		defer cancel()
		response, isRequestError := dispatch(ctx, operation, exec)
		c.send([]Result{{Body: Encode(ctx, response, isRequestError)}})
		c.complete()
		return
	}
	c.follow(ctx, operation, r.Header.Get("Last-Event-ID"), t.Hub.clock)
}

func (t SSE) receive(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, int, error) {
	if r.Method == http.MethodGet {
		return ofURL(r, t.MaxBody)
	}
	return receive(w, r, t.MaxBody)
}

// stream is one response that stays open.
type stream struct {
	w      http.ResponseWriter
	http   *http.ResponseController
	exec   graphql.GraphExecutor
	caller Caller
	limit  time.Duration
	ping   time.Duration
	poke   chan struct{} // has a value when there may be something to do

	mu    sync.Mutex
	sent  models.Time // when something was last sent
	quiet bool        // for so long that a comment is due
	over  bool        // to be ended
	why   error       // and if it is not to be taken up again as it is, why not
}

// begin sends the header. The limits of the server on one request do not hold for a stream: each write has its own.
func (c *stream) begin() {
	c.w.Header().Set("Content-Type", eventStream+"; charset=utf-8")
	c.w.Header().Set("X-Accel-Buffering", "no")
	_ = c.http.SetReadDeadline(time.Time{}) // a ResponseWriter without deadlines needs none
	c.w.WriteHeader(http.StatusOK)
	c.put(":\n\n")
}

func (c *stream) follow(ctx context.Context, operation *graphql.OperationContext, after string, clock models.Clock) {
	if c.caller == nil {
		c.refuse(ctx, c.exec.DispatchError(ctx, listOf(models.E(models.Unauthenticated, "an access token is needed"))))
		return
	}
	source, refused := c.caller.Subscribe(ctx, operation, after, c.wake)
	if refused != nil {
		c.refuse(ctx, refused)
		return
	}
	defer source.Close()
	for {
		c.mu.Lock()
		over, why, quiet := c.over, c.why, c.quiet
		c.quiet = false
		c.mu.Unlock()
		if over {
			if why != nil {
				c.refuse(ctx, c.exec.DispatchError(ctx, listOf(why)))
			}
			return
		}
		results, end := source.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case len(results) > 0:
			if !c.send(results) {
				return
			}
		case quiet && !c.put(": ping\n\n"):
			return
		}
		if len(results) > 0 || quiet {
			c.mu.Lock()
			c.sent = clock.Now()
			c.mu.Unlock()
		}
		if end != nil {
			c.refuse(ctx, end)
			return
		}
		if len(results) > 0 {
			continue
		}
		select {
		case <-c.poke:
		case <-ctx.Done():
			return
		}
	}
}

func (c *stream) wake() {
	select {
	case c.poke <- struct{}{}:
	default: // it has one to take already
	}
}

// refuse sends the errors as a result, and that nothing follows.
func (c *stream) refuse(ctx context.Context, response *graphql.Response) {
	c.send([]Result{{Body: Encode(ctx, response, true)}})
	c.complete()
}

func (c *stream) complete() { c.put("event: complete\ndata:\n\n") }

func (c *stream) send(results []Result) bool {
	text := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(text)
	text.Reset()
	for _, r := range results {
		text.WriteString("event: next\n")
		if r.ID != "" {
			text.WriteString("id: " + r.ID + "\n")
		}
		text.WriteString("data: ")
		text.Write(r.Body) // one line
		text.WriteString("\n\n")
	}
	return c.flush(text.Bytes())
}

func (c *stream) put(text string) bool { return c.flush([]byte(text)) }

// flush sends; a reader slower than the limit is cut.
func (c *stream) flush(text []byte) bool {
	if err := c.http.SetWriteDeadline(time.Now().Add(c.limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	_, err := c.w.Write(text)
	return err == nil && c.http.Flush() == nil
}

func (c *stream) check(ctx context.Context, now models.Time) {
	var err error
	if c.caller != nil {
		if err = c.caller.Check(ctx); models.CodeOf(err) != models.Unauthenticated {
			err = nil
		}
	}
	c.mu.Lock()
	if err != nil && !c.over {
		c.over, c.why = true, err
	}
	c.quiet = c.quiet || now.Sub(c.sent) >= c.ping
	due := c.over || c.quiet
	c.mu.Unlock()
	if due {
		c.wake()
	}
}

func (c *stream) end() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.wake()
}

// cut can do no more than end: what writes now does not take longer than the limit.
func (c *stream) cut() { c.end() }
