package devices

import (
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// After a restart, with the database away or the clock set forward, the devices get the time of the outage and one interval more; outages add up.
func TestOutage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a", "b")
		f.pass(time.Minute)
		clock.Advance(time.Hour)
		f = newFleet(t, s, clock, Guard{}) // a restart
		f.tick()
		f.are(models.Online, "a", "b")
		f.beat("b")
		// a: 70 of 130 seconds were left, and one interval more.
		f.pass(2 * time.Minute)
		f.are(models.Online, "a", "b")
		clock.Advance(31 * time.Second) // the database was away
		f.tick()
		f.are(models.Online, "a", "b")
		f.pass(10 * time.Second)
		f.are(models.Online, "a", "b")
		f.pass(50 * time.Second)
		f.are(models.Online, "a", "b") // the second outage gave both its length and an interval
		f.pass(30 * time.Second)
		f.are(models.Offline, "a", "b")
		var n int64
		inTx(t, s, func(tx *store.Tx) error { return tx.DB.Model(&models.Outage{}).Count(&n).Error })
		if n != 2 {
			t.Errorf("%d outages", n)
		}
	})
}

// A short restart is no outage, and what was due before it is found after it.
func TestShortRestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a")
		f.pass(2 * time.Minute)
		clock.Advance(20 * time.Second)
		f = newFleet(t, s, clock, Guard{})
		f.tick()
		f.are(models.Offline, "a")
	})
}

// The clock set back makes nobody OFFLINE, and takes back what a wrong clock took for an outage.
func TestClockSetBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{})
		f.register("a")
		f.pass(time.Minute)
		clock.Advance(2 * time.Hour)
		f.tick()
		f.are(models.Online, "a")
		clock.Advance(-2 * time.Hour)
		f.tick()
		f.are(models.Online, "a")
		var n int64
		inTx(t, s, func(tx *store.Tx) error { return tx.DB.Model(&models.Outage{}).Count(&n).Error })
		if n != 0 {
			t.Errorf("%d outages are left", n)
		}
		f.pass(30 * time.Second)
		f.beat("a")
		f.pass(2 * time.Minute)
		f.are(models.Online, "a")
		f.pass(30 * time.Second)
		f.are(models.Offline, "a")
	})
}

// The clocks of two replicas never agree to the millisecond: the slower one took the beat of the faster one for a clock set back, and deleted
// the outage that it had just written down.
func TestClocksOfReplicasDiffer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		fast := newFleet(t, s, clock, Guard{})
		fast.tick()
		fast.register("a")
		clock.Advance(40 * time.Second)
		behind := storetest.NewClock()
		behind.Advance(clock.Now().Sub(behind.Now()) - time.Second)
		slow := newFleet(t, s, behind, Guard{})
		fast.tick()
		slow.tick()
		fast.pass(2 * time.Minute)
		fast.are(models.Online, "a")
		fast.pass(90 * time.Second)
		fast.are(models.Offline, "a")
	})
}

// When too many would expire at once expiry is frozen with one alarm; it goes on when they have come back, or after the longest time.
func TestMassExpiry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		g := Guard{Percent: 20, Minimum: 10, Freeze: 5 * time.Minute}
		f := newFleet(t, s, clock, g)
		other := newFleet(t, s, clock, g)
		stay, leave := serials("s", 30), serials("l", 12)
		f.register(stay...)
		f.register(leave...)
		pass := func(d time.Duration, beating ...string) {
			t.Helper()
			for ; d > 0; d -= beatEvery {
				f.beat(beating...)
				f.pass(beatEvery)
				other.tick()
			}
		}
		pass(200*time.Second, stay...)
		f.are(models.Online, leave...)
		equal(t, "alarms", f.told(models.AlarmRaised), "presence.mass_expiry_suspected due=12 watched=42")
		equal(t, "no all-clear", f.told(models.AlarmCleared))
		if !f.WatchStats().Frozen || !other.WatchStats().Frozen {
			t.Error("the replicas do not tell that expiry is frozen")
		}
		// Most come back: the rest is let go.
		f.beat(leave[4:]...)
		pass(30*time.Second, append(stay, leave[4:]...)...)
		f.are(models.Offline, leave[:4]...)
		f.are(models.Online, leave[4:]...)
		equal(t, "all-clear", f.told(models.AlarmCleared), "presence.mass_expiry_suspected due=4")
		if f.WatchStats().Frozen || other.WatchStats().Frozen {
			t.Error("the replicas tell that expiry is frozen")
		}
		// None comes back: they are let go after the longest time.
		pass(3*time.Minute, stay[0])
		f.are(models.Online, stay...)
		pass(5*time.Minute, stay[0])
		f.are(models.Online, stay[0])
		f.are(models.Offline, stay[1:]...)
		f.are(models.Offline, leave...)
		if n := len(f.told(models.AlarmRaised)); n != 2 {
			t.Errorf("%d alarms", n)
		}
		if n := len(f.told(models.AlarmCleared)); n != 2 {
			t.Errorf("%d all-clears", n)
		}
	})
}

// Right after an outage everything looks due; what will be given more time is no mass expiry.
func TestOutageIsNoMassExpiry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f := newFleet(t, s, clock, Guard{Percent: 20, Minimum: 10, Freeze: time.Hour})
		list := serials("d", 40)
		f.register(list...)
		f.pass(time.Minute)
		clock.Advance(3 * time.Hour)
		f.tick()
		f.pass(40 * time.Second)
		f.are(models.Online, list...)
		f.beat(list...)
		f.pass(2 * time.Minute)
		f.are(models.Online, list...)
		equal(t, "alarms", f.told(models.AlarmRaised))
	})
}
