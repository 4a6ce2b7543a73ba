package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// builtIn is resolutions 69, as far as a field that is served needs a permission of it.
var builtIn = map[string]string{
	"bss":        "ACCOUNT_READ ACCOUNT_WRITE ACCOUNT_CARE PII_READ SECRET_READ DEVICE_READ EVENT_READ WEBHOOK_ADMIN",
	"care":       "ACCOUNT_READ ACCOUNT_CARE DEVICE_READ EVENT_READ DIAG_RUN",
	"care-lead":  "ACCOUNT_READ ACCOUNT_CARE PII_READ DEVICE_READ DEVICE_WRITE EVENT_READ DIAG_RUN TRACE_RUN",
	"operations": "DEVICE_READ DEVICE_WRITE EVENT_READ PACKAGE_WRITE TRACE_RUN UPGRADE_READ DIAG_RUN",
	"security":   "OPERATOR_ADMIN",
	"auditor":    "AUDIT_READ EVENT_READ",
	"admin":      "AUDIT_READ PII_READ ACCOUNT_READ ACCOUNT_WRITE ACCOUNT_CARE SECRET_READ DEVICE_READ DEVICE_WRITE EVENT_READ OPERATOR_ADMIN PACKAGE_WRITE TRACE_RUN UPGRADE_READ WEBHOOK_ADMIN DIAG_RUN",
}

const (
	accountRef = `account: {externalId: "x"}`
	deviceRef  = `device: {identity: {oui: "00005E", productClass: "X", serialNumber: "x"}}`
)

// operations are one for every root field, and for every field below with a permission of its own, with what they need.
var operations = map[string]string{
	`{ viewer { __typename } }`:                                                                         "",
	`{ node(id: "eA") { id } }`:                                                                         "",
	`{ nodes(ids: ["eA"]) { id } }`:                                                                     "",
	`{ account(ref: {externalId: "x"}) { __typename } }`:                                                "ACCOUNT_READ",
	`{ accounts { totalCount } }`:                                                                       "ACCOUNT_READ",
	`{ device(ref: {id: "eA"}) { __typename } }`:                                                        "DEVICE_READ",
	`{ devices { pageInfo { hasNextPage } } }`:                                                          "DEVICE_READ",
	`{ devices { nodes { events { pageInfo { hasNextPage } } } } }`:                                     "DEVICE_READ EVENT_READ",
	`{ devices { nodes { sessions { pageInfo { hasNextPage } } } } }`:                                   "DEVICE_READ TRACE_RUN",
	`mutation { startDeviceTrace(input: {` + deviceRef + `, reason: ""}) { replayed } }`:                "TRACE_RUN",
	`mutation { cancelDeviceTask(input: {id: "eA"}) { replayed } }`:                                     "DEVICE_WRITE",
	`{ accounts { nodes { sipPassword } } }`:                                                            "ACCOUNT_READ SECRET_READ",
	`{ accounts { nodes { bindings { nodes { __typename } } } } }`:                                      "ACCOUNT_READ DEVICE_READ",
	`{ accounts { nodes { health { level } } } }`:                                                       "ACCOUNT_READ",
	`{ accounts { nodes { timeline { pageInfo { hasNextPage } } } } }`:                                  "ACCOUNT_READ EVENT_READ",
	`{ search(text: "x") { __typename } }`:                                                              "ACCOUNT_READ",
	`{ search(text: "x") { ... on Device { id } } }`:                                                    "ACCOUNT_READ DEVICE_READ",
	`{ auditEntries { pageInfo { hasNextPage } } }`:                                                     "AUDIT_READ",
	`mutation { revealPersonalData(input: {` + accountRef + `, fields: [], reason: ""}) { replayed } }`: "PII_READ",
	`mutation { sendNotice(input: {idempotencyKey: "", ` + accountRef + `, text: ""}) { replayed } }`:   "ACCOUNT_CARE",
	`{ events { horizon } }`:                                                                            "EVENT_READ",
	`{ eventHead }`:                                                                                     "EVENT_READ",
	`{ package(id: "eA") { __typename } }`:                                                              "UPGRADE_READ",
	`{ packages { nodes { __typename } } }`:                                                             "UPGRADE_READ",
	`{ operators { __typename } }`:                                                                      "OPERATOR_ADMIN",
	`{ roles { __typename } }`:                                                                          "OPERATOR_ADMIN",
	`{ apiClients { __typename } }`:                                                                     "OPERATOR_ADMIN",
	`{ viewer { actor { ... on ApiClient { enabled } } } }`:                                             "OPERATOR_ADMIN",
	`{ webhooks { __typename } }`:                                                                       "WEBHOOK_ADMIN",
	`mutation { saveWebhook(input: {url: "", types: []}) { replayed } }`:                                "WEBHOOK_ADMIN",
	`mutation { rewindWebhook(input: {id: "eA", cursor: ""}) { replayed } }`:                            "WEBHOOK_ADMIN",
	`{ configTask(id: "eA") { __typename } }`:                                                           "DEVICE_READ",
	`{ configTasks { nodes { __typename } } }`:                                                          "DEVICE_READ",
	`mutation { provisionAccount(input: {idempotencyKey: "", externalId: "", msisdn: "+862162345678"}) { replayed } }`:                                          "ACCOUNT_WRITE",
	`mutation { modifyAccount(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                                  "ACCOUNT_WRITE",
	`mutation { activateAccount(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                                "ACCOUNT_WRITE",
	`mutation { resumeAccount(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                                  "ACCOUNT_WRITE",
	`mutation { terminateAccount(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                               "ACCOUNT_WRITE",
	`mutation { unlockAccount(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                                  "ACCOUNT_CARE",
	`mutation { endLogins(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                                      "ACCOUNT_CARE",
	`mutation { resetAccountPassword(input: {idempotencyKey: "", ` + accountRef + `}) { replayed } }`:                                                           "ACCOUNT_CARE",
	`mutation { suspendAccount(input: {idempotencyKey: "", ` + accountRef + `, reason: FRAUD}) { replayed } }`:                                                  "ACCOUNT_WRITE",
	`mutation { registerDevice(input: {idempotencyKey: "", identity: {oui: "", productClass: "", serialNumber: ""}, clientType: PC}) { replayed } }`:            "DEVICE_WRITE",
	`mutation { createConfigTask(input: {idempotencyKey: "", name: "", filter: {}, values: []}) { replayed } }`:                                                 "DEVICE_WRITE",
	`mutation { cancelConfigTask(input: {id: "eA"}) { replayed } }`:                                                                                             "DEVICE_WRITE",
	`mutation { redeliverConfiguration(input: {idempotencyKey: "", ` + deviceRef + `}) { replayed } }`:                                                          "ACCOUNT_CARE",
	`mutation { updateDevice(input: {` + deviceRef + `}) { replayed } }`:                                                                                        "DEVICE_WRITE",
	`mutation { createDeviceTask(input: {idempotencyKey: "", ` + deviceRef + `, kind: REBOOT}) { replayed } }`:                                                  "DEVICE_WRITE",
	`{ diagnostic(id: "eA") { __typename } }`:                                                                                                                   "DIAG_RUN",
	`{ devices { nodes { diagnostics { nodes { __typename } } } } }`:                                                                                            "DEVICE_READ DIAG_RUN",
	`mutation { runDiagnostic(input: {idempotencyKey: "", ` + deviceRef + `, kind: IP_PING}) { replayed } }`:                                                    "DIAG_RUN",
	`mutation { startPackageUpload(input: {idempotencyKey: "", name: "", softwareVersion: "", clientType: PC, models: [], size: 1, sha256: ""}) { replayed } }`: "PACKAGE_WRITE",
	`mutation { completePackageUpload(input: {id: "eA"}) { replayed } }`:                                                                                        "PACKAGE_WRITE",
	`mutation { retirePackage(input: {id: "eA"}) { replayed } }`:                                                                                                "PACKAGE_WRITE",
	`mutation { saveRole(input: {name: "", permissions: [], regions: []}) { replayed } }`:                                                                       "OPERATOR_ADMIN",
	`mutation { saveOperator(input: {username: "", roleIds: []}) { replayed } }`:                                                                                "OPERATOR_ADMIN",
	`mutation { saveApiClient(input: {clientId: "", roleIds: []}) { replayed } }`:                                                                               "OPERATOR_ADMIN",
	`mutation { rotateApiClientSecret(input: {id: "eA"}) { replayed } }`:                                                                                        "OPERATOR_ADMIN",
	`mutation { signOut { revokedSessions } }`:                                                                                                                  "",
	`mutation { signIn(username: "x", password: "x") { replayed } }`:                                                                                            "",
	`mutation { refreshSession { replayed } }`:                                                                                                                  "UNAUTHENTICATED",
}

func TestBuiltInRolesMayDoWhatTheyAreFor(t *testing.T) {
	h := onSQLite(t, false)
	asked := strings.Join(slices.Collect(maps.Keys(operations)), "")
	for _, root := range []string{"Query", "Mutation"} {
		for _, f := range h.must(h.bss, fmt.Sprintf(`{ __type(name: "%s") { fields { name } } }`, root), nil).at("__type.fields").([]any) {
			if name := fmt.Sprint(dig(f, "name")); !strings.Contains(asked, "{ "+name+" ") && !strings.Contains(asked, "{ "+name+"(") {
				t.Errorf("no operation asks for %s.%s", root, name)
			}
		}
	}
	roles := h.must(h.bss, `{ roles { id name } }`, nil).at("roles").([]any)
	if len(roles) != len(builtIn) {
		t.Errorf("built-in roles %v", roles)
	}
	for _, role := range roles {
		name := fmt.Sprint(dig(role, "name"))
		token := h.with("is-"+name, dig(role, "id"))
		for operation, needs := range operations {
			want := ""
			for _, p := range strings.Fields(needs) {
				switch {
				case p == "UNAUTHENTICATED":
					want = p
				case !slices.Contains(strings.Fields(builtIn[name]), p):
					want = string(models.Forbidden)
				}
			}
			a := h.ask(token, operation, nil)
			if got := a.code(); got == nil && want != "" || got != nil && got != want {
				t.Errorf("%s: %s gives %v, want %q", name, operation, got, want)
			}
		}
	}
}
