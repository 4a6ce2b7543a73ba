package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// recorder keeps every line of the log.
type recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(line)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Whatever happens on a journey, well or not, no secret and no whole number is in the log, in an event, in an audit row, or in any other text
// that rests in the database but the account's own row and the outbox (design decisions 8 and 9).
func TestNothingSecretIsTold(t *testing.T) {
	log := &recorder{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	eachPlatform(t, func(c *Config) { c.I4.Device.Conflict = "replace" }, func(t *testing.T, p *platform) {
		const (
			sipSecret, rotated, taskSecret = "planted-sip-secret", "planted-rotated-secret", "planted-task-secret"
			first                          = "Planted-Kite-42!"
			imsi                           = "460001234509876"
		)
		_, msisdn, mobile := p.provision(object{"sipPassword": sipSecret, "initialPassword": first, "imsi": imsi, "externalId": "planted", "idempotencyKey": "planted"})
		account := p.query(`query($n: PhoneNumber!) { account(ref: {msisdn: $n}) { id } }`, object{"n": msisdn}).text("account.id")
		client := p.client(msisdn, nil)
		secrets := map[string]string{
			"SIP secret": sipSecret, "rotated SIP secret": rotated, "secret of a task": taskSecret, "first password": first, "IMSI": imsi,
			"number": msisdn[1:], "number as typed": client.Get("ui.userName"), "mobile": mobile[1:], "mobile as typed": mobile[3:],
		}
		watch := func(e sim.Exchange) error {
			switch m := e.Sent.(type) {
			case *cwmp.GetParameterValuesResponse:
				for _, v := range m.Parameters {
					if profile.Name(v.Name) == "auth.proof" && v.Value != "" {
						secrets["proof"] = v.Value
					}
				}
			}
			if m, ok := e.Got.(*cwmp.SetParameterValues); ok {
				for _, v := range m.Parameters {
					if name := profile.Name(v.Name); name == "managementServer.password" || name == "auth.serverProof" {
						secrets[fmt.Sprintf("%s of %d", name, e.Session)] = v.Value
					}
				}
			}
			return nil
		}
		p.observe(client, watch)

		p.want(0)(client.GetPassword(t.Context()))
		password := p.password(mobile, 1)
		secrets["one-time password"] = password.Reveal()
		p.want(1)(client.Register(t.Context(), "Planted-Wrong-1!"))
		secrets["wrong password"] = "Planted-Wrong-1!"
		p.want(0)(client.Register(t.Context(), password))
		p.want(10)(client.GetPassword(t.Context()))
		p.done(client.Heartbeat(t.Context()))
		p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m", "account": object{"id": account}, "sipPassword": rotated, "boundMobile": mobile[:13] + "9"})
		secrets["new mobile"] = mobile[1:13] + "9"
		client.SetFaults(sim.Faults{Parameters: map[string]int{"line.sip.authPassword": 9007}})
		p.done(client.Heartbeat(t.Context()))
		client.SetFaults(sim.Faults{})
		device := p.deviceOf(client).text("id")
		for kind, more := range map[string]object{
			"SET_VALUES": {"values": []object{{"path": "Device.X_EXAMPLE.Password", "value": taskSecret}}},
			"GET_VALUES": {"paths": []string{"Device.ManagementServer."}},
		} {
			input := object{"idempotencyKey": kind, "device": object{"id": device}, "kind": kind}
			for k, v := range more {
				input[k] = v
			}
			p.mutate("createDeviceTask", "task { id }", input)
		}
		client.Set("Device.X_EXAMPLE.Password", "")
		p.done(client.Heartbeat(t.Context()))
		p.done(client.Inform(t.Context(), models.EventBootstrap, models.EventBoot, models.EventValueChange))
		p.want(0)(p.client(msisdn, nil).Register(t.Context(), first)) // it takes over
		p.want(12)(client.Heartbeat(t.Context()))
		p.observe(client, func(sim.Exchange) error { return errLost })
		if _, err := client.Register(t.Context(), first); !errors.Is(err, errLost) {
			t.Error(err)
		}
		p.observe(client, watch)
		p.exec("ALTER TABLE client_nonces RENAME TO client_nonces_away")
		p.want(50)(client.Register(t.Context(), first))
		p.exec("ALTER TABLE client_nonces_away RENAME TO client_nonces")
		p.want(0)(client.Register(t.Context(), first))

		told := map[string]string{"the log": log.String()}
		err := p.app.store.View(t.Context(), func(tx *store.Tx) error {
			for _, table := range []string{"events", "audit_entries", "tasks", "deeds", "bindings", "configurations", "password_requests", "lockouts", "client_nonces", "credentials", "devices", "device_parameters"} {
				var rows []map[string]any
				if err := tx.DB.Table(table).Find(&rows).Error; err != nil {
					return err
				}
				if len(rows) == 0 {
					t.Errorf("%s is empty, so it proves nothing", table)
				}
				var b strings.Builder
				for _, row := range rows {
					for column, value := range row {
						if text, ok := value.([]byte); ok {
							value = string(text)
						}
						fmt.Fprintf(&b, "%s=%v\n", column, value)
					}
				}
				told[table] = b.String()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range secrets {
			if len(secret) < 8 {
				t.Errorf("%s: %q is too short to be looked for", name, secret)
			}
			for where, text := range told {
				if where == "device_parameters" && strings.HasPrefix(name, "number") {
					continue // what a client reports of its account, as UI.UserName, is there to be shown
				}
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%s is in %s: …%s…", name, where, text[max(0, i-120):min(len(text), i+80)])
				}
			}
		}
		if !strings.Contains(told["the log"], "cwmp session") || !strings.Contains(told["the log"], "client_nonces") {
			t.Error("the log was not recorded")
		}
		if e164 := regexp.MustCompile(`\+86\d{10,11}`).FindString(told["events"] + told["audit_entries"]); e164 != "" {
			t.Errorf("events and audit rows name %s", e164)
		}
	})
}
