package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/softacs/softacs/graph/transport"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
)

// diagnosticStream is one subscription to a diagnostic: how it stands at first, then after each of its events. The log only says when to look;
// what is seen is read with the caller's own rights.
type diagnosticStream struct {
	session   *session
	origin    models.Origin
	operation *graphql.OperationContext
	id        models.ID
	follower  *events.Follower
	wake      func()
	shown     bool

	mu      sync.Mutex
	refused error // the document is not allowed any more
}

type watchKey struct{}

// watched is what the resolver of Subscription.diagnostic asks: watch puts one into the context that begins to follow, and deliver one that has the
// diagnostic.
type watched func(ctx context.Context, id models.ID) (<-chan *models.Diagnostic, error)

// watch is the resolver of Subscription.diagnostic.
func watch(ctx context.Context, id models.ID) (<-chan *models.Diagnostic, error) {
	look, ok := ctx.Value(watchKey{}).(watched)
	if !ok {
		return nil, errors.New("a subscription is not one answer")
	}
	return look(ctx, id)
}

var errNoDiagnostic = models.E(models.NotFound, "there is no such diagnostic")

// read returns the diagnostic as it is now: NOT_FOUND if it is not in reach.
func (s *server) readDiagnostic(ctx context.Context, id models.ID) (*models.Diagnostic, error) {
	found, err := s.Diagnostics.ByIDs(ctx, []models.ID{id})
	if err == nil && found[id] == nil {
		err = errNoDiagnostic
	}
	return found[id], err
}

// watch begins to follow a diagnostic.
func (c *session) watch(ctx context.Context, operation *graphql.OperationContext, wake func(), refuse func(error) (transport.Subscription, *graphql.Response)) (transport.Subscription, *graphql.Response) {
	s := &diagnosticStream{session: c, origin: models.OriginFrom(ctx), operation: operation, wake: wake}
	look := watched(func(ctx context.Context, id models.ID) (<-chan *models.Diagnostic, error) {
		t, err := c.server.readDiagnostic(ctx, id)
		if err != nil {
			return nil, err
		}
		s.id = id
		// Whoever may run a diagnostic may see how it goes, also without the right to read the log.
		own := models.WithActor(ctx, models.System("subscription"))
		head, err := c.server.Events.Head(own)
		if err != nil {
			return nil, err
		}
		s.follower, err = c.server.Events.Follow(own, events.Filter{Devices: []models.ID{t.DeviceID}, Subjects: []models.ID{id}}, head, wake)
		over := make(chan *models.Diagnostic)
		close(over)
		return over, err
	})
	responses, ctx := c.server.door.DispatchOperation(context.WithValue(ctx, watchKey{}, look), operation)
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
	c.mu.Lock()
	c.streams[s] = struct{}{}
	c.mu.Unlock()
	s.judgeAgain() // the rights may have changed since they were looked at
	return s, nil
}

// judgeAgain holds the document against the rights that there are now.
func (s *diagnosticStream) judgeAgain() {
	ctx := s.session.request(context.Background(), s.origin)
	if err := s.session.server.check.judge(ctx, s.operation); err != nil {
		s.mu.Lock()
		s.refused = err
		s.mu.Unlock()
		s.wake()
	}
}

// Next returns the diagnostic as it is now, if that has not been shown; several changes at once are one.
func (s *diagnosticStream) Next(ctx context.Context) ([]transport.Result, *graphql.Response) {
	cursor, changed := "", !s.shown
	for {
		entries, err := s.follower.Next(ctx)
		s.mu.Lock()
		if s.refused != nil {
			err = s.refused
		}
		s.mu.Unlock()
		if err != nil {
			ctx := graphql.WithOperationContext(s.session.request(ctx, s.origin), s.operation)
			return nil, s.session.server.door.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(err)})
		}
		if len(entries) == 0 {
			break
		}
		if i := slices.IndexFunc(entries, func(e *events.Entry) bool { return e.Subject.Kind == models.KindDiagnostic }); i >= 0 {
			changed, cursor = true, entries[len(entries)-1].Cursor
		}
	}
	if !changed {
		return nil, nil
	}
	s.shown = true
	body, err := s.deliver(ctx)
	if err != nil {
		return nil, err
	}
	return []transport.Result{{ID: cursor, Body: body}}, nil
}

// deliver executes the document for the diagnostic as it is now. One that is out of reach by now is the end.
func (s *diagnosticStream) deliver(ctx context.Context) (body []byte, end *graphql.Response) {
	server := s.session.server
	ctx, cancel := context.WithTimeout(s.session.request(ctx, s.origin), server.Timeout)
	defer cancel()
	requestFrom(ctx).roots = []string{"diagnostic"}
	failed := func(err error) *graphql.Response {
		return server.door.DispatchError(graphql.WithOperationContext(ctx, s.operation), gqlerror.List{gqlerror.Wrap(err)})
	}
	t, err := server.readDiagnostic(ctx, s.id)
	if err != nil {
		return nil, failed(err)
	}
	defer func() {
		if caught := recover(); caught != nil {
			body, end = transport.Encode(ctx, failed(recovered(ctx, caught)), true), nil
		}
	}()
	one := make(chan *models.Diagnostic, 1)
	one <- t
	look := watched(func(context.Context, models.ID) (<-chan *models.Diagnostic, error) { return one, nil })
	responses, ctx := server.door.DispatchOperation(context.WithValue(ctx, watchKey{}, look), s.operation)
	response := responses(ctx)
	if response == nil {
		return nil, failed(fmt.Errorf("deliver a diagnostic: %w", context.Cause(ctx)))
	}
	return transport.Encode(ctx, response, false), nil
}

// Close ends the subscription.
func (s *diagnosticStream) Close() {
	s.follower.Close()
	s.session.mu.Lock()
	delete(s.session.streams, s)
	s.session.mu.Unlock()
}
