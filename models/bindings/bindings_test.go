package bindings_test

import (
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
)

func TestABindingIsPendingUntilItIsConfirmed(t *testing.T) {
	each(t, func(h *house) {
		a, d := h.account("862160000001", "sh"), h.device("1", models.PC)
		b, created := h.bind(d, a, models.ByOneTimePassword)
		if !created || b.State != models.BindingPending || b.ConfirmedAt != 0 || b.BoundAt != h.clock.Now() || b.LineIndex != 1 || b.ClientType != models.PC {
			h.Errorf("bound as %+v", b)
		}
		if b.BoundByKind != models.DeviceActor || b.BoundByID != d.ID || b.Method != models.ByOneTimePassword {
			h.Errorf("bound by %+v", b)
		}
		if now := h.reload(d); now.AccountID != a.ID || now.AccountState != models.AccountActive || now.Region != "sh" {
			h.Errorf("the device says %+v", now)
		}
		h.clock.Advance(time.Second)
		again, created := h.bind(d, a, models.ByOneTimePassword)
		if created || again.ID != b.ID || again.Version != 1 {
			h.Errorf("the same proof again bound %+v", again)
		}
		h.wantHistory("client.bound PENDING")
		h.confirm(d)
		if b = h.get(b.ID); b.State != models.BindingActive || b.ConfirmedAt != h.clock.Now() || b.Version != 2 {
			h.Errorf("confirmed as %+v", b)
		}
		h.wantHistory("client.bound PENDING", "client.bound ACTIVE")

		h.clock.Advance(time.Second)
		h.bind(d, a, models.ByOneTimePassword)
		h.confirm(d)
		if b = h.get(b.ID); b.State != models.BindingActive || b.ConfirmedAt != h.clock.Now() || b.Version != 2 {
			h.Errorf("confirmed again as %+v", b)
		}
		h.wantHistory("client.bound PENDING", "client.bound ACTIVE")
		h.bind(d, a, models.ByPassword)
		if b = h.get(b.ID); b.State != models.BindingActive || b.Method != models.ByPassword || b.Version != 3 {
			h.Errorf("bound by password as %+v", b)
		}
		h.wantHistory("client.bound PENDING", "client.bound ACTIVE", "client.rebound ACTIVE")
		h.tx(func(tx *store.Tx) error {
			e, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.BindingChanged).Order("n DESC").Take(tx.Context())
			if err != nil {
				return err
			}
			if e.Subject != (models.Subject{Kind: models.KindBinding, ID: b.ID}) || e.SubjectVersion != 3 || e.AccountID != a.ID || e.AccountExternalID != a.ExternalID ||
				e.DeviceID != d.ID || e.ClientType != models.PC || e.Region != "sh" {
				h.Errorf("the event is %+v", e)
			}
			return nil
		})
	})
}

func TestASuspendedBindingIsPendingAgain(t *testing.T) {
	each(t, func(h *house) {
		a, d := h.account("862160000001", "sh"), h.device("1", models.PC)
		b, _ := h.bind(d, a, models.ByOneTimePassword)
		h.tx(func(tx *store.Tx) error {
			return tx.DB.Model(&models.Binding{}).Where("id = ?", b.ID).Update("state", models.BindingSuspended).Error
		})
		if confirmed := h.confirm(d); confirmed.State != models.BindingSuspended {
			h.Errorf("a suspended binding became %s", confirmed.State)
		}
		b, created := h.bind(d, a, models.ByOneTimePassword)
		if created || b.State != models.BindingPending {
			h.Errorf("it became %+v", b)
		}
		h.wantHistory("client.bound PENDING", "client.rebound PENDING")
	})
}

func TestARemovedBindingFreesItsDevice(t *testing.T) {
	each(t, func(h *house) {
		a, d, registered := h.account("862160000001", "sh"), h.device("1", models.PC), h.device("2", models.Mobile)
		h.tx(func(tx *store.Tx) error {
			return tx.DB.Model(&models.Device{}).Where("id = ?", registered.ID).Update("registered", true).Error
		})
		for _, d := range []*models.Device{d, registered} {
			b, _ := h.bind(d, a, models.ByOneTimePassword)
			for range 2 {
				h.tx(func(tx *store.Tx) error { return bindings.Remove(tx, b, bindings.Replaced) })
			}
			if b = h.get(b.ID); b.State != models.BindingRemoved || b.UnboundAt != h.clock.Now() || !b.LiveDeviceID.IsZero() {
				h.Errorf("removed as %+v", b)
			}
			now := h.reload(d)
			if !now.AccountID.IsZero() || now.AccountState != "" || now.Region != "" || now.Revoked == now.Registered {
				h.Errorf("the device says %+v", now)
			}
		}
		if b := h.confirm(d); b != nil {
			h.Errorf("confirmed %+v", b)
		}
		b, created := h.bind(d, a, models.ByOneTimePassword)
		if !created || b.State != models.BindingPending {
			h.Errorf("bound again as %+v", b)
		}
		h.wantHistory("client.bound PENDING", "client.unbound REMOVED", "client.bound PENDING", "client.unbound REMOVED", "client.bound PENDING")
	})
}

func TestADeviceThatGoesToAnotherAccountLeavesTheFirst(t *testing.T) {
	each(t, func(h *house) {
		first, second, d := h.account("862160000001", "sh"), h.account("862160000002", "bj"), h.device("1", models.PC)
		old, _ := h.bind(d, first, models.ByOneTimePassword)
		b, created := h.bind(d, second, models.ByPassword)
		if !created || b.AccountID != second.ID || h.get(old.ID).State != models.BindingRemoved {
			h.Errorf("bound as %+v", b)
		}
		if now := h.reload(d); now.AccountID != second.ID || now.Region != "bj" || now.Revoked {
			h.Errorf("the device says %+v", now)
		}
		h.wantHistory("client.bound PENDING", "client.unbound REMOVED", "client.bound PENDING")
	})
}

func TestADeviceIsNeverOnTwoAccounts(t *testing.T) {
	each(t, func(h *house) {
		d := h.device("1", models.PC)
		accounts := []*models.Account{h.account("862160000001", "sh"), h.account("862160000002", "sh"), h.account("862160000003", "sh")}
		var wg sync.WaitGroup
		for _, a := range accounts {
			wg.Go(func() {
				err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
					_, _, err := bindings.Bind(tx, d, a, models.ByPassword, models.System("test"))
					return err
				})
				if err != nil {
					h.Error(err)
				}
			})
		}
		wg.Wait()
		h.tx(func(tx *store.Tx) error {
			n, err := gorm.G[models.Binding](tx.DB).Where("device_id = ? AND state <> ?", d.ID, models.BindingRemoved).Count(tx.Context(), "*")
			if n != 1 {
				h.Errorf("the device has %d bindings", n)
			}
			return err
		})
	})
}

func TestABindingIsSuspendedAndResumed(t *testing.T) {
	each(t, func(h *house) {
		a, confirmed, fresh := h.account("862160000001", "sh"), h.device("1", models.PC), h.device("2", models.Mobile)
		b, _ := h.bind(confirmed, a, models.ByPassword)
		h.confirm(confirmed)
		b = h.get(b.ID)
		p, _ := h.bind(fresh, a, models.ByPassword)
		for range 2 { // the second time changes nothing
			h.tx(func(tx *store.Tx) error {
				if err := bindings.Suspend(tx, b, bindings.Suspended); err != nil {
					return err
				}
				return bindings.Suspend(tx, p, bindings.Closed)
			})
		}
		if now := h.get(b.ID); now.State != models.BindingSuspended || now.Version != b.Version || h.reload(confirmed).AccountID != a.ID {
			h.Errorf("suspended as %+v", now)
		}
		h.confirm(fresh)
		h.tx(func(tx *store.Tx) error {
			e, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.BindingChanged).Order("n DESC").Take(tx.Context())
			if err != nil || e.Payload.V["reason"] != "CLOSED" || e.SubjectVersion != p.Version {
				h.Errorf("the event is %+v, %v", e, err)
			}
			return nil
		})
		for range 2 {
			h.tx(func(tx *store.Tx) error {
				if err := bindings.Resume(tx, b); err != nil {
					return err
				}
				return bindings.Resume(tx, p)
			})
		}
		h.wantHistory("client.bound PENDING", "client.bound ACTIVE", "client.bound PENDING",
			"client.suspended SUSPENDED", "client.suspended SUSPENDED", "client.resumed ACTIVE", "client.resumed PENDING")
		h.tx(func(tx *store.Tx) error { return bindings.Remove(tx, b, bindings.Closed) })
		h.tx(func(tx *store.Tx) error {
			if err := bindings.Suspend(tx, b, bindings.Suspended); err != nil {
				return err
			}
			return bindings.Resume(tx, b)
		})
		if now := h.get(b.ID); now.State != models.BindingRemoved {
			h.Errorf("a removed binding became %s", now.State)
		}
	})
}
