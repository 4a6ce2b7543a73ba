// Package files is the south door for the files that clients download: GET, HEAD and Range under /p/ (i4.md C.5).
//
// It owns the limits of each link and what is logged of a transfer. It refuses to know which links are good and where files are: models/packages
// opens them, and no path of a request ever reaches a file system.
package files

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
)

const (
	maxRequests = 20 // of a link
	maxFactor   = 5  // bytes of a link, in sizes of its file
	// maxLinks bounds the links that are remembered; beyond it new ones wait.
	maxLinks = 200_000
	// maxTransfers is how many files go out at a time.
	maxTransfers = 1000
	// stall is how long a client may take no byte.
	stall = time.Minute
	busy  = 30 // seconds to come back after
)

// Packages opens the file that a link leads to.
type Packages interface {
	Open(ctx context.Context, fileID, name string, query url.Values) (*packages.File, error)
}

// Door serves the files.
type Door struct {
	packages  Packages
	clock     models.Clock
	transfers chan struct{}

	mu    sync.Mutex
	links map[string]*link
	swept models.Time
}

// link is what was taken by one link, in the memory of this replica.
type link struct {
	requests int
	bytes    atomic.Int64
	until    models.Time
}

// New builds the door.
func New(p Packages, clock models.Clock) *Door {
	return &Door{packages: p, clock: clock, transfers: make(chan struct{}, maxTransfers), links: map[string]*link{}}
}

// Handler answers /p/<file>/<name>: 403 for a link that nobody signed, 410 for one that is over, 404 for one that leads to no file, 429 when it
// was used too often.
func (d *Door) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/p/{file}/{name}", d.serve)
	return mux
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	select {
	case d.transfers <- struct{}{}:
		defer func() { <-d.transfers }()
	default:
		w.Header().Set("Retry-After", fmt.Sprint(busy))
		fail(w, http.StatusServiceUnavailable)
		return
	}
	query := r.URL.Query()
	file, err := d.packages.Open(r.Context(), r.PathValue("file"), r.PathValue("name"), query)
	switch {
	case errors.Is(err, packages.ErrForged):
		slog.WarnContext(r.Context(), "a link that nobody signed", "remote", r.RemoteAddr)
		fail(w, http.StatusForbidden)
		return
	case errors.Is(err, packages.ErrGone):
		fail(w, http.StatusGone)
		return
	case errors.Is(err, packages.ErrMissing):
		fail(w, http.StatusNotFound)
		return
	case err != nil:
		slog.ErrorContext(r.Context(), "open a package", "error", err)
		fail(w, http.StatusInternalServerError)
		return
	}
	defer file.Close()
	used := d.use(query.Get("s"))
	if used == nil || used.bytes.Load() >= maxFactor*file.Package.Size {
		slog.WarnContext(r.Context(), "a link was used too often", "package", file.Package.ID, "deviceHash", file.Device)
		fail(w, http.StatusTooManyRequests)
		return
	}
	out := &counted{ResponseWriter: w, control: http.NewResponseController(w), link: used, most: maxFactor * file.Package.Size}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private")
	header.Set("ETag", `"`+file.Package.Sha256+`"`) // lets a client resume only what it began
	http.ServeContent(out, r, "", file.Package.StoredAt.Std(), file.File)
	slog.InfoContext(r.Context(), "package transfer", "package", file.Package.ID, "deviceHash", file.Device, "method", r.Method, "range", len(r.Header.Get("Range")) > 0,
		"status", out.status, "bytes", out.bytes, "size", file.Package.Size)
}

func fail(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// linkTime is how long a link is remembered after its last use; it is longer than any link is good.
const linkTime = 72 * time.Hour

// use counts a request of the link with that signature; nil if there were too many.
func (d *Door) use(signature string) *link {
	now := d.clock.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.links[signature]
	if l == nil {
		if len(d.links) >= maxLinks && !d.sweep(now) {
			return nil
		}
		l = &link{}
		d.links[signature] = l
	}
	if l.requests >= maxRequests {
		return nil
	}
	l.requests++
	l.until = now.Add(linkTime)
	return l
}

// sweep forgets links that are over, at most once a minute; false if it made no room.
func (d *Door) sweep(now models.Time) bool {
	if now.Sub(d.swept) < time.Minute {
		return false
	}
	d.swept = now
	for signature, l := range d.links {
		if l.until <= now {
			delete(d.links, signature)
		}
	}
	return len(d.links) < maxLinks
}

var errTooMuch = errors.New("more than the link is good for")

// counted counts what goes out, ends a transfer that takes more than its link is good for, and lets one last as long as it moves.
type counted struct {
	http.ResponseWriter
	control *http.ResponseController
	link    *link
	most    int64
	status  int
	bytes   int64
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(p []byte) (int, error) {
	if c.link.bytes.Add(int64(len(p))) > c.most {
		return 0, errTooMuch
	}
	_ = c.control.SetWriteDeadline(time.Now().Add(stall)) // a writer without deadlines has none to extend
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}
