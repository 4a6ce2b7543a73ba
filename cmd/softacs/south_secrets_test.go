package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
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

// record keeps the log of the process, down to DEBUG, until the test ends.
func record(t *testing.T) *recorder {
	log, before := &recorder{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

// planted is a platform with what must not come out of it.
type planted struct {
	*platform
	// secrets are shown to nobody but whom they were made for; personal data stands in the rows of its owner only. By name.
	secrets, personal map[string]string
	mu                sync.Mutex
}

func (p *planted) secret(name, value string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(value) >= 8 { // shorter ones are found everywhere
		p.secrets[name] = value
	}
	return value
}

func (p *planted) person(name, value string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.personal[name] = value
	return value
}

// overhear takes down every secret that a client and the platform tell each other.
func (p *planted) overhear(e sim.Exchange) error {
	var values []cwmp.ParameterValue
	for _, m := range []cwmp.Message{e.Sent, e.Got} {
		switch m := m.(type) {
		case *cwmp.Inform:
			values = append(values, m.Parameters...)
		case *cwmp.GetParameterValuesResponse:
			values = append(values, m.Parameters...)
		case *cwmp.SetParameterValues:
			values = append(values, m.Parameters...)
		}
	}
	for _, v := range values {
		if profile.IsSecret(v.Name) || profile.Name(v.Name) == "auth.serverProof" {
			p.secret(fmt.Sprintf("%s of exchange %d.%d", v.Name, e.Session, e.N), v.Value)
		}
	}
	return nil
}

// eavesdropper takes down what HTTP carries beside the messages.
type eavesdropper struct {
	*http.Transport
	p *planted
}

func (w eavesdropper) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, field := range strings.FieldsFunc(r.Header.Get("Authorization"), func(c rune) bool { return c == ' ' || c == ',' }) {
		if response, ok := strings.CutPrefix(field, `response="`); ok {
			w.p.secret("digest response "+response, strings.Trim(response, `"`))
		}
	}
	answer, err := w.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for _, cookie := range answer.Cookies() {
		w.p.secret("cookie "+cookie.Value, cookie.Value)
	}
	return answer, nil
}

// listen makes the platform hear of a client's secrets.
func (p *planted) listen(client *sim.Client) *sim.Client {
	p.observe(client, p.overhear)
	return client
}

func (p *planted) config(more func(*sim.Config)) func(*sim.Config) {
	return func(c *sim.Config) {
		c.HTTP = &http.Client{Transport: eavesdropper{new(http.Transport), p}}
		if more != nil {
			more(c)
		}
	}
}

// newAccount makes one whose every secret is planted.
func (p *planted) newAccount(n int, more object) (id, msisdn, mobile string) {
	input := object{
		"sipPassword":     p.secret(fmt.Sprint("SIP secret ", n), fmt.Sprintf("planted-sip-secret-%d", n)),
		"initialPassword": p.secret(fmt.Sprint("first password ", n), fmt.Sprintf("Planted-Kite-%d!", n)),
		"imsi":            p.secret(fmt.Sprint("IMSI ", n), fmt.Sprintf("4600012345098%02d", n)),
		"displayName":     p.person(fmt.Sprint("name ", n), fmt.Sprintf("Zhang Planted %d", n)), "broadbandAccount": p.person(fmt.Sprint("line ", n), fmt.Sprintf("ad-planted-%d", n)),
		"externalId": fmt.Sprint("planted", n), "idempotencyKey": fmt.Sprint("planted", n), "clientTypes": []string{"PC", "MOBILE"},
	}
	for key, value := range more {
		input[key] = value
	}
	id, msisdn, mobile = p.provision(input)
	p.person(fmt.Sprint("number ", n), msisdn[1:])
	p.person(fmt.Sprint("number as typed ", n), "0"+msisdn[3:])
	p.person(fmt.Sprint("mobile ", n), mobile[3:])
	return id, msisdn, mobile
}

func (p *planted) first(n int) models.Secret {
	return models.Secret(p.secrets[fmt.Sprint("first password ", n)])
}

// Whatever happens, well or not, no secret is in the log, the metrics, an answer or a text that rests in the database, and no personal data
// anywhere but in its owner's rows and before the eyes of those who may read it (design decisions 8 and 9).
func TestNothingSecretIsTold(t *testing.T) {
	log := record(t)
	eachPlatform(t, func(c *Config) {
		c.I4.Device.Conflict, c.I4.Mobile.Modes, c.I4.Auth.LegacyPlaintext = "replace", []string{"network", "sms", "mo-sms"}, "tls-only"
	}, func(t *testing.T, platform *platform) {
		p := &planted{platform: platform, secrets: map[string]string{}, personal: map[string]string{}}
		p.secret("token", p.token)
		p.secret("secret of the first API client", "a-secret-for-the-tests")
		for n, flow := range []func(*planted, int){pcFlow, tasksFlow, configTaskFlow, takeOverFlow, brokenFlow, mobileFlow, changeFlow, legacyFlow, careFlow, northFlow, webhookFlow, traceFlow, screenFlow} {
			flow(p, n)
		}
		if n := len(p.secrets); n < 40 {
			t.Errorf("only %d secrets were planted or overheard", n)
		}
		desk := p.desk()
		told := map[string]string{"the log": log.String(), "the metrics": p.scrape(), "what a desk sees": desk}
		for where, text := range told {
			p.tells(where, text, p.secrets, p.personal)
		}
		for place, text := range p.rows() {
			p.tells(place, text, p.secrets)
			if !ownersColumns[place] {
				p.tells(place, text, p.personal)
			}
		}
		if !strings.Contains(log.String(), "cwmp session") || !strings.Contains(log.String(), "client_nonces") || !strings.Contains(desk, "****") {
			t.Error("what is looked through is not there")
		}
	})
}

func (p *planted) tells(where, text string, lists ...map[string]string) {
	p.t.Helper()
	for _, list := range lists {
		for name, value := range list {
			if i := strings.Index(text, value); i >= 0 {
				p.t.Errorf("%s is in %s: …%s…", name, where, text[max(0, i-160):min(len(text), i+80)])
			}
		}
	}
}

// ownersColumns are where personal data belongs. What a device reported of its user is masked when it is shown.
var ownersColumns = map[string]bool{
	"accounts.msisdn": true, "accounts.live_msisdn": true, "accounts.impi": true, "accounts.impu": true, "accounts.display_name": true,
	"accounts.bound_mobile": true, "accounts.broadband_account": true, "account_impus.impu": true, "sms_messages.recipient": true,
	"mobile_identities.mdn": true, "asserted_numbers.mdn": true, "device_parameters.value": true, "tasks.result": true,
	"webhooks.url": true, // whoever may administer webhooks sees it
}

// rows are the texts of every column of every table.
func (p *planted) rows() map[string]string {
	p.t.Helper()
	told := map[string]string{}
	err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
		tables, err := tx.DB.Migrator().GetTables()
		if err != nil {
			return err
		}
		for _, table := range tables {
			if table == "goose_db_version" { // of the migrations
				continue
			}
			var rows []map[string]any
			if err := tx.DB.Table(table).Find(&rows).Error; err != nil {
				return err
			}
			for _, row := range rows {
				for column, value := range row {
					if text, ok := value.([]byte); ok {
						value = string(text)
					}
					told[table+"."+column] += fmt.Sprintln(value)
				}
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, place := range []string{"events.payload", "audit_entries.changes", "tasks.shown", "deeds.result", "configurations.desired", "password_requests.number_hash",
		"lockouts.subject", "client_nonces.nonce", "credentials.stored_key", "devices.http_credentials", "device_parameters.value", "deed_secrets.secret", "cwmp_messages.body",
		"cwmp_sessions.events"} {
		if told[place] == "" {
			p.t.Errorf("%s is empty, so it proves nothing", place)
		}
	}
	if e164 := regexp.MustCompile(`\+86\d{10,11}`).FindString(told["events.payload"] + told["audit_entries.changes"]); e164 != "" {
		p.t.Errorf("events and audit rows name %s", e164)
	}
	return told
}

// answers looks through an answer.
func (p *planted) answers(what string, answer *http.Response) {
	p.t.Helper()
	defer answer.Body.Close()
	var text bytes.Buffer
	if err := answer.Header.Write(&text); err != nil {
		p.t.Fatal(err)
	}
	if _, err := text.ReadFrom(answer.Body); err != nil {
		p.t.Fatal(err)
	}
	p.tells("the answer to "+what, text.String(), p.secrets, p.personal)
}

// desk is what somebody sees who may read everything but personal data and secrets.
func (p *planted) desk() string {
	p.t.Helper()
	role := p.mutate("saveRole", "role { id }", object{"name": "blind", "permissions": []string{"ACCOUNT_READ", "DEVICE_READ", "EVENT_READ", "TRACE_RUN"}, "regions": []string{}})
	made := p.mutate("saveApiClient", "apiClient { id }", object{"clientId": "blind", "roleIds": []string{role.text("role.id")}, "enabled": true, "allowedCidrs": []string{}})
	rotated := p.query(`mutation($input: TargetActionInput!) { rotateApiClientSecret(input: $input) { secret } }`,
		object{"input": object{"id": made.text("apiClient.id"), "idempotencyKey": "r"}})
	blind := *p.platform
	blind.token = p.accessToken("blind", p.secret("API client's secret", rotated.text("rotateApiClientSecret.secret")))
	p.secret("API client's token", blind.token)
	var seen strings.Builder
	for _, document := range []string{
		`{ accounts(first: 30) { nodes { id externalId state stateReason msisdn impi impu displayName region boundMobile imsi broadbandAccount screenSerial passwordState
			services { code parameters } suspensions { reason note } smsMessages { nodes { id to purpose state providerStatus } }
			bindings { nodes { id method boundBy { __typename ... on DeviceActor { deviceId } } } } } } }`,
		`{ devices(first: 30) { nodes { id serialNumber ipAddress configuration { failure } parameters(first: 100) { nodes { path value } }
			traceUntil sessions(first: 20) { nodes { events outcome remoteAddress messages { method body } } }
			tasks { nodes { request result fault { message parameterFaults { message } } } } events { nodes { payload accountExternalId causedBy { __typename } } } } } }`,
		`{ events(first: 1000) { nodes { type payload subjectId requestId accountExternalId subject { __typename id } } } }`,
	} {
		answer := blind.raw(document, nil)
		if strings.Contains(answer, `"errors"`) {
			p.t.Errorf("%s\n%s", document, answer)
		}
		seen.WriteString(answer)
	}
	return seen.String()
}
