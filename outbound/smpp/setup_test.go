package smpp_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

// clock is a clock that a test moves, and that knows for how long everybody waits.
type clock struct {
	mu      sync.Mutex
	now     models.Time
	waiting map[chan struct{}]wait
}

type wait struct {
	d     time.Duration
	until models.Time
}

func newClock() *clock {
	return &clock{now: storetest.NewClock().Now(), waiting: map[chan struct{}]wait{}}
}

func (c *clock) Now() models.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	over := make(chan struct{})
	c.mu.Lock()
	if d <= 0 {
		close(over)
	} else {
		c.waiting[over] = wait{d: d, until: c.now.Add(d)}
	}
	c.mu.Unlock()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, over)
		return ctx.Err()
	}
}

// pass waits until somebody waits for d and lets d pass.
func (c *clock) pass(t *testing.T, d time.Duration) {
	t.Helper()
	storetest.Eventually(t, "somebody waits for "+d.String(), func() bool { return c.waits(d) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for over, w := range c.waiting {
		if w.until <= c.now {
			close(over)
			delete(c.waiting, over)
		}
	}
}

func (c *clock) waits(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting {
		if w.d == d {
			return true
		}
	}
	return false
}

// heard is a Receiver that keeps what it hears.
type heard struct {
	mu      sync.Mutex
	reports []sms.Report
	texts   []string
	fail    error
	hold    chan struct{} // if set, Report waits for it
}

func (h *heard) Report(ctx context.Context, r sms.Report) error {
	h.mu.Lock()
	h.reports = append(h.reports, r)
	fail, hold := h.fail, h.hold
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fail
}

func (h *heard) Receive(_ context.Context, from models.Number, text models.Secret) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, string(from)+" "+text.Reveal())
	return h.fail
}

func (h *heard) all() (reports []sms.Report, texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.reports), slices.Clone(h.texts)
}

// link is a client that is connected, or trying to, to a centre of its own.
type link struct {
	*testing.T
	*smpp.Client
	centre *smpptest.Centre
	clock  *clock
	heard  *heard
	stop   func() // unbinds and waits
}

// connect starts a centre and a client, and waits until they are connected.
func connect(t *testing.T, centre smpptest.Config, change func(c *smpp.Config)) *link {
	t.Helper()
	l := attempt(t, smpptest.Start(t, centre), change)
	l.up()
	return l
}

// attempt starts a client.
func attempt(t *testing.T, centre *smpptest.Centre, change func(c *smpp.Config)) *link {
	t.Helper()
	c, err := smpp.ParseURL(models.Secret(centre.URL()))
	if err != nil {
		t.Fatal(err)
	}
	c.Window, c.Plan = 10, models.NumberPlan{Country: "86", Area: "21"}
	if change != nil {
		change(&c)
	}
	l := &link{T: t, centre: centre, clock: newClock(), heard: &heard{}}
	l.Client = smpp.New(c, l.clock)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Client.Run(ctx, l.heard)
	}()
	l.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(l.stop)
	return l
}

func (l *link) up() {
	l.Helper()
	storetest.Eventually(l.T, "the client is connected", l.Up)
}

func (l *link) message() sms.Outgoing {
	return sms.Outgoing{ID: models.NewID(), To: "8613800138000", Text: "登录密码：K7MQ29XT", At: l.clock.Now(), ExpiresAt: l.clock.Now().Add(10 * time.Minute)}
}

// outcome is what Send returned.
type outcome struct {
	sms.Receipt
	err error
}

// send sends a message in the background.
func (l *link) send() <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		receipt, err := l.Send(l.Context(), l.message())
		result <- outcome{receipt, err}
	}()
	return result
}

// wantUnknown checks that a message ended as one of which nobody knows whether it left.
func (l *link) wantUnknown(o outcome) {
	l.Helper()
	if o.err != nil || o.State != models.SmsUndeliverable || o.ProviderStatus != sms.Unknown {
		l.Errorf("it ended as %+v", o)
	}
}

var errNo = errors.New("no")
