package smpp_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

func TestSubmit(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{ID: func(int) string { return "1A2B" }}, nil)
	o := <-l.send()
	if o.err != nil || o.State != models.SmsSubmitted || o.ProviderID != "1A2B" {
		t.Fatalf("%+v", o)
	}
	s := l.centre.Submits()[0]
	// i4.md B.1
	if s.Source != (smpp.Address{NPI: 1, Digits: "10086"}) || s.Dest != (smpp.Address{TON: 1, NPI: 1, Digits: "8613800138000"}) || s.DataCoding != 8 ||
		s.RegisteredDelivery != 1 || s.ESMClass != 0 || s.ValidityPeriod != "000000001000000R" || s.Text != "登录密码：K7MQ29XT" {
		t.Errorf("submitted %+v, %q", s.SM, s.Text)
	}
}

func TestSurrogatesAreTwoUnits(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	m := l.message()
	m.Text = "a😀"
	if _, err := l.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if s := l.centre.Submits()[0]; s.Message.Reveal() != "\x00a\xd8\x3d\xde\x00" || s.Text != "a😀" {
		t.Errorf("submitted %x", s.Message.Reveal())
	}
}

func TestTheValidityIsRelativeAndNeverLonger(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	for i, c := range []struct {
		d    time.Duration
		want string
	}{
		{5 * time.Minute, "000000000500000R"}, {59_999 * time.Millisecond, "000000000059000R"}, {24*time.Hour + time.Second, "000001000001000R"},
		{time.Millisecond, "000000000001000R"}, {-time.Second, "000000000001000R"}, {1000 * time.Hour, "000030000000000R"}, {90 * time.Minute, "000000013000000R"},
	} {
		m := l.message()
		m.ExpiresAt = l.clock.Now().Add(c.d)
		if _, err := l.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := l.centre.Submits()[i].ValidityPeriod; got != c.want {
			t.Errorf("%s is %s, want %s", c.d, got, c.want)
		}
	}
}

func TestAnswersToSubmit(t *testing.T) {
	t.Parallel()
	for status, want := range map[smpp.Status]struct {
		state models.SmsState
		word  string
		busy  bool
	}{
		smpp.OK:        {state: models.SmsSubmitted},
		smpp.Throttled: {busy: true},
		smpp.QueueFull: {busy: true},
		0x0B:           {state: models.SmsRejected, word: "ESME_RINVDSTADR (0x0B)"},
		0x08:           {state: models.SmsRejected, word: "ESME_RSYSERR (0x08)"},
		0x0412:         {state: models.SmsRejected, word: "0x412"},
	} {
		t.Run(status.String(), func(t *testing.T) {
			t.Parallel()
			l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { return status }}, nil)
			o := <-l.send()
			if errors.Is(o.err, sms.ErrBusy) != want.busy || (o.err != nil) != want.busy || o.State != want.state || o.ProviderStatus != want.word {
				t.Errorf("%+v", o)
			}
			if !l.Up() || len(l.centre.Submits()) != 1 {
				t.Error("the connection suffered")
			}
		})
	}
}

// The centre got it and the connection ended: nobody knows what it did with it (resolutions 58).
func TestACutAfterTheSubmitIsUnknown(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { return smpptest.Hang }}, nil)
	l.wantUnknown(<-l.send())
	l.centre.Change(func(c *smpptest.Config) { c.Submit = nil })
	l.clock.pass(t, time.Second)
	l.up()
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted || len(l.centre.Submits()) != 2 {
		t.Errorf("after connecting again: %+v, %d submits", o, len(l.centre.Submits()))
	}
}

func TestACutBeforeTheSubmitIsAnOutage(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	l.centre.Stop()
	storetest.Eventually(t, "the client notices", func() bool { return !l.Up() })
	if o := <-l.send(); o.err == nil || errors.Is(o.err, sms.ErrBusy) {
		t.Errorf("%+v", o)
	}
	if len(l.centre.Submits()) != 0 {
		t.Error("something left")
	}
}

func TestAnAnswerThatComesTooLateIsUnknown(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { <-goOn; return smpp.OK }}, nil)
	result := l.send()
	storetest.Eventually(t, "the centre has it", func() bool { return len(l.centre.Submits()) == 1 })
	l.clock.pass(t, 10*time.Second)
	l.wantUnknown(<-result)
	close(goOn) // nobody waits for it any more
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted || !l.Up() {
		t.Errorf("the next one: %+v", o)
	}
}

func TestNoMoreThanTheWindowIsOutstanding(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { <-goOn; return smpp.OK }}, func(c *smpp.Config) { c.Window = 3 })
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted {
				t.Errorf("%+v", o)
			}
		})
	}
	storetest.Eventually(t, "the window is full", func() bool { return len(l.centre.Submits()) == 3 })
	for range 12 {
		goOn <- struct{}{}
	}
	wg.Wait()
	if _, _, _, most := l.centre.Counts(); most != 3 || l.Window() != 3 || len(l.centre.Submits()) != 12 {
		t.Errorf("%d were outstanding of %d", most, len(l.centre.Submits()))
	}
}

func TestMessagesLeaveAtTheRate(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 4 })
	if err := l.Admit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		admitted := make(chan error, 1)
		go func() { admitted <- l.Admit(t.Context()) }()
		l.clock.pass(t, 250*time.Millisecond)
		if err := <-admitted; err != nil {
			t.Error(err)
		}
	}
	l.clock.pass(t, 30*time.Second) // nobody sends: what was not used is not kept
	if err := l.Admit(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Admit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("at a stop: %v", err)
	}
}

// A connection that died without a word is noticed by the first message that gets no answer, not by the next enquire_link.
func TestAnUnansweredMessageMakesTheClientEnquire(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{Deaf: true, Submit: func(smpptest.Submit) smpp.Status { return smpptest.Silent }}, nil)
	result := l.send()
	storetest.Eventually(t, "the centre has it", func() bool { return len(l.centre.Submits()) == 1 })
	l.clock.pass(t, 10*time.Second)
	l.wantUnknown(<-result)
	storetest.Eventually(t, "enquire_link arrives", func() bool { _, _, n, _ := l.centre.Counts(); return n == 1 })
	l.clock.pass(t, 10*time.Second)
	storetest.Eventually(t, "the connection counts as dead", func() bool { return !l.Up() })
}

func TestASignOfLifeEvery30Seconds(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	for i := range 3 {
		l.clock.pass(t, 30*time.Second)
		storetest.Eventually(t, "enquire_link arrives", func() bool { _, _, n, _ := l.centre.Counts(); return n == i+1 })
	}
	storetest.Eventually(t, "the next is due", func() bool { return l.clock.waits(30 * time.Second) })
	l.centre.Change(func(c *smpptest.Config) { c.Deaf = true })
	l.clock.pass(t, 30*time.Second)
	l.clock.pass(t, 10*time.Second)
	storetest.Eventually(t, "the connection counts as dead", func() bool { return !l.Up() })
	l.clock.pass(t, time.Second)
	l.up()
	if binds, _, _, _ := l.centre.Counts(); binds != 2 {
		t.Errorf("%d binds", binds)
	}
}

func TestTheClientComesBackAfterARestartOfTheCentre(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	l.centre.Stop()
	for _, backoff := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		l.clock.pass(t, backoff*time.Second)
	}
	storetest.Eventually(t, "it waits again", func() bool { return l.clock.waits(time.Minute) })
	l.centre = smpptest.Start(t, smpptest.Config{Addr: l.centre.Addr()})
	l.clock.pass(t, time.Minute)
	l.up()
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted {
		t.Errorf("%+v", o)
	}
	l.centre.Cut()
	l.clock.pass(t, time.Second) // the back-off begins anew
	l.up()
}

func TestAWrongPasswordIsAnOutage(t *testing.T) {
	t.Parallel()
	l := attempt(t, smpptest.Start(t, smpptest.Config{}), func(c *smpp.Config) { c.Password = "wrong" })
	l.clock.pass(t, time.Second)
	storetest.Eventually(t, "it tries again", func() bool { return l.clock.waits(2 * time.Second) })
	if o := <-l.send(); o.err == nil || l.Up() {
		t.Errorf("%+v", o)
	}
}

func TestACentreThatDoesNotAnswerTheBindIsAnOutage(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	defer close(goOn)
	l := attempt(t, smpptest.Start(t, smpptest.Config{Bind: func(smpp.Bind) smpp.Status { <-goOn; return smpp.BindFailed }}), nil)
	l.clock.pass(t, 10*time.Second)
	l.clock.pass(t, time.Second)
	if l.Up() {
		t.Error("it counts as up")
	}
}

func TestTheClientUnbindsAtTheEnd(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	l.stop()
	if _, unbinds, _, _ := l.centre.Counts(); unbinds != 1 || l.Up() {
		t.Errorf("%d unbinds", unbinds)
	}
	if o := <-l.send(); o.err == nil {
		t.Errorf("after the end: %+v", o)
	}
}

// The centre says good-bye while a message is on its way: its answer still counts, and nothing new begins.
func TestTheCentreUnbinds(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { <-goOn; return smpp.OK }}, nil)
	result := l.send()
	storetest.Eventually(t, "the centre has it", func() bool { return len(l.centre.Submits()) == 1 })
	unbound := make(chan error, 1)
	go func() {
		_, err := l.centre.Ask(smpp.PDU{Command: smpp.Unbind})
		unbound <- err
	}()
	storetest.Eventually(t, "the client notices", func() bool { return !l.Up() })
	if o := <-l.send(); o.err == nil {
		t.Errorf("a new one: %+v", o)
	}
	close(goOn)
	if o := <-result; o.err != nil || o.State != models.SmsSubmitted {
		t.Errorf("it ended as %+v", o)
	}
	if err := <-unbound; err != nil {
		t.Error(err)
	}
	l.clock.pass(t, time.Second)
	l.up()
}

func TestTheCentreAsksForASignOfLife(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	if status, err := l.centre.Ask(smpp.PDU{Command: smpp.EnquireLink}); err != nil || status != smpp.OK {
		t.Errorf("%s, %v", status, err)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	if status, err := l.centre.Ask(smpp.PDU{Command: 0x103}); err != nil || status != smpp.InvalidCommand { // data_sm
		t.Errorf("an unknown command: %s, %v", status, err)
	}
	l.centre.Raw(octets(t, "00000012 00000005 00000000 00000063 3131")) // a malformed deliver_sm
	l.centre.Raw(octets(t, "00000010 80000004 00000000 00000777"))      // an answer that nobody waits for
	l.centre.Raw(octets(t, "00000010 00000102 00000000 00000001"))      // alert_notification
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted {
		t.Errorf("after them: %+v", o)
	}
	l.centre.Raw(octets(t, "FFFFFFFF 00000005 00000000 00000001"))
	storetest.Eventually(t, "the connection is given up", func() bool { return !l.Up() })
	l.clock.pass(t, time.Second)
	l.up()
}

func TestAnAnswerOfAnotherKindIsNone(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{Submit: func(smpptest.Submit) smpp.Status { return smpptest.Silent }}, nil)
	result := l.send()
	storetest.Eventually(t, "the centre has it", func() bool { return len(l.centre.Submits()) == 1 })
	l.centre.Raw(octets(t, "00000010 80000015 00000000 00000002")) // enquire_link_resp with the number of the submit_sm
	l.centre.Raw(octets(t, "00000010 80000000 00000003 00000002")) // generic_nack
	if o := <-result; o.err != nil || o.State != models.SmsRejected || !strings.Contains(o.ProviderStatus, "ESME_RINVCMDID") {
		t.Errorf("%+v", o)
	}
}
