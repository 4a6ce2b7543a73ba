package passwords

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
)

// maxAddresses bounds the memory of one counter; beyond it an arbitrary address is forgotten.
const maxAddresses = 1 << 16

// addresses counts what came from each address within an hour, counted from the first.
type addresses struct {
	clock          models.Clock
	limit          int // 0: off
	exemptLoopback bool
	cgn            []netip.Prefix
	cgnFactor      int

	mu    sync.Mutex
	hours map[netip.Prefix]hour
}

type hour struct {
	start models.Time
	n     int
}

func newAddresses(clock models.Clock, limit int, c Config) *addresses {
	return &addresses{
		clock: clock, limit: limit, exemptLoopback: c.LoopbackExempt, cgn: c.CGN, cgnFactor: c.CGNFactor, hours: map[netip.Prefix]hour{},
	}
}

// network is what one subscriber has, an IPv4 address or an IPv6 /64, and its limit: 0 if it is not counted, more behind a carrier's NAT. A
// text that is no address counts as one of its own.
func (a *addresses) network(ip string) (p netip.Prefix, limit int) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return p, a.limit
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ = addr.Prefix(bits) // the bits fit the family
	switch {
	case a.exemptLoopback && addr.IsLoopback():
		return p, 0
	case slices.ContainsFunc(a.cgn, func(r netip.Prefix) bool { return r.Contains(addr) }):
		return p, a.limit * a.cgnFactor
	}
	return p, a.limit
}

// wait is how long the address is over its limit.
func (a *addresses) wait(ip string) time.Duration {
	p, limit := a.network(ip)
	if limit == 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hours[p]
	if h.n < limit {
		return 0
	}
	return max(h.start.Add(time.Hour).Sub(a.clock.Now()), 0)
}

// count counts one, unless the limit is reached; then it returns for how long.
func (a *addresses) count(ip string) (wait time.Duration) {
	p, limit := a.network(ip)
	if limit == 0 {
		return 0
	}
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hours[p]
	if h.start.Add(time.Hour) <= now {
		a.makeRoom(p, now)
		h = hour{start: now}
	}
	if h.n >= limit {
		return h.start.Add(time.Hour).Sub(now)
	}
	h.n++
	a.hours[p] = h
	return 0
}

// makeRoom forgets something if there is no room for p: what is over where it can.
func (a *addresses) makeRoom(p netip.Prefix, now models.Time) {
	if _, known := a.hours[p]; known || len(a.hours) < maxAddresses {
		return
	}
	looked := 0
	var victim netip.Prefix
	for other, h := range a.hours {
		victim = other
		if looked++; looked == 8 || h.start.Add(time.Hour) <= now {
			break
		}
	}
	delete(a.hours, victim)
}

// bucket is a token bucket of rate a second; a rate of 0 is off.
type bucket struct {
	clock models.Clock
	rate  int

	mu     sync.Mutex
	spent  float64
	atTime models.Time
}

func (b *bucket) take() bool {
	if b.rate == 0 {
		return true
	}
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	passed := max(now.Sub(b.atTime), 0) // a clock that was set back gives and takes nothing
	b.spent = max(0, b.spent-passed.Seconds()*float64(b.rate))
	b.atTime = now
	if b.spent+1 > float64(b.rate) {
		return false
	}
	b.spent++
	return true
}

// AdmitIP takes one request from the limits per address and of all GETPWD together; > 0: limited, in seconds. It counts, so ask once a
// request and outside the transaction, which may run again.
func (r *Room) AdmitIP(ip string) (retryAfter int) {
	if wait := r.requests.count(ip); wait > 0 {
		return seconds(wait)
	}
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Unmap().IsLoopback() && r.config.LoopbackExempt {
		return 0
	}
	if !r.issued.take() {
		return 1
	}
	return 0
}

// IPFailed counts a wrong proof, also against the address that it came from.
func (r *Room) IPFailed(ip string) {
	r.failures.count(ip)
	r.alarm.count(r.clock.Now())
}

// IPBlocked tells whether L0 events from the address get 503 (i4.md C.3).
func (r *Room) IPBlocked(ip string) bool { return r.failures.wait(ip) > 0 }
