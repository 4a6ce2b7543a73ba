package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
)

// The upgrade with each HTTP answer lost once: the client's own retry leads to the same end, with one download.
func TestUpgradeWithEveryLostAnswer(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		packageID := p.publish("2.1.0", nil)
		for _, part := range []string{"asked", "told"} {
			for n := 1; n <= 6; n++ {
				p.run(fmt.Sprintf("%s %d", part, n), func(t *testing.T, p *platform) { p.upgradeLosing(packageID, part, n) })
			}
		}
	})
}

func (p *platform) upgradeLosing(packageID, part string, n int) {
	t := p.t
	_, client := p.bound()
	task := p.upgrade(client, packageID)
	lost := false
	run := func(name string, session func() (sim.Outcome, error)) {
		p.observe(client, func(e sim.Exchange) error {
			if name == part && e.N == n && !lost {
				lost = true
				return errLost
			}
			return nil
		})
		_, err := session()
		if errors.Is(err, errLost) {
			_, err = client.Retry(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run("asked", func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
	if fault, downloads := client.Download(t.Context()); fault != 0 || downloads != 1 {
		t.Fatalf("fault %d in %d downloads", fault, downloads)
	}
	run("told", func() (sim.Outcome, error) { return client.Inform(t.Context(), models.EventBoot, models.EventPeriodic) })
	p.wantTask(task, "SUCCEEDED")
	p.done(client.Heartbeat(t.Context()))
	if _, downloads := client.Download(t.Context()); downloads != 0 {
		t.Error("the client was asked again")
	}
	if !lost && n < 4 {
		t.Errorf("there is no exchange %d", n)
	}
}

// Every fault of a transfer, as the client reports it and as the platform takes it (i4.md A.9, B.7).
func TestUpgradeFaults(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		packageID := p.publish("2.1.0", nil)
		for code, state := range map[int]string{9001: "PENDING", 9010: "PENDING", 9012: "PENDING", 9016: "PENDING", 9018: "FAILED", 9019: "FAILED"} {
			p.run(fmt.Sprint(code), func(t *testing.T, p *platform) {
				account, client := p.bound()
				task := p.upgrade(client, packageID)
				p.done(client.Heartbeat(t.Context()))
				client.SetFaults(sim.Faults{TransferFault: code})
				if fault, n := client.Download(t.Context()); fault != code || n != 1 {
					t.Fatalf("fault %d in %d downloads", fault, n)
				}
				p.done(client.Heartbeat(t.Context()))
				if got := p.wantTask(task, state).at("fault.code"); got != float64(code) {
					t.Errorf("the task has fault %v", got)
				}
				switch code {
				case 9018:
					p.waitForEvent(account, "ALARM_RAISED alarm.raised", 1)
				case 9019:
					p.waitForEvent(account, "SECURITY security.package_rejected", 1)
				}
				if state == "FAILED" {
					return
				}
				p.exec("UPDATE tasks SET next_at = 1 WHERE state = 'PENDING'") // an hour later
				p.exec("UPDATE devices SET work_at = 1 WHERE work_at > 0")
				client.SetFaults(sim.Faults{})
				p.done(client.Heartbeat(t.Context()))
				if fault, n := client.Download(t.Context()); fault != 0 || n != 1 {
					t.Fatalf("fault %d in %d downloads", fault, n)
				}
				p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
				if got := p.wantTask(task, "SUCCEEDED"); got.at("attempts") != 2.0 || got.at("fault") != nil {
					t.Errorf("%v", got)
				}
			})
		}
	})
}

// What else may go wrong at the client.
func TestUpgradeOddities(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		packageID := p.publish("2.1.0", nil)
		begin := func(p *platform, f sim.Faults) (client *sim.Client, task string) {
			_, client = p.bound()
			task = p.upgrade(client, packageID)
			client.SetFaults(f)
			p.done(client.Heartbeat(p.t.Context()))
			return client, task
		}
		p.run("a file that is not the announced one", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{})
			client.Set("softClient.upgrade.sha256", strings.Repeat("0", 64))
			if fault, _ := client.Download(t.Context()); fault != 9018 {
				t.Fatalf("fault %d", fault)
			}
			p.done(client.Heartbeat(t.Context()))
			p.wantTask(task, "FAILED")
		})
		p.run("another version than promised", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{Installed: "2.0.9"})
			client.Download(t.Context())
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantTask(task, "ACKNOWLEDGED")
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			if got := p.wantTask(task, "FAILED").text("result.state"); got != "VERSION_MISMATCH" {
				t.Errorf("state %q", got)
			}
		})
		p.run("no TransferComplete", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{NoTransferComplete: true})
			client.Download(t.Context())
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantTask(task, "SUCCEEDED")
		})
		p.run("applied at once", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{Applied: true})
			p.wantTask(task, "ACKNOWLEDGED")
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantTask(task, "SUCCEEDED")
		})
		p.run("no upgrade parameters", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{Parameters: map[string]int{"softClient.upgrade.mode": 9005, "softClient.upgrade.size": 9008}})
			if client.Get("softClient.upgrade.targetVersion") != "2.1.0" {
				t.Error("the rest did not arrive")
			}
			client.Download(t.Context())
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantTask(task, "SUCCEEDED")
		})
		p.run("busy three times", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{Methods: map[string]int{"Download": 9001}})
			p.wantTask(task, "PENDING")
			p.done(client.Heartbeat(t.Context()))
			p.done(client.Heartbeat(t.Context()))
			p.wantTask(task, "FAILED")
		})
		p.run("reported again and again", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{})
			client.Download(t.Context())
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			key := p.commandKey(task)
			client.Queue(&cwmp.TransferComplete{CommandKey: key, FaultCode: 9010, FaultString: "again"})
			client.Queue(&cwmp.TransferComplete{CommandKey: "of nobody"})
			client.Queue(&cwmp.AutonomousTransferComplete{FileType: models.FirmwareImage, TransferURL: "http://elsewhere", IsDownload: true})
			p.done(client.Heartbeat(t.Context()))
			p.wantTask(task, "SUCCEEDED")
		})
		p.run("the CommandKey of another device", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{})
			account, thief := p.bound()
			thief.Queue(&cwmp.TransferComplete{CommandKey: p.commandKey(task)})
			p.done(thief.Heartbeat(t.Context()))
			p.wantTask(task, "ACKNOWLEDGED")
			p.waitForEvent(account, "SECURITY security.foreign_command_key", 1)
			client.Download(t.Context())
			p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
			p.wantTask(task, "SUCCEEDED")
		})
		// One device that lies must not keep the others of its software from their upgrade.
		p.run("a method that the client does not have", func(t *testing.T, p *platform) {
			client, task := begin(p, sim.Faults{Methods: map[string]int{"Download": 9000}})
			p.wantTask(task, "FAILED")
			ask := func(key string) string {
				d := p.query(`mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) { task { id } userErrors { code field } } }`, object{"i": object{
					"idempotencyKey": key + task, "kind": "DOWNLOAD", "packageId": packageID, "device": object{"id": p.deviceOf(client).text("id")}}})
				return fmt.Sprint(d.at("createDeviceTask.userErrors"))
			}
			if got := ask("1"); got != "[]" {
				t.Errorf("the next one: %s", got)
			}
		})
	})
}

// commandKey is that of a task: its id without the kind.
func (p *platform) commandKey(task string) string {
	p.t.Helper()
	s := subjectOf(p.t, task)
	return s.ID.String()
}

func TestLinkOverHTTP(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, client := p.bound()
		packageID := p.publish("2.1.0", nil)
		p.upgrade(client, packageID)
		var asked *cwmp.Download
		p.observe(client, func(e sim.Exchange) error {
			if m, ok := e.Got.(*cwmp.Download); ok {
				asked = m
			}
			return nil
		})
		p.done(client.Heartbeat(t.Context()))
		if asked == nil || asked.FileSize != int64(len(image("2.1.0"))) || asked.TargetFileName != "imspc-2.1.0.exe" || asked.DelaySeconds > 300 || len(asked.URL) > 256 {
			t.Fatalf("%+v", asked)
		}
		ask := func(method, url string, header ...string) (int, http.Header, []byte) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode, answer.Header, body
		}
		content := image("2.1.0")
		status, header, body := ask(http.MethodHead, asked.URL)
		if status != 200 || header.Get("Content-Length") != fmt.Sprint(len(content)) || len(body) != 0 || header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("HEAD: %d %v", status, header)
		}
		if status, _, body := ask(http.MethodGet, asked.URL); status != 200 || !bytes.Equal(body, content) {
			t.Errorf("GET: %d, %d bytes", status, len(body))
		}
		if status, _, body := ask(http.MethodGet, asked.URL, "Range", "bytes=10-19"); status != 206 || !bytes.Equal(body, content[10:20]) {
			t.Errorf("Range: %d %q", status, body)
		}
		if status, _, body := ask(http.MethodGet, asked.URL, "Range", "bytes=10-19", "If-Range", `"other"`); status != 200 || len(body) != len(content) {
			t.Errorf("a range of another file: %d", status)
		}
		if status, _, _ := ask(http.MethodGet, asked.URL, "Range", "bytes=999999999-"); status != 416 {
			t.Errorf("beyond the end: %d", status)
		}
		key, id := p.app.store.DeriveAll("download")[0], subjectOf(t, packageID).ID.String()
		origin := strings.TrimSuffix(p.south, "/acs")
		link := models.DownloadLink{FileID: id, Name: "imspc-2.1.0.exe", Device: models.DeviceHash(client.Key()), ExpiresAt: models.TimeOf(time.Now().Add(time.Hour))}
		over, nowhere, secret := link, link, link
		over.ExpiresAt = models.TimeOf(time.Now().Add(-time.Second))
		nowhere.FileID = models.NewID().String()
		secret.FileID, secret.Name = "..", "keys"
		for name, x := range map[string]struct {
			url  string
			want int
		}{
			"ours":             {link.URL(origin, key), 200},
			"over":             {over.URL(origin, key), 410},
			"nowhere":          {nowhere.URL(origin, key), 404},
			"another key":      {link.URL(origin, [32]byte{1}), 403},
			"another device":   {strings.Replace(asked.URL, "?d=", "?d=0", 1), 403},
			"another name":     {strings.Replace(asked.URL, ".exe?", ".bin?", 1), 403},
			"no signature":     {strings.Split(asked.URL, "?")[0], 403},
			"a path":           {origin + "/p/..%2f..%2fetc/passwd?d=1", 403},
			"a deeper path":    {origin + "/p/a/b/c", 404},
			"nothing":          {origin + "/p/", 404},
			"out of the house": {origin + "/p/%2e%2e/keys?" + strings.SplitN(secret.URL(origin, [32]byte{2}), "?", 2)[1], 403},
		} {
			if status, _, _ := ask(http.MethodGet, x.url); status != x.want {
				t.Errorf("%s: %d, not %d", name, status, x.want)
			}
		}
		if status, header, _ := ask(http.MethodPost, asked.URL); status != 405 || header.Get("Allow") == "" {
			t.Errorf("POST: %d", status)
		}
		var last int
		for range 20 {
			last, _, _ = ask(http.MethodHead, asked.URL)
		}
		if last != 429 {
			t.Errorf("after more than 20 requests: %d", last)
		}
		if status, _, _ := ask(http.MethodHead, link.URL(origin, key)); status != 200 {
			t.Errorf("another link: %d", status)
		}
		p.retire(packageID)
		if status, _, _ := ask(http.MethodHead, link.URL(origin, key)); status != 410 {
			t.Errorf("a retired package: %d", status)
		}
	})
}

// retire takes a package away.
func (p *platform) retire(id string) {
	p.t.Helper()
	p.query(`mutation($i: TargetActionInput!) { retirePackage(input: $i) { package { state } userErrors { code } } }`, object{"i": object{"id": id}})
}

func TestUploadOverHTTP(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, upload := p.announce("2.1.0", nil)
		content := image("2.1.0")
		bare := object{"url": upload.text("url"), "headers": []any{map[string]any{"name": "Authorization", "value": "Bearer 00"}}}
		for _, x := range []struct {
			name   string
			upload object
			body   []byte
			want   int
		}{
			{"without the token", bare, content, 401}, {"too large", upload, append(slices.Clone(content), 'x'), 413}, {"another file", upload, image("2.1.1"), 422},
			{"cut", upload, content[1:], 422}, {"right", upload, content, 201}, {"again", upload, content, 409},
			{"elsewhere", object{"url": "/uploads/nothing"}, content, 401},
		} {
			if status := p.put(x.upload, x.body); status != x.want {
				t.Errorf("%s: %d, not %d", x.name, status, x.want)
			}
		}
		if state := p.complete(id); state != "READY" {
			t.Errorf("the package is %s", state)
		}
		answer, err := http.Get(p.north + upload.text("url"))
		if err != nil || answer.StatusCode != 405 || answer.Header.Get("Allow") != "PUT" {
			t.Errorf("GET: %v %v", answer, err)
		}
		_ = answer.Body.Close()
		id, upload = p.announce("2.2.0", nil)
		p.put(upload, content)
		if state := p.complete(id); state != "REJECTED" {
			t.Errorf("the package is %s", state)
		}
		list := p.query(`{ packages(clientType: PC, states: [READY, REJECTED]) { nodes { id name models size sha256 state uploadedBy { ... on ApiClient { clientId } } } } }`, nil)
		if list.text("packages.nodes.1.state") != "READY" || list.text("packages.nodes.1.uploadedBy.clientId") != "bss" || list.at("packages.nodes.1.size") != float64(len(content)) {
			t.Errorf("%v", list)
		}
	})
}

// A client below the minimum version hears Status 18 and gets the newest package in the same session, and nothing of its service (resolutions 15).
func TestMinimumVersion(t *testing.T) {
	strict := func(c *Config) { c.I4.Upgrade.MinVersion = map[string]string{"PC": "2.1"} }
	eachPlatform(t, strict, func(t *testing.T, p *platform) {
		p.publish("2.1.0", nil)
		p.publish("2.2.0", nil)
		_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		for range 2 { // asked by the same CommandKey the second time
			p.want(18)(client.Register(t.Context(), longTerm))
		}
		if client.Get("softClient.upgrade.targetVersion") != "2.2.0" || client.Get("softClient.upgrade.mode") != "Mandatory" || client.Get("line.sip.authUserName") != "" {
			t.Errorf("target %q", client.Get("softClient.upgrade.targetVersion"))
		}
		if fault, n := client.Download(t.Context()); fault != 0 || n != 1 {
			t.Fatalf("fault %d in %d downloads", fault, n)
		}
		p.want(0)(client.Register(t.Context(), longTerm))
		p.done(client.Heartbeat(t.Context()))
	})
}

func TestRequestDownload(t *testing.T) {
	strict := func(c *Config) { c.I4.Upgrade.MinVersion = map[string]string{"PC": "2.1"} }
	eachPlatform(t, strict, func(t *testing.T, p *platform) {
		_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
		client := p.client(msisdn, nil)
		client.Set("deviceInfo.softwareVersion", "2.1.0")
		p.want(0)(client.Register(t.Context(), longTerm))
		p.publish("2.2.0", nil)
		ask := func() {
			t.Helper()
			client.Queue(&cwmp.RequestDownload{FileType: models.FirmwareImage, Args: []cwmp.Arg{{Name: "Version", Value: client.Get("deviceInfo.softwareVersion")}}})
			p.done(client.Inform(t.Context(), models.EventRequestDownload))
		}
		ask()
		if _, n := client.Download(t.Context()); n != 0 || client.Get("softClient.upgrade.targetVersion") != "2.1.0" {
			t.Errorf("%d downloads of %q", n, client.Get("softClient.upgrade.targetVersion"))
		}
		client.Set("deviceInfo.softwareVersion", "2.0.3")
		ask()
		ask() // the first one is on its way
		if fault, n := client.Download(t.Context()); fault != 0 || n != 1 {
			t.Fatalf("fault %d in %d downloads", fault, n)
		}
		p.done(client.Inform(t.Context(), models.EventBoot, models.EventPeriodic))
		if got := p.deviceOf(client).text("softwareVersion"); got != "2.2.0" {
			t.Errorf("the device has %s", got)
		}
		var methods []string
		p.observe(client, func(e sim.Exchange) error {
			if m, ok := e.Got.(*cwmp.GetRPCMethodsResponse); ok {
				methods = m.Methods
			}
			return nil
		})
		client.Queue(&cwmp.GetRPCMethods{})
		p.done(client.Heartbeat(t.Context()))
		if want := []string{"Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload"}; !slices.Equal(methods, want) {
			t.Errorf("the platform has %v", methods)
		}
	})
}

// Clients of an app store are told of the version and bring it themselves.
func TestNotifyOnly(t *testing.T) {
	stores := func(c *Config) {
		c.I4.Upgrade.NotifyOnly, c.I4.Upgrade.InfoURL = []string{"PC"}, map[string]string{"PC": "https://store.example.net/ims"}
	}
	eachPlatform(t, stores, func(t *testing.T, p *platform) {
		_, client := p.bound()
		task := p.upgrade(client, p.publish("2.1.0", nil))
		p.done(client.Heartbeat(t.Context()))
		p.wantTask(task, "ACKNOWLEDGED")
		if _, n := client.Download(t.Context()); n != 0 || client.Get("softClient.upgrade.mode") != "NotifyOnly" || client.Get("softClient.upgrade.infoURL") != "https://store.example.net/ims" {
			t.Errorf("%d downloads", n)
		}
		client.Set("deviceInfo.softwareVersion", "2.1.0")
		p.done(client.Heartbeat(t.Context()))
		p.wantTask(task, "SUCCEEDED")
	})
}

// subjectOf reads a global id.
func subjectOf(t *testing.T, id string) models.Subject {
	t.Helper()
	s, err := types.UnmarshalID(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
