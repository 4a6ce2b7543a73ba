// Package graph is the north door: GraphQL over HTTP, WebSocket and SSE, the token endpoint of API clients and, in lab mode, GraphiQL.
//
// It owns the served schema, who the caller is, what an operation may cost, what a caller may see of an error and of personal data. It refuses
// to know rules: a resolver translates between the schema and one call of a room under models, and every rule is met there whichever door is
// used.
package graph

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/softacs/softacs/graph/generated"
	"github.com/softacs/softacs/graph/transport"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/desk"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/tasks"
)

//go:generate go tool gqlgen generate

const (
	maxBody        = 256 << 10
	defaultTimeout = 30 * time.Second
)

// Config is what the door is built with.
type Config struct {
	Accounts      *accounts.Room
	Bindings      *bindings.Room
	Configuration *configuration.Room
	Desk          *desk.Room
	Devices       *devices.Room
	Operators     *operators.Room
	Passwords     *passwords.Room
	Packages      *packages.Room
	Sms           *sms.Room
	Statistics    *statistics.Room
	Tasks         *tasks.Room
	Events        *events.Log
	Clock         models.Clock
	// TokenSeeds are Ed25519 seeds derived from each secret key: the first signs access tokens, all verify them.
	TokenSeeds [][32]byte
	// IsPersonal tells whether a device's parameter is personal data of its user; nil: none is.
	IsPersonal func(path string) bool
	// Lab allows plain HTTP cookies, anonymous introspection and GraphiQL.
	Lab bool
	// Timeout bounds a request; 0 means 30 s.
	Timeout time.Duration
	// Streams bound the connections that stay open; their Operation is Timeout.
	Streams transport.Limits
	// Observe hears of every answer; nil: nobody does.
	Observe func(context.Context, Operation)
}

// server is the door.
type server struct {
	Config
	tokens  *tokens
	origins *http.CrossOriginProtection
	check   check
	door    *executor.Executor
	shapes  shapes
}

// Door serves the north.
type Door struct {
	http.Handler
	hub *transport.Hub
}

// Close ends the connections that stay open, WebSockets by the code 1001 and SSE without the event complete, so that their clients go on elsewhere
// after their last cursors; no more are let in. When ctx ends it cuts what is left. It returns when none is left.
func (d *Door) Close(ctx context.Context) error { return d.hub.Close(ctx) }

// resolver is the root of all resolvers.
type resolver struct{ *server }

// New returns the door of /graphql, /oauth/token, /uploads/ and, in lab mode, /graphiql/.
func New(c Config) (*Door, error) {
	s := &server{Config: c, origins: http.NewCrossOriginProtection()}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	var err error
	if s.tokens, err = newTokens(c.TokenSeeds, c.Clock); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.Streams.Operation = s.Timeout
	hub := transport.NewHub(s.Streams, c.Clock)
	mux.Handle("/graphql", s.graphql(hub))
	mux.HandleFunc("/oauth/token", s.token)
	mux.HandleFunc("/uploads/{id}", s.upload)
	if c.Lab {
		mux.Handle("/graphiql/", graphiql())
	}
	return &Door{Handler: mux, hub: hub}, nil
}

// schema is the executable schema with s behind it.
func (s *server) schema() graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{Resolvers: &resolver{s}, Directives: generated.DirectiveRoot{Pii: pii}})
}

func (s *server) graphql(hub *transport.Hub) http.Handler {
	schema := s.schema()
	s.check, s.door = check{schema: schema.Schema(), lab: s.Lab}, executor.New(schema)
	s.door.SetErrorPresenter(present)
	s.door.SetRecoverFunc(recovered)
	s.door.SetDisableSuggestion(!s.Lab)
	s.door.Use(s.check)
	s.door.AroundRootFields(s.afresh)
	s.door.AroundFields(emptyIsNull)
	if s.Observe != nil {
		s.door.AroundResponses(s.observe)
	}
	s.door.AroundResponses(s.disclose)
	post, get := transport.POST{MaxBody: maxBody}, transport.GET{MaxQuery: maxBody}
	ws := transport.WS{Hub: hub, MaxMessage: maxBody, Greet: s.greet}
	sse := transport.SSE{Hub: hub, MaxBody: maxBody, Caller: s.asking}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(graphql.StartOperationTrace(r.Context()))
		switch {
		case ws.Supports(r):
			ws.Do(w, r, s.door)
			return
		case sse.Supports(r):
			sse.Do(w, s.identify(w, r), s.door)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.Timeout)
		defer cancel()
		if r = s.identify(w, r.WithContext(ctx)); get.Supports(r) {
			get.Do(w, r, s.door)
		} else {
			post.Do(w, r, s.door)
		}
	})
}

// afresh gives each mutation of a document loaders of its own: what an earlier one read may have changed since.
func (s *server) afresh(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
		before := requestFrom(ctx)
		now := s.newRequest(before.w)
		now.caller, now.refresh, now.roots, now.disclosures = before.caller, before.refresh, before.roots, before.disclosures
		ctx = context.WithValue(ctx, requestKey{}, now)
	}
	return next(ctx)
}

// emptyIsNull shows a text that a row does not have, which is empty there, as null where the schema allows it.
func emptyIsNull(ctx context.Context, next graphql.Resolver) (any, error) {
	value, err := next(ctx)
	if err != nil || value == nil || graphql.GetFieldContext(ctx).Field.Definition.Type.NonNull {
		return value, err
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.String && v.Len() == 0 {
		return nil, nil
	}
	return value, nil
}
