package statistics

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// A device that is ONLINE and stops reporting is told of once, two intervals and an hour after its last report or its return.
func TestMissing(t *testing.T) {
	each(t, Config{Watch: true}, func(h *house) {
		silent, away, back := h.device(h.account("pudong")), h.device(h.account("pudong")), h.device(h.account("pudong"))
		never, unbound := h.device(h.account("pudong")), h.device(h.account("pudong"))
		_ = never
		all := []*models.Device{silent, away, back, unbound}
		for _, d := range all {
			h.receive(d, h.inform("boot", 1, nil))
		}
		set := func(d *models.Device, columns map[string]any) {
			h.tx(func(tx *store.Tx) error {
				return tx.DB.Model(&models.Device{}).Where("id = ?", d.ID).Updates(columns).Error
			})
		}
		set(away, map[string]any{"reachability": models.Offline, "reachability_at": h.clock.Now()})
		set(unbound, map[string]any{"account_id": models.ID{}})
		sweep := func() (told []string) {
			h.Helper()
			before := len(h.events())
			if err := h.sweep(h.Context()); err != nil {
				h.Fatal(err)
			}
			return h.events()[before:]
		}
		h.clock.Advance(time.Hour)
		set(back, map[string]any{"reachability_at": h.clock.Now()})
		h.clock.Advance(30*time.Minute - time.Millisecond)
		if told := sweep(); len(told) > 0 {
			h.Errorf("too early: %v", told)
		}
		h.clock.Advance(time.Millisecond)
		if told := sweep(); !slices.Equal(told, []string{"stats.missing"}) {
			h.Errorf("told %v", told)
		}
		set(away, map[string]any{"reachability": models.Online, "reachability_at": h.clock.Now()})
		h.clock.Advance(time.Hour)
		if told := sweep(); !slices.Equal(told, []string{"stats.missing"}) { // back
			h.Errorf("told %v", told)
		}
		h.clock.Advance(30 * time.Minute)
		if told := sweep(); !slices.Equal(told, []string{"stats.missing"}) { // away
			h.Errorf("told %v", told)
		}
		h.clock.Advance(100 * time.Hour)
		if told := sweep(); len(told) > 0 {
			h.Errorf("told again: %v", told)
		}
		// One that goes on reporting is not missed, and may be missed again later.
		h.receive(silent, h.inform("boot", 2, nil))
		h.clock.Advance(time.Hour)
		h.receive(silent, h.inform("boot", 3, nil))
		h.clock.Advance(time.Hour)
		if told := sweep(); len(told) > 0 {
			h.Errorf("told %v", told)
		}
		h.clock.Advance(time.Hour)
		if told := sweep(); !slices.Equal(told, []string{"stats.missing"}) || h.Stats()[Missing] != 4 {
			h.Errorf("told %v, %v", told, h.Stats())
		}
	})
}

// The watch says nothing in the hour after a start, because devices may not have been able to report.
func TestWatch(t *testing.T) {
	each(t, Config{Watch: true}, func(h *house) {
		d := h.device(h.account("pudong"))
		h.receive(d, h.inform("boot", 1, nil))
		h.clock.Advance(10 * time.Hour)
		late := New(h.store, h.clock, Config{Watch: true})
		ctx, stop := context.WithCancel(h.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			late.Watch(ctx)
		}()
		for range 59 {
			storetest.Eventually(h.T, "the watch waits", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(time.Minute)
		}
		storetest.Eventually(h.T, "the watch waits", func() bool { return h.clock.Waiting() == 1 })
		if n := len(h.events()); n != 1 {
			h.Errorf("%d events", n)
		}
		h.clock.Advance(time.Minute)
		storetest.Eventually(h.T, "it is told", func() bool { return len(h.events()) == 2 })
		stop()
		<-done
	})
}

// Everything goes 90 days after it came.
func TestClean(t *testing.T) {
	each(t, Config{}, func(h *house) {
		d := h.device(h.account("pudong"))
		h.receive(d, h.inform("old", 1, nil))
		if _, err := h.Receive(h.Context(), d, h.inform("", 1, nil)); err != nil {
			h.Fatal(err)
		}
		h.clock.Advance(kept)
		h.receive(d, h.inform("new", 1, nil))
		refusals := func() (n int64) {
			h.tx(func(tx *store.Tx) error { return tx.DB.Model(&models.StatisticsRefusal{}).Count(&n).Error })
			return n
		}
		for i, want := range []int{1, 0} {
			if err := h.Clean(h.Context()); err != nil {
				h.Fatal(err)
			}
			if got := len(h.rows(d, "old")); got != want || refusals() != int64(want) || len(h.rows(d, "new")) != 1 {
				h.Errorf("round %d: %d rows, %d refusals", i, got, refusals())
			}
			h.clock.Advance(time.Millisecond)
		}
	})
}

// The time zone is that of the first start.
func TestFixZone(t *testing.T) {
	each(t, Config{}, func(h *house) {
		shanghai, err := LoadZone("Asia/Shanghai")
		if err != nil {
			h.Fatal(err)
		}
		first := New(h.store, h.clock, Config{Zone: shanghai})
		for range 2 {
			if err := first.FixZone(h.Context()); err != nil {
				h.Error(err)
			}
		}
		if err := h.FixZone(h.Context()); err == nil || !strings.Contains(err.Error(), "begun with Asia/Shanghai") {
			h.Errorf("another zone: %v", err)
		}
	})
}
