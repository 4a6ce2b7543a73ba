package webclient

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const page = `<html data-lab="SOFTACS_LAB"><meta property="csp-nonce" nonce="SOFTACS_NONCE"><script src="/assets/a-1.js"></script></html>`

func built(t *testing.T, lab bool) http.Handler {
	t.Helper()
	h, err := serve(fstest.MapFS{
		"index.html": {Data: []byte(page)}, "assets/a-1.js": {Data: []byte("let a = 1;")}, "licenses.md": {Data: []byte("MIT")}, ".gitkeep": {},
	}, lab)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every address of a page is answered with the one page, under a policy with a nonce of its own.
func TestPages(t *testing.T) {
	t.Parallel()
	h := built(t, true)
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/accounts", "/devices/RGV2aWNlOjAx-_", "/accounts?state=ACTIVE"} {
		r := get(h, path)
		policy := r.Header.Get("Content-Security-Policy")
		_, rest, _ := strings.Cut(policy, "'nonce-")
		nonce, _, _ := strings.Cut(rest, "'")
		text := body(t, r)
		if r.StatusCode != http.StatusOK || nonce == "" || nonces[nonce] || !strings.Contains(text, `nonce="`+nonce+`"`) || !strings.Contains(text, `data-lab="true"`) {
			t.Errorf("%s: %d %s\n%s", path, r.StatusCode, policy, text)
		}
		if strings.Contains(policy, "unsafe") || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, r.Header)
		}
		nonces[nonce] = true
	}
	if text := body(t, get(built(t, false), "/")); !strings.Contains(text, `data-lab="false"`) {
		t.Errorf("outside lab mode: %s", text)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := built(t, false)
	r := get(h, "/assets/a-1.js", "Accept-Encoding", "br")
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != forever || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.HasSuffix(body(t, r), "let a = 1;") {
		t.Errorf("plain: %d %v", r.StatusCode, r.Header)
	}
	zipped := get(h, "/assets/a-1.js", "Accept-Encoding", "gzip, br")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("ETag") == r.Header.Get("ETag") {
		t.Errorf("gzip: %v", zipped.Header)
	}
	if again := get(h, "/assets/a-1.js", "Accept-Encoding", "gzip", "If-None-Match", zipped.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %d", again.StatusCode)
	}
	for _, path := range []string{"/assets/gone-2.js", "/favicon.ico", "/.gitkeep", "/index.html"} {
		if r := get(h, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/accounts", http.NoBody))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// A program that was built without Node.js says so instead of showing an empty page.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	h, err := serve(fstest.MapFS{".gitkeep": {}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if r := get(h, "/"); r.StatusCode != http.StatusNotFound || !strings.Contains(body(t, r), "npm was missing") {
		t.Errorf("%d", r.StatusCode)
	}
}
