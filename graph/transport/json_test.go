package transport

import (
	"encoding/json"
	"testing"

	"github.com/softacs/softacs/models"
)

// FuzzDecode: whatever comes, the answer is parameters or BAD_USER_INPUT, and what is taken says the same to a common reader.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"query": "{ __typename }"}`, `{"query": "x", "variables": {"a": [1, {"b": null}], "c": {}}, "operationName": "y", "extensions": null}`,
		`{"query": "x", "query": "y"}`, `[]`, `{"query": "x"} {`, `{"a": {"a": {"a": 1}}}`, "\xff", `{"query":"\ud800"}`, `{"variables":{"a":1,"a":2},"query":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		params, err := decode(body)
		if err != nil {
			if models.CodeOf(err) != models.BadUserInput {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		var plain struct {
			Query         string
			OperationName string
		}
		if err := json.Unmarshal(body, &plain); err != nil || plain.Query != params.Query || plain.OperationName != params.OperationName {
			t.Fatalf("%q: %+v, a common reader %+v %v", body, params, plain, err)
		}
	})
}
