package server

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
)

// slow hides the length of a body, so that it is sent in chunks.
type slow struct{ io.Reader }

func envelope(body string) string {
	return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><e:Body>` + body + `</e:Body></e:Envelope>`
}

func compressed(t *testing.T, e string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch e {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, 6)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever is refused by its form is refused without a read and closes the connection (H10, H13, resolutions 18, 63).
func TestRefusedByForm(t *testing.T) {
	t.Parallel()
	d := open(t)
	zeros := bytes.Repeat([]byte(" "), 8<<20)
	padded := append(encode(t, inform("1", "1 BOOT")), zeros[:256<<10]...)
	deep := envelope(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40))
	encoded := func(e string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Encoding", e) }
	}
	foreign := func(r *http.Request) { r.Header.Set("Cookie", "I4SID=0123456789abcdef0123456789abcdef") }
	for name, c := range map[string]struct {
		body   io.Reader
		set    func(*http.Request)
		status int
	}{
		"GET":                     {nil, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"another path":            {nil, func(r *http.Request) { r.URL.Path = "/" }, 404},
		"empty":                   {http.NoBody, nil, 400},
		"white space":             {strings.NewReader(" \r\n\t"), nil, 400},
		"no XML":                  {strings.NewReader("hello"), nil, 400},
		"torn XML":                {strings.NewReader("<a><b></a>"), nil, 400},
		"no SOAP":                 {strings.NewReader("<a/>"), nil, 400},
		"DOCTYPE":                 {strings.NewReader(`<!DOCTYPE a [<!ENTITY b "c">]>` + envelope("<cwmp:Inform/>")), nil, 400},
		"deep":                    {strings.NewReader(deep), nil, 400},
		"foreign namespace":       {strings.NewReader(envelope(`<x:Inform xmlns:x="urn:x"/>`)), nil, 400},
		"an answer first":         {bytes.NewReader(encode(t, &cwmp.RebootResponse{})), nil, 400},
		"a request first":         {bytes.NewReader(encode(t, &cwmp.TransferComplete{})), nil, 400},
		"foreign cookie":          {bytes.NewReader(encode(t, &cwmp.RebootResponse{})), foreign, 400},
		"foreign cookie, empty":   {http.NoBody, foreign, 400},
		"too large":               {bytes.NewReader(padded), nil, 413},
		"too large in chunks":     {slow{bytes.NewReader(padded)}, nil, 413},
		"too large with a cookie": {bytes.NewReader(padded), foreign, 413},
		"gzip bomb":               {bytes.NewReader(compressed(t, "gzip", zeros)), encoded("gzip"), 413},
		"deflate bomb":            {bytes.NewReader(compressed(t, "deflate", zeros)), encoded("deflate"), 413},
		"no gzip":                 {strings.NewReader("hello"), encoded("gzip"), 400},
		"torn gzip":               {bytes.NewReader(compressed(t, "gzip", encode(t, inform("1")))[:100]), encoded("gzip"), 400},
		"brotli":                  {strings.NewReader("hello"), encoded("br"), 415},
		"gzip twice":              {strings.NewReader("hello"), encoded("gzip, gzip"), 415},
	} {
		if c.set == nil {
			c.set = func(*http.Request) {}
		}
		a := d.client().post(c.body, c.set)
		if a.StatusCode != c.status || !a.Close || len(a.body) > 0 {
			t.Errorf("%s: status %d, want %d, Connection: close %v, body %q", name, a.StatusCode, c.status, a.Close, a.body)
		}
		if c.status == 405 && a.Header.Get("Allow") != "POST" {
			t.Errorf("Allow: %q", a.Header.Get("Allow"))
		}
		if n := d.devices.read(); n > 0 {
			t.Errorf("%s: %d reads", name, n)
		}
	}
	if s := d.Stats(); s.Open+s.Finished > 0 || d.clients.count() > 0 {
		t.Errorf("sessions were opened: %+v", s)
	}
}

// A device without usable identity gets fault 8003, with 200 and without cookie or read (resolutions 18); 8006 likewise (i4.md A.4).
func TestRefusedByFault(t *testing.T) {
	t.Parallel()
	d := open(t)
	alien, err := cwmp.Encode(&cwmp.Envelope{ID: "9", SupportedVersions: []string{"9.9"}, Body: inform("1", "1 BOOT")})
	if err != nil {
		t.Fatal(err)
	}
	for code, body := range map[int][]byte{8003: encode(t, inform("", "1 BOOT")), 8006: alien} {
		a := d.client().post(bytes.NewReader(body))
		a.has(t, "Fault")
		if f := a.message(t).Body.(*cwmp.Fault); f.Code != code {
			t.Errorf("fault %d, want %d", f.Code, code)
		}
		if len(a.Cookies()) > 0 || d.devices.read() > 0 || d.Stats().Open > 0 {
			t.Errorf("fault %d left a cookie, a read or a session", code)
		}
	}
}

// The whole of a session over HTTP: H1 to H7, A.11.
func TestSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := d.clients.visits(&fakeVisit{reboots: 1})
	c := d.client()
	a := c.send(inform("1", "1 BOOT"))
	a.has(t, "InformResponse")
	if got := a.Header.Get("Content-Type"); got != `text/xml; charset="utf-8"` {
		t.Errorf("Content-Type: %s", got)
	}
	if a.message(t).ID != "77" {
		t.Errorf("ID %q", a.message(t).ID)
	}
	set := a.Header.Values("Set-Cookie")
	if len(set) != 1 || !regexp.MustCompile(`^I4SID=[0-9a-f]{32}; Path=/; HttpOnly; Secure$`).MatchString(set[0]) {
		t.Errorf("Set-Cookie: %q", set)
	}
	got := d.clients.last(t)
	if got.in.RemoteAddress != "127.0.0.1" || got.trust != 0 || got.device != nil || got.actor.Name != "00005E-IMSPC-1" ||
		got.origin.RemoteAddress != "127.0.0.1" || got.origin.RequestID == "" {
		t.Errorf("arrival %+v", got)
	}

	a = c.send(&cwmp.Unknown{Name: "Kicked"})
	a.has(t, "Fault")
	if f := a.message(t).Body.(*cwmp.Fault); f.Code != 8000 {
		t.Errorf("fault %d", f.Code)
	}
	a = c.post(strings.NewReader(" \r\n "), func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") })
	a.has(t, "Reboot")
	id := a.message(t).ID
	if a = c.empty(); a.message(t).ID != id { // the answer was lost
		t.Errorf("asked with ID %q again, not %q", a.message(t).ID, id)
	}
	done := encodeID(t, &cwmp.RebootResponse{}, id)
	for range 2 { // the second time the 204 was lost
		a = c.elsewhere().post(bytes.NewReader(done)) // at L0 the cookie is enough
		a.is(t, http.StatusNoContent)
		if len(a.body) > 0 || a.Header.Get("Content-Type") != "" || a.ContentLength > 0 || len(a.Cookies()) > 0 {
			t.Errorf("204 with %v", a.Header)
		}
	}
	if v.answers != 1 || len(v.ended()) != 1 || v.ended()[0] != nil {
		t.Errorf("%d answers, ended %v", v.answers, v.ended())
	}
	// A further round of the client's own (i4.md A.5-5).
	c.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	c.empty().is(t, http.StatusNoContent)
	if s := d.Stats(); s.Sessions[Completed] != 1 || s.Open != 0 || s.Finished != 1 {
		t.Errorf("stats %+v", s)
	}
	// The connection is free for a new session.
	a = c.send(inform("1", "1 BOOT"))
	a.has(t, "InformResponse")
	if len(a.Cookies()) != 1 || strings.Contains(set[0], a.Cookies()[0].Value) {
		t.Error("the cookie of the new session is the old one")
	}
}

func TestLab(t *testing.T) {
	t.Parallel()
	c := open(t, lab).client()
	c.path = "/any/where?x=1"
	a := c.send(inform("1", "1 BOOT"))
	a.has(t, "InformResponse")
	if strings.Contains(a.Header.Get("Set-Cookie"), "Secure") {
		t.Error("Secure without TLS")
	}
}

// Bodies in chunks, announced, and compressed both ways (H2, H9).
func TestTransfer(t *testing.T) {
	t.Parallel()
	d := open(t)
	text := encode(t, inform("1", "1 BOOT"))
	d.client().post(slow{bytes.NewReader(text)}).has(t, "InformResponse")
	d.client().post(bytes.NewReader(text), func(r *http.Request) { r.Header.Set("Expect", "100-continue") }).has(t, "InformResponse")

	for e, header := range map[string]string{"gzip": "gzip", "deflate": "deflate", "raw": "Deflate"} {
		c := d.client()
		c.header.Set("Content-Encoding", header)
		a := c.post(bytes.NewReader(compressed(t, e, text)))
		if a.Header.Get("Content-Encoding") != strings.ToLower(header) {
			t.Errorf("%s: answered in %q", e, a.Header.Get("Content-Encoding"))
		}
		var plain io.Reader
		var err error
		if e == "gzip" {
			plain, err = gzip.NewReader(bytes.NewReader(a.body))
		} else {
			plain, err = zlib.NewReader(bytes.NewReader(a.body))
		}
		if err != nil {
			t.Fatal(err)
		}
		if a.body, err = io.ReadAll(plain); err != nil {
			t.Fatal(err)
		}
		a.has(t, "InformResponse")
		a = c.empty()
		a.is(t, http.StatusNoContent)
		if a.Header.Get("Content-Encoding") != "" {
			t.Error("204 with Content-Encoding")
		}
	}
}

// Within a session 2 MiB are taken, and what is not ends it (H10, H13).
func TestLimitsWithinSession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body      func(id string) []byte
		status    int
		survives  bool
		encodings string
	}{
		"1 MiB": {func(id string) []byte {
			return append(encodeID(t, &cwmp.RebootResponse{}, id), bytes.Repeat([]byte("\n"), 1<<20)...)
		}, 204, true, ""},
		"3 MiB":        {func(string) []byte { return make([]byte, 3<<20) }, 413, false, ""},
		"malformed":    {func(string) []byte { return []byte("<a>") }, 400, false, ""},
		"out of order": {func(id string) []byte { return encodeID(t, &cwmp.SetParameterValuesResponse{}, id) }, 400, false, ""},
		"encoding":     {func(string) []byte { return []byte("x") }, 415, true, "br"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			v := d.clients.visits(&fakeVisit{reboots: 1})
			client := d.client()
			client.send(inform("1", "1 BOOT")).has(t, "InformResponse")
			a := client.empty()
			a.has(t, "Reboot")
			a = client.post(bytes.NewReader(c.body(a.message(t).ID)), func(r *http.Request) {
				if c.encodings != "" {
					r.Header.Set("Content-Encoding", c.encodings)
				}
			})
			a.is(t, c.status)
			if c.survives {
				return
			}
			eventually(t, "the session is over", func() bool { return d.Stats().Open == 0 })
			if ended := v.ended(); len(ended) != 1 || ended[0] == nil {
				t.Errorf("ended with %v", ended)
			}
			client.empty().is(t, http.StatusBadRequest)
			if s := d.Stats(); s.Sessions[Refused] != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.client()
	c.send(inform("1", "1 BOOT"))
	id := strings.TrimPrefix(c.header.Get("Cookie"), "I4SID=")
	for _, header := range []string{
		`I4SID=` + id, `I4SID="` + id + `"`, `a=b; I4SID=` + id, `a=b;I4SID=` + id + `;`, `$Version="1"; I4SID="` + id + `"; $Path="/"`,
		`I4SID=0; I4SID=` + id, `a=b, I4SID = ` + id,
	} {
		c.header.Set("Cookie", header)
		c.send(&cwmp.GetRPCMethods{}).has(t, "GetRPCMethodsResponse")
	}
	if got := cookies(http.Header{"Cookie": {"I4SID", "I4SIDX=1; =2; ;;", "I4SID=1;I4SID=2;I4SID=3;I4SID=4;I4SID=5"}}); len(got) != 4 {
		t.Errorf("cookies %q", got)
	}
}
