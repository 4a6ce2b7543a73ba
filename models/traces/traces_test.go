package traces

import (
	"fmt"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func session(deviceID models.ID, at models.Time, messages int) models.CwmpSession {
	s := models.CwmpSession{
		ID: models.NewID(), DeviceID: deviceID, StartedAt: at, EndedAt: at.Add(time.Second), Events: models.DocOf([]string{"1 BOOT"}),
		Outcome: "completed", RemoteAddress: "203.0.113.0/24",
	}
	for i := range messages {
		s.Messages = append(s.Messages, models.CwmpMessage{At: at, FromDevice: i%2 == 0, Method: "Inform", Body: fmt.Sprintf("<软>%d</软>", i)})
	}
	return s
}

// A trace records what its time and its room allow, for those who may see it, and is gone a week later.
func TestTrace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room, all := New(s), devices.New(s, clock, devices.Config{})
		ctx := storetest.As(t)
		registered, err := all.Register(ctx, devices.RegisterInput{IdempotencyKey: "d", OUI: "00AABB", ProductClass: "CPE", SerialNumber: "1", ClientType: models.Generic})
		if err != nil {
			t.Fatal(err)
		}
		id := registered.DeviceID
		ref := devices.Ref{ID: id}
		for want, in := range map[models.Code]StartInput{
			models.Required: {Device: ref, Minutes: 1, Reason: "  "},
			models.Invalid:  {Device: ref, Minutes: maxMinutes + 1, Reason: "why"},
			models.TooLong:  {Device: ref, Minutes: 1, Reason: string(make([]rune, maxReason+1))},
			models.NotFound: {Device: devices.Ref{ID: models.NewID()}, Minutes: 1, Reason: "why"},
		} {
			if _, err := room.Start(ctx, in); models.CodeOf(err) != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		start := StartInput{Device: ref, Minutes: maxMinutes, Reason: "why"}
		if _, err := room.Start(storetest.As(t, models.DeviceWrite), start); models.CodeOf(err) != models.Forbidden {
			t.Errorf("without TRACE_RUN: %v", err)
		}
		elsewhere := storetest.In(t, []string{"pudong"}, models.TraceRun, models.DeviceRead)
		if _, err := room.Start(elsewhere, start); models.CodeOf(err) != models.NotFound {
			t.Errorf("out of scope: %v", err)
		}
		traced := func() models.Time {
			d, err := all.ByRef(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			return d.TraceUntil
		}
		keep := func(s models.CwmpSession) {
			t.Helper()
			if err := room.Keep(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		recorded := func() (sessions []models.CwmpSession) {
			t.Helper()
			page, err := room.ByDevice(ctx, id, store.Page{First: 50})
			if err != nil {
				t.Fatal(err)
			}
			return page.Items
		}
		keep(session(id, clock.Now(), 2)) // nobody has asked for it
		if len(recorded()) > 0 || traced() != 0 {
			t.Error("recorded without a trace")
		}
		if _, err := room.Start(ctx, start); err != nil {
			t.Fatal(err)
		}
		began := clock.Now()
		if traced() != began.Add(24*time.Hour) {
			t.Errorf("traced until %v", traced())
		}
		var why models.AuditEntry
		err = s.View(ctx, func(tx *store.Tx) error {
			return tx.DB.Where("action = ? AND subject_id = ?", startDeviceTrace, id).Take(&why).Error
		})
		if err != nil || fmt.Sprint(why.Changes.V["reason"]) != "[<nil> why]" || why.ActorID.IsZero() {
			t.Errorf("audit row %+v, %v", why, err)
		}
		keep(session(id, clock.Now(), 60))
		clock.Advance(time.Minute)
		keep(session(id, clock.Now(), 60)) // 40 fit
		if traced() != 0 {
			t.Error("a trace without room goes on")
		}
		keep(session(id, clock.Now(), 1))
		list := recorded()
		if len(list) != 2 || list[0].StartedAt != clock.Now() || list[0].Events.V[0] != "1 BOOT" {
			t.Fatalf("recorded %+v", list)
		}
		messages, err := room.Messages(ctx, []models.ID{list[0].ID, list[1].ID})
		if err != nil || len(messages[list[0].ID]) != 40 || len(messages[list[1].ID]) != 60 || messages[list[1].ID][59].Body != "<软>59</软>" {
			t.Errorf("messages %d, %d, %v", len(messages[list[0].ID]), len(messages[list[1].ID]), err)
		}
		if page, err := room.ByDevice(elsewhere, id, store.Page{First: 50}); err != nil || len(page.Items) > 0 {
			t.Errorf("out of scope %v, %v", page.Items, err)
		}

		if _, err := room.Start(ctx, start); err != nil { // a new trace has room again
			t.Fatal(err)
		}
		late := session(id, clock.Now().Add(24*time.Hour+time.Millisecond), 1)
		keep(late) // it began after the trace
		keep(session(id, clock.Now(), 1))
		if n := len(recorded()); n != 3 {
			t.Errorf("%d sessions", n)
		}
		clock.Advance(kept - time.Minute)
		if err := room.Clean(ctx); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
		if n := len(recorded()); n != 0 {
			t.Errorf("%d sessions can be read too long", n)
		}
		if err := room.Clean(ctx); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"traces", "cwmp_sessions", "cwmp_messages"} {
			var n int64
			if err := s.View(ctx, func(tx *store.Tx) error { return tx.DB.Table(table).Count(&n).Error }); err != nil || n > 0 {
				t.Errorf("%d rows of %s are left, %v", n, table, err)
			}
		}
	})
}
