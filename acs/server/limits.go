package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
)

// Bounds of the memory that limits take. Who comes when a counter is full is not limited by it.
const (
	maxNetworks   = 1 << 16
	maxHeartbeats = 1 << 18
)

// windows lets each key through so many times within a period that begins with its first time.

type windows[K comparable] struct {
	period time.Duration
	limit  int // 0: off
	max    int // keys of a generation

	mu sync.Mutex
	// A window that is still open is in one of two generations; the older one is forgotten as a whole after a period.
	now, before map[K]window
	turned      models.Time
}

type window struct {
	start models.Time
	n     int
}

func newWindows[K comparable](period time.Duration, limit, maxKeys int) *windows[K] {
	return &windows[K]{period: period, limit: limit, max: maxKeys, now: map[K]window{}}
}

// take counts one and returns 0, or for how long the key is over its limit.
func (w *windows[K]) take(key K, at models.Time) time.Duration {
	if w.limit <= 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.Sub(w.turned) >= w.period || at < w.turned {
		w.now, w.before, w.turned = map[K]window{}, w.now, at
	}
	open, ok := w.now[key]
	if !ok {
		open = w.before[key]
	}
	// A window of the future is one that a clock set back has left behind: it limits nobody.
	if at.Sub(open.start) >= w.period || at < open.start {
		open = window{start: at}
	}
	if open.n >= w.limit {
		return open.start.Add(w.period).Sub(at)
	}
	if _, ok := w.now[key]; ok || len(w.now) < w.max {
		open.n++
		w.now[key] = open
	}
	return 0
}

// forget gives a key back all that it took.
func (w *windows[K]) forget(key K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.now, key)
	delete(w.before, key)
}

// network is what one subscriber has: an IPv4 address or an IPv6 /64; the zero prefix for what is no address.
func network(ip string) (p netip.Prefix, loopback bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return p, false
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ = addr.Prefix(bits) // the bits fit the family
	return p, addr.IsLoopback()
}

// overL0 counts an Inform that is let in on its word, and returns for how long that is too much from its address or from all together
// (i4.md C.3).
func (s *Server) overL0(ip string, r ruling) time.Duration {
	p, loopback := network(ip)
	if loopback && s.config.Lab {
		return 0
	}
	if s.config.Blocked != nil && s.config.Blocked(ip) {
		return time.Minute
	}
	if !r.stranger {
		return 0
	}
	now := s.clock.Now()
	if wait := s.l0IP.take(p, now); wait > 0 {
		return wait
	}
	return s.l0All.take(struct{}{}, now)
}
