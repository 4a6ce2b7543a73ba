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
)

// fakeTraces keeps sessions in memory.
type fakeTraces struct {
	kept []models.CwmpSession
	err  error
}

func (f *fakeTraces) Keep(_ context.Context, s models.CwmpSession) error {
	f.kept = append(f.kept, s)
	if f.err == errPanic {
		panic(f.err)
	}
	return f.err
}

// traced opens a door with one device that is traced for an hour.
func traced(t *testing.T, m *cwmp.Inform) (*door, *fakeTraces) {
	traces := &fakeTraces{}
	d := open(t, lab, func(c *Config) { c.Traces = traces })
	d.know(m, func(row *models.Device, _ *models.HTTPCredentials) { row.TraceUntil = d.clock.Now().Add(time.Hour) })
	return d, traces
}

// Whatever a device sends, what is recorded is bounded and holds no secret of the session, wherever it stands.
func TestRecordedBodies(t *testing.T) {
	t.Parallel()
	const secret, number = "a<secret>&more", "02160001234"
	m := inform("1", "1 BOOT", strings.Repeat("软", 100))
	m.Parameters = []cwmp.ParameterValue{
		{Name: "Device.X.Password", Value: secret}, {Name: "Device.X_CT-COM_UserInfo.UserName", Value: number}, {Name: "Device.X.Comment", Value: secret + " of +862160001234"},
	}
	for name, x := range map[string]struct {
		body        []byte
		contentType string
		status      int
		want        string
	}{
		"malformed":     {[]byte("<a>" + secret), "", http.StatusBadRequest, "[not kept: 17 bytes]"},
		"no CWMP":       {[]byte(`<a x="` + number + `"/>`), "", http.StatusBadRequest, "[not kept: 20 bytes]"},
		"large":         {bytes.Replace(encode(t, &cwmp.TransferComplete{CommandKey: "@@"}), []byte("@@"), bytes.Repeat([]byte("a"), maxTracedBody), 1), "", http.StatusOK, "[not kept: 2"},
		"GBK":           {gbk(encode(t, &cwmp.TransferComplete{CommandKey: "密 " + number})), "text/xml; charset=gbk", http.StatusOK, "密 [redacted]"},
		"references":    {bytes.ReplaceAll(encode(t, &cwmp.TransferComplete{CommandKey: "@@"}), []byte("@@"), []byte("a&#x3c;<![CDATA[secret>]]>&amp;m<!-- a -->ore")), "", http.StatusOK, "<CommandKey>[redacted]</CommandKey>"},
		"in attributes": {bytes.Replace(encode(t, &cwmp.TransferComplete{}), []byte("<CommandKey>"), []byte(`<CommandKey a="0216000&#49;234">`), 1), "", http.StatusOK, "[not kept: "},
		"comment":       {bytes.Replace(encode(t, &cwmp.TransferComplete{}), []byte("<CommandKey>"), []byte("<!-- "+number+" --><CommandKey>"), 1), "", http.StatusOK, "<cwmp:TransferComplete><CommandKey>"},
	} {
		d, traces := traced(t, m)
		c := d.client()
		d.begin(c, m)
		c.post(bytes.NewReader(x.body), func(r *http.Request) { r.Header.Set("Content-Type", x.contentType) }).is(t, x.status)
		c.empty()
		if len(traces.kept) != 1 {
			t.Fatalf("%s: recorded %d sessions", name, len(traces.kept))
		}
		got := traces.kept[0]
		all := fmt.Sprint(got)
		for _, hidden := range []string{secret, "a&lt;secret", number, "60001234", "127.0.0.1"} {
			if strings.Contains(all, hidden) {
				t.Errorf("%s: %q is in %s", name, hidden, all)
			}
		}
		if len(got.Messages) < 3 || !strings.Contains(got.Messages[2].Body, x.want) || got.RemoteAddress != "127.0.0.0/24" || len(got.Events.V[1]) > maxEventCode {
			t.Errorf("%s: recorded %.2000s", name, all)
		}
		if name != "in attributes" && !strings.Contains(got.Messages[0].Body, "[redacted] of +8621[redacted]") {
			t.Errorf("%s: the inform is %s", name, got.Messages[0].Body)
		}
	}
}

// gbk declares nothing, so that the header has to.
func gbk(text []byte) []byte {
	text = bytes.Replace(text, []byte(` encoding="UTF-8"`), nil, 1)
	return bytes.ReplaceAll(text, []byte("密"), []byte("\xC3\xDC"))
}

// A session is recorded from its Inform to its end, however it ends; what goes wrong with the record is not the client's concern. Without a trace
// nothing is recorded.
func TestRecordedSessions(t *testing.T) {
	t.Parallel()
	m := inform("1", "1 BOOT")
	d, traces := traced(t, m)
	traces.err = errors.New("no database")
	d.clients.visits(&fakeVisit{reboots: 2})
	c := d.client()
	x := d.begin(c, inform("1", "2 PERIODIC"))
	c.empty().has(t, "Reboot")
	restarted := d.client()
	restarted.send(m, x.sign).has(t, "InformResponse") // ends the one before
	restarted.empty().has(t, "Reboot")
	restarted.send(&cwmp.RebootResponse{}).is(t, http.StatusNoContent)
	methods := func(s models.CwmpSession) string {
		var list []string
		for _, m := range s.Messages {
			list = append(list, m.Method)
		}
		return s.Outcome + " " + strings.Join(list, " ")
	}
	want := []string{"replaced Inform InformResponse Reboot", "completed Inform InformResponse Reboot RebootResponse"}
	if len(traces.kept) != 2 || methods(traces.kept[0]) != want[0] || methods(traces.kept[1]) != want[1] {
		t.Errorf("recorded %+v", traces.kept)
	}
	if strings.Contains(fmt.Sprint(traces.kept), "Digest") {
		t.Error("the credentials of HTTP are recorded")
	}

	// The reaper's loop has nobody above it who would survive a panic.
	traces.err = errPanic
	idle := d.client()
	idle.send(m, x.sign).has(t, "InformResponse")
	d.clock.advance(2 * time.Minute)
	d.reap()
	if len(traces.kept) != 3 || d.Stats().Open != 0 || d.Stats().Panics != 1 {
		t.Errorf("%d recorded, %+v", len(traces.kept), d.Stats())
	}

	d.clock.advance(2 * time.Hour)
	later := d.client()
	later.send(m).has(t, "InformResponse")
	later.empty()
	if len(traces.kept) != 3 {
		t.Error("recorded after the end of the trace")
	}
}
