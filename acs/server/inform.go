package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/models"
)

// open answers an Inform for which a place is reserved: with a session, a challenge, a fault or a refusal.
func (x *exchange) open(envelope *cwmp.Envelope) {
	if current := x.conn.current.Load(); current != nil && !current.ended.Load() {
		x.outOfOrder(current)
		return
	}
	x.inform = envelope
	if fault := session.Refuse(envelope); fault != nil {
		x.envelope(fault)
		return
	}
	profile := x.profile.Of(envelope.Body.(*cwmp.Inform))
	in, warnings := profile.Inform(envelope.Body.(*cwmp.Inform), x.ip)
	if source, err := netip.ParseAddr(x.ip); err == nil {
		in.Source = source.Unmap().WithZone("")
	}
	x.judge(&repeated{body: x.body, contentType: x.r.Header.Get("Content-Type"), envelope: envelope, profile: profile, in: in, warnings: warnings})
}

// openAs is open for an Inform that came before, on the same connection.
func (x *exchange) openAs(before *repeated) {
	if current := x.conn.current.Load(); current != nil && !current.ended.Load() {
		x.outOfOrder(current)
		return
	}
	x.inform = before.envelope
	x.judge(before)
}

// judge lets an Inform in or refuses it.
func (x *exchange) judge(c *repeated) {
	envelope, in, warnings := c.envelope, c.in, c.warnings
	r, err := x.judgement(in)
	if err != nil {
		slog.ErrorContext(x.ctx, "look up the device of an inform", "device", in.Key, "error", err)
		x.unavailable(0)
		return
	}
	if r.action == challenge || r.action == refuse {
		if r.action == challenge && len(c.body) > 0 && len(c.body) <= maxRepeated {
			x.conn.unauthorized = c
		}
		x.unauthorized(in, r)
		return
	}
	if r.claimed {
		if wait := x.overL0(x.ip, r); wait > 0 {
			x.later(OverLimit, wait)
			return
		}
	}
	x.counters.count(func(stats *Stats) {
		for _, w := range warnings {
			stats.Warnings[w]++
		}
	})
	e := &entry{id: newCookie(), requestID: models.NewID(), in: in, device: r.device, trust: r.trust, opened: x.clock.Now(), posts: 1,
		gate: make(chan struct{}, 1), conn: x.conn, index: -1, recording: x.record(c.profile, r.device, x.clock.Now())}
	visit, ok := x.arrive(e, r)
	if !ok {
		return
	}
	// What the session needs of the Inform is in its headers; its parameters are not kept twice.
	header := *envelope
	header.Body = &cwmp.Inform{}
	e.session = session.New(c.profile, x.config.Session, visit, &header, in, r.trust)
	answer, err := cwmp.Encode(e.session.Inform())
	if err != nil {
		slog.ErrorContext(x.ctx, "write the answer to an inform", "error", err)
		x.fail(http.StatusBadRequest)
		return
	}
	e.recording.add(e.opened, true, envelope.Body.Method(), c.body, c.contentType)
	e.recording.add(x.clock.Now(), false, "InformResponse", answer, "")
	x.reserved = false
	older := x.table.insert(e, e.session.Deadline())
	x.conn.current.Store(e)
	x.conn.refused.Store(0)
	if older != nil {
		x.replace(older) // of an Inform of the device that came at the same time
	}
	x.setCookie(e.id)
	x.answer(answer)
}

// arrive opens the visit of an Inform that is let in; false if that was answered.
func (x *exchange) arrive(e *entry, r ruling) (session.Visit, bool) {
	if r.action == quiet {
		x.counters.count(func(stats *Stats) { stats.Strangers++ })
		return silence{}, true
	}
	beat := false
	if r.trust >= models.L1 {
		// What the older session had taken has to be given back before the new one looks for it (i4.md A.5-6).
		if older := x.table.ofDevice(e.in.Key); older != nil && !x.replace(older) {
			x.unavailable(0)
			return nil, false
		}
		if beat = r.device != nil && heartbeat(e.in, r.device, e.opened); beat && x.heartbeats.take(r.device.ID, e.opened) > 0 {
			x.counters.count(func(stats *Stats) { stats.Floods++ })
			return silence{}, true
		}
	}
	visit, err := x.clients.Arrive(e.as(x.ctx), e.in, r.device, r.trust, r.previous)
	if err != nil {
		if beat {
			x.heartbeats.forget(r.device.ID)
		}
		slog.ErrorContext(x.ctx, "open the visit of a device", "requestId", e.requestID, "device", e.in.Key, "error", err)
		x.unavailable(retryAfter(err))
		return nil, false
	}
	x.counters.count(func(stats *Stats) { stats.Trust[r.trust]++ })
	return visit, true
}

// replace ends an older session of a device, after the POST that it may be handling; false if that takes too long.
func (x *exchange) replace(older *entry) bool {
	if older.lock(x.ctx) != nil {
		return false
	}
	defer older.unlock()
	x.end(older, errReplaced, Replaced)
	return true
}

// outOfOrder answers an Inform on the connection of an open session, and ends that (resolutions 5).
func (x *exchange) outOfOrder(current *entry) {
	if current.lock(x.ctx) == nil {
		defer current.unlock()
		x.end(current, session.ErrOutOfOrder, Refused)
	}
	x.fail(http.StatusBadRequest)
}

// setCookie names the session to its client, once; Path is sent because its absence breaks clients (i4.md H7).
func (x *exchange) setCookie(id string) {
	cookie := cookieName + "=" + id + "; Path=/; HttpOnly"
	if !x.config.Lab || x.r.TLS != nil {
		cookie += "; Secure"
	}
	x.w.Header().Set("Set-Cookie", cookie)
}

// envelope answers with a message that is no request of ours.
func (x *exchange) envelope(e *cwmp.Envelope) {
	text, err := cwmp.Encode(e)
	if err != nil {
		slog.ErrorContext(x.ctx, "write the answer to an inform", "error", err)
		x.fail(http.StatusBadRequest)
		return
	}
	x.answer(text)
}

// silence is the visit of a session in which nothing is asked and of which nothing is kept.
type silence struct{}

func (silence) Next(context.Context) (*models.Request, error)   { return nil, nil }
func (silence) Answer(context.Context, models.Reply) error      { return nil }
func (silence) Transfer(context.Context, models.Transfer) error { return nil }
func (silence) RequestDownload(context.Context, string) error   { return nil }
func (silence) End(context.Context, error)                      {}
