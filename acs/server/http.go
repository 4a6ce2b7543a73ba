package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// cookieName is the session cookie's (i4.md H7).
const cookieName = "I4SID"

// Handler answers POSTs on i4.acs.path, or on any path in lab mode. The http.Server needs the server's ConnContext.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// exchange is one POST with its answer.
type exchange struct {
	*Server
	ctx      context.Context
	w        http.ResponseWriter
	r        *http.Request
	conn     *conn
	ip       string
	encoding encoding
	body     []byte         // of a POST that belongs to no session
	inform   *cwmp.Envelope // the Inform that is being answered, nil for everything else
	reserved bool           // a place in the table is taken for it
	answered bool
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	// A client that goes away does not undo what it caused: it will ask for the answer again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), postTime)
	defer cancel()
	x := &exchange{Server: s, ctx: ctx, w: w, r: r}
	if x.conn, _ = r.Context().Value(connKey{}).(*conn); x.conn == nil {
		x.conn = &conn{}
	}
	if x.ip, _, _ = net.SplitHostPort(r.RemoteAddr); x.ip == "" {
		x.ip = r.RemoteAddr
	}
	defer s.survive(ctx, x.broken)
	defer func() {
		if x.reserved {
			s.table.release()
		}
	}()
	switch {
	case !s.config.Lab && r.URL.Path != s.config.Path:
		x.fail(http.StatusNotFound)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		x.fail(http.StatusMethodNotAllowed)
		return
	}
	if e := s.table.find(cookies(r.Header)); e != nil {
		x.next(e)
	} else {
		x.first()
	}
}

// first handles a POST that belongs to no session: it has to be an Inform. Nothing of it is read unless there is a place for its session.
func (x *exchange) first() {
	if !x.admit() {
		return
	}
	body, ok := x.read(maxInform)
	if !ok {
		return
	}
	before := x.conn.unauthorized
	x.body, x.conn.unauthorized = body, nil
	if before != nil && before.contentType == x.r.Header.Get("Content-Type") && bytes.Equal(before.body, body) {
		x.openAs(before)
		return
	}
	envelope, ok := x.decode(body)
	if !ok || !isInform(envelope) {
		x.fail(http.StatusBadRequest)
		return
	}
	x.open(envelope)
}

// admit takes a place in the table, which serve gives back if no session takes it; false if a 503 was answered (i4.md H12).
func (x *exchange) admit() bool {
	x.reserved = x.table.reserve()
	switch {
	case x.stopping.Load():
		x.later(Stopping, 0)
	case !x.reserved:
		x.later(NoPlace, 0)
	default:
		return true
	}
	return false
}

// later answers 503 and counts why.
func (x *exchange) later(why Refusal, wait time.Duration) {
	x.counters.count(func(stats *Stats) { stats.Refusals[why]++ })
	x.unavailable(wait)
}

func isInform(e *cwmp.Envelope) bool {
	_, ok := e.Body.(*cwmp.Inform)
	return ok
}

// next handles a POST with the cookie of a session.
func (x *exchange) next(e *entry) {
	body, ok := x.read(maxBody)
	if !ok {
		x.unreadable(e)
		return
	}
	var envelope *cwmp.Envelope
	decoded := true
	if body != nil {
		envelope, decoded = x.decode(body)
	}
	if decoded && envelope != nil && isInform(envelope) {
		// It belongs to the session only on the session's own connection, where it is out of order (resolutions 5).
		switch {
		case len(body) > maxInform:
			x.fail(http.StatusRequestEntityTooLarge)
		case x.admit():
			x.body = body
			x.open(envelope)
		}
		return
	}
	if e.lock(x.ctx) != nil {
		x.later(Busy, 0)
		return
	}
	defer e.unlock()
	defer x.survive(x.ctx, func() {
		x.end(e, errPanic, Failed)
		x.broken()
	})
	switch {
	case e.gone:
		x.fail(http.StatusBadRequest)
	case !x.recognise(e):
	case !decoded:
		e.recording.torn(x.clock.Now(), body)
		x.end(e, errUnreadable, Refused)
		x.fail(http.StatusBadRequest)
	default:
		x.post(e, body, envelope)
	}
}

// errUnreadable says that a body within a session was too large, torn or no CWMP.
var errUnreadable = errors.New("unreadable body")

// unreadable drops a session whose client sent a body that was refused, unless it may send it again without Content-Encoding.
func (x *exchange) unreadable(e *entry) {
	if _, ok := encodingOf(x.r.Header); !ok || e.lock(x.ctx) != nil {
		return
	}
	defer e.unlock()
	if e.conn == x.conn && !e.gone {
		x.end(e, errUnreadable, Refused)
	}
}

// recognise authenticates the client of a session from L1 on again when it comes on another TCP connection (i4.md A.2-4); false if that was
// answered. The credentials may have changed within the session, so the row is read anew.
func (x *exchange) recognise(e *entry) bool {
	if e.conn == x.conn {
		return true
	}
	switch {
	case e.in.Certificate != nil:
		if !x.certifiedAgain(e) {
			x.unauthorized(e.in, ruling{action: refuse})
			return false
		}
	case e.trust >= models.L1:
		r := ruling{action: challenge}
		switch a := x.attempt(x.r); a.state {
		case absent:
		case wrong, stale:
			r.tries, r.stale = a.tries+1, a.state == stale
		default:
			d, err := x.devices.Lookup(x.ctx, e.in.Key)
			if err == nil {
				r, err = x.authenticate(a, e.in, ruling{device: d, stranger: !known(d)})
			}
			if err != nil {
				slog.ErrorContext(x.ctx, "authenticate a cwmp session again", "device", e.in.Key, "error", err)
				x.unavailable(0)
				return false
			}
		}
		if r.action != admit {
			x.unauthorized(e.in, r)
			return false
		}
		x.conn.refused.Store(0)
	}
	e.conn = x.conn
	x.conn.current.Store(e)
	return true
}

// post hands a POST to its session and answers.
func (x *exchange) post(e *entry, body []byte, envelope *cwmp.Envelope) {
	e.posts++
	if envelope != nil {
		e.recording.add(x.clock.Now(), true, envelope.Body.Method(), body, x.r.Header.Get("Content-Type"))
	}
	out, err := e.session.Post(e.as(x.ctx), body, envelope)
	var text []byte
	if err == nil {
		text, err = x.encode(e, out)
	}
	switch {
	case isProtocol(err):
		x.end(e, err, Refused)
		x.fail(http.StatusBadRequest)
		return
	case err != nil:
		slog.ErrorContext(x.ctx, "cwmp session failed", "requestId", e.requestID, "device", e.in.Key, "error", err)
		x.end(e, err, Failed)
		x.unavailable(retryAfter(err))
		return
	}
	done := e.session.Done()
	if done {
		x.report(e, Completed)
	}
	x.table.touch(e, e.session.Deadline(), done)
	x.answer(text)
}

// encode writes an envelope, nil for none. A request of ours that cannot be written is answered by the fault that a client would have for it,
// so that whoever asked hears of it instead of asking again for ever.
func (x *exchange) encode(e *entry, out *cwmp.Envelope) ([]byte, error) {
	for out != nil {
		text, err := cwmp.Encode(out)
		if err == nil {
			e.recording.add(x.clock.Now(), false, out.Body.Method(), text, "")
			return text, nil
		}
		switch out.Body.(type) {
		case *cwmp.SetParameterValues, *cwmp.GetParameterValues, *cwmp.GetParameterNames, *cwmp.Reboot, *cwmp.GetParameterAttributes,
			*cwmp.SetParameterAttributes, *cwmp.AddObject, *cwmp.DeleteObject:
		default:
			return nil, err
		}
		slog.WarnContext(x.ctx, "a request cannot be written", "device", e.in.Key, "method", out.Body.Method(), "error", err)
		refused := &cwmp.Envelope{Version: out.Version, ID: out.ID, Body: &cwmp.Fault{Code: 9003, String: err.Error()}}
		if out, err = e.session.Post(e.as(x.ctx), []byte(out.ID), refused); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// read reads the body; false if that was answered.
func (x *exchange) read(limit int64) ([]byte, bool) {
	body, encoding, status := readBody(x.w, x.r, limit)
	if status != 0 {
		x.fail(status)
		return nil, false
	}
	x.encoding = encoding
	return body, true
}

func (x *exchange) decode(body []byte) (*cwmp.Envelope, bool) {
	envelope, err := cwmp.Decode(body, x.r.Header.Get("Content-Type"))
	return envelope, err == nil
}

// answer sends an envelope, or 204 for none (i4.md H3, H4), compressed as its request was (H9).
func (x *exchange) answer(text []byte) {
	if text == nil {
		x.status(http.StatusNoContent)
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", `text/xml; charset="utf-8"`)
	if x.encoding != identity {
		h.Set("Content-Encoding", x.encoding.String())
		text = deflate(text, x.encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.status(http.StatusOK)
	_, _ = x.w.Write(text) // a client that went away asks again
}

// fail answers an error without body and closes the connection (i4.md H12, H13).
func (x *exchange) fail(status int) {
	x.w.Header().Set("Connection", "close")
	x.w.Header().Set("Content-Length", "0")
	x.status(status)
}

func (x *exchange) status(status int) {
	x.answered = true
	x.counters.count(func(stats *Stats) { stats.Answers[status]++ })
	x.w.WriteHeader(status)
}

// unavailable answers 503. Clients that were refused together shall not come back together, so each is told another time.
func (x *exchange) unavailable(wait time.Duration) {
	wait = max(wait, x.config.RetryAfter)
	wait += rand.N(2*x.config.RetryAfter + 1)
	x.w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	x.fail(http.StatusServiceUnavailable)
}

// retryAfter is what an error tells to wait.
func retryAfter(err error) time.Duration {
	var coded *models.Error
	if errors.As(err, &coded) {
		return time.Duration(coded.RetryAfterSeconds) * time.Second
	}
	return 0
}

// unauthorized answers 401 with challenges; the connection is closed when the session had its tries (i4.md A.2-2).
func (x *exchange) unauthorized(in *models.Inform, r ruling) {
	if r.impostor {
		x.counters.count(func(stats *Stats) { stats.Impostors++ })
		if d := r.device; d != nil && x.config.Security != nil && x.alarms.take(d.ID, x.clock.Now()) == 0 {
			x.config.Security(acting(x.ctx, models.NewID(), in, d), IdentityMismatch, d)
		}
	}
	h := x.w.Header()
	for _, c := range x.challenges(min(r.tries, maxTries), r.stale) {
		h.Add("WWW-Authenticate", c)
	}
	if x.conn.refused.Add(1) > maxTries+1 || r.tries > maxTries || r.action == refuse {
		x.fail(http.StatusUnauthorized)
		return
	}
	h.Set("Content-Length", "0")
	x.status(http.StatusUnauthorized)
}

// broken answers after a panic: an Inform by the fault of an internal error, everything else by 400 (i4.md H13, A.9). A TransferComplete is
// never answered by a fault: its client would take it for delivered (A.7).
func (x *exchange) broken() {
	if x.answered {
		return
	}
	if x.inform != nil {
		fault := &cwmp.Envelope{Version: x.inform.Version, ID: x.inform.ID, Body: &cwmp.Fault{Code: internalError, String: "Internal error"}}
		if text, err := cwmp.Encode(fault); err == nil {
			x.answer(text)
			return
		}
	}
	x.fail(http.StatusBadRequest)
}

// internalError is the fault code of our own errors (i4.md A.9).
const internalError = 8002

// cookies returns what may be session cookies, however the client writes them: several, quoted, with or without space.
func cookies(h http.Header) (values []string) {
	for _, line := range h.Values("Cookie") {
		for pair := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ';' || r == ',' }) {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && strings.TrimSpace(name) == cookieName && len(values) < 4 {
				values = append(values, strings.Trim(strings.TrimSpace(value), `"`))
			}
		}
	}
	return values
}
