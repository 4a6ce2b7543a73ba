package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/sim"
)

// image is the content of a package.
func image(version string) []byte { return []byte(strings.Repeat("image of "+version+"\n", 5000)) }

// put brings a body to an upload and returns the status.
func (p *platform) put(upload object, body []byte) int {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, p.north+upload.text("url"), bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	headers, _ := upload["headers"].([]any)
	for _, h := range headers {
		header := object(h.(map[string]any))
		r.Header.Set(header.text("name"), header.text("value"))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// announce begins the upload of a package of that version and returns the package and the upload.
func (p *platform) announce(version string, more object) (packageID string, upload object) {
	p.t.Helper()
	content := image(version)
	sum := sha256.Sum256(content)
	input := object{
		"idempotencyKey": "package-" + version, "name": "imspc-" + version + ".exe", "softwareVersion": version, "clientType": "PC", "models": []string{},
		"size": len(content), "sha256": hex.EncodeToString(sum[:]),
	}
	for k, v := range more {
		input[k] = v
	}
	payload := p.mutate("startPackageUpload", "package { id state } upload { url headers { name value } maxBytes }", input)
	u, _ := payload["upload"].(map[string]any)
	return payload.text("package.id"), u
}

// publish takes a package of that version to READY.
func (p *platform) publish(version string, more object) (packageID string) {
	p.t.Helper()
	id, upload := p.announce(version, more)
	if status := p.put(upload, image(version)); status != http.StatusCreated {
		p.t.Fatalf("PUT: %d", status)
	}
	if state := p.complete(id); state != "READY" {
		p.t.Fatalf("the package is %s", state)
	}
	return id
}

func (p *platform) complete(id string) string {
	p.t.Helper()
	d := p.query(`mutation($i: TargetActionInput!) { completePackageUpload(input: $i) { package { state signatureValid } userErrors { code message } } }`, object{"i": object{"id": id}})
	return d.text("completePackageUpload.package.state")
}

// upgrade asks for a download and returns its task.
func (p *platform) upgrade(client *sim.Client, packageID string) (taskID string) {
	p.t.Helper()
	device := p.deviceOf(client)
	return p.mutate("createDeviceTask", "task { id state }", object{
		"idempotencyKey": "upgrade-" + packageID + string(client.Key()), "device": object{"id": device.text("id")}, "kind": "DOWNLOAD", "packageId": packageID,
	}).text("task.id")
}

// task reads a task.
func (p *platform) task(id string) object {
	p.t.Helper()
	d := p.query(`query($id: ID!) { node(id: $id) { ... on DeviceTask { state attempts request result fault { code message } } } }`, object{"id": id})
	task, _ := d["node"].(map[string]any)
	return task
}

// wantTask checks the state of a task.
func (p *platform) wantTask(id, state string) object {
	p.t.Helper()
	task := p.task(id)
	if task.text("state") != state {
		p.t.Fatalf("the task is %v, not %s", task, state)
	}
	return task
}

// The whole flow 6.1.7 for one device: a package comes in, the client is asked to download it, does, starts with the new version.
func TestUpgrade(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		client := p.client(msisdn, nil)
		p.login(client, mobile)
		task := p.upgrade(client, p.publish("2.1.0", nil))
		p.done(client.Heartbeat(t.Context()))
		p.wantTask(task, "ACKNOWLEDGED")
		client.SetFaults(sim.Faults{BreakOff: 1000})
		if fault, n := client.Download(t.Context()); fault != 0 || n != 1 {
			t.Fatalf("fault %d in %d downloads", fault, n)
		}
		p.done(client.Boot(t.Context()))
		if got := p.wantTask(task, "SUCCEEDED").text("result.softwareVersion"); got != "2.1.0" || p.deviceOf(client).text("softwareVersion") != "2.1.0" {
			t.Errorf("the device has %s", got)
		}
		p.waitForEvent(id, "TASK_STATE_CHANGED task.succeeded SUCCEEDED", 1)
	})
}
