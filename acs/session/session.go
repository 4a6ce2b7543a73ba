package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// Config bounds a session (i4.session.*).
type Config struct {
	Clock       models.Clock
	Timeout     time.Duration // idle; 40 s if zero. A client's SessionTimeout goes before it, within 30 to 300 s.
	MaxDuration time.Duration // from the Inform to the last POST; 300 s if zero
	RoundTrips  int           // POSTs in all, the Inform included; 64 if zero
}

// A client broke the protocol: the door answers 400 and drops the session (i4.md H13).
var (
	// ErrOutOfOrder says that the message may not come at this point: a second Inform, an answer that nothing asks for.
	ErrOutOfOrder = errors.New("message out of order")
	// ErrTooLong says that the session has had all the round trips or the time that it may take.
	ErrTooLong = errors.New("session too long")
	// ErrClosed says that the session broke before.
	ErrClosed = errors.New("session closed")
)

// IDDiffers is the warning that a client answered without our cwmp:ID or with another one; the answer was taken by order (i4.md A.3).
const IDDiffers i4.Warning = "id_differs"

// step is where a session stands (i4.md A.5). It is OPEN_ACS only while the Visit is asked, so that is not among them.
type step int

const (
	openCPE  step = iota // the client may send its own requests
	waitResp             // one request of ours is with the client
	done                 // 204 was sent; further requests of the client are answered
	broken
)

// methods are those that are really handled (resolutions 66).
var methods = []string{"Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload"}

// Session is one session from its Inform on. Its methods may be called by several goroutines; posts are handled one at a time.
type Session struct {
	profile *i4.Profile
	config  Config
	visit   Visit
	trust   models.Trust
	key     string // the ParameterKey as the device has it, repeated by what is no configuration
	inform  *cwmp.Envelope
	version cwmp.Version
	use     string
	idle    time.Duration
	opened  models.Time
	id      string

	mu       sync.Mutex
	step     step
	seen     models.Time // last POST
	trips    int
	requests int // of ours, for their IDs
	method   models.Method
	moved    []models.Moved // objects of the current Request
	redactor *i4.Redactor   // knows the secrets that were sent
	parts    []cwmp.Message // of the current Request, the first is with the client
	status   int            // highest Status of the parts answered so far
	pending  *cwmp.Envelope
	taken    map[string]bool // IDs of ours that were answered
	lastBody [sha256.Size]byte
	last     *cwmp.Envelope
	warnings []i4.Warning
}

// New opens the session of an Inform that Refuse let pass. in is its translation; at L0 TransferComplete and its like are answered and dropped
// (resolutions 17). The answer to the Inform is Inform; then every further POST goes to Post.
func New(p *i4.Profile, c Config, visit Visit, inform *cwmp.Envelope, in *models.Inform, trust models.Trust) *Session {
	if c.Timeout == 0 {
		c.Timeout = 40 * time.Second
	}
	if c.MaxDuration == 0 {
		c.MaxDuration = 300 * time.Second
	}
	if c.RoundTrips == 0 {
		c.RoundTrips = 64
	}
	s := &Session{profile: p, config: c, visit: visit, trust: trust, key: in.ParameterKey, inform: inform, idle: c.Timeout,
		opened: c.Clock.Now(), id: rand.Text()[:12], trips: 1, taken: map[string]bool{}, redactor: p.Redactor()}
	s.seen = s.opened
	s.version, s.use, _ = negotiate(inform)
	if n := inform.SessionTimeout; n > 0 {
		s.idle = min(max(time.Duration(min(n, 300))*time.Second, 30*time.Second), 300*time.Second)
	}
	return s
}

// Inform is the answer to the Inform: an InformResponse with its ID, and the version if the client listed its own (i4.md A.4).
func (s *Session) Inform() *cwmp.Envelope {
	return &cwmp.Envelope{Version: s.version, ID: s.inform.ID, UseVersion: s.use, Body: &cwmp.InformResponse{}}
}

// Post takes the next POST: its body as received, and the envelope in it, nil for an empty POST. It returns what to answer, nil for 204.
//
// A duplicate gets the last answer again and nothing is done twice: an answer with an ID that was answered before, an empty POST while our
// request is with the client, a body equal to the previous one that nothing was waiting for (resolutions 4, 62). An error ends the session:
// ErrOutOfOrder, ErrTooLong and ErrClosed are the client's fault, everything else came from the Visit.
func (s *Session) Post(ctx context.Context, body []byte, e *cwmp.Envelope) (*cwmp.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Clock.Now()
	sum := sha256.Sum256(body)
	s.trips++
	switch {
	case s.step == broken:
		return nil, ErrClosed
	case s.trips > s.config.RoundTrips || now.Sub(s.opened) > s.config.MaxDuration:
		s.abort(ctx, ErrTooLong)
		return nil, ErrTooLong
	}
	s.seen = now
	if s.repeats(e, sum) {
		return s.last, nil
	}
	s.lastBody = sum
	out, err := s.handle(ctx, e)
	if err != nil {
		s.abort(ctx, err)
		return nil, err
	}
	s.last = out
	return out, nil
}

// repeats tells whether a POST was handled before.
func (s *Session) repeats(e *cwmp.Envelope, sum [sha256.Size]byte) bool {
	if e == nil {
		return s.step == waitResp && s.again() // the client did not get our request
	}
	switch e.Body.(type) {
	case *cwmp.Inform:
		return false
	case *cwmp.GetRPCMethods, *cwmp.TransferComplete, *cwmp.AutonomousTransferComplete, *cwmp.RequestDownload, *cwmp.Unknown:
		return sum == s.lastBody
	}
	// An ID of the client's own making says nothing: clients are seen that put the same one into every answer.
	return s.taken[e.ID] && s.again() || s.step != waitResp && sum == s.lastBody
}

// again makes the request that is with the client the last answer, whatever was answered meanwhile.
func (s *Session) again() bool {
	if s.step == waitResp {
		s.last = s.pending
	}
	return true
}

// The table of transitions (i4.md A.5).
func (s *Session) handle(ctx context.Context, e *cwmp.Envelope) (*cwmp.Envelope, error) {
	if e == nil {
		if s.step == done {
			return nil, nil
		}
		return s.ask(ctx)
	}
	switch m := e.Body.(type) {
	case *cwmp.GetRPCMethods:
		return s.answer(e, &cwmp.GetRPCMethodsResponse{Methods: methods}), nil
	case *cwmp.TransferComplete:
		if s.trust >= models.L1 {
			if err := s.transferred(ctx, i4.Transfer(m)); err != nil {
				return nil, fmt.Errorf("take transfer: %w", err)
			}
		}
		return s.answer(e, &cwmp.TransferCompleteResponse{}), nil
	case *cwmp.AutonomousTransferComplete:
		if s.trust >= models.L1 {
			if err := s.transferred(ctx, i4.Autonomous(m)); err != nil {
				return nil, fmt.Errorf("take autonomous transfer: %w", err)
			}
		}
		return s.answer(e, &cwmp.AutonomousTransferCompleteResponse{}), nil
	case *cwmp.RequestDownload:
		if s.trust >= models.L1 {
			if err := s.visit.RequestDownload(ctx, m.FileType); err != nil {
				return nil, fmt.Errorf("take the request of a download: %w", err)
			}
		}
		return s.answer(e, &cwmp.RequestDownloadResponse{}), nil
	case *cwmp.SetParameterValuesResponse, *cwmp.GetParameterValuesResponse, *cwmp.GetParameterNamesResponse, *cwmp.RebootResponse, *cwmp.DownloadResponse,
		*cwmp.GetParameterAttributesResponse, *cwmp.SetParameterAttributesResponse, *cwmp.AddObjectResponse, *cwmp.DeleteObjectResponse,
		*cwmp.FactoryResetResponse, *cwmp.ScheduleInformResponse, *cwmp.GetRPCMethodsResponse, *cwmp.Fault:
		if s.step != waitResp || !i4.Answers(m, s.method) {
			return nil, ErrOutOfOrder
		}
		return s.take(ctx, e)
	case *cwmp.Inform, *cwmp.InformResponse, *cwmp.TransferCompleteResponse,
		*cwmp.AutonomousTransferCompleteResponse, *cwmp.RequestDownloadResponse:
		return nil, ErrOutOfOrder
	}
	return fault(s.version, e.ID, methodNotSupported, "Method not supported"), nil
}

func (s *Session) transferred(ctx context.Context, t models.Transfer) error {
	s.redactor.Fault(t.Fault)
	return s.visit.Transfer(ctx, t)
}

func (s *Session) answer(request *cwmp.Envelope, m cwmp.Message) *cwmp.Envelope {
	return &cwmp.Envelope{Version: s.version, ID: request.ID, Body: m}
}

// take gives the client's answer to the Visit and asks on.
func (s *Session) take(ctx context.Context, e *cwmp.Envelope) (*cwmp.Envelope, error) {
	if e.ID != s.pending.ID {
		s.warnings = append(s.warnings, IDDiffers)
	}
	i4.Restore(e.Body, s.moved)
	reply, err := s.profile.Reply(e.Body)
	if err != nil {
		return nil, err
	}
	s.redactor.Fault(reply.Fault)
	s.taken[s.pending.ID] = true
	if spv, ok := s.parts[0].(*cwmp.SetParameterValues); ok && reply.Fault == nil {
		s.key = spv.ParameterKey // TR-069 A.3.2.1: it became the device's
	}
	s.status = max(s.status, reply.Status)
	reply.Status = s.status
	if s.parts = s.parts[1:]; len(s.parts) > 0 && reply.Fault == nil && s.trips < s.config.RoundTrips {
		return s.send(), nil
	}
	if len(s.parts) > 0 && reply.Fault == nil {
		return nil, ErrTooLong // half a configuration is no answer
	}
	if err := s.visit.Answer(ctx, reply); err != nil {
		return nil, fmt.Errorf("take answer: %w", err)
	}
	return s.ask(ctx)
}

// ask sends what the Visit wants next, or ends the session. The last round trip is not spent on a request whose answer could not come.
func (s *Session) ask(ctx context.Context) (*cwmp.Envelope, error) {
	s.step = openCPE
	for ; s.trips < s.config.RoundTrips; s.trips++ {
		r, err := s.visit.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask visit: %w", err)
		}
		if r == nil {
			break
		}
		parts, err := s.profile.Requests(r, s.key, s.config.Clock.Now().Std())
		if err == nil {
			s.redactor.Sent(r)
			s.method, s.moved, s.parts, s.status = r.Method, r.Moved, parts, 0
			return s.send(), nil
		}
		// It would fail in every session, so the Visit has to hear of it.
		s.step = waitResp
		fault := &models.Fault{Code: 9003, Message: err.Error()}
		if err := s.visit.Answer(ctx, models.Reply{Fault: fault}); err != nil {
			return nil, fmt.Errorf("take answer: %w", err)
		}
		s.step = openCPE
	}
	s.step = done
	s.visit.End(ctx, nil)
	return nil, nil
}

// send hands out the first part that is left.
func (s *Session) send() *cwmp.Envelope {
	s.requests++
	s.step = waitResp
	s.pending = &cwmp.Envelope{Version: s.version, ID: fmt.Sprintf("%s-%d", s.id, s.requests), Body: s.parts[0]}
	return s.pending
}

// Abort ends the session: its time is over, a newer one of the device came, the process stops, an answer could not be written. It does nothing
// when the session has ended.
func (s *Session) Abort(ctx context.Context, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abort(ctx, cause)
}

func (s *Session) abort(ctx context.Context, cause error) {
	switch s.step {
	case openCPE:
		s.visit.End(ctx, nil) // a client may go away when its Inform was answered (i4.md B.6)
	case waitResp:
		s.visit.End(ctx, cause)
	}
	s.step = broken
}

// Done tells whether the session has ended, well or not. It still answers requests of the client if it ended well.
func (s *Session) Done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step >= done
}

// Expired tells whether the session's time is over at now. A session in the middle of a POST is not.
func (s *Session) Expired(now models.Time) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	return now.Sub(s.seen) > s.idle || now.Sub(s.opened) > s.config.MaxDuration
}

// Deadline is when the session's time is over if nothing more comes.
func (s *Session) Deadline() models.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(s.seen.Add(s.idle), s.opened.Add(s.config.MaxDuration))
}

// Warnings lists the deviations that were put right, one for each time.
func (s *Session) Warnings() []i4.Warning {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]i4.Warning(nil), s.warnings...)
}
