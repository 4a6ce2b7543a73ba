package graph_test

import (
	"fmt"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
)

// errorFields are what a caller sees of a refusal.
const errorFields = `userErrors { __typename code field retryable retryAfterSeconds ... on VersionConflict { currentVersion } ... on StateConflict { currentState allowedActions } }`

// does is one of an account's actions.
func does(name, selection string) string {
	input := "AccountActionInput"
	switch name {
	case "suspendAccount":
		input = "SuspendAccountInput"
	case "resetAccountPassword":
		input = "ResetAccountPasswordInput"
	}
	return fmt.Sprintf(`mutation($i: %s!) { %s(input: $i) { %s replayed %s } }`, input, name, selection, errorFields)
}

// on is the input of an action.
func on(externalID, key string, more map[string]any) map[string]any {
	in := map[string]any{"idempotencyKey": key, "account": map[string]any{"externalId": externalID}}
	for name, value := range more {
		in[name] = value
	}
	return map[string]any{"i": in}
}

const standing = `account { state stateReason version terminatedAt reauthRequired suspensions { reason since note by { __typename ... on ApiClient { clientId } } } bindings { nodes { state } } }`

func TestAnAccountIsSuspendedResumedAndClosed(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"}))
		h.bind("862162345678", "pc")
		fraud := h.client("fraud", nil, models.AccountRead, models.AccountWrite, models.DeviceRead)
		suspend := on("s-1", "1", map[string]any{"reason": "FRAUD", "note": "stolen card", "expectedVersion": 1})
		a := h.must(fraud, does("suspendAccount", standing), suspend)
		a.want("suspendAccount.account.state", "SUSPENDED")
		a.want("suspendAccount.account.stateReason", "FRAUD")
		a.want("suspendAccount.account.version", 2)
		a.want("suspendAccount.account.suspensions", "[map[by:map[__typename:ApiClient clientId:fraud] note:stolen card reason:FRAUD since:2026-01-05T02:00:00.000Z]]")
		a.want("suspendAccount.account.bindings.nodes.0.state", "SUSPENDED")
		a.want("suspendAccount.account.terminatedAt", nil)
		a.want("suspendAccount.account.reauthRequired", false)
		h.must(fraud, does("suspendAccount", standing), suspend).want("suspendAccount.replayed", true)
		// Two actions in one request: each payload shows what its own did.
		two := h.must(h.bss, `mutation { a: suspendAccount(input: {idempotencyKey: "2a", account: {externalId: "s-1"}, reason: MAINTENANCE}) { account { suspensions { reason note } } userErrors { code } }
			b: resumeAccount(input: {idempotencyKey: "2b", account: {externalId: "s-1"}, reason: MAINTENANCE}) { account { suspensions { reason note } } userErrors { code } } }`, nil)
		two.want("a.account.suspensions", "[map[note:stolen card reason:FRAUD] map[note:<nil> reason:MAINTENANCE]]")
		two.want("b.account.suspensions", "[map[note:stolen card reason:FRAUD]]")

		desk := h.client("desk", nil, models.AccountRead, models.AccountWrite, models.DeviceRead)
		b := h.ask(desk, does("resumeAccount", standing), on("s-1", "3", nil))
		b.want("resumeAccount.userErrors.0.code", "POLICY_DENIED")
		b.want("resumeAccount.userErrors.0.field", "[input reason]")
		b.want("resumeAccount.account", nil)
		c := h.ask(h.bss, does("resumeAccount", standing), on("s-1", "4", map[string]any{"reason": "REGULATORY"}))
		c.want("resumeAccount.userErrors.0.__typename", "StateConflict")
		c.want("resumeAccount.userErrors.0.field", "[input reason]")
		c.want("resumeAccount.userErrors.0.allowedActions", "[endLogins modifyAccount resetAccountPassword resumeAccount sendNotice suspendAccount terminateAccount unlockAccount]")
		d := h.must(fraud, does("resumeAccount", standing), on("s-1", "5", map[string]any{"reason": "FRAUD"}))
		d.want("resumeAccount.account.state", "ACTIVE")
		d.want("resumeAccount.account.suspensions", "[]")
		d.want("resumeAccount.account.bindings.nodes.0.state", "PENDING")

		e := h.must(h.bss, does("terminateAccount", standing), on("s-1", "6", map[string]any{"note": "moved away"}))
		e.want("terminateAccount.account.state", "TERMINATED")
		e.want("terminateAccount.account.terminatedAt", "2026-01-05T02:00:00.000Z")
		e.want("terminateAccount.account.bindings.nodes.0.state", "SUSPENDED")
		f := h.ask(h.bss, does("suspendAccount", standing), on("s-1", "7", map[string]any{"reason": "FRAUD"}))
		f.want("suspendAccount.userErrors.0.currentState", "TERMINATED")
		f.want("suspendAccount.userErrors.0.allowedActions", "[]")
		h.must(h.bss, provisionAccount, h.input("s-2", "+862162345678", map[string]any{"region": "north"})).want("provisionAccount.account.state", "ACTIVE")
		h.must(h.bss, `{ account(ref: {msisdn: "+862162345678"}) { externalId } }`, nil).want("account.externalId", "s-2")
	})
}

func TestWhatACareDeskDoes(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "boundMobile": "+8613812340001", "initialPassword": "Blue-Kite-42!"}))
		h.bind("862162345678", "pc")
		care := h.client("care-north", []string{"north"}, models.AccountRead, models.AccountCare)
		const shown = `account { passwordState reauthRequired version } sms { purpose state to }`
		reset := on("s-1", "1", nil)
		a := h.must(care, does("resetAccountPassword", shown), reset)
		a.want("resetAccountPassword.account", "map[passwordState:ONE_TIME reauthRequired:true version:1]")
		a.want("resetAccountPassword.sms", "map[purpose:PASSWORD_RESET state:QUEUED to:+86138****0001]")
		again := h.must(care, does("resetAccountPassword", shown), reset)
		again.want("resetAccountPassword.replayed", true)
		again.want("resetAccountPassword.sms.purpose", "PASSWORD_RESET")
		for n := 2; n <= 5; n++ {
			h.must(care, does("resetAccountPassword", shown), on("s-1", fmt.Sprint(n), map[string]any{"reauthenticate": false}))
		}
		b := h.ask(care, does("resetAccountPassword", shown), on("s-1", "6", nil))
		b.want("resetAccountPassword.userErrors.0.code", "LIMIT_BY_POLICY")
		b.want("resetAccountPassword.userErrors.0.retryAfterSeconds", 86_400)
		b.want("resetAccountPassword.sms", nil)

		h.must(care, does("unlockAccount", "account { lockedUntil }"), on("s-1", "1", map[string]any{"note": "called"})).want("unlockAccount.account.lockedUntil", nil)
		h.must(care, does("endLogins", "account { reauthRequired }"), on("s-1", "1", nil)).want("endLogins.account.reauthRequired", true)
		c := h.ask(care, does("unlockAccount", "account { id }"), on("s-1", "2", map[string]any{"expectedVersion": 7}))
		c.want("unlockAccount.userErrors.0.currentVersion", 1)
		h.ask(care, does("endLogins", "account { id }"), on("s-1", "2", map[string]any{"reason": "FRAUD"})).want("endLogins.userErrors.0.field", "[input reason]")

		h.must(h.bss, provisionAccount, h.input("s-2", "+862162345679", map[string]any{"region": "north"}))
		d := h.ask(care, does("resetAccountPassword", shown), on("s-2", "7", nil))
		d.want("resetAccountPassword.userErrors.0.code", "INVALID")
		d.want("resetAccountPassword.userErrors.0.field", "[input account]")
	})
}

func TestActionsStayInTheirRegionsAndPermissions(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "boundMobile": "+8613812340001"}))
		south := h.client("south", []string{"south"}, models.AccountRead, models.AccountWrite, models.AccountCare)
		writer, carer := h.client("writer", nil, models.AccountWrite), h.client("carer", nil, models.AccountCare)
		for name, needs := range map[string]models.Permission{
			"suspendAccount": models.AccountWrite, "resumeAccount": models.AccountWrite, "terminateAccount": models.AccountWrite,
			"resetAccountPassword": models.AccountCare, "unlockAccount": models.AccountCare, "endLogins": models.AccountCare,
		} {
			more := map[string]any{}
			if name == "suspendAccount" {
				more["reason"] = "FRAUD"
			}
			a := h.ask(south, does(name, ""), on("s-1", "x", more))
			a.want(name+".userErrors.0.code", "NOT_FOUND")
			a.want(name+".userErrors.0.field", "[input account]")
			h.ask(south, does(name, ""), on("nobody", "x", more)).want(name+".userErrors.0.code", "NOT_FOUND")
			other := carer
			if needs == models.AccountCare {
				other = writer
			}
			h.ask(other, does(name, ""), on("s-1", "x", more)).refused(200, models.Forbidden)
			h.ask(h.bss, does(name, ""), on("s-1", "", more)).want(name+".userErrors.0.field", "[input idempotencyKey]")
		}
		// Whoever may act but not read sees nothing of the account.
		h.must(carer, `mutation { resetAccountPassword(input: {idempotencyKey: "k", account: {externalId: "s-1"}}) { replayed userErrors { code } } }`, nil)
		a := h.ask(carer, does("resetAccountPassword", "sms { id } account { id }"), on("s-1", "k2", nil))
		a.refused(200, models.Forbidden)
		mixed := h.with("mixed", h.role("read-south", []string{"south"}, models.AccountRead), h.role("care-north", []string{"north"}, models.AccountCare))
		b := h.must(mixed, does("resetAccountPassword", "sms { id } account { id }"), on("s-1", "k3", nil))
		b.want("resetAccountPassword.sms", nil)
		b.want("resetAccountPassword.account", nil)
		h.ask(h.bss, `mutation { suspendAccount(input: {idempotencyKey: "k", account: {externalId: "s-1"}, reason: BOREDOM}) { replayed } }`, nil).refused(200, models.Code("GRAPHQL_VALIDATION_FAILED"))
	})
}

// The page of a list of accounts asks for the suspensions of all of them at once.
func TestSuspensionsAreReadByTheList(t *testing.T) {
	onBoth(t, func(h *house) {
		for i := range 3 {
			name := fmt.Sprintf("s-%d", i)
			h.must(h.bss, provisionAccount, h.input(name, fmt.Sprintf("+8621623456%02d", i), nil))
			h.must(h.bss, does("suspendAccount", ""), on(name, name, map[string]any{"reason": "NON_PAYMENT"}))
			h.bind(models.Number(fmt.Sprintf("8621623456%02d", i)), name)
		}
		err := h.store.InTx(models.WithActor(h.Context(), models.System("test")), func(tx *store.Tx) error {
			a, err := accounts.ForNumber(tx, "862162345601")
			if err != nil {
				return err
			}
			live, err := bindings.LiveOfAccount(tx, a.ID)
			if err != nil || len(live) != 1 {
				return fmt.Errorf("bindings %v, %w", live, err)
			}
			_, err = accounts.Reauthenticate(tx, a, models.ID{}, false)
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
		a := h.must(h.bss, `{ accounts { nodes { reauthRequired suspensions { reason } } } }`, nil)
		a.want("accounts.nodes", "[map[reauthRequired:false suspensions:[map[reason:NON_PAYMENT]]] map[reauthRequired:true suspensions:[map[reason:NON_PAYMENT]]] map[reauthRequired:false suspensions:[map[reason:NON_PAYMENT]]]]")
	})
}
