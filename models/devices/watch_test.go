package devices

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// minute is a rhythm whose deadline is two minutes and ten seconds after the last heartbeat.
var minute = map[models.ClientType]Rhythm{models.PC: {time.Minute, 2, 10 * time.Second}}

// fleet is a room with devices whose heartbeats a test sends or leaves out.
type fleet struct {
	*testing.T
	*Room
	clock *storetest.Clock
	store *store.Store
}

func newFleet(t *testing.T, s *store.Store, clock *storetest.Clock, g Guard) *fleet {
	return &fleet{t, New(s, clock, Config{Heartbeat: minute, Guard: g}), clock, s}
}

// beat is a heartbeat of each device, as a session tells it.
func (f *fleet) beat(serials ...string) {
	f.Helper()
	for _, serial := range serials {
		d := lookup(f.T, f.Room, serial)
		if d.Reachability != models.Online {
			inTx(f.T, f.store, func(tx *store.Tx) error { return SetOnline(tx, d, tx.Now) })
		}
		f.Seen(d, models.DevicePresence{LastInformAt: f.clock.Now()})
	}
	f.flush()
}

func (f *fleet) flush() {
	f.Helper()
	if err := f.Flush(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// register makes devices and brings them online.
func (f *fleet) register(serials ...string) {
	f.Helper()
	for _, serial := range serials {
		mustRegister(f.T, f.Room, input(serial))
	}
	f.beat(serials...)
}

// tick is a turn.
func (f *fleet) tick() {
	f.Helper()
	if err := f.turn(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// pass lets time go by, with the turns that belong to it.
func (f *fleet) pass(d time.Duration) {
	f.Helper()
	for ; d > 0; d -= beatEvery {
		f.clock.Advance(min(d, beatEvery))
		f.tick()
	}
}

// are checks the reachability of devices.
func (f *fleet) are(want models.Reachability, serials ...string) {
	f.Helper()
	for _, serial := range serials {
		if d := lookup(f.T, f.Room, serial); d.Reachability != want {
			f.Errorf("%s is %s at %s, not %s", serial, d.Reachability, f.clock.Now(), want)
		}
	}
}

// told are the events of a type since the beginning: code, serial number of the device and what else the payload has.
func (f *fleet) told(t models.EventType) (list []string) {
	f.Helper()
	inTx(f.T, f.store, func(tx *store.Tx) error {
		found, err := gorm.G[models.Event](tx.DB).Where("type = ?", t).Order("n").Find(tx.Context())
		for _, e := range found {
			line := fmt.Sprint(e.Payload.V["code"])
			if !e.DeviceID.IsZero() {
				d, err := gorm.G[models.Device](tx.DB).Where("id = ?", e.DeviceID).First(tx.Context())
				if err != nil {
					return err
				}
				line += " " + d.SerialNumber
			}
			for _, name := range []string{"reason", "durationSeconds", "due", "watched"} {
				if v, ok := e.Payload.V[name]; ok {
					line += fmt.Sprintf(" %s=%v", name, v)
				}
			}
			list = append(list, line)
		}
		return err
	})
	return list
}

func serials(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%d", prefix, i))
	}
	return list
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, " | "), strings.Join(want, " | "))
	}
}

// Devices go OFFLINE in the order of their deadlines, each once, and come back; every change is history.
func TestMissedHeartbeats(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("c")
		f.pass(5 * time.Second)
		f.register("a", "b")
		inTx(t, s, func(tx *store.Tx) error { return SetLogin(tx, lookup(t, f.Room, "a"), "login") })
		f.pass(110 * time.Second)
		f.beat("b")
		f.are(models.Online, "a", "b", "c")
		f.pass(40 * time.Second)
		f.are(models.Offline, "a", "c")
		f.are(models.Online, "b")
		if d := lookup(t, f.Room, "a"); d.LogoutReason != HeartbeatLost || d.LogoutAt.IsZero() || f.WatchStats().Expired != 2 {
			t.Errorf("%+v, %+v", d, f.WatchStats())
		}
		f.pass(10 * time.Minute)
		f.beat("a")
		f.are(models.Online, "a")
		f.are(models.Offline, "b", "c")
		if d := lookup(t, f.Room, "a"); d.LogoutReason != "" || d.LoginSessionID != "login" {
			t.Errorf("the login did not go on: %+v", d)
		}
		equal(t, "events", f.told(models.DeviceReachabilityChanged),
			"client.online c durationSeconds=0", "client.online a durationSeconds=0", "client.online b durationSeconds=0",
			"client.offline c reason=HeartbeatLost durationSeconds=135", "client.offline a reason=HeartbeatLost durationSeconds=140",
			"client.offline b reason=HeartbeatLost durationSeconds=250", "client.online a durationSeconds=610")
		page, err := f.History(storetest.As(t), lookup(t, f.Room, "a").ID, store.Page{First: 2})
		if err != nil || len(page.Items) != 2 || !page.HasNext {
			t.Fatalf("%+v %v", page, err)
		}
		on, off := page.Items[0], page.Items[1]
		if on.State != models.Online || on.PreviousState != models.Offline || on.DurationSeconds != 610 || on.LoginSessionID != "login" ||
			off.State != models.Offline || off.Reason != HeartbeatLost || off.DurationSeconds != 140 {
			t.Errorf("%+v", page.Items)
		}
		rest, err := f.History(storetest.As(t), lookup(t, f.Room, "a").ID, store.Page{First: 2, After: page.Cursors[1]})
		if err != nil || len(rest.Items) != 1 || rest.Items[0].PreviousState != models.NeverSeen {
			t.Errorf("%+v %v", rest, err)
		}
		if other, err := f.History(storetest.In(t, []string{"east"}), on.DeviceID, store.Page{First: 2}); err != nil || len(other.Items) != 0 {
			t.Errorf("another region reads %+v %v", other, err)
		}
	})
}

// The interval that counts is the one that the device confirmed last, also when it did after its last heartbeat.
func TestDeadlineByConfirmedInterval(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("slow", "fast")
		inTx(t, s, func(tx *store.Tx) error { return SetHeartbeat(tx, lookup(t, f.Room, "slow").ID, 600) })
		f.pass(3 * time.Minute)
		f.are(models.Online, "slow")
		f.are(models.Offline, "fast")
		inTx(t, s, func(tx *store.Tx) error { return SetHeartbeat(tx, lookup(t, f.Room, "fast").ID, 20) })
		f.beat("fast")
		f.pass(50 * time.Second)
		f.are(models.Online, "fast")
		f.pass(20 * time.Second)
		f.are(models.Offline, "fast")
		f.pass(17 * time.Minute)
		f.are(models.Offline, "slow")
	})
}

// A registered generic CPE is waited for by the interval that it reports, else for three days.
func TestGenericDevicesAreWatched(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		for _, serial := range []string{"reports", "silent"} {
			in := input(serial)
			in.ClientType = models.Generic
			mustRegister(t, f.Room, in)
		}
		d := lookup(t, f.Room, "reports")
		report := &models.Inform{Values: map[string]models.Value{NameHeartbeat: {Value: "300"}}, Raw: []models.Value{{Name: "x", Value: "300"}}}
		if err := f.Report(storetest.As(t), d, report); err != nil {
			t.Fatal(err)
		}
		f.beat("reports", "silent")
		f.pass(16 * time.Minute)
		f.are(models.Online, "reports", "silent")
		f.pass(30 * time.Second)
		f.are(models.Offline, "reports")
		f.are(models.Online, "silent")
		p := presenceOf(t, f.Room, lookup(t, f.Room, "silent").ID)
		if left := p.ExpiresAt.Sub(p.LastInformAt); left != 3*24*time.Hour+time.Minute {
			t.Errorf("the silent one is waited for %s", left)
		}
	})
}

// A turn at which nothing is due costs the same whatever the number of devices; one at which something is costs by what is due.
func TestTheWatchCostsByWhatExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{Percent: 20, Minimum: 50, Freeze: time.Hour})
		f.register(serials("gone", 3)...)
		costs := func() (statements int64) {
			t.Helper()
			ctx, n := store.CountStatements(f.Context())
			clock.Advance(beatEvery)
			if err := f.turn(ctx); err != nil {
				t.Fatal(err)
			}
			return n.Load()
		}
		f.tick()
		fill := func(from, to int) {
			var rows []models.DevicePresence
			for i := from; i < to; i++ {
				rows = append(rows, models.DevicePresence{DeviceID: models.NewID(), LastInformAt: clock.Now(), ExpiresAt: clock.Now().Add(time.Hour)})
			}
			for chunk := range slices.Chunk(rows, 500) {
				inTx(t, s, func(tx *store.Tx) error { return savePresence(tx, chunk) })
			}
		}
		fill(0, 10)
		few := costs()
		fill(10, 10_000)
		if many := costs(); few != many || many != 2 {
			t.Errorf("a turn costs %d statements with 10 devices and %d with 10,000", few, many)
		}
		f.pass(100 * time.Second)
		f.are(models.Online, "gone0")
		three := int64(0)
		for lookup(t, f.Room, "gone0").Reachability == models.Online {
			three = costs()
		}
		if three > 6+3*10 {
			t.Errorf("three devices gone cost %d statements", three)
		}
		f.are(models.Offline, serials("gone", 3)...)
	})
}

// Replicas share the beats: between them they find each device gone once, and one that goes on is enough that there is no outage.
func TestReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		one, two := newFleet(t, s, clock, Guard{}), newFleet(t, s, clock, Guard{})
		list := serials("d", 20)
		one.register(list...)
		for range 16 {
			clock.Advance(beatEvery)
			var group sync.WaitGroup
			for _, f := range []*fleet{one, two} {
				group.Go(func() {
					if err := f.turn(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
		one.are(models.Offline, list...)
		if found := one.WatchStats().Expired + two.WatchStats().Expired; found != 20 || len(one.told(models.DeviceReachabilityChanged)) != 40 {
			t.Errorf("%d found gone, %d events", found, len(one.told(models.DeviceReachabilityChanged)))
		}
		one.beat("d0")
		one.pass(100 * time.Second) // two sleeps meanwhile
		clock.Advance(beatEvery)
		two.tick()
		one.pass(40 * time.Second)
		one.are(models.Offline, "d0")
	})
}

// A sweep that was begun judges by its own time: what the machine slept through in the middle of it is the next beat's outage.
func TestTwoSweepsAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		one, two := newFleet(t, s, clock, Guard{}), newFleet(t, s, clock, Guard{})
		list := serials("d", 30)
		one.register(list...)
		one.pass(2 * time.Minute)
		clock.Advance(20 * time.Second)
		now := clock.Now()
		var group sync.WaitGroup
		for _, f := range []*fleet{one, two} {
			group.Go(func() {
				if err := f.sweep(t.Context(), models.Beat{Name: beatName, At: now}, now); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		one.are(models.Offline, list...)
		if n := one.WatchStats().Expired + two.WatchStats().Expired; n != 30 {
			t.Errorf("%d found gone", n)
		}
	})
}

// A heartbeat that is in a replica's memory while its device is found gone brings it back; in time it is not overtaken at all.
func TestHeartbeatInMemory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		one, two := newFleet(t, s, clock, Guard{}), newFleet(t, s, clock, Guard{})
		one.register("intime", "late")
		one.tick()
		one.pass(2 * time.Minute)
		clock.Advance(10 * time.Second) // the deadline
		two.Seen(lookup(t, two.Room, "intime"), models.DevicePresence{LastInformAt: clock.Now()})
		clock.Advance(time.Second)
		one.tick()
		one.are(models.Online, "intime", "late")
		two.flush()
		clock.Advance(9 * time.Second)
		late := lookup(t, two.Room, "late")
		clock.Advance(time.Second)
		two.Seen(late, models.DevicePresence{LastInformAt: clock.Now()})
		one.tick()
		one.are(models.Offline, "late")
		two.flush()
		one.pass(beatEvery)
		one.are(models.Online, "intime", "late")
		equal(t, "events", one.told(models.DeviceReachabilityChanged),
			"client.online intime durationSeconds=0", "client.online late durationSeconds=0",
			"client.offline late reason=HeartbeatLost durationSeconds=141", "client.online late durationSeconds=10")
		one.pass(3 * time.Minute)
		one.are(models.Offline, "intime", "late")
	})
}

// A device that said goodbye is not waited for, even if an older heartbeat is flushed after that.
func TestGoneIsNotWatched(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a")
		f.tick()
		d := lookup(t, f.Room, "a")
		f.Seen(d, models.DevicePresence{LastInformAt: clock.Now()})
		clock.Advance(time.Millisecond)
		inTx(t, s, func(tx *store.Tx) error { return SetOffline(tx, d, "UserExit") })
		f.flush()
		f.pass(beatEvery)
		f.are(models.Offline, "a")
		if p := presenceOf(t, f.Room, d.ID); p.ExpiresAt != 0 {
			t.Errorf("%+v", p)
		}
		f.Gone(d, models.DevicePresence{LastInformAt: clock.Now(), IPAddress: "192.0.2.7"})
		f.flush()
		if p := presenceOf(t, f.Room, d.ID); p.ExpiresAt != 0 || p.LastInformAt != clock.Now() {
			t.Errorf("%+v", p)
		}
		inTx(t, s, func(tx *store.Tx) error { return SetOffline(tx, d, "Kicked") })
		f.pass(time.Hour)
		equal(t, "events", f.told(models.DeviceReachabilityChanged), "client.online a durationSeconds=0", "client.offline a reason=UserExit durationSeconds=0")
	})
}

// Devices that came online before there were deadlines are watched from the start on.
func TestAdopt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		list := serials("old", watchRows+1)
		mustRegister(t, f.Room, input("new"))
		for _, serial := range list {
			mustRegister(t, f.Room, input(serial))
		}
		inTx(t, s, func(tx *store.Tx) error {
			err := tx.DB.Model(&models.Device{}).Where("serial_number LIKE 'old%'").Update("reachability", models.Online).Error
			if err != nil {
				return err
			}
			return tx.DB.Model(&models.DevicePresence{}).Where("1 = 1").Update("last_inform_at", clock.Now()).Error
		})
		if err := f.adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.pass(2 * time.Minute)
		f.are(models.Online, "old0", list[watchRows])
		f.pass(30 * time.Second)
		f.are(models.Offline, "old0", list[watchRows])
		f.are(models.NeverSeen, "new")
	})
}

func TestClean(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a")
		id := lookup(t, f.Room, "a").ID
		inTx(t, s, func(tx *store.Tx) error {
			var rows []models.ReachabilityChange
			for i := range 1005 {
				rows = append(rows, models.ReachabilityChange{ID: models.NewID(), DeviceID: id, At: tx.Now.Add(-historyKept - time.Duration(i+1)*time.Millisecond)})
			}
			if err := tx.DB.CreateInBatches(&rows, 500).Error; err != nil {
				return err
			}
			return tx.DB.Create(&models.Outage{EndedAt: tx.Now.Add(-historyKept - 1*time.Second), BeganAt: 1}).Error
		})
		if err := f.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		inTx(t, s, func(tx *store.Tx) error {
			var changes, outages int64
			if err := tx.DB.Model(&models.ReachabilityChange{}).Count(&changes).Error; err != nil {
				return err
			}
			if err := tx.DB.Model(&models.Outage{}).Count(&outages).Error; err != nil {
				return err
			}
			if changes != 1 || outages != 0 {
				t.Errorf("%d changes and %d outages are left", changes, outages)
			}
			return nil
		})
	})
}

// The loop itself: it beats, adopts and sweeps until it is told to end.
func TestWatchRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a")
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.Watch(ctx) })
		storetest.Eventually(t, "a missed heartbeat is found", func() bool {
			if clock.Waiting() > 0 {
				clock.Advance(turnEvery)
			}
			return lookup(t, f.Room, "a").Reachability == models.Offline
		})
		stop()
		running.Wait()
	})
}
