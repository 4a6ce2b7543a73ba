package passwords_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// alarms are the events about the rate of wrong proofs so far.
func (h *house) alarms() (list []string) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		var rows []models.Event
		if err := tx.DB.Where("subject_kind = ?", models.KindPlatform).Order("n").Find(&rows).Error; err != nil {
			return err
		}
		for _, e := range rows {
			list = append(list, fmt.Sprint(e.Type, " ", e.Payload.V["code"], " ", e.Payload.V["threshold"]))
		}
		return nil
	})
	return list
}

// Guesses from a thousand addresses at a thousand numbers stay below each of their limits: only their rate tells (resolutions 40).
func TestManyWrongProofsRaiseAnAlarm(t *testing.T) {
	c := config()
	c.AlarmRate = 3
	each(t, c, func(h *house) {
		ctx, stop := context.WithCancel(h.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Room.Run(ctx)
		}()
		// expect lets the room look again until the log tells this; what it tells too much, a later list shows.
		expect := func(when string, want ...string) {
			h.Helper()
			storetest.Eventually(h.T, "the room waits for its next look", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(10 * time.Second)
			storetest.Eventually(h.T, when, func() bool { return slices.Equal(h.alarms(), want) })
		}
		const raised, cleared = "ALARM_RAISED security.rate 3", "ALARM_CLEARED security.rate 3"
		wrong := h.IPFailed
		wrong("192.0.2.1")
		h.clock.Advance(4*time.Minute + 59*time.Second)
		wrong("192.0.2.2")
		h.clock.Advance(time.Second)
		wrong("192.0.2.3")
		expect("three in more than five minutes")
		wrong("192.0.2.4")
		expect("three in less", raised)
		wrong("192.0.2.5")
		expect("more of them", raised)
		h.clock.Advance(5 * time.Minute)
		expect("five minutes later", raised, cleared)
		for range 3 {
			wrong("192.0.2.6")
		}
		expect("again", raised, cleared, raised)
		stop()
		<-done
		if got, want := h.alarms(), []string{raised, cleared, raised, cleared}; !slices.Equal(got, want) {
			h.Errorf("when the process has stopped: %q, not %q", got, want)
		}
		if n := h.Refused(); n != 8 {
			h.Errorf("%d wrong proofs were counted", n)
		}
	})
}

func TestNoAlarmWithoutRate(t *testing.T) {
	c := config()
	c.AlarmRate = 0
	each(t, c, func(h *house) {
		h.IPFailed("192.0.2.1")
		h.Room.Run(h.Context()) // returns at once
		if got := h.alarms(); len(got) > 0 || h.Refused() != 1 {
			h.Errorf("%q, %d", got, h.Refused())
		}
	})
}
