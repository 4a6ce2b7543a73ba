package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/models"
)

// Limits bound what connections that stay open may take; zero values take the defaults.
type Limits struct {
	// Connections in all and of one actor, WebSockets and SSE together; 25,000 and 12,500.
	Connections, PerActor int
	// Operations that run at once on one WebSocket; 50.
	Operations int
	// Init is how long a WebSocket may wait with connection_init; 10 s.
	Init time.Duration
	// Ping is how often a silent peer is pinged; 30 s.
	Ping time.Duration
	// Write is how long one message may take to leave; a peer who reads slower than that is cut, and goes on after its last cursor. 10 s.
	Write time.Duration
	// Operation bounds a query or mutation and the making of one event; 30 s.
	Operation time.Duration
}

const (
	checkEvery = time.Second
	checkTime  = 5 * time.Second // for all of them, should the database be slow
)

func (l Limits) withDefaults() Limits {
	l.Connections = orElse(l.Connections, 25_000)
	l.PerActor = orElse(l.PerActor, 12_500)
	l.Operations = orElse(l.Operations, 50)
	l.Init = orElse(l.Init, 10*time.Second)
	l.Ping = orElse(l.Ping, 30*time.Second)
	l.Write = orElse(l.Write, 10*time.Second)
	l.Operation = orElse(l.Operation, 30*time.Second)
	return l
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Caller is somebody whose connection stays open. Its methods may be called by several goroutines.
type Caller interface {
	// Key names the actor.
	Key() string
	// Context returns ctx in which the caller acts, with a request id of its own.
	Context(ctx context.Context) context.Context
	// Check looks again at what the caller may do: UNAUTHENTICATED once the token has expired or the actor is gone.
	Check(ctx context.Context) error
	// Subscribe begins a subscription in a context made by Context; the response says why not. Wake is called when Next, which had nothing left,
	// has something again; it does not block. After overrides the argument of that name if it is not empty.
	Subscribe(ctx context.Context, operation *graphql.OperationContext, after string, wake func()) (Subscription, *graphql.Response)
}

// Subscription is a source of results. One goroutine at a time calls Next; none are left when it returns none. A response is the end, and why.
type Subscription interface {
	Next(ctx context.Context) ([]Result, *graphql.Response)
	Close()
}

// Result is one execution result in JSON, and the cursor after which to go on. It is shared and never changed.
type Result struct {
	ID   string
	Body []byte
}

// connection is one of the open ones.
type connection interface {
	// check is called about every second; it does not block.
	check(ctx context.Context, now models.Time)
	// end closes the connection so that the client goes on elsewhere after its last cursor; it does not block.
	end()
	// cut closes it without another word.
	cut()
}

// Hub keeps the connections that stay open: how many there are, what all of them need now and then, and their end.
type Hub struct {
	limits Limits
	clock  models.Clock

	mu       sync.Mutex
	open     map[connection]string // and whose it is; empty: not known yet
	actors   map[string]int
	checking context.CancelFunc // nil: nobody does
	closing  bool
	closed   bool
	emptied  chan struct{} // closed when closing and nothing is open
	running  sync.WaitGroup
}

// NewHub makes a hub without connections.
func NewHub(limits Limits, clock models.Clock) *Hub {
	return &Hub{limits: limits.withDefaults(), clock: clock, open: map[connection]string{}, actors: map[string]int{}, emptied: make(chan struct{})}
}

var (
	errFull     = &models.Error{Code: models.Unavailable, Message: "too many connections are open", RetryAfterSeconds: 5}
	errPerActor = &models.Error{Code: models.Throttled, Message: "you have too many connections open", RetryAfterSeconds: 5}
)

// enter admits a connection; UNAVAILABLE when there are too many or the door closes, THROTTLED when the actor has too many.
func (h *Hub) enter(c connection, actor string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing || len(h.open) >= h.limits.Connections {
		return errFull
	}
	if actor != "" && h.actors[actor] >= h.limits.PerActor {
		return errPerActor
	}
	h.open[c] = actor
	if actor != "" {
		h.actors[actor]++
	}
	if h.checking == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.checking = cancel
		h.running.Add(1)
		go func() {
			defer h.running.Done()
			h.checkAll(ctx)
		}()
	}
	return nil
}

// name tells whose a connection is that entered without an actor.
func (h *Hub) name(c connection, actor string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.actors[actor] >= h.limits.PerActor {
		return errPerActor
	}
	if _, open := h.open[c]; open {
		h.open[c] = actor
		h.actors[actor]++
	}
	return nil
}

func (h *Hub) leave(c connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	actor, open := h.open[c]
	if !open {
		return
	}
	delete(h.open, c)
	if actor != "" {
		if h.actors[actor]--; h.actors[actor] == 0 {
			delete(h.actors, actor)
		}
	}
	if h.closing && len(h.open) == 0 {
		close(h.emptied)
	}
}

// run starts f in the background unless the hub has closed.
func (h *Hub) run(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Add(1)
	go func() {
		defer h.running.Done()
		f()
	}()
	return true
}

func (h *Hub) all() []connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]connection, 0, len(h.open))
	for c := range h.open {
		list = append(list, c)
	}
	return list
}

func (h *Hub) checkAll(ctx context.Context) {
	for h.clock.Wait(ctx, checkEvery) == nil {
		now := h.clock.Now()
		round, cancel := context.WithTimeout(ctx, checkTime)
		for _, c := range h.all() {
			c.check(round, now)
		}
		cancel()
	}
}

// Close ends all connections, resumably, and lets none in any more; when ctx ends it cuts what is left. It returns when nothing runs.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return nil
	}
	h.closing = true
	if len(h.open) == 0 {
		close(h.emptied)
	}
	if h.checking != nil {
		h.checking()
	}
	h.mu.Unlock()
	for _, c := range h.all() {
		c.end()
	}
	var err error
	select {
	case <-h.emptied:
	case <-ctx.Done():
		err = ctx.Err()
		for _, c := range h.all() {
			c.cut()
		}
		<-h.emptied
	}
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.running.Wait()
	return err
}

// statusOfLimit is the status of an error of enter, whose header it sets.
func statusOfLimit(w http.ResponseWriter, err error) int {
	w.Header().Set("Retry-After", "5")
	if errors.Is(err, errPerActor) {
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}
