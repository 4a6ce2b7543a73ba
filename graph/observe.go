package graph

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Operation is what an observer hears of one answer: of a query or mutation, of each event of a subscription, or of a request that was not
// understood.
type Operation struct {
	// Kind is query, mutation, subscription, or none for what was not understood.
	Kind string
	// Field is the one root field, "several", or "none". It is a name of the schema.
	Field string
	// Outcome is "ok" or the code of the first error (resolutions 31).
	Outcome string
	// Name is the operation's name as the caller wrote it: for the log, at most 64 bytes.
	Name string
	// Took is the time since the request came; of a subscription that is how long it has lasted.
	Took time.Duration
}

// observe tells the observer of every answer.
func (s *server) observe(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response == nil { // a subscription ended, or the caller went away
		return nil
	}
	o := Operation{Kind: "none", Field: "none", Outcome: "ok"}
	if len(response.Errors) > 0 {
		o.Outcome = "UNKNOWN"
		if code, ok := response.Errors[0].Extensions["code"].(string); ok {
			o.Outcome = code
		}
	}
	if graphql.HasOperationContext(ctx) {
		c := graphql.GetOperationContext(ctx)
		o.Took = time.Since(c.Stats.OperationStart)
		o.Name = c.OperationName[:min(len(c.OperationName), 64)]
		if c.Operation != nil {
			o.Kind, o.Field = string(c.Operation.Operation), rootField(c.Operation)
			if o.Name == "" {
				o.Name = c.Operation.Name[:min(len(c.Operation.Name), 64)]
			}
		}
	}
	s.Observe(ctx, o)
	return response
}

// rootField names the root field of a valid operation.
func rootField(operation *ast.OperationDefinition) string {
	name := "none"
	for _, selection := range operation.SelectionSet {
		field, ok := selection.(*ast.Field)
		switch {
		case !ok || name != "none":
			return "several"
		case field.Definition != nil: // it is of the schema
			name = field.Name
		}
	}
	return name
}
