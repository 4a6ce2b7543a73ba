package sim

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// platform is a canned ACS: it answers Informs, then asks its list of requests, and keeps what it was told.
type platform struct {
	t    *testing.T
	ask  func(inform *cwmp.Inform) []cwmp.Message
	deny func(r *http.Request) string // "" or the WWW-Authenticate of a 401, several separated by newline

	mu       sync.Mutex
	left     []cwmp.Message
	got      []cwmp.Message // nil: empty POST
	statuses []int
	id       int
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if p.deny != nil {
		if challenge := p.deny(r); challenge != "" {
			p.statuses = append(p.statuses, http.StatusUnauthorized)
			for c := range strings.SplitSeq(challenge, "\n") {
				w.Header().Add("WWW-Authenticate", c)
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	var e *cwmp.Envelope
	var m cwmp.Message
	if len(body) > 0 {
		var err error
		if e, err = cwmp.Decode(body, r.Header.Get("Content-Type")); err != nil {
			p.t.Errorf("%v in %s", err, body)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		m = e.Body
	}
	p.got = append(p.got, m)
	var answer *cwmp.Envelope
	inform, opens := m.(*cwmp.Inform)
	if cookie, err := r.Cookie("I4SID"); !opens && (err != nil || cookie.Value != "s") {
		p.t.Errorf("%T without cookie", m)
	}
	switch {
	case opens:
		if p.left = nil; p.ask != nil {
			p.left = p.ask(inform)
		}
		http.SetCookie(w, &http.Cookie{Name: "I4SID", Value: "s", Path: "/"})
		answer = &cwmp.Envelope{Version: e.Version, ID: e.ID, Body: &cwmp.InformResponse{}}
	case m != nil && m.Method() == "TransferComplete":
		answer = &cwmp.Envelope{ID: e.ID, Body: &cwmp.TransferCompleteResponse{}}
	case m != nil && m.Method() == "GetRPCMethods":
		answer = &cwmp.Envelope{ID: e.ID, Body: &cwmp.Fault{Code: 8005}}
	case len(p.left) > 0:
		p.id++
		answer = &cwmp.Envelope{ID: fmt.Sprint("p", p.id), Body: p.left[0]}
		p.left = p.left[1:]
	}
	if answer == nil {
		p.statuses = append(p.statuses, http.StatusNoContent)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	text, err := cwmp.Encode(answer)
	if err != nil {
		p.t.Error(err)
	}
	p.statuses = append(p.statuses, http.StatusOK)
	w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
	_, _ = w.Write(text)
}

// last is the latest message of that kind.
func last[T cwmp.Message](t *testing.T, p *platform) T {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range slices.Backward(p.got) {
		if found, ok := m.(T); ok {
			return found
		}
	}
	t.Fatalf("no %T arrived", *new(T))
	return *new(T)
}

func setup(t *testing.T, p *platform, change func(*Config)) *Client {
	t.Helper()
	p.t = t
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL + "/acs", Number: "021-62345678", Now: func() time.Time { return time.Date(2012, 1, 10, 1, 30, 2, 0, time.UTC) },
		Identity: cwmp.DeviceID{Manufacturer: "ExampleSoft", OUI: "00005E", ProductClass: "IMSPC", SerialNumber: "7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5"}}
	if change != nil {
		change(&c)
	}
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *Client) values(pairs ...string) *cwmp.SetParameterValues {
	m := &cwmp.SetParameterValues{}
	for i := 0; i < len(pairs); i += 2 {
		v := c.value(pairs[i], pairs[i+1])
		if v.Name == "" {
			v = cwmp.ParameterValue{Name: pairs[i], Value: pairs[i+1], Type: "xsd:string"}
		}
		m.Parameters = append(m.Parameters, v)
	}
	return m
}

func (c *Client) asks(names ...string) *cwmp.GetParameterValues {
	m := &cwmp.GetParameterValues{}
	for _, name := range names {
		m.Names = append(m.Names, c.store.path(name))
	}
	return m
}

func parameter(m *cwmp.Inform, suffix string) string {
	for _, v := range m.Parameters {
		if strings.HasSuffix(v.Name, suffix) {
			return v.Value
		}
	}
	return ""
}

func TestGetPassword(t *testing.T) {
	var c *Client
	p := &platform{ask: func(*cwmp.Inform) []cwmp.Message {
		return []cwmp.Message{c.values("ui.status", "0", "ui.result", "1", "ui.retryAfter", "60")}
	}}
	lose := true
	c = setup(t, p, func(c *Config) {
		c.MDN = "13800000001"
		c.OnExchange = func(x Exchange) error {
			if lose && x.Got != nil && x.Got.Method() == "SetParameterValues" {
				return errors.New("lost")
			}
			return nil
		}
	})
	out, err := c.GetPassword(t.Context())
	if err == nil || out.Status != 99 {
		t.Fatalf("%+v %v", out, err)
	}
	first := last[*cwmp.Inform](t, p)
	lose = false
	if out, err = c.Retry(t.Context()); err != nil || out != (Outcome{Result: 1, RetryAfter: 60}) {
		t.Errorf("%+v %v", out, err)
	}
	again := last[*cwmp.Inform](t, p)
	if first.Events[0].Code != "X CT-COM GETPWD" || parameter(first, "UserName") != "021-62345678" || parameter(first, "MDN") != "13800000001" {
		t.Errorf("%+v", first)
	}
	if id := parameter(first, "RequestId"); len(id) != 32 || parameter(again, "RequestId") != id || again.RetryCount != 1 {
		t.Errorf("%q then %q", id, parameter(again, "RequestId"))
	}
	if _, err := c.GetPassword(t.Context()); err != nil || parameter(last[*cwmp.Inform](t, p), "RequestId") == parameter(first, "RequestId") {
		t.Error("a new action has the old RequestId")
	}
}

const (
	salt   = "00112233445566778899aabbccddeeff"
	nonce  = "c0ffee00d15ea5e0a11ce0b0b0cafe42"
	secret = models.Secret("K7MQ29XT")
)

// delivers is a platform that challenges, asks for the proof and delivers with a server proof.
func delivers(c **Client, serverProof func(m models.AuthMessage, keys models.ProofKeys) string) func(*cwmp.Inform) []cwmp.Message {
	return func(inform *cwmp.Inform) []cwmp.Message {
		b, _ := hex.DecodeString(salt)
		keys, _ := models.DeriveProofKeys(secret, b, 10000)
		m := models.AuthMessage{Purpose: models.ToRegister, Number: "862162345678", DeviceKey: (*c).Key(), ClientType: models.PC,
			ClientNonce: parameter(inform, "ClientNonce"), ServerNonce: nonce, Timestamp: "2012-01-10T01:30:02Z"}
		delivery := (*c).values("auth.serverProof", serverProof(m, keys), "managementServer.username", "u", "managementServer.password", "pw",
			"line.sip.authPassword", "sip-secret", "line.enable", "Enabled", "ui.status", "0", "ui.result", "1")
		delivery.ParameterKey = "cfg-000000001"
		return []cwmp.Message{
			(*c).values("auth.serverNonce", nonce, "auth.salt", salt, "auth.iterations", "10000", "ui.status", "99"),
			(*c).asks("auth.proof", "auth.timestamp", "auth.clientNonce"), delivery,
		}
	}
}

func TestRegister(t *testing.T) {
	var want string
	var c *Client
	p := &platform{ask: delivers(&c, func(m models.AuthMessage, k models.ProofKeys) string {
		want = k.Proof(m)
		return k.ServerProof(m)
	})}
	c = setup(t, p, nil)
	out, err := c.Register(t.Context(), secret)
	if err != nil || out.Status != 0 || out.Result != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	answer := last[*cwmp.GetParameterValuesResponse](t, p)
	if answer.Parameters[0].Value != want || answer.Parameters[2].Value != parameter(p.got[0].(*cwmp.Inform), "ClientNonce") {
		t.Errorf("%+v", answer)
	}
	if last[*cwmp.SetParameterValuesResponse](t, p).Status != 0 || c.Get("managementServer.password") != "pw" ||
		c.Get("managementServer.parameterKey") != "cfg-000000001" || c.Get("line.status") != "Up" {
		t.Error("the delivery was not applied")
	}
	nonceBefore, login := c.Get("auth.clientNonce"), c.Get("softClient.loginSessionId")
	if _, err := c.Retry(t.Context()); err != nil || c.Get("auth.clientNonce") == nonceBefore || c.Get("softClient.loginSessionId") != login {
		t.Error("a retry takes a new nonce and the old login", err)
	}
}

// A platform that cannot prove itself changes nothing (i4.md C.2.2).
func TestRegisterRefusesAWrongServerProof(t *testing.T) {
	for name, proof := range map[string]string{"wrong": strings.Repeat("0", 64), "empty": ""} {
		t.Run(name, func(t *testing.T) {
			var c *Client
			p := &platform{ask: delivers(&c, func(models.AuthMessage, models.ProofKeys) string { return proof })}
			c = setup(t, p, nil)
			out, err := c.Register(t.Context(), secret)
			if err != nil || out.Status != 99 || last[*cwmp.Fault](t, p).Code != 9001 || c.Get("managementServer.password") != "" ||
				c.Get("managementServer.parameterKey") != "" {
				t.Errorf("%+v %v", out, err)
			}
		})
	}
	var c *Client
	p := &platform{ask: func(*cwmp.Inform) []cwmp.Message {
		return []cwmp.Message{c.values("line.enable", "Enabled", "ui.status", "0")}
	}}
	c = setup(t, p, nil)
	if out, err := c.Register(t.Context(), secret); err != nil || out.Status != 99 || last[*cwmp.Fault](t, p).Code != 9001 {
		t.Errorf("a delivery without any proof: %+v %v", out, err)
	}
}

func TestProofFaults(t *testing.T) {
	right := func(m models.AuthMessage, k models.ProofKeys) string { return k.ServerProof(m) }
	for _, c := range []struct {
		name   string
		faults Faults
		check  func(proof, nonce string, inform *cwmp.Inform) bool
	}{
		{"empty", Faults{EmptyProofs: 1}, func(proof, nonce string, i *cwmp.Inform) bool { return proof == "" }},
		{"wrong", Faults{WrongProof: true}, func(proof, nonce string, i *cwmp.Inform) bool { return proof == strings.Repeat("0", 64) }},
		{"nonce", Faults{WrongNonce: true}, func(proof, nonce string, i *cwmp.Inform) bool {
			return len(nonce) == 32 && nonce != parameter(i, "ClientNonce")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var client *Client
			p := &platform{ask: delivers(&client, right)}
			client = setup(t, p, nil)
			client.SetFaults(c.faults)
			if _, err := client.Register(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			answer := last[*cwmp.GetParameterValuesResponse](t, p).Parameters
			if !c.check(answer[0].Value, answer[2].Value, last[*cwmp.Inform](t, p)) {
				t.Errorf("%+v", answer)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	var c *Client
	p := &platform{ask: func(in *cwmp.Inform) []cwmp.Message {
		if in.Events[0].Code == "X CT-COM REGISTER" {
			return delivers(&c, func(m models.AuthMessage, k models.ProofKeys) string { return k.ServerProof(m) })(in)
		}
		return []cwmp.Message{c.values("ui.status", "0", "ui.result", "1")}
	}}
	noSMS := errors.New("no SMS")
	c = setup(t, p, func(c *Config) { c.Password = func(context.Context) (models.Secret, error) { return "", noSMS } })
	if _, err := c.Login(t.Context()); !errors.Is(err, noSMS) {
		t.Error(err)
	}
	c = setup(t, p, func(c *Config) { c.Password = func(context.Context) (models.Secret, error) { return secret, nil } })
	if out, err := c.Login(t.Context()); err != nil || out.Status != 0 || last[*cwmp.Inform](t, p).Events[0].Code != "X CT-COM REGISTER" {
		t.Errorf("%+v %v", out, err)
	}
	p.ask = func(*cwmp.Inform) []cwmp.Message {
		return []cwmp.Message{c.values("ui.status", "10", "ui.result", "2")}
	}
	if out, err := c.Login(t.Context()); err != nil || out.Status != 10 || last[*cwmp.Inform](t, p).Events[0].Code != "X CT-COM GETPWD" {
		t.Errorf("%+v %v", out, err)
	}
}

// digestOf answers a digest header as a server computes it.
func digestOf(header, method, password string) bool {
	p := parameters(strings.TrimPrefix(header, "Digest "))
	h := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	if p["algorithm"] == "SHA-256" {
		h = func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	}
	return p["response"] == h(h(p["username"]+":"+p["realm"]+":"+password)+":"+p["nonce"]+":"+p["nc"]+":"+p["cnonce"]+":"+p["qop"]+":"+h(method+":"+p["uri"]))
}

func TestDigest(t *testing.T) {
	const offer = "Digest realm=\"i4\", qop=\"auth\", algorithm=MD5, nonce=\"%[1]s\", opaque=\"o\"%[2]s\nDigest realm=\"i4\", qop=\"auth\", algorithm=SHA-256, nonce=\"%[1]s\"%[2]s"
	for _, c := range []struct{ prefer, want string }{{"", "MD5"}, {"MD5", "MD5"}, {"SHA-256", "SHA-256"}} {
		var counts []string
		p := &platform{deny: func(r *http.Request) string {
			header := r.Header.Get("Authorization")
			if header == "" {
				return fmt.Sprintf(offer, "n1", "")
			}
			got := parameters(strings.TrimPrefix(header, "Digest "))
			if got["algorithm"] != c.want || got["username"] != "u" || !digestOf(header, "POST", "p") || got["uri"] != "/acs" {
				return fmt.Sprintf(offer, "wrong", "")
			}
			if got["nonce"] == "n1" {
				return fmt.Sprintf(offer, "n2", ", stale=true")
			}
			counts = append(counts, got["nc"])
			return ""
		}}
		client := setup(t, p, func(config *Config) { config.Username, config.ACSPassword, config.Digest = "u", "p", c.prefer })
		if _, err := client.Heartbeat(t.Context()); err != nil || !slices.Equal(p.statuses, []int{401, 401, 200, 204}) ||
			!slices.Equal(counts, []string{"00000001", "00000002"}) {
			t.Errorf("%s: %v %v %v", c.want, p.statuses, counts, err)
		}
		client.Set("managementServer.password", "other")
		var refused *HTTPError
		if _, err := client.Heartbeat(t.Context()); !errors.As(err, &refused) || refused.Status != 401 {
			t.Error(err)
		}
	}
	p := &platform{deny: func(r *http.Request) string {
		if u, pw, ok := r.BasicAuth(); !ok || u != "u" || pw != "p" {
			return `Digest realm="i4"`
		}
		return ""
	}}
	client := setup(t, p, func(config *Config) { config.Username, config.ACSPassword, config.Basic = "u", "p", true })
	if _, err := client.Heartbeat(t.Context()); err != nil {
		t.Error(err)
	}
}
