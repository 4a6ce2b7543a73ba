package devices

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func value(name, v string) models.Value {
	return models.Value{Name: name, Value: v, Type: "xsd:string"}
}

func parameters(t *testing.T, r *Room, id models.ID) map[string]models.DeviceParameter {
	t.Helper()
	page, err := r.Parameters(storetest.As(t), id, "", store.Page{First: 1000})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]models.DeviceParameter{}
	for _, p := range page.Items {
		found[p.Path] = p
	}
	return found
}

func TestReport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		d := lookup(t, r, "1")
		in := inform("1", value("Device.A", "1"), value("Device.B", "魔屏"), models.Value{Name: "Device.Secret", Value: "x", Secret: true})
		in.Values[NameSoftwareVersion] = value("", "1.2.3")
		in.Values[NameHeartbeat] = value("", "300")
		if err := r.Report(t.Context(), d, in); err != nil {
			t.Fatal(err)
		}
		first := clock.Now()
		clock.Advance(time.Minute)
		d = lookup(t, r, "1")
		if d.SoftwareVersion != "1.2.3" || d.HeartbeatSeconds != 300 || d.Manufacturer != "softacs" || d.Version != 1 {
			t.Errorf("the device is %+v", d)
		}

		// The same in another order writes nothing.
		in.Raw[0], in.Raw[1] = in.Raw[1], in.Raw[0]
		ctx, n := store.CountStatements(t.Context())
		if err := r.Report(ctx, d, in); err != nil || n.Load() != 0 {
			t.Errorf("an unchanged report costs %d statements, %v", n.Load(), err)
		}
		in.Raw[0] = value("Device.B", "other")
		if err := r.Report(t.Context(), d, in); err != nil {
			t.Fatal(err)
		}
		kept := parameters(t, r, id)
		if len(kept) != 2 || kept["Device.A"].ReportedAt != first || kept["Device.B"].Value != "other" || kept["Device.B"].ReportedAt != clock.Now() {
			t.Errorf("kept %+v", kept)
		}
	})
}

func TestParametersAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		many := []models.Value{value("Device.Long", strings.Repeat("魔", 30_000)), value(strings.Repeat("x", 257), "1"), value("Device.Object.", ""), value("Device.P00000 ", "3")}
		for i := range maxParameters + 10 {
			many = append(many, value(fmt.Sprintf("Device.P%05d", i), "1"))
		}
		inTx(t, s, func(tx *store.Tx) error { return SaveParameters(tx, id, many, nil) })
		inTx(t, s, func(tx *store.Tx) error {
			many[4].Value = "2"
			return SaveParameters(tx, id, []models.Value{many[4], many[3], value("Device.One.More", "1")}, []models.ParameterName{{Path: "Device.P00001", Writable: true}})
		})
		var n int64
		var long, changed, named models.DeviceParameter
		inTx(t, s, func(tx *store.Tx) error {
			tx.DB.Model(&models.DeviceParameter{}).Where("device_id = ?", id).Count(&n)
			tx.DB.Where("path = ?", "Device.Long").Take(&long)
			tx.DB.Where("path = ?", "Device.P00000").Take(&changed)
			return tx.DB.Where("path = ?", "Device.P00001").Take(&named).Error
		})
		if n != maxParameters || len(long.Value) > maxValue || len(long.Value) < maxValue-3 || !strings.HasPrefix(strings.Repeat("魔", 30_000), long.Value) {
			t.Errorf("%d parameters, a long value of %d bytes", n, len(long.Value))
		}
		if changed.Value != "2" || named.Value != "1" || named.Writable == nil || !*named.Writable {
			t.Errorf("%+v, %+v", changed, named)
		}

		page, err := r.Parameters(storetest.As(t), id, "Device.P0000", store.Page{First: 4})
		if err != nil || len(page.Items) != 4 || !page.HasNext || page.Items[3].Path != "Device.P00003" {
			t.Fatalf("%+v %v", page, err)
		}
		page, err = r.Parameters(storetest.As(t), id, "Device.P0000", store.Page{First: 10, After: page.Cursors[3]})
		if err != nil || len(page.Items) != 6 || page.HasNext {
			t.Fatalf("%+v %v", page, err)
		}
		page, err = r.Parameters(storetest.In(t, []string{"east"}), id, "", store.Page{First: 4})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("another region reads %+v %v", page, err)
		}
	})
}

func presenceOf(t *testing.T, r *Room, id models.ID) models.DevicePresence {
	t.Helper()
	found, err := r.PresenceByIDs(t.Context(), []models.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	return found[id]
}

func TestPresence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		d := lookup(t, r, "1")
		r.Seen(d, models.DevicePresence{LastInformAt: 200, LastBootAt: 200, IPAddress: "192.0.2.2", ClockSkewSeconds: 2})
		r.Seen(d, models.DevicePresence{LastInformAt: 100, IPAddress: "192.0.2.1", ClockSkewSeconds: 1})
		if p := presenceOf(t, r, id); p.LastInformAt != 0 {
			t.Errorf("written before the flush: %+v", p)
		}
		flush := func() {
			t.Helper()
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		flush()
		want := models.DevicePresence{DeviceID: id, LastInformAt: 200, LastBootAt: 200, IPAddress: "192.0.2.2", ClockSkewSeconds: 2, ExpiresAt: soon}
		if p := presenceOf(t, r, id); p != want {
			t.Errorf("got %+v", p)
		}
		// What another replica flushed later stays; a later boot counts although its address does not.
		r.Seen(d, models.DevicePresence{LastInformAt: 150, LastBootAt: 250, IPAddress: "192.0.2.3"})
		flush()
		want.LastBootAt = 250
		if p := presenceOf(t, r, id); p != want {
			t.Errorf("it went back to %+v", p)
		}
		ctx, n := store.CountStatements(t.Context())
		if err := r.Flush(ctx); err != nil || n.Load() != 0 {
			t.Errorf("an idle flush costs %d statements, %v", n.Load(), err)
		}
	})
}

// TestPresenceForwardOnly lets two replicas flush sightings of the same devices in any order.
func TestPresenceForwardOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		const devices, rounds = 700, 5 // more than one statement's rows
		ids := make([]models.ID, devices)
		for i := range ids {
			ids[i] = models.NewID()
		}
		ctx := t.Context()
		var group sync.WaitGroup
		for replica := range 2 {
			r := New(s, clock, Config{})
			group.Go(func() {
				for round := range rounds {
					for i, id := range ids {
						at := models.Time(1 + (replica+2*round+i)%(2*rounds))
						r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: at, LastBootAt: at, ClockSkewSeconds: int64(at)})
					}
					if err := r.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		inTx(t, s, func(tx *store.Tx) error {
			rows, err := gorm.G[models.DevicePresence](tx.DB).Find(tx.Context())
			if len(rows) != devices {
				t.Errorf("%d rows", len(rows))
			}
			for _, p := range rows {
				if p.LastInformAt != 2*rounds || p.LastBootAt != 2*rounds || p.ClockSkewSeconds != 2*rounds {
					t.Fatalf("not the newest: %+v", p)
				}
			}
			return err
		})
	})
}

func TestPresenceSurvivesAFailedFlush(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{MaxPresence: 3})
		id := mustRegister(t, r, input("1"))
		r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: 100})
		ended, end := context.WithCancel(t.Context())
		end()
		if err := r.Flush(ended); err == nil {
			t.Fatal("a flush without a database succeeded")
		}
		r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: 90})
		for range 5 { // the map is full: more devices are dropped, the known one is not
			r.Seen(&models.Device{ID: models.NewID()}, models.DevicePresence{LastInformAt: 1})
		}
		r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: 110})
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := presenceOf(t, r, id); p.LastInformAt != 110 {
			t.Errorf("got %+v", p)
		}
		var n int64
		inTx(t, s, func(tx *store.Tx) error { return tx.DB.Model(&models.DevicePresence{}).Count(&n).Error })
		if n != 3 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRunFlushes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: 100})
		storetest.Eventually(t, "a flush while it runs", func() bool {
			clock.Advance(flushEvery)
			return presenceOf(t, r, id).LastInformAt == 100
		})
		r.Seen(&models.Device{ID: id}, models.DevicePresence{LastInformAt: 200})
		stop()
		running.Wait()
		if p := presenceOf(t, r, id); p.LastInformAt != 200 {
			t.Errorf("the last flush did not happen: %+v", p)
		}
	})
}

func TestList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		account := &models.Account{ID: models.NewID(), State: models.AccountActive, Region: "east"}
		ids := map[string]models.ID{}
		for i, c := range []struct {
			serial string
			kind   models.ClientType
			tags   []string
		}{
			{"A_1", models.PC, []string{"vip", `say "hi"`}}, {"a_1", models.PC, nil}, {"AB1", models.Mobile, []string{"vi"}}, {"B%1", models.Generic, []string{"lab", "vip"}},
		} {
			in := input(c.serial)
			in.ClientType, in.Tags, in.Model = c.kind, c.tags, "M"+fmt.Sprint(i%2)
			ids[c.serial] = mustRegister(t, r, in)
			clock.Advance(time.Second)
		}
		inTx(t, s, func(tx *store.Tx) error {
			for _, serial := range []string{"A_1", "AB1"} {
				d, err := LockByID(tx, ids[serial])
				if err != nil {
					return err
				}
				if err := SetOnline(tx, d, tx.Now); err != nil {
					return err
				}
			}
			return SetAccount(tx, ids["A_1"], account)
		})
		clock.Advance(time.Hour)
		r.Seen(&models.Device{ID: ids["A_1"]}, models.DevicePresence{LastInformAt: clock.Now().Add(-661 * time.Second)}) // a PC: late
		r.Seen(&models.Device{ID: ids["AB1"]}, models.DevicePresence{LastInformAt: clock.Now().Add(-662 * time.Second)}) // a mobile: not late
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := storetest.As(t)
		east := storetest.In(t, []string{"east"}, models.DeviceRead)
		list := func(ctx context.Context, f Filter, by Sort, desc bool) string {
			t.Helper()
			var serials []string
			for cursor := ""; ; { // one a page, so that every border is crossed
				page, err := r.List(ctx, f, by, desc, store.Page{First: 1, After: cursor})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range page.Items {
					serials = append(serials, d.SerialNumber)
				}
				if !page.HasNext {
					break
				}
				cursor = page.Cursors[0]
			}
			n, exact, err := r.Count(ctx, f)
			if err != nil || !exact || int(n) != len(serials) {
				t.Errorf("the count is %d, %v, %v of %d", n, exact, err, len(serials))
			}
			return strings.Join(serials, " ")
		}
		for name, c := range map[string]struct {
			ctx  context.Context
			f    Filter
			by   Sort
			desc bool
			want string
		}{
			"all":          {all, Filter{}, ByCreatedAt, false, "A_1 a_1 AB1 B%1"},
			"newest first": {all, Filter{}, ByCreatedAt, true, "B%1 AB1 a_1 A_1"},
			"serial":       {all, Filter{}, BySerialNumber, false, "AB1 A_1 B%1 a_1"},
			"last inform":  {all, Filter{Reachability: []models.Reachability{models.Online, models.Stale}}, ByLastInformAt, true, "A_1 AB1"},
			"never seen":   {all, Filter{Reachability: []models.Reachability{models.NeverSeen}}, ByLastInformAt, false, "a_1 B%1"},
			"stale":        {all, Filter{Reachability: []models.Reachability{models.Stale}}, ByCreatedAt, false, "A_1"},
			"online":       {all, Filter{Reachability: []models.Reachability{models.Online}}, ByCreatedAt, false, "AB1"},
			"offline":      {all, Filter{Reachability: []models.Reachability{models.Offline}}, ByCreatedAt, false, ""},
			"types":        {all, Filter{ClientTypes: []models.ClientType{models.Mobile, models.Generic}}, ByCreatedAt, false, "AB1 B%1"},
			"models":       {all, Filter{Models: []string{"M1"}}, ByCreatedAt, false, "a_1 B%1"},
			"versions":     {all, Filter{SoftwareVersions: []string{"1"}}, ByCreatedAt, false, ""},
			"tags all":     {all, Filter{TagsAll: []string{"vip", "lab"}}, ByCreatedAt, false, "B%1"},
			"tags any":     {all, Filter{TagsAny: []string{"vi", `say "hi"`}}, ByCreatedAt, false, "A_1 AB1"},
			"text":         {all, Filter{Text: "A_"}, ByCreatedAt, false, "A_1"},
			"percent":      {all, Filter{Text: "B%"}, ByCreatedAt, false, "B%1"},
			"bound to":     {all, Filter{BoundTo: &account.ID}, ByCreatedAt, false, "A_1"},
			"ids":          {all, Filter{IDs: []models.ID{ids["AB1"], ids["a_1"]}}, ByCreatedAt, false, "a_1 AB1"},
			"regions":      {all, Filter{Regions: []string{"east", "west"}}, ByCreatedAt, false, "A_1"},
			"scope":        {east, Filter{}, ByCreatedAt, false, "A_1"},
		} {
			if got := list(c.ctx, c.f, c.by, c.desc); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}
		_, err := r.List(storetest.As(t, models.AccountRead), Filter{}, ByCreatedAt, false, store.Page{First: 1})
		field(t, err, models.Forbidden, "")
		page, err := r.List(all, Filter{}, BySerialNumber, false, store.Page{First: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.List(all, Filter{}, ByCreatedAt, false, store.Page{First: 1, After: page.Cursors[0]})
		field(t, err, models.BadUserInput, "after")
		page, err = r.List(all, Filter{}, BySerialNumber, false, store.Page{Last: 2})
		if err != nil || len(page.Items) != 2 || page.Items[0].SerialNumber != "B%1" || !page.HasPrevious {
			t.Errorf("the last two are %+v, %v", page, err)
		}

		hidden, err := r.ByRef(east, Ref{ID: ids["AB1"]})
		if hidden != nil || err != nil {
			t.Errorf("a device out of scope is read: %v %v", hidden, err)
		}
		found, err := r.ByIDs(east, []models.ID{ids["A_1"], ids["AB1"], models.NewID()})
		if err != nil || len(found) != 1 || found[ids["A_1"]] == nil {
			t.Errorf("by ids: %v %v", found, err)
		}
	})
}
