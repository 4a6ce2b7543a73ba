package server

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/pki"
	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/models"
)

// Config is how the door is set up.
type Config struct {
	// Lab: plain HTTP counts as TLS, any path is taken, and loopback addresses are exempt from the limits of L0 (resolutions 2, 12, 60).
	Lab  bool
	Path string // i4.acs.path; "/acs" if empty
	// MaxSessions bounds the table of sessions (i4.limits.sessions); 20,000 if zero.
	MaxSessions int
	// Session bounds each session; its Clock is the server's.
	Session session.Config
	Limits  Limits

	// NonceKey signs digest nonces; every replica has the same.
	NonceKey  [32]byte
	NonceTTL  time.Duration // i4.http.digest.nonceTtl; 300 s if zero
	NonceRing int           // i4.http.digest.nonceRing; 1,048,576 if zero
	// SHA256 offers SHA-256 behind MD5 (i4.http.digest.sha256).
	SHA256 bool

	// LegacyBasic takes HTTP Basic with the number and password of an account for those parameters of a REGISTER (i4.md C.2.5).
	LegacyBasic bool

	// Identify judges the client certificate of a connection, anew for each Inform: nil for none, an error if it is not good, or no longer.
	// nil: client certificates mean nothing.
	Identify func(*tls.ConnectionState) (*pki.Identity, error)

	// RetryAfter is the least that a 503 tells to wait; the most is three times that. 10 s if zero.
	RetryAfter time.Duration
	// Blocked tells whether too many wrong proofs came from an IP address (i4.md C.3); nil: never.
	Blocked func(ip string) bool
	// Security hears of the credentials of another device presented for d, at most once a minute and device; nil: nobody does.
	Security func(ctx context.Context, code string, d *models.Device)
	// Traces keeps what is recorded of traced devices; nil: nothing is recorded.
	Traces Traces
}

// Limits are those of i4.limits.*; 0 is off.
type Limits struct {
	L0PerMinuteIP    int // Informs of unknown devices from an address
	L0PerSecond      int // Informs of unknown devices in all
	HeartbeatSeconds int // between two heartbeats of a device
}

// DefaultLimits are those of resolutions 12.
var DefaultLimits = Limits{L0PerMinuteIP: 30, L0PerSecond: 200, HeartbeatSeconds: 30}

// IdentityMismatch is the code of the one security event that the door sees (i4.md A.2-3).
const IdentityMismatch = "security.identity_mismatch"

// Devices is what the door needs of models/devices.
type Devices interface {
	// Lookup returns the row of a device, nil if it is unknown.
	Lookup(ctx context.Context, key models.DeviceKey) (*models.Device, error)
	// Credentials returns the digest verifiers of a row, without a read.
	Credentials(d *models.Device) (models.HTTPCredentials, error)
}

// Server is the door. Run has to run beside it.
type Server struct {
	config  Config
	profile *i4.Profile
	devices Devices
	clients session.Clients
	clock   models.Clock

	nonces     *nonces
	opaque     string
	table      *table
	l0IP       *windows[netip.Prefix]
	l0All      *windows[struct{}]
	heartbeats *windows[models.ID]
	alarms     *windows[models.ID]
	counters   *counters
	stopping   atomic.Bool
}

// New builds the door.
func New(c Config, profile *i4.Profile, devices Devices, clients session.Clients, clock models.Clock) *Server {
	orElse(&c.Path, "/acs")
	orElse(&c.MaxSessions, 20_000)
	orElse(&c.NonceTTL, 300*time.Second)
	orElse(&c.NonceRing, 1<<20)
	orElse(&c.RetryAfter, 10*time.Second)
	c.Session.Clock = clock
	s := &Server{config: c, profile: profile, devices: devices, clients: clients, clock: clock, counters: newCounters(),
		nonces:     newNonces(c.NonceKey, c.NonceTTL, c.NonceRing, clock),
		table:      newTable(c.MaxSessions),
		l0IP:       newWindows[netip.Prefix](time.Minute, c.Limits.L0PerMinuteIP, maxNetworks),
		l0All:      newWindows[struct{}](time.Second, c.Limits.L0PerSecond, 1),
		heartbeats: newWindows[models.ID](time.Duration(c.Limits.HeartbeatSeconds)*time.Second, min(c.Limits.HeartbeatSeconds, 1), maxHeartbeats),
		alarms:     newWindows[models.ID](time.Minute, 1, maxNetworks),
	}
	s.opaque = hex.EncodeToString(s.nonces.boot[:])
	return s
}

func orElse[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// Configure sets up the listener's HTTP server: HTTP/1.1 only, since a connection is part of a client's identity, its time limits and the
// ConnContext. Handler and TLS stay the caller's.
func (s *Server) Configure(h *http.Server) {
	h.ConnContext = s.ConnContext
	h.ReadHeaderTimeout = 10 * time.Second
	h.IdleTimeout = time.Minute
	h.WriteTimeout = bodyTime + 2*postTime
	h.MaxHeaderBytes = 16 << 10
	h.Protocols = new(http.Protocols)
	h.Protocols.SetHTTP1(true)
}

// conn is one TCP connection.
type conn struct {
	current atomic.Pointer[entry] // the session that last was on it
	refused atomic.Int32          // answers 401 since a session was admitted
	// unauthorized is the Inform that was last answered 401; only the goroutine that serves the connection touches it.
	unauthorized *repeated
}

// repeated is an Inform that was read and will come again, with credentials and otherwise the same to the byte: it is not taken apart twice.
type repeated struct {
	body        []byte
	contentType string
	envelope    *cwmp.Envelope
	profile     *i4.Profile // of the device
	in          *models.Inform
	warnings    []i4.Warning
}

// maxRepeated bounds what a connection remembers; Informs of the profile's clients are a third of it.
const maxRepeated = 8 << 10

type connKey struct{}

// ConnContext gives each TCP connection its identity; it is the ConnContext of the http.Server.
func (s *Server) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &conn{})
}

// Stats returns what happened since the start.
func (s *Server) Stats() Stats {
	stats := s.counters.read()
	stats.Open, stats.Finished = s.table.size()
	stats.Limit = s.config.MaxSessions
	return stats
}

const (
	// postTime bounds the handling of a POST, waiting included (i4.md H11).
	postTime = 10 * time.Second
	// reapEvery is how long a session may live beyond its time.
	reapEvery = time.Second
	// enders is how many sessions are ended at a time.
	enders = 8
)

// Run ends the sessions whose time is over, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	for s.clock.Wait(ctx, reapEvery) == nil {
		s.reap()
	}
}

func (s *Server) reap() {
	now := s.clock.Now()
	var over []*entry
	for e := s.table.overdue(now); e != nil; e = s.table.overdue(now) {
		if !e.tryLock() {
			s.table.touch(e, now.Add(reapEvery), false) // in the middle of a POST, which sets the next deadline
			continue
		}
		if deadline := e.session.Deadline(); deadline >= now { // a POST was quicker
			s.table.touch(e, deadline, false)
			e.unlock()
			continue
		}
		over = append(over, e)
	}
	each(over, func(e *entry) {
		defer e.unlock()
		s.end(e, errIdle, TimedOut)
	})
}

// each calls f for every session, some at a time, and waits for all.
func each(entries []*entry, f func(*entry)) {
	var wait sync.WaitGroup
	defer wait.Wait()
	slots := make(chan struct{}, enders)
	for _, e := range entries {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			f(e)
		})
	}
}

// end takes a session out of the table and aborts it, unless it has ended. The caller holds its gate.
func (s *Server) end(e *entry, cause error, outcome Outcome) {
	e.gone = true
	s.table.remove(e)
	if e.ended.Load() { // well: it was only kept for a lost answer
		return
	}
	s.report(e, outcome)
	ctx, cancel := context.WithTimeout(e.as(context.Background()), postTime)
	defer cancel()
	defer s.survive(ctx, nil)
	e.session.Abort(ctx, cause)
}

// report counts and logs how a session ended, once.
func (s *Server) report(e *entry, outcome Outcome) {
	if e.ended.Swap(true) {
		return
	}
	warnings := e.session.Warnings()
	s.counters.count(func(stats *Stats) {
		stats.Sessions[outcome]++
		for _, w := range warnings {
			stats.Warnings[w]++
		}
	})
	slog.Info("cwmp session", "requestId", e.requestID, "device", e.in.Key, "events", events(e.in), "trust", [...]string{"L0", "L1", "L2"}[e.trust],
		"outcome", outcome, "roundTrips", e.posts, "duration", s.clock.Now().Sub(e.opened))
	s.keep(e, outcome)
}

const maxEvents, maxEventCode = 8, 64

// events names what an Inform came with, for the log. A client may send any number of them, of any length.
func events(in *models.Inform) []models.EventName {
	names := make([]models.EventName, 0, maxEvents)
	for _, e := range in.Events[:min(len(in.Events), maxEvents)] {
		names = append(names, e.Name[:min(len(e.Name), maxEventCode)])
	}
	return names
}

// survive keeps a panic within the session where it happened; then, if given, runs after it.
func (s *Server) survive(ctx context.Context, then func()) {
	p := recover()
	if p == nil {
		return
	}
	slog.ErrorContext(ctx, "panic in a cwmp session", "panic", told(p), "stack", string(debug.Stack()))
	s.counters.count(func(stats *Stats) { stats.Panics++ })
	if then != nil {
		then()
	}
}

// told is what the log says of a panic: the runtime's own words name types and sizes, any other value may carry what a client sent.
func told(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// as names who acts in a session, and the request that its rows and log lines remember.
func (e *entry) as(ctx context.Context) context.Context {
	return acting(ctx, e.requestID, e.in, e.device)
}

func acting(ctx context.Context, requestID models.ID, in *models.Inform, d *models.Device) context.Context {
	var id models.ID
	if d != nil {
		id = d.ID
	}
	ctx = models.WithActor(ctx, models.ByDevice(id, string(in.Key)))
	return models.WithOrigin(ctx, models.Origin{RequestID: requestID.String(), RemoteAddress: in.RemoteAddress})
}

// Shutdown refuses new sessions with 503 and lets the open ones finish until ctx ends; what is open then is ended. It returns the error of ctx
// if it had to end any.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	select {
	case <-s.table.drain():
		return nil
	case <-ctx.Done():
	}
	each(s.table.all(), func(e *entry) {
		waiting, cancel := context.WithTimeout(context.Background(), postTime)
		defer cancel()
		if e.lock(waiting) == nil {
			defer e.unlock()
			s.end(e, errStopping, Stopped)
		}
	})
	return context.Cause(ctx)
}

// isProtocol tells whether a client caused the error of a session (i4.md H13).
func isProtocol(err error) bool {
	return errors.Is(err, session.ErrOutOfOrder) || errors.Is(err, session.ErrTooLong) || errors.Is(err, session.ErrClosed)
}
