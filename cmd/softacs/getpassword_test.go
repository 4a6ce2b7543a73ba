package main

import (
	"path/filepath"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// exec changes rows behind the platform's back, for states that no door leads to yet.
func (p *platform) exec(statement string, arguments ...any) {
	p.t.Helper()
	err := p.app.store.InTx(p.t.Context(), func(tx *store.Tx) error { return tx.DB.Exec(statement, arguments...).Error })
	if err != nil {
		p.t.Fatal(err)
	}
}

// waitForEvent waits until an event of the account is in the log so many times.
func (p *platform) waitForEvent(accountID, event string, times int) {
	p.t.Helper()
	storetest.Eventually(p.t, event+" is readable", func() bool { return count(p.eventsOf(accountID), event) >= times })
}

// askWith sends a GETPWD with exactly these parameters.
func (p *platform) askWith(client *sim.Client, parameters map[string]string) (sim.Outcome, error) {
	var list []cwmp.ParameterValue
	for name, value := range parameters {
		client.Set(name, value) // what the base set says
		path, ok := profile.Path(name)
		if !ok {
			p.t.Fatal("no path for", name)
		}
		list = append(list, cwmp.ParameterValue{Name: path, Type: "xsd:string", Value: value})
	}
	return client.Send(p.t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventGetPassword)}}, list)
}

const someRequestID = "00112233445566778899aabbccddeeff"

// Every row of the error table of i4.md B.1 while nobody may learn which numbers exist.
func TestGetPasswordErrors(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		for name, parameters := range map[string]map[string]string{
			"no number":         {"ui.requestId": someRequestID},
			"no such number":    {"ui.userName": "12", "ui.requestId": someRequestID},
			"no RequestId":      {"ui.userName": msisdn},
			"RequestId not hex": {"ui.userName": msisdn, "ui.requestId": "xx112233445566778899aabbccddeeff"},
			"MDN malformed":     {"ui.userName": msisdn, "ui.requestId": someRequestID, "ui.mdn": "1"},
			"not a PC":          {"ui.userName": msisdn, "ui.requestId": someRequestID, "softClient.clientType": "Mobile"},
		} {
			if o := p.want(40)(p.askWith(p.client(msisdn, nil), parameters)); o.Result != 2 || o.Desc == "" {
				t.Errorf("%s: %+v", name, o)
			}
		}

		client := p.client(msisdn, nil)
		first := p.want(0)(client.GetPassword(t.Context()))
		if first.Result != 1 || first.RetryAfter != 60 {
			t.Errorf("success: %+v", first)
		}
		p.password(mobile, 1)
		if again := p.want(0)(client.Retry(t.Context())); again != first {
			t.Errorf("the repeat is answered %+v, not %+v", again, first)
		}
		if o := p.want(10)(client.GetPassword(t.Context())); o.Result != 2 || o.RetryAfter < 1 || o.RetryAfter > 60 {
			t.Errorf("limited: %+v", o)
		}
		if n := len(p.messages(mobile)); n != 1 {
			t.Errorf("%d SMS", n)
		}
		p.waitForEvent(id, "SECURITY security.rate_limited", 1)

		// What stands in the way is not told: the answer is that of a success, and no SMS leaves.
		for name, refuse := range map[string]func() (msisdn, mobile, typed string){
			"unknown":   func() (string, string, string) { return "+862199999999", "", "" },
			"suspended": func() (string, string, string) { return p.inState("SUSPENDED") },
			"closed":    func() (string, string, string) { return p.inState("TERMINATED") },
			"not this service": func() (string, string, string) {
				_, n, m := p.provision(object{"clientTypes": []string{"MOBILE"}})
				return n, m, ""
			},
			"not yet active":    func() (string, string, string) { _, n, m := p.provision(object{"activate": false}); return n, m, "" },
			"no mobile":         func() (string, string, string) { _, n, _ := p.provision(object{"boundMobile": nil}); return n, "", "" },
			"another MDN typed": func() (string, string, string) { _, n, m := p.provision(nil); return n, m, "13900000000" },
		} {
			number, mobile, typed := refuse()
			o := p.want(0)(p.client(number, func(c *sim.Config) { c.MDN = typed }).GetPassword(t.Context()))
			if o != first {
				t.Errorf("%s: %+v differs from a success %+v", name, o, first)
			}
			if mobile != "" && len(p.messages(mobile)) != 0 {
				t.Errorf("%s: an SMS left", name)
			}
		}
	})
}

// inState provisions an account and puts it into a state that no mutation leads to yet.
func (p *platform) inState(state string) (msisdn, mobile, typed string) {
	_, msisdn, mobile = p.provision(nil)
	p.exec("UPDATE accounts SET state = ? WHERE msisdn = ?", state, msisdn[1:])
	return msisdn, mobile, ""
}

// With anti-enumeration off the client hears what it is.
func TestGetPasswordErrorsInTheOpen(t *testing.T) {
	open := func(c *Config) { c.I4.Auth.AntiEnumeration = false }
	eachPlatform(t, open, func(t *testing.T, p *platform) {
		ask := func(msisdn, mdn string) (sim.Outcome, error) {
			return p.client(msisdn, func(c *sim.Config) { c.MDN = mdn }).GetPassword(t.Context())
		}
		p.want(2)(ask("+862199999999", ""))
		suspended, _, _ := p.inState("SUSPENDED")
		p.want(33)(ask(suspended, ""))
		closed, _, _ := p.inState("TERMINATED")
		p.want(34)(ask(closed, ""))
		_, other, _ := p.provision(object{"clientTypes": []string{"MOBILE"}})
		p.want(17)(ask(other, ""))
		_, bare, _ := p.provision(object{"boundMobile": nil})
		p.want(21)(ask(bare, ""))
		_, wrong, _ := p.provision(nil)
		p.want(1)(ask(wrong, "13900000000"))
		_, msisdn, mobile := p.provision(nil)
		p.want(0)(ask(msisdn, mobile))
	})
}

// The SMS channel is down: everybody hears 22, whether the number exists or not.
func TestGetPasswordWithoutSMS(t *testing.T) {
	broken := func(c *Config) { c.SMS = models.Secret("file:" + filepath.Join(t.TempDir(), "missing", "sms.jsonl")) }
	eachPlatform(t, broken, func(t *testing.T, p *platform) {
		id, msisdn, _ := p.provision(nil)
		p.want(0)(p.client(msisdn, nil).GetPassword(t.Context()))
		storetest.Eventually(t, "the outage is noticed", func() bool { return !p.app.sms.Available() })
		_, other, _ := p.provision(nil)
		for _, number := range []string{other, "+862199999999"} {
			client := p.client(number, nil)
			if o := p.want(22)(client.GetPassword(t.Context())); o.Result != 2 || o.RetryAfter == 0 {
				t.Errorf("%+v", o)
			}
		}
		if n := count(p.eventsOf(id), "SMS_STATE_CHANGED sms.delivered DELIVERED"); n != 0 {
			t.Error("a message was delivered into nothing")
		}
	})
}

// An internal error is told as such and leaks nothing.
func TestGetPasswordInternalError(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, msisdn, _ := p.provision(nil)
		p.exec("ALTER TABLE password_requests RENAME TO password_requests_away")
		o := p.want(50)(p.client(msisdn, nil).GetPassword(t.Context()))
		if o.Result != 2 || o.Desc != "INTERNAL" {
			t.Errorf("%+v", o)
		}
		if n := p.audits("getPassword", models.AuditFailed, msisdn); n != 1 {
			t.Errorf("%d audit rows of the failure", n)
		}
	})
}
