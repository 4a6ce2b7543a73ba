package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// mutations are inputs that are right; each test changes one field of a copy.
var mutations = []struct {
	name, inputType string
	input           map[string]any
}{
	{"provisionAccount", "ProvisionAccountInput", map[string]any{
		"externalId": "x-1", "msisdn": "+862162345678", "displayName": "王小明", "region": "north", "impi": "a@b", "impu": []any{"sip:a@b"}, "sipPassword": "example-sip-secret",
		"boundMobile": "+8613812340001", "imsi": "460001234567890", "broadbandAccount": "ad1", "screenSerial": "s1", "initialPassword": "example-Password-1",
		"services": []any{map[string]any{"code": "VIDEO", "enabled": true, "parameters": map[string]any{"MaxBitrate": "1"}}},
	}},
	{"modifyAccount", "ModifyAccountInput", map[string]any{
		"account": map[string]any{"externalId": "known"}, "displayName": "王小明", "region": "north", "impi": "a@b", "impu": []any{"sip:a@b"}, "sipPassword": "example-sip-secret",
		"boundMobile": "+8613812340001", "imsi": "460001234567890", "broadbandAccount": "ad1", "screenSerial": "s1",
		"services": []any{map[string]any{"code": "VIDEO", "enabled": true, "parameters": map[string]any{"MaxBitrate": "1"}}},
	}},
	{"activateAccount", "AccountActionInput", map[string]any{"account": map[string]any{"externalId": "pending"}, "note": "n", "workOrderExternalId": "o"}},
	{"registerDevice", "RegisterDeviceInput", map[string]any{
		"identity": map[string]any{"oui": "00005E", "productClass": "X", "serialNumber": "1"}, "clientType": "GENERIC", "manufacturer": "m", "model": "m",
		"acsUsername": "user", "acsPassword": "example-password", "tags": []any{"t"},
	}},
	{"createDeviceTask", "CreateDeviceTaskInput", map[string]any{
		"device": map[string]any{"identity": map[string]any{"oui": "00005E", "productClass": "X", "serialNumber": "known"}}, "kind": "SET_VALUES",
		"values": []any{map[string]any{"path": "Device.X", "value": "v", "type": "xsd:string"}},
	}},
	{"createDeviceTask", "CreateDeviceTaskInput", map[string]any{
		"device": map[string]any{"identity": map[string]any{"oui": "00005E", "productClass": "X", "serialNumber": "known"}}, "kind": "GET_VALUES", "paths": []any{"Device.X"},
	}},
	{"createDeviceTask", "CreateDeviceTaskInput", map[string]any{
		"device": map[string]any{"identity": map[string]any{"oui": "00005E", "productClass": "X", "serialNumber": "known"}}, "kind": "GET_NAMES", "objectPath": "Device.",
	}},
	{"saveRole", "SaveRoleInput", map[string]any{"name": "role", "permissions": []any{"ACCOUNT_READ"}, "regions": []any{"north"}}},
	{"saveOperator", "SaveOperatorInput", map[string]any{"username": "eva", "roleIds": []any{}, "initialPassword": "a-Good-example-password-1"}},
	{"saveApiClient", "SaveApiClientInput", map[string]any{"clientId": "client", "roleIds": []any{}, "allowedCidrs": []any{"192.0.2.0/24"}}},
	{"rotateApiClientSecret", "TargetActionInput", map[string]any{"id": "eA", "note": "n"}},
}

// places calls f for each text in v, with a copy of the whole in which that text is replaced.
func places(v any, path []string, f func(path []string, with func(text string) any)) {
	switch v := v.(type) {
	case string:
		f(path, func(text string) any { return text })
	case map[string]any:
		for name, child := range v {
			places(child, append(path[:len(path):len(path)], name), func(path []string, with func(string) any) {
				f(path, func(text string) any {
					c := map[string]any{}
					for n, other := range v {
						c[n] = other
					}
					c[name] = with(text)
					return c
				})
			})
		}
	case []any:
		for i, child := range v {
			places(child, append(path[:len(path):len(path)], fmt.Sprint(i)), func(path []string, with func(string) any) {
				f(path, func(text string) any {
					c := append([]any{}, v...)
					c[i] = with(text)
					return c
				})
			})
		}
	}
}

var hostile = map[string]string{
	"10 KiB":        strings.Repeat("x", 10<<10),
	"digits":        strings.Repeat("1", 10<<10),
	"10 Ki of han":  strings.Repeat("漢", 10<<10),
	"300 smileys":   strings.Repeat("😀", 300),
	"nothing":       "",
	"space":         " ",
	"space behind":  "x ",
	"NUL":           "a\x00b",
	"right to left": "a\u202eb",
	"full width":    "+８６２１６２３４５６７８",
	"BOM":           "\ufeffx",
	"SQL":           "' OR 1=1 --",
	"pattern":       "%_!",
	"prototype":     "__proto__",
	"lines":         "a\nb",
	"replacement":   "\ufffd",
	"no character":  "\uffff",
	"combining":     "\u0301",
}

// A text of any length or kind in any field is stored or refused by name; what MariaDB would not take never reaches it.
func TestHostileTextsAreRefusedByField(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("known", "+862162345600", nil))
		h.must(h.bss, provisionAccount, h.input("pending", "+862162345601", map[string]any{"activate": false}))
		h.must(h.bss, registerDevice, device("known", nil))
		for _, m := range mutations {
			mutation := fmt.Sprintf(`mutation($i: %s!) { %s(input: $i) { replayed userErrors { code message field } } }`, m.inputType, m.name)
			input := map[string]any{}
			for name, value := range m.input {
				input[name] = value
			}
			if !strings.HasPrefix(m.name, "save") {
				input["idempotencyKey"] = "key"
			}
			places(input, nil, func(path []string, with func(string) any) {
				for name, text := range hostile {
					changed := with(text).(map[string]any)
					if _, keyed := input["idempotencyKey"]; keyed && path[0] != "idempotencyKey" {
						h.keys++
						changed["idempotencyKey"] = fmt.Sprintf("hostile-%d", h.keys)
					}
					a := h.ask(h.bss, mutation, map[string]any{"i": changed})
					if code := a.code(); a.status != 200 || code != nil && code != "BAD_USER_INPUT" {
						h.Errorf("%s %v %s: %d %.400s", m.name, path, name, a.status, a.text)
					}
					if name != "10 Ki of han" || path[0] == "account" || path[0] == "device" || path[0] == "id" || path[0] == "services" {
						continue // a name of nothing is NOT_FOUND; the bounds of service parameters are those of the profile
					}
					field := fmt.Sprint(dig(a.body["data"], m.name+".userErrors.0.field"))
					if a.code() != nil {
						field = fmt.Sprint(dig(a.body["errors"], "0.extensions.field"))
					}
					if !strings.Contains(field, path[0]) {
						h.Errorf("%s %v %s is about %s: %.300s", m.name, path, name, field, a.text)
					}
				}
			})
		}
	})
}

// In the field a filter of 50,000 tags kept a processor busy for half a minute and ended as INTERNAL.
func TestHostileFiltersAreRefused(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", nil))
		h.must(h.bss, registerDevice, device("d-1", map[string]any{"tags": []any{"x"}}))
		types := map[string]string{"accounts": "AccountFilter", "devices": "DeviceFilter", "events": "EventFilter"}
		ask := func(root, field string, value any) answer {
			return h.ask(h.bss, fmt.Sprintf(`query($f: %s) { %s(filter: $f) { nodes { id } } }`, types[root], root), map[string]any{"f": map[string]any{field: value}})
		}
		many := func(n int, value string) []string { return slices.Repeat([]string{value}, n) }
		for place, values := range map[string]map[string][]string{
			"accounts": {"states": {"ACTIVE"}},
			"devices": {"ids": {"eA"}, "models": {"x"}, "softwareVersions": {"x"}, "tagsAll": {"x"}, "tagsAny": {"x"}, "regions": {"x"},
				"reachability": {"ONLINE", "STALE", "OFFLINE"}, "clientTypes": {"PC"}},
			"events": {"types": {"SECURITY"}, "subjectIds": {"eA"}, "accountIds": {"eA"}, "deviceIds": {"eA"}, "regions": {"x"}, "clientTypes": {"PC"}},
		} {
			for field, each := range values {
				for _, value := range each {
					if a := ask(place, field, many(100, value)); a.status != 200 || a.body["errors"] != nil {
						h.Errorf("%s by 100 %s: %d %.300s", place, field, a.status, a.text)
					}
					if a := ask(place, field, many(101, value)); a.code() != "BAD_USER_INPUT" || fmt.Sprint(dig(a.body["errors"], "0.extensions.field")) != "[filter "+field+"]" {
						h.Errorf("%s by 101 %s: %.300s", place, field, a.text)
					}
					// GraphQL 3.11: one value stands for a list of one, in a variable as in a document.
					if a := ask(place, field, value); a.body["errors"] != nil {
						h.Errorf("%s by one %s: %.300s", place, field, a.text)
					}
				}
			}
		}
		ask("devices", "tagsAny", "x").want("devices.nodes.0.id", ask("devices", "text", "d-1").at("devices.nodes.0.id"))
		for _, text := range hostile {
			for place, field := range map[string]string{"accounts": "text", "devices": "text", "events": "regions"} {
				if a := ask(place, field, text); a.code() != nil && a.code() != "BAD_USER_INPUT" {
					h.Errorf("%s by %s %.20q: %.300s", place, field, text, a.text)
				}
			}
		}
	})
}

// A variable with a default may be null all the same; the library panics on such a condition.
func TestConditionsAreTrueOrFalse(t *testing.T) {
	h := onSQLite(t, false)
	for _, query := range []string{
		`query($x: Boolean = true) { viewer @include(if: $x) { regions } }`, `query($x: Boolean = false) { viewer @skip(if: $x) { regions } }`,
		`query($x: Boolean = false) { ... @skip(if: $x) { viewer { regions } } }`,
		`query($x: Boolean = false) { ...F @skip(if: $x) } fragment F on Query { viewer { regions } }`,
	} {
		h.ask(h.bss, query, map[string]any{"x": nil}).refused(200, models.BadUserInput)
		h.must(h.bss, query, nil).want("viewer.regions", "[]")
	}
	h.must(h.bss, `{ viewer @include(if: true) @skip(if: true) { regions } __typename }`, nil).want("viewer", nil)
}
