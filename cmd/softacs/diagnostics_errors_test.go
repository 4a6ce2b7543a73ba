package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// tenMinutesLater makes the time of every test that runs be over.
func (p *platform) tenMinutesLater() {
	p.t.Helper()
	p.exec("UPDATE diagnostics SET due_at = 1, sent_at = 1 WHERE state IN ('SENT', 'ACKNOWLEDGED')")
	p.exec("UPDATE devices SET work_at = 1 WHERE work_at > 0")
}

// losing drops the first request that has a text in it, before it reaches the platform.
type losing struct {
	next http.RoundTripper
	text string
	done bool
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && !l.done {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if strings.Contains(string(body), l.text) {
			l.done = true
			return nil, errLost
		}
	}
	return l.next.RoundTrip(r)
}

func (l *losing) CloseIdleConnections() { l.next.(*http.Transport).CloseIdleConnections() }

// What gets lost on the way, in either direction, costs a session and nothing else: the test runs, and its result comes once.
func TestDiagnosticWithEveryLostAnswer(t *testing.T) {
	eachPlatform(t, manyTests, func(t *testing.T, p *platform) {
		journey := func(p *platform, client *sim.Client, lost func() bool) {
			t := p.t
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			for round := 1; p.diagnostic(id).text("state") != "SUCCEEDED"; round++ {
				if round > 4 {
					t.Fatalf("after %d rounds: %v", round, p.diagnostic(id))
				}
				_, err := client.Heartbeat(t.Context())
				if err == nil && client.Diagnose() > 0 {
					_, err = client.Inform(t.Context(), models.EventDiagnostics)
				}
				if err != nil && !errors.Is(err, errLost) {
					t.Fatal(err)
				}
			}
			if !lost() {
				t.Error("nothing was lost")
			}
			if list, _ := p.query(`query($id: ID!) { device(ref: {id: $id}) { diagnostics { nodes { id } } } }`,
				object{"id": p.idOf(client)}).at("device.diagnostics.nodes").([]any); len(list) != 1 {
				t.Errorf("%d diagnostics", len(list))
			}
		}
		for _, what := range []string{"SetParameterValuesResponse", "8 DIAGNOSTICS COMPLETE", "GetParameterValuesResponse"} {
			p.run("the "+what, func(t *testing.T, p *platform) {
				_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
				drop := &losing{next: &http.Transport{}, done: true, text: what}
				client := p.client(msisdn, func(c *sim.Config) { c.HTTP = &http.Client{Transport: drop} })
				p.want(0)(client.Register(t.Context(), longTerm))
				drop.done = false
				journey(p, client, func() bool { return drop.done })
			})
		}
		for n := 1; n <= 8; n++ {
			p.run(fmt.Sprintf("answer %d", n), func(t *testing.T, p *platform) {
				_, client := p.bound()
				seen := 0
				p.observe(client, func(sim.Exchange) error {
					if seen++; seen == n {
						return errLost
					}
					return nil
				})
				journey(p, client, func() bool { return seen >= n })
			})
		}
	})
}

// Every row of the error table (i4.md B.8).
func TestDiagnosticErrors(t *testing.T) {
	eachPlatform(t, manyTests, func(t *testing.T, p *platform) {
		beat := func(client *sim.Client) { p.done(client.Heartbeat(t.Context())) }
		for kind, states := range map[string][]string{
			"IP_PING": {"Error_CannotResolveHostName", "Error_Internal", "Error_Other"}, "TRACEROUTE": {"Error_MaxHopCountExceeded"},
			"DOWNLOAD_SPEED": {"Error_InitConnectionFailed", "Error_NoResponse", "Error_TransferFailed"}, "UPLOAD_SPEED": {"Error_NoResponse"},
			"NSLOOKUP": {"Error_DNSServerNotResolved"}, "SIP_REGISTRATION": {"Error_Timeout", "Error_AuthFailed", "Error_Rejected"}, "MEDIA_LOOPBACK": {"Error_Timeout", "Canceled"},
		} {
			for _, state := range states {
				p.run(kind+" "+state, func(t *testing.T, p *platform) {
					account, client := p.bound()
					client.SetFaults(sim.Faults{TestState: state})
					if d := p.diagnosed(client, kind, kinds[kind]); d.text("state") != "FAILED" || d.text("errorState") != state || d.at("result") != nil || d.at("fault") != nil {
						t.Errorf("%v", d)
					}
					p.waitForEvent(account, "DIAGNOSTIC_COMPLETED diag.failed FAILED", 1)
				})
			}
		}
		p.run("Completed where the model says Complete", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.SetFaults(sim.Faults{Answers: map[string]string{"diag.ping.diagnosticsState": "Completed"}})
			if d := p.diagnosed(client, "IP_PING", kinds["IP_PING"]); d.text("state") != "SUCCEEDED" {
				t.Errorf("%v", d)
			}
		})
		for _, code := range []int{9001, 9004} {
			p.run(fmt.Sprint(code, " in a call"), func(t *testing.T, p *platform) {
				_, client := p.bound()
				id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
				client.SetFaults(sim.Faults{Methods: map[string]int{"SetParameterValues": code}})
				beat(client)
				beat(client)
				if got := p.wantDiagnostic(id, "PENDING").at("fault.code"); got != float64(code) {
					t.Errorf("fault %v", got)
				}
				client.SetFaults(sim.Faults{})
				beat(client)
				client.Diagnose()
				p.tellsEnd(client)
				if got := p.wantDiagnostic(id, "SUCCEEDED").at("fault"); got != nil {
					t.Errorf("fault %v", got)
				}
				client.SetFaults(sim.Faults{Methods: map[string]int{"SetParameterValues": code}})
				id = p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
				for range 3 {
					beat(client)
				}
				if got := p.wantDiagnostic(id, "FAILED").at("fault.code"); got != float64(code) {
					t.Errorf("fault %v", got)
				}
			})
		}
		p.run("a test that the client does not have", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.Set("deviceInfo.softwareVersion", "0.9")
			client.SetFaults(sim.Faults{Parameters: map[string]int{"diag.traceroute.host": 9005, "diag.traceroute.maxHopCount": 9005}})
			id := p.diagnose(p.idOf(client), "TRACEROUTE", kinds["TRACEROUTE"])
			beat(client)
			if got := p.wantDiagnostic(id, "FAILED").at("fault.code"); got != 9003.0 {
				t.Errorf("fault %v", got)
			}
			again := p.tryDiagnose(p.idOf(client), "TRACEROUTE", kinds["TRACEROUTE"])
			if again.text("userErrors.0.code") != "UNSUPPORTED_BY_DEVICE" || fmt.Sprint(again.at("userErrors.0.field")) != "[input kind]" {
				t.Errorf("%v", again)
			}
			p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
		})
		p.run("a method that the client does not have", func(t *testing.T, p *platform) {
			_, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			client.SetFaults(sim.Faults{Methods: map[string]int{"SetParameterValues": 9000}})
			beat(client)
			p.wantDiagnostic(id, "FAILED")
		})
		p.run("inputs and a TaskId that the client does not know", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.SetFaults(sim.Faults{Parameters: map[string]int{"diag.taskId": 9005, "diag.ping.dataBlockSize": 9005}})
			if d := p.diagnosed(client, "IP_PING", kinds["IP_PING"]); d.text("state") != "SUCCEEDED" {
				t.Errorf("%v", d)
			}
		})
		p.run("a result that lacks a parameter", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.SetFaults(sim.Faults{Respond: func(request cwmp.Message) cwmp.Message {
				if m, ok := request.(*cwmp.GetParameterValues); ok && slices.ContainsFunc(m.Names, func(n string) bool { return strings.HasSuffix(n, "MaximumResponseTime") }) {
					return &cwmp.Fault{Code: 9005, String: "Invalid parameter name"}
				}
				return nil
			}})
			if d := p.diagnosed(client, "IP_PING", kinds["IP_PING"]); d.text("state") != "SUCCEEDED" || d.at("result.received") != 4.0 {
				t.Errorf("%v", d)
			}
		})
		for code, sessions := range map[int]int{9005: 1, 9002: 3, 9003: 1} {
			p.run(fmt.Sprint("a result that is refused with ", code), func(t *testing.T, p *platform) {
				_, client := p.bound()
				client.SetFaults(sim.Faults{Methods: map[string]int{"GetParameterValues": code}})
				d := p.diagnosed(client, "IP_PING", kinds["IP_PING"])
				for range sessions - 1 {
					if d.text("state") != "ACKNOWLEDGED" {
						t.Errorf("%v", d)
					}
					beat(client)
					d = p.diagnostic(d.text("id"))
				}
				if d.text("state") != "FAILED" || d.at("fault.code") != float64(code) {
					t.Errorf("%v", d)
				}
			})
		}
		p.run("never answers", func(t *testing.T, p *platform) {
			account, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			beat(client)
			beat(client)
			p.wantDiagnostic(id, "SENT")
			p.tenMinutesLater()
			beat(client)
			p.wantDiagnostic(id, "EXPIRED")
			p.waitForEvent(account, "DIAGNOSTIC_COMPLETED diag.failed EXPIRED", 1)
		})
		p.run("never tells that it is over", func(t *testing.T, p *platform) {
			_, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			beat(client)
			client.Diagnose()
			p.tenMinutesLater()
			p.done(client.Send(t.Context(), []cwmp.Event{{Code: "2 PERIODIC"}}, nil))
			p.wantDiagnostic(id, "SUCCEEDED")
		})
		p.run("tells the end and has not begun", func(t *testing.T, p *platform) {
			_, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			beat(client)
			p.done(client.Send(t.Context(), []cwmp.Event{{Code: "8 DIAGNOSTICS COMPLETE"}}, nil))
			p.wantDiagnostic(id, "SENT")
			client.Diagnose()
			p.tellsEnd(client)
			p.wantDiagnostic(id, "SUCCEEDED")
		})
		p.run("loses it at a restart", func(t *testing.T, p *platform) {
			_, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			beat(client)
			client.LoseTests()
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantDiagnostic(id, "SENT") // once more, in the same session
			client.LoseTests()
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			if got := p.wantDiagnostic(id, "FAILED").text("fault.message"); got != "the device lost the test twice" {
				t.Errorf("fault %s", got)
			}
		})
		p.run("answers with another TaskId", func(t *testing.T, p *platform) {
			_, client := p.bound()
			client.SetFaults(sim.Faults{TestTaskID: "somebody else's"})
			d := p.diagnosed(client, "IP_PING", kinds["IP_PING"])
			if d.text("state") != "SENT" {
				t.Errorf("%v", d)
			}
			list := p.query(`query($id: ID!) { device(ref: {id: $id}) { diagnostics { nodes { id kind state requestedBy { __typename } result { ... on PingResult { received } } } } } }`,
				object{"id": p.idOf(client)})
			if list.text("device.diagnostics.nodes.0.state") != "SUCCEEDED" || list.at("device.diagnostics.nodes.0.requestedBy") != nil ||
				list.at("device.diagnostics.nodes.0.result.received") != 4.0 {
				t.Errorf("%v", list)
			}
			client.SetFaults(sim.Faults{})
			p.tenMinutesLater()
			beat(client) // its own result is gone: the test runs again
			client.Diagnose()
			p.tellsEnd(client)
			p.wantDiagnostic(d.text("id"), "SUCCEEDED")
			if list, _ := p.query(`query($id: ID!) { device(ref: {id: $id}) { diagnostics { nodes { id } } } }`, object{"id": p.idOf(client)}).at("device.diagnostics.nodes").([]any); len(list) != 2 {
				t.Errorf("%d diagnostics", len(list))
			}
		})
		p.run("its device does not come", func(t *testing.T, p *platform) {
			_, client := p.bound()
			id := p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"])
			p.exec("UPDATE diagnostics SET expires_at = 1 WHERE state = 'PENDING'")
			p.wantDiagnostic(id, "EXPIRED")
			if n, err := p.app.diagnostics.ExpireDue(models.WithActor(t.Context(), models.System("test"))); err != nil || n < 1 {
				t.Errorf("%d expired, %v", n, err)
			}
			client.Diagnose()
			beat(client)
			if n := client.Diagnose(); n != 0 {
				t.Error("it was asked for all the same")
			}
		})
		p.run("one at a time, eight at most", func(t *testing.T, p *platform) {
			_, client := p.bound()
			var ids []string
			for range 8 {
				ids = append(ids, p.diagnose(p.idOf(client), "IP_PING", kinds["IP_PING"]))
			}
			if got := p.tryDiagnose(p.idOf(client), "IP_PING", kinds["IP_PING"]).text("userErrors.0.code"); got != "QUOTA_EXCEEDED" {
				t.Errorf("the ninth: %s", got)
			}
			beat(client)
			beat(client)
			p.wantDiagnostic(ids[1], "PENDING")
			for range ids { // the session that brings one result begins the next test
				client.Diagnose()
				p.tellsEnd(client)
			}
			p.wantDiagnostic(ids[7], "SUCCEEDED")
		})
	})
}

// What a device claims is not believed: the answer becomes a sane result or an error.
func TestDiagnosticHostileResults(t *testing.T) {
	eachPlatform(t, manyTests, func(t *testing.T, p *platform) {
		_, client := p.bound()
		for name, c := range map[string]struct {
			kind, of, value string
		}{
			"more answers than questions": {"IP_PING", "diag.ping.successCount", "5"}, "negative": {"IP_PING", "diag.ping.failureCount", "-1"},
			"no number": {"IP_PING", "diag.ping.successCount", strings.Repeat("9", 10_000)}, "nothing": {"IP_PING", "diag.ping.successCount", ""},
			"ends before it begins": {"DOWNLOAD_SPEED", "diag.download.eomTime", "2001-01-01T00:00:00Z"}, "no time": {"UPLOAD_SPEED", "diag.upload.bomTime", "now"},
			"no bytes":     {"DOWNLOAD_SPEED", "diag.download.testBytesReceived", "many"},
			"too much":     {"DOWNLOAD_SPEED", "diag.download.testBytesReceived", "50000001"},
			"too little":   {"UPLOAD_SPEED", "diag.upload.totalBytesSent", "4"},
			"no look-up":   {"NSLOOKUP", "diag.lookup.successCount", "-3"},
			"no SIP code":  {"SIP_REGISTRATION", "diag.registration.responseCode", "42"},
			"more than it": {"MEDIA_LOOPBACK", "diag.echo.packetsReceived", "501"},
		} {
			client.SetFaults(sim.Faults{Answers: map[string]string{c.of: c.value}})
			if d := p.diagnosed(client, c.kind, kinds[c.kind]); d.text("state") != "FAILED" || d.at("fault.code") != 8002.0 || d.at("result") != nil ||
				!strings.Contains(d.text("fault.message"), "makes no sense") || len(d.text("fault.message")) > 300 {
				t.Errorf("%s: %v", name, d)
			}
		}
		client.SetFaults(sim.Faults{Answers: map[string]string{"diag.ping.minimumResponseTime": "4000", "diag.ping.averageResponseTime": "x"}})
		if d := p.diagnosed(client, "IP_PING", kinds["IP_PING"]); d.at("result.received") != 4.0 || d.at("result.minMs") != nil {
			t.Errorf("%v", d)
		}
		client.SetFaults(sim.Faults{Respond: func(request cwmp.Message) cwmp.Message {
			m, ok := request.(*cwmp.GetParameterValues)
			if !ok {
				return nil
			}
			answer := &cwmp.GetParameterValuesResponse{}
			add := func(name, value string) {
				answer.Parameters = append(answer.Parameters, cwmp.ParameterValue{Name: name, Type: "xsd:boolean", Value: value})
			}
			add(m.Names[1], "Complete")
			for n := range 9_800 { // a message has at most 10,000 members
				hop := fmt.Sprintf("%s%d.", m.Names[2], n+1)
				if n < 100 {
					add(hop+"HostAddress", strings.Repeat("a b", 500))
				}
				add(hop+"RTTimes", "-1,NaN,1e300,7,7,7,7")
			}
			return answer
		}})
		if d := p.diagnosed(client, "TRACEROUTE", kinds["TRACEROUTE"]); d.text("state") != "SUCCEEDED" || d.at("result.hops.64") != nil ||
			fmt.Sprint(d.at("result.hops.63")) != "map[address:<nil> error:<nil> index:64 rttMs:[7 7 7]]" {
			t.Errorf("%v", d)
		}
	})
}

// Plain TR-069 devices of three generations of the data model (resolutions 43).
func TestDiagnosticsOfGenericDevices(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		for _, generation := range profile.Generations() {
			p.run("reports "+generation.Reports(), func(t *testing.T, p *platform) {
				identity := sim.NewIdentity()
				identity.ProductClass = "STB"
				made := p.mutate("registerDevice", "device { id } acsUsername acsPassword", object{"idempotencyKey": identity.SerialNumber, "clientType": "GENERIC",
					"identity": object{"oui": identity.OUI, "productClass": identity.ProductClass, "serialNumber": identity.SerialNumber}})
				client := p.client("", func(c *sim.Config) {
					c.Identity, c.Type, c.Profile = identity, models.Generic, generation
					c.Username, c.ACSPassword = made.text("acsUsername"), models.Secret(made.text("acsPassword"))
				})
				p.observe(client, func(e sim.Exchange) error {
					if strings.Contains(fmt.Sprint(e.Got), "X_CT-COM") {
						t.Errorf("it was asked for what it cannot have: %v", e.Got)
					}
					return nil
				})
				for _, kind := range []string{"IP_PING", "TRACEROUTE", "DOWNLOAD_SPEED", "UPLOAD_SPEED", "NSLOOKUP"} {
					if d := p.diagnosed(client, kind, kinds[kind]); d.text("state") != "SUCCEEDED" {
						t.Errorf("%s: %v", kind, d)
					} else if kind == "TRACEROUTE" && d.text("result.hops.2.address") != "192.0.2.3" {
						t.Errorf("%v", d)
					}
				}
				for _, kind := range []string{"SIP_REGISTRATION", "MEDIA_LOOPBACK"} {
					if got := p.tryDiagnose(made.text("device.id"), kind, kinds[kind]).text("userErrors.0.code"); got != "UNSUPPORTED_BY_DEVICE" {
						t.Errorf("%s: %s", kind, got)
					}
				}
			})
		}
	})
}

// What may be asked for: arguments, targets, how often (i4.md B.8, resolutions 12, 24).
func TestDiagnosticLimits(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := labConfig(t, database(t), nil)
			c.I4.Diag.Targets = nil // as outside lab mode
			c.I4.Defaults = map[string]map[string]string{"PC": {"dns.server1": "192.0.2.53"}}
			p := startPlatform(t, c)
			_, client := p.bound()
			device := p.idOf(client)
			for name, c := range map[string]struct {
				kind        string
				more        object
				code, field string
			}{
				"no host": {"IP_PING", object{}, "REQUIRED", "host"}, "server": {"IP_PING", object{"host": "a.example", "server": "b.example"}, "INVALID", "server"},
				"bytes":      {"DOWNLOAD_SPEED", object{"host": "http://a.example/", "bytes": 1}, "INVALID", "bytes"},
				"51 MB":      {"UPLOAD_SPEED", object{"host": "http://a.example/", "bytes": 51_000_000}, "INVALID", "bytes"},
				"count":      {"TRACEROUTE", object{"host": "a.example", "count": 4}, "INVALID", "count"},
				"time":       {"IP_PING", object{"host": "a.example", "timeoutSeconds": 601}, "INVALID", "timeoutSeconds"},
				"outside":    {"IP_PING", object{"host": "victim.example"}, "POLICY_DENIED", "host"},
				"outside 2":  {"SIP_REGISTRATION", object{"host": "victim.example"}, "POLICY_DENIED", "host"},
				"outside 3":  {"NSLOOKUP", object{"host": "ims.example.net", "server": "192.0.2.54"}, "POLICY_DENIED", "server"},
				"outside 4":  {"DOWNLOAD_SPEED", object{"host": "http://victim.example/?pcscf1.ims.example.net"}, "POLICY_DENIED", "host"},
				"user":       {"DOWNLOAD_SPEED", object{"host": "http://pcscf1.ims.example.net@victim.example/"}, "INVALID", "host"},
				"backslash":  {"DOWNLOAD_SPEED", object{"host": `http://victim.example\@pcscf1.ims.example.net/`}, "INVALID", "host"},
				"scheme":     {"UPLOAD_SPEED", object{"host": "file:///etc/passwd"}, "INVALID", "host"},
				"port":       {"IP_PING", object{"host": "pcscf1.ims.example.net:80"}, "INVALID", "host"},
				"URL":        {"IP_PING", object{"host": "http://pcscf1.ims.example.net/"}, "INVALID", "host"},
				"short IPv4": {"IP_PING", object{"host": "127.1"}, "INVALID", "host"}, "octal": {"IP_PING", object{"host": "0177.0.0.1"}, "INVALID", "host"},
				"whole": {"IP_PING", object{"host": "2130706433"}, "INVALID", "host"}, "hex": {"IP_PING", object{"host": "0x7f000001"}, "INVALID", "host"},
				"IPv6": {"IP_PING", object{"host": "::ffff:192.0.2.99"}, "POLICY_DENIED", "host"}, "zone": {"IP_PING", object{"host": "fe80::1%eth0"}, "INVALID", "host"},
				"letters": {"IP_PING", object{"host": "pcscf１.ims.example.net"}, "INVALID", "host"}, "space": {"IP_PING", object{"host": "pcscf1.ims.example.net x"}, "INVALID", "host"},
			} {
				got := p.tryDiagnose(device, c.kind, c.more)
				if got.text("userErrors.0.code") != c.code || fmt.Sprint(got.at("userErrors.0.field")) != "[input "+c.field+"]" {
					t.Errorf("%s: %v", name, got)
				}
			}
			allowed := []object{
				{"kind": "IP_PING", "host": "pcscf2.ims.example.net"}, {"kind": "TRACEROUTE", "host": "stun.ims.example.net."}, {"kind": "NSLOOKUP", "host": "ims.example.net", "server": "192.0.2.53"},
				{"kind": "DOWNLOAD_SPEED", "host": "http://PCSCF1.ims.example.net:8080/f"}, {"kind": "SIP_REGISTRATION", "host": ""}, {"kind": "IP_PING", "host": "::ffff:192.0.2.53"},
			}
			for _, more := range allowed {
				p.diagnose(device, more.text("kind"), more)
			}
			got := p.tryDiagnose(device, "SIP_REGISTRATION", nil) // the seventh in an hour
			if wait, _ := got.at("userErrors.0.retryAfterSeconds").(float64); got.text("userErrors.0.code") != "LIMIT_BY_POLICY" || wait < 3000 || wait > 3601 {
				t.Errorf("%v", got)
			}
			_, other := p.bound()
			key := object{"idempotencyKey": "once"}
			first, again := p.tryDiagnose(p.idOf(other), "SIP_REGISTRATION", key), p.tryDiagnose(p.idOf(other), "SIP_REGISTRATION", key)
			if first.text("diagnostic.id") == "" || again["replayed"] != true || again.text("diagnostic.id") != first.text("diagnostic.id") {
				t.Errorf("%v, %v", first, again)
			}
			if got := p.tryDiagnose(device, "SIP_REGISTRATION", key).text("userErrors.0.code"); got != "IDEMPOTENCY_KEY_REUSED" {
				t.Errorf("%s", got)
			}
		})
	}
}
