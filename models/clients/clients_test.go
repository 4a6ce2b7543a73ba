package clients_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/models/tasks"
)

// A heartbeat of a bound device that nothing waits for costs one statement for its Inform and none for its empty POST (resolutions 41).
func TestAHeartbeatIsOneStatement(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.client(h.provision())
		if o := c.register(); o.Result != models.ResultOK {
			h.Fatalf("%+v", o)
		}
		first := c.heartbeat() // it reports for the first time and confirms the credentials
		c.play(h.Context(), c.arrive(h.Context(), first, models.L1), first)
		for range 3 {
			h.clock.Advance(10 * time.Minute)
			ctx, n := store.CountStatements(h.Context())
			v := c.arrive(ctx, c.heartbeat(), models.L1)
			if got := n.Load(); got != 1 {
				h.Errorf("the Inform took %d statements", got)
			}
			if r, err := v.Next(ctx); r != nil || err != nil {
				h.Errorf("asked %+v, %v", r, err)
			}
			v.End(ctx, nil)
			if got := n.Load(); got != 1 {
				h.Errorf("the empty POST took %d statements", got-1)
			}
		}
	})
}

// The answer to GETPWD takes its pad by the clock, whether the number is known, unknown or malformed (resolutions 74).
func TestGetPasswordIsPadded(t *testing.T) {
	const pad = 300 * time.Millisecond
	each(t, func(c *clients.Config) { c.Pad = pad }, func(h *house) {
		nobody, malformed := h.client(nil), h.client(nil)
		malformed.number = "12"
		for name, c := range map[string]*client{"known": h.client(h.provision()), "unknown": nobody, "malformed": malformed} {
			v := c.arrive(h.Context(), c.getPassword(), models.L0)
			began := h.clock.Now()
			answered := make(chan models.Time, 1)
			go func() {
				if r, err := v.Next(h.Context()); r == nil || err != nil {
					h.Errorf("%s: asked %+v, %v", name, r, err)
				}
				answered <- h.clock.Now()
			}()
			storetest.Eventually(h.T, "the answer waits", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(pad - time.Millisecond)
			storetest.Eventually(h.T, "the answer waits on", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(pad/10 + 2*time.Millisecond) // the jitter
			if took := (<-answered).Sub(began); took < pad {
				h.Errorf("%s: answered after %s", name, took)
			}
			h.clock.Advance(time.Minute)
		}
	})
}

// A wrong proof is answered after the same time whether there is such an account or not: for one an event is written, for none it is not.
func TestWrongProofIsPadded(t *testing.T) {
	const pad = 300 * time.Millisecond
	each(t, func(c *clients.Config) { c.Pad = pad }, func(h *house) {
		for name, c := range map[string]*client{"known": h.client(h.provision()), "unknown": h.client(nil)} {
			began := h.clock.Now()
			answered := make(chan models.Time, 1)
			go func() {
				if o := c.registerWith("wrong"); o.Result != models.ResultAuthFailed || o.Times != 1 {
					h.Errorf("%s: %+v", name, o)
				}
				answered <- h.clock.Now()
			}()
			storetest.Eventually(h.T, "the answer waits", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(pad + pad/10 + 2*time.Millisecond)
			if took := (<-answered).Sub(began); took < pad {
				h.Errorf("%s: answered after %s", name, took)
			}
		}
	})
}

// The bound mobile was changed, because the old one was stolen, while a one-time password was being derived: it still went to the thief.
func TestTheMobileChangesMeanwhile(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.client(a)
		ctx, n := store.CountStatements(h.Context())
		v := c.arrive(ctx, c.getPassword(), models.L0)
		looked := n.Load()
		// What GETPWD reads before it commits: the repeat, two limits, the account, the salt.
		const reads = 5
		done := make(chan error, 1)
		err := h.store.InTx(storetest.As(h.T), func(tx *store.Tx) error {
			if _, err := accounts.LockForNumber(tx, a.Msisdn); err != nil {
				return err
			}
			if err := tx.DB.Model(&models.Account{}).Where("id = ?", a.ID).Update("bound_mobile", "8613900139000").Error; err != nil {
				return err
			}
			go func() {
				_, err := v.Next(context.WithoutCancel(ctx))
				done <- err
			}()
			storetest.Eventually(h.T, "the account was read", func() bool { return n.Load() >= looked+reads })
			return nil
		})
		if err != nil {
			h.Fatal(err)
		}
		if err := <-done; err != nil {
			h.Fatal(err)
		}
		if got := h.sent(); !slices.Equal(got, []models.Number{"8613900139000"}) {
			h.Errorf("the password went to %v", got)
		}
	})
}

// A PC began to say that it is a mobile, and nobody heard of it before it registered again (resolutions 42).
func TestAnotherClientTypeIsASecurityEvent(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.client(h.provision())
		c.register()
		beat := c.heartbeat()
		beat.Claimed, beat.ClientType = "Mobile", models.Mobile
		for range 3 {
			c.play(h.Context(), c.arrive(h.Context(), beat, models.L1), beat)
		}
		var events []models.Event
		err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Where("type = ?", models.Security).Find(&events).Error
		})
		if err != nil || len(events) != 1 || events[0].Payload.V["code"] != "security.client_type_mismatch" || events[0].Payload.V["claimed"] != "Mobile" {
			h.Errorf("%+v, %v", events, err)
		}
	})
}

// A client with HeartbeatPolicy was given its configuration at 14 HEARTBEAT, which it does not expect (i4.md A.10).
func TestAReducedHeartbeatBringsNothing(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.client(a)
		c.register()
		c.play(h.Context(), c.arrive(h.Context(), c.heartbeat(), models.L1), nil)
		_, err := h.accounts.Modify(storetest.As(h.T), accounts.ModifyInput{
			IdempotencyKey: "video", Account: accounts.Ref{ID: a.ID}, Services: accounts.Some([]accounts.ServiceInput{{Code: "VIDEO", Enabled: true}}),
		})
		if err != nil {
			h.Fatal(err)
		}
		c.play(h.Context(), c.arrive(h.Context(), c.inform(models.EventHeartbeat, nil), models.L1), nil)
		if c.held["video.enable"] == "1" {
			h.Error("14 HEARTBEAT brought the change")
		}
		c.play(h.Context(), c.arrive(h.Context(), c.heartbeat(), models.L1), nil)
		if c.held["video.enable"] != "1" {
			h.Error("2 PERIODIC did not bring the change")
		}
	})
}

// A device that owed a proof got tasks again while its account was suspended.
func TestNoTasksForADeviceThatOwesAProof(t *testing.T) {
	each(t, nil, func(h *house) {
		a := h.provision()
		c := h.registered(a)
		ctx := storetest.As(h.T)
		if _, _, err := h.Tasks.Create(ctx, tasks.CreateInput{
			IdempotencyKey: "1", Device: devices.Ref{ID: c.row().ID}, Kind: models.GetValues, Paths: []string{"Device.DeviceInfo."}, ExpiresInSeconds: 3600,
		}); err != nil {
			h.Fatal(err)
		}
		h.exec("UPDATE devices SET reauth_required = 1 WHERE id = ?", c.row().ID)
		in := accounts.ActionInput{IdempotencyKey: "2", Account: accounts.Ref{ID: a.ID}, Reason: models.SuspendFraud}
		if _, err := h.accounts.Suspend(ctx, in); err != nil {
			h.Fatal(err)
		}
		v := c.arrive(h.Context(), c.heartbeat(), models.L1)
		var asked []string
		for {
			r, err := v.Next(h.Context())
			if err != nil {
				h.Fatal(err)
			}
			if r == nil {
				break
			}
			ask := string(r.Method)
			if r.Outcome != nil {
				ask += " " + string(r.Outcome.Result)
			}
			asked = append(asked, ask)
			if err := v.Answer(h.Context(), models.Reply{}); err != nil {
				h.Fatal(err)
			}
		}
		equal(h, "asked", asked, []string{"SetParameterValues " + string(models.ResultSuspended)})
	})
}
