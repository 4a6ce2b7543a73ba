package transport

import (
	"net/http"
	"testing"
)

// A browser's library names every media type it knows; its mutation was answered as a stream, and the refresh cookie was lost.
func TestAStreamIsForWhoTakesNothingElse(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"text/event-stream": true, "text/event-stream, */*;q=0.1": true,
		"application/graphql-response+json, application/json, text/event-stream, multipart/mixed": false,
		"application/json;q=0, text/event-stream":                                                 true,
		"application/json": false, "": false, "text/event-stream;q=0": false,
	} {
		r := &http.Request{Method: http.MethodPost, Header: http.Header{"Accept": {accept}}}
		if got := (SSE{}).Supports(r); got != want {
			t.Errorf("Accept: %s is a stream: %v", accept, got)
		}
	}
}
