package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
)

// A binding whose device was replaced, and so belongs to no region, made the whole account unreadable for the desk of its region.
func TestAReplacedDeviceDoesNotHideItsAccount(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"}))
		h.bind("862162345678", "old", "new")
		err := h.store.InTx(models.WithActor(h.Context(), models.System("test")), func(tx *store.Tx) error {
			a, err := accounts.ForNumber(tx, "862162345678")
			if err != nil {
				return err
			}
			live, err := bindings.LiveOfAccount(tx, a.ID)
			if err != nil {
				return err
			}
			return bindings.Remove(tx, &live[0], bindings.Replaced)
		})
		if err != nil {
			h.Fatal(err)
		}
		desk := h.client("desk", []string{"north"}, models.AccountRead, models.DeviceRead)
		for _, query := range []string{
			`{ account(ref: {externalId: "s-1"}) { bindings { nodes { state device { serialNumber } account { externalId } } } } }`,
			`{ account(ref: {externalId: "s-1"}) { bindings(first: 1) { nodes { state device { serialNumber } } pageInfo { hasNextPage } } } }`,
		} {
			a := h.must(desk, query, nil)
			a.want("account.bindings.nodes.0.device.serialNumber", "new")
			a.want("account.bindings.nodes.1", nil)
		}
		all := h.must(h.bss, `{ account(ref: {externalId: "s-1"}) { bindings { nodes { id device { serialNumber } } } } }`, nil)
		all.want("account.bindings.nodes.0.device.serialNumber", "old")
		h.must(desk, fmt.Sprintf(`{ node(id: "%s") { id } }`, all.at("account.bindings.nodes.0.id")), nil).want("node", nil)
	})
}

// A change of nothing was a way to read an account where one may only write.
func TestWhoMayWriteOnlyReadsNothing(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"}))
		mixed := h.with("mixed", h.role("read-south", []string{"south"}, models.AccountRead), h.role("write-north", []string{"north"}, models.AccountWrite))
		a := h.must(mixed, `mutation { modifyAccount(input: {idempotencyKey: "k", account: {externalId: "s-1"}}) { account { externalId msisdn } userErrors { code } } }`, nil)
		a.want("modifyAccount.account", nil)
		a.want("modifyAccount.userErrors", "[]")
	})
}

// MySQL takes "north " for "north", so that a role of the one saw the accounts of the other.
func TestNamesThatOnlyLookEqualAreRefused(t *testing.T) {
	onBoth(t, func(h *house) {
		for region, code := range map[string]string{"north ": "INVALID", " north": "INVALID", "no\u200bth": "INVALID", "": "INVALID", strings.Repeat("x", 65): "TOO_LONG"} {
			h.ask(h.bss, `mutation($i: SaveRoleInput!) { saveRole(input: $i) { userErrors { code field } } }`,
				map[string]any{"i": map[string]any{"name": "role", "permissions": []any{}, "regions": []any{"ok", region}}}).
				want("saveRole.userErrors", fmt.Sprintf("[map[code:%s field:[input regions 1]]]", code))
		}
		key := func(key string) map[string]any {
			in := h.input("s-1", "+862162345678", nil)
			in["i"].(map[string]any)["idempotencyKey"] = key
			return in
		}
		h.ask(h.bss, provisionAccount, key("k ")).want("provisionAccount.userErrors.0.code", "INVALID")
		h.ask(h.bss, provisionAccount, key(strings.Repeat("键", 129))).want("provisionAccount.userErrors.0.code", "TOO_LONG")
		h.must(h.bss, provisionAccount, key(strings.Repeat("键", 128))).want("provisionAccount.account.externalId", "s-1")
	})
}

func TestViewerSeesTheirOwnRow(t *testing.T) {
	h := onSQLite(t, false)
	h.must(h.bss, `{ viewer { actor { ... on ApiClient { clientId version enabled createdAt roles { name } } } } }`, nil).
		want("viewer.actor.roles.0.name", "admin")
	token := h.must("", signIn, map[string]any{"p": adminPassword}).at("signIn.accessToken").(string)
	a := h.must(token, `{ viewer { actor { ... on Operator { username version createdAt lastLoginAt roles { name } } } } }`, nil)
	a.want("viewer.actor.roles.0.name", "admin")
	a.want("viewer.actor.lastLoginAt", "2026-01-05T02:00:00.000Z")
}

// The number that calls are forwarded to stood in the audit log.
func TestAuditRowsHoldNoValuesOfServices(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"services": []any{
			map[string]any{"code": "VIDEO", "enabled": true, "parameters": map[string]any{"MaxBitrate": "13812340001"}}}}))
		var row models.AuditEntry
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Where("action = ? AND outcome = ?", "provisionAccount", models.AuditSuccess).Take(&row).Error
		})
		if err != nil {
			h.Fatal(err)
		}
		if text := fmt.Sprint(row.Changes.V); strings.Contains(text, "13812340001") || !strings.Contains(text, "MaxBitrate") {
			h.Errorf("audit row %s", text)
		}
	})
}
