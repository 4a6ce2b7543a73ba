package accounts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// method changes what proved that a device may be bound.
func (f *fixture) method(device models.ID, method models.BindingMethod) {
	f.Helper()
	f.inTx(func(tx *store.Tx) error {
		return tx.DB.Model(&models.Binding{}).Where("device_id = ?", device).Update("method", method).Error
	})
}

func (f *fixture) owes(device models.ID) (owes bool) {
	f.Helper()
	f.inTx(func(tx *store.Tx) error {
		owes = f.device(tx, device).ReauthRequired
		return nil
	})
	return owes
}

func TestResetPassword(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Region, in.BoundMobile, in.InitialPassword = "north", "8613812345678", "Blue-Kite-42!"
		a := f.provision(in)
		pc, network, operator := f.bind(a, "a1", models.PC), f.bind(a, "a2", models.Mobile), f.bind(a, "a3", models.MagicScreen)
		f.method(network, models.ByNetwork)
		f.method(operator, models.ByOperator)
		before := len(f.events())
		reset := accounts.ResetInput{IdempotencyKey: "r", Account: accounts.Ref{Msisdn: a.Msisdn}, Reauthenticate: true}
		result, err := f.room.ResetPassword(f.ctx, reset)
		if err != nil || result.Account.ID != a.ID || result.Account.Version != 1 || result.Sms.IsZero() {
			f.Fatalf("%+v, %v", result, err)
		}
		wantList(f.T, "events", f.told(before), "PASSWORD_CHANGED password.requested ONE_TIME", "SMS_STATE_CHANGED sms.queued QUEUED",
			"PASSWORD_CHANGED client.reauth_required ONE_TIME")
		want(f.T, "devices that owe a proof", fmt.Sprint(f.owes(pc), f.owes(network), f.owes(operator)), "true false false")
		f.inTx(func(tx *store.Tx) error {
			kinds, err := gorm.G[models.Credential](tx.DB).Where("account_id = ?", a.ID).Find(tx.Context())
			if err != nil || len(kinds) != 1 || kinds[0].Kind != models.ResetCode || kinds[0].DeviceKey != "" {
				f.Errorf("verifiers %+v, %v", kinds, err)
			}
			m, err := gorm.G[models.SmsMessage](tx.DB).Where("id = ?", result.Sms).Take(tx.Context())
			if err != nil || m.To != a.BoundMobile || m.Purpose != models.SmsPasswordReset || m.ExpiresAt.Sub(tx.Now) != 24*time.Hour {
				f.Errorf("message %+v, %v", m, err)
			}
			return nil
		})
		if text := fmt.Sprint(f.audits("resetAccountPassword")[0].Changes.V); text != "map[password:[redacted] reauthRequired:[<nil> 1]]" {
			f.Errorf("the audit row says %s", text)
		}

		before = len(f.events())
		again, err := f.room.ResetPassword(f.ctx, reset)
		if err != nil || !again.Replayed || again.Sms != result.Sms || len(f.events()) != before {
			f.Errorf("a replay: %+v, %v", again, err)
		}
		reset.Reauthenticate = false
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset)), models.IdempotencyKeyReused, "input", "idempotencyKey")
		for n := 2; n <= 5; n++ {
			reset.IdempotencyKey = fmt.Sprint(n)
			f.did(f.room.ResetPassword(f.ctx, reset))
		}
		reset.IdempotencyKey = "6"
		if e := refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset)), models.LimitByPolicy); e.RetryAfterSeconds != 24*3600 {
			f.Errorf("again in %d s", e.RetryAfterSeconds)
		}
		f.clock.Advance(24 * time.Hour)
		f.did(f.room.ResetPassword(f.ctx, reset))
	})
}

func TestResetPasswordRefuses(t *testing.T) {
	down := false
	c := accounts.Config{Secret: accounts.RequireSecret, SMSAvailable: func() bool { return !down }}
	eachWith(t, c, func(f *fixture) {
		in := input("1")
		in.Region = "north"
		a := f.provision(in)
		reset := func(key string) accounts.ResetInput {
			return accounts.ResetInput{IdempotencyKey: key, Account: accounts.Ref{ID: a.ID}}
		}
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset("1"))), models.Invalid, "input", "account")
		f.modify(accounts.ModifyInput{IdempotencyKey: "m", Account: accounts.Ref{ID: a.ID}, BoundMobile: accounts.Some[models.Number]("8613812345678")})
		down = true
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset("1"))), models.DependencyFailed, "input", "account")
		down = false
		refused(f.T, errOf(f.room.ResetPassword(storetest.In(f.T, []string{"south"}), reset("1"))), models.NotFound, "input", "account")
		refused(f.T, errOf(f.room.ResetPassword(storetest.As(f.T, models.AccountWrite), reset("1"))), models.Forbidden)
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset(""))), models.Required, "input", "idempotencyKey")
		long := reset("1")
		long.WorkOrderExternalID = strings.Repeat("x", 129)
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, long)), models.TooLong, "input", "workOrderExternalId")
		f.did(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendFraud)))
		f.did(f.room.ResetPassword(f.ctx, reset("1")))
		f.did(f.room.Terminate(f.ctx, f.action(a, "t", "")))
		refused(f.T, errOf(f.room.ResetPassword(f.ctx, reset("2"))), models.StateConflict, "input", "account")
	})
}

func TestUnlock(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		unlock := func(key string) *models.Account {
			f.Helper()
			in := f.action(a, key, "")
			in.Note = "the owner called"
			return f.did(f.room.Unlock(f.ctx, in))
		}
		unlock("1")
		want(f.T, "events of nothing to unlock", len(f.events(models.PasswordChanged)), 0)
		f.inTx(func(tx *store.Tx) error {
			return gorm.G[models.Lockout](tx.DB).Create(tx.Context(), &models.Lockout{
				Scope: "pair", Subject: []byte("somebody"), Failures: 5, LockedUntil: tx.Now.Add(time.Hour), AccountID: a.ID,
			})
		})
		before := len(f.events())
		want(f.T, "the version", unlock("2").Version, 1)
		wantList(f.T, "events", f.told(before), "PASSWORD_CHANGED password.unlocked NONE")
		list := f.audits("unlockAccount")
		if len(list) != 1 || fmt.Sprint(list[0].Changes.V) != "map[locked:[true false] note:[<nil> the owner called]]" {
			f.Errorf("audit rows %+v", list)
		}
		f.did(f.room.Terminate(f.ctx, f.action(a, "t", "")))
		refused(f.T, errOf(f.room.Unlock(f.ctx, f.action(a, "3", ""))), models.StateConflict, "input", "account")
	})
}

func TestEndLogins(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		f.did(f.room.EndLogins(f.ctx, f.action(a, "1", "")))
		want(f.T, "audit rows of nothing to end", len(f.audits("endLogins")), 0)
		pc, network := f.bind(a, "a1", models.PC), f.bind(a, "a2", models.Mobile)
		f.method(network, models.ByNetwork)
		f.inTx(func(tx *store.Tx) error {
			return tx.DB.Model(&models.Device{}).Where("id = ?", pc).Update("login_session_id", "s1").Error
		})
		before := len(f.events())
		f.did(f.room.EndLogins(f.ctx, f.action(a, "2", "")))
		wantList(f.T, "events", f.told(before), "PASSWORD_CHANGED client.reauth_required NONE")
		want(f.T, "devices", fmt.Sprint(f.events()[before].Payload.V["devices"]), "2")
		f.inTx(func(tx *store.Tx) error {
			d := f.device(tx, pc)
			want(f.T, "the login ended", d.LogoutAt, tx.Now)
			want(f.T, "because", d.LogoutReason, "Kicked")
			want(f.T, "a device without login", f.device(tx, network).LogoutReason, "")
			return nil
		})
		want(f.T, "devices that owe a proof", fmt.Sprint(f.owes(pc), f.owes(network)), "true true")
		owing, err := f.room.OwingProof(f.ctx, []models.ID{a.ID})
		if err != nil || !owing[a.ID] {
			f.Errorf("%v, %v", owing, err)
		}
		if owing, err = f.room.OwingProof(storetest.In(f.T, []string{"south"}), []models.ID{a.ID}); err != nil || owing[a.ID] {
			f.Errorf("seen from elsewhere: %v, %v", owing, err)
		}
		before = len(f.events())
		f.did(f.room.EndLogins(f.ctx, f.action(a, "3", "")))
		want(f.T, "events of what is so already", len(f.events())-before, 0)

		// A device that owes a proof gets its binding back by that proof, not by the end of a suspension.
		f.did(f.room.Suspend(f.ctx, f.action(a, "4", models.SuspendFraud)))
		before = len(f.events())
		f.did(f.room.Resume(f.ctx, f.action(a, "5", "")))
		wantList(f.T, "events", f.told(before), "ACCOUNT_STATE_CHANGED account.resumed ACTIVE FRAUD",
			"CONFIGURATION_CHANGED config.pending PENDING", "CONFIGURATION_CHANGED config.pending PENDING")
	})
}

func TestReauthenticateSparesOneDevice(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		mine, other := f.bind(a, "a1", models.PC), f.bind(a, "a2", models.Mobile)
		f.method(other, models.ByOneTimePassword)
		f.inTx(func(tx *store.Tx) error {
			live, err := bindings.LiveOfAccount(tx, a.ID)
			if err != nil || len(live) != 2 {
				f.Fatal(live, err)
			}
			n, err := accounts.Reauthenticate(tx, a, mine, true)
			want(f.T, "devices", n, 1)
			return err
		})
		want(f.T, "devices that owe a proof", fmt.Sprint(f.owes(mine), f.owes(other)), "false true")
	})
}
