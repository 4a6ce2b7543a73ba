package graph_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	schemas "github.com/softacs/softacs/docs/events"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const timelineOf = `query($e: String!, $k: [TimelineKind!], $r: TimeRange, $n: Int!, $a: String) { account(ref: {externalId: $e}) {
	timeline(kinds: $k, range: $r, first: $n, after: $a) {
		nodes { at kind level title(locale: "en") zh: title detail device { serialNumber } actor { __typename ... on ApiClient { clientId } ... on SystemActor { component } } event { type cursor } }
		edges { cursor node { cursor } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }`

// told are the titles of a page.
func told(a answer) string {
	var list []string
	nodes, _ := a.at("account.timeline.nodes").([]any)
	for _, n := range nodes {
		list = append(list, fmt.Sprint(dig(n, "title")))
	}
	return strings.Join(list, ", ")
}

// happens appends events of these codes about the account, a second apart.
func (h *house) happens(account, device models.ID, kind models.EventType, codes ...string) {
	h.Helper()
	for _, code := range codes {
		h.clock.Advance(time.Second)
		err := h.store.InTx(models.WithActor(h.Context(), models.System("test")), func(tx *store.Tx) error {
			return events.Append(tx, models.Event{Type: kind, Subject: models.Subject{Kind: models.KindAccount, ID: account}, AccountID: account, DeviceID: device, Region: "north",
				Payload: models.DocOf(map[string]any{"code": code, "reason": "HeartbeatLost"})})
		})
		if err != nil {
			h.Fatal(err)
		}
	}
}

// row reads the rows of a condition.
func row[T any](h *house, where string, args ...any) (v T) {
	h.Helper()
	if err := h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Where(where, args...).Take(&v).Error }); err != nil {
		h.Fatal(err)
	}
	return v
}

func TestTheTimelineOfAnAccountIsReadBackwards(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "boundMobile": "+8613812340001"}))
		h.clock.Advance(time.Second)
		h.bind("862162345678", "pc")
		a, d := row[models.Account](h, "external_id = ?", "s-1"), row[models.Device](h, "serial_number = ?", "pc")
		h.happens(a.ID, d.ID, models.DeviceReachabilityChanged, "client.online", "client.offline")
		h.happens(a.ID, models.ID{}, models.Security, "security.locked", "security.never_heard_of")
		h.clock.Advance(time.Second)
		h.must(h.bss, does("suspendAccount", ""), on("s-1", "k", map[string]any{"reason": "FRAUD"}))
		if err := h.log.Sequence(h.Context()); err != nil {
			h.Fatal(err)
		}
		ask := func(more map[string]any) map[string]any {
			v := map[string]any{"e": "s-1", "n": 50}
			for name, value := range more {
				v[name] = value
			}
			return v
		}
		all := h.must(h.bss, timelineOf, ask(nil))
		whole := told(all)
		if whole != "Configuration pending, Binding suspended, Account suspended, Account suspended, Security, Locked, Client offline, Client online, Device bound, Device registered, Account created, Account provisioned" {
			h.Errorf("the timeline is %s", whole)
		}
		for path, want := range map[string]any{
			"5.zh": "已锁定", "5.kind": "SECURITY", "5.level": "BROKEN", "5.detail": "HeartbeatLost", "5.actor.component": "test", "5.device": nil, "5.at": "2026-01-05T02:00:04.000Z",
			"6.kind": "PRESENCE", "6.level": "DEGRADED", "6.device.serialNumber": "pc", "6.event.type": "DEVICE_REACHABILITY_CHANGED", "7.level": "GOOD", "8.kind": "LOGIN",
		} {
			all.want("account.timeline.nodes."+path, want)
		}
		// By pages: the same, whatever happens meanwhile.
		pages, after := []string{}, any(nil)
		for {
			p := h.must(h.bss, timelineOf, ask(map[string]any{"n": 3, "a": after}))
			pages = append(pages, told(p))
			if p.at("account.timeline.pageInfo.hasPreviousPage") != (after != nil) || p.at("account.timeline.edges.0.cursor") != p.at("account.timeline.edges.0.node.cursor") {
				h.Errorf("page %v", p.text)
			}
			if after = p.at("account.timeline.pageInfo.endCursor"); p.at("account.timeline.pageInfo.hasNextPage") != true {
				break
			}
			h.happens(a.ID, d.ID, models.AlarmRaised, "alarm.raised")
		}
		if got := strings.Join(pages, ", "); got != whole {
			h.Errorf("by pages %s\nat once  %s", got, whole)
		}
		for kinds, want := range map[string]string{
			"SECURITY": "Security, Locked", "OPERATOR": "Account suspended, Account provisioned", "PRESENCE": "Client offline, Client online", "SMS": "", "FAULT": "Alarm raised, Alarm raised, Alarm raised",
			"SECURITY,OPERATOR": "Account suspended, Security, Locked, Account provisioned",
		} {
			if got := told(h.must(h.bss, timelineOf, ask(map[string]any{"k": strings.Split(kinds, ",")}))); got != want {
				h.Errorf("%s: %s, want %s", kinds, got, want)
			}
		}
		span := map[string]any{"from": "2026-01-05T02:00:02.000Z", "to": "2026-01-05T02:00:04.000Z"}
		if got := told(h.must(h.bss, timelineOf, ask(map[string]any{"r": span}))); got != "Client offline, Client online" {
			h.Errorf("in the span: %s", got)
		}
		h.ask(h.bss, timelineOf, ask(map[string]any{"r": map[string]any{"from": span["to"], "to": span["from"]}})).refused(200, models.BadUserInput)
		h.must(h.bss, provisionAccount, h.input("s-2", "+862162345679", nil))
		foreign := h.must(h.bss, timelineOf, map[string]any{"e": "s-2", "n": 1}).at("account.timeline.pageInfo.endCursor")
		for _, cursor := range []any{foreign, "x", "MS45OQ", fmt.Sprint(all.at("account.timeline.nodes.5.event.cursor"))} {
			h.ask(h.bss, timelineOf, ask(map[string]any{"a": cursor})).refused(200, models.BadUserInput)
		}
		// What is a moment old is there, but has no place in the log yet.
		h.happens(a.ID, models.ID{}, models.AlarmCleared, "alarm.cleared")
		fresh := h.must(h.bss, timelineOf, ask(map[string]any{"n": 1}))
		fresh.want("account.timeline.nodes.0.title", "Alarm cleared")
		fresh.want("account.timeline.nodes.0.event", nil)

		h.ask(h.client("reader", nil, models.AccountRead), timelineOf, ask(nil)).refused(200, models.Forbidden)
		mixed := h.with("mixed", h.role("r", nil, models.AccountRead, models.DeviceRead), h.role("e", []string{"south"}, models.EventRead))
		h.ask(mixed, timelineOf, ask(nil)).refused(200, models.Forbidden)
		desk := h.client("desk", []string{"north"}, models.AccountRead, models.EventRead, models.DeviceRead)
		h.must(desk, timelineOf, ask(nil)).want("account.timeline.nodes.0.title", "Alarm cleared")

		// The same statements for an account to which a thousand times as much has happened, and only the page is looked at.
		few := h.cost(desk, timelineOf, ask(map[string]any{"n": 5}))
		h.fill(a.ID, 5000)
		if many := h.cost(desk, timelineOf, ask(map[string]any{"n": 5})); many != few || many > 8 {
			h.Errorf("%d statements, %d before", many, few)
		}
		h.examines("a page of the timeline", 700, func() { h.must(desk, timelineOf, ask(map[string]any{"n": 5})) })
		h.examines("a page of the timeline by kind", 300, func() { h.must(desk, timelineOf, ask(map[string]any{"n": 5, "k": []any{"SECURITY"}})) })
	})
}

// cost counts the statements of an operation.
func (h *house) cost(token, query string, variables map[string]any) int64 {
	h.Helper()
	h.must(token, `{ viewer { regions } }`, nil)
	ctx, n := store.CountStatements(h.Context())
	if a := h.askIn(ctx, token, query, variables, nil); a.status != 200 || a.body["errors"] != nil {
		h.Fatalf("%s", a.text)
	}
	return n.Load()
}

// fill makes an account that much has happened to.
func (h *house) fill(account models.ID, n int) {
	h.Helper()
	err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
		rows, deeds := make([]models.Event, n), make([]models.AuditEntry, n)
		for i := range rows {
			at := h.clock.Now().Add(-time.Duration(i) * time.Minute)
			rows[i] = models.Event{ID: models.NewID(), Type: models.DeviceReachabilityChanged, OccurredAt: at, Subject: models.Subject{Kind: models.KindAccount, ID: account}, AccountID: account,
				Region: "north", Payload: models.DocOf(map[string]any{"code": "client.online"}), DeviceID: models.NewID()}
			sequence := int64(1_000_000 + i)
			deeds[i] = models.AuditEntry{Sequence: &sequence, ID: models.NewID(), At: at, ActorKind: models.SystemActor, ActorName: "test", Action: "look", Subject: models.Subject{Kind: models.KindAccount, ID: account}, Outcome: models.AuditDisclosed}
		}
		if err := tx.DB.CreateInBatches(&rows, 500).Error; err != nil {
			return err
		}
		return tx.DB.CreateInBatches(&deeds, 500).Error
	})
	if err != nil {
		h.Fatal(err)
	}
}

// examines checks how many rows MariaDB reads for f; SQLite does not count them.
func (h *house) examines(what string, most int64, f func()) {
	h.Helper()
	reads := func() (n int64) {
		var rows []struct {
			VariableName string
			Value        int64
		}
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Raw("SELECT variable_name, variable_value AS value FROM information_schema.global_status WHERE variable_name LIKE 'HANDLER_READ%'").Scan(&rows).Error
		})
		if err != nil {
			return -1 // SQLite
		}
		for _, r := range rows {
			n += r.Value
		}
		return n
	}
	before := reads()
	if before < 0 {
		return
	}
	f()
	if n := reads() - before; n > most {
		h.Errorf("%s reads %d rows, at most %d were expected", what, n, most)
	}
}

var coded = regexp.MustCompile(`"([a-z]+\.[a-z_]+)"`)

// A code that an event may have, as its JSON Schema says, has a title in the timeline and words in the live list of the web client.
func TestEveryCodeHasATitle(t *testing.T) {
	t.Parallel()
	known := read(t, "../models/desk/words.go")
	files, err := schemas.Schemas.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, found := range coded.FindAllString(read(t, "../docs/events/"+file.Name()), -1) {
			for _, words := range []string{"../models/desk/words.go", "../web-client/src/lib/i18n/en.ts", "../web-client/src/lib/i18n/zh.ts"} {
				if !strings.Contains(read(t, words), found+":") {
					t.Errorf("%s has no words for %s", words, found)
				}
			}
		}
	}
	schema := read(t, "event.graphqls")
	list := schema[strings.Index(schema, "enum EventType {"):]
	for _, name := range strings.Fields(list[len("enum EventType {"):strings.Index(list, "}")]) {
		if strings.Count(known, `"`+name+`":`) != 2 {
			t.Errorf("models/desk/words.go has not one kind and one title of events %s", name)
		}
	}
}

const found = `query($t: String!, $n: Int) { search(text: $t, first: $n) { __typename ... on Account { externalId msisdn displayName } ... on Device { serialNumber } } }`

func TestTheDeskFindsWhoIsMeant(t *testing.T) {
	onBoth(t, func(h *house) {
		h.must(h.bss, provisionAccount, h.input("s-1", "+862162345678", map[string]any{"region": "north", "displayName": "王小明", "boundMobile": "+8613812340001"}))
		h.must(h.bss, provisionAccount, h.input("s-2", "+862162345679", map[string]any{"region": "south", "displayName": "王大明"}))
		h.must(h.bss, provisionAccount, h.input("s-3", "+8613912340001", map[string]any{"displayName": "100%_sure"}))
		h.bind("862162345678", "SN2026a1")
		h.bind("862162345679", "SN2026b2")
		d := row[models.Device](h, "serial_number = ?", "SN2026a1")
		err := h.config.Devices.Report(h.Context(), &d, &models.Inform{Key: d.Key, Values: map[string]models.Value{
			"softClient.macAddress": {Value: "00:1A:2B:3C:4D:5E"}, "softClient.stbID": {Value: "00100499001B01002026001A2B3C4D5E"}}})
		if err != nil {
			h.Fatal(err)
		}
		names := func(a answer) string {
			var list []string
			for _, hit := range a.at("search").([]any) {
				for _, name := range []string{"externalId", "serialNumber"} {
					if v := dig(hit, name); v != nil {
						list = append(list, fmt.Sprint(v))
					}
				}
			}
			return strings.Join(list, " ")
		}
		for text, want := range map[string]string{
			"+862162345678": "s-1", "021-62345678": "s-1", "(021) 6234 5678": "s-1", "62345678": "s-1", "0086 21 62345678": "s-1", "８６２１６２３４５６７８": "s-1", "862162345678": "s-1",
			"021–6234–5678": "s-1", "021/62345678": "s-1", "13812340001": "s-1", "+86 138 1234 0001": "s-1", "013912340001": "s-3", "tel:+862162345678": "s-1",
			"sip:+862162345678@ims.example.net": "s-1", "+862162345678@ims.example.net": "s-1", "s-2": "s-2", "王": "s-1 s-2", "王小明": "s-1", " 王小明 ": "s-1", "小明": "",
			"SN2026a1": "SN2026a1", "sn2026A1": "", "SN20": "SN2026a1 SN2026b2", "SN2": "", "00005E-IMSPC-SN2026a1": "SN2026a1", "001A2B3C4D5E": "SN2026a1", "00-1a-2b-3c-4d-5e": "SN2026a1",
			"001a.2b3c.4d5e": "SN2026a1", "00100499001b01002026001a2b3c4d5e": "SN2026a1", "100%": "s-3", "%": "", "_": "", "%小%": "", "' OR 1=1 --": "", `\`: "", "!": "",
		} {
			if got := names(h.must(h.bss, found, map[string]any{"t": text})); got != want {
				h.Errorf("%q finds %q, want %q", text, got, want)
			}
		}
		for _, text := range []string{"", "  ", "a\x00b", "\u202e12345678", "王\u200b", strings.Repeat("x", 10<<10), strings.Repeat("王", 129), "a\nb"} {
			h.ask(h.bss, found, map[string]any{"t": text}).refused(200, models.BadUserInput)
		}
		h.must(h.bss, found, map[string]any{"t": "王", "n": 1}).want("search.1", nil)
		h.ask(h.bss, found, map[string]any{"t": "王", "n": 101}).refused(200, models.BadUserInput)

		north := h.client("north", []string{"north"}, models.AccountRead, models.DeviceRead)
		for text, want := range map[string]string{"王": "s-1", "62345679": "", "s-2": "", "SN20": "SN2026a1", "SN2026b2": "", "62345678": "s-1", "001A2B3C4D5E": "SN2026a1"} {
			a := h.must(north, found, map[string]any{"t": text})
			if got := names(a); got != want {
				h.Errorf("in the north %q finds %q, want %q", text, got, want)
			}
		}
		var roles []any
		for i, n := range []int{50, 50, 50, 50, 20} { // more regions than one statement has room for, by three each
			regions := make([]string, n)
			for j := range regions {
				regions[j] = fmt.Sprint("r", i, "-", j)
			}
			regions[0] = "north"
			roles = append(roles, h.role(fmt.Sprint("part-", i), regions, models.AccountRead, models.DeviceRead))
		}
		wide := h.with("wide", roles...)
		twenty := h.with("twenty", roles[4])
		for text, want := range map[string]string{"王": "s-1", "SN2026": "SN2026a1", "sN20": "SN2026a1"} {
			for _, token := range []string{wide, twenty} {
				if got := names(h.must(token, found, map[string]any{"t": text})); got != want {
					h.Errorf("in many regions %q finds %q, want %q", text, got, want)
				}
			}
		}
		masked := h.must(north, found, map[string]any{"t": "62345678"})
		masked.want("search.0.msisdn", "+86216****5678")
		masked.want("search.0.displayName", "王***")
		accounts := h.client("accounts", nil, models.AccountRead)
		h.must(accounts, `{ search(text: "SN2026a1") { __typename } }`, nil).want("search", "[]")
		h.ask(accounts, found, map[string]any{"t": "SN2026a1"}).refused(200, models.Forbidden)
		h.ask(h.client("events", nil, models.EventRead), `{ search(text: "x") { __typename } }`, nil).refused(200, models.Forbidden)
		if n := h.cost(north, found, map[string]any{"t": "62345678"}); n > 2 {
			h.Errorf("%d statements", n)
		}
		h.crowd(3000)
		for _, text := range []string{"62345678", "001A2B3C4D5E", "Crowd", "CROWD"} {
			h.examines("search for "+text, 250, func() { h.must(north, found, map[string]any{"t": text}) })
		}
	})
}

// crowd makes accounts and devices of another region whose names begin alike.
func (h *house) crowd(n int) {
	h.Helper()
	err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
		people, things := make([]models.Account, n), make([]models.Device, n)
		for i := range people {
			id := models.NewID()
			people[i] = models.Account{ID: id, Version: 1, ExternalID: id.String(), DisplayName: fmt.Sprint("Crowd ", i), Region: "south", State: models.AccountTerminated,
				Msisdn: models.Number(fmt.Sprintf("86133%08d", i)), IMPI: id.String()}
			things[i] = models.Device{ID: id, Version: 1, Key: models.DeviceKey(id.String()), SerialNumber: fmt.Sprint("CROWD", i), Region: "south"}
		}
		if err := tx.DB.CreateInBatches(&people, 200).Error; err != nil {
			return err
		}
		return tx.DB.CreateInBatches(&things, 200).Error
	})
	if err != nil {
		h.Fatal(err)
	}
}
