package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/softacs/softacs/docs/events/eventstest"
	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configtasks"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/desk"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/models/tasks"
	"github.com/softacs/softacs/models/traces"
	"github.com/softacs/softacs/models/webhooks"
	outbound "github.com/softacs/softacs/outbound/webhooks"
)

const (
	adminPassword = "example-Admin-password-1"
	clientSecret  = "example-client-secret-1"
)

// house is the whole north door on an empty database.
type house struct {
	*testing.T
	store   *store.Store
	clock   *storetest.Clock
	log     *events.Log
	config  graph.Config
	handler http.Handler
	bss     string // access token with all permissions
	keys    int
}

// onBoth runs f on both engines, outside lab mode.
func onBoth(t *testing.T, f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { f(newHouse(t, s, clock, false)) })
}

// onSQLite is for what the store has no part in.
func onSQLite(t *testing.T, lab bool) *house {
	t.Parallel()
	clock := storetest.NewClock()
	return newHouse(t, storetest.Open(t, storetest.SQLite(t), clock), clock, lab)
}

func newHouse(t *testing.T, s *store.Store, clock *storetest.Clock, lab bool) *house {
	t.Helper()
	quick := passwords.Defaults()
	quick.Iterations = 10_000
	keeper := passwords.New(s, clock, quick)
	people := operators.New(s, clock, operators.Config{Memory: 64, Passes: 1})
	keepers, err := packages.New(s, clock, packages.Config{Dir: t.TempDir(), MaxBytes: 1 << 20, Origin: func() string { return "https://acs.example.net" }})
	if err != nil {
		t.Fatal(err)
	}
	work := tasks.New(s, clock, tasks.Config{Packages: keepers})
	settings := profile()
	settings.Tasks = work
	configured, err := configuration.New(s, settings)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, store: s, clock: clock, log: events.New(s, clock)}
	room := devices.New(s, clock, devices.Config{})
	h.config = graph.Config{
		Accounts:      accounts.New(s, keeper, configured, accounts.Config{Domain: "ims.example.net", Secret: accounts.GenerateSecret}),
		Bindings:      bindings.New(s, configured),
		Configuration: configured,
		ConfigTasks:   configtasks.New(s, clock, room, work, configured),
		Devices:       room,
		Desk: desk.New(s, clock, room, h.log, desk.Config{
			Plan: models.NumberPlan{Country: "86", Area: "21"}, MinVersion: map[models.ClientType]string{models.PC: "1.5"},
		}),
		Diagnostics: diagnostics.New(s, clock, diagnostics.Config{Targets: diagnostics.Targets{All: true}, PerHour: 6}),
		Operators:   people,
		Passwords:   keeper,
		Packages:    keepers,
		Sms:         sms.New(s, clock, nil),
		Statistics:  statistics.New(s, clock, statistics.Config{}),
		Traces:      traces.New(s),
		Tasks:       work,
		Webhooks:    webhooks.New(s, clock, h.log, people, outbound.New(outbound.Config{Lab: lab}), webhooks.Config{Lab: lab}),
		Events:      h.log,
		Clock:       clock,
		TokenSeeds:  [][32]byte{{1}, {2}},
		Lab:         lab,
	}
	if h.handler, err = graph.New(h.config); err != nil {
		t.Fatal(err)
	}
	_, err = people.Bootstrap(t.Context(), operators.Bootstrap{AdminPassword: adminPassword, APIClientID: "bss", APIClientSecret: clientSecret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventstest.Check(context.WithoutCancel(t.Context()), t, s, true) })
	h.bss = h.token("bss", clientSecret)
	return h
}

func profile() configuration.Config {
	var catalogue configuration.Catalogue
	for _, name := range []string{
		configuration.PeriodicInformEnable, configuration.PeriodicInformInterval, configuration.PeriodicInformTime, configuration.DirectoryNumber,
		configuration.AuthUserName, configuration.AuthPassword, configuration.PublicURI, configuration.LineEnable,
	} {
		catalogue.Parameters = append(catalogue.Parameters, configuration.Parameter{Name: name, Type: "xsd:string", Writable: true})
	}
	catalogue.Parameters = append(catalogue.Parameters, configuration.Parameter{
		Name: "video.maxBitrate", Type: "xsd:unsignedInt", Writable: true, Optional: true, Service: configuration.Video, Leaf: "MaxBitrate",
	})
	return configuration.Config{
		Catalogue: catalogue,
		Services:  map[string]configuration.Switch{configuration.Voice: {On: map[string]string{configuration.LineEnable: "Enabled"}}},
		Path:      func(name string) string { return "Device." + name },
		Check:     func(string, string) error { return nil },
	}
}

// token asks the token endpoint.
func (h *house) token(id, secret string) string {
	h.Helper()
	a := h.oauth("grant_type=client_credentials", id, secret)
	token, _ := a.body["access_token"].(string)
	if a.status != http.StatusOK || token == "" {
		h.Fatalf("token of %s: %d %s", id, a.status, a.text)
	}
	return token
}

func (h *house) oauth(form, id, secret string) answer {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), http.MethodPost, "/oauth/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return h.serve(r)
}

// client makes an API client with the permissions in the regions, none meaning everywhere, and returns its token.
func (h *house) client(name string, regions []string, permissions ...models.Permission) string {
	h.Helper()
	return h.with(name, h.role(name, regions, permissions...))
}

// role makes a role and returns its id.
func (h *house) role(name string, regions []string, permissions ...models.Permission) any {
	h.Helper()
	return h.must(h.bss, `mutation($i: SaveRoleInput!) { saveRole(input: $i) { role { id } userErrors { code message } } }`,
		map[string]any{"i": map[string]any{"name": name, "permissions": permissions, "regions": append([]string{}, regions...)}}).at("saveRole.role.id")
}

// with makes an API client with the roles and returns its token.
func (h *house) with(name string, roles ...any) string {
	h.Helper()
	client := h.must(h.bss, `mutation($i: SaveApiClientInput!) { saveApiClient(input: $i) { apiClient { id } userErrors { code message } } }`,
		map[string]any{"i": map[string]any{"clientId": name, "roleIds": roles}}).at("saveApiClient.apiClient.id")
	secret := h.must(h.bss, `mutation($i: TargetActionInput!) { rotateApiClientSecret(input: $i) { secret userErrors { code message } } }`,
		map[string]any{"i": map[string]any{"id": client, "idempotencyKey": name}}).at("rotateApiClientSecret.secret")
	return h.token(name, secret.(string))
}

// answer is an HTTP answer and its JSON.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (h *house) serve(r *http.Request) answer {
	h.Helper()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	a := answer{t: h.T, status: w.Code, header: w.Header(), text: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	return a
}

// ask sends an operation as application/json.
func (h *house) ask(token, query string, variables map[string]any) answer {
	h.Helper()
	return h.askIn(h.Context(), token, query, variables, nil)
}

func (h *house) askIn(ctx context.Context, token, query string, variables map[string]any, header map[string]string) answer {
	h.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		h.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return h.serve(r)
}

// must is ask for an operation that has to succeed without errors of either kind.
func (h *house) must(token, query string, variables map[string]any) answer {
	h.Helper()
	a := h.ask(token, query, variables)
	if a.status != http.StatusOK || a.body["errors"] != nil || strings.Contains(a.text, `"userErrors":[{`) {
		h.Fatalf("%s\n%d %s", query, a.status, a.text)
	}
	return a
}

// at follows a dotted path below data; a number is an index. Nothing there is nil.
func (a answer) at(path string) any { return dig(a.body["data"], path) }

func dig(v any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch now := v.(type) {
		case map[string]any:
			v = now[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(now) {
				return nil
			}
			v = now[i]
		default:
			return nil
		}
	}
	return v
}

// code is that of the first error.
func (a answer) code() any { return dig(a.body["errors"], "0.extensions.code") }

func (a answer) want(path string, want any) {
	a.t.Helper()
	if got := a.at(path); fmt.Sprint(got) != fmt.Sprint(want) {
		a.t.Errorf("%s = %v, want %v\n%s", path, got, want, a.text)
	}
}

func (a answer) refused(status int, code models.Code) {
	a.t.Helper()
	if a.status != status || a.code() != string(code) {
		a.t.Errorf("got %d %v, want %d %s\n%s", a.status, a.code(), status, code, a.text)
	}
	if dig(a.body["errors"], "0.extensions.requestId") != a.header.Get("X-Request-Id") || a.header.Get("X-Request-Id") == "" {
		a.t.Errorf("the request id is missing: %s", a.text)
	}
}

const provisionAccount = `mutation($i: ProvisionAccountInput!) { provisionAccount(input: $i) {
	account { id version state externalId msisdn displayName region impi impu sipSecretSource passwordState services { code enabled parameters } maxDevices }
	replayed userErrors { __typename code message field retryable ... on AlreadyExists { existingId existingExternalId } } } }`

// input is what a BSS sends at least, and whatever more.
func (h *house) input(externalID, msisdn string, more map[string]any) map[string]any {
	h.keys++
	in := map[string]any{"idempotencyKey": fmt.Sprintf("key-%d", h.keys), "externalId": externalID, "msisdn": msisdn, "sipPassword": "example-sip-secret"}
	for name, value := range more {
		in[name] = value
	}
	return map[string]any{"i": in}
}

func newRequest(t *testing.T, method, target, body string) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
}
