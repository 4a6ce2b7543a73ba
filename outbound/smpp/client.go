// Package smpp sends short messages to an SMS centre by SMPP 3.4, and takes its receipts and what subscribers write to us.
//
// It owns the octets of the protocol, the connection and what an answer of the centre means for a message. It refuses to know the outbox and what
// a message says: it is an sms.Line. Neither the password nor a text ever reaches a log or an error.
package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
)

const (
	bindWithin    = 10 * time.Second // TCP, TLS and bind_transceiver together
	answerWithin  = 10 * time.Second // any other response
	writeWithin   = 10 * time.Second // by the machine's clock, as sockets know no other
	enquireEvery  = 30 * time.Second // i4.md B.1
	firstBackoff  = time.Second
	maxBackoff    = time.Minute
	interface34   = 0x34
	maxDeliveries = 64 // deliver_sm that are being handled; more are told to come again
)

// Config is where the centre is and how fast it may be sent to.
type Config struct {
	Addr     string // host:port
	SystemID string
	Password models.Secret
	Source   Address
	TLS      *tls.Config // nil: plain TCP
	// Window is how many submit_sm may wait for their responses, TPS how many may leave in a second; 0: no limit.
	Window, TPS int
	// Plan reads the numbers of subscribers who write to us.
	Plan models.NumberPlan
}

// Client keeps one connection to a centre while Run runs.
type Client struct {
	config Config
	clock  models.Clock
	window chan struct{}
	pace   pace
	bound  atomic.Pointer[session] // nil: not connected
}

var _ sms.Line = (*Client)(nil)

// New makes a client that is not connected.
func New(c Config, clock models.Clock) *Client {
	return &Client{config: c, clock: clock, window: make(chan struct{}, max(c.Window, 1)), pace: pace{clock: clock, perSecond: c.TPS}}
}

// Up tells whether the centre has accepted us.
func (c *Client) Up() bool { return c.bound.Load() != nil }

// Window is how many messages may be on their way at a time.
func (c *Client) Window() int { return cap(c.window) }

// Admit waits until the rate lets one more message leave.
func (c *Client) Admit(ctx context.Context) error { return c.pace.wait(ctx) }

// Run keeps a connection to the centre, connecting again after 1, 2, 4 … 60 seconds, until ctx ends; then it unbinds.
func (c *Client) Run(ctx context.Context, to sms.Receiver) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		wasBound, err := c.connection(ctx, to)
		if ctx.Err() != nil {
			return
		}
		if wasBound {
			backoff = firstBackoff
		}
		slog.ErrorContext(ctx, "the SMS centre is not connected", "addr", c.config.Addr, "again", backoff, "error", err)
		if c.clock.Wait(ctx, backoff) != nil {
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// connection lives as long as one connection does, and says why it ended.
func (c *Client) connection(ctx context.Context, to sms.Receiver) (wasBound bool, err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	s := newSession(c, conn, to)
	reading, stopReading := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.read(reading)
	}()
	defer func() {
		s.end(nil)
		<-ended
		stopReading()
		s.handling.Wait()
	}()
	if err := s.bind(ctx); err != nil {
		return false, err
	}
	c.bound.Store(s)
	if s.cause() != nil { // it ended just now
		c.bound.CompareAndSwap(s, nil)
	}
	slog.InfoContext(ctx, "the SMS centre is connected", "addr", c.config.Addr)
	s.stay(ctx)
	s.part(ctx)
	return true, s.cause()
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := c.within(ctx, bindWithin)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.config.Addr)
	if err != nil || c.config.TLS == nil {
		return conn, err
	}
	secure := tls.Client(conn, c.config.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// number reads who wrote: an international number as it is, any other as at home. A name is nobody's number, whatever it looks like: senders
// of bulk messages choose it.
func (c *Client) number(a Address) (models.Number, bool) {
	digits := a.Digits
	switch {
	case a.TON == tonAlphanumeric:
		return "", false
	case a.TON == tonInternational && !strings.HasPrefix(digits, "+"):
		digits = "+" + digits
	}
	return c.config.Plan.Normalise(digits)
}

// within is ctx with a time limit by the client's clock.
func (c *Client) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		if c.clock.Wait(ctx, d) == nil {
			cancel()
		}
	}()
	return ctx, cancel
}

// errDown means that nothing left.
var errDown = errors.New("the SMS centre is not connected")

// Send submits m and returns what the centre answered: SUBMITTED with its name for the message, or REJECTED with its word. Once the message may
// have left and no answer comes, it is UNDELIVERABLE, unknown (resolutions 58). An error means that it did not leave; it wraps sms.ErrBusy if the
// centre wants to hear less.
func (c *Client) Send(ctx context.Context, m sms.Outgoing) (sms.Receipt, error) {
	select {
	case c.window <- struct{}{}:
		defer func() { <-c.window }()
	case <-ctx.Done():
		return sms.Receipt{}, fmt.Errorf("wait for a place in the window: %w", ctx.Err())
	}
	s := c.bound.Load()
	if s == nil {
		return sms.Receipt{}, errDown
	}
	answer, err := s.ask(ctx, PDU{Command: SubmitSM, SM: &SM{
		Source: c.config.Source, Dest: Address{TON: tonInternational, NPI: npiISDN, Digits: string(m.To)},
		ValidityPeriod: validity(m.ExpiresAt.Sub(c.clock.Now())), RegisteredDelivery: 1,
		DataCoding: codingUCS2, Message: models.Secret(ucs2(m.Text.Reveal())),
	}})
	switch {
	case errors.Is(err, errUnanswered):
		s.doubt()
		slog.WarnContext(ctx, "an SMS may have left or not", "message", m.ID, "error", err)
		return sms.Receipt{State: models.SmsUndeliverable, ProviderStatus: sms.Unknown}, nil
	case err != nil:
		return sms.Receipt{}, err
	}
	switch answer.Status {
	case OK:
		return sms.Receipt{State: models.SmsSubmitted, ProviderID: answer.Answer}, nil
	case Throttled, QueueFull:
		return sms.Receipt{}, fmt.Errorf("%w: %s", sms.ErrBusy, answer.Status)
	}
	return sms.Receipt{State: models.SmsRejected, ProviderStatus: answer.Status.String()}, nil
}
