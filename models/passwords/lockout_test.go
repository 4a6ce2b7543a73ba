package passwords_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

func (h *house) locked(device models.DeviceKey) (l passwords.Lock) {
	h.Helper()
	err := h.store.View(h.Context(), func(tx *store.Tx) (err error) {
		l, err = h.LockedFor(tx, models.ToRegister, number, h.account.ID, device)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return l
}

func TestFailuresInARowLockTheDeviceOut(t *testing.T) {
	c := config()
	c.Lockout.DeviceHour, c.Lockout.AccountHour = 0, 0
	each(t, c, func(h *house) {
		h.set("Blue-Kite-42!")
		for i, minutes := range []int{15, 30, 60, 120, 240, 480, 960, 1440, 1440} {
			for try := 1; try < 5; try++ {
				v := h.register(pc, "wrong-one")
				h.want(fmt.Sprintf("lock %d, try %d", i, try), [3]any{v.Result, v.Times, v.Limit}, [3]any{models.ResultAuthFailed, try, 5})
				h.want("no lock yet", h.locked(pc), passwords.Lock{Failures: try})
			}
			v := h.register(pc, "wrong-one")
			h.want("the fifth", [3]any{v.Result, v.Times, v.RetryAfter}, [3]any{models.ResultLocked, 5, minutes * 60})
			h.want("the lock", h.locked(pc), passwords.Lock{RetryAfter: minutes * 60, Failures: 5})
			h.want("the right one is not even tried", h.register(pc, "Blue-Kite-42!").Result, models.ResultLocked)
			h.want("another device", h.locked(other).RetryAfter, 0)
			h.clock.Advance(time.Duration(minutes)*time.Minute - time.Millisecond)
			h.want("the last moment", h.locked(pc).RetryAfter, 1)
			h.clock.Advance(time.Millisecond)
		}
		h.want("after the lock", h.register(pc, "Blue-Kite-42!").Result, models.ResultOK)
		for range 4 {
			h.register(pc, "wrong-one")
		}
		h.want("a success starts over", h.register(pc, "wrong-one").RetryAfter, 15*60)
		h.clock.Advance(48 * time.Hour)
		h.want("old failures are forgotten", h.register(pc, "wrong-one").Times, 1)
	})
}

func TestADeviceThatGuessesManyNumbersIsLocked(t *testing.T) {
	each(t, config(), func(h *house) {
		for i := range 9 {
			v := h.judge(h.attempt(nil, models.Number(fmt.Sprintf("8621600000%02d", i)), pc, "wrong-one"), models.ID{})
			h.want("a failure", v.Result, models.ResultAuthFailed)
		}
		v := h.judge(h.attempt(nil, "862160000099", pc, "wrong-one"), models.ID{})
		h.want("the tenth", [2]any{v.Result, v.RetryAfter}, [2]any{models.ResultLocked, 3600})
		h.want("for every number", h.locked(pc).RetryAfter, 3600)
		h.want("for that device only", h.locked(other).RetryAfter, 0)
		h.clock.Advance(time.Hour)
		h.want("for an hour", h.locked(pc).RetryAfter, 0)
		h.want("then it starts over", h.register(pc, "wrong-one").Result, models.ResultAuthFailed)
	})
}

func TestAGuessedAtAccountTakesOnlyOneTimePasswords(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		for i := range 19 {
			h.register(models.DeviceKey(fmt.Sprintf("A-B-%d", i)), "wrong-one")
		}
		h.want("before", h.state().Password, models.PasswordSet)
		h.register("A-B-19", "wrong-one")
		h.want("the lock", h.state(), passwords.State{Password: models.PasswordLocked, LockedUntil: h.clock.Now().Add(time.Hour)})
		h.clock.Advance(30 * time.Minute)
		h.want("a device that did not fail", h.locked(pc), passwords.Lock{})
		v := h.register(pc, "Blue-Kite-42!")
		h.want("the right password looks wrong", [2]any{v.Result, v.Times}, [2]any{models.ResultAuthFailed, 1})
		h.want("a one-time password", h.register(pc, h.issue(pc)).Result, models.ResultOK)
		h.want("still locked", h.state().Password, models.PasswordLocked)
		h.clock.Advance(30 * time.Minute)
		h.want("failures did not prolong it", h.state().Password, models.PasswordSet)
		h.want("the password again", h.register(pc, "Blue-Kite-42!").Result, models.ResultOK)
	})
}

func TestNobodysNumberIsLockedLikeACustomers(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		story := func(account *models.Account, n models.Number) (seen []passwords.Verdict) {
			for i := range 40 {
				device := models.DeviceKey(fmt.Sprintf("%s-%d", n, i%7))
				v := h.judge(h.attempt(account, n, device, "wrong-one"), models.ID{})
				v.Credential = nil
				seen = append(seen, v)
			}
			return seen
		}
		if known, unknown := story(h.account, number), story(nil, "862160000000"); !slices.Equal(known, unknown) {
			h.Errorf("the verdicts differ:\n%v\n%v", known, unknown)
		}
		a := h.attempt(nil, "862160000001", pc, "x")
		h.judge(a, models.ID{})
		h.want("a nonce used again for nobody", h.judge(a, models.ID{}).Result, models.ResultChallengeInvalid)
	})
}

func TestParallelGuessesAreNoMoreThanTheLimit(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		attempts := make([]passwords.Attempt, 20)
		for i := range attempts {
			attempts[i] = h.attempt(h.account, number, pc, "wrong-one")
		}
		var wg sync.WaitGroup
		results := make([]passwords.Verdict, len(attempts))
		for i, a := range attempts {
			wg.Go(func() {
				var err error
				if results[i], err = h.judgeIn(h.Context(), a, models.ID{}); err != nil {
					h.Error(err)
				}
			})
		}
		wg.Wait()
		judged := 0
		for _, v := range results {
			if v.Result == models.ResultAuthFailed {
				judged++
			}
		}
		h.want("tries before the lock", judged, 4)
	})
}

func TestCleanForgetsWhatIsOver(t *testing.T) {
	each(t, config(), func(h *house) {
		h.issue(pc)
		h.register(pc, "wrong-one")
		h.tx(func(tx *store.Tx) error {
			nonces := make([]models.ClientNonce, 2500)
			hash := make([]byte, 32)
			for i := range nonces {
				nonces[i] = models.ClientNonce{NumberHash: hash, Nonce: fmt.Sprintf("%032x", i), Until: tx.Now}
			}
			if err := tx.DB.CreateInBatches(nonces, 500).Error; err != nil {
				return err
			}
			for i, until := range []models.Time{tx.Now, tx.Now.Add(time.Minute)} {
				if err := tx.DB.Create(&models.UsedToken{Hash: bytes.Repeat([]byte{byte(i)}, 32), Until: until}).Error; err != nil {
					return err
				}
				if err := tx.DB.Create(&models.AssertedNumber{Nonce: fmt.Sprintf("%032x", i), MDN: mobile, Until: until}).Error; err != nil {
					return err
				}
			}
			return h.Record(tx, passwords.Request{Device: pc, RequestID: "r1", Number: number}, h.account.ID, models.ResultOK, 60)
		})
		rows := func() (n [6]int64) {
			h.tx(func(tx *store.Tx) error {
				for i, row := range []any{
					&models.ClientNonce{}, &models.PasswordRequest{}, &models.Credential{}, &models.Lockout{}, &models.UsedToken{}, &models.AssertedNumber{},
				} {
					if err := tx.DB.Model(row).Count(&n[i]).Error; err != nil {
						return err
					}
				}
				return nil
			})
			return n
		}
		clean := func() {
			if err := h.Clean(h.Context()); err != nil {
				h.Fatal(err)
			}
		}
		clean()
		h.want("at once", rows(), [6]int64{1, 1, 1, 3, 1, 1})
		h.clock.Advance(24*time.Hour - time.Millisecond)
		clean()
		h.want("within the day", rows(), [6]int64{1, 1, 0, 3, 0, 0})
		h.clock.Advance(time.Millisecond)
		clean()
		h.want("after the day", rows(), [6]int64{})
	})
}
