// Package webclient is the web client of care desks and operations, embedded in the program, and the handler that serves it. It owns what a
// browser is told beside the files: caching, the security policy, and whether this is lab mode. It refuses to know the API that the pages use.
package webclient

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What `make web` built; without Node.js there is nothing but a placeholder.
//
//go:embed all:dist
var dist embed.FS

// The words of index.html that every answer fills in.
const (
	nonceWord = "SOFTACS_NONCE"
	labWord   = "SOFTACS_LAB"
)

// policy allows what comes from here. Ant Design writes style elements while it runs: they carry the nonce of the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const forever = "public, max-age=31536000, immutable" // the name of an asset changes with its content

// client serves one build.
type client struct {
	index  string
	assets map[string]*asset
}

// asset is a file that never changes.
type asset struct {
	content     []byte
	contentType string
	tag         string
	zipped      func() []byte
}

// New returns the handler of every path that is a page or a file of the web client. A program that was built without it answers with a page
// that says so.
func New(lab bool) (http.Handler, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("open the web client: %w", err)
	}
	return serve(files, lab)
}

// Built tells whether the program holds the web client.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}

func serve(files fs.FS, lab bool) (http.Handler, error) {
	c := &client{assets: map[string]*asset{}}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if name == "index.html" {
			c.index = strings.ReplaceAll(string(content), labWord, strconv.FormatBool(lab))
			return nil
		}
		c.assets["/"+name] = newAsset(name, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the web client: %w", err)
	}
	return c, nil
}

// Go's table of types is the machine's, and may lack or change these.
var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".md": "text/plain; charset=utf-8",
}

func newAsset(name string, content []byte) *asset {
	a := &asset{content: content, contentType: contentTypes[path.Ext(name)]}
	if a.contentType == "" {
		a.contentType = mime.TypeByExtension(path.Ext(name))
	}
	sum := sha256.Sum256(content)
	a.tag = hex.EncodeToString(sum[:16])
	a.zipped = sync.OnceValue(func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(content) // a buffer takes everything
		_ = w.Close()
		return b.Bytes()
	})
	return a
}

func (c *client) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	nonce := rand.Text()
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if a := c.assets[r.URL.Path]; a != nil {
		a.serve(w, r)
		return
	}
	h.Set("Cache-Control", "no-store") // the nonce is of this answer
	switch {
	case path.Ext(r.URL.Path) != "": // no page has a dot in its last part: a file that is not there
		http.NotFound(w, r)
	case c.index == "":
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintln(w, "softacs was built without its web client: npm was missing. The API is at /graphql.") // a caller that has gone
	default:
		h.Set("Content-Type", "text/html; charset=utf-8")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.ReplaceAll(c.index, nonceWord, nonce)))
	}
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", forever)
	if !strings.HasPrefix(r.URL.Path, "/assets/") {
		h.Set("Cache-Control", "no-cache")
	}
	h.Set("Vary", "Accept-Encoding")
	content, tag := a.content, a.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
		content, tag = a.zipped(), a.tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
