package graph

import (
	"embed"
	"net/http"
)

//go:embed graphiql
var graphiqlFiles embed.FS

// graphiql serves the query editor of lab mode from files in the binary. It may load nothing from elsewhere; the editor sets styles of elements.
func graphiql() http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; img-src data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	files := http.FileServerFS(graphiqlFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
