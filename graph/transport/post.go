// Package transport carries GraphQL over HTTP POST (GraphQL over HTTP, July 2025 draft). It owns the strict reading of bodies, the choice of a
// media type and the status codes of resolutions 67; it refuses to know the schema, the actor or any noun.
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

// Supports tells whether the request is a POST.
func (POST) Supports(r *http.Request) bool { return r.Method == http.MethodPost }

// Do answers one request.
func (t POST) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	media, acceptable := negotiate(r.Header.Values("Accept"))
	refuse := func(status int, err error) {
		write(ctx, w, media, status, exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(err)}), true)
	}
	if !t.Supports(r) {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, malformed("GraphQL is served over POST"))
		return
	}
	if !acceptable {
		refuse(http.StatusNotAcceptable, malformed("answers are "+responseJSON+" or "+plainJSON))
		return
	}
	if !readable(r.Header) {
		refuse(http.StatusUnsupportedMediaType, malformed("the body must be "+plainJSON+" in UTF-8 without content encoding"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, t.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(http.StatusRequestEntityTooLarge, malformed("the body is larger than "+strconv.FormatInt(t.MaxBody, 10)+" octets"))
		return
	}
	if err != nil {
		refuse(http.StatusBadRequest, malformed("the body did not arrive whole"))
		return
	}
	params, err := decode(body)
	if err != nil {
		refuse(http.StatusBadRequest, err)
		return
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.GetStartTime(ctx), End: graphql.Now()}
	response, isRequestError := run(ctx, params, exec)
	write(ctx, w, media, statusOf(response.Errors, isRequestError, media), response, isRequestError)
}

// run executes the operation. A request error is one that came before execution: its response has no data.
func run(ctx context.Context, params *graphql.RawParams, exec graphql.GraphExecutor) (response *graphql.Response, isRequestError bool) {
	defer func() {
		if caught := recover(); caught != nil {
			err := fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
			response, isRequestError = exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(err)}), true
		}
	}()
	operation, errs := exec.CreateOperationContext(ctx, params)
	if errs != nil {
		return exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs), true
	}
	responses, ctx := exec.DispatchOperation(ctx, operation)
	response = responses(ctx)
	if response == nil { // the caller went away
		return exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(context.Cause(ctx))}), true
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

func write(ctx context.Context, w http.ResponseWriter, media string, status int, response *graphql.Response, isRequestError bool) {
	a := answer{Errors: response.Errors, Data: response.Data, Extensions: response.Extensions}
	if isRequestError {
		a.Data = nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a); err != nil {
		slog.ErrorContext(ctx, "write a GraphQL response", "request", models.OriginFrom(ctx).RequestID, "error", err)
		status, body = http.StatusInternalServerError, bytes.Buffer{}
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="softacs"`)
	}
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error here is a caller who went away
}
