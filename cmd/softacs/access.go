package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
)

// access is the line that the log gets of one request of the north. It names who asked and for what, never values: no variables, no query, no
// tokens.
type access struct {
	http.ResponseWriter
	status int
	bytes  int64

	operation, field, outcome, actor string
}

type accessKey struct{}

// logged writes a line for each request of the north, after it.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slog.Default().Enabled(r.Context(), slog.LevelInfo) {
			next.ServeHTTP(w, r)
			return
		}
		began, line := time.Now(), &access{ResponseWriter: w}
		defer func() {
			path := r.URL.Path[:min(len(r.URL.Path), 128)]
			attributes := []any{"requestId", w.Header().Get("X-Request-Id"), "method", r.Method, "path", path, "status", line.status,
				"bytes", line.bytes, "duration", time.Since(began)}
			if line.outcome != "" {
				attributes = append(attributes, "operation", line.operation, "field", line.field, "outcome", line.outcome, "actor", line.actor)
			}
			slog.InfoContext(r.Context(), "request", attributes...)
		}()
		next.ServeHTTP(line, r.WithContext(context.WithValue(r.Context(), accessKey{}, line)))
	})
}

// note keeps of an answer what its line tells. Of the many answers of one request, as on a WebSocket, the line tells the first.
func note(ctx context.Context, o graph.Operation) {
	if line, ok := ctx.Value(accessKey{}).(*access); ok && line.outcome == "" {
		line.operation, line.field, line.outcome, line.actor = o.Name, o.Field, o.Outcome, models.ActorFrom(ctx).Name
	}
}

func (a *access) WriteHeader(status int) {
	if a.status == 0 || a.status < http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *access) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and take over the connection.
func (a *access) Unwrap() http.ResponseWriter { return a.ResponseWriter }
