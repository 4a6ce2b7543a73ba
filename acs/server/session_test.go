package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
)

// begin opens a session of a known device at L1.
func (d *door) begin(c *client, m *cwmp.Inform) *digest {
	d.t.Helper()
	x := challenged(d.t, c.send(m), "MD5", string(keyOf(m)), password)
	c.send(m, x.sign).has(d.t, "InformResponse")
	return x
}

// A second Inform on the connection of an open session is out of order, with its cookie or without; on another one it opens a new session
// (resolutions 5).
func TestSecondInform(t *testing.T) {
	t.Parallel()
	for _, cookie := range []bool{true, false} {
		d := open(t)
		v := d.clients.visits(&fakeVisit{reboots: 1})
		c := d.client()
		c.send(inform("1", "1 BOOT")).has(t, "InformResponse")
		c.empty().has(t, "Reboot")
		other := c.elsewhere()
		other.send(inform("1", "1 BOOT")).has(t, "InformResponse")
		if len(v.ended()) > 0 {
			t.Error("an Inform on another connection ended the session")
		}
		if !cookie {
			c.header.Del("Cookie")
		}
		d.devices.read()
		c.send(inform("1", "1 BOOT")).is(t, http.StatusBadRequest)
		if ended := v.ended(); len(ended) != 1 || ended[0] == nil || d.devices.read() > 0 {
			t.Errorf("ended with %v", ended)
		}
		other.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	}
}

// From L1 on a newer session of the device ends the older one before it begins; at L0 nobody can end anything (i4.md A.5-6).
func TestNewerSessionWins(t *testing.T) {
	t.Parallel()
	d := open(t)
	m := inform("1", "1 BOOT")
	d.know(m)
	old := d.clients.visits(&fakeVisit{reboots: 1})
	c := d.client()
	x := d.begin(c, inform("1", "1 BOOT", "2 PERIODIC"))
	c.empty().has(t, "Reboot")

	stranger := d.client()
	stranger.send(m).has(t, "InformResponse")
	if d.clients.last(t).trust != models.L0 || len(old.ended()) > 0 {
		t.Fatal("a session at L0 ended one at L1")
	}
	d.clients.visit = func() *fakeVisit {
		if ended := old.ended(); len(ended) != 1 || !errors.Is(ended[0], errReplaced) {
			t.Errorf("the older session ended with %v before the newer one arrived", ended)
		}
		return &fakeVisit{}
	}
	restarted := d.client()
	restarted.send(m, x.sign).has(t, "InformResponse")
	c.empty().is(t, http.StatusBadRequest)
	stranger.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	restarted.empty().is(t, http.StatusNoContent)
	if s := d.Stats(); s.Sessions[Replaced] != 1 || s.Trust[models.L1] != 2 || s.Trust[models.L0] != 1 {
		t.Errorf("stats %+v", s)
	}
}

// A client that comes on another connection is authenticated again from L1 on, and needs its cookie (i4.md A.2-4).
func TestConnectionChanges(t *testing.T) {
	t.Parallel()
	d := open(t)
	m := inform("1", "2 PERIODIC")
	row := d.know(m)
	v := d.clients.visits(&fakeVisit{reboots: 1})
	c := d.client()
	x := d.begin(c, m)
	d.devices.read()
	a := c.empty()
	a.has(t, "Reboot")
	done := encodeID(t, &cwmp.RebootResponse{}, a.message(t).ID)
	if d.devices.read() > 0 {
		t.Error("a read on the connection that is known")
	}

	naked := c.elsewhere()
	naked.post(bytes.NewReader(done)).is(t, http.StatusUnauthorized)
	if d.devices.read() > 0 {
		t.Error("a read for nothing")
	}
	wrong := challenged(t, naked.post(bytes.NewReader(done)), "MD5", x.username, "wrong")
	naked.post(bytes.NewReader(done), wrong.sign).is(t, http.StatusUnauthorized)
	d.know(inform("2"))
	thief := challenged(t, c.elsewhere().post(bytes.NewReader(done)), "MD5", "00005E-IMSPC-2", password)
	if a := c.elsewhere().post(bytes.NewReader(done), thief.sign); a.StatusCode != 401 || !a.Close {
		t.Errorf("status %d, close %v", a.StatusCode, a.Close)
	}
	cookieless := c.elsewhere()
	cookieless.header.Del("Cookie")
	cookieless.post(bytes.NewReader(done), x.sign).is(t, http.StatusBadRequest)
	d.devices.fail(errors.New("no database"))
	c.elsewhere().post(bytes.NewReader(done), x.sign).is(t, http.StatusServiceUnavailable)
	d.devices.fail(nil)
	if v.answers > 0 || len(v.ended()) > 0 {
		t.Fatal("somebody else reached the session")
	}

	// Its password was changed within the session.
	d.devices.put(row, models.HTTPCredentials{Current: ha1("newer")})
	moved := c.elsewhere()
	x = challenged(t, moved.post(bytes.NewReader(done)), "MD5", x.username, "newer")
	moved.post(bytes.NewReader(done), x.sign).is(t, http.StatusNoContent)
	moved.empty().is(t, http.StatusNoContent) // now it is known here
	if v.answers != 1 || len(v.ended()) != 1 {
		t.Errorf("%d answers, ended %v", v.answers, v.ended())
	}
}

// POSTs of a session are handled one at a time; of those that wait there are few.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	d := open(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	v := d.clients.visits(&fakeVisit{})
	v.next = func(context.Context) (*models.Request, error) {
		entered <- struct{}{}
		<-leave
		return nil, nil
	}
	c := d.client()
	c.send(inform("1", "1 BOOT")).has(t, "InformResponse")
	statuses := make(chan int)
	post := func() {
		other := c.elsewhere()
		go func() {
			a, err := other.try(http.NoBody)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			statuses <- a.StatusCode
		}()
	}
	post()
	<-entered
	e := d.table.find([]string{strings.TrimPrefix(c.header.Get("Cookie"), "I4SID=")})
	for i := range maxWaiting {
		post()
		eventually(t, "a POST waits", func() bool { return e.waiting.Load() == int32(i+1) })
	}
	post()
	if status := <-statuses; status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	close(leave)
	for range maxWaiting + 1 {
		if status := <-statuses; status != http.StatusNoContent {
			t.Errorf("status %d, want 204", status)
		}
	}
	if len(v.ended()) != 1 {
		t.Errorf("ended %v", v.ended())
	}
}

// Sessions are over after their idle time, and after their time in all; each ends once (i4.md A.5-7).
func TestReaper(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.run()
	waiting, silent := &fakeVisit{reboots: 1}, &fakeVisit{}
	d.clients.visits(waiting)
	c := d.client()
	c.send(inform("1", "1 BOOT")).has(t, "InformResponse")
	c.empty().has(t, "Reboot")
	d.clients.visits(silent)
	patient, err := cwmp.Encode(&cwmp.Envelope{ID: "1", SessionTimeout: 90, Body: inform("2", "1 BOOT")})
	if err != nil {
		t.Fatal(err)
	}
	slow := d.client()
	slow.post(bytes.NewReader(patient)).has(t, "InformResponse")

	d.clock.advance(40 * time.Second)
	c.empty().has(t, "Reboot") // in time
	d.clock.advance(39 * time.Second)
	slow.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	d.clock.advance(3 * time.Second)
	eventually(t, "the idle session is over", func() bool { return len(waiting.ended()) == 1 && d.Stats().Open == 1 })
	c.empty().is(t, http.StatusBadRequest)
	if !errors.Is(waiting.ended()[0], errIdle) || len(silent.ended()) > 0 {
		t.Errorf("ended with %v, the other one with %v", waiting.ended(), silent.ended())
	}
	for range 3 {
		d.clock.advance(65 * time.Second)
		slow.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	}
	d.clock.advance(30 * time.Second)
	eventually(t, "the long session is over", func() bool { return len(silent.ended()) == 1 && d.Stats().Open == 0 })
	if silent.ended()[0] != nil { // nothing was asked, so nothing broke
		t.Errorf("ended with %v", silent.ended())
	}
	if s := d.Stats(); s.Sessions[TimedOut] != 2 {
		t.Errorf("stats %+v", s)
	}
}

// A session that is in the middle of a POST is not over, whatever the clock says.
func TestReaperLeavesBusySessions(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := d.clients.visits(&fakeVisit{})
	v.next = func(context.Context) (*models.Request, error) {
		d.clock.advance(50 * time.Second)
		d.reap()
		return &models.Request{Method: models.RebootDevice, CommandKey: "k"}, nil
	}
	c := d.client()
	c.send(inform("1", "1 BOOT")).has(t, "InformResponse")
	c.empty().has(t, "Reboot")
	if len(v.ended()) > 0 || d.Stats().Open != 1 {
		t.Error("it was ended")
	}
	d.reap()
	d.clock.advance(time.Minute)
	d.reap()
	if len(v.ended()) != 1 || d.Stats().Open != 0 {
		t.Error("it was forgotten")
	}
}

// The table never holds more sessions than it may; those that ended well make room first (H12).
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) { c.MaxSessions = 5 })
	var clients []*client
	for i := range 5 {
		c := d.client()
		c.send(inform(fmt.Sprint(i), "1 BOOT")).has(t, "InformResponse")
		clients = append(clients, c)
	}
	d.devices.read()
	a := d.client().post(strings.NewReader("it is not even parsed"))
	a.is(t, http.StatusServiceUnavailable)
	if d.devices.read() > 0 {
		t.Error("a read for nothing")
	}
	clients[0].empty().is(t, http.StatusNoContent)
	clients[0].empty().is(t, http.StatusNoContent)
	d.client().send(inform("x", "1 BOOT")).has(t, "InformResponse")
	for _, c := range clients[1:] {
		c.empty().is(t, http.StatusNoContent)
	}
	clients[0].empty().is(t, http.StatusBadRequest) // it made room
	for i := range 100 {
		c := d.client()
		c.send(inform(fmt.Sprint("y", i), "1 BOOT")).has(t, "InformResponse")
		c.empty().is(t, http.StatusNoContent)
	}
	if s := d.Stats(); s.Open+s.Finished > 5 || s.Sessions[Completed] != 105 {
		t.Errorf("stats %+v", s)
	}
	if n := len(d.table.byTime); n != len(d.table.byID) || n != 5 {
		t.Errorf("%d on the clock, %d in the table", n, len(d.table.byID))
	}
	// What is refused leaves nothing behind.
	for range 20 {
		d.client().send(&cwmp.GetRPCMethods{}).is(t, http.StatusBadRequest)
	}
	d.clock.advance(time.Minute)
	d.reap()
	if s := d.Stats(); s.Open+s.Finished > 0 || len(d.table.byDevice) > 0 {
		t.Errorf("stats %+v", s)
	}
}

// What goes wrong behind the door: overload and errors are 503, a panic is a fault or 400; each ends its session alone.
func TestVisitFails(t *testing.T) {
	t.Parallel()
	next := func(err error) *fakeVisit {
		return &fakeVisit{next: func(context.Context) (*models.Request, error) {
			if err == nil {
				panic("boom")
			}
			return nil, err
		}}
	}
	for name, c := range map[string]struct {
		visit  *fakeVisit
		post   cwmp.Message
		status int
		panics uint64
	}{
		"overload":       {next(models.E(models.Unavailable, "later")), nil, 503, 0},
		"internal error": {next(errors.New("torn")), nil, 503, 0},
		"panic":          {next(nil), nil, 400, 1},
		"lost transfer":  {&fakeVisit{transfer: func() error { return errors.New("torn") }}, &cwmp.TransferComplete{}, 503, 0},
		"torn transfer":  {&fakeVisit{transfer: func() error { panic("boom") }}, &cwmp.TransferComplete{}, 400, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			m := inform("1", "2 PERIODIC")
			d.know(m)
			other := d.client()
			other.send(inform("2", "1 BOOT"))
			d.clients.visits(c.visit)
			client := d.client()
			d.begin(client, m)
			var a answer
			if c.post == nil {
				a = client.empty()
			} else {
				a = client.send(c.post)
			}
			a.is(t, c.status)
			client.empty().is(t, http.StatusBadRequest)
			if s := d.Stats(); len(c.visit.ended()) != 1 || s.Sessions[Failed] != 1 || s.Panics != c.panics {
				t.Errorf("ended %v, stats %+v", c.visit.ended(), s)
			}
			other.empty().is(t, http.StatusNoContent)
		})
	}
	t.Run("panic at the Inform", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.clients.visit = func() *fakeVisit { panic("boom") }
		a := d.client().send(inform("1", "1 BOOT"))
		a.has(t, "Fault")
		if f := a.message(t).Body.(*cwmp.Fault); f.Code != 8002 || len(a.Cookies()) > 0 || d.Stats().Open > 0 {
			t.Errorf("fault %d, cookies %v", f.Code, a.Cookies())
		}
	})
}

// A request that cannot be written is answered by a fault for its asker, and the session goes on.
func TestUnwritableRequest(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := d.clients.visits(&fakeVisit{})
	asked := 0
	v.next = func(context.Context) (*models.Request, error) {
		if asked++; asked > 1 {
			return nil, nil
		}
		return &models.Request{Method: models.RebootDevice, CommandKey: strings.Repeat("k", 33)}, nil
	}
	c := d.client()
	c.send(inform("1", "1 BOOT"))
	c.empty().is(t, http.StatusNoContent)
	if v.answers != 1 || asked != 2 {
		t.Errorf("%d answers, asked %d times", v.answers, asked)
	}
}

// At its end the process lets open sessions finish, and ends what is left in time.
func TestShutdown(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.client()
	c.send(inform("1", "1 BOOT"))
	finished := make(chan error)
	go func() { finished <- d.Shutdown(context.Background()) }()
	eventually(t, "new sessions are refused", func() bool { return d.client().send(inform("2", "1 BOOT")).StatusCode == 503 })
	c.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	select {
	case err := <-finished:
		t.Fatalf("finished with an open session: %v", err)
	default:
	}
	c.empty().is(t, http.StatusNoContent)
	if err := <-finished; err != nil {
		t.Error(err)
	}

	d = open(t)
	v := d.clients.visits(&fakeVisit{reboots: 1})
	c = d.client()
	c.send(inform("1", "1 BOOT"))
	c.empty().has(t, "Reboot")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if ended := v.ended(); len(ended) != 1 || !errors.Is(ended[0], errStopping) || d.Stats().Open > 0 {
		t.Errorf("ended with %v", ended)
	}
	if err := d.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func ha1(p models.Secret) models.HA1 { return devices.HA1Of("00005E-IMSPC-1", p) }
