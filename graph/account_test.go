package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

func TestAnAccountIsProvisionedReadAndChanged(t *testing.T) {
	onBoth(t, func(h *house) {
		in := h.input("s-1", "+862162345678", map[string]any{"displayName": "王小明", "region": "north", "services": []any{
			map[string]any{"code": "VIDEO", "enabled": true, "parameters": map[string]any{"MaxBitrate": 512}}}})
		a := h.must(h.bss, provisionAccount, in)
		a.want("provisionAccount.account.state", "ACTIVE")
		a.want("provisionAccount.account.version", 1)
		a.want("provisionAccount.account.msisdn", "+862162345678")
		a.want("provisionAccount.account.displayName", "王小明")
		a.want("provisionAccount.account.impu", "[sip:+862162345678@ims.example.net tel:+862162345678]")
		a.want("provisionAccount.account.services.0.parameters.MaxBitrate", "512")
		a.want("provisionAccount.account.passwordState", "NONE")
		a.want("provisionAccount.replayed", false)
		id := a.at("provisionAccount.account.id")

		written := h.must(h.bss, `mutation { provisionAccount(input: {idempotencyKey: "literal", externalId: "s-9", msisdn: "+862162345699", sipPassword: "example-sip-secret",
			services: [{code: "VIDEO", enabled: true, parameters: {MaxBitrate: 512}}]}) { account { services { parameters } } userErrors { code field } } }`, nil)
		written.want("provisionAccount.account.services.0.parameters.MaxBitrate", "512")
		h.ask(h.bss, provisionAccount, h.input("s-8", "+862162345698", map[string]any{"services": []any{map[string]any{"code": "VIDEO", "enabled": true, "parameters": []any{1}}}})).
			want("provisionAccount.userErrors.0.field", "[input services 0 parameters]")

		again := h.must(h.bss, provisionAccount, in)
		again.want("provisionAccount.replayed", true)
		again.want("provisionAccount.account.id", id)

		in["i"].(map[string]any)["displayName"] = "other"
		h.ask(h.bss, provisionAccount, in).want("provisionAccount.userErrors.0.code", "IDEMPOTENCY_KEY_REUSED")

		taken := h.ask(h.bss, provisionAccount, h.input("s-1", "+862162345679", nil))
		taken.want("provisionAccount.userErrors.0.__typename", "AlreadyExists")
		taken.want("provisionAccount.userErrors.0.existingId", id)
		taken.want("provisionAccount.userErrors.0.existingExternalId", "s-1")
		taken.want("provisionAccount.userErrors.0.field", "[input externalId]")
		taken.want("provisionAccount.account", nil)

		const modify = `mutation($i: ModifyAccountInput!) { modifyAccount(input: $i) { account { version displayName region maxDevices }
			userErrors { __typename code field retryable ... on VersionConflict { currentVersion } ... on StateConflict { currentState allowedActions } } } }`
		change := func(key string, version int) map[string]any {
			return map[string]any{"i": map[string]any{
				"idempotencyKey": key, "account": map[string]any{"externalId": "s-1"}, "expectedVersion": version, "displayName": nil, "maxDevices": 2}}
		}
		b := h.must(h.bss, modify, change("m-1", 1))
		b.want("modifyAccount.account.version", 2)
		b.want("modifyAccount.account.displayName", nil)
		b.want("modifyAccount.account.region", "north")
		b.want("modifyAccount.account.maxDevices", 2)
		c := h.ask(h.bss, modify, change("m-2", 1))
		c.want("modifyAccount.userErrors.0.__typename", "VersionConflict")
		c.want("modifyAccount.userErrors.0.currentVersion", 2)
		c.want("modifyAccount.userErrors.0.retryable", true)
		h.ask(h.bss, modify, change("m-3", 0)).want("modifyAccount.userErrors.0.currentVersion", 2)

		const activate = `mutation($i: AccountActionInput!) { activateAccount(input: $i) { account { state }
			userErrors { __typename ... on StateConflict { currentState allowedActions } } } }`
		d := h.ask(h.bss, activate, map[string]any{"i": map[string]any{"idempotencyKey": "a-1", "account": map[string]any{"id": id}}})
		d.want("activateAccount.userErrors.0.__typename", "StateConflict")
		d.want("activateAccount.userErrors.0.allowedActions", "[endLogins modifyAccount resetAccountPassword sendNotice suspendAccount terminateAccount unlockAccount]")

		for _, ref := range []string{fmt.Sprintf(`id: "%s"`, id), `externalId: "s-1"`, `msisdn: "+862162345678"`, `impu: "tel:+862162345678"`} {
			h.must(h.bss, `{ account(ref: {`+ref+`}) { id } }`, nil).want("account.id", id)
		}
		h.must(h.bss, fmt.Sprintf(`{ node(id: "%s") { id ... on Account { sipPassword sipSecretSource } } }`, id), nil).want("node.sipPassword", "example-sip-secret")
		h.must(h.bss, `{ account(ref: {externalId: "nobody"}) { id } node(id: "bm9uc2Vuc2U") { id } }`, nil).want("account", nil)
	})
}

func TestAccountsAreListedByPages(t *testing.T) {
	onBoth(t, func(h *house) {
		for i := range 5 {
			h.must(h.bss, provisionAccount, h.input(fmt.Sprintf("s-%d", i), fmt.Sprintf("+8621623456%02d", i), map[string]any{"region": []string{"north", "south"}[i%2]}))
		}
		const list = `query($first: Int, $after: String, $last: Int, $before: String, $filter: AccountFilter) {
			accounts(sort: MSISDN, direction: DESC, first: $first, after: $after, last: $last, before: $before, filter: $filter) {
				totalCount nodes { externalId } edges { cursor node { externalId } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
		a := h.must(h.bss, list, map[string]any{"first": 2})
		a.want("accounts.nodes", "[map[externalId:s-4] map[externalId:s-3]]")
		a.want("accounts.totalCount", 5)
		a.want("accounts.pageInfo.hasNextPage", true)
		b := h.must(h.bss, list, map[string]any{"first": 2, "after": a.at("accounts.pageInfo.endCursor")})
		b.want("accounts.nodes", "[map[externalId:s-2] map[externalId:s-1]]")
		b.want("accounts.pageInfo.hasPreviousPage", true)
		c := h.must(h.bss, list, map[string]any{"last": 2, "before": b.at("accounts.pageInfo.startCursor")})
		c.want("accounts.nodes", "[map[externalId:s-4] map[externalId:s-3]]")
		h.must(h.bss, list, map[string]any{"filter": map[string]any{"region": "south"}}).want("accounts.totalCount", 2)
		h.ask(h.bss, list, map[string]any{"first": 2, "after": "nonsense"}).refused(200, models.BadUserInput)
	})
}

func TestRegionsAndPermissionsHoldEverywhere(t *testing.T) {
	onBoth(t, func(h *house) {
		id := h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"})).at("provisionAccount.account.id")
		south := h.client("south", []string{"south"}, models.AccountRead, models.AccountWrite, models.PIIRead, models.SecretRead)
		read := fmt.Sprintf(`{ node(id: "%s") { id } account(ref: {externalId: "s-1"}) { id } accounts { totalCount nodes { id } } }`, id)
		a := h.must(south, read, nil)
		a.want("node", nil)
		a.want("account", nil)
		a.want("accounts.totalCount", 0)
		h.ask(south, provisionAccount, h.input("s-2", "+862162345679", map[string]any{"region": "north"})).want("provisionAccount.userErrors.0.code", "POLICY_DENIED")
		h.ask(south, `mutation($i: ModifyAccountInput!) { modifyAccount(input: $i) { userErrors { code } } }`, map[string]any{"i": map[string]any{
			"idempotencyKey": "x", "account": map[string]any{"id": id}, "maxDevices": 1}}).want("modifyAccount.userErrors.0.code", "NOT_FOUND")

		reader := h.client("reader", nil, models.AccountRead)
		h.must(reader, read, nil).want("node.id", id)
		for _, forbidden := range []string{
			`{ account(ref: {externalId: "s-1"}) { sipPassword } }`,
			`{ account(ref: {externalId: "s-1"}) { bindings { nodes { id } } } }`,
			`{ devices { nodes { id } } }`,
			`{ viewer { actor { ... on ApiClient { roles { name } } } } }`,
			`query { ...F } fragment F on Query { node(id: "x") { ... on Device { id } } }`,
			`mutation { registerDevice(input: {idempotencyKey: "k", identity: {oui: "00005E", productClass: "X", serialNumber: "1"}, clientType: PC}) { replayed } }`,
			`mutation { signOut { revokedSessions } saveRole(input: {name: "x", permissions: [], regions: []}) { replayed } }`,
		} {
			h.ask(reader, forbidden, nil).refused(200, models.Forbidden)
		}
		h.must(reader, `{ account(ref: {externalId: "s-1"}) { id sipPassword @include(if: false) } }`, nil).want("account.id", id)
		devices := h.client("devices", nil, models.DeviceRead)
		h.ask(devices, fmt.Sprintf(`{ node(id: "%s") { id } }`, id), nil).refused(200, models.Forbidden)
		b := h.ask(devices, fmt.Sprintf(`{ nodes(ids: ["%s", "eA"]) { id } }`, id), nil)
		b.refused(200, models.Forbidden)
		b.want("nodes", "[<nil> <nil>]")
		if path := fmt.Sprint(dig(b.body["errors"], "0.path")); path != "[nodes 0]" {
			h.Errorf("the error is at %s", path)
		}
	})
}

func TestPersonalDataIsMaskedAndItsReadingAudited(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+8613812340001", map[string]any{
			"region": "north", "displayName": "王小明", "boundMobile": "+8613912345678", "imsi": "460001234567890", "broadbandAccount": "ad12345678"}))
		const read = `{ account(ref: {externalId: "s-1"}) { msisdn displayName boundMobile imsi broadbandAccount } }`
		care := h.client("desk", nil, models.AccountRead)
		a := h.must(care, read, nil)
		a.want("account.msisdn", "+86138****0001")
		a.want("account.displayName", "王***")
		a.want("account.boundMobile", "+86139****5678")
		a.want("account.broadbandAccount", "a***")
		if imsi := fmt.Sprint(a.at("account.imsi")); imsi == "460001234567890" || imsi == "<nil>" {
			h.Errorf("imsi is %s", imsi)
		}
		h.must(h.client("other", []string{"south"}, models.PIIRead), `{ viewer { regions } }`, nil).want("viewer.regions", "[south]")
		before := h.disclosed()
		b := h.must(h.bss, read, nil)
		b.want("account.msisdn", "+8613812340001")
		b.want("account.displayName", "王小明")
		b.want("account.imsi", "460001234567890")
		rows := h.disclosed()
		if len(rows) != len(before)+1 {
			h.Fatalf("%d rows before, %d after", len(before), len(rows))
		}
		h.must(h.bss, provisionAccount, h.input("s-2", "+8613812340002", nil))
		h.must(h.bss, `{ accounts { nodes { impi } edges { node { displayName msisdn } } } }`, nil)
		several := h.disclosed()
		if last := several[len(several)-1]; last.Action != "accounts" || len(dig(last.Changes.V, "subjects.Account").([]any)) != 2 || fmt.Sprint(last.Changes.V["fields"]) != "[displayName impi msisdn]" {
			h.Errorf("audit row of several accounts %+v", last)
		}
		row := rows[len(rows)-1]
		if row.Action != "account" || row.ActorName != "bss" || row.Subject.Kind != models.KindAccount || row.RequestID != b.header.Get("X-Request-Id") {
			h.Errorf("audit row %+v", row)
		}
	})
}

// What a client of the whole contract sends is taken where it can be honoured, though less is built than it knows of.
func TestInputsOfTheContractAreTaken(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"quiet": true, "workOrderExternalId": "order-1", "activate": false}))
		const change = `mutation($m: ModifyAccountInput!, $a: AccountActionInput!) { modifyAccount(input: $m) { userErrors { code field } } activateAccount(input: $a) { userErrors { code field } } }`
		variables := map[string]any{
			"m": map[string]any{"idempotencyKey": "m", "account": map[string]any{"externalId": "s-1"}, "workOrderExternalId": "order-2", "maxDevices": 2},
			"a": map[string]any{"idempotencyKey": "a", "account": map[string]any{"externalId": "s-1"}, "workOrderExternalId": "order-3", "reason": "FRAUD"},
		}
		h.ask(h.bss, change, variables).want("activateAccount.userErrors", "[map[code:INVALID field:[input reason]]]")
		variables["a"].(map[string]any)["reason"] = nil
		h.must(h.bss, change, variables)
		variables["m"].(map[string]any)["workOrderExternalId"] = "order-9"
		h.ask(h.bss, change, variables).want("modifyAccount.userErrors.0.code", "IDEMPOTENCY_KEY_REUSED")
		if err := h.log.Sequence(h.Context()); err != nil {
			h.Fatal(err)
		}
		events := h.must(h.bss, `{ events(filter: {types: [ACCOUNT_CREATED, ACCOUNT_CHANGED, ACCOUNT_STATE_CHANGED, WORK_ORDER_STATE_CHANGED, STATISTICS_RECEIVED]}) { nodes { payload } } }`, nil)
		for i := range 3 {
			events.want(fmt.Sprintf("events.nodes.%d.payload.workOrderExternalId", i), fmt.Sprintf("order-%d", i+1))
		}
		h.must(h.bss, registerDevice, device("d-1", nil))
		h.must(h.bss, `mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) { task { state } userErrors { code } } }`, map[string]any{"i": map[string]any{
			"idempotencyKey": "t", "device": map[string]any{"identity": device("d-1", nil)["i"].(map[string]any)["identity"]}, "kind": "REBOOT", "wake": false}}).want("createDeviceTask.task.state", "PENDING")
		h.must(h.bss, `mutation($i: TargetActionInput!) { rotateApiClientSecret(input: $i) { secret userErrors { code } } }`, map[string]any{"i": map[string]any{
			"id": h.must(h.bss, `{ apiClients { id } }`, nil).at("apiClients.0.id"), "expectedVersion": 1, "note": "lost"}})
		var row models.AuditEntry
		err := h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Where("action = ?", "rotateApiClientSecret").Take(&row).Error })
		if err != nil || row.Changes.V["note"] != "lost" {
			h.Errorf("audit row %v %v", row.Changes.V, err)
		}
	})
}

// disclosed are the audit rows of disclosures.
func (h *house) disclosed() (rows []models.AuditEntry) {
	h.Helper()
	err := h.store.View(h.Context(), func(tx *store.Tx) error {
		return tx.DB.Where("outcome = ?", models.AuditDisclosed).Order("n").Find(&rows).Error
	})
	if err != nil {
		h.Fatal(err)
	}
	return rows
}

func TestMessagesOfAnAccount(t *testing.T) {
	onBoth(t, func(h *house) {
		id := h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"})).at("provisionAccount.account.id")
		ctx := models.WithActor(h.Context(), models.System("test"))
		err := h.store.InTx(ctx, func(tx *store.Tx) error {
			a, err := accounts.ForNumber(tx, "862162345678")
			if err != nil {
				return err
			}
			_, err = sms.Queue(tx, sms.Message{AccountID: a.ID, Region: a.Region, To: "8613812340001", Body: "code 23456789", Purpose: models.SmsPasswordReset, ExpiresAt: tx.Now.Add(time.Minute)})
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
		read := fmt.Sprintf(`{ account(ref: {id: "%s"}) { smsMessages { nodes { id to purpose state providerStatus attempts queuedAt submittedAt finalAt } pageInfo { hasNextPage } } } }`, id)
		a := h.must(h.bss, read, nil)
		a.want("account.smsMessages.nodes.0.to", "+8613812340001")
		a.want("account.smsMessages.nodes.0.state", "QUEUED")
		a.want("account.smsMessages.nodes.0.submittedAt", nil)
		reader := h.client("desk", nil, models.AccountRead)
		h.must(reader, read, nil).want("account.smsMessages.nodes.0.to", "+86138****0001")
		h.must(reader, fmt.Sprintf(`{ node(id: "%s") { ... on SmsMessage { to } } }`, a.at("account.smsMessages.nodes.0.id")), nil).want("node.to", "+86138****0001")
	})
}
