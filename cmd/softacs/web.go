package main

import (
	"net/http"

	webclient "github.com/softacs/softacs/web-client"
)

// withPages serves the API where it is and the web client everywhere else.
func withPages(api http.Handler, lab bool) (http.Handler, error) {
	pages, err := webclient.New(lab)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/graphql", "/oauth/", "/uploads/", "/graphiql/"} {
		mux.Handle(path, api)
	}
	mux.Handle("/", pages)
	return mux, nil
}
