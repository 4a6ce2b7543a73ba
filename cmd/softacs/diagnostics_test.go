package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const diagnosticFields = `id kind state requestedAt completedAt errorState fault { code message } requestedBy { __typename } device { id } result { __typename
	... on PingResult { host sent received minMs avgMs maxMs } ... on TracerouteResult { host hops { index address rttMs error } }
	... on TransferResult { bytes durationMs bitsPerSecond } ... on LookupResult { name answers authoritative }
	... on RegistrationResult { registered sipStatus reason expiresInSeconds responseMs serverUsed natType }
	... on LoopbackResult { sent received lossPercent jitterMs rttMs } }`

// kinds are the arguments of one diagnostic of each kind.
var kinds = map[string]object{
	"IP_PING": {"host": "pcscf1.ims.example.net"}, "TRACEROUTE": {"host": "PCSCF1.ims.example.net."}, "DOWNLOAD_SPEED": {"host": "http://speed.example.net/10MB.bin"},
	"UPLOAD_SPEED": {"host": "HTTPS://Speed.example.net:8443/put", "bytes": 5_000_000}, "NSLOOKUP": {"host": "ims.example.net", "server": "192.0.2.53"},
	"SIP_REGISTRATION": {}, "MEDIA_LOOPBACK": {"host": "echo.example.net:7777"},
}

// tries runDiagnostic and returns the payload, userErrors and all.
func (p *platform) tryDiagnose(device, kind string, more object) object {
	p.t.Helper()
	input := object{"idempotencyKey": models.NewID().String(), "device": object{"id": device}, "kind": kind}
	for k, v := range more {
		input[k] = v
	}
	d := p.query(`mutation($input: RunDiagnosticInput!) { runDiagnostic(input: $input) { diagnostic { id state } replayed userErrors { code field message retryAfterSeconds } } }`,
		object{"input": input})
	payload, _ := d["runDiagnostic"].(map[string]any)
	return payload
}

// diagnose asks a device for a test and returns the diagnostic.
func (p *platform) diagnose(device, kind string, more object) (id string) {
	p.t.Helper()
	payload := p.tryDiagnose(device, kind, more)
	if id = payload.text("diagnostic.id"); id == "" || payload.text("diagnostic.state") != "PENDING" {
		p.t.Fatalf("%s: %v", kind, payload)
	}
	return id
}

func (p *platform) diagnostic(id string) object {
	p.t.Helper()
	d := p.query(`query($id: ID!) { diagnostic(id: $id) { `+diagnosticFields+` } }`, object{"id": id})
	found, _ := d["diagnostic"].(map[string]any)
	return found
}

// wantDiagnostic checks the state of a diagnostic.
func (p *platform) wantDiagnostic(id, state string) object {
	p.t.Helper()
	d := p.diagnostic(id)
	if d.text("state") != state {
		p.t.Fatalf("the diagnostic is %v, not %s", d, state)
	}
	return d
}

// tellsEnd is the session in which a client tells that its tests are over.
func (p *platform) tellsEnd(client *sim.Client) {
	p.t.Helper()
	p.done(client.Inform(p.t.Context(), models.EventDiagnostics))
}

// diagnosed is the whole flow 6.1.8.
func (p *platform) diagnosed(client *sim.Client, kind string, more object) object {
	p.t.Helper()
	id := p.diagnose(p.idOf(client), kind, more)
	p.done(client.Heartbeat(p.t.Context()))
	p.wantDiagnostic(id, "SENT")
	if n := client.Diagnose(); n != 1 {
		p.t.Fatalf("%d tests", n)
	}
	p.tellsEnd(client)
	return p.diagnostic(id)
}

func (p *platform) idOf(client *sim.Client) string {
	p.t.Helper()
	key := strings.SplitN(string(client.Key()), "-", 3)
	return p.query(`query($i: DeviceIdentityInput!) { device(ref: {identity: $i}) { id } }`,
		object{"i": object{"oui": key[0], "productClass": key[1], "serialNumber": key[2]}}).text("device.id")
}

// manyTests lifts the limit of diagnostics an hour.
func manyTests(c *Config) { c.I4.Limits.DiagPerHour = 0 }

// Each kind of test: what the client is asked, what it finds, what the north sees (i4.md B.8).
func TestDiagnostics(t *testing.T) {
	eachPlatform(t, manyTests, func(t *testing.T, p *platform) {
		account, client := p.bound()
		asked, read := map[string][]string{}, []string{}
		kind := ""
		p.observe(client, func(e sim.Exchange) error {
			switch m := e.Got.(type) {
			case *cwmp.SetParameterValues:
				asked[kind] = names(m.Parameters)
				if m.ParameterKey != "cfg-000000001" {
					t.Errorf("%s: ParameterKey %s", kind, m.ParameterKey)
				}
			case *cwmp.GetParameterValues:
				read = m.Names
			}
			return nil
		})
		result := func(of string) object {
			kind = of
			d := p.diagnosed(client, of, kinds[of])
			if d.text("state") != "SUCCEEDED" || d.text("completedAt") == "" || d.at("fault") != nil || d.at("errorState") != nil || d.text("device.id") != p.idOf(client) ||
				d.text("requestedBy.__typename") != "ApiClient" {
				t.Fatalf("%s: %v", of, d)
			}
			found, _ := d["result"].(map[string]any)
			return found
		}
		want := func(got object, fields string) {
			t.Helper()
			if text := fmt.Sprint(map[string]any(got)); text != "map["+fields+"]" {
				t.Errorf("%s\ngot  %s\nwant map[%s]", kind, text, fields)
			}
		}
		want(result("IP_PING"), "__typename:PingResult avgMs:31 host:pcscf1.ims.example.net maxMs:39 minMs:27 received:4 sent:4")
		if got := asked["IP_PING"][1:]; !slices.Equal(got, []string{"diag.ping.host=pcscf1.ims.example.net", "diag.ping.numberOfRepetitions=4", "diag.ping.timeout=2000",
			"diag.ping.dataBlockSize=64", "diag.ping.diagnosticsState=Requested"}) {
			t.Errorf("asked %v (example 27)", got)
		}
		if want := "Device.X_CT-COM_Diagnostics.TaskId Device.IP.Diagnostics.IPPing.DiagnosticsState Device.IP.Diagnostics.IPPing.SuccessCount " +
			"Device.IP.Diagnostics.IPPing.FailureCount Device.IP.Diagnostics.IPPing.AverageResponseTime Device.IP.Diagnostics.IPPing.MinimumResponseTime " +
			"Device.IP.Diagnostics.IPPing.MaximumResponseTime"; strings.Join(read, " ") != want {
			t.Errorf("read %v (example 9)", read)
		}
		want(result("TRACEROUTE"), "__typename:TracerouteResult hops:[map[address:192.0.2.1 error:<nil> index:1 rttMs:[5 6 7]] "+
			"map[address:192.0.2.2 error:<nil> index:2 rttMs:[10 11 12]] map[address:192.0.2.3 error:<nil> index:3 rttMs:[15 16 17]]] host:pcscf1.ims.example.net")
		want(result("DOWNLOAD_SPEED"), "__typename:TransferResult bitsPerSecond:4e+07 bytes:1e+07 durationMs:2000")
		want(result("UPLOAD_SPEED"), "__typename:TransferResult bitsPerSecond:2e+07 bytes:5e+06 durationMs:2000")
		if got := asked["UPLOAD_SPEED"]; !slices.Contains(got, "diag.upload.url=https://speed.example.net:8443/put") {
			t.Errorf("asked %v", got)
		}
		want(result("NSLOOKUP"), "__typename:LookupResult answers:[192.0.2.10 2001:db8::10] authoritative:true name:ims.example.net")
		want(result("SIP_REGISTRATION"), "__typename:RegistrationResult expiresInSeconds:3600 natType:PortRestricted reason:<nil> registered:true responseMs:84 "+
			"serverUsed:pcscf1.ims.example.net sipStatus:200")
		want(result("MEDIA_LOOPBACK"), "__typename:LoopbackResult jitterMs:4 lossPercent:1 received:495 rttMs:38 sent:500")

		p.waitForEvent(account, "DIAGNOSTIC_COMPLETED diag.completed SUCCEEDED", len(kinds))
		p.waitForEvent(account, "TASK_STATE_CHANGED diag.started SENT", len(kinds))
		list := p.query(`query($id: ID!) { device(ref: {id: $id}) { diagnostics(first: 3) { nodes { kind } pageInfo { hasNextPage } } } }`, object{"id": p.idOf(client)})
		if got := fmt.Sprint(list.at("device.diagnostics.nodes")); got != "[map[kind:MEDIA_LOOPBACK] map[kind:SIP_REGISTRATION] map[kind:NSLOOKUP]]" ||
			list.at("device.diagnostics.pageInfo.hasNextPage") != true {
			t.Errorf("%s", got)
		}
		var audited int64
		err := p.app.store.View(t.Context(), func(tx *store.Tx) error {
			return tx.DB.Model(&models.AuditEntry{}).Where("action = 'runDiagnostic' AND outcome = ?", models.AuditSuccess).Count(&audited).Error
		})
		if err != nil || audited != int64(len(kinds)) {
			t.Errorf("%d audit rows, %v", audited, err)
		}
		// Nobody sets a test by hand past the limits.
		for _, path := range []string{"Device.IP.Diagnostics.IPPing.Host", "Device.LAN.TraceRouteDiagnostics.Host", "InternetGatewayDevice.UploadDiagnostics.UploadURL",
			"Device.X_CT-COM_Diagnostics.TaskId"} {
			raw := p.raw(`mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) { userErrors { code } } }`, object{"i": object{
				"idempotencyKey": path, "device": object{"id": p.idOf(client)}, "kind": "SET_VALUES", "values": []object{{"path": path, "value": "x"}}}})
			if !strings.Contains(raw, "POLICY_DENIED") {
				t.Errorf("%s: %s", path, raw)
			}
		}
	})
}

// A subscription sees each state as it comes, and the result.
func TestDiagnosticSubscription(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, client := p.bound()
		id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
		next := p.subscribe(`subscription($id: ID!) { diagnostic(id: $id) { state result { ... on PingResult { received } } } }`, object{"id": id})
		want := func(state string) object {
			t.Helper()
			for {
				got := next()
				if got.text("data.diagnostic.state") == state {
					return got
				}
				if got.at("errors") != nil || got.text("data.diagnostic.state") == "" {
					t.Fatalf("%v came before %s", got, state)
				}
			}
		}
		want("PENDING")
		p.done(client.Heartbeat(t.Context()))
		want("SENT")
		client.Diagnose()
		p.tellsEnd(client)
		if got := want("SUCCEEDED"); got.at("data.diagnostic.result.received") != 4.0 {
			t.Errorf("%v", got)
		}
		if got := p.subscribe(`subscription($id: ID!) { diagnostic(id: $id) { state } }`, object{"id": p.idOf(client)})(); !strings.Contains(fmt.Sprint(got), "NOT_FOUND") {
			t.Errorf("%v", got)
		}
	})
}

// subscribe opens a subscription over SSE and returns what gives its next result.
func (p *platform) subscribe(document string, variables object) (next func() object) {
	p.t.Helper()
	body, _ := json.Marshal(object{"query": document, "variables": variables})
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.north+"/graphql", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+p.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewReader(answer.Body)
	return func() (result object) {
		p.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if text, data := strings.CutPrefix(strings.TrimSpace(line), "data:"); data && len(text) > 1 {
				if err := json.Unmarshal([]byte(text), &result); err != nil {
					p.t.Fatal(err, text)
				}
				return result
			}
			if err == io.EOF {
				return object{"end": true}
			}
			if err != nil {
				p.t.Fatal(err)
			}
		}
	}
}
