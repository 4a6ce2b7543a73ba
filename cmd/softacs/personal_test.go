package main

import (
	"strings"
	"testing"
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
