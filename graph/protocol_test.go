package graph_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
)

// post sends a body as it is.
func (h *house) post(body string, header map[string]string) answer {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+h.bss)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return h.serve(r)
}

func TestBodiesAreReadStrictly(t *testing.T) {
	h := onSQLite(t, false)
	secret := "hunter2-hunter2"
	for name, body := range map[string]string{
		"empty":                 ``,
		"no JSON":               secret,
		"unfinished":            `{"query": "{ __typename }"`,
		"trailing garbage":      `{"query": "{ __typename }"} ` + secret,
		"two objects":           `{"query": "{ __typename }"}{"query": "{ __typename }"}`,
		"a batch":               `[{"query": "{ __typename }"}]`,
		"a string":              `"{ __typename }"`,
		"null":                  `null`,
		"no query":              `{"variables": {}}`,
		"null query":            `{"query": null}`,
		"empty query":           `{"query": ""}`,
		"query a number":        `{"query": 1}`,
		"operationName a list":  `{"query": "{ __typename }", "operationName": ["x"]}`,
		"variables a string":    `{"query": "{ __typename }", "variables": "` + secret + `"}`,
		"variables a list":      `{"query": "{ __typename }", "variables": []}`,
		"extensions a number":   `{"query": "{ __typename }", "extensions": 0}`,
		"unknown member":        `{"query": "{ __typename }", "` + secret + `": 1}`,
		"member in other case":  `{"Query": "{ __typename }"}`,
		"same member twice":     `{"query": "{ __typename }", "query": "{ viewer { regions } }"}`,
		"same variable twice":   `{"query": "{ __typename }", "variables": {"a": {"b": 1, "c": [{}], "b": 2}}}`,
		"escaped the same name": `{"query": "{ __typename }", "qu\u0065ry": "{ viewer { regions } }"}`,
		"not UTF-8":             "{\"query\": \"{ __typename }\", \"operationName\": \"\xff\"}",
		"byte order mark":       "\ufeff{\"query\": \"{ __typename }\"}",
		"nested deeply":         `{"query": "{ __typename }", "variables": {"a": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`,
		"nested very deeply":    `{"query": "{ __typename }", "variables": {"a": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`,
	} {
		a := h.post(body, nil)
		if a.refused(http.StatusBadRequest, models.BadUserInput); t.Failed() {
			t.Fatalf("%s: %d %s", name, a.status, a.text)
		}
		if strings.Contains(a.text, secret) || strings.Contains(a.text, `"data"`) {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	for name, body := range map[string]string{
		"nulls":      `{"query": "{ __typename }", "variables": null, "operationName": null, "extensions": null}`,
		"extensions": `{"query": "query A { __typename }", "operationName": "A", "extensions": {"x": [1, {"y": 2}]}}`,
		"space":      " \r\n\t{\"query\": \"{ __typename }\"}\n",
	} {
		if a := h.post(body, nil); a.status != http.StatusOK || a.at("__typename") != "Query" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

func TestStatusAndMediaType(t *testing.T) {
	h := onSQLite(t, false)
	const graphqlJSON, plainJSON = "application/graphql-response+json", "application/json"
	accept := func(types string) map[string]string { return map[string]string{"Accept": types} }
	fine := `{"query": "{ __typename }"}`
	for _, c := range []struct {
		name, body string
		header     map[string]string
		status     int
		media      string
	}{
		{"no preference", fine, nil, 200, plainJSON},
		{"anything", fine, accept("*/*"), 200, plainJSON},
		{"the new one", fine, accept(graphqlJSON), 200, graphqlJSON},
		{"both", fine, accept(plainJSON + ", " + graphqlJSON), 200, graphqlJSON},
		{"both, weighed", fine, accept(plainJSON + ", " + graphqlJSON + ";q=0.5"), 200, plainJSON},
		{"browser-like", fine, accept("text/html, */*;q=0.1"), 200, plainJSON},
		{"charset", fine, accept(graphqlJSON + "; charset=utf-8"), 200, graphqlJSON},
		{"other charset", fine, accept(graphqlJSON + "; charset=latin1"), 406, plainJSON},
		{"none of ours", fine, accept("text/html"), 406, plainJSON},
		{"refused", fine, accept(plainJSON + ";q=0"), 406, plainJSON},
		{"parse error", `{"query": "{"}`, accept(plainJSON), 200, plainJSON},
		{"parse error, new", `{"query": "{"}`, accept(graphqlJSON), 400, graphqlJSON},
		{"invalid", `{"query": "{ nothing }"}`, accept(plainJSON), 200, plainJSON},
		{"invalid, new", `{"query": "{ nothing }"}`, accept(graphqlJSON), 400, graphqlJSON},
		{"bad variable, new", `{"query": "query($i: ID!) { node(id: $i) { id } }", "variables": {}}`, accept(graphqlJSON), 400, graphqlJSON},
		{"forbidden, new", `{"query": "{ __typename }", "x": 1}`, accept(graphqlJSON), 400, graphqlJSON},
		{"no operation", `{"query": "fragment F on Query { __typename }"}`, accept(graphqlJSON), 400, graphqlJSON},
		{"unknown operation", `{"query": "query A { __typename }", "operationName": "B"}`, accept(graphqlJSON), 400, graphqlJSON},
		{"subscription", `{"query": "subscription { __typename }"}`, accept(graphqlJSON), 400, graphqlJSON},
		{"other content type", fine, map[string]string{"Content-Type": "text/plain"}, 415, plainJSON},
		{"no content type", fine, map[string]string{"Content-Type": ""}, 415, plainJSON},
		{"form", fine, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, plainJSON},
		{"request charset", fine, map[string]string{"Content-Type": "application/json; charset=UTF-8"}, 200, plainJSON},
		{"other request charset", fine, map[string]string{"Content-Type": "application/json; charset=gbk"}, 415, plainJSON},
		{"compressed", fine, map[string]string{"Content-Encoding": "gzip"}, 415, plainJSON},
		{"just fits", `{"query": "{ __typename }"}` + strings.Repeat(" ", 256<<10-27), nil, 200, plainJSON},
		{"too large", `{"query": "{ __typename }"}` + strings.Repeat(" ", 256<<10), nil, 413, plainJSON},
	} {
		a := h.post(c.body, c.header)
		if a.status != c.status || a.header.Get("Content-Type") != c.media+"; charset=utf-8" {
			t.Errorf("%s: %d %s, want %d %s\n%s", c.name, a.status, a.header.Get("Content-Type"), c.status, c.media, a.text)
		}
		if _, hasData := a.body["data"]; hasData == (a.body["errors"] != nil) {
			t.Errorf("%s: data and errors: %s", c.name, a.text)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", c.name)
		}
	}
	for _, method := range []string{"HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		a := h.serve(httptest.NewRequest(method, "/graphql?query={__typename}", nil))
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d %q", method, a.status, a.header.Get("Allow"))
		}
	}
}

func TestErrorsTellACodeAndNoMore(t *testing.T) {
	h := onSQLite(t, false)
	for query, code := range map[string]string{
		`{`:               "GRAPHQL_PARSE_FAILED",
		`{ nothing }`:     "GRAPHQL_VALIDATION_FAILED",
		`{ node(id: 1) }`: "GRAPHQL_VALIDATION_FAILED",
		`mutation { signIn(username: "x", password: 4711) { accessToken } }`:                                                      "GRAPHQL_VALIDATION_FAILED",
		`mutation { signIn(username: "x", password: "4711 4711`:                                                                   "GRAPHQL_PARSE_FAILED",
		`{ account(ref: {}) { id } }`:                                                                                             "GRAPHQL_VALIDATION_FAILED",
		`{ account(ref: {msisdn: "4711"}) { id } }`:                                                                               "BAD_USER_INPUT",
		`{ accounts(first: 1, last: 1) { nodes { id } } }`:                                                                        "BAD_USER_INPUT",
		`{ accounts(first: 0) { nodes { id } } }`:                                                                                 "BAD_USER_INPUT",
		`{ accounts(first: 101) { nodes { id } } }`:                                                                               "BAD_USER_INPUT",
		`{ accounts(last: -1) { nodes { id } } }`:                                                                                 "BAD_USER_INPUT",
		`{ events(first: 1001) { nodes { id } } }`:                                                                                "BAD_USER_INPUT",
		`{ events(after: "nonsense") { nodes { id } } }`:                                                                          "BAD_USER_INPUT",
		`{ accounts(filter: {updated: {from: "yesterday", to: "2026-01-01T00:00:00Z"}}) { nodes { id } } }`:                       "BAD_USER_INPUT",
		`{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`:                                      "GRAPHQL_VALIDATION_FAILED",
		`query A { ...F } fragment F on Query { ...G } fragment G on Query { ...F }`:                                              "GRAPHQL_VALIDATION_FAILED",
		`{ accounts(filter: {text: "` + strings.Repeat("x", 10) + `"}, sort: MSISDN, first: 2, after: "QUFB") { nodes { id } } }`: "BAD_USER_INPUT",
	} {
		a := h.ask(h.bss, query, nil)
		a.refused(http.StatusOK, models.Code(code))
		if strings.Contains(a.text, "4711") {
			t.Errorf("%s: %s", query, a.text)
		}
	}
	for _, c := range []struct {
		query     string
		variables map[string]any
		field     string
	}{
		{`query($r: AccountRef!) { account(ref: $r) { id } }`, map[string]any{"r": map[string]any{}}, "[ref]"},
		{`query($r: AccountRef!) { account(ref: $r) { id } }`, map[string]any{"r": map[string]any{"id": "x", "externalId": "y"}}, "[ref]"},
		{`query($r: AccountRef!) { account(ref: $r) { id } }`, map[string]any{"r": map[string]any{"id": "x", "externalId": nil}}, "[ref]"},
		{`query($r: AccountRef!) { account(ref: $r) { id } }`, map[string]any{"r": map[string]any{"id": nil}}, "[ref]"},
		{`query($r: AccountRef!) { account(ref: $r) { id } }`, map[string]any{"r": map[string]any{"msisdn": "13800000000"}}, "[ref msisdn]"},
		{`query($f: AccountFilter) { accounts(filter: $f) { nodes { id } } }`, map[string]any{"f": map[string]any{"states": []any{"ACTIVE", "active"}}}, "[filter states 1]"},
		{`query($f: AccountFilter) { accounts(filter: $f) { nodes { id } } }`, map[string]any{"f": map[string]any{"text": 7}}, "[filter text]"},
		{`query($n: Int) { accounts(first: $n) { nodes { id } } }`, map[string]any{"n": 3000000000}, "[first]"},
		{`query($i: [ID!]!) { nodes(ids: $i) { id } }`, map[string]any{"i": []any{1}}, "[ids 0]"},
		{`mutation($i: ProvisionAccountInput!) { provisionAccount(input: $i) { replayed } }`, map[string]any{"i": map[string]any{
			"idempotencyKey": "k", "externalId": "x", "msisdn": "+862162345678", "sipPassword": 5}}, "[input sipPassword]"},
	} {
		a := h.ask(h.bss, c.query, c.variables)
		a.refused(http.StatusOK, models.BadUserInput)
		if got := fmt.Sprint(dig(a.body["errors"], "0.extensions.field")); got != c.field {
			t.Errorf("%v: field %s, want %s\n%s", c.variables, got, c.field, a.text)
		}
	}
}

func TestLimitsHoldBeforeExecution(t *testing.T) {
	h := onSQLite(t, false)
	nested := func(n int) string {
		return "{ accounts { nodes " + strings.Repeat("{ bindings(first: 1) { nodes { account ", n) + "{ id }" + strings.Repeat(" } } }", n) + " } }"
	}
	var bomb strings.Builder
	bomb.WriteString("{ ...F0 }")
	for i := range 200 {
		fmt.Fprintf(&bomb, " fragment F%d on Query { ...F%d ...F%d viewer { regions } }", i, i+1, i+1)
	}
	bomb.WriteString(" fragment F200 on Query { viewer { regions } }")
	aliases := func(n int) string {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, " a%d: __typename", i)
		}
		return list.String()
	}
	for name, c := range map[string]struct {
		query string
		code  string
	}{
		"depth":                 {nested(4), "DEPTH_LIMIT"},
		"very deep":             {nested(300), "DEPTH_LIMIT"},
		"aliases":               {"{" + aliases(31) + "}", "COST_LIMIT"},
		"aliases in spreads":    {"{ ...A ...B } fragment A on Query { ...B } fragment B on Query {" + aliases(16) + "}", "COST_LIMIT"},
		"cost":                  {"{ accounts(first: 100) { nodes { bindings(first: 100) { nodes { id } } } } }", "COST_LIMIT"},
		"cost by default pages": {"{ accounts { nodes { bindings { nodes { account { bindings { nodes { id } } } } } } } }", "COST_LIMIT"},
		"cost by a variable":    {"query($n: Int! = 100) { accounts(first: $n) { nodes { bindings(first: $n) { nodes { id } } } } }", "COST_LIMIT"},
		"tokens":                {"{" + aliases(1700) + "}", "COST_LIMIT"},
		"the same name":         {"{" + strings.Repeat(" __typename", 501) + "}", "COST_LIMIT"},
		"fragment bomb":         {bomb.String(), "COST_LIMIT"},
		"the schema, often":     {"{" + strings.Repeat(" __schema { types { name } }", 101) + " }", "COST_LIMIT"},
	} {
		a := h.ask(h.bss, c.query, nil)
		if a.refused(http.StatusOK, models.Code(c.code)); t.Failed() {
			t.Fatalf("%s: %s", name, a.text)
		}
	}
	for _, fine := range []string{
		nested(2),
		"{" + aliases(30) + "}",
		"{ events(first: 1000) { nodes { id type payload causedBy { ... on ApiClient { clientId } } subject { id } } } }",
		"{ devices(first: 50) { nodes { id bindings { nodes { account { externalId msisdn } } } } } }",
		introspection,
	} {
		h.must(h.bss, fine, nil)
	}
}

// introspection is what common tools ask.
const introspection = `query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name }
	types { ...FullType } directives { name description locations args { ...InputValue } } } }
fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef }
	isDeprecated deprecationReason } inputFields { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description }
	possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
	ofType { kind name ofType { kind name } } } } } } } }`

func TestGraphiQLIsForTheLab(t *testing.T) {
	outside := onSQLite(t, false)
	if a := outside.serve(httptest.NewRequest("GET", "/graphiql/", nil)); a.status != http.StatusNotFound {
		t.Errorf("GraphiQL is served outside the lab: %d", a.status)
	}
	clock := outside.clock
	lab := newHouse(t, outside.store, clock, true)
	page := lab.serve(httptest.NewRequest("GET", "/graphiql/", nil))
	if page.status != http.StatusOK || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", page.status, page.header)
	}
	for _, part := range strings.Split(page.text, `"`) {
		if strings.HasSuffix(part, ".js") || strings.HasSuffix(part, ".css") {
			if a := lab.serve(httptest.NewRequest("GET", "/graphiql/"+part, nil)); a.status != http.StatusOK || len(a.text) == 0 {
				t.Errorf("%s: %d", part, a.status)
			}
		}
	}
	if strings.Contains(page.text, "://") {
		t.Error("the page loads something from elsewhere")
	}
	lab.must("", introspection, nil)
	outside.ask("", introspection, nil).refused(http.StatusUnauthorized, models.Unauthenticated)
}

func TestWhatIsInternalStaysInside(t *testing.T) {
	h := onSQLite(t, false)
	broken := *h
	broken.config.Accounts = nil // whatever asks it panics
	var err error
	if broken.handler, err = graph.New(broken.config); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`{ account(ref: {externalId: "x"}) { id } }`, `{ accounts { nodes { id } } }`,
		`mutation { activateAccount(input: {idempotencyKey: "k", account: {externalId: "x"}}) { replayed } }`,
	} {
		a := broken.ask(h.bss, query, nil)
		a.refused(http.StatusOK, "INTERNAL")
		if dig(a.body["errors"], "0.message") != "internal error" || strings.Contains(a.text, "runtime") {
			t.Errorf("%s", a.text)
		}
	}
	hurried := *h
	hurried.config.Timeout = time.Nanosecond
	if hurried.handler, err = graph.New(hurried.config); err != nil {
		t.Fatal(err)
	}
	a := hurried.ask(h.bss, `{ accounts { nodes { id } } }`, nil)
	a.refused(http.StatusOK, "TIMEOUT")
	a = hurried.askIn(h.Context(), h.bss, `{ accounts { nodes { id } } }`, nil, map[string]string{"Accept": "application/graphql-response+json"})
	a.refused(http.StatusGatewayTimeout, "TIMEOUT")
}
