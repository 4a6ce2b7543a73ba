package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// postMany posts n times the same operation at once and returns the bodies.
func (p *platform) postMany(n int, document string, variables object) []string {
	bodies := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { bodies[i] = p.raw(document, variables) })
	}
	wg.Wait()
	return bodies
}

func TestParallelDuplicatesAreOneMutation(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, msisdn, _ := p.provision(nil)
		for name, c := range map[string]struct {
			inputType, selection string
			input                object
		}{
			"provisionAccount": {"ProvisionAccountInput", "account { id version } replayed", object{"externalId": "many", "msisdn": "+8613700000001", "initialPassword": "example-Password-1"}},
			"modifyAccount":    {"ModifyAccountInput", "account { id version } replayed", object{"account": object{"msisdn": msisdn}, "displayName": "many"}},
			"registerDevice": {"RegisterDeviceInput", "device { id version } acsPassword replayed", object{
				"identity": object{"oui": "00005E", "productClass": "CPE", "serialNumber": "many"}, "clientType": "GENERIC"}},
		} {
			c.input["idempotencyKey"] = "many"
			document := fmt.Sprintf("mutation($i: %s!) { %s(input: $i) { %s userErrors { code message field } } }", c.inputType, name, c.selection)
			first, seen := 0, ""
			for _, body := range p.postMany(200, document, object{"i": c.input}) {
				var answer struct {
					Data   object
					Errors []any
				}
				if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Errors) > 0 {
					t.Fatalf("%s: %s", name, body)
				}
				payload, _ := answer.Data[name].(map[string]any)
				if payload["replayed"] == false {
					first++
				}
				delete(payload, "replayed")
				if same := fmt.Sprint(payload); seen == "" {
					seen = same
				} else if same != seen || strings.Contains(body, `"userErrors":[{`) {
					t.Errorf("%s: %s, another was answered %s", name, body, seen)
				}
			}
			if first != 1 {
				t.Errorf("%s: %d were the first", name, first)
			}
			c.input["idempotencyKey"] = "other"
			if name == "registerDevice" || name == "provisionAccount" {
				if body := p.raw(document, object{"i": c.input}); !strings.Contains(body, "ALREADY_EXISTS") {
					t.Errorf("%s with another key: %s", name, body)
				}
			}
		}
	})
}
