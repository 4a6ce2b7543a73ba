package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/models"
)

// Codes of resolutions 31 that only this door gives.
const (
	parseFailed      models.Code = errcode.ParseFailed
	validationFailed models.Code = errcode.ValidationFailed
	costLimit        models.Code = "COST_LIMIT"
	depthLimit       models.Code = "DEPTH_LIMIT"
	timedOut         models.Code = "TIMEOUT"
	internal         models.Code = "INTERNAL"
)

// present makes what a caller may see of an error: a code of the closed set, a sentence and the request id. Whatever carries no code is logged
// and shown as INTERNAL.
func present(ctx context.Context, err error) *gqlerror.Error {
	shown := &gqlerror.Error{Extensions: map[string]any{"requestId": models.OriginFrom(ctx).RequestID}}
	var outer *gqlerror.Error
	if errors.As(err, &outer) {
		shown.Path, shown.Locations = outer.Path, outer.Locations
	} else {
		shown.Path = graphql.GetPath(ctx)
	}
	coded := new(models.Error)
	switch {
	case errors.As(err, &coded):
	case errors.Is(err, context.DeadlineExceeded):
		coded = models.E(timedOut, "the request took too long")
	case errors.Is(err, context.Canceled):
		coded = models.E(timedOut, "the caller did not wait")
	case outer != nil && outer.Extensions["code"] == errcode.ParseFailed:
		coded = models.E(parseFailed, "the document does not parse here")
	case outer != nil && outer.Extensions["code"] == errcode.ValidationFailed:
		coded = validation(outer)
		shown.Path = nil // the library writes the path of the variable there; a response path is of the data
	default:
		slog.ErrorContext(ctx, "graphql", "request", models.OriginFrom(ctx).RequestID, "path", shown.Path.String(), "error", err)
		coded = models.E(internal, "internal error")
	}
	shown.Message = coded.Message
	describe(shown.Extensions, coded)
	return shown
}

func describe(extensions map[string]any, e *models.Error) {
	code := e.Code
	if e.Business() && !ours(code) && code != models.NotFound {
		code = models.BadUserInput // a business error of a read
	}
	extensions["code"] = string(code)
	if len(e.Field) > 0 {
		extensions["field"] = e.Field
	}
	if e.RetryAfterSeconds > 0 {
		extensions["retryAfterSeconds"] = e.RetryAfterSeconds
	}
	if e.Code == models.CursorExpired {
		extensions["horizon"], extensions["reason"] = e.Horizon, e.Reason
	}
}

func ours(code models.Code) bool {
	switch code {
	case parseFailed, validationFailed, costLimit, depthLimit, timedOut, internal:
		return true
	}
	return false
}

// validation keeps what the library says about names of the schema and drops what it says about values, which may be secrets.
func validation(e *gqlerror.Error) *models.Error {
	if len(e.Path) > 0 { // a variable did not fit
		field := make([]string, 0, len(e.Path))
		for _, element := range e.Path[1:] {
			field = append(field, fmt.Sprint(element))
		}
		return models.E(models.BadUserInput, "the variable does not fit its type", field...)
	}
	if e.Rule == "ValuesOfCorrectType" {
		return models.E(validationFailed, "the value does not fit its type")
	}
	return models.E(validationFailed, e.Message)
}

// recovered turns a panic into an error that present logs with its stack and never shows.
func recovered(_ context.Context, caught any) error {
	return fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
}

// sentence is the message of a coded error, and nothing of any other.
func sentence(err error) string {
	if coded := (*models.Error)(nil); errors.As(err, &coded) {
		return coded.Message
	}
	return "the value is out of range"
}

// refusal splits the error of a mutation: business errors go into the payload, everything else is an error of the response.
func refusal(err error) ([]model.UserError, error) {
	if err == nil {
		return nil, nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []model.UserError
		for _, one := range joined.Unwrap() {
			userErrors, err := refusal(one)
			if err != nil {
				return nil, err
			}
			all = append(all, userErrors...)
		}
		return all, nil
	}
	coded := (*models.Error)(nil)
	if !errors.As(err, &coded) || !coded.Business() {
		return nil, err
	}
	return []model.UserError{userError(coded)}, nil
}

func userError(e *models.Error) model.UserError {
	var retryAfter *int
	if e.RetryAfterSeconds > 0 {
		retryAfter = &e.RetryAfterSeconds
	}
	switch {
	case e.Code == models.VersionConflict:
		return model.VersionConflict{Code: e.Code, Message: e.Message, Field: e.Field, CurrentVersion: int(e.CurrentVersion), Retryable: e.Retryable(), RetryAfterSeconds: retryAfter}
	case e.Code == models.StateConflict:
		return model.StateConflict{Code: e.Code, Message: e.Message, Field: e.Field, CurrentState: e.CurrentState, AllowedActions: e.AllowedActions, Retryable: e.Retryable(), RetryAfterSeconds: retryAfter}
	case e.Code == models.AlreadyExists && !e.Existing.ID.IsZero():
		return model.AlreadyExists{Code: e.Code, Message: e.Message, Field: e.Field, ExistingID: e.Existing, ExistingExternalID: optional(e.ExistingExternalID), Retryable: e.Retryable(), RetryAfterSeconds: retryAfter}
	}
	return model.FieldError{Code: e.Code, Message: e.Message, Field: e.Field, Retryable: e.Retryable(), RetryAfterSeconds: retryAfter}
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
