package sim

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

const (
	mdn  = "+8618900000001"
	imsi = "460030000000001"
)

// mobile makes a client on a phone whose portal is handler; nil: there is none.
func mobile(t *testing.T, p *platform, handler http.HandlerFunc) *Client {
	t.Helper()
	return setup(t, p, func(c *Config) {
		c.Type, c.Number, c.MDN, c.IMSI = models.Mobile, "", mdn, imsi
		c.Identity.ProductClass = "IMSMobile"
		if handler != nil {
			portal := httptest.NewServer(handler)
			t.Cleanup(portal.Close)
			c.Portal = portal.URL + "/i4/mdn"
		}
	})
}

// asserts is a portal that makes readable tokens.
func asserts(w http.ResponseWriter, r *http.Request) {
	if number := r.Header.Get("X-Up-Calling-Line-Id"); r.Method == http.MethodGet && r.URL.Path == "/i4/mdn" && number == mdn {
		_, _ = w.Write([]byte("v1." + number + "." + r.URL.Query().Get("cn") + "\n"))
		return
	}
	w.WriteHeader(http.StatusForbidden)
}

// says is a platform that ends each session with these parameters.
func says(c **Client, pairs ...string) func(*cwmp.Inform) []cwmp.Message {
	return func(*cwmp.Inform) []cwmp.Message { return []cwmp.Message{(*c).values(pairs...)} }
}

// expect checks parameters of the last Inform.
func expect(t *testing.T, p *platform, event string, want map[string]string) *cwmp.Inform {
	t.Helper()
	in := last[*cwmp.Inform](t, p)
	if in.Events[0].Code != event {
		t.Errorf("event %s", in.Events[0].Code)
	}
	for name, value := range want {
		if got := parameter(in, name); got != value {
			t.Errorf("%s is %q, not %q", name, got, value)
		}
	}
	return in
}

// phone is what a REGISTER of a phone always says.
func phone(mode string) map[string]string {
	return map[string]string{"SoftClient.ClientType": "Mobile", "SoftClient.NetworkType": "EVDO", "UserInfo.MDN": mdn, "UserInfo.IMSI": imsi,
		"Auth.Mode": mode, "Auth.Purpose": "mobile", "Auth.Algorithm": models.ProofAlgorithm}
}

// Without a proof of its own the client takes the delivery from whom TLS says that it is the platform.
func TestRegisterNetwork(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "ui.userName", "862162345678", "managementServer.password", "pw", "ui.status", "0", "ui.result", "1")}
	c = mobile(t, p, asserts)
	out, err := c.RegisterNetwork(t.Context())
	if err != nil || out.Status != 0 || c.Get("ui.userName") != "862162345678" || c.Get("managementServer.password") != "pw" {
		t.Errorf("%+v %v", out, err)
	}
	first := expect(t, p, "X CT-COM REGISTER", phone("network"))
	cn := parameter(first, "ClientNonce")
	if parameter(first, "NetworkToken") != "v1."+mdn+"."+cn || len(parameter(first, "LoginSessionId")) != 32 || parameter(first, "UserName") != "" {
		t.Errorf("%+v", first)
	}
	if _, err := c.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := last[*cwmp.Inform](t, p)
	if fresh := parameter(again, "ClientNonce"); fresh == cn || parameter(again, "NetworkToken") != "v1."+mdn+"."+fresh ||
		parameter(again, "LoginSessionId") != parameter(first, "LoginSessionId") || parameter(again, "RequestId") != parameter(first, "RequestId") {
		t.Errorf("%+v", again)
	}
	c.SetFaults(Faults{KeepNonce: true, ForgeToken: func(token string) string { return strings.ToUpper(token) }})
	if _, err := c.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	forged := last[*cwmp.Inform](t, p)
	if cn := parameter(again, "ClientNonce"); parameter(forged, "ClientNonce") != cn || parameter(forged, "NetworkToken") != strings.ToUpper("v1."+mdn+"."+cn) {
		t.Errorf("%+v", forged)
	}
	if _, err := c.Heartbeat(t.Context()); err != nil || parameter(last[*cwmp.Inform](t, p), "IMSI") != imsi {
		t.Error("the heartbeat does not tell the SIM card", err)
	}
}

func TestPortalRefuses(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"forbidden": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"long":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 300)) },
		"none":      nil,
	} {
		p := &platform{}
		if _, err := mobile(t, p, handler).RegisterNetwork(t.Context()); err == nil || len(p.got) != 0 {
			t.Errorf("%s: %v, %d messages", name, err, len(p.got))
		}
	}
}

func TestRegisterBySMS(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "ui.status", "20", "ui.retryAfter", "60")}
	c = mobile(t, p, nil)
	if out, err := c.RegisterSMS(t.Context()); err != nil || out.Status != 20 || out.RetryAfter != 60 {
		t.Errorf("%+v %v", out, err)
	}
	if in := expect(t, p, "X CT-COM REGISTER", phone("sms")); len(parameter(in, "RequestId")) != 32 {
		t.Errorf("%+v", in)
	}
	p.ask = challenges(&c, models.ToRegisterMobile, "8618900000001", models.Mobile, "ui.userName", "862162345678", "ui.status", "0", "ui.result", "1")
	if out, err := c.RegisterCode(t.Context(), secret); err != nil || out.Status != 0 || c.Get("ui.userName") != "862162345678" {
		t.Errorf("%+v %v", out, err)
	}
	want := phone("challenge")
	want["UserInfo.UserName"] = mdn
	expect(t, p, "X CT-COM REGISTER", want)
	if c.Remembered() != "" {
		t.Error("a code for one use is remembered")
	}
	p.ask = says(&c, "ui.userName", "862100000000", "ui.status", "0")
	if out, err := c.RegisterCode(t.Context(), secret); err != nil || out.Status != pending || c.Get("ui.userName") != "862162345678" {
		t.Errorf("a platform without a proof is believed: %+v %v", out, err)
	}
}

func TestRegisterMO(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "ui.status", "0", "ui.result", "1")}
	c = mobile(t, p, nil)
	for try, register := range []func() (Outcome, error){func() (Outcome, error) { return c.RegisterMO(t.Context(), nonce) },
		func() (Outcome, error) { return c.Retry(t.Context()) }} {
		out, err := register()
		want := phone("mo-sms")
		want["ClientNonce"] = nonce
		if in := expect(t, p, "X CT-COM REGISTER", want); err != nil || out.Status != 0 || in.RetryCount != try {
			t.Errorf("%+v %v %+v", out, err, in)
		}
	}
}

// challenges is a platform that challenges a proof of secret for purpose and, when it is right, ends with these parameters behind its own proof.
func challenges(c **Client, purpose models.ProofPurpose, number models.Number, clientType models.ClientType, pairs ...string) func(*cwmp.Inform) []cwmp.Message {
	return func(in *cwmp.Inform) []cwmp.Message {
		b, _ := hex.DecodeString(salt)
		keys, _ := models.DeriveProofKeys(secret, b, 10000)
		m := models.AuthMessage{Purpose: purpose, Number: number, DeviceKey: (*c).Key(), ClientType: clientType,
			ClientNonce: parameter(in, "ClientNonce"), ServerNonce: nonce, Timestamp: "2012-01-10T01:30:02Z"}
		return []cwmp.Message{
			(*c).values("auth.serverNonce", nonce, "auth.salt", salt, "auth.iterations", "10000", "ui.status", "99"),
			(*c).asks("auth.proof", "auth.timestamp", "auth.clientNonce", "auth.newSalt", "auth.newIterations", "auth.newStoredKey",
				"auth.newServerKey", "auth.newVerifierMac", "ui.newPassword"),
			(*c).values(append([]string{"auth.serverProof", keys.ServerProof(m)}, pairs...)...),
		}
	}
}

// The vector of i4.md C.2.6.
func TestRegisterTimestamp(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "ui.status", "14", "ui.result", "2", "ui.serverTime", "2012-01-10T01:31:00Z")}
	c = setup(t, p, nil)
	if out, err := c.RegisterTimestamp(t.Context(), secret, "i4.example.net"); err != nil || out.Status != 14 {
		t.Errorf("%+v %v", out, err)
	}
	first := expect(t, p, "X CT-COM REGISTER", map[string]string{"Auth.Mode": "timestamp", "Auth.Purpose": "register", "Auth.Timestamp": "2012-01-10T01:30:02Z"})
	p.ask = func(in *cwmp.Inform) []cwmp.Message {
		keys, _ := models.DeriveProofKeys(secret, models.TimestampSalt("862162345678", "i4.example.net"), 100_000)
		m := models.AuthMessage{Purpose: models.ToRegister, Number: "862162345678", DeviceKey: c.Key(), ClientType: models.PC,
			ClientNonce: parameter(in, "ClientNonce"), ServerNonce: "-", Timestamp: "2012-01-10T01:31:00Z"}
		if parameter(in, "Auth.Proof") != keys.Proof(m) {
			t.Errorf("the proof is wrong in %+v", in)
		}
		return []cwmp.Message{c.values("auth.serverProof", keys.ServerProof(m), "line.enable", "Enabled", "ui.status", "0", "ui.result", "1")}
	}
	c.SetFaults(Faults{TimestampSkew: 0})
	if out, err := c.Retry(t.Context()); err != nil || out.Status != 0 || c.Get("line.enable") != "Enabled" || c.Remembered() != secret {
		t.Errorf("after the clock was corrected: %+v %v", out, err)
	}
	if again := last[*cwmp.Inform](t, p); parameter(again, "ClientNonce") == parameter(first, "ClientNonce") {
		t.Error("the nonce was used twice")
	}
	p.ask = nil
	c.SetFaults(Faults{TimestampSkew: time.Hour, WrongProof: true})
	if _, err := c.Retry(t.Context()); err != nil || parameter(last[*cwmp.Inform](t, p), "Auth.Timestamp") != "2012-01-10T02:31:00Z" ||
		parameter(last[*cwmp.Inform](t, p), "Auth.Proof") != strings.Repeat("0", 64) {
		t.Errorf("%+v %v", last[*cwmp.Inform](t, p), err)
	}
}

func TestRegisterPlain(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "line.enable", "Enabled", "ui.status", "0", "ui.result", "1")}
	c = setup(t, p, nil)
	if out, err := c.RegisterPlain(t.Context(), secret); err != nil || out.Status != 0 || c.Get("line.enable") != "Enabled" {
		t.Errorf("%+v %v", out, err)
	}
	expect(t, p, "X CT-COM REGISTER", map[string]string{"Auth.Mode": "plain", "UserInfo.Password": secret.Reveal(), "UserInfo.UserName": "021-62345678"})
}

const fresh = models.Secret("Blue-Kite-42!")

// answered is what the client answered by the end of the path.
func answered(t *testing.T, p *platform) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, v := range last[*cwmp.GetParameterValuesResponse](t, p).Parameters {
		values[v.Name[strings.LastIndex(v.Name, ".")+1:]] = v.Value
	}
	return values
}

// verified is the new verifier in an answer, as a platform with the old one judges it; problem is "" if it is right.
func verified(t *testing.T, c *Client, in *cwmp.Inform, values map[string]string) (fresh models.Verifier, problem string) {
	t.Helper()
	b, _ := hex.DecodeString(salt)
	old, _ := models.DeriveProofKeys(secret, b, 10000)
	m := models.AuthMessage{Purpose: models.ToChangePassword, Number: "862162345678", DeviceKey: c.Key(), ClientType: models.PC,
		ClientNonce: parameter(in, "ClientNonce"), ServerNonce: nonce, Timestamp: values["Timestamp"]}
	key, right := old.Verifier.ClientKey(values["Proof"], m)
	if !right {
		return fresh, "proof"
	}
	newSalt, err1 := hex.DecodeString(values["NewSalt"])
	stored, err2 := hex.DecodeString(values["NewStoredKey"])
	server, err3 := hex.DecodeString(values["NewServerKey"])
	if err1 != nil || err2 != nil || err3 != nil || len(newSalt) != 16 || len(stored) != 32 || len(server) != 32 {
		return fresh, "format"
	}
	fresh = models.Verifier{StoredKey: [32]byte(stored), ServerKey: [32]byte(server)}
	if values["NewIterations"] != "10000" {
		return fresh, "iterations"
	}
	if fresh.StoredKey == old.StoredKey {
		return fresh, "old"
	}
	if models.VerifierMAC(key, m, newSalt, 10000, fresh) != values["NewVerifierMac"] {
		return fresh, "mac"
	}
	return fresh, ""
}

func changing(t *testing.T, p *platform) *Client {
	return setup(t, p, func(c *Config) { c.Iterations = 10_000 })
}

func TestChangePassword(t *testing.T) {
	var c *Client
	p := &platform{}
	c = changing(t, p)
	p.ask = challenges(&c, models.ToChangePassword, "862162345678", models.PC, "managementServer.password", "pw2", "ui.status", "0", "ui.result", "1")
	out, err := c.ChangePassword(t.Context(), secret, fresh)
	if err != nil || out.Status != 0 || c.Get("managementServer.password") != "pw2" || c.Remembered() != fresh {
		t.Errorf("%+v %v", out, err)
	}
	in := expect(t, p, "X CT-COM CHANGEPWD", map[string]string{"Auth.Mode": "challenge", "Auth.Purpose": "changepwd", "UserInfo.UserName": "021-62345678"})
	values := answered(t, p)
	verifier, problem := verified(t, c, in, values)
	b, _ := hex.DecodeString(values["NewSalt"])
	if want, _ := models.DeriveProofKeys(fresh, b, 10000); problem != "" || verifier != want.Verifier || values["NewPassword"] != fresh.Reveal() {
		t.Errorf("%q in %v", problem, values)
	}
	if _, err := c.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := last[*cwmp.Inform](t, p)
	if parameter(again, "RequestId") != parameter(in, "RequestId") || parameter(again, "ClientNonce") == parameter(in, "ClientNonce") {
		t.Errorf("%+v", again)
	}
	// Another session does not get to see what this one computed.
	if answer := run(t, c, p, c.asks("auth.newStoredKey", "ui.newPassword")).(*cwmp.GetParameterValuesResponse); answer.Parameters[0].Value+answer.Parameters[1].Value != "" {
		t.Errorf("%+v", answer)
	}
	p.ask = says(&c, "ui.status", "12")
	if _, err := c.Heartbeat(t.Context()); err != nil || c.Remembered() != "" {
		t.Error("the password is remembered after Status 12", err)
	}
}

// In a deployment with timestamp mode a new verifier has the salt of the number.
func TestChangePasswordWithRealm(t *testing.T) {
	var c *Client
	p := &platform{ask: challenges(&c, models.ToChangePassword, "862162345678", models.PC, "ui.status", "0")}
	c = setup(t, p, func(c *Config) { c.Iterations, c.Realm = 10_000, "i4.example.net" })
	if _, err := c.ChangePassword(t.Context(), secret, fresh); err != nil || answered(t, p)["NewSalt"] != "436de6c7398018a54a25929cf1cb5e3d" {
		t.Errorf("%v %v", answered(t, p), err)
	}
}

func TestChangePasswordFaults(t *testing.T) {
	for problem, faults := range map[string]Faults{
		"proof":      {WrongProof: true},
		"mac":        {WrongMAC: true},
		"format":     {Answers: map[string]string{"auth.newStoredKey": "00"}},
		"iterations": {WrongVerifier: func(v *NewVerifier, _ models.Verifier) { v.Iterations = 100 }},
		"old":        {WrongVerifier: func(v *NewVerifier, old models.Verifier) { v.Verifier = old }},
	} {
		var c *Client
		p := &platform{ask: challenges(&c, models.ToChangePassword, "862162345678", models.PC)}
		c = changing(t, p)
		c.SetFaults(faults)
		if _, err := c.ChangePassword(t.Context(), secret, fresh); err != nil || c.Remembered() != "" {
			t.Errorf("%s: %v", problem, err)
		}
		if _, got := verified(t, c, last[*cwmp.Inform](t, p), answered(t, p)); got != problem {
			t.Errorf("%s: %q", problem, got)
		}
	}
}

// A platform that claims success has to prove itself.
func TestChangePasswordNotBelieved(t *testing.T) {
	var c *Client
	p := &platform{ask: says(&c, "ui.status", "0", "ui.result", "1")}
	c = changing(t, p)
	out, err := c.ChangePassword(t.Context(), secret, fresh)
	if err != nil || out.Status != pending || c.Remembered() != "" || last[*cwmp.Fault](t, p).Code != requestDenied {
		t.Errorf("%+v %v", out, err)
	}
	p.ask = says(&c, "ui.status", "19", "ui.result", "2")
	if out, err := c.Retry(t.Context()); err != nil || out.Status != 19 {
		t.Errorf("a refusal is not believed: %+v %v", out, err)
	}
}

func TestLogoff(t *testing.T) {
	p := &platform{}
	c := setup(t, p, nil)
	if _, err := c.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Set("softClient.loginSessionId", nonce)
	off := map[string]string{"LoginSessionId": nonce, "OnlineStatus": "Offline", "LogoffReason": "UserExit", "UserName": "021-62345678"}
	for try, logoff := range []func() (Outcome, error){func() (Outcome, error) { return c.Logoff(t.Context(), "UserExit") },
		func() (Outcome, error) { return c.Retry(t.Context()) }} {
		if _, err := logoff(); err != nil {
			t.Fatal(err)
		}
		if in := expect(t, p, "X CT-COM LOGOFF", off); in.RetryCount != try {
			t.Errorf("%+v", in)
		}
	}
	if _, err := c.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if in := expect(t, p, "1 BOOT", map[string]string{"OnlineStatus": "Online"}); parameter(in, "LoginSessionId") == nonce {
		t.Error("the next login has the id of the last")
	}
	c.SetFaults(Faults{OtherLogin: true, CloseAfterInform: true})
	before := len(p.statuses)
	if _, err := c.Logoff(t.Context(), "SystemShutdown"); err != nil {
		t.Fatal(err)
	}
	if in := last[*cwmp.Inform](t, p); len(p.statuses) != before+1 || parameter(in, "LoginSessionId") == c.Get("softClient.loginSessionId") {
		t.Errorf("%+v, %d answers", in, len(p.statuses)-before)
	}
}

func TestMobileIdentity(t *testing.T) {
	if id := NewMobileIdentity(); id.ProductClass != "IMSMobile" || len(id.SerialNumber) != 32 {
		t.Errorf("%+v", id)
	}
	var c *Client
	p := &platform{}
	c = mobile(t, p, nil)
	c.Set("ui.imsi", "")
	if _, err := c.Boot(context.Background()); err != nil || strings.Contains(names(last[*cwmp.Inform](t, p)), "IMSI") {
		t.Error("a hidden IMSI is told", err)
	}
}

func names(in *cwmp.Inform) string {
	var list []string
	for _, v := range in.Parameters {
		list = append(list, v.Name)
	}
	return strings.Join(list, " ")
}

// After a change of the number by the platform the client proves the new one; it forgets the password that does not work any more.
func TestNewNumber(t *testing.T) {
	var c *Client
	p := &platform{ask: challenges(&c, models.ToRegister, "862162345678", models.PC, "line.enable", "Enabled", "ui.status", "0", "ui.result", "1")}
	c = setup(t, p, nil)
	if _, err := c.Register(t.Context(), secret); err != nil || c.Remembered() != secret {
		t.Fatal(err)
	}
	p.ask = says(&c, "ui.userName", "862162349999")
	if _, err := c.Heartbeat(t.Context()); err != nil || c.Remembered() != secret {
		t.Fatal(err)
	}
	p.ask = challenges(&c, models.ToRegister, "862162349999", models.PC, "ui.status", "0", "ui.result", "1")
	if out, err := c.Register(t.Context(), secret); err != nil || out.Status != 0 {
		t.Errorf("%+v %v", out, err)
	}
	expect(t, p, "X CT-COM REGISTER", map[string]string{"UserInfo.UserName": "862162349999"})
	p.ask = says(&c, "ui.status", "1", "ui.result", "2")
	if out, err := c.Register(t.Context(), secret); err != nil || out.Status != 1 || c.Remembered() != "" {
		t.Errorf("%+v %v", out, err)
	}
}
