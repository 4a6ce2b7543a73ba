package passwords_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestAOneTimePasswordProvesOnce(t *testing.T) {
	each(t, config(), func(h *house) {
		h.want("state at first", h.state().Password, models.PasswordNone)
		code := h.issue(pc)
		if len(code.Reveal()) != 8 || strings.Trim(code.Reveal(), "23456789ABCDEFGHJKMNPQRSTUVWXYZ") != "" {
			h.Errorf("the code %q has the wrong form", code.Reveal())
		}
		h.want("state with a code", h.state().Password, models.PasswordOneTime)

		binding := h.binding(models.BindingPending, 0)
		a := h.attempt(h.account, number, pc, code)
		v := h.judge(a, binding)
		h.want("first proof", v.Result, models.ResultOK)
		h.want("its kind", v.Kind, models.OneTimePassword)
		h.want("repeated", v.Repeated, false)
		if v.Verifier.ServerProof(a.Message) == (models.Verifier{}).ServerProof(a.Message) {
			h.Error("the verdict carries no verifier for the server's proof")
		}
		h.want("the same nonce again", h.judge(a, binding).Result, models.ResultChallengeInvalid)
		a.Message.ClientNonce = strings.ToUpper(a.Message.ClientNonce)
		h.want("the same nonce in upper case", h.judge(a, binding).Result, models.ResultChallengeInvalid)
		h.want("another nonce, by the same device, unconfirmed", h.judge(h.attempt(h.account, number, pc, code), binding).Repeated, true)
		h.want("by another device", h.register(other, code).Result, models.ResultAuthFailed)
		h.want("state of the initial password", h.state().Password, models.PasswordOneTime)

		h.tx(func(tx *store.Tx) error {
			return tx.DB.Model(&models.Binding{}).Where("id = ?", binding).Updates(map[string]any{"state": models.BindingActive, "confirmed_at": tx.Now}).Error
		})
		v = h.register(pc, code)
		h.want("after the confirmation", v.Result, models.ResultAuthFailed)
		h.want("tries used", v.Times, 1)
		h.want("tries allowed", v.Limit, 5)

		h.clock.Advance(24 * time.Hour)
		h.want("state a day later", h.state().Password, models.PasswordNone)
	})
}

func TestAUsedPasswordMayBeRepeatedOnlyWithinItsTime(t *testing.T) {
	each(t, config(), func(h *house) {
		code := h.issue(pc)
		h.clock.Advance(5 * time.Minute)
		binding := h.binding(models.BindingActive, h.clock.Now().Add(-time.Hour)) // confirmed by an earlier REGISTER
		h.judge(h.attempt(h.account, number, pc, code), binding)
		h.want("unconfirmed", h.register(pc, code).Repeated, true)
		h.clock.Advance(5 * time.Minute)
		h.want("after its time", h.register(pc, code).Result, models.ResultAuthFailed)
	})
}

func TestAOneTimePasswordEnds(t *testing.T) {
	each(t, config(), func(h *house) {
		old := h.issue(pc)
		code := h.issue(pc)
		h.want("a replaced code", h.register(pc, old).Result, models.ResultAuthFailed)
		h.want("a code of another device", h.register(other, code).Result, models.ResultAuthFailed)
		h.clock.Advance(10 * time.Minute)
		h.want("state after its time", h.state().Password, models.PasswordNone)
		h.want("an expired code", h.register(pc, code).Result, models.ResultAuthFailed)
		h.want("a fresh one", h.register(pc, h.issue(pc)).Result, models.ResultOK)
		h.want("the next, over an initial password", h.register(pc, h.issue(pc)).Result, models.ResultOK)
	})
}

func TestALongTermPasswordStays(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		h.want("state", h.state().Password, models.PasswordSet)
		code := h.issue(pc)
		h.want("state with a code too", h.state().Password, models.PasswordSet)
		h.want("the code", h.register(pc, code).Kind, models.OneTimePassword)
		h.want("the password", h.register(pc, "Blue-Kite-42!").Kind, models.LongTermPassword)
		h.want("the password from another device, again", h.register(other, "Blue-Kite-42!").Result, models.ResultOK)
		h.want("a wrong one", h.register(pc, "Blue-Kite-43!").Result, models.ResultAuthFailed)
		h.set("Red-Kite-42!")
		h.want("the older one", h.register(pc, "Blue-Kite-42!").Result, models.ResultAuthFailed)
		h.want("the newer one", h.register(pc, "Red-Kite-42!").Result, models.ResultOK)
	})
}

func TestOneCodeAdmitsOneOfManyDevices(t *testing.T) {
	c := config()
	c.BindDevice = false
	each(t, c, func(h *house) {
		code := h.issue(pc)
		var attempts []passwords.Attempt
		for _, device := range []models.DeviceKey{"A-B-1", "A-B-2", "A-B-3", "A-B-4", "A-B-5", "A-B-6"} {
			attempts = append(attempts, h.attempt(h.account, number, device, code))
		}
		var wg sync.WaitGroup
		results := make([]passwords.Verdict, len(attempts))
		errs := make([]error, len(attempts))
		for i, a := range attempts {
			wg.Go(func() { results[i], errs[i] = h.judgeIn(h.Context(), a, models.NewID()) })
		}
		wg.Wait()
		right := 0
		for i, v := range results {
			if errs[i] != nil {
				h.Error(errs[i])
			}
			if v.OK {
				right++
			} else {
				h.want("the others", v.Result, models.ResultAuthFailed)
			}
		}
		h.want("devices admitted", right, 1)
	})
}

func TestNothingReadableRestsInTheTables(t *testing.T) {
	each(t, config(), func(h *house) {
		p, err := h.PrepareOTP(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		salt, iterations, err := h.Salt(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		keys, err := models.DeriveProofKeys(p.Code, salt, iterations)
		if err != nil {
			h.Fatal(err)
		}
		h.tx(func(tx *store.Tx) error {
			if err := passwords.IssueOTP(tx, h.account, pc, p); err != nil {
				return err
			}
			return h.Record(tx, passwords.Request{Device: pc, RequestID: "r1", Number: number, Mobile: mobile}, h.account.ID, models.ResultOK, 60)
		})
		h.register(pc, "wrong")
		h.tx(func(tx *store.Tx) error {
			c, err := gorm.G[models.Credential](tx.DB).Take(tx.Context())
			if err != nil {
				return err
			}
			if bytes.Contains(c.StoredKey, keys.StoredKey[:]) || bytes.Contains(c.ServerKey, keys.ServerKey[:]) {
				h.Error("a verifier rests unsealed")
			}
			locks, err := gorm.G[models.Lockout](tx.DB).Find(tx.Context())
			if err != nil {
				return err
			}
			for _, l := range locks {
				if len(l.Subject) != 32 || bytes.Contains(l.Subject, []byte(number)) {
					h.Errorf("the subject %q of %s is readable", l.Subject, l.Scope)
				}
			}
			e, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.PasswordChanged).Take(tx.Context())
			if err != nil {
				return err
			}
			h.want("event code", e.Payload.V["code"], any("password.requested"))
			h.want("event state", e.Payload.V["state"], any("ONE_TIME"))
			h.want("event subject", e.Subject, models.Subject{Kind: models.KindAccount, ID: h.account.ID})
			return nil
		})
		text := h.Text(p).Reveal()
		h.want("text", text, "【天翼宽带多媒体】客户端登录密码："+p.Code.Reveal()+"，10分钟内有效，请勿告诉他人。")
	})
}

// The challenge must not tell whether a number is a customer's (resolutions 64).
func TestAChallengeTellsNothing(t *testing.T) {
	each(t, config(), func(h *house) {
		challenge := func(n models.Number, account models.ID) (salt string, iterations int, statements int64) {
			ctx, count := store.CountStatements(h.Context())
			s, i, err := h.Salt(ctx, n, account)
			if err != nil {
				h.Fatal(err)
			}
			err = h.store.View(ctx, func(tx *store.Tx) error {
				_, err := h.LockedFor(tx, models.ToRegister, n, account, pc)
				return err
			})
			if err != nil {
				h.Fatal(err)
			}
			return string(s), i, count.Load()
		}
		unknown, i1, n1 := challenge(number, models.ID{})
		known, i2, n2 := challenge(number, h.account.ID)
		h.issue(pc)
		stored, i3, n3 := challenge(number, h.account.ID)
		if len(unknown) != 16 || unknown != known || known != stored || i1 != i2 || i2 != i3 || n1 != n2 || n2 != n3 {
			h.Errorf("challenges differ: %x/%d/%d, %x/%d/%d, %x/%d/%d", unknown, i1, n1, known, i2, n2, stored, i3, n3)
		}
		if salt, _, _ := challenge("862100000000", models.ID{}); salt == unknown {
			h.Error("two numbers have the same salt")
		}
		count := func(account *models.Account, n models.Number) int64 {
			a := h.attempt(account, n, pc, "wrong")
			ctx, count := store.CountStatements(h.Context())
			if _, err := h.judgeIn(ctx, a, models.ID{}); err != nil {
				h.Fatal(err)
			}
			return count.Load()
		}
		if known, unknown := count(h.account, number), count(nil, "862100000000"); known != unknown {
			h.Errorf("a wrong proof costs %d statements for a customer, %d for nobody", known, unknown)
		}
	})
}

func TestAChangedSaltRefusesAPreparedPassword(t *testing.T) {
	each(t, config(), func(h *house) {
		p, err := h.PrepareOTP(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		h.tx(func(tx *store.Tx) error {
			return gorm.G[models.PasswordSalt](tx.DB).Create(tx.Context(), &models.PasswordSalt{AccountID: h.account.ID, Salt: make([]byte, 16), Iterations: 2000})
		})
		err = h.store.InTx(h.Context(), func(tx *store.Tx) error { return passwords.IssueOTP(tx, h.account, pc, p) })
		h.want("code", models.CodeOf(err), models.Unavailable)
		h.want("state", h.state().Password, models.PasswordNone)
		h.want("the next one, under the new salt", h.register(pc, h.issue(pc)).Result, models.ResultOK)
	})
}

func TestFirstPasswordsHaveAPolicy(t *testing.T) {
	each(t, config(), func(h *house) {
		for password, want := range map[models.Secret]models.Code{
			"": models.Invalid, "1234567": models.Invalid, "12345678": "", "密码密码密码密码": "",
			models.Secret(strings.Repeat("x", 64)): "", models.Secret(strings.Repeat("x", 65)): models.Invalid,
			"tab\tinside": models.Invalid, "bad\xffutf8": models.Invalid, "862162345678": models.Invalid, "+862162345678": models.Invalid,
		} {
			_, err := h.PreparePassword(h.Context(), number, models.ID{}, password)
			h.want("policy for "+password.Reveal(), models.CodeOf(err), want)
		}
	})
}

func TestAFullPoolIsUnavailable(t *testing.T) {
	t.Parallel()
	c := config()
	c.Workers = 1
	c.Iterations = 50_000
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room := passwords.New(s, clock, c)
		var wg sync.WaitGroup
		codes := make([]models.Code, 64)
		for i := range codes {
			wg.Go(func() {
				_, err := room.PrepareOTP(t.Context(), number, models.ID{})
				codes[i] = models.CodeOf(err)
			})
		}
		wg.Wait()
		made, full := 0, 0
		for _, code := range codes {
			switch code {
			case "":
				made++
			case models.Unavailable:
				full++
			}
		}
		if made == 0 || full == 0 || made+full != len(codes) {
			t.Errorf("%d were derived and %d refused of %d", made, full, len(codes))
		}
	})
}
