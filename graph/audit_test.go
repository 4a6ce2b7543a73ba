package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const auditOf = `query($f: AuditFilter, $n: Int!, $a: String) { auditEntries(filter: $f, first: $n, after: $a) {
	nodes { id sequence at action outcome errorCode subjectId changes hash previousHash actor { __typename ... on ApiClient { clientId } } } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor } } }`

func actions(a answer) string {
	var list []string
	nodes, _ := a.at("auditEntries.nodes").([]any)
	for _, n := range nodes {
		list = append(list, fmt.Sprint(dig(n, "action")))
	}
	return strings.Join(list, " ")
}

func TestTheAuditLogIsRead(t *testing.T) {
	onBoth(t, func(h *house) {
		h.clock.Advance(time.Second)
		account := h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "boundMobile": "+8613812340001"})).at("provisionAccount.account.id")
		h.clock.Advance(time.Second)
		h.must(h.bss, does("suspendAccount", ""), on("s-1", "k", map[string]any{"reason": "FRAUD", "note": "stolen card"}))
		h.ask("", signIn, map[string]any{"p": "wrong"})
		h.clock.Advance(time.Second)
		auditor := h.client("audit", nil, models.AuditRead)
		h.must(auditor, auditOf, map[string]any{"n": 100}).want("auditEntries.nodes.0.action", nil) // nothing of it is in the chain yet
		if err := h.log.Sequence(h.Context()); err != nil {
			h.Fatal(err)
		}
		ask := func(filter map[string]any) answer {
			h.Helper()
			return h.must(auditor, auditOf, map[string]any{"n": 100, "f": filter})
		}
		all := ask(nil)
		whole := actions(all)
		const ending = "signIn suspendAccount provisionAccount"
		if !strings.Contains(whole, ending) || !strings.HasPrefix(whole, "rotateApiClientSecret saveApiClient saveRole") {
			h.Errorf("the audit log is %s", whole)
		}
		var pages []string
		after := any(nil)
		for {
			p := h.must(auditor, auditOf, map[string]any{"n": 2, "a": after})
			pages = append(pages, actions(p))
			if after = p.at("auditEntries.pageInfo.endCursor"); p.at("auditEntries.pageInfo.hasNextPage") != true {
				break
			}
		}
		if got := strings.Join(pages, " "); got != whole {
			h.Errorf("by pages %s\nat once  %s", got, whole)
		}
		mine := ask(map[string]any{"subjectId": account})
		if got := actions(mine); got != "suspendAccount provisionAccount provisionAccount" { // it was done, and what was shown of it is a disclosure
			h.Errorf("of the account: %s", got)
		}
		mine.want("auditEntries.nodes.0.changes.state", "[ACTIVE SUSPENDED]")
		mine.want("auditEntries.nodes.2.changes.msisdn", "[redacted]")
		mine.want("auditEntries.nodes.0.subjectId", account)
		mine.want("auditEntries.nodes.0.actor.clientId", "bss")
		bss := h.must(h.bss, `{ viewer { actor { ... on ApiClient { id } } } }`, nil).at("viewer.actor.id")
		for _, name := range []string{"subjectId", "actorId"} { // what is no id of ours names nothing, and does not open the whole log
			if got := actions(ask(map[string]any{name: "eA"})); got != "" {
				h.Errorf("by an unknown %s: %s", name, got)
			}
		}
		for filter, want := range map[string]string{
			"outcome": "signIn", "action": "suspendAccount provisionAccount provisionAccount", "actor": "suspendAccount", "span": "signIn suspendAccount",
		} {
			f := map[string]map[string]any{
				"outcome": {"outcomes": []any{"DENIED"}}, "action": {"actions": []any{"provisionAccount", "suspendAccount", "none"}}, "actor": {"actorId": bss, "actions": []any{"suspendAccount"}},
				"span": {"at": map[string]any{"from": "2026-01-05T02:00:02.000Z", "to": "2026-01-05T02:00:03.000Z"}},
			}[filter]
			if got := actions(ask(f)); got != want {
				h.Errorf("by %s: %s, want %s", filter, got, want)
			}
		}
		ask(map[string]any{"outcomes": []any{"DENIED"}}).want("auditEntries.nodes.0.errorCode", "INVALID")
		many := make([]any, 21)
		for i := range many {
			many[i] = fmt.Sprint("a", i)
		}
		h.ask(auditor, auditOf, map[string]any{"n": 1, "f": map[string]any{"actions": many}}).refused(200, models.BadUserInput)
		h.ask(auditor, auditOf, map[string]any{"n": 1, "a": "x"}).refused(200, models.BadUserInput)
		one := h.must(auditor, `query($id: ID!) { node(id: $id) { ... on AuditEntry { action sequence } } }`, map[string]any{"id": mine.at("auditEntries.nodes.0.id")})
		one.want("node.action", "suspendAccount")
		h.ask(h.client("half", []string{"north"}, models.AuditRead), auditOf, map[string]any{"n": 1}).refused(200, models.Forbidden)
		h.ask(h.client("none", nil, models.EventRead), auditOf, map[string]any{"n": 1}).refused(200, models.Forbidden)

		a := row[models.Account](h, "external_id = ?", "s-1")
		h.fill(a.ID, 3000)
		for _, filter := range []map[string]any{nil, {"subjectId": account}, {"actorId": bss}, {"actions": []any{"signIn"}}, {"outcomes": []any{"DENIED"}}} {
			h.examines(fmt.Sprintf("the audit log by %v", filter), 400, func() { h.must(auditor, auditOf, map[string]any{"n": 5, "f": filter}) })
		}
	})
}

func TestPersonalDataIsRevealedAndNoticesAreSent(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "displayName": "王小明", "boundMobile": "+8613812340001", "imsi": "460001234567890"}))
		h.must(h.bss, provisionAccount, h.input("s-2", "+862162345679", map[string]any{"region": "north"}))
		const reveal = `mutation($i: RevealInput!) { revealPersonalData(input: $i) { values expiresAt replayed userErrors { code field } } }`
		in := func(account, reason string, fields ...any) map[string]any {
			if fields == nil {
				fields = []any{}
			}
			return map[string]any{"i": map[string]any{"account": map[string]any{"externalId": account}, "fields": fields, "reason": reason}}
		}
		lead := h.client("lead", []string{"north"}, models.AccountRead, models.AccountCare, models.PIIRead)
		a := h.must(lead, reveal, in("s-1", "called from the old number", "boundMobile", "displayName", "impu"))
		a.want("revealPersonalData.values.boundMobile", "+8613812340001")
		a.want("revealPersonalData.values.displayName", "王小明")
		a.want("revealPersonalData.values.impu", "[sip:+862162345678@ims.example.net tel:+862162345678]")
		a.want("revealPersonalData.expiresAt", "2026-01-05T02:05:00.000Z")
		h.must(h.bss, reveal, in("s-1", "SIM", "imsi")).want("revealPersonalData.values.imsi", "460001234567890")
		for _, c := range []struct {
			token, account, reason, field string
			code                          models.Code
			at                            string
		}{
			{lead, "s-1", "", "msisdn", models.Required, "[input reason]"}, {lead, "s-1", "why", "sipPassword", models.Invalid, "[input fields 0]"},
			{lead, "s-1", "why", "imsi", models.PolicyDenied, "[input fields 0]"}, {lead, "nobody", "why", "msisdn", models.NotFound, "[input account]"},
			{lead, "s-1", strings.Repeat("x", 256), "msisdn", models.TooLong, "[input reason]"}, {lead, "s-1", "a\u202eb", "msisdn", models.Invalid, "[input reason]"},
			{h.client("south", []string{"south"}, models.PIIRead), "s-1", "why", "msisdn", models.NotFound, "[input account]"},
		} {
			b := h.ask(c.token, reveal, in(c.account, c.reason, c.field))
			b.want("revealPersonalData.userErrors.0.code", c.code)
			b.want("revealPersonalData.userErrors.0.field", c.at)
			b.want("revealPersonalData.values", nil)
		}
		h.ask(lead, reveal, in("s-1", "why")).want("revealPersonalData.userErrors.0.field", "[input fields]")
		var rows []models.AuditEntry
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Where("action = ?", "revealPersonalData").Order("n").Find(&rows).Error
		})
		if err != nil || len(rows) != 2 || rows[0].Outcome != models.AuditDisclosed || fmt.Sprint(rows[0].Changes.V) != "map[fields:[boundMobile displayName impu] reason:called from the old number]" {
			h.Errorf("audit rows %+v, %v", rows, err)
		}

		const notice = `mutation($i: NoticeInput!) { sendNotice(input: $i) { account { externalId smsMessages { nodes { purpose to state } } } replayed userErrors { code field retryAfterSeconds } } }`
		say := func(account, key, text string) map[string]any {
			return map[string]any{"i": map[string]any{"idempotencyKey": key, "account": map[string]any{"externalId": account}, "text": text}}
		}
		care := h.client("care-north", []string{"north"}, models.AccountRead, models.AccountCare)
		h.must(care, notice, say("s-1", "1", "您的终端已修复")).want("sendNotice.account.smsMessages.nodes", "[map[purpose:NOTICE state:QUEUED to:+86138****0001]]")
		h.must(care, notice, say("s-1", "1", "您的终端已修复")).want("sendNotice.replayed", true)
		h.ask(care, notice, say("s-1", "1", "other")).want("sendNotice.userErrors.0.code", "IDEMPOTENCY_KEY_REUSED")
		for key, c := range map[string][3]string{
			"a": {"s-1", "", "REQUIRED [input text]"}, "b": {"s-1", strings.Repeat("字", 71), "TOO_LONG [input text]"}, "c": {"s-1", "a\x00", "INVALID [input text]"},
			"d": {"s-2", "x", "INVALID [input account]"}, "e": {"nobody", "x", "NOT_FOUND [input account]"}, "": {"s-1", "x", "REQUIRED [input idempotencyKey]"},
		} {
			b := h.ask(care, notice, say(c[0], key, c[1]))
			if got := fmt.Sprint(b.at("sendNotice.userErrors.0.code"), " ", b.at("sendNotice.userErrors.0.field")); got != c[2] {
				h.Errorf("%s: %s, want %s", key, got, c[2])
			}
		}
		for i := 2; i <= 5; i++ {
			h.must(care, notice, say("s-1", fmt.Sprint(i), strings.Repeat("字", 70)))
		}
		b := h.ask(care, notice, say("s-1", "6", "x"))
		b.want("sendNotice.userErrors.0.code", "LIMIT_BY_POLICY")
		b.want("sendNotice.userErrors.0.retryAfterSeconds", 86_400)
		var sent models.AuditEntry
		err = h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Where("action = ?", "sendNotice").Take(&sent).Error })
		if err != nil || strings.Contains(fmt.Sprint(sent.Changes.V), "终端") {
			h.Errorf("audit row %+v, %v", sent, err)
		}
		h.must(h.bss, does("terminateAccount", ""), on("s-1", "t", nil))
		h.ask(care, notice, say("s-1", "7", "x")).want("sendNotice.userErrors.0.code", "STATE_CONFLICT")
	})
}
