package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

const (
	// maxTraced is how many messages of a session are recorded, maxTracedBody how long one may be, and maxTracedBytes all together.
	maxTraced      = 100
	maxTracedBody  = 256 << 10
	maxTracedBytes = 1 << 20
)

// Traces keeps what is recorded of the sessions of traced devices.
type Traces interface {
	Keep(ctx context.Context, s models.CwmpSession) error
}

// recording is what was said in one session of a traced device. Its entry's gate guards it. A nil recording records nothing.
type recording struct {
	redactor *i4.Redactor
	messages []models.CwmpMessage
	bytes    int
	// unsafe: not all that has to be hidden is known, so no body is kept.
	unsafe bool
}

// record begins the recording of a session if its device is traced. p is the profile of the device.
func (s *Server) record(p *i4.Profile, d *models.Device, now models.Time) *recording {
	if d == nil || d.TraceUntil <= now || s.config.Traces == nil {
		return nil
	}
	return &recording{redactor: p.Redactor()}
}

// add records a message, without what its names tell must not be kept. What cannot be made safe, or is too long, is only mentioned.
func (r *recording) add(now models.Time, fromDevice bool, method string, body []byte, contentType string) {
	if r == nil || len(body) == 0 || len(r.messages) == maxTraced {
		return
	}
	m := models.CwmpMessage{At: now, FromDevice: fromDevice, Method: clip(method)}
	text, safe := r.redactor.Message(body, contentType)
	r.unsafe = r.unsafe || !safe
	if m.Body = text; !safe || len(text) > maxTracedBody || r.bytes+len(text) > maxTracedBytes {
		m.Body = notKept(body)
	}
	r.bytes += len(m.Body)
	r.messages = append(r.messages, m)
}

// torn mentions a body of the device that was no CWMP.
func (r *recording) torn(now models.Time, body []byte) {
	if r != nil && len(r.messages) < maxTraced {
		r.messages = append(r.messages, models.CwmpMessage{At: now, FromDevice: true, Method: "unreadable", Body: notKept(body)})
	}
}

func notKept(body []byte) string { return fmt.Sprintf("[not kept: %d bytes]", len(body)) }

// clip cuts what a device may write at will to what a row is for.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxEventCode)], "") }

// keep hands the recording over when the session has ended. What was learnt from any message is hidden in all of them, so that is done last.
func (s *Server) keep(e *entry, outcome Outcome) {
	r := e.recording
	if r == nil {
		return
	}
	e.recording = nil
	defer s.survive(e.as(context.Background()), nil) // the session's own end follows
	kept := models.CwmpSession{
		ID: e.requestID, DeviceID: e.device.ID, StartedAt: e.opened, EndedAt: s.clock.Now(), Outcome: string(outcome),
		RemoteAddress: neighbourhood(e.in.RemoteAddress), Messages: r.messages,
	}
	for _, event := range e.in.Events[:min(len(e.in.Events), maxEvents)] {
		kept.Events.V = append(kept.Events.V, r.redactor.Text(clip(event.Code)))
	}
	for i := range kept.Messages {
		m := &kept.Messages[i]
		m.Method = r.redactor.Text(m.Method)
		if m.Body = r.redactor.Text(m.Body); r.unsafe || len(m.Body) > maxTracedBody {
			m.Body = notKept([]byte(m.Body))
		}
	}
	ctx, cancel := context.WithTimeout(e.as(context.Background()), postTime)
	defer cancel()
	if err := s.config.Traces.Keep(ctx, kept); err != nil {
		slog.ErrorContext(ctx, "record a session", "requestId", e.requestID, "device", e.in.Key, "error", err)
	}
}

// neighbourhood is what may be kept of an address, which is personal data: the network that it is in.
func neighbourhood(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	network, _ := ip.Prefix(bits) // the bits fit the family
	return network.String()
}
