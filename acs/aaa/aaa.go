// Package aaa listens to RADIUS accounting (RFC 2866), which tells which access line an address belongs to (i4.md B.4, resolutions 10).
//
// It owns the packets: who may send them, that they are authentic, what is in them, and when they are answered. It refuses to know what becomes of
// a report, which is models/lines', and to be an AAA server: nobody is authenticated or billed here.
package aaa

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"layeh.com/radius"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/lines"
)

// Config is how the listener is set up.
type Config struct {
	// Secret is shared with the clients: access servers, or a proxy that copies their accounting. Packets from anywhere else are dropped.
	Secret  models.Secret
	Clients []netip.Prefix
	// ByPort: NAS-Port-Id names the line, not User-Name.
	ByPort bool
	// Take commits reports and tells which were taken (lines.Room).
	Take  func(ctx context.Context, reports []lines.Report) ([]bool, error)
	Clock models.Clock
}

// Outcome is what became of a packet.
type Outcome string

// The outcomes. Only the first two are answered: whoever is not answered sends again.
const (
	Taken      Outcome = "taken"
	Ignored    Outcome = "ignored"    // tells nothing of lines
	Full       Outcome = "full"       // one line more than may be kept
	Failed     Outcome = "failed"     // the database did not take it
	Busy       Outcome = "busy"       // too many wait
	Foreign    Outcome = "foreign"    // of no client
	Forged     Outcome = "forged"     // of somebody with another secret
	Malformed  Outcome = "malformed"  // no packet
	Unexpected Outcome = "unexpected" // no Accounting-Request
)

// Count names a number of packets.
type Count struct {
	Kind    Kind
	Outcome Outcome
}

// Server listens. Its packets are counted from its making on.
type Server struct {
	config Config
	secret []byte

	mu     sync.Mutex
	counts map[Count]uint64
}

// New builds a listener.
func New(c Config) *Server {
	return &Server{config: c, secret: []byte(c.Secret.Reveal()), counts: map[Count]uint64{}}
}

// Stats counts packets by kind and outcome.
func (s *Server) Stats() map[Count]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

func (s *Server) count(kind Kind, outcome Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[Count{kind, outcome}]++
}

const (
	// maxWaiting is how many packets wait for the database.
	maxWaiting = 4096
	// takeTime bounds a commit: access servers have sent again by then.
	takeTime = 10 * time.Second
	// pause is how long to wait after an error of the socket.
	pause = time.Second
)

// waiting is a report that was read and not yet taken.
type waiting struct {
	kind   Kind
	report lines.Report
	from   net.Addr
	answer []byte
}

// Serve answers packets on conn until ctx ends, then those that were read, and closes conn. Whatever comes while a commit runs is the next
// commit's.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) {
	queue := make(chan waiting, maxWaiting)
	var taking sync.WaitGroup
	taking.Go(func() { s.take(context.WithoutCancel(ctx), conn, queue) })
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // wakes the reader
	s.receive(ctx, conn, queue)
	stop()
	close(queue)
	taking.Wait()
	_ = conn.Close() // nothing is lost: everything was answered
}

func (s *Server) receive(ctx context.Context, conn net.PacketConn, queue chan<- waiting) {
	datagram := make([]byte, radius.MaxPacketLength)
	for {
		n, from, err := conn.ReadFrom(datagram)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			slog.ErrorContext(ctx, "receive RADIUS packets", "error", err)
			if s.config.Clock.Wait(ctx, pause) != nil {
				return
			}
		default:
			s.packet(ctx, conn, datagram[:n], from, queue)
		}
	}
}

// packet reads one datagram.
func (s *Server) packet(ctx context.Context, conn net.PacketConn, datagram []byte, from net.Addr, queue chan<- waiting) {
	source := addrOf(from)
	if !slices.ContainsFunc(s.config.Clients, func(p netip.Prefix) bool { return p.Contains(source) }) {
		s.count(Unread, Foreign)
		return
	}
	p, why := open(datagram, s.secret)
	if p == nil {
		s.count(Unread, why)
		return
	}
	report, kind, useful := read(p, source, s.config.ByPort, s.config.Clock.Now())
	text, err := answer(p)
	switch {
	case err != nil:
		s.count(kind, Malformed)
	case !useful:
		s.reply(ctx, conn, waiting{kind: kind, from: from, answer: text}, Ignored)
	default:
		select {
		case queue <- waiting{kind: kind, report: report, from: from, answer: text}:
		default:
			s.count(kind, Busy)
		}
	}
}

func addrOf(from net.Addr) netip.Addr {
	if udp, ok := from.(*net.UDPAddr); ok {
		return udp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// take commits what waits, as much as there is at a time, until queue is closed.
func (s *Server) take(ctx context.Context, conn net.PacketConn, queue <-chan waiting) {
	for first := range queue {
		batch := []waiting{first}
	more:
		for len(batch) < lines.MaxBatch {
			select {
			case next, ok := <-queue:
				if !ok {
					break more
				}
				batch = append(batch, next)
			default:
				break more
			}
		}
		s.commit(ctx, conn, batch)
	}
}

func (s *Server) commit(ctx context.Context, conn net.PacketConn, batch []waiting) {
	ctx, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	reports := make([]lines.Report, len(batch))
	for i, w := range batch {
		reports[i] = w.report
	}
	taken, err := s.config.Take(ctx, reports)
	if err != nil {
		slog.ErrorContext(ctx, "take RADIUS accounting", "packets", len(batch), "error", err)
	}
	for i, w := range batch {
		switch {
		case err != nil:
			s.count(w.kind, Failed)
		case !taken[i]:
			s.count(w.kind, Full)
		default:
			s.reply(ctx, conn, w, Taken)
		}
	}
}

// reply answers a packet. An answer that is lost costs a repetition of what was taken already.
func (s *Server) reply(ctx context.Context, conn net.PacketConn, w waiting, outcome Outcome) {
	s.count(w.kind, outcome)
	if _, err := conn.WriteTo(w.answer, w.from); err != nil {
		slog.WarnContext(ctx, "answer a RADIUS packet", "error", err)
	}
}
