// Package transport carries GraphQL: over HTTP POST and, for queries, GET (GraphQL over HTTP, July 2025 draft), over WebSocket
// (graphql-transport-ws) and over SSE (graphql-sse, distinct connections). It owns the strict reading of what comes, the choice of a media type, the
// status codes of resolutions 67 and the life of connections that stay open; it refuses to know the schema, the actor or any noun.
package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/softacs/softacs/models"
)

const (
	plainJSON    = "application/json"
	responseJSON = "application/graphql-response+json"
)

// POST serves one operation a request; a request with another method is 405.
type POST struct {
	// MaxBody bounds a body, in octets.
	MaxBody int64
}

var _ graphql.Transport = POST{}

// begin chooses the media type of the answer, whichever it will be, and returns how to refuse the request in it.
func begin(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) (media string, acceptable bool, refuse func(status int, err error)) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	media, acceptable = negotiate(r.Header.Values("Accept"))
	return media, acceptable, func(status int, err error) {
		write(r.Context(), w, media, status, exec.DispatchError(r.Context(), listOf(err)), true)
	}
}

// Supports tells whether the request is a POST.
func (POST) Supports(r *http.Request) bool { return r.Method == http.MethodPost }

// Do answers one request.
func (t POST) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	media, acceptable, refuse := begin(w, r, exec)
	if !t.Supports(r) {
		w.Header().Set("Allow", "GET, POST")
		refuse(http.StatusMethodNotAllowed, malformed("GraphQL is served over POST and, for queries, GET"))
		return
	}
	if !acceptable {
		refuse(http.StatusNotAcceptable, malformed("answers are "+responseJSON+" or "+plainJSON))
		return
	}
	params, status, err := receive(w, r, t.MaxBody)
	if err != nil {
		refuse(status, err)
		return
	}
	response, isRequestError := run(ctx, params, exec)
	write(ctx, w, media, statusOf(response.Errors, isRequestError, media), response, isRequestError)
}

// receive reads the parameters from the body; an error comes with its status.
func receive(w http.ResponseWriter, r *http.Request, maxBody int64) (params *graphql.RawParams, status int, err error) {
	if !readable(r.Header) {
		return nil, http.StatusUnsupportedMediaType, malformed("the body must be " + plainJSON + " in UTF-8 without content encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, malformed("the body is larger than " + strconv.FormatInt(maxBody, 10) + " octets")
	}
	if err != nil {
		return nil, http.StatusBadRequest, malformed("the body did not arrive whole")
	}
	if params, err = decode(body); err != nil {
		return nil, http.StatusBadRequest, err
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.GetStartTime(r.Context()), End: graphql.Now()}
	return params, 0, nil
}

// errStream refuses a subscription where there is one answer only.
var errStream = malformed("subscriptions are served over WebSocket (" + subprotocol + ") and over " + eventStream)

// run executes the operation. A request error is one that came before execution: its response has no data.
func run(ctx context.Context, params *graphql.RawParams, exec graphql.GraphExecutor) (response *graphql.Response, isRequestError bool) {
	operation, errs := prepare(ctx, params, exec)
	if errs == nil && operation.Operation.Operation == ast.Subscription {
		errs = listOf(errStream)
	}
	if errs != nil {
		return exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs), true
	}
	return dispatch(ctx, operation, exec)
}

// panicked is the error of a panic; the door logs it and shows none of it.
func panicked(caught any) gqlerror.List {
	return listOf(fmt.Errorf("panic: %v\n%s", caught, debug.Stack()))
}

// prepare parses, validates and judges the operation.
func prepare(ctx context.Context, params *graphql.RawParams, exec graphql.GraphExecutor) (operation *graphql.OperationContext, errs gqlerror.List) {
	defer func() {
		if caught := recover(); caught != nil {
			operation, errs = &graphql.OperationContext{}, panicked(caught)
		}
	}()
	return exec.CreateOperationContext(ctx, params)
}

// dispatch executes a query or mutation that was found valid.
func dispatch(ctx context.Context, operation *graphql.OperationContext, exec graphql.GraphExecutor) (response *graphql.Response, isRequestError bool) {
	defer func() {
		if caught := recover(); caught != nil {
			response, isRequestError = exec.DispatchError(ctx, panicked(caught)), true
		}
	}()
	responses, ctx := exec.DispatchOperation(ctx, operation)
	response = responses(ctx)
	if response == nil { // the caller went away
		return exec.DispatchError(ctx, listOf(context.Cause(ctx))), true
	}
	return response, false
}

// negotiate picks the media type of the answer. What is asked for by name wins over */*, which means application/json.
func negotiate(accept []string) (media string, ok bool) {
	best := -1.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, given := parameters["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		if charset := parameters["charset"]; q <= 0 || charset != "" && !strings.EqualFold(charset, "utf-8") {
			continue
		}
		switch name {
		case responseJSON:
			q += 0.0002 // at the same weight it is preferred
		case plainJSON:
			q += 0.0001
		case "*/*", "application/*":
			name = plainJSON
		default:
			continue
		}
		if q > best {
			best, media = q, name
		}
	}
	if best < 0 {
		return plainJSON, strings.TrimSpace(strings.Join(accept, "")) == ""
	}
	return media, true
}

func readable(h http.Header) bool {
	media, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, given := parameters["charset"]
	encoding := h.Get("Content-Encoding")
	return err == nil && media == plainJSON && (!given || strings.EqualFold(charset, "utf-8")) && (encoding == "" || strings.EqualFold(encoding, "identity"))
}

// statuses are those of request errors in application/graphql-response+json; any other code is 400.
var statuses = map[any]int{
	string(models.Forbidden):   http.StatusForbidden,
	string(models.Throttled):   http.StatusTooManyRequests,
	string(models.Unavailable): http.StatusServiceUnavailable,
	"TIMEOUT":                  http.StatusGatewayTimeout,
	"INTERNAL":                 http.StatusInternalServerError,
}

func statusOf(errs gqlerror.List, isRequestError bool, media string) int {
	for _, err := range errs {
		if err.Extensions["code"] == string(models.Unauthenticated) {
			return http.StatusUnauthorized
		}
	}
	if !isRequestError || media == plainJSON {
		return http.StatusOK
	}
	if status := statuses[errs[0].Extensions["code"]]; status != 0 {
		return status
	}
	return http.StatusBadRequest
}

// answer is a response in which absent data stays absent.
type answer struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}

// Encode is a response in JSON on one line; that of a request error has no data.
func Encode(ctx context.Context, response *graphql.Response, isRequestError bool) []byte {
	a := answer{Errors: response.Errors, Data: response.Data, Extensions: response.Extensions}
	if isRequestError {
		a.Data = nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a); err != nil {
		slog.ErrorContext(ctx, "write a GraphQL response", "request", models.OriginFrom(ctx).RequestID, "error", err)
		return []byte(`{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}`)
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n"))
}

func write(ctx context.Context, w http.ResponseWriter, media string, status int, response *graphql.Response, isRequestError bool) {
	body := Encode(ctx, response, isRequestError)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="softacs"`)
	}
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error here is a caller who went away
}
