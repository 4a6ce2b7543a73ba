package session

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// i4.md A.4.
func TestVersion(t *testing.T) {
	for _, c := range []struct {
		namespace cwmp.Version
		supported []string
		want      cwmp.Version
		use       string
		fault     int
	}{
		{namespace: cwmp.V1_0, want: cwmp.V1_0},
		{namespace: cwmp.V1_2, want: cwmp.V1_2},
		{namespace: cwmp.V1_2, supported: []string{"1.0", "1.1", "1.2", "1.3", "1.4"}, want: cwmp.V1_2, use: "1.4"},
		{namespace: cwmp.V1_2, supported: []string{"1.1", "1.0"}, want: cwmp.V1_1, use: "1.1"},
		{namespace: cwmp.V1_2, supported: []string{"1.0", "1.9"}, want: cwmp.V1_0, use: "1.0"},
		{namespace: cwmp.V1_1, supported: []string{"2.0", "x"}, want: cwmp.V1_1, fault: 8006},
	} {
		e := hello()
		e.Version, e.SupportedVersions = c.namespace, c.supported
		if refusal := Refuse(e); refusal != nil {
			if f := refusal.Body.(*cwmp.Fault); f.Code != c.fault || refusal.Version != c.want || refusal.ID != "1" {
				t.Errorf("%v: %+v", c.supported, f)
			}
			continue
		}
		p := profile(t)
		in, _ := p.Inform(e.Body.(*cwmp.Inform), "")
		s := New(p, Config{Clock: &clock{}}, &visit{next: asking(get)}, e, in, models.L1)
		r := s.Inform()
		out, err := s.Post(t.Context(), nil, nil)
		if err != nil || c.fault != 0 || r.Version != c.want || r.UseVersion != c.use || out.Version != c.want || out.UseVersion != "" {
			t.Errorf("%v: %+v %+v %v", c.supported, r, out, err)
		}
	}
}

func TestRefuseIdentity(t *testing.T) {
	e := hello()
	e.Body.(*cwmp.Inform).DeviceID.SerialNumber = ""
	if refusal := Refuse(e); refusal == nil || refusal.Body.(*cwmp.Fault).Code != 8003 {
		t.Errorf("%+v", refusal)
	}
}

func TestSessionTimeout(t *testing.T) {
	for header, want := range map[int]time.Duration{0: 40 * time.Second, 1: 30 * time.Second, 60: time.Minute, 1 << 40: 300 * time.Second} {
		c := &clock{now: 1000}
		e := hello()
		e.SessionTimeout = header
		p := profile(t)
		in, _ := p.Inform(e.Body.(*cwmp.Inform), "")
		s := New(p, Config{Clock: c}, &visit{next: asking()}, e, in, models.L1)
		if s.Expired(c.now.Add(want)) || !s.Expired(c.now.Add(want+time.Millisecond)) || s.Deadline() != c.now.Add(want) {
			t.Errorf("SessionTimeout %d: deadline %v", header, s.Deadline().Sub(c.now))
		}
	}
}

func TestDuration(t *testing.T) {
	c := &clock{now: 1000}
	v := &visit{next: asking(get, get, get)}
	s := open(t, v, models.L1, Config{Clock: c, MaxDuration: time.Minute})
	c.now = c.now.Add(50 * time.Second)
	if _, err := s.Post(t.Context(), nil, nil); err != nil || s.Expired(c.now) || s.Deadline() != models.Time(1000).Add(time.Minute) {
		t.Error(err, s.Deadline())
	}
	c.now = c.now.Add(11 * time.Second)
	if !s.Expired(c.now) {
		t.Error("not expired")
	}
	if _, err := s.Post(t.Context(), nil, nil); !errors.Is(err, ErrTooLong) || v.log[len(v.log)-1] != "end: session too long" {
		t.Error(err, v.log)
	}
}

// A session has 64 round trips in all, and none is spent on a question whose answer could not come.
func TestRoundTrips(t *testing.T) {
	v := &visit{next: func() (*models.Request, error) { return get, nil }}
	s := open(t, v, models.L1, Config{})
	trips := 1
	for out, err := s.Post(t.Context(), nil, nil); ; trips++ {
		if err != nil {
			t.Fatal(err)
		}
		if out == nil {
			break
		}
		out, err = s.Post(t.Context(), []byte{byte(trips)}, &cwmp.Envelope{ID: out.ID, Body: &cwmp.GetParameterValuesResponse{}})
	}
	if trips++; trips != 64 || v.log[len(v.log)-1] != "end: <nil>" {
		t.Errorf("%d trips, %s", trips, v.log[len(v.log)-1])
	}
	if _, err := s.Post(t.Context(), nil, nil); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
}

func TestAbort(t *testing.T) {
	cause := errors.New("a newer session came")
	for _, c := range []struct {
		name string
		next []*models.Request
		post bool
		log  []string
	}{
		{"before anything was asked", nil, false, []string{"end: <nil>"}},
		{"while a request is out", []*models.Request{get}, true, []string{"next: GetParameterValues", "end: a newer session came"}},
		{"after the end", nil, true, []string{"next: nothing", "end: <nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &visit{next: asking(c.next...)}
			s := open(t, v, models.L1, Config{})
			if c.post {
				if _, err := s.Post(t.Context(), nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			s.Abort(t.Context(), cause)
			s.Abort(t.Context(), cause)
			if !s.Done() || !slices.Equal(v.log, c.log) {
				t.Error(v.log)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	s := open(t, &visit{next: asking(get)}, models.L1, Config{})
	if _, err := s.Post(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Post(t.Context(), []byte("x"), &cwmp.Envelope{Body: &cwmp.GetParameterValuesResponse{}}); err != nil || !slices.Equal(s.Warnings(), []i4.Warning{IDDiffers}) {
		t.Error(err, s.Warnings())
	}
}

// Whatever a client sends, there is never more than one request out, each is answered or broken off once, and IDs are unique.
func TestAnySequence(t *testing.T) {
	p := profile(t)
	requests := []*models.Request{set, setTask, get, reboot, broke, nil}
	messages := []func() cwmp.Message{
		func() cwmp.Message { return nil },
		func() cwmp.Message { return &cwmp.GetRPCMethods{} },
		func() cwmp.Message { return &cwmp.TransferComplete{CommandKey: "t"} },
		func() cwmp.Message { return &cwmp.Unknown{Name: "Kicked"} },
		func() cwmp.Message { return &cwmp.SetParameterValuesResponse{Status: 1} },
		func() cwmp.Message { return &cwmp.GetParameterValuesResponse{} },
		func() cwmp.Message { return &cwmp.GetParameterNamesResponse{} },
		func() cwmp.Message { return &cwmp.RebootResponse{} },
		func() cwmp.Message { return &cwmp.Fault{Code: 9001} },
		func() cwmp.Message { return &cwmp.Inform{} },
		func() cwmp.Message { return &cwmp.InformResponse{} },
	}
	rapid.Check(t, func(rt *rapid.T) {
		out, ended := false, 0
		v := &visit{}
		v.next = func() (*models.Request, error) {
			if out || ended > 0 {
				rt.Fatal("asked for a second request, or after the end")
			}
			r := rapid.SampledFrom(requests).Draw(rt, "request")
			out = r != nil
			return r, nil
		}
		v.answer = func(models.Reply) error {
			if !out {
				rt.Fatal("an answer to nothing")
			}
			out = false
			return nil
		}
		e := hello()
		in, _ := p.Inform(e.Body.(*cwmp.Inform), "")
		s := New(p, Config{Clock: &clock{now: 1}, RoundTrips: 20}, v, e, in, rapid.SampledFrom([]models.Trust{models.L0, models.L1}).Draw(rt, "trust"))
		ids := map[string]cwmp.Message{}
		last := ""
		for i := range rapid.IntRange(1, 30).Draw(rt, "posts") {
			var post *cwmp.Envelope
			body := []byte{byte(rapid.IntRange(0, i).Draw(rt, "body"))}
			if m := rapid.SampledFrom(messages).Draw(rt, "message")(); m != nil {
				post = &cwmp.Envelope{ID: rapid.SampledFrom([]string{last, "", "x", s.id + "-1"}).Draw(rt, "id"), Body: m}
			} else {
				body = nil
			}
			answer, err := s.Post(t.Context(), body, post)
			switch {
			case err != nil && answer != nil:
				rt.Fatal("an answer with an error")
			case answer == nil:
			case answer == s.pending:
				if m, again := ids[answer.ID]; again && m != answer.Body {
					rt.Fatal("an ID was used twice")
				}
				ids[answer.ID] = answer.Body
				last = answer.ID
			}
		}
		s.Abort(t.Context(), errors.New("over"))
		for _, line := range v.log {
			if line[:3] == "end" {
				ended++
			}
		}
		if ended != 1 {
			rt.Fatalf("ended %d times: %v", ended, v.log)
		}
	})
}
