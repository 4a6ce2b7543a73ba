package transport

import (
	"net/http"
	"net/url"
	"strconv"

	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// GET serves queries whose parameters are in the URL. A mutation is refused with 405, so that no link changes anything.
type GET struct {
	// MaxQuery bounds the query of the URL, in octets.
	MaxQuery int64
}

var _ graphql.Transport = GET{}

// Supports tells whether the request is a GET.
func (GET) Supports(r *http.Request) bool { return r.Method == http.MethodGet }

// Do answers one request.
func (t GET) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	media, acceptable, refuse := begin(w, r, exec)
	if !acceptable {
		refuse(http.StatusNotAcceptable, malformed("answers are "+responseJSON+" or "+plainJSON))
		return
	}
	params, status, err := ofURL(r, t.MaxQuery)
	if err != nil {
		refuse(status, err)
		return
	}
	operation, errs := prepare(ctx, params, exec)
	if errs == nil && operation.Operation.Operation == ast.Mutation {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, errMutation)
		return
	}
	if errs == nil && operation.Operation.Operation == ast.Subscription {
		errs = listOf(errStream)
	}
	isRequestError := errs != nil
	var response *graphql.Response
	if isRequestError {
		response = exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	} else {
		response, isRequestError = dispatch(ctx, operation, exec)
	}
	write(ctx, w, media, statusOf(response.Errors, isRequestError, media), response, isRequestError)
}

var errMutation = malformed("mutations are served over POST")

// ofURL reads the parameters from the URL: query, operationName, and variables and extensions as JSON. Other parameters are no concern of ours; one
// of ours given twice is refused. An error comes with its status.
func ofURL(r *http.Request, limit int64) (*graphql.RawParams, int, error) {
	if int64(len(r.URL.RawQuery)) > limit {
		return nil, http.StatusRequestURITooLong, malformed("the URL's query is larger than " + strconv.FormatInt(limit, 10) + " octets")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, http.StatusBadRequest, malformed("the URL's query is malformed")
	}
	body := map[string]any{}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		list := values[name]
		switch {
		case len(list) > 1:
			return nil, http.StatusBadRequest, malformed(name + " is given more than once")
		case len(list) == 0 || list[0] == "" && name != "query":
			continue
		case name == "variables" || name == "extensions":
			if !json.Valid([]byte(list[0])) {
				return nil, http.StatusBadRequest, malformed(name + " is not JSON")
			}
			body[name] = json.RawMessage(list[0])
		default:
			body[name] = list[0]
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, http.StatusBadRequest, malformed("the URL's query is malformed")
	}
	params, err := decode(text)
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.GetStartTime(r.Context()), End: graphql.Now()}
	return params, 0, nil
}
