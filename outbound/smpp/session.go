package smpp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
)

// session is one connection, bound or about to be.
type session struct {
	client *Client
	conn   net.Conn
	to     sms.Receiver

	writing sync.Mutex // one PDU at a time

	mu       sync.Mutex
	sequence uint32
	waiting  map[uint32]question // what has no answer yet by sequence number
	closing  bool                // nothing new begins, on either side
	unbind   *uint32             // sequence number of the centre's unbind
	err      error               // why the connection ended

	over     chan struct{} // closed when the connection ended
	dismiss  chan struct{} // closed when the centre sent unbind
	doubts   chan struct{} // has a value if it is doubtful whether the centre is there
	asking   sync.WaitGroup
	handling sync.WaitGroup
	places   chan struct{} // of deliver_sm that are being handled
}

type question struct {
	command Command
	answer  chan PDU
}

func newSession(c *Client, conn net.Conn, to sms.Receiver) *session {
	return &session{
		client: c, conn: conn, to: to, waiting: map[uint32]question{}, over: make(chan struct{}), dismiss: make(chan struct{}),
		doubts: make(chan struct{}, 1), places: make(chan struct{}, maxDeliveries),
	}
}

// end closes the connection; the first cause counts.
func (s *session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.over:
		return
	default:
	}
	s.err, s.closing = cause, true
	s.client.bound.CompareAndSwap(s, nil)
	close(s.over)
	_ = s.conn.Close() // whatever it says, nothing more is read or written
}

func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// close lets nothing new begin.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.client.bound.CompareAndSwap(s, nil)
}

// errUnanswered means that a PDU left and no answer came: the centre may have worked on it or not.
var errUnanswered = errors.New("no answer of the SMS centre")

// ask sends a request and waits for its response. With errUnanswered it left; with any other error it did not.
func (s *session) ask(ctx context.Context, p PDU) (PDU, error) {
	answer := make(chan PDU, 1)
	s.mu.Lock()
	if s.closing && p.Command != Unbind {
		s.mu.Unlock()
		return PDU{}, errDown
	}
	s.asking.Add(1)
	s.sequence = s.sequence%0x7FFFFFFF + 1 // 5.1.4
	p.Sequence = s.sequence
	s.waiting[p.Sequence] = question{command: p.Command, answer: answer}
	s.mu.Unlock()
	defer s.asking.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, p.Sequence)
	}()
	if err := s.write(p); err != nil {
		return PDU{}, err
	}
	ctx, cancel := s.client.within(ctx, answerWithin)
	defer cancel()
	select {
	case p := <-answer:
		return p, nil
	case <-s.over:
	case <-ctx.Done():
	}
	select {
	case p := <-answer: // it came first
		return p, nil
	default:
	}
	if err := s.cause(); err != nil {
		return PDU{}, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	return PDU{}, fmt.Errorf("%w in time", errUnanswered)
}

// answered hands a response to who waits for it.
func (s *session) answered(ctx context.Context, p PDU) {
	s.mu.Lock()
	q, known := s.waiting[p.Sequence]
	known = known && (p.Command == q.command|response || p.Command == GenericNack)
	if known {
		delete(s.waiting, p.Sequence)
	}
	s.mu.Unlock()
	if !known {
		slog.WarnContext(ctx, "the SMS centre answered what nobody waits for", "command", p.Command, "status", p.Status)
		return
	}
	q.answer <- p
}

// write sends p whole or returns an error; a PDU that left in part only can never be understood and ends the connection.
func (s *session) write(p PDU) error {
	octets, err := Encode(p)
	if err != nil {
		return fmt.Errorf("encode a PDU: %w", err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeWithin)) // fails on a closed connection only, as Write does
	n, err := s.conn.Write(octets)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write to the SMS centre: %w", err)
	s.end(err)
	if n == len(octets) {
		return nil // it left; who waits for the answer hears that the connection ended
	}
	return err
}

// bind is the first question; its answer decides whether the centre wants us.
func (s *session) bind(ctx context.Context) error {
	c := s.client.config
	answer, err := s.ask(ctx, PDU{Command: BindTransceiver, Bind: &Bind{SystemID: c.SystemID, Password: c.Password, InterfaceVersion: interface34}})
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if answer.Status != OK {
		return fmt.Errorf("bind: the SMS centre answered %s", answer.Status)
	}
	return nil
}

// doubt makes stay ask the centre for a sign of life at once, so that no more messages are lost on a dead connection than need be.
func (s *session) doubt() {
	select {
	case s.doubts <- struct{}{}:
	default: // it is going to ask anyway
	}
}

// stay asks the centre for a sign of life every 30 s, and after doubt, until the connection or ctx ends or the centre dismisses us.
func (s *session) stay(ctx context.Context) {
	for {
		pause, cancel := context.WithCancel(ctx)
		go func() {
			defer cancel()
			_ = s.client.clock.Wait(pause, enquireEvery) // however it ends, the pause is over
		}()
		select {
		case <-s.doubts:
		case <-s.over:
		case <-s.dismiss:
		case <-pause.Done():
		}
		cancel()
		select {
		case <-s.over:
			return
		case <-s.dismiss:
			return
		case <-ctx.Done():
			return
		default:
		}
		if _, err := s.ask(ctx, PDU{Command: EnquireLink}); err != nil && ctx.Err() == nil {
			s.end(fmt.Errorf("enquire_link: %w", err))
		}
	}
}

// part ends a bound connection in order: dismissed, it waits for the answers to what is on its way, so that less is unknown; otherwise it unbinds.
func (s *session) part(ctx context.Context) {
	s.close()
	s.mu.Lock()
	dismissed := s.unbind
	s.mu.Unlock()
	if dismissed != nil {
		s.asking.Wait() // each ends by its own time limit
		_ = s.write(PDU{Command: UnbindResp, Sequence: *dismissed})
		s.end(errors.New("the SMS centre sent unbind"))
		return
	}
	if ctx.Err() != nil {
		s.handling.Wait() // they see the end of ctx
		_, _ = s.ask(context.WithoutCancel(ctx), PDU{Command: Unbind})
	}
}

// read takes everything that the centre sends until the connection ends.
func (s *session) read(ctx context.Context) {
	in := bufio.NewReader(s.conn)
	for {
		p, err := Read(in)
		var malformed *MalformedError
		switch {
		case errors.As(err, &malformed):
			slog.WarnContext(ctx, "the SMS centre sent a malformed PDU", "command", p.Command, "field", malformed.Field)
			if p.Command&response == 0 {
				_ = s.write(PDU{Command: GenericNack, Status: InvalidLength, Sequence: p.Sequence}) // the connection ends if it fails
			}
		case err != nil:
			s.end(fmt.Errorf("read from the SMS centre: %w", err))
			return
		default:
			s.take(ctx, p)
		}
	}
}

// take handles one PDU. It waits for nothing but the connection, on which answers come too.
func (s *session) take(ctx context.Context, p PDU) {
	reply := PDU{Command: p.Command | response, Sequence: p.Sequence}
	switch p.Command {
	case EnquireLink:
	case DeliverSM:
		if s.handle(ctx, p) {
			return
		}
		reply.Status = ReceiverTemporary
	case Unbind:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.unbind == nil {
			s.unbind = &p.Sequence
			close(s.dismiss)
		}
		return
	case BindTransceiverResp, SubmitSMResp, EnquireLinkResp, UnbindResp, GenericNack:
		s.answered(ctx, p)
		return
	case alertNotification: // has no response
		return
	default:
		if p.Command&response != 0 {
			return
		}
		reply.Command, reply.Status = GenericNack, InvalidCommand
	}
	_ = s.write(reply) // the connection ends if it fails
}

// handle begins to work on a deliver_sm; false: not now.
func (s *session) handle(ctx context.Context, p PDU) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	select {
	case s.places <- struct{}{}:
	default:
		return false
	}
	s.handling.Go(func() {
		defer func() { <-s.places }()
		status := s.deliver(ctx, p.SM)
		_ = s.write(PDU{Command: DeliverSMResp, Status: status, Sequence: p.Sequence}) // the connection ends if it fails
	})
	return true
}

// deliver hands a receipt or a subscriber's message over and says what the centre hears.
func (s *session) deliver(ctx context.Context, m *SM) Status {
	var err error
	if m.isReceipt() {
		err = s.to.Report(ctx, m.report())
	} else {
		text, failed := m.text()
		from, ok := s.client.number(m.Source)
		if failed != nil || !ok {
			slog.WarnContext(ctx, "a message to us that nobody can read", "coding", m.DataCoding, "from", from.Masked())
			return ReceiverRejects
		}
		err = s.to.Receive(ctx, from, models.Secret(text))
	}
	if err != nil {
		slog.ErrorContext(ctx, "take what the SMS centre delivers", "error", err)
		return ReceiverTemporary
	}
	return OK
}
