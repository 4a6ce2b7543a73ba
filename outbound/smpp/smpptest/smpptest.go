// Package smpptest is an SMS centre for tests: it speaks SMPP 3.4 on a free loopback port and does what the test tells it.
package smpptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/outbound/smpp"
)

// The account that every centre knows.
const (
	SystemID = "softacs"
	Password = "secret"
)

// Submit is a submit_sm that arrived.
type Submit struct {
	*smpp.SM
	// Text is the message, which must be UCS-2.
	Text string
	// ID is what the centre calls it.
	ID string
}

// Config is what a centre does. Nil functions stand for what a well-behaved centre does.
type Config struct {
	// Addr is where it listens; empty: a free port.
	Addr string
	TLS  *tls.Config
	// Bind answers bind_transceiver.
	Bind func(b smpp.Bind) smpp.Status
	// ID is the message_id of the nth message, counted from 1.
	ID func(n int) string
	// Submit answers a submit_sm. It may wait. Silent keeps the centre from answering at all, Hang cuts the connection.
	Submit func(s Submit) smpp.Status
	// Deaf: enquire_link is not answered.
	Deaf bool
	// Receipts: after each accepted message comes DELIVRD.
	Receipts bool
}

// What Submit may return beside statuses.
const (
	Silent smpp.Status = 0xFFFFFFFF
	Hang   smpp.Status = 0xFFFFFFFE
)

// Centre is a running SMS centre.
type Centre struct {
	config   Config
	listener net.Listener
	working  sync.WaitGroup

	mu          sync.Mutex
	connections map[*connection]struct{}
	submits     []Submit
	binds       int
	unbinds     int
	enquiries   int
	outstanding int
	most        int
	sequence    uint32
	replies     map[uint32]chan smpp.Status
	n           int
}

type connection struct {
	net.Conn
	writing sync.Mutex
	bound   bool
}

func (c *connection) write(p smpp.PDU) error {
	octets, err := smpp.Encode(p)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err = c.Write(octets)
	return err
}

// Start starts a centre, which ends with the test.
func Start(t testing.TB, c Config) *Centre {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS != nil {
		l = tls.NewListener(l, c.TLS)
	}
	s := &Centre{config: c, listener: l, connections: map[*connection]struct{}{}, replies: map[uint32]chan smpp.Status{}}
	s.working.Go(s.accept)
	t.Cleanup(s.Stop)
	return s
}

// Addr is where it listens.
func (s *Centre) Addr() string { return s.listener.Addr().String() }

// URL is the setting sms for it.
func (s *Centre) URL() string {
	return fmt.Sprintf("smpp://%s:%s@%s?source=10086", SystemID, Password, s.Addr())
}

// Stop cuts all connections and listens no more.
func (s *Centre) Stop() {
	_ = s.listener.Close() // it may be stopped already
	s.Cut()
	s.working.Wait()
}

// Cut cuts all connections.
func (s *Centre) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		_ = c.Close() // the other side may have done it
	}
}

// Submits are the messages that arrived so far, accepted or not.
func (s *Centre) Submits() []Submit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Submit(nil), s.submits...)
}

// Counts are how many binds were accepted, how many unbind and enquire_link arrived, and how many submit_sm waited at most for their responses.
func (s *Centre) Counts() (binds, unbinds, enquiries, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.binds, s.unbinds, s.enquiries, s.most
}

// Change changes what the centre does from now on.
func (s *Centre) Change(f func(c *Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.config)
}

func (s *Centre) now() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

func (s *Centre) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &connection{Conn: conn}
		s.mu.Lock()
		s.connections[c] = struct{}{}
		s.mu.Unlock()
		s.working.Go(func() {
			s.serve(c)
			s.mu.Lock()
			defer s.mu.Unlock()
			_ = c.Close()
			delete(s.connections, c)
		})
	}
}

func (s *Centre) serve(c *connection) {
	for {
		p, err := smpp.Read(c)
		if err != nil {
			return
		}
		reply := smpp.PDU{Command: p.Command | 0x80000000, Sequence: p.Sequence}
		switch p.Command {
		case smpp.BindTransceiver:
			reply.Answer, reply.Status = "smpptest", s.bind(*p.Bind)
			if reply.Status == smpp.OK {
				s.mu.Lock()
				s.binds++
				c.bound = true
				s.mu.Unlock()
			}
		case smpp.SubmitSM:
			s.working.Go(func() { s.submit(c, p.SM, reply) })
			continue
		case smpp.EnquireLink:
			s.mu.Lock()
			s.enquiries++
			s.mu.Unlock()
			if s.now().Deaf {
				continue
			}
		case smpp.Unbind:
			s.mu.Lock()
			s.unbinds++
			c.bound = false
			s.mu.Unlock()
		case smpp.DeliverSMResp, smpp.GenericNack, smpp.UnbindResp, smpp.EnquireLinkResp:
			s.mu.Lock()
			answer := s.replies[p.Sequence]
			delete(s.replies, p.Sequence)
			s.mu.Unlock()
			if answer != nil {
				answer <- p.Status
			}
			continue
		default:
			reply.Command, reply.Status = smpp.GenericNack, smpp.InvalidCommand
		}
		if c.write(reply) != nil {
			return
		}
	}
}

func (s *Centre) bind(b smpp.Bind) smpp.Status {
	if f := s.now().Bind; f != nil {
		return f(b)
	}
	if b.SystemID != SystemID || b.Password.Reveal() != Password {
		return smpp.InvalidPassword
	}
	return smpp.OK
}

func (s *Centre) submit(c *connection, m *smpp.SM, reply smpp.PDU) {
	config := s.now()
	s.mu.Lock()
	s.n++
	sub := Submit{SM: m, Text: fromUCS2(m), ID: fmt.Sprintf("%d", s.n)}
	if config.ID != nil {
		sub.ID = config.ID(s.n)
	}
	s.submits = append(s.submits, sub)
	s.outstanding++
	s.most = max(s.most, s.outstanding)
	s.mu.Unlock()
	if config.Submit != nil {
		reply.Status = config.Submit(sub)
	}
	s.mu.Lock()
	s.outstanding--
	s.mu.Unlock()
	switch reply.Status {
	case Silent:
		return
	case Hang:
		_ = c.Close()
		return
	case smpp.OK:
		reply.Answer = sub.ID
	}
	if c.write(reply) == nil && reply.Status == smpp.OK && config.Receipts {
		_, _ = s.Deliver(Receipt(sub, sub.ID, "DELIVRD")) // a connection that ends meanwhile is the test's own doing
	}
}

// fromUCS2 is the text of a submit_sm; empty if it is not UCS-2.
func fromUCS2(m *smpp.SM) string {
	octets := m.Message.Reveal()
	if m.DataCoding != 8 || len(octets)%2 != 0 {
		return ""
	}
	var units []uint16
	for i := 0; i < len(octets); i += 2 {
		units = append(units, uint16(octets[i])<<8|uint16(octets[i+1]))
	}
	return string(utf16.Decode(units))
}

// Receipt is the deliver_sm that tells how a message ended, with the name that the centre gives it this time and a word as DELIVRD.
func Receipt(s Submit, id, word string) *smpp.SM {
	return &smpp.SM{
		Source: s.Dest, Dest: s.Source, ESMClass: 0x04,
		Message: models.Secret("id:" + id + " sub:001 dlvrd:001 submit date:2601050200 done date:2601050201 stat:" + word + " err:000 text:id:9 stat:DELIVRD"),
	}
}

// ErrNotBound tells that nobody is there to deliver to.
var ErrNotBound = errors.New("nobody is bound")

// Deliver sends a deliver_sm on a bound connection and returns the status that it is answered with.
func (s *Centre) Deliver(m *smpp.SM) (smpp.Status, error) {
	return s.Ask(smpp.PDU{Command: smpp.DeliverSM, SM: m})
}

// Ask sends any request on a bound connection and returns the status of the response.
func (s *Centre) Ask(p smpp.PDU) (smpp.Status, error) {
	answer, err := s.Send(p)
	if err != nil {
		return 0, err
	}
	select {
	case status := <-answer:
		return status, nil
	case <-time.After(10 * time.Second):
		return 0, errors.New("no answer within 10 s")
	}
}

// Send is Ask that does not wait for the response.
func (s *Centre) Send(p smpp.PDU) (<-chan smpp.Status, error) {
	answer := make(chan smpp.Status, 1)
	s.mu.Lock()
	var c *connection
	for bound := range s.connections {
		if bound.bound {
			c = bound
		}
	}
	s.sequence++
	p.Sequence = s.sequence
	s.replies[p.Sequence] = answer
	s.mu.Unlock()
	if c == nil {
		return nil, ErrNotBound
	}
	return answer, c.write(p)
}

// Raw writes octets on every bound connection.
func (s *Centre) Raw(octets []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		if c.bound {
			_, _ = c.Write(octets) // a connection that ends meanwhile is the test's own doing
		}
	}
}
