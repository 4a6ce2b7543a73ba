package graph_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/store"
)

func TestNobodyMayOnlyAskForAToken(t *testing.T) {
	h := onSQLite(t, false)
	for _, query := range []string{
		`{ viewer { regions } }`, `{ __schema { types { name } } }`, `{ __type(name: "Query") { name } }`, `{ ...F } fragment F on Query { accounts { nodes { id } } }`,
		`mutation { signOut { revokedSessions } saveRole(input: {name: "x", permissions: [], regions: []}) { replayed } }`,
	} {
		a := h.ask("", query, nil)
		a.refused(http.StatusUnauthorized, models.Unauthenticated)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
			h.Errorf("no challenge: %v", a.header)
		}
	}
	h.must("", `{ __typename }`, nil).want("__typename", "Query")
	h.must("", `mutation { signOut { revokedSessions } }`, nil).want("signOut.revokedSessions", 0)
	h.ask("", `mutation { refreshSession { accessToken } }`, nil).refused(http.StatusUnauthorized, models.Unauthenticated)
	for _, header := range []string{"Bearer", "Bearer ", "Bearer x.y.z", "Basic YTpi", h.bss, "Bearer " + h.bss + "x"} {
		a := h.askIn(h.Context(), "", `{ viewer { regions } }`, nil, map[string]string{"Authorization": header})
		a.refused(http.StatusUnauthorized, models.Unauthenticated)
	}
	h.askIn(h.Context(), "", `{ viewer { regions } }`, nil, map[string]string{"Authorization": "bearer " + h.bss}).want("viewer.regions", "[]")
}

func TestEveryClaimOfATokenIsChecked(t *testing.T) {
	h := onSQLite(t, false)
	var good jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(h.bss, &good)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header["typ"] != "at+jwt" || parsed.Header["alg"] != "EdDSA" || good["iss"] != "softacs" || fmt.Sprint(good["aud"]) != "[softacs-north]" {
		t.Errorf("%v %v", parsed.Header, good)
	}
	if life := good["exp"].(float64) - good["iat"].(float64); life != 600 {
		t.Errorf("a token lives %v s", life)
	}
	seeds := h.config.TokenSeeds
	sign := func(seed [32]byte, method jwt.SigningMethod, header, claims map[string]any) string {
		key := ed25519.NewKeyFromSeed(seed[:])
		sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
		token := jwt.NewWithClaims(method, jwt.MapClaims{})
		for name, value := range good {
			token.Claims.(jwt.MapClaims)[name] = value
		}
		for name, value := range claims {
			if token.Claims.(jwt.MapClaims)[name] = value; value == nil {
				delete(token.Claims.(jwt.MapClaims), name)
			}
		}
		token.Header["typ"], token.Header["kid"] = "at+jwt", hex.EncodeToString(sum[:8])
		for name, value := range header {
			token.Header[name] = value
		}
		var with any = key
		switch method.Alg() {
		case "none":
			with = jwt.UnsafeAllowNoneSignatureType
		case "HS256":
			with = []byte(key.Public().(ed25519.PublicKey))
		}
		text, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	none := map[string]any{}
	for _, seed := range seeds {
		h.must(sign(seed, jwt.SigningMethodEdDSA, none, none), `{ viewer { regions } }`, nil)
	}
	now := h.clock.Now().Std()
	for name, token := range map[string]string{
		"unknown key":     sign([32]byte{9}, jwt.SigningMethodEdDSA, none, none),
		"other kid":       sign(seeds[0], jwt.SigningMethodEdDSA, map[string]any{"kid": "x"}, none),
		"no algorithm":    sign(seeds[0], jwt.SigningMethodNone, none, none),
		"HMAC of the key": sign(seeds[0], jwt.SigningMethodHS256, none, none),
		"type":            sign(seeds[0], jwt.SigningMethodEdDSA, map[string]any{"typ": "JWT"}, none),
		"issuer":          sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"iss": "other"}),
		"audience":        sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"aud": "other"}),
		"no audience":     sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"aud": nil}),
		"expired":         sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"exp": now.Unix()}),
		"no end":          sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"exp": nil}),
		"from the future": sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"iat": now.Add(time.Minute).Unix()}),
		"no subject":      sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"sub": nil}),
		"unknown subject": sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"sub": models.NewID().String()}),
		"a device":        sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"kind": "DEVICE"}),
		"the system":      sign(seeds[0], jwt.SigningMethodEdDSA, none, map[string]any{"kind": "SYSTEM"}),
	} {
		if a := h.ask(token, `{ viewer { regions } }`, nil); a.status != http.StatusUnauthorized || a.code() != "UNAUTHENTICATED" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	h.clock.Advance(10 * time.Minute)
	h.ask(h.bss, `{ viewer { regions } }`, nil).refused(http.StatusUnauthorized, models.Unauthenticated)
	if _, err := graph.New(graph.Config{Clock: h.clock}); err == nil {
		t.Error("a door without keys opens")
	}
}

func TestTokenEndpoint(t *testing.T) {
	h := onSQLite(t, false)
	fine := h.oauth("grant_type=client_credentials&scope=x", "bss", clientSecret)
	if fine.status != http.StatusOK || fine.body["token_type"] != "Bearer" || fine.body["expires_in"] != 600.0 || fine.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", fine.status, fine.header, fine.text)
	}
	for name, c := range map[string]struct {
		form, id, secret string
		status           int
		code             string
	}{
		"wrong secret":       {"grant_type=client_credentials", "bss", "wrong", 401, "invalid_client"},
		"unknown client":     {"grant_type=client_credentials", "nobody", clientSecret, 401, "invalid_client"},
		"no credentials":     {"grant_type=client_credentials", "", "", 401, "invalid_client"},
		"secret in the body": {"grant_type=client_credentials&client_id=bss&client_secret=" + clientSecret, "", "", 401, "invalid_client"},
		"other grant":        {"grant_type=password&username=admin&password=x", "bss", clientSecret, 400, "unsupported_grant_type"},
		"no grant":           {"", "bss", clientSecret, 400, "invalid_request"},
		"the same twice":     {"grant_type=client_credentials&grant_type=client_credentials", "bss", clientSecret, 400, "invalid_request"},
		"malformed":          {"grant_type=%zz", "bss", clientSecret, 400, "invalid_request"},
		"too large":          {"grant_type=" + strings.Repeat("x", 9000), "bss", clientSecret, 413, "invalid_request"},
	} {
		a := h.oauth(c.form, c.id, c.secret)
		if a.status != c.status || a.body["error"] != c.code || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
		if (a.status == 401) != strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: challenge %q", name, a.header.Get("WWW-Authenticate"))
		}
	}
	if _, err := h.config.Operators.Bootstrap(t.Context(), operators.Bootstrap{APIClientID: "odd", APIClientSecret: "100%+odd:secret/=="}); err != nil {
		t.Fatal(err)
	}
	h.token("odd", "100%+odd:secret/==")
	plain := newRequest(t, "POST", "/oauth/token", "grant_type=client_credentials")
	plain.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	plain.SetBasicAuth("odd", "100%+odd:secret/==")
	if a := h.serve(plain); a.status != 200 {
		t.Errorf("a secret that is not form-encoded: %d %s", a.status, a.text)
	}
	r := newRequest(t, "POST", "/oauth/token", `{"grant_type":"client_credentials"}`)
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("bss", clientSecret)
	if a := h.serve(r); a.status != 400 || a.body["error"] != "invalid_request" {
		t.Errorf("JSON: %d %s", a.status, a.text)
	}
	if a := h.serve(newRequest(t, "GET", "/oauth/token?grant_type=client_credentials", "")); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %s", a.status, a.text)
	}
}

const signIn = `mutation($p: String!) { signIn(username: "admin", password: $p) {
	accessToken expiresAt viewer { actor { ... on Operator { username } } permissions regions } replayed userErrors { code message field } } }`

// withCookie is the header of a browser page of that origin.
func withCookie(c *http.Cookie, origin string) map[string]string {
	header := map[string]string{"Cookie": c.Name + "=" + c.Value}
	if origin != "" {
		header["Origin"] = origin
	}
	return header
}

func refreshCookie(a answer) *http.Cookie {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "softacs_refresh" {
			return c
		}
	}
	a.t.Fatalf("no refresh cookie: %v", a.header)
	return nil
}

func TestOperatorsSignIn(t *testing.T) {
	onBoth(t, func(h *house) {
		wrong := h.ask("", signIn, map[string]any{"p": "wrong"})
		wrong.want("signIn.viewer", nil)
		wrong.want("signIn.accessToken", nil)
		wrong.want("signIn.userErrors.0.code", "INVALID")
		a := h.must("", signIn, map[string]any{"p": adminPassword})
		a.want("signIn.viewer.actor.username", "admin")
		a.want("signIn.expiresAt", "2026-01-05T02:10:00.000Z")
		first := refreshCookie(a)
		if !first.HttpOnly || !first.Secure || first.SameSite != http.SameSiteStrictMode || first.Path != "/graphql" || first.MaxAge != 12*3600 {
			h.Errorf("cookie %v", first)
		}
		token := a.at("signIn.accessToken").(string)
		h.must(token, `{ viewer { actor { ... on Operator { username roles { name } } } } }`, nil).want("viewer.actor.username", "admin")

		const refresh = `mutation { refreshSession { accessToken viewer { permissions } } }`
		h.askIn(h.Context(), "", refresh, nil, withCookie(first, "https://evil.example.org")).refused(http.StatusOK, models.Forbidden)
		b := h.askIn(h.Context(), "", refresh, nil, withCookie(first, "http://example.com")) // the host of the test's requests
		second := refreshCookie(b)
		if second.Value == first.Value || b.at("refreshSession.accessToken") == nil {
			h.Fatalf("%s", b.text)
		}
		h.askIn(h.Context(), "", refresh, nil, withCookie(first, "")).refused(http.StatusUnauthorized, models.Unauthenticated)
		h.askIn(h.Context(), "", refresh, nil, withCookie(second, "")).refused(http.StatusUnauthorized, models.Unauthenticated) // the family ended

		c := refreshCookie(h.must("", signIn, map[string]any{"p": adminPassword}))
		out := h.askIn(h.Context(), "", `mutation { signOut { revokedSessions } }`, nil, withCookie(c, ""))
		out.want("signOut.revokedSessions", 1)
		if gone := refreshCookie(out); gone.MaxAge >= 0 || gone.Value != "" {
			h.Errorf("cookie after signOut: %v", gone)
		}
		h.askIn(h.Context(), "", refresh, nil, withCookie(c, "")).refused(http.StatusUnauthorized, models.Unauthenticated)
	})
}

func TestRightsAreReadPerRequest(t *testing.T) {
	onBoth(t, func(h *house) {
		token := h.client("desk", nil, models.AccountRead)
		h.must(token, `{ accounts { nodes { id } } }`, nil)
		id := h.must(h.bss, `{ apiClients { id clientId roles { name } } }`, nil)
		for _, c := range id.at("apiClients").([]any) {
			if dig(c, "clientId") == "desk" {
				h.must(h.bss, `mutation($i: SaveApiClientInput!) { saveApiClient(input: $i) { apiClient { version enabled } userErrors { code } } }`,
					map[string]any{"i": map[string]any{"id": dig(c, "id"), "clientId": "desk", "roleIds": []any{}, "enabled": false}}).want("saveApiClient.apiClient.enabled", false)
			}
		}
		h.clock.Advance(6 * time.Second)
		h.ask(token, `{ accounts { nodes { id } } }`, nil).refused(http.StatusUnauthorized, models.Unauthenticated)
	})
}

func TestWhoActsIsWrittenDown(t *testing.T) {
	onBoth(t, func(h *house) {
		header := map[string]string{"Softacs-On-Behalf-Of": "staff-4711"}
		a := h.askIn(h.Context(), h.bss, provisionAccount, h.input("s-1", "+862162345678", nil), header)
		if err := h.log.Sequence(h.Context()); err != nil {
			h.Fatal(err)
		}
		e := h.must(h.bss, `{ events { nodes { type requestId onBehalfOf accountId accountExternalId causedBy { __typename ... on ApiClient { id clientId enabled } } } } }`, nil)
		e.want("events.nodes.0.requestId", a.header.Get("X-Request-Id"))
		e.want("events.nodes.0.onBehalfOf", "staff-4711")
		e.want("events.nodes.0.accountId", a.at("provisionAccount.account.id"))
		e.want("events.nodes.0.causedBy.clientId", "bss")
		e.want("events.nodes.0.causedBy.enabled", true)
		var row models.AuditEntry
		err := h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Where("action = ?", "provisionAccount").Take(&row).Error })
		if err != nil || row.OnBehalfOf != "staff-4711" || row.RemoteAddress != "192.0.2.1" || row.RequestID != a.header.Get("X-Request-Id") {
			h.Errorf("audit row %+v %v", row, err)
		}
		h.askIn(h.Context(), h.bss, `{ viewer { regions } }`, nil, map[string]string{"Softacs-On-Behalf-Of": strings.Repeat("x", 65)}).refused(http.StatusOK, models.BadUserInput)
	})
}

func TestEachMutationReadsAfresh(t *testing.T) {
	onBoth(t, func(h *house) {
		role := h.must(h.bss, `mutation { saveRole(input: {name: "first", permissions: [ACCOUNT_READ], regions: []}) { role { id } userErrors { code } } }`, nil).at("saveRole.role.id")
		a := h.must(h.bss, fmt.Sprintf(`mutation {
			a: saveOperator(input: {username: "eva", roleIds: ["%[1]s"], initialPassword: "a-Good-example-password-1"}) { operator { roles { name } } userErrors { code message } }
			b: saveRole(input: {id: "%[1]s", name: "second", permissions: [ACCOUNT_READ], regions: []}) { role { name } userErrors { code } }
			c: saveOperator(input: {username: "eva", roleIds: ["%[1]s"], enabled: true}) { operator { roles { name } } userErrors { code } } }`, role), nil)
		a.want("a.operator.roles.0.name", "first")
		a.want("c.operator.roles.0.name", "second")
		other := h.ask(h.bss, fmt.Sprintf(`mutation { saveOperator(input: {id: "%s", username: "otto", roleIds: []}) { operator { id } userErrors { code field } } }`, role), nil)
		other.want("saveOperator.userErrors.0.code", "NOT_FOUND")
		other.want("saveOperator.operator", nil)
	})
}

func TestWhoGuessesPasswordsLearnsNothing(t *testing.T) {
	h := onSQLite(t, false)
	const try = `mutation($u: String!, $p: String!) { signIn(username: $u, password: $p) { accessToken viewer { regions } userErrors { code message field retryable retryAfterSeconds } } }`
	h.must(h.bss, `mutation { saveOperator(input: {username: "off", roleIds: [], enabled: false, initialPassword: "a-Good-example-password-1"}) { userErrors { code } } }`, nil)
	wrong := h.ask("", try, map[string]any{"u": "admin", "p": "wrong"}).text
	for range 4 {
		h.ask("", try, map[string]any{"u": "admin", "p": "wrong"})
	}
	for name, guess := range map[string]map[string]any{
		"unknown":            {"u": "nobody", "p": "wrong"},
		"locked":             {"u": "admin", "p": adminPassword},
		"disabled":           {"u": "off", "p": "a-Good-example-password-1"},
		"name with a space":  {"u": "admin ", "p": adminPassword},
		"10 KiB of name":     {"u": strings.Repeat("x", 10<<10), "p": "x"},
		"100 KiB of a guess": {"u": "admin", "p": strings.Repeat("x", 100<<10)},
	} {
		a := h.ask("", try, guess)
		if a.text != wrong || a.status != http.StatusOK || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s, a wrong password is answered %s", name, a.status, a.text, wrong)
		}
	}
	h.clock.Advance(15 * time.Minute)
	h.must("", signIn, map[string]any{"p": adminPassword}).want("signIn.viewer.actor.username", "admin")
}
