package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

// eachSMPP runs f on both databases, each platform with an SMS centre of its own, once they are connected.
func eachSMPP(t *testing.T, centre smpptest.Config, f func(t *testing.T, p *platform, c *smpptest.Centre)) {
	t.Helper()
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := smpptest.Start(t, centre)
			p := startPlatform(t, labConfig(t, database(t), func(config *Config) { config.SMS = models.Secret(c.URL()) }))
			storetest.Eventually(t, "the SMS centre is connected", p.app.sms.Available)
			f(t, p, c)
		})
	}
}

// arrives waits for the nth SMS to a mobile.
func arrives(t *testing.T, c *smpptest.Centre, mobile string, nth int) (s smpptest.Submit) {
	t.Helper()
	storetest.Eventually(t, "an SMS is submitted", func() bool {
		n := 0
		for _, s = range c.Submits() {
			if "+"+s.Dest.Digits == mobile {
				n++
			}
			if n == nth {
				return true
			}
		}
		return false
	})
	return s
}

// deliver hands a deliver_sm to the platform and checks what it is answered with.
func deliver(t *testing.T, c *smpptest.Centre, m *smpp.SM, want smpp.Status) {
	t.Helper()
	if status, err := c.Deliver(m); err != nil || status != want {
		t.Errorf("answered %s, %v; want %s", status, err, want)
	}
}

// shortMessages are the states of an account's SMS with the provider's words, the newest first, as the north shows them.
func (p *platform) shortMessages(accountID string) (states []string) {
	p.t.Helper()
	data := p.query(`query($id: ID!) { account(ref: {id: $id}) { smsMessages { nodes { state providerStatus attempts } } } }`, object{"id": accountID})
	nodes, _ := data.at("account.smsMessages.nodes").([]any)
	for _, n := range nodes {
		m := object(n.(map[string]any))
		states = append(states, fmt.Sprintf("%s %s %v", m.text("state"), m.text("providerStatus"), m.at("attempts")))
	}
	return states
}

// becomes waits until the account's only SMS stands so.
func (p *platform) becomes(accountID, want string) {
	p.t.Helper()
	storetest.Eventually(p.t, "the SMS is "+want, func() bool {
		states := p.shortMessages(accountID)
		return len(states) == 1 && states[0] == want
	})
}

// story is what the log says of an account's SMS.
func (p *platform) story(accountID string) (codes []string) {
	for _, code := range p.eventsOf(accountID) {
		if s, ok := strings.CutPrefix(code, "SMS_STATE_CHANGED "); ok {
			codes = append(codes, s)
		}
	}
	return codes
}

func (p *platform) wantStory(accountID string, want ...string) {
	p.t.Helper()
	storetest.Eventually(p.t, "the log is sequenced", func() bool { return len(p.story(accountID)) >= len(want) })
	if got := p.story(accountID); strings.Join(got, ", ") != strings.Join(want, ", ") {
		p.t.Errorf("the log says %q, want %q", got, want)
	}
}

// bodies counts the messages whose text is still kept.
func (p *platform) bodies() (n int64) {
	p.t.Helper()
	err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
		return tx.DB.Model(&models.SmsMessage{}).Where("body IS NOT NULL").Count(&n).Error
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// i4.md B.1 from GETPWD to the receipt, and 6.1.2 with what the user read.
func TestSMSBySMPP(t *testing.T) {
	hex := func(n int) string { return fmt.Sprintf("%X", 0xABC0+n) }
	eachSMPP(t, smpptest.Config{ID: hex}, func(t *testing.T, p *platform, c *smpptest.Centre) {
		id, msisdn, mobile := p.provision(nil)
		client := p.client(msisdn, nil)
		p.want(0)(client.GetPassword(t.Context()))
		s := arrives(t, c, mobile, 1)
		if !strings.Contains(s.Text, "客户端登录密码") || s.Source.Digits != "10086" {
			t.Errorf("submitted %q from %+v", s.Text, s.Source)
		}
		p.want(0)(client.Register(t.Context(), models.Secret(code.FindString(s.Text))))
		p.becomes(id, "SUBMITTED  1")
		storetest.Eventually(t, "the text is wiped once the centre has it", func() bool { return p.bodies() == 0 })
		deliver(t, c, smpptest.Receipt(s, "0000043969", "DELIVRD"), smpp.OK) // 0xABC1, in its own notation
		p.becomes(id, "DELIVERED DELIVRD 1")
		deliver(t, c, smpptest.Receipt(s, "0000043969", "UNDELIV"), smpp.OK) // a duplicate that knows better
		deliver(t, c, smpptest.Receipt(s, "4711", "DELIVRD"), smpp.OK)       // nobody's
		p.becomes(id, "DELIVERED DELIVRD 1")
		p.wantStory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")

		text := p.scrape()
		for series, want := range map[string]float64{
			`softacs_sms_up`: 1, `softacs_sms_attempts_total{outcome="sent"}`: 1, `softacs_sms_ended_total{state="DELIVERED"}`: 1, `softacs_sms_ended_total{state="REJECTED"}`: 0,
			`softacs_sms_receipts_total{outcome="taken"}`: 1, `softacs_sms_receipts_total{outcome="duplicate"}`: 1, `softacs_sms_receipts_total{outcome="unknown"}`: 1,
			`softacs_sms_outbox{state="SUBMITTED"}`: 0, `softacs_sms_incoming_total{outcome="taken"}`: 0,
		} {
			if got := metric(t, text, series); got != want {
				t.Errorf("%s is %v, not %v", series, got, want)
			}
		}
	})
}

// The receipt is there before the answer that names its message.
func TestAReceiptFasterThanItsAnswer(t *testing.T) {
	eachSMPP(t, smpptest.Config{}, func(t *testing.T, p *platform, c *smpptest.Centre) {
		answers := make(chan (<-chan smpp.Status), 1)
		c.Change(func(config *smpptest.Config) {
			config.Submit = func(s smpptest.Submit) smpp.Status {
				answer, err := c.Send(smpp.PDU{Command: smpp.DeliverSM, SM: smpptest.Receipt(s, s.ID, "DELIVRD")})
				if err != nil {
					t.Error(err)
				}
				answers <- answer
				return smpp.OK
			}
		})
		id, msisdn, _ := p.provision(nil)
		p.want(0)(p.client(msisdn, nil).GetPassword(t.Context()))
		p.becomes(id, "DELIVERED DELIVRD 1")
		if status := <-<-answers; status != smpp.OK {
			t.Errorf("the receipt was answered %s", status)
		}
		p.wantStory(id, "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED")
	})
}

func TestAnOutageOfTheSMSCentre(t *testing.T) {
	eachSMPP(t, smpptest.Config{}, func(t *testing.T, p *platform, c *smpptest.Centre) {
		id, msisdn, mobile := p.provision(nil)
		c.Stop()
		storetest.Eventually(t, "the outage is noticed", func() bool { return !p.app.sms.Available() })
		client := p.client(msisdn, nil)
		for _, client := range []*sim.Client{client, p.client("+862199999999", nil)} {
			if o := p.want(22)(client.GetPassword(t.Context())); o.Result != 2 || o.RetryAfter == 0 {
				t.Errorf("%+v", o)
			}
		}
		if metric(t, p.scrape(), "softacs_sms_up") != 0 {
			t.Error("the metrics say that it is connected")
		}
		alarms := func() string {
			return p.raw(`{ events(filter: {types: [ALARM_RAISED, ALARM_CLEARED]}) { nodes { type payload } } }`, nil)
		}
		storetest.Eventually(t, "the alarm is raised", func() bool { return strings.Count(alarms(), "sms.unavailable") == 1 })
		c = smpptest.Start(t, smpptest.Config{Addr: c.Addr(), Receipts: true})
		storetest.Eventually(t, "the centre is connected again", p.app.sms.Available)
		storetest.Eventually(t, "the alarm is cleared", func() bool { return strings.Count(alarms(), "sms.unavailable") == 2 })
		p.want(0)(client.GetPassword(t.Context()))
		arrives(t, c, mobile, 1)
		p.becomes(id, "DELIVERED DELIVRD 1")
	})
}

// What the centre says to a submit_sm decides what becomes of the message, and none leaves twice.
func TestAnswersOfTheSMSCentre(t *testing.T) {
	eachSMPP(t, smpptest.Config{Receipts: true}, func(t *testing.T, p *platform, c *smpptest.Centre) {
		var first atomic.Bool
		for name, x := range map[string]struct {
			status  smpp.Status
			becomes string
			submits int
			story   []string
		}{
			"throttled once": {smpp.Throttled, "DELIVERED DELIVRD 2", 2, []string{"sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED"}},
			"full once":      {smpp.QueueFull, "DELIVERED DELIVRD 2", 2, []string{"sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.delivered DELIVERED"}},
			"rejected":       {0x0B, "REJECTED ESME_RINVDSTADR (0x0B) 1", 1, []string{"sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.failed REJECTED"}},
			"cut":            {smpptest.Hang, "UNDELIVERABLE unknown 1", 1, []string{"sms.queued QUEUED", "sms.submitted SUBMITTED", "sms.failed UNDELIVERABLE"}},
		} {
			first.Store(true)
			c.Change(func(config *smpptest.Config) {
				config.Submit = func(smpptest.Submit) smpp.Status {
					if first.CompareAndSwap(true, false) {
						return x.status
					}
					return smpp.OK
				}
			})
			storetest.Eventually(t, "the centre is connected", p.app.sms.Available)
			id, msisdn, mobile := p.provision(nil)
			p.want(0)(p.client(msisdn, nil).GetPassword(t.Context()))
			p.becomes(id, x.becomes)
			p.wantStory(id, x.story...)
			n := 0
			for _, s := range c.Submits() {
				if "+"+s.Dest.Digits == mobile {
					n++
				}
			}
			if n != x.submits {
				t.Errorf("%s: %d submit_sm", name, n)
			}
		}
		if n := p.bodies(); n != 0 {
			t.Errorf("%d texts are kept", n)
		}
	})
}

// The process is killed while one message waits for the answer of the centre and another for its receipt. The first is never sent again, the second
// gets its receipt in the next life.
func TestShortMessagesSurviveACrash(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			centre := smpptest.Start(t, smpptest.Config{})
			c := labConfig(t, database(t), func(c *Config) { c.SMS = models.Secret(centre.URL()) })
			v := newVictim(t, c)
			v.start()
			bound := func(times int) {
				storetest.Eventually(t, "the platform is connected", func() bool { binds, _, _, _ := centre.Counts(); return binds == times })
			}
			bound(1)
			ask := func(msisdn, mobile string) {
				b := v.api()
				v.do(b, "provisionAccount", object{"idempotencyKey": msisdn, "externalId": msisdn, "msisdn": msisdn, "boundMobile": mobile, "region": "pudong"})
				client, err := sim.New(sim.Config{URL: v.south, Identity: sim.NewIdentity(), Number: "0" + strings.TrimPrefix(msisdn, "+86")})
				if err != nil {
					t.Fatal(err)
				}
				if o, err := client.GetPassword(t.Context()); err != nil || o.Status != 0 {
					t.Fatalf("%+v, %v", o, err)
				}
			}
			ask("+862160001001", "+8613811110001")
			taken := arrives(t, centre, "+8613811110001", 1)
			s := openStore(t, c)
			message := func(mobile string) (m models.SmsMessage) {
				err := s.View(t.Context(), func(tx *store.Tx) error { return tx.DB.Where("recipient = ?", mobile[1:]).First(&m).Error })
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			storetest.Eventually(t, "the first message waits for its receipt", func() bool { return message("+8613811110001").Body == nil })
			centre.Change(func(config *smpptest.Config) {
				config.Submit = func(smpptest.Submit) smpp.Status { return smpptest.Silent }
			})
			ask("+862160001002", "+8613811110002")
			arrives(t, centre, "+8613811110002", 1)
			v.kill()
			if m := message("+8613811110002"); m.State != models.SmsSubmitted || m.Body == nil {
				t.Errorf("after the crash the second is %+v", m)
			}
			// A minute passes.
			err := s.InTx(t.Context(), func(tx *store.Tx) error {
				return tx.DB.Exec("UPDATE sms_messages SET submitted_at = submitted_at - 60000, next_at = next_at - 60000").Error
			})
			if err != nil {
				t.Fatal(err)
			}
			centre.Change(func(config *smpptest.Config) { config.Submit = nil })
			v.start()
			bound(2)
			storetest.Eventually(t, "the second is given up", func() bool { return message("+8613811110002").State == models.SmsUndeliverable })
			if m := message("+8613811110002"); m.ProviderStatus != "unknown" || m.Body != nil {
				t.Errorf("the second ended as %+v", m)
			}
			if m := message("+8613811110001"); m.State != models.SmsSubmitted {
				t.Errorf("the first is %+v", m)
			}
			deliver(t, centre, smpptest.Receipt(taken, taken.ID, "DELIVRD"), smpp.OK)
			if m := message("+8613811110001"); m.State != models.SmsDelivered {
				t.Errorf("the first ended as %+v", m)
			}
			v.terminate()
			if _, unbinds, _, _ := centre.Counts(); len(centre.Submits()) != 2 || unbinds != 1 {
				t.Errorf("%d submit_sm, %d unbind", len(centre.Submits()), unbinds)
			}
		})
	}
}

// openStore opens the platform's database beside it.
func openStore(t *testing.T, c Config) *store.Store {
	t.Helper()
	keys, err := loadKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: c.Database, Keys: keys}, models.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// The setting holds a password: neither the printed configuration nor an error shows it.
func TestTheSMSSettingIsASecret(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"--lab", "--print-config", "--sms", "smpp://id:hunter2@127.0.0.1?source=10086"}, {"--lab", "--sms", "smpp://id:hunter2@127.0.0.1:x?source=10086"},
		{"--lab", "--sms", "smpp://id:hunter2hunter2@127.0.0.1?source=10086"},
	} {
		if out, _ := process(t.Context(), t, append([]string{"serve"}, arguments...)...).CombinedOutput(); len(out) == 0 || strings.Contains(string(out), "hunter2") {
			t.Errorf("%v says %s", arguments[1:2], out)
		}
	}
	if _, err := loadConfig(writeFile(t, "c.yaml", "sms: [hunter2]"), nil, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a list: %v", err)
	}
	production := func(change func(*Config)) error {
		c := defaultConfig()
		c.IMS.Domain, c.SecretKeys, c.South.TLS.Cert, c.South.TLS.Key = "ims.example.net", "keys", "cert", "key"
		change(&c)
		return c.complete()
	}
	if err := production(func(c *Config) { c.SMS = "smpp://id:hunter2@smsc.example.net?source=10086&tls=true" }); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("信", 71)
	for want, change := range map[string]func(*Config){
		"sms: smpp://id:password@host:2775": func(c *Config) { c.SMS = "http://id:hunter2@x" },
		"sms: the form is":                  func(c *Config) { c.SMS = "smpp://id:hunter2@x:y" },
		"sms: source is missing":            func(c *Config) { c.SMS = "smpp://id:hunter2@x" },
		"i4.sms.window: 1 to 1000":          func(c *Config) { c.I4.SMS.Window = 0 },
		"i4.sms.tps: 0 (no limit) to 10000": func(c *Config) { c.I4.SMS.TPS = -1 },
		"i4.sms.template: filled in, the text has 79 UTF-16 units, and one SMS holds 70": func(c *Config) { c.I4.SMS.Template = strings.Repeat("信", 71) + "{otp}" },
		"i4.sms.codeTemplate: filled in":                                                 func(c *Config) { c.I4.SMS.CodeTemplate = long + "{code}" },
		"i4.sms.changedTemplate: filled in":                                              func(c *Config) { c.I4.SMS.ChangedTemplate = long },
	} {
		if err := production(change); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Mode mo-sms of 6.1.3: what the SMS centre says about the sender vouches for the client's number (i4.md B.3).
func TestAMobileVouchesForItselfBySMPP(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := smpptest.Start(t, smpptest.Config{})
			p := startPlatform(t, labConfig(t, database(t), func(config *Config) {
				allModes(config)
				config.SMS = models.Secret(c.URL())
			}))
			storetest.Eventually(t, "the SMS centre is connected", p.app.sms.Available)
			id, msisdn, mdn := p.provision(withMobile)
			client := p.phone(mdn, nil)
			p.want(23)(client.RegisterMO(t.Context(), someRequestID))
			say := func(from smpp.Address, nonce models.Secret, want smpp.Status) {
				t.Helper()
				deliver(t, c, &smpp.SM{Source: from, Dest: smpp.Address{NPI: 1, Digits: "10086"}, Message: "REG " + nonce}, want)
			}
			const another = "ffeeddccbbaa99887766554433221100"
			say(smpp.Address{TON: 1, NPI: 1, Digits: mdn[3:]}, another, smpp.OK) // a foreign number with the digits of ours
			p.want(23)(client.RegisterMO(t.Context(), another))
			say(smpp.Address{NPI: 1, Digits: mdn[3:]}, someRequestID, smpp.OK)
			p.want(0)(client.RegisterMO(t.Context(), someRequestID))
			p.served(client, id, msisdn, "NETWORK")
			p.exec("ALTER TABLE asserted_numbers RENAME TO asserted_numbers_away")
			say(smpp.Address{TON: 1, NPI: 1, Digits: mdn[1:]}, someRequestID, smpp.ReceiverTemporary)
			if text := p.scrape(); metric(t, text, `softacs_sms_incoming_total{outcome="failed"}`) != 1 {
				t.Error("the failure was not counted")
			}
		})
	}
}
