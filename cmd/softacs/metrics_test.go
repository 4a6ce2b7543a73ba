package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/softacs/softacs/models/store/storetest"
)

// scrape reads the metrics as Prometheus does.
func (p *platform) scrape() string {
	p.t.Helper()
	answer, err := http.Get("http://" + p.app.adminAddr.Addr().String() + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("HTTP %d, %v\n%s", answer.StatusCode, err, text)
	}
	return string(text)
}

// metric is the value of one line of a scrape.
func metric(t *testing.T, text, series string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s", series)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// After a journey the metrics tell of it, and name nobody.
func TestMetricsTellTheJourney(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		client := p.client(msisdn, nil)
		p.login(client, mobile)
		p.mutate("createDeviceTask", "task { id }", object{
			"idempotencyKey": "t", "device": object{"id": p.deviceOf(client).text("id")}, "kind": "GET_VALUES", "paths": []string{"Device.DeviceInfo."},
		})
		if n := metric(t, p.scrape(), `softacs_tasks_open{state="PENDING"}`); n != 1 {
			t.Errorf("%v tasks wait", n)
		}
		p.done(client.Heartbeat(t.Context()))
		p.raw(`{ broken`, nil)
		p.raw(`query($id: ID!) { account(ref: {id: $id}) { id } }`, object{"id": id})
		storetest.Eventually(t, "the log is sequenced", func() bool { return metric(t, p.scrape(), "softacs_events_unnumbered") == 0 })

		text := p.scrape()
		for series, want := range map[string]float64{
			`softacs_cwmp_sessions_total{outcome="completed"}`: 3, // GETPWD, REGISTER, heartbeat
			`softacs_cwmp_sessions_total{outcome="timeout"}`:   0,
			`softacs_cwmp_posts_total{status="401"}`:           1,
			`softacs_cwmp_posts_total{status="204"}`:           3,
			`softacs_cwmp_visits_total{trust="1"}`:             1,
			`softacs_cwmp_refusals_total{reason="sessions"}`:   0,
			`softacs_cwmp_sessions_open`:                       0,
			`softacs_tasks_open{state="PENDING"}`:              0,
			`softacs_sms_outbox{state="QUEUED"}`:               0,
			`softacs_events_lag_seconds`:                       0,
			`softacs_graphql_operation_duration_seconds_count{field="provisionAccount",kind="mutation",outcome="ok"}`:   1,
			`softacs_graphql_operation_duration_seconds_count{field="account",kind="query",outcome="ok"}`:               1,
			`softacs_graphql_operation_duration_seconds_count{field="none",kind="none",outcome="GRAPHQL_PARSE_FAILED"}`: 1,
		} {
			if got := metric(t, text, series); got != want {
				t.Errorf("%s is %v, not %v", series, got, want)
			}
		}
		for _, series := range []string{
			`softacs_database_duration_seconds_count{kind="lookup"}`, `softacs_database_duration_seconds_count{kind="create"}`,
			`softacs_database_duration_seconds_count{kind="transaction"}`, "go_goroutines", "process_cpu_seconds_total",
		} {
			if metric(t, text, series) == 0 {
				t.Errorf("%s is 0", series)
			}
		}
		for _, personal := range []string{msisdn[1:], mobile[1:], id, string(client.Key()), client.Get("managementServer.password")} {
			if strings.Contains(text, personal) {
				t.Errorf("the metrics show %q", personal)
			}
		}
	})
}

// A request of the north leaves one line of JSON with who asked and for what, and no value that came in or went out.
func TestAccessLineHasNoSecrets(t *testing.T) { // not parallel: it replaces the log of the process
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&lines, nil)))
	defer slog.SetDefault(before)
	p := startPlatform(t, labConfig(t, storetest.SQLite(t), nil))
	p.app.north.Handler.ServeHTTP(httptest.NewRecorder(), accountRequest(p, "Bearer "+p.token))
	p.app.north.Handler.ServeHTTP(httptest.NewRecorder(), accountRequest(p, "Bearer a-wrong-token"))
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	var seen []map[string]any
	for line := range strings.Lines(lines.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry["msg"] == "request" && entry["path"] == "/graphql" {
			seen = append(seen, entry)
		}
	}
	if len(seen) != 2 {
		t.Fatalf("%d lines\n%s", len(seen), lines.String())
	}
	for name, want := range map[string]any{"method": "POST", "operation": "Find", "field": "account", "actor": "bss", "status": 200.0, "outcome": "ok"} {
		if seen[0][name] != want {
			t.Errorf("%s is %v, not %v", name, seen[0][name], want)
		}
	}
	if id, _ := seen[0]["requestId"].(string); len(id) != 32 || seen[0]["bytes"] == 0.0 || seen[0]["duration"] == nil {
		t.Errorf("%v", seen[0])
	}
	if seen[1]["outcome"] != "UNAUTHENTICATED" || seen[1]["status"] != 401.0 {
		t.Errorf("%v", seen[1])
	}
	for _, secret := range []string{p.token, "a-wrong-token", "a-secret-for-the-tests", "862160001234"} {
		if strings.Contains(lines.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}

func accountRequest(p *platform, authorization string) *http.Request {
	body := `{"query": "query Find($n: String!) { account(ref: {externalId: $n}) { id } }", "variables": {"n": "+862160001234"}}`
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", authorization)
	return r
}
