package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
)

// clock stands still until it is set.
type clock struct{ now models.Time }

func (c *clock) Now() models.Time                                { return c.now }
func (c *clock) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// shelf opens one file for every link, or fails.
type shelf struct {
	path string
	err  error
}

const content = "0123456789"

func (s *shelf) Open(context.Context, string, string, url.Values) (*packages.File, error) {
	if s.err != nil {
		return nil, s.err
	}
	file, err := os.Open(s.path)
	return &packages.File{File: file, Package: &models.Package{Size: int64(len(content)), Sha256: "sum", StoredAt: 1_000_000}}, err
}

func setup(t *testing.T) (*Door, *shelf, *clock, func(method, signature string, header ...string) *http.Response) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s, c := &shelf{path: path}, &clock{now: 1_000_000}
	d := New(s, c)
	return d, s, c, func(method, signature string, header ...string) *http.Response {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, "/p/a/b?s="+signature, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		return w.Result()
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	_, s, _, ask := setup(t)
	for err, want := range map[error]int{
		nil: 200, packages.ErrForged: 403, packages.ErrGone: 410, packages.ErrMissing: 404, errors.New("disk"): 500, fmt.Errorf("wrapped: %w", packages.ErrGone): 410,
	} {
		s.err = err
		answer := ask(http.MethodGet, "a")
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != want || strings.Contains(string(body), "disk") {
			t.Errorf("%v: %d %q", err, answer.StatusCode, body)
		}
	}
	s.err = nil
	answer := ask(http.MethodGet, "b", "Range", "bytes=2-4", "If-Range", `"sum"`)
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 206 || string(body) != "234" || answer.Header.Get("ETag") != `"sum"` {
		t.Errorf("%d %q %v", answer.StatusCode, body, answer.Header)
	}
	if answer := ask(http.MethodDelete, "b"); answer.StatusCode != 405 || answer.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("DELETE: %d", answer.StatusCode)
	}
}

func TestLimitsOfALink(t *testing.T) {
	t.Parallel()
	d, _, c, ask := setup(t)
	for i := range maxFactor {
		if answer := ask(http.MethodGet, "bytes"); answer.StatusCode != 200 {
			t.Fatalf("GET %d: %d", i, answer.StatusCode)
		}
	}
	if answer := ask(http.MethodGet, "bytes"); answer.StatusCode != 429 {
		t.Errorf("more than %d sizes: %d", maxFactor, answer.StatusCode)
	}
	for i := range maxRequests {
		if answer := ask(http.MethodHead, "requests"); answer.StatusCode != 200 {
			t.Fatalf("HEAD %d: %d", i, answer.StatusCode)
		}
	}
	if answer := ask(http.MethodHead, "requests"); answer.StatusCode != 429 {
		t.Errorf("more than %d requests: %d", maxRequests, answer.StatusCode)
	}
	for i := range maxLinks {
		d.use(fmt.Sprint(i))
	}
	if answer := ask(http.MethodHead, "new"); answer.StatusCode != 429 || len(d.links) > maxLinks {
		t.Errorf("with no room for it: %d, %d links", answer.StatusCode, len(d.links))
	}
	c.now = c.now.Add(linkTime)
	if answer := ask(http.MethodHead, "new"); answer.StatusCode != 200 || len(d.links) != 1 {
		t.Errorf("with room again: %d, %d links", answer.StatusCode, len(d.links))
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	d, _, _, ask := setup(t)
	for range maxTransfers {
		d.transfers <- struct{}{}
	}
	if answer := ask(http.MethodGet, "a"); answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d", answer.StatusCode)
	}
}
