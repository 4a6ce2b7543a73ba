package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// clock stands still until it is set.
type clock struct{ now models.Time }

func (c *clock) Now() models.Time                                { return c.now }
func (c *clock) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// visit is a Visit of function fields that keeps a log.
type visit struct {
	log      []string
	next     func() (*models.Request, error)
	answer   func(models.Reply) error
	transfer func(models.Transfer) error
}

func (v *visit) note(format string, args ...any) { v.log = append(v.log, fmt.Sprintf(format, args...)) }

func (v *visit) Next(context.Context) (*models.Request, error) {
	r, err := v.next()
	switch {
	case err != nil:
		v.note("next: %v", err)
	case r == nil:
		v.note("next: nothing")
	default:
		v.note("next: %s", r.Method)
	}
	return r, err
}

func (v *visit) Answer(_ context.Context, r models.Reply) error {
	if r.Fault != nil {
		v.note("answer: fault %d", r.Fault.Code)
	} else {
		v.note("answer: %d, %d values", r.Status, len(r.Values))
	}
	if v.answer != nil {
		return v.answer(r)
	}
	return nil
}

func (v *visit) Transfer(_ context.Context, t models.Transfer) error {
	v.note("transfer: %s", t.CommandKey)
	if v.transfer != nil {
		return v.transfer(t)
	}
	return nil
}

func (v *visit) RequestDownload(_ context.Context, fileType string) error {
	v.note("wants: %s", fileType)
	return nil
}

func (v *visit) End(_ context.Context, err error) { v.note("end: %v", err) }

// asking returns a next function that hands out the requests in order.
func asking(list ...*models.Request) func() (*models.Request, error) {
	return func() (*models.Request, error) {
		if len(list) == 0 {
			return nil, nil
		}
		r := list[0]
		list = list[1:]
		return r, nil
	}
}

var (
	set     = &models.Request{Method: models.SetParameterValues, Values: []models.Value{{Name: "sip.outboundProxy", Value: "sbc"}}, Version: 8}
	setTask = &models.Request{Method: models.SetParameterValues, Values: []models.Value{{Name: "Device.A", Value: "1"}}}
	get     = &models.Request{Method: models.GetParameterValues, Names: []string{"Device."}}
	reboot  = &models.Request{Method: models.RebootDevice, CommandKey: "k"}
	broke   = &models.Request{Method: models.GetParameterValues, Names: []string{"no.such"}}
)

func profile(t testing.TB) *i4.Profile {
	t.Helper()
	p, err := i4.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hello() *cwmp.Envelope {
	return &cwmp.Envelope{Version: cwmp.V1_0, ID: "1", Body: &cwmp.Inform{
		DeviceID:   cwmp.DeviceID{OUI: "00005E", ProductClass: "IMSPC", SerialNumber: "7"},
		Events:     []cwmp.Event{{Code: "2 PERIODIC"}},
		Parameters: []cwmp.ParameterValue{{Name: "Device.ManagementServer.ParameterKey", Value: "cfg-000000007"}},
	}}
}

func open(t testing.TB, v *visit, trust models.Trust, c Config) *Session {
	t.Helper()
	p := profile(t)
	if c.Clock == nil {
		c.Clock = &clock{now: 1_000_000}
	}
	e := hello()
	in, _ := p.Inform(e.Body.(*cwmp.Inform), "192.0.2.1")
	return New(p, c, v, e, in, trust)
}

// post is one POST of a script: what comes, and what is answered ("204", the method, or the error). The ID of an answer of the client is
// that of our last request unless it is given.
type post struct {
	body cwmp.Message // nil: empty
	id   string
	raw  string // what tells bodies apart; made up if empty
	want string
}

func TestTransitions(t *testing.T) {
	spv, gpv, fault := &cwmp.SetParameterValuesResponse{}, &cwmp.GetParameterValuesResponse{}, &cwmp.Fault{Code: 9002}
	empty := func(want string) post { return post{want: want} }
	for _, c := range []struct {
		name  string
		trust models.Trust
		next  []*models.Request
		posts []post
		log   []string
	}{
		{name: "nothing to ask", posts: []post{empty("204")}, log: []string{"next: nothing", "end: <nil>"}},
		{name: "one request after another", next: []*models.Request{set, get, reboot},
			posts: []post{empty("SetParameterValues"), {body: spv, want: "GetParameterValues"}, {body: gpv, want: "Reboot"}, {body: &cwmp.RebootResponse{}, want: "204"}},
			log: []string{"next: SetParameterValues", "answer: 0, 0 values", "next: GetParameterValues", "answer: 0, 0 values", "next: Reboot",
				"answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "a fault is an answer", next: []*models.Request{set}, posts: []post{empty("SetParameterValues"), {body: fault, want: "204"}},
			log: []string{"next: SetParameterValues", "answer: fault 9002", "next: nothing", "end: <nil>"}},
		{name: "requests of the client first", trust: models.L1,
			posts: []post{{body: &cwmp.GetRPCMethods{}, id: "2", want: "GetRPCMethodsResponse 2"}, {body: &cwmp.TransferComplete{CommandKey: "t"}, id: "3", want: "TransferCompleteResponse 3"}, empty("204")},
			log:   []string{"transfer: t", "next: nothing", "end: <nil>"}},
		{name: "TransferComplete at L0 is dropped", posts: []post{{body: &cwmp.TransferComplete{CommandKey: "t"}, want: "TransferCompleteResponse "}, empty("204")},
			log: []string{"next: nothing", "end: <nil>"}},
		{name: "unknown RPC, session goes on", posts: []post{{body: &cwmp.Unknown{Name: "Kicked"}, id: "4", want: "Fault 8000 4"}, empty("204")},
			log: []string{"next: nothing", "end: <nil>"}},
		{name: "an RPC that is ours to call", posts: []post{{body: &cwmp.Reboot{}, id: "4", want: "Fault 8000 4"}}},
		{name: "interleaved request", trust: models.L1, next: []*models.Request{set},
			posts: []post{empty("SetParameterValues"), {body: &cwmp.TransferComplete{CommandKey: "t"}, id: "5", want: "TransferCompleteResponse 5"}, {body: spv, want: "204"}},
			log:   []string{"next: SetParameterValues", "transfer: t", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "second Inform", posts: []post{{body: &cwmp.Inform{}, want: "error: message out of order"}, {want: "error: session closed"}},
			log: []string{"end: <nil>"}},
		{name: "second Inform while a request is out", next: []*models.Request{set}, posts: []post{empty("SetParameterValues"), {body: &cwmp.Inform{}, want: "error: message out of order"}},
			log: []string{"next: SetParameterValues", "end: message out of order"}},
		{name: "answer to nothing", posts: []post{{body: spv, id: "9", want: "error: message out of order"}}, log: []string{"end: <nil>"}},
		{name: "fault to nothing", posts: []post{{body: fault, id: "9", want: "error: message out of order"}}, log: []string{"end: <nil>"}},
		{name: "answer to another request", next: []*models.Request{set}, posts: []post{empty("SetParameterValues"), {body: gpv, want: "error: message out of order"}},
			log: []string{"next: SetParameterValues", "end: message out of order"}},
		{name: "a response of ours", posts: []post{{body: &cwmp.InformResponse{}, want: "error: message out of order"}}, log: []string{"end: <nil>"}},
		{name: "empty POST again", next: []*models.Request{set}, posts: []post{empty("SetParameterValues"), empty("SetParameterValues"), {body: spv, want: "204"}, empty("204")},
			log: []string{"next: SetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "answer again", next: []*models.Request{set, get},
			posts: []post{empty("SetParameterValues"), {body: spv, raw: "a", want: "GetParameterValues"}, {body: spv, id: "first", raw: "a", want: "GetParameterValues"},
				{body: spv, id: "first", raw: "b", want: "GetParameterValues"}, {body: gpv, want: "204"}, {body: spv, id: "first", want: "204"}},
			log: []string{"next: SetParameterValues", "answer: 0, 0 values", "next: GetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "answer again after an interleaved request", next: []*models.Request{set, get},
			posts: []post{empty("SetParameterValues"), {body: spv, want: "GetParameterValues"}, {body: &cwmp.GetRPCMethods{}, id: "2", want: "GetRPCMethodsResponse 2"},
				{body: spv, id: "first", want: "GetParameterValues"}, {body: gpv, want: "204"}},
			log: []string{"next: SetParameterValues", "answer: 0, 0 values", "next: GetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "answers without ID go by order", next: []*models.Request{set, setTask},
			posts: []post{empty("SetParameterValues"), {body: spv, id: "-", raw: "a", want: "SetParameterValues"}, {body: spv, id: "-", raw: "a", want: "204"}, {body: spv, id: "-", raw: "a", want: "204"}},
			log:   []string{"next: SetParameterValues", "answer: 0, 0 values", "next: SetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "the same alien ID in every answer", next: []*models.Request{set, setTask},
			posts: []post{empty("SetParameterValues"), {body: spv, id: "x", raw: "a", want: "SetParameterValues"}, {body: spv, id: "x", raw: "a", want: "204"}},
			log:   []string{"next: SetParameterValues", "answer: 0, 0 values", "next: SetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
		{name: "transfers and wishes of the client", trust: models.L1,
			posts: []post{{body: &cwmp.AutonomousTransferComplete{FaultCode: 9010}, id: "2", want: "AutonomousTransferCompleteResponse 2"},
				{body: &cwmp.RequestDownload{FileType: "1 Firmware Upgrade Image"}, id: "3", want: "RequestDownloadResponse 3"}, empty("204")},
			log: []string{"transfer: ", "wants: 1 Firmware Upgrade Image", "next: nothing", "end: <nil>"}},
		{name: "at L0 they are dropped",
			posts: []post{{body: &cwmp.AutonomousTransferComplete{}, id: "2", want: "AutonomousTransferCompleteResponse 2"},
				{body: &cwmp.RequestDownload{}, id: "3", want: "RequestDownloadResponse 3"}, empty("204")},
			log: []string{"next: nothing", "end: <nil>"}},
		{name: "a download", trust: models.L1, next: []*models.Request{{Method: models.DownloadFile, CommandKey: "k", Download: &models.Download{URL: "u"}}},
			posts: []post{empty("Download"), {body: &cwmp.DownloadResponse{Status: 1}, want: "204"}},
			log:   []string{"next: Download", "answer: 1, 0 values", "next: nothing", "end: <nil>"}},
		{name: "TransferComplete again", trust: models.L1,
			posts: []post{{body: &cwmp.TransferComplete{CommandKey: "t"}, id: "2", raw: "a", want: "TransferCompleteResponse 2"}, {body: &cwmp.TransferComplete{CommandKey: "t"}, id: "2", raw: "a", want: "TransferCompleteResponse 2"}},
			log:   []string{"transfer: t"}},
		{name: "requests after the end", trust: models.L1,
			posts: []post{empty("204"), {body: &cwmp.TransferComplete{CommandKey: "t"}, id: "2", want: "TransferCompleteResponse 2"}, empty("204")},
			log:   []string{"next: nothing", "end: <nil>", "transfer: t"}},
		{name: "a request that cannot be written", next: []*models.Request{broke, get}, posts: []post{empty("GetParameterValues"), {body: gpv, want: "204"}},
			log: []string{"next: GetParameterValues", "answer: fault 9003", "next: GetParameterValues", "answer: 0, 0 values", "next: nothing", "end: <nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &visit{next: asking(c.next...)}
			s := open(t, v, c.trust, Config{})
			if r := s.Inform(); r.ID != "1" || r.Version != cwmp.V1_0 || r.Body.Method() != "InformResponse" || r.UseVersion != "" {
				t.Errorf("%+v", r)
			}
			play(t, s, c.posts)
			if !slices.Equal(v.log, c.log) {
				t.Errorf("log:\n%s\nwant:\n%s", strings.Join(v.log, "\n"), strings.Join(c.log, "\n"))
			}
		})
	}
}

func play(t *testing.T, s *Session, posts []post) {
	t.Helper()
	first, current := "", ""
	for i, p := range posts {
		var e *cwmp.Envelope
		body := ""
		if p.body != nil {
			id := p.id
			switch {
			case id == "first":
				id = first
			case id == "-":
				id = ""
			case id == "" && strings.HasSuffix(p.body.Method(), "Response"), id == "" && p.body.Method() == "Fault":
				id = current
			}
			if body = p.raw; body == "" {
				body = fmt.Sprintf("post %d", i)
			}
			e = &cwmp.Envelope{ID: id, Body: p.body}
		}
		out, err := s.Post(t.Context(), []byte(body), e)
		got := "204"
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case out != nil && out.Body.Method() == "Fault":
			got = fmt.Sprintf("Fault %d %s", out.Body.(*cwmp.Fault).Code, out.ID)
		case out != nil && strings.HasSuffix(out.Body.Method(), "Response"):
			got = out.Body.Method() + " " + out.ID
		case out != nil:
			got = out.Body.Method()
			if current = out.ID; first == "" {
				first = current
			}
		}
		if got != p.want {
			t.Fatalf("post %d: got %q, want %q", i, got, p.want)
		}
		if out != nil && out.Version != cwmp.V1_0 {
			t.Errorf("post %d: answered in version %d", i, out.Version)
		}
	}
}

// i4.md 0.2-7: what is no configuration repeats the key, and that is the new one once a configuration was accepted.
func TestParameterKey(t *testing.T) {
	for _, c := range []struct {
		answer cwmp.Message
		want   string
	}{{&cwmp.SetParameterValuesResponse{}, "cfg-000000008"}, {&cwmp.Fault{Code: 9002}, "cfg-000000007"}} {
		s := open(t, &visit{next: asking(setTask, set, setTask)}, models.L1, Config{})
		var keys []string
		var e *cwmp.Envelope
		for i := range 3 {
			out, err := s.Post(t.Context(), []byte{byte(i)}, e)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, out.Body.(*cwmp.SetParameterValues).ParameterKey)
			e = &cwmp.Envelope{ID: out.ID, Body: c.answer}
		}
		if want := []string{"cfg-000000007", "cfg-000000008", c.want}; !slices.Equal(keys, want) {
			t.Errorf("%v, want %v", keys, want)
		}
	}
}

// i4.md B.10: a large set goes out in parts, and the Visit hears of it once.
func TestParts(t *testing.T) {
	large := &models.Request{Method: models.SetParameterValues, Version: 8}
	for i := range 450 {
		large.Values = append(large.Values, models.Value{Name: fmt.Sprintf("Device.P%d", i), Value: "x"})
	}
	for _, c := range []struct {
		name    string
		answers []cwmp.Message
		log     string
	}{
		{"accepted", []cwmp.Message{&cwmp.SetParameterValuesResponse{Status: 1}, &cwmp.SetParameterValuesResponse{}, &cwmp.SetParameterValuesResponse{}}, "answer: 1, 0 values"},
		{"refused", []cwmp.Message{&cwmp.SetParameterValuesResponse{}, &cwmp.Fault{Code: 9004}}, "answer: fault 9004"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &visit{next: asking(large)}
			s := open(t, v, models.L1, Config{})
			out, err := s.Post(t.Context(), nil, nil)
			for i, m := range c.answers {
				if err != nil || out == nil {
					t.Fatal(out, err)
				}
				out, err = s.Post(t.Context(), []byte{byte(i)}, &cwmp.Envelope{ID: out.ID, Body: m})
			}
			if out != nil || err != nil || !slices.Equal(v.log, []string{"next: SetParameterValues", c.log, "next: nothing", "end: <nil>"}) {
				t.Error(out, err, v.log)
			}
		})
	}
	v := &visit{next: asking(large)}
	s := open(t, v, models.L1, Config{RoundTrips: 3})
	out, err := s.Post(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Post(t.Context(), []byte("1"), &cwmp.Envelope{ID: out.ID, Body: &cwmp.SetParameterValuesResponse{}}); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
}

func TestVisitErrors(t *testing.T) {
	down := errors.New("database is down")
	spv := &cwmp.SetParameterValuesResponse{}
	for _, c := range []struct {
		name  string
		visit visit
		body  cwmp.Message
		end   string
	}{
		{"next", visit{next: func() (*models.Request, error) { return nil, down }}, nil, "end: <nil>"},
		{"answer", visit{next: asking(set), answer: func(models.Reply) error { return down }}, spv, "end: take answer: database is down"},
		{"answer of what was never sent", visit{next: asking(broke), answer: func(models.Reply) error { return down }}, nil, "end: take answer: database is down"},
		{"transfer", visit{next: asking(), transfer: func(models.Transfer) error { return down }}, &cwmp.TransferComplete{}, "end: <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &c.visit
			s := open(t, v, models.L1, Config{})
			var err error
			if c.body != spv {
				_, err = s.Post(t.Context(), []byte("x"), envelope(c.body))
			} else if _, err = s.Post(t.Context(), nil, nil); err == nil {
				_, err = s.Post(t.Context(), []byte("x"), envelope(c.body))
			}
			if !errors.Is(err, down) || v.log[len(v.log)-1] != c.end || !s.Done() {
				t.Error(err, v.log)
			}
			if _, err := s.Post(t.Context(), nil, nil); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	}
}

func envelope(m cwmp.Message) *cwmp.Envelope {
	if m == nil {
		return nil
	}
	return &cwmp.Envelope{Body: m}
}
