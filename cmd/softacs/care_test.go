package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// A care desk resets a password: the code in the SMS logs any device in once, and becomes the password that the user chooses.
func TestResetAccountPassword(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		p.want(0)(client.Register(t.Context(), longTerm))
		reset := p.mutate("resetAccountPassword", "account { passwordState reauthRequired } sms { purpose }",
			object{"idempotencyKey": "1" + id, "account": object{"id": id}})
		if reset.text("account.passwordState") != "ONE_TIME" || reset.at("account.reauthRequired") != true || reset.text("sms.purpose") != "PASSWORD_RESET" {
			t.Errorf("%v", reset)
		}
		code := p.resetCode(mobile, 1)

		// Nothing but Status 12 until the client has proved the code; the old password is gone.
		p.turn(id, "1", "VIDEO", true)
		if o, got := p.heartbeat(client); o.Status != 12 || o.Result != 2 || len(got) != 1 || client.Get("video.enable") == "1" {
			t.Errorf("%+v, %q", o, got)
		}
		p.want(1)(client.Register(t.Context(), longTerm))
		p.want(12)(client.Heartbeat(t.Context()))
		p.want(0)(client.Register(t.Context(), code))
		if client.Get("video.enable") != "1" || p.account(id).at("reauthRequired") != false {
			t.Error("the client is not served again")
		}
		p.silent(client)
		p.want(1)(p.client(msisdn, nil).Register(t.Context(), code)) // its one use is over
		p.want(0)(client.ChangePassword(t.Context(), code, "Green-Kite-43!"))
		p.want(0)(client.Register(t.Context(), "Green-Kite-43!"))
		p.waitForEvent(id, "PASSWORD_CHANGED client.reauth_required ONE_TIME", 1)

		// The next code takes the place of the first device.
		p.mutate("resetAccountPassword", "account { id }", object{"idempotencyKey": "2" + id, "account": object{"id": id}, "reauthenticate": false})
		p.silent(client)
		p.want(0)(p.client(msisdn, nil).Register(t.Context(), p.resetCode(mobile, 2)))
		p.want(12)(client.Heartbeat(t.Context()))
	})
}

// resetCode waits for the nth reset code of a mobile.
func (p *platform) resetCode(mobile string, nth int) models.Secret {
	p.t.Helper()
	var texts []string
	storetest.Eventually(p.t, "the code arrives", func() bool {
		texts = nil
		for _, m := range p.messages(mobile) {
			if m.Purpose == "PASSWORD_RESET" {
				texts = append(texts, m.Text)
			}
		}
		return len(texts) >= nth
	})
	return models.Secret(code.FindString(texts[nth-1]))
}

// account reads what a care desk sees.
func (p *platform) account(id string) object {
	p.t.Helper()
	a, _ := p.query(`query($id: ID!) { account(ref: {id: $id}) { state passwordState lockedUntil reauthRequired } }`, object{"id": id})["account"].(map[string]any)
	return a
}

func TestResetLimit(t *testing.T) {
	eachPlatform(t, func(c *Config) { c.I4.Reset.Day = 2 }, func(t *testing.T, p *platform) {
		id, _, mobile := p.provision(nil)
		const reset = `mutation($i: ResetAccountPasswordInput!) { resetAccountPassword(input: $i) { sms { id } userErrors { code field retryAfterSeconds } } }`
		for n := 1; n <= 3; n++ {
			got := p.query(reset, object{"i": object{"idempotencyKey": fmt.Sprint(n), "account": object{"id": id}}})
			if code := got.text("resetAccountPassword.userErrors.0.code"); n <= 2 && code != "" || n == 3 && code != "LIMIT_BY_POLICY" {
				t.Errorf("reset %d: %v", n, got)
			}
		}
		p.resetCode(mobile, 2)
		if n := len(p.messages(mobile)); n != 2 {
			t.Errorf("%d SMS", n)
		}
	})
}

func TestUnlockAccount(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		for range 4 {
			p.want(1)(client.Register(t.Context(), "wrong"))
		}
		p.want(11)(client.Register(t.Context(), "wrong"))
		p.refusal(11, client)
		p.act("unlockAccount", id, "", nil)
		p.waitForEvent(id, "PASSWORD_CHANGED password.unlocked SET", 1)
		p.want(0)(client.Register(t.Context(), longTerm))
	})
}

func TestEndLogins(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		p.want(0)(client.Register(t.Context(), longTerm))
		if got := p.act("endLogins", id, "", nil); got.at("account.reauthRequired") != true {
			t.Errorf("%v", got)
		}
		device := p.deviceOf(client).text("id")
		task := p.mutate("createDeviceTask", "task { id }", object{"idempotencyKey": "t" + id, "device": object{"id": device}, "kind": "GET_VALUES",
			"paths": []string{"Device.DeviceInfo.SoftwareVersion"}}).text("task.id")
		state := func() string {
			return p.query(`query($id: ID!) { node(id: $id) { ... on DeviceTask { state } } }`, object{"id": task}).text("node.state")
		}
		for _, events := range [][]models.EventName{{models.EventPeriodic}, {models.EventBoot, models.EventPeriodic}, {models.EventValueChange}} {
			o, got := p.brings(client, func() (sim.Outcome, error) { return client.Inform(t.Context(), events...) })
			if o.Status != 12 || len(got) != 1 || state() != "PENDING" {
				t.Errorf("%s: %+v, %q, the task is %s", events, o, got, state())
			}
		}
		if login := p.loginEnd(client); login != "Kicked" {
			t.Errorf("the login ended because of %q", login)
		}
		p.want(0)(client.Register(t.Context(), longTerm))
		if state() != "SUCCEEDED" { // in the same session, behind the configuration
			p.done(client.Heartbeat(t.Context()))
		}
		if state() != "SUCCEEDED" || p.loginEnd(client) != "" {
			t.Errorf("after the REGISTER the task is %s, the login ended because of %q", state(), p.loginEnd(client))
		}
		p.silent(client)
		p.waitForEvent(id, "PASSWORD_CHANGED client.reauth_required SET", 1)
		if codes := p.eventsOf(id); slices.Contains(codes, "DEVICE_REACHABILITY_CHANGED client.offline OFFLINE") {
			t.Errorf("the device went offline: %q", codes)
		}
	})
}

// loginEnd is why the client's current login ended; empty while it lasts.
func (p *platform) loginEnd(client *sim.Client) (reason string) {
	p.t.Helper()
	err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
		return tx.DB.Model(&models.Device{}).Where("device_key = ?", client.Key()).Pluck("logout_reason", &reason).Error
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return reason
}
