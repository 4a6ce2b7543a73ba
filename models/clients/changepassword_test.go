package clients_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/store"
)

func TestChangePassword(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		before, management := len(h.log(a, 0)), c.held["managementServer.password"]
		x := c.change(password, chosen)
		if o := x.run(); o != (models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}) {
			t.Errorf("%+v", o)
		}
		if c.held["auth.serverProof"] != c.held["expected"] {
			t.Error("the platform did not prove itself by the old password")
		}
		if c.held["managementServer.password"] == management || c.held["managementServer.username"] != string(c.key()) {
			t.Error("no new management credentials")
		}
		if len(x.asked) != 3 || x.asked[2].Version != 0 || !slices.Contains(x.asked[1].Names, "auth.newVerifierMac") || slices.Contains(x.asked[1].Names, "ui.newPassword") {
			t.Errorf("asked %+v", x.asked)
		}
		equal(h, "events", h.log(a, before), []string{"password.changed SET", "sms.queued QUEUED"})
		equal(h, "audit", h.audited(), []string{"SUCCESS "})
		if to := h.sent(); !slices.Equal(to, []models.Number{mobile}) {
			t.Errorf("notices went to %v", to)
		}
		if o := c.register(); o.Result != models.ResultAuthFailed {
			t.Errorf("the old password: %+v", o)
		}
		c.change(chosen, password).want(models.ResultOK)
		if o := c.register(); o.Result != models.ResultOK {
			t.Errorf("after the change back: %+v", o)
		}
	})
}

// Without a mobile to tell there is nobody to tell.
func TestChangePasswordWithoutMobile(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		h.exec("UPDATE accounts SET bound_mobile = '' WHERE id = ?", a.ID)
		h.registered(a).change(password, chosen).want(models.ResultOK)
		if to := h.sent(); len(to) != 0 {
			t.Errorf("notices went to %v", to)
		}
	})
}

// The final answer was lost: the same RequestId is answered again, and nothing is done twice.
func TestChangePasswordAgain(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		x := c.change(password, chosen)
		x.want(models.ResultOK)
		before, first := len(h.log(a, 0)), c.held["managementServer.password"]

		y := x.again()
		y.want(models.ResultOK)
		if c.held["auth.serverProof"] != c.held["expected"] {
			t.Error("the platform did not prove itself")
		}
		if c.held["managementServer.password"] == first {
			t.Error("no fresh management credentials")
		}
		equal(h, "events of the repeat", h.log(a, before), nil)
		equal(h, "audit", h.audited(), []string{"SUCCESS "})
		if n := len(h.sent()); n != 1 {
			t.Errorf("%d SMS", n)
		}
		y = x.again()
		y.old = chosen
		y.want(models.ResultAuthFailed)
		equal(h, "events of a wrong repeat", h.log(a, before), []string{"security.auth_failed <nil>"})

		h.clock.Advance(10 * time.Minute)
		second := c.held["managementServer.password"]
		y = x.again()
		if o := y.run(); o != (models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}) || len(y.asked) != 1 || len(y.asked[0].Values) != 0 {
			t.Errorf("after the grace time: %+v, asked %+v", o, y.asked)
		}
		if c.held["managementServer.password"] != second {
			t.Error("credentials were given without a proof")
		}
		h.clock.Advance(24 * time.Hour)
		y = x.again()
		y.old, y.fresh = chosen, password
		y.want(models.ResultOK)
		if n := len(h.sent()); n != 2 {
			t.Errorf("%d SMS after a day", n)
		}
	})
}

// Two sessions of one device bring the same RequestId at the same time.
func TestChangePasswordTwiceAtOnce(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		x := c.change(password, chosen)
		y := x.again()
		before := len(h.log(a, 0))
		y.client = &client{house: h, serial: c.serial, number: c.number, held: map[string]string{}}
		v := c.arrive(h.Context(), y.in, models.L1)
		var last models.Outcome
		y.step(v, &last) // it has its challenge when the other one changes the password
		x.want(models.ResultOK)
		if o := y.finish(v); o.Result != models.ResultOK || y.held["auth.serverProof"] != y.held["expected"] {
			t.Errorf("the second: %+v", o)
		}
		equal(h, "events", h.log(a, before), []string{"password.changed SET", "sms.queued QUEUED"})
	})
}

// What is refused is refused in the order of i4.md B.5, and the north hears of it.
func TestChangePasswordRefusals(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		for name, bad := range map[string]string{
			"ui.userName": "12", "ui.requestId": "short", "auth.mode": "timestamp", "auth.algorithm": "MD5", "auth.purpose": "register", "auth.clientNonce": "x",
		} {
			x := c.change(password, chosen)
			x.in.Values[name] = models.Value{Name: name, Value: bad}
			if o := x.run(); o.Result != models.ResultMalformed || o.Detail != name || o.Delivery != models.DeliveryFailed {
				t.Errorf("%s: %+v", name, o)
			}
		}
		try := func(what string, status models.Result, event string, x *change) models.Outcome {
			h.Helper()
			before := len(h.log(a, 0))
			o := x.run()
			if o.Result != status || o.Delivery != models.DeliveryFailed {
				t.Errorf("%s: %+v", what, o)
			}
			equal(h, what, h.log(a, before), []string{event + " <nil>"})
			return o
		}
		with := func(edit func(x *change)) *change {
			x := c.change(password, chosen)
			edit(x)
			return x
		}
		spoiled := func(name, value string) *change {
			return with(func(x *change) { x.spoil = func(answer map[string]string) { answer[name] = value } })
		}
		try("another number", models.ResultAuthFailed, "security.foreign_number", with(func(x *change) {
			x.in.Values["ui.userName"] = models.Value{Name: "ui.userName", Value: "+862188888888"}
		}))
		if o := try("a wrong password", models.ResultAuthFailed, "security.auth_failed", c.change("wrong", chosen)); o.Times != 1 || o.Limit != 5 {
			t.Errorf("%+v", o)
		}
		challenged := "security.challenge_invalid"
		try("another nonce", models.ResultChallengeInvalid, challenged, spoiled("auth.clientNonce", h.hex32()))
		try("no proof at all", models.ResultChallengeInvalid, challenged, spoiled("auth.proof", ""))
		try("no time", models.ResultMalformed, "security.malformed", spoiled("auth.timestamp", ""))
		for _, method := range []models.Method{models.SetParameterValues, models.GetParameterValues} {
			try(string(method)+" refused", models.ResultChallengeInvalid, challenged, with(func(x *change) {
				x.reply = func(r *models.Request) *models.Reply {
					if r.Method == method {
						return &models.Reply{Fault: &models.Fault{Code: 9000}}
					}
					return nil
				}
			}))
		}
		try("too late", models.ResultChallengeInvalid, challenged, with(func(x *change) {
			x.spoil = func(map[string]string) { h.clock.Advance(61 * time.Second) }
		}))
		used := c.change("wrong", chosen)
		try("a first use", models.ResultAuthFailed, "security.auth_failed", used)
		try("a used nonce", models.ResultChallengeInvalid, challenged, &change{client: c, in: used.in, old: password, fresh: chosen, purpose: used.purpose})

		rejected := spoiled("auth.newVerifierMac", strings.Repeat("0", 64))
		try("a wrong MAC", models.ResultPasswordRejected, "security.password_rejected", rejected)
		before := len(h.log(a, 0))
		again := rejected.again()
		if o := again.run(); o.Result != models.ResultPasswordRejected || len(again.asked) != 1 {
			t.Errorf("the repeat of a refusal: %+v", o)
		}
		equal(h, "events of the repeat", h.log(a, before), nil)
		for _, x := range []*change{
			spoiled("auth.newIterations", "9999"), spoiled("auth.newSalt", "00"), spoiled("auth.newStoredKey", ""), spoiled("auth.newIterations", "many"),
		} {
			try("malformed verifier", models.ResultPasswordRejected, "security.password_rejected", x)
		}
		if o := try("the sixth of the day", models.ResultRateLimited, "security.rate_limited", c.change(password, chosen)); o.RetryAfter <= 0 || o.RetryAfter > 86_400 {
			t.Errorf("%+v", o)
		}
		h.clock.Advance(24 * time.Hour)
		try("before the lock", models.ResultAuthFailed, "security.auth_failed", c.change("wrong", chosen))
		for range 3 {
			c.change("wrong", chosen).want(models.ResultAuthFailed)
		}
		if o := try("the lock", models.ResultLocked, "security.locked", c.change("wrong", chosen)); o.RetryAfter != 900 || o.Times != 5 {
			t.Errorf("%+v", o)
		}
		if o := try("locked", models.ResultLocked, "security.locked", c.change(password, chosen)); o.RetryAfter != 900 {
			t.Errorf("%+v", o)
		}
		equal(h, "audit", h.audited(), nil)
		if c.row().AccountID != a.ID || len(h.sent()) != 0 {
			t.Error("a refusal changed something")
		}
	})
}

// A client that is not ready with its proof is asked once more (resolutions 50).
func TestChangePasswordNotReady(t *testing.T) {
	each(t, nil, func(h *house) {
		x := h.registered(h.provision()).change(password, chosen)
		asked := 0
		x.spoil = func(answer map[string]string) {
			if asked++; asked == 1 {
				answer["auth.proof"] = ""
			}
		}
		x.want(models.ResultOK)
	})
}

// The binding ended, or another proof became due, between challenge and proof.
func TestChangePasswordOfWhoIsNotAllowedAnyMore(t *testing.T) {
	each(t, nil, func(h *house) {
		for what, statement := range map[string]string{
			"unbound": "UPDATE devices SET account_id = NULL WHERE id = ?", "logged out": "UPDATE devices SET reauth_required = 1 WHERE id = ?",
		} {
			c := h.registered(h.provision())
			x := c.change(password, chosen)
			x.spoil = func(map[string]string) { h.exec(statement, c.row().ID) }
			if o := x.run(); o.Result != models.ResultReauthRequired {
				t.Errorf("%s: %+v", what, o)
			}
			if o := c.change(password, chosen).run(); o.Result != models.ResultReauthRequired {
				t.Errorf("%s, the next session: %+v", what, o)
			}
		}
		a := h.provision()
		c := h.registered(a)
		h.exec("UPDATE accounts SET state = 'TERMINATED' WHERE id = ?", a.ID)
		c.change(password, chosen).want(models.ResultClosed)

		a = h.provision()
		c = h.registered(a)
		h.exec("UPDATE devices SET client_type = 'MOBILE' WHERE id = ?", c.row().ID)
		if o := c.change(password, chosen).run(); o.Result != models.ResultMalformed || o.Detail != "softClient.clientType" {
			t.Errorf("not a PC: %+v", o)
		}
	})
}

// A one-time password may be changed by the device and in the binding that it made, for a day; what Status 15 withheld then becomes due.
func TestChangeAnInitialPassword(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		prepared, err := h.Passwords.PrepareReset(h.Context(), a.Msisdn, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		h.issueReset(a, prepared)
		initial := prepared.Code
		c.change(initial, chosen).want(models.ResultAuthFailed) // not used yet
		if o := c.registerWith(initial); o.Result != models.ResultOK {
			t.Fatalf("%+v", o)
		}
		h.exec("UPDATE devices SET must_change_password = 1 WHERE id = ?", c.row().ID)
		x := c.change(initial, chosen)
		x.want(models.ResultOK)
		if d := c.row(); d.MustChangePassword || d.WorkAt.IsZero() {
			t.Errorf("after the change: must change %v, work at %v", d.MustChangePassword, d.WorkAt)
		}
		c.change(initial, "Sea-Kite-44!").want(models.ResultAuthFailed)
		c.change(chosen, "Sea-Kite-44!").want(models.ResultOK)
	})
}

// The client does not believe the platform, or does not know one of its leaves: the change stays, and so do the older credentials.
func TestChangePasswordAnswerRefused(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		refuse := func(fault models.Fault, times int) *change {
			x := c.change(password, chosen)
			x.reply = func(r *models.Request) *models.Reply {
				if r.Outcome == nil || r.Outcome.Result != models.ResultOK || times == 0 {
					return nil
				}
				times--
				return &models.Reply{Fault: &fault}
			}
			return x
		}
		unknown := models.Fault{Code: 9003, Parameters: []models.ParameterFault{{Name: "ui.resultDesc", Code: 9005}}}
		x := refuse(unknown, 1)
		x.want(models.ResultOK)
		if last := x.asked[len(x.asked)-1]; !slices.Equal(last.Without, []string{"ui.resultDesc"}) || c.held["auth.serverProof"] != c.held["expected"] {
			t.Errorf("asked again %+v", last)
		}
		x.again().want(models.ResultOK)
		c.change(chosen, password).want(models.ResultOK)

		x = refuse(models.Fault{Code: 9001}, 1)
		before := len(h.log(a, 0))
		x.want(models.ResultOK)
		equal(h, "events", h.log(a, before), []string{"password.changed SET", "sms.queued QUEUED"})
		var events []models.Event
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Where("type = ? AND device_id = ?", models.Security, c.row().ID).Find(&events).Error
		})
		if err != nil || len(events) != 1 || events[0].Payload.V["code"] != "security.server_proof_rejected" {
			t.Errorf("%+v, %v", events, err)
		}
		x.again().want(models.ResultOK)
		c.change(chosen, password).want(models.ResultOK)

		x = refuse(models.Fault{Code: 9002}, 1)
		x.want(models.ResultOK)
		if len(x.asked) != 3 {
			t.Errorf("asked %d times", len(x.asked))
		}
	})
}

// With i4.changepwd.transport=tls-plaintext the platform sees the new password and judges it.
func TestChangePasswordInPlainText(t *testing.T) {
	each(t, func(c *clients.Config) { c.PlaintextChange = true }, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		for what, weak := range map[string]models.Secret{
			"short": "Re-43!", "two classes": "redkite43", "the number": models.Secret(a.Msisdn), "the old one": password, "none": "",
		} {
			if o := c.change(password, weak).run(); o.Result != models.ResultPasswordRejected {
				t.Errorf("%s: %+v", what, o)
			}
		}
		h.clock.Advance(24 * time.Hour)
		c.change("wrong", chosen).want(models.ResultAuthFailed)
		x := c.change(password, chosen)
		x.want(models.ResultOK)
		if slices.Contains(x.asked[1].Names, "auth.newStoredKey") || !slices.Contains(x.asked[1].Names, "ui.newPassword") {
			t.Errorf("asked for %v", x.asked[1].Names)
		}
		x.again().want(models.ResultOK)
		c.change(chosen, "Sea-Kite-44!").want(models.ResultOK)
	})
}
