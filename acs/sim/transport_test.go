package sim

import (
	"io"
	"net/http"
	"net/http/httptest"
)

// handled answers requests by a handler without a network.
type handled http.HandlerFunc

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	return w.Result(), nil
}

func bodyOf(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body)
	return body
}
