package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/graph/transport"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
)

// session is a caller whose connection stays open. What it may do is looked at again every second or so.
type session struct {
	server *server
	remote string

	mu      sync.Mutex
	caller  caller
	streams map[following]struct{}
}

var _ transport.Caller = (*session)(nil)

func (s *server) newSession(c caller, remote string) *session {
	return &session{server: s, remote: remote, caller: c, streams: map[following]struct{}{}}
}

// greet keeps of a handshake what connection_init needs later.
func (s *server) greet(r *http.Request) func(ctx context.Context, authorization string) (transport.Caller, error) {
	remote, header, onBehalfOf := remoteIP(r), r.Header.Values("Authorization"), r.Header.Get(onBehalfOfHeader)
	return func(ctx context.Context, authorization string) (transport.Caller, error) {
		given := header
		if authorization != "" {
			given = []string{authorization}
		}
		c := s.bearer(ctx, given, onBehalfOf)
		if c.err == nil && c.anonymous() {
			c.err = models.E(models.Unauthenticated, "an access token is needed")
		}
		if c.err != nil {
			return nil, c.err
		}
		return s.newSession(c, remote), nil
	}
}

// asking is who sent the request of ctx; nil for nobody.
func (s *server) asking(ctx context.Context) transport.Caller {
	c := requestFrom(ctx).caller
	if c.anonymous() {
		return nil
	}
	return s.newSession(c, models.OriginFrom(ctx).RemoteAddress)
}

func (c *session) now() caller {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.caller
}

// Key names the actor.
func (c *session) Key() string {
	actor := c.now().actor
	return string(actor.Kind) + actor.ID.String()
}

// Context begins a request of the caller.
func (c *session) Context(ctx context.Context) context.Context {
	return c.request(ctx, models.Origin{RequestID: models.NewID().String(), RemoteAddress: c.remote})
}

func (c *session) request(ctx context.Context, origin models.Origin) context.Context {
	x := c.server.newRequest(nowhere{})
	x.caller = c.now()
	return context.WithValue(models.WithActor(models.WithOrigin(ctx, origin), x.caller.actor), requestKey{}, x)
}

// nowhere takes the headers of those who have no HTTP response: a refresh token has no way over a socket.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// Check looks at the token's end and at the actor's rights. Streams go on with the rights that there are now, or end.
func (c *session) Check(ctx context.Context) error {
	before := c.now()
	if c.server.Clock.Now() >= before.expires {
		return models.E(models.Unauthenticated, "the access token has expired: go on with a new one after your last cursor")
	}
	actor, err := c.server.Operators.Actor(ctx, before.actor.Kind, before.actor.ID)
	if err != nil {
		if models.CodeOf(err) == "" && ctx.Err() == nil {
			slog.ErrorContext(ctx, "look again at the rights of a caller", "error", err)
		}
		return err
	}
	if same(actor.Grants, before.actor.Grants) {
		return nil
	}
	actor.OnBehalfOf = before.actor.OnBehalfOf
	c.mu.Lock()
	c.caller.actor = actor
	streams := make([]following, 0, len(c.streams))
	for s := range c.streams {
		streams = append(streams, s)
	}
	c.mu.Unlock()
	for _, s := range streams {
		s.judgeAgain()
	}
	return nil
}

// same compares grants; mostly they are the very same, remembered by the room.
func same(a, b []models.Grant) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || reflect.DeepEqual(a, b)
}

// following is a subscription; judgeAgain holds it against the rights that there are now.
type following interface{ judgeAgain() }

// eventStream is one subscription to the log.
type eventStream struct {
	session  *session
	origin   models.Origin
	follower *events.Follower
	shape    *shape
	wake     func()

	mu      sync.Mutex
	refused error // the document is not allowed any more
}

type sourceKey struct{}

// source is what the resolver of eventStream asks: Subscribe puts one into the context that begins to follow, and deliver one that has one event.
type source func(ctx context.Context, f events.Filter, after string) (<-chan *types.Event, error)

// nothing is a stream that has ended.
var nothing = func() <-chan *types.Event {
	c := make(chan *types.Event)
	close(c)
	return c
}()

// stream is the resolver of eventStream.
func stream(ctx context.Context, after *string, filter *model.EventFilter) (<-chan *types.Event, error) {
	open, ok := ctx.Value(sourceKey{}).(source)
	if !ok {
		return nil, errors.New("a subscription is not one answer")
	}
	return open(ctx, eventFilter(filter), deref(after))
}

// Subscribe begins to follow the log.
func (c *session) Subscribe(ctx context.Context, operation *graphql.OperationContext, after string, wake func()) (transport.Subscription, *graphql.Response) {
	door := c.server.door
	refuse := func(err error) (transport.Subscription, *graphql.Response) {
		return nil, door.DispatchError(graphql.WithOperationContext(ctx, operation), gqlerror.List{gqlerror.Wrap(err)})
	}
	fields := graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{"Subscription"})
	switch {
	case len(fields) == 1 && fields[0].Name == "diagnostic":
		return c.watch(ctx, operation, wake, refuse)
	case len(fields) != 1 || fields[0].Name != "eventStream":
		return refuse(models.E(validationFailed, "a subscription has one field of the schema"))
	}
	s := &eventStream{session: c, origin: models.OriginFrom(ctx), wake: wake}
	open := source(func(ctx context.Context, f events.Filter, argument string) (<-chan *types.Event, error) {
		if after != "" {
			argument = after
		}
		var err error
		s.follower, err = c.server.Events.Follow(ctx, f, argument, wake)
		return nothing, err
	})
	responses, ctx := door.DispatchOperation(context.WithValue(ctx, sourceKey{}, open), operation)
	if response := responses(ctx); response != nil {
		if s.follower != nil {
			s.follower.Close()
		}
		return nil, response
	}
	if s.follower == nil {
		return refuse(context.Cause(ctx))
	}
	operation.Headers = nil
	s.shape = c.server.shapes.join(c.now().actor, operation)
	c.mu.Lock()
	c.streams[s] = struct{}{}
	c.mu.Unlock()
	s.judgeAgain() // the rights may have changed since they were looked at
	return s, nil
}

// judgeAgain holds the document against the rights that there are now.
func (s *eventStream) judgeAgain() {
	ctx := s.session.request(context.Background(), s.origin)
	err := s.session.server.check.judge(ctx, s.shape.operation)
	if err != nil {
		s.mu.Lock()
		s.refused = err
		s.mu.Unlock()
		s.wake()
	}
	s.follower.As(models.ActorFrom(ctx))
}

// Next returns what came, as the document asks for it.
func (s *eventStream) Next(ctx context.Context) ([]transport.Result, *graphql.Response) {
	entries, err := s.follower.Next(ctx)
	s.mu.Lock()
	if s.refused != nil {
		entries, err = nil, s.refused
	}
	s.mu.Unlock()
	if err != nil {
		ctx := graphql.WithOperationContext(s.session.request(ctx, s.origin), s.shape.operation)
		return nil, s.session.server.door.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(err)})
	}
	results := make([]transport.Result, len(entries))
	for i, entry := range entries {
		results[i] = transport.Result{ID: entry.Cursor, Body: s.shape.body(entry, func() ([]byte, bool) { return s.deliver(ctx, entry) })}
	}
	return results, nil
}

// deliver executes the document for one event. The body may be shared unless it disclosed something, which each reader leaves a trace of.
func (s *eventStream) deliver(ctx context.Context, entry *events.Entry) (body []byte, shared bool) {
	server := s.session.server
	ctx, cancel := context.WithTimeout(s.session.request(ctx, s.origin), server.Timeout)
	defer cancel()
	request := requestFrom(ctx)
	request.roots = []string{"eventStream"}
	one := make(chan *types.Event, 1)
	one <- &types.Event{Event: entry.Event, Cursor: entry.Cursor}
	open := source(func(context.Context, events.Filter, string) (<-chan *types.Event, error) { return one, nil })
	var response *graphql.Response
	defer func() {
		if caught := recover(); caught != nil {
			response = server.door.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(recovered(ctx, caught))})
			body, shared = transport.Encode(ctx, response, true), false
		}
	}()
	responses, ctx := server.door.DispatchOperation(context.WithValue(ctx, sourceKey{}, open), s.shape.operation)
	if response = responses(ctx); response == nil {
		response = server.door.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(fmt.Errorf("deliver an event: %w", context.Cause(ctx)))})
	}
	return transport.Encode(ctx, response, false), len(request.disclosures.subjects) == 0 && len(response.Errors) == 0
}

// Close ends the subscription.
func (s *eventStream) Close() {
	s.follower.Close()
	s.session.mu.Lock()
	delete(s.session.streams, s)
	s.session.mu.Unlock()
	s.session.server.shapes.leave(s.shape)
}
