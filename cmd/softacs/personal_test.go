package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

// A desk without PII_READ saw the number of a customer masked, and the same number in full in what the client had reported.
func TestPersonalDataIsMaskedWhereverItShows(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		id, client := p.bound()
		number := strings.TrimPrefix(client.Get("line.directoryNumber"), "+")
		p.mutate("createDeviceTask", "task { id }", object{
			"idempotencyKey": "t" + id, "device": object{"id": p.deviceOf(client).text("id")}, "kind": "GET_VALUES",
			"paths": []string{mustPath(t, "line.directoryNumber"), mustPath(t, "line.sip.uri"), mustPath(t, "deviceInfo.softwareVersion")},
		})
		p.done(client.Heartbeat(t.Context()))

		show := func() string {
			return p.raw(`query($id: ID!) { account: node(id: $id) { ... on Account { msisdn impi impu bindings { nodes { device {
				ipAddress parameters(first: 100) { nodes { path value } } tasks { nodes { request result } } } } } } } }`, object{"id": id})
		}
		if seen := show(); !strings.Contains(seen, `"value":"+`+number) || strings.Contains(seen, "****") {
			t.Errorf("who may read personal data sees %s", seen)
		}
		role := p.mutate("saveRole", "role { id }", object{"name": "blind-desk", "permissions": []string{"ACCOUNT_READ", "DEVICE_READ"}, "regions": []string{}})
		made := p.mutate("saveApiClient", "apiClient { id version }", object{"clientId": "desk", "roleIds": []string{role.text("role.id")}, "enabled": true, "allowedCidrs": []string{}})
		rotated := p.query(`mutation($input: TargetActionInput!) { rotateApiClientSecret(input: $input) { secret userErrors { message } } }`,
			object{"input": object{"id": made.text("apiClient.id"), "idempotencyKey": "r"}})
		q := *p
		q.token = p.accessToken("desk", rotated.text("rotateApiClientSecret.secret"))
		p = &q
		seen := show()
		if strings.Contains(seen, number) || !strings.Contains(seen, "****") || !strings.Contains(seen, client.Get("deviceInfo.softwareVersion")) {
			t.Errorf("who may not sees %s", seen)
		}
	})
}

func mustPath(t *testing.T, name string) string {
	t.Helper()
	path, ok := profile.Path(name)
	if !ok {
		t.Fatal("no path for", name)
	}
	return path
}

// The URL of the SMS centre holds a password. A centre that refuses it, or is not there, is complained of without it.
func TestPasswordOfTheSMSCentreIsNotTold(t *testing.T) { // not parallel: it replaces the log of the process
	log := record(t)
	const password = "plntsmpp"
	refusing := smpptest.Start(t, smpptest.Config{Bind: func(smpp.Bind) smpp.Status { return smpp.InvalidPassword }})
	for n, host := range []string{"127.0.0.1:1", "no-such-host.invalid:2775", refusing.Addr()} {
		c := labConfig(t, storetest.SQLite(t), func(c *Config) { c.SMS = models.Secret("smpp://softacs:" + password + "@" + host + "?source=10086") })
		p := startPlatform(t, c)
		storetest.Eventually(t, "the centre is complained of", func() bool { return strings.Count(log.String(), "the SMS centre is not connected") > n })
		if strings.Contains(p.scrape()+fmt.Sprintf("%v %+v %#v", c, c, c.SMS), password) {
			t.Error("the metrics or a printed configuration show the password")
		}
	}
	for _, wrong := range []string{"smpp://softacs:" + password + "@", "smpp://softacs:" + password + "@host:x", "smpp:softacs:" + password, "smpp://softacs:" + password + "@host:2775?nonsense=1", "smpp://softacs:" + password + "@host:2775"} {
		c := defaultConfig()
		c.Lab, c.SMS = true, models.Secret(wrong)
		err := c.complete()
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	if strings.Contains(log.String(), password) {
		t.Error(log.String())
	}
}
