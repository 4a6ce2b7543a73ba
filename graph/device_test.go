package graph_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

const registerDevice = `mutation($i: RegisterDeviceInput!) { registerDevice(input: $i) {
	device { id version manufacturer oui productClass serialNumber clientType model softwareVersion tags stockState reachability reauthRequired legacyAuth
		lastInformAt nextInformDueAt ipAddress clockSkewSeconds login { sessionId }
		configuration { desiredKey appliedKey state failure unsupportedPaths changedAt }
		parameters { nodes { path value type writable reportedAt } } tasks { nodes { id } } bindings { nodes { id } } events { nodes { type } } }
	acsUsername acsPassword replayed userErrors { __typename code field ... on AlreadyExists { existingId } } } }`

func device(serial string, more map[string]any) map[string]any {
	in := map[string]any{"idempotencyKey": "register-" + serial, "clientType": "GENERIC",
		"identity": map[string]any{"oui": "00005e", "productClass": "CPE", "serialNumber": serial}}
	for name, value := range more {
		in[name] = value
	}
	return map[string]any{"i": in}
}

func TestADeviceIsRegisteredAndGivenTasks(t *testing.T) {
	onBoth(t, func(h *house) {
		in := device("a-1", map[string]any{"model": "M1", "tags": []any{"lab", "lab"}})
		a := h.must(h.bss, registerDevice, in)
		id := a.at("registerDevice.device.id")
		for path, want := range map[string]any{
			"oui": "00005E", "version": 1, "manufacturer": "", "model": "M1", "softwareVersion": nil, "tags": "[lab]", "stockState": nil, "reachability": "NEVER_SEEN",
			"reauthRequired": false, "lastInformAt": nil, "nextInformDueAt": nil, "ipAddress": nil, "clockSkewSeconds": nil, "login": nil,
			"configuration.desiredKey": "", "configuration.appliedKey": nil, "configuration.state": "NONE", "configuration.unsupportedPaths": "[]",
			"parameters.nodes": "[]", "tasks.nodes": "[]", "bindings.nodes": "[]",
		} {
			a.want("registerDevice.device."+path, want)
		}
		a.want("registerDevice.acsUsername", "00005E-CPE-a%2D1")
		again := h.must(h.bss, registerDevice, in)
		again.want("registerDevice.replayed", true)
		again.want("registerDevice.acsPassword", a.at("registerDevice.acsPassword"))
		taken := h.ask(h.bss, registerDevice, device("a-1", map[string]any{"idempotencyKey": "other"}))
		taken.want("registerDevice.userErrors.0.existingId", id)
		h.ask(h.bss, registerDevice, device("", nil)).want("registerDevice.userErrors.0.field", "[input identity serialNumber]")

		h.seen(id, "192.0.2.77")
		identity := `{ device(ref: {identity: {oui: "00005E", productClass: "CPE", serialNumber: "a-1"}}) { id lastInformAt nextInformDueAt ipAddress clockSkewSeconds } }`
		b := h.must(h.bss, identity, nil)
		b.want("device.id", id)
		b.want("device.lastInformAt", "2026-01-05T02:00:00.000Z")
		b.want("device.nextInformDueAt", "2026-01-06T02:00:00.000Z")
		b.want("device.ipAddress", "192.0.2.77")
		b.want("device.clockSkewSeconds", -3)
		h.must(h.client("watch", nil, models.DeviceRead), identity, nil).want("device.ipAddress", "1***")

		const create = `mutation($i: CreateDeviceTaskInput!) { createDeviceTask(input: $i) {
			task { id kind state request result fault { code } attempts expiresAt sentAt device { id } createdBy { ... on ApiClient { clientId } } } replayed userErrors { code field } } }`
		task := func(more map[string]any) map[string]any {
			h.keys++
			in := map[string]any{"idempotencyKey": fmt.Sprint("task-", h.keys), "device": map[string]any{"id": id}, "kind": "GET_VALUES"}
			for name, value := range more {
				in[name] = value
			}
			return map[string]any{"i": in}
		}
		c := h.must(h.bss, create, task(map[string]any{"paths": []any{"Device.DeviceInfo."}}))
		c.want("createDeviceTask.task.state", "PENDING")
		c.want("createDeviceTask.task.request.paths", "[Device.DeviceInfo.]")
		c.want("createDeviceTask.task.result", nil)
		c.want("createDeviceTask.task.expiresAt", "2026-01-06T02:00:00.000Z")
		c.want("createDeviceTask.task.device.id", id)
		c.want("createDeviceTask.task.createdBy.clientId", "bss")
		h.ask(h.bss, create, task(nil)).want("createDeviceTask.userErrors.0.code", "REQUIRED")
		h.ask(h.bss, create, task(map[string]any{"paths": []any{"A."}, "objectPath": "A."})).want("createDeviceTask.userErrors.0.code", "INVALID")
		h.ask(h.bss, create, task(map[string]any{"kind": "REBOOT", "device": map[string]any{"id": c.at("createDeviceTask.task.id")}})).want("createDeviceTask.userErrors.0.code", "NOT_FOUND")
		list := h.must(h.bss, fmt.Sprintf(`{ node(id: "%s") { ... on DeviceTask { kind } } device(ref: {id: "%s"}) { tasks(state: PENDING) { nodes { id kind } edges { cursor } } } }`,
			c.at("createDeviceTask.task.id"), id), nil)
		list.want("node.kind", "GET_VALUES")
		list.want("device.tasks.nodes.0.kind", "GET_VALUES")
	})
}

// seen is a heartbeat of the device with that global id.
func (h *house) seen(id any, ip string) {
	h.Helper()
	var d models.Device
	err := h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Take(&d).Error })
	if err != nil {
		h.Fatal(err)
	}
	h.config.Devices.Seen(&d, models.DevicePresence{DeviceID: d.ID, LastInformAt: h.clock.Now(), IPAddress: ip, ClockSkewSeconds: -3})
	if err := h.config.Devices.Flush(h.Context()); err != nil {
		h.Fatal(err)
	}
}

func TestPresenceIsHistory(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"}))
		h.bind("862162345678", "1")
		for _, change := range []func(*store.Tx, *models.Device) error{
			func(tx *store.Tx, d *models.Device) error { return devices.SetLogin(tx, d, "first") },
			func(tx *store.Tx, d *models.Device) error { return devices.SetOnline(tx, d, tx.Now) },
			func(tx *store.Tx, d *models.Device) error {
				return errors.Join(devices.SetOffline(tx, d, "UserExit"), devices.EndLogin(tx, d, "UserExit"))
			},
		} {
			h.clock.Advance(time.Minute)
			err := h.store.InTx(models.WithActor(h.Context(), models.System("test")), func(tx *store.Tx) error {
				d, err := devices.LockByKey(tx, models.DeviceKeyOf("00005E", "IMSPC", "1"))
				if err != nil {
					return err
				}
				return change(tx, d)
			})
			if err != nil {
				h.Fatal(err)
			}
		}
		const query = `query($after: String) { device(ref: {identity: {oui: "00005E", productClass: "IMSPC", serialNumber: "1"}}) {
			reachability login { sessionId at logoutAt reason }
			presenceHistory(first: 1, after: $after) { nodes { at state previousState reason loginSessionId durationSeconds } pageInfo { hasNextPage endCursor } } } }`
		a := h.must(h.bss, query, nil)
		a.want("device.reachability", "OFFLINE")
		a.want("device.login", map[string]any{
			"sessionId": "first", "at": "2026-01-05T02:01:00.000Z", "logoutAt": "2026-01-05T02:03:00.000Z", "reason": "UserExit"})
		a.want("device.presenceHistory.nodes", []any{map[string]any{"at": "2026-01-05T02:03:00.000Z", "state": "OFFLINE", "previousState": "ONLINE",
			"reason": "UserExit", "loginSessionId": "first", "durationSeconds": 60.0}})
		a.want("device.presenceHistory.pageInfo.hasNextPage", true)
		a = h.must(h.bss, query, map[string]any{"after": a.at("device.presenceHistory.pageInfo.endCursor")})
		a.want("device.presenceHistory.nodes", []any{map[string]any{"at": "2026-01-05T02:02:00.000Z", "state": "ONLINE", "previousState": "NEVER_SEEN",
			"reason": nil, "loginSessionId": "first", "durationSeconds": 120.0}})
		a.want("device.presenceHistory.pageInfo.hasNextPage", false)
	})
}

// bind gives the account n devices.
func (h *house) bind(msisdn models.Number, serials ...string) {
	h.Helper()
	ctx := models.WithActor(h.Context(), models.System("test"))
	for _, serial := range serials {
		err := h.store.InTx(ctx, func(tx *store.Tx) error {
			a, err := accounts.ForNumber(tx, msisdn)
			if err != nil {
				return err
			}
			key := models.DeviceKeyOf("00005E", "IMSPC", serial)
			d, err := devices.Create(tx, &models.Inform{Key: key, OUI: "00005E", ProductClass: "IMSPC", SerialNumber: serial, ClientType: models.PC}, a)
			if err != nil {
				return err
			}
			_, _, err = bindings.Bind(tx, d, a, models.ByOneTimePassword, models.System("test"))
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
	}
}

func TestPagesCostFewStatements(t *testing.T) {
	onBoth(t, func(h *house) {
		for i := range 10 {
			number := fmt.Sprintf("86216234560%d", i)
			h.must(h.bss, provisionAccount, h.input(fmt.Sprint("s-", i), "+"+number, map[string]any{"region": "north", "maxDevices": 50}))
			for j := range 5 {
				h.bind(models.Number(number), fmt.Sprintf("%d-%d", i, j))
			}
		}
		reader := h.client("reader", nil, models.AccountRead, models.DeviceRead, models.EventRead)
		h.must(reader, `{ viewer { regions } }`, nil) // the actor is known for five seconds
		for name, c := range map[string]struct {
			query string
			most  int64
		}{
			"devices with bindings and accounts": {`{ devices(first: 50) { nodes { id serialNumber bindings { nodes { state account { externalId msisdn } } } } } }`, 4},
			"accounts with everything": {`{ accounts(first: 10) { nodes { id msisdn passwordState lockedUntil services { code }
				bindings { nodes { state device { serialNumber reachability lastInformAt } } } } } }`, 6},
			"devices with presence": {`{ devices(first: 50) { nodes { lastInformAt ipAddress reachability nextInformDueAt } } }`, 2},
			"nodes":                 {`{ accounts(first: 10) { nodes { bindings(first: 5) { nodes { account { bindings(first: 5) { nodes { device { id } } } } } } } } }`, 4},
		} {
			ctx, n := store.CountStatements(h.Context())
			a := h.askIn(ctx, reader, c.query, nil, nil)
			if a.status != 200 || a.body["errors"] != nil || n.Load() > c.most || n.Load() == 0 {
				h.Errorf("%s: %d statements, at most %d allowed: %d %.300s", name, n.Load(), c.most, a.status, a.text)
			}
		}
		a := h.must(reader, `{ devices(first: 50) { nodes { bindings { nodes { account { externalId } } } } } }`, nil)
		for i, d := range a.at("devices.nodes").([]any) {
			if dig(d, "bindings.nodes.0.account.externalId") == nil {
				h.Errorf("device %d has no account: %v", i, d)
			}
		}
	})
}

func TestEventsAreReadInOrder(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, `{ eventHead }`, nil).want("eventHead", "")
		h.must(h.bss, `{ events { nodes { id } pageInfo { endCursor hasNextPage } } }`, nil).want("events.pageInfo.endCursor", nil)
		id := h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north"})).at("provisionAccount.account.id")
		h.bind("862162345678", "a-1")
		if err := h.log.Sequence(h.Context()); err != nil {
			h.Fatal(err)
		}
		const read = `query($after: String, $first: Int! = 100, $f: EventFilter) { eventHead events(after: $after, first: $first, filter: $f) {
			nodes { cursor type payload payloadVersion occurredAt subjectId subjectVersion region subject { __typename id ... on Account { externalId } ... on Device { serialNumber } } accountId deviceId }
			edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor } horizon } }`
		a := h.must(h.bss, read, nil)
		a.want("events.nodes.0.type", "ACCOUNT_CREATED")
		a.want("events.nodes.0.subject.externalId", "s-1")
		a.want("events.nodes.0.subjectId", id)
		a.want("events.nodes.0.region", "north")
		a.want("events.nodes.0.payloadVersion", 1)
		a.want("events.nodes.1.type", "DEVICE_REGISTERED")
		a.want("events.nodes.1.subject.serialNumber", "a-1")
		a.want("events.nodes.1.payload.device", a.at("events.nodes.1.deviceId"))
		a.want("events.pageInfo.endCursor", a.at("eventHead"))
		one := h.must(h.bss, read, map[string]any{"first": 1})
		one.want("events.pageInfo.hasNextPage", true)
		two := h.must(h.bss, read, map[string]any{"after": one.at("events.pageInfo.endCursor"), "first": 1})
		two.want("events.nodes.0.type", "DEVICE_REGISTERED")
		end := h.must(h.bss, read, map[string]any{"after": a.at("eventHead")})
		end.want("events.nodes", "[]")
		end.want("events.pageInfo.endCursor", a.at("eventHead"))
		h.must(h.bss, read, map[string]any{"f": map[string]any{"types": []any{"DEVICE_REGISTERED"}, "deviceIds": []any{a.at("events.nodes.1.deviceId")}}}).want("events.nodes.0.type", "DEVICE_REGISTERED")
		h.must(h.bss, read, map[string]any{"f": map[string]any{"deviceIds": []any{id}}}).want("events.nodes", "[]")
		h.must(h.client("south", []string{"south"}, models.EventRead), `{ events { nodes { id } } }`, nil).want("events.nodes", "[]")
		only := h.client("log", nil, models.EventRead)
		b := h.ask(only, `{ events(first: 1) { nodes { type subjectId subject { id } } } }`, nil)
		b.want("events.nodes.0.subjectId", id)
		b.want("events.nodes.0.subject", nil)
		b.refused(200, models.Forbidden)
		h.ask(only, `{ events { nodes { subject { ... on Account { msisdn } } } } }`, nil).refused(200, models.Forbidden)
	})
}

func TestDevicesAreListed(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", nil))
		h.bind("862162345678", "a-1", "a-2")
		h.must(h.bss, registerDevice, device("b-1", map[string]any{"tags": []any{"x", "y"}}))
		h.clock.Advance(time.Second)
		for filter, want := range map[string]string{
			`{}`: "3", `{text: "a-"}`: "2", `{clientTypes: [GENERIC]}`: "1", `{tagsAll: ["x", "y"]}`: "1", `{tagsAny: ["z"]}`: "0",
			`{boundTo: {externalId: "s-1"}}`: "2", `{boundTo: {externalId: "nobody"}}`: "0", `{reachability: [NEVER_SEEN]}`: "3", `{ids: []}`: "3", `{ids: ["eA"]}`: "0",
		} {
			a := h.must(h.bss, `{ devices(sort: SERIAL_NUMBER, filter: `+filter+`) { totalCount nodes { serialNumber } } }`, nil)
			if fmt.Sprint(a.at("devices.totalCount")) != want || fmt.Sprint(len(a.at("devices.nodes").([]any))) != want {
				h.Errorf("%s: %s", filter, a.text)
			}
		}
	})
}

const updateDevice = `mutation($i: UpdateDeviceInput!) { updateDevice(input: $i) {
	device { version tags stockState } userErrors { __typename code field ... on VersionConflict { currentVersion } } } }`

// What operators keep of a device: tags, and the stock state of a screen.
func TestADeviceIsUpdated(t *testing.T) {
	onBoth(t, func(h *house) {
		screen := func(serial string) map[string]any {
			return map[string]any{"identity": map[string]any{"oui": "00005E", "productClass": "CPE", "serialNumber": serial}}
		}
		h.must(h.bss, registerDevice, device("s-1", map[string]any{"clientType": "MAGIC_SCREEN", "tags": []any{"batch-7"}}))
		h.must(h.bss, registerDevice, device("g-1", nil))
		update := func(serial string, more map[string]any) answer {
			in := map[string]any{"device": screen(serial)}
			for name, value := range more {
				in[name] = value
			}
			return h.ask(h.bss, updateDevice, map[string]any{"i": in})
		}
		a := update("s-1", map[string]any{"expectedVersion": 1, "addTags": []any{"lab", "batch-7"}, "removeTags": []any{"none"}})
		a.want("updateDevice.device.tags", "[batch-7 lab]")
		a.want("updateDevice.device.version", 2)
		update("s-1", map[string]any{"addTags": []any{"lab"}, "stockState": "STOCK"}).want("updateDevice.device.version", 2)
		update("s-1", map[string]any{"removeTags": []any{"lab"}, "stockState": "STOLEN"}).want("updateDevice.device.stockState", "STOLEN")
		update("s-1", map[string]any{"stockState": "RETURNED"}).want("updateDevice.device.stockState", "RETURNED")
		update("g-1", map[string]any{"addTags": []any{"x"}}).want("updateDevice.device.tags", "[x]")
		for what, c := range map[string]struct {
			serial string
			in     map[string]any
			code   string
			field  string
		}{
			"an older version": {"s-1", map[string]any{"expectedVersion": 1, "stockState": "STOCK"}, "VERSION_CONFLICT", "[input expectedVersion]"},
			"no such device":   {"s-2", map[string]any{"stockState": "STOCK"}, "NOT_FOUND", "[input device]"},
			"not a screen":     {"g-1", map[string]any{"stockState": "STOLEN"}, "INVALID", "[input stockState]"},
			"an order's state": {"s-1", map[string]any{"stockState": "ACTIVE"}, "INVALID", "[input stockState]"},
			"an empty tag":     {"s-1", map[string]any{"addTags": []any{""}}, "INVALID", "[input addTags 0]"},
		} {
			h.Log(what)
			a := update(c.serial, c.in)
			a.want("updateDevice.userErrors.0.code", c.code)
			a.want("updateDevice.userErrors.0.field", c.field)
		}
		south := h.client("south", []string{"south"}, models.DeviceWrite, models.DeviceRead)
		h.ask(south, updateDevice, map[string]any{"i": map[string]any{"device": screen("s-1"), "stockState": "STOCK"}}).want("updateDevice.userErrors.0.code", "NOT_FOUND")
		var rows []models.AuditEntry
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Where("action = ?", "updateDevice").Order("n").Find(&rows).Error
		})
		if err != nil || len(rows) != 4 || fmt.Sprint(rows[1].Changes.V["stockState"]) != "[STOCK STOLEN]" {
			h.Errorf("%d audit rows, %v", len(rows), err)
		}
	})
}
