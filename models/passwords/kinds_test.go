package passwords_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// reset gives the account the code of an operator's reset.
func (h *house) reset() models.Secret {
	h.Helper()
	p, err := h.PrepareReset(h.Context(), h.account.Msisdn, h.account.ID)
	if err != nil {
		h.Fatal(err)
	}
	h.tx(func(tx *store.Tx) error {
		if err := h.AdmitReset(tx, h.account.ID); err != nil {
			return err
		}
		return passwords.IssueReset(tx, h.account, p)
	})
	return p.Code
}

// sendCode sends the mobile client device a login code.
func (h *house) sendCode(device models.DeviceKey) models.Secret {
	h.Helper()
	p, err := h.PrepareCode(h.Context(), mobile, h.account.ID)
	if err != nil {
		h.Fatal(err)
	}
	h.tx(func(tx *store.Tx) error { return passwords.IssueCode(tx, h.account, device, p) })
	if text := h.Text(p).Reveal(); text != "【天翼宽带多媒体】手机客户端验证码："+p.Code.Reveal()+"，5分钟内有效，请勿告诉他人。" {
		h.Errorf("the message is %q", text)
	}
	return p.Code
}

// prove is a proof of password for a purpose.
func (h *house) prove(purpose models.ProofPurpose, device models.DeviceKey, password models.Secret, binding models.ID) passwords.Attempt {
	h.Helper()
	n := number
	salt, iterations, err := h.Salt(h.Context(), n, h.account.ID)
	if purpose == models.ToRegisterMobile {
		n = mobile
		salt, iterations, err = h.CodeSalt(h.Context(), n)
	}
	if err != nil {
		h.Fatal(err)
	}
	keys, err := models.DeriveProofKeys(password, salt, iterations)
	if err != nil {
		h.Fatal(err)
	}
	m := models.AuthMessage{
		Purpose: purpose, Number: n, DeviceKey: device, ClientType: models.PC, ServerNonce: "c0ffee00d15ea5e0a11ce0b0b0cafe42",
		ClientNonce: fmt.Sprintf("%032x", 0xdef000+h.nonces.Add(1)), Timestamp: "2026-01-05T02:00:00Z",
	}
	return passwords.Attempt{Number: n, Account: h.account, Device: device, Binding: binding, Message: m, Proof: keys.Proof(m)}
}

func (h *house) confirm(binding models.ID) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		return tx.DB.Model(&models.Binding{}).Where("id = ?", binding).Updates(map[string]any{"state": models.BindingActive, "confirmed_at": tx.Now}).Error
	})
}

// Which verifiers a proof may be of depends on what it is for (resolutions 1, 37).
func TestEachPurposeHasItsVerifiers(t *testing.T) {
	each(t, config(), func(h *house) {
		binding := h.binding(models.BindingPending, 0)
		try := func(what string, purpose models.ProofPurpose, password models.Secret, want models.Result) {
			h.Helper()
			v := h.judge(h.prove(purpose, pc, password, binding), binding)
			h.want(what, v.Result, want)
			h.tx(func(tx *store.Tx) error {
				_, err := passwords.Unlock(tx, h.account.ID, []models.DeviceKey{pc})
				return err
			})
		}
		h.set("Blue-Kite-42!")
		code, otp := h.sendCode(pc), h.issue(pc)
		try("a code does not change the password", models.ToChangePassword, code, models.ResultAuthFailed)
		try("a code does not register", models.ToRegister, code, models.ResultAuthFailed)
		try("an unused one-time password does not change the password", models.ToChangePassword, otp, models.ResultAuthFailed)
		try("a one-time password is no mobile's", models.ToRegisterMobile, otp, models.ResultAuthFailed)
		try("the password is no mobile's", models.ToRegisterMobile, "Blue-Kite-42!", models.ResultAuthFailed)
		try("the password changes itself", models.ToChangePassword, "Blue-Kite-42!", models.ResultOK)
		try("the one-time password registers", models.ToRegister, otp, models.ResultOK)
		try("then it changes the password", models.ToChangePassword, otp, models.ResultOK)
		try("once more", models.ToChangePassword, otp, models.ResultOK)
		try("the code registers a mobile", models.ToRegisterMobile, code, models.ResultOK)
		h.clock.Advance(24 * time.Hour)
		try("for a day", models.ToChangePassword, otp, models.ResultAuthFailed)
	})
}

func TestAnInitialPasswordIsOfOneDeviceAndBinding(t *testing.T) {
	each(t, config(), func(h *house) {
		binding := h.binding(models.BindingPending, 0)
		otp := h.issue(pc)
		h.judge(h.attempt(h.account, number, pc, otp), binding)
		h.want("another binding", h.judge(h.prove(models.ToChangePassword, pc, otp, models.NewID()), binding).OK, false)
		h.want("no binding", h.judge(h.prove(models.ToChangePassword, pc, otp, models.ID{}), binding).OK, false)
		h.want("another device", h.judge(h.prove(models.ToChangePassword, other, otp, binding), binding).OK, false)
		v := h.judge(h.prove(models.ToChangePassword, pc, otp, binding), binding)
		h.want("its own", [2]any{v.OK, v.Kind}, [2]any{true, models.InitialPassword})
	})
}

func TestALoginCode(t *testing.T) {
	each(t, config(), func(h *house) {
		try := func(device models.DeviceKey, code models.Secret, binding models.ID) passwords.Verdict {
			h.Helper()
			return h.judge(h.prove(models.ToRegisterMobile, device, code, binding), binding)
		}
		h.want("state without", h.state().Password, models.PasswordNone)
		binding := h.binding(models.BindingPending, 0)
		old := h.sendCode(pc)
		code := h.sendCode(pc)
		if len(code.Reveal()) != 8 {
			h.Errorf("the code %q has the wrong length", code.Reveal())
		}
		h.want("it is no password", h.state().Password, models.PasswordNone)
		h.want("a replaced one", try(pc, old, binding).OK, false)
		h.want("of another device", try(other, code, binding).OK, false)
		v := try(pc, code, binding)
		h.want("the code", [3]any{v.OK, v.Kind, v.Repeated}, [3]any{true, models.LoginCode, false})
		v = try(pc, code, binding)
		h.want("its answer was lost", [3]any{v.OK, v.Kind, v.Repeated}, [3]any{true, models.LoginCode, true})
		h.confirm(binding)
		h.want("confirmed", try(pc, code, binding).OK, false)

		code = h.sendCode(pc)
		h.clock.Advance(5 * time.Minute)
		h.want("after its time", try(pc, code, binding).OK, false)
	})
}

func TestALoginCodeEndsAfterWrongProofs(t *testing.T) {
	c := config()
	c.CodeTries, c.Lockout = 3, passwords.LockoutLimits{Minutes: 15, MaxHours: 24} // no lock, so that only the code's own end shows
	each(t, c, func(h *house) {
		code := h.sendCode(pc)
		try := func(device models.DeviceKey, code models.Secret) bool {
			h.Helper()
			return h.judge(h.prove(models.ToRegisterMobile, device, code, models.ID{}), models.ID{}).OK
		}
		for range 5 {
			h.want("somebody else's guesses", try(other, "wrong"), false)
		}
		h.want("one", try(pc, "wrong"), false)
		h.want("two", try(pc, "wrong"), false)
		h.want("the right one", try(pc, code), true)
		code = h.sendCode(pc)
		for range 3 {
			h.want("guess", try(pc, "wrong"), false)
		}
		h.want("too late", try(pc, code), false)
	})
}

func TestAResetCode(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		otp, login := h.issue(pc), h.sendCode(pc)
		code := h.reset()
		h.want("state", h.state().Password, models.PasswordOneTime)
		h.want("the password", h.register(pc, "Blue-Kite-42!").OK, false)
		h.want("the one-time password", h.register(pc, otp).OK, false)
		h.want("the login code", h.judge(h.prove(models.ToRegisterMobile, pc, login, models.ID{}), models.ID{}).OK, false)
		again := h.reset()
		h.want("a replaced code", h.register(pc, code).OK, false)
		h.clock.Advance(23 * time.Hour) // locks are over
		binding := h.binding(models.BindingPending, 0)
		v := h.judge(h.attempt(h.account, number, other, again), binding)
		h.want("from any device", [2]any{v.OK, v.Kind}, [2]any{true, models.OneTimePassword})
		h.want("then from it only", h.register(pc, again).OK, false)
		h.want("its answer was lost", h.judge(h.attempt(h.account, number, other, again), binding).Repeated, true)
		h.want("state of the initial password", h.state().Password, models.PasswordOneTime)
		h.confirm(binding)
		h.want("confirmed", h.register(other, again).OK, false)
		h.want("a change", h.judge(h.prove(models.ToChangePassword, other, again, binding), binding).Kind, models.InitialPassword)

		code = h.reset()
		h.clock.Advance(24 * time.Hour)
		h.want("after its time", h.register(pc, code).OK, false)
		h.tx(func(tx *store.Tx) error {
			n, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.PasswordChanged).Count(tx.Context(), "*")
			h.want("events", n, int64(4))
			return err
		})
	})
}

func TestResetsADay(t *testing.T) {
	each(t, config(), func(h *house) {
		refused := func() (wait int) {
			err := h.store.InTx(h.Context(), func(tx *store.Tx) error { return h.AdmitReset(tx, h.account.ID) })
			if err != nil {
				h.want("the refusal", models.CodeOf(err), models.LimitByPolicy)
				wait = err.(*models.Error).RetryAfterSeconds
			}
			return wait
		}
		for range 5 {
			h.want("admitted", refused(), 0)
			h.clock.Advance(time.Hour)
		}
		h.want("the sixth", refused(), 19*3600)
		h.tx(func(tx *store.Tx) error { _, err := passwords.Unlock(tx, h.account.ID, nil); return err })
		if err := h.Clean(h.Context()); err != nil {
			h.Fatal(err)
		}
		h.want("after unlocking and cleaning", refused(), 19*3600)
		h.clock.Advance(19 * time.Hour)
		h.want("a day later", refused(), 0)
	})
}

func TestUnlock(t *testing.T) {
	c := config()
	c.Lockout.Tries, c.Lockout.AccountHour, c.Lockout.DeviceHour = 2, 3, 4
	each(t, c, func(h *house) {
		h.set("Blue-Kite-42!")
		stranger := h.provision("862162340001")
		unlock := func(want bool) {
			h.Helper()
			h.tx(func(tx *store.Tx) error {
				changed, err := passwords.Unlock(tx, h.account.ID, []models.DeviceKey{pc})
				h.want("something was unlocked", changed, want)
				return err
			})
		}
		unlock(false)
		for range 2 {
			h.register(pc, "wrong-one")
			h.register(other, "wrong-one")
			h.judge(h.attempt(stranger, stranger.Msisdn, pc, "wrong-one"), models.ID{})
		}
		h.want("locked", h.locked(pc).RetryAfter > 0 && h.locked(other).RetryAfter > 0 && h.state().Password == models.PasswordLocked, true)
		unlock(true)
		h.want("devices", [2]passwords.Lock{h.locked(pc), h.locked(other)}, [2]passwords.Lock{})
		h.want("state", h.state().Password, models.PasswordSet)
		h.want("the password", h.register(pc, "Blue-Kite-42!").OK, true)
		h.tx(func(tx *store.Tx) error {
			lock, err := h.LockedFor(tx, models.ToRegister, stranger.Msisdn, stranger.ID, pc)
			h.want("another account's lock", lock.RetryAfter, 900)
			return err
		})
		unlock(false)
	})
}

// Whoever failed at a number and then at a mobile learned from the count, and from the lock, whether they belong together.
func TestFailuresAtANumberDoNotShowAtTheMobile(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		wrong := func(purpose models.ProofPurpose) passwords.Verdict {
			return h.judge(h.prove(purpose, pc, "wrong-one", models.ID{}), models.ID{})
		}
		for range 5 {
			wrong(models.ToRegister)
		}
		h.want("the number is locked", h.locked(pc).RetryAfter > 0, true)
		atMobile := func() (lock passwords.Lock) {
			h.tx(func(tx *store.Tx) (err error) {
				lock, err = h.LockedFor(tx, models.ToRegisterMobile, mobile, h.account.ID, pc)
				return err
			})
			return lock
		}
		h.want("the mobile", atMobile(), passwords.Lock{})
		v := wrong(models.ToRegisterMobile)
		h.want("a failure at the mobile", [2]any{v.Result, v.Times}, [2]any{models.ResultAuthFailed, 1})
		h.want("the number after it", h.locked(pc).Failures, 5)
		h.tx(func(tx *store.Tx) error {
			_, err := passwords.Unlock(tx, h.account.ID, nil)
			return err
		})
		h.want("the mobile of an unlocked account", atMobile(), passwords.Lock{})
	})
}

// A legacy client sends the password itself (i4.md C.2.5).
func TestAPlainPassword(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		try := func(account *models.Account, n models.Number, password models.Secret) passwords.Verdict {
			var id models.ID
			if account != nil {
				id = account.ID
			}
			plain, err := h.DerivePlain(h.Context(), n, id, password)
			if err != nil {
				h.Fatal(err)
			}
			return h.judge(passwords.Attempt{Number: n, Account: account, Device: pc, Plain: &plain, Message: models.AuthMessage{Purpose: models.ToRegister, Number: n, DeviceKey: pc}}, models.ID{})
		}
		for range 2 {
			h.want("the password", try(h.account, number, "Blue-Kite-42!").Kind, models.LongTermPassword)
		}
		v := try(h.account, number, "blue-kite-42!")
		h.want("a wrong one", [2]any{v.Result, v.Times}, [2]any{models.ResultAuthFailed, 1})
		h.want("nobody's", try(nil, "862162349999", "Blue-Kite-42!").Result, models.ResultAuthFailed)
		otp := h.issue(pc)
		h.want("a one-time password", try(h.account, number, otp).Kind, models.OneTimePassword)
		a := h.attempt(h.account, number, pc, "x")
		plain, err := h.DerivePlain(h.Context(), number, h.account.ID, "Blue-Kite-42!")
		if err != nil {
			h.Fatal(err)
		}
		a.Plain = &plain
		h.want("with a nonce", h.judge(a, models.ID{}).OK, true)
		h.want("which is used up", h.judge(a, models.ID{}).Result, models.ResultChallengeInvalid)
	})
}

const realm = "i4.example.net"

func (h *house) wantSalt(what string, n models.Number, account models.ID, want []byte) {
	h.Helper()
	salt, _, err := h.Salt(h.Context(), n, account)
	if err != nil || string(salt) != string(want) {
		h.Errorf("%s: the salt is %x, %v; want %x", what, salt, err, want)
	}
}

// Where timestamp mode is on, clients compute their salts (i4.md C.2.4).
func TestTimestampSalts(t *testing.T) {
	c := config()
	c.Realm = realm
	each(t, c, func(h *house) {
		want := models.TimestampSalt(number, realm)
		h.wantSalt("before the first", number, h.account.ID, want)
		h.wantSalt("of nobody", "862162349999", models.ID{}, models.TimestampSalt("862162349999", realm))
		h.want("a one-time password", h.register(pc, h.issue(pc)).OK, true)
		h.wantSalt("after the first", number, h.account.ID, want)
		h.want("a second", h.register(pc, h.issue(pc)).OK, true)
		h.set("Blue-Kite-42!")
		h.want("the password", h.register(pc, "Blue-Kite-42!").OK, true)
	})
}

// A deployment turned timestamp mode on: accounts from before keep their salts as long as their long-term passwords need them.
func TestSaltsFromBeforeTimestampMode(t *testing.T) {
	each(t, config(), func(h *house) {
		before := h.issue(pc)
		old, _, err := h.Salt(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		withPassword := h.provision("862162340001")
		prepared, err := h.PreparePassword(h.Context(), withPassword.Msisdn, withPassword.ID, "Blue-Kite-42!")
		if err != nil {
			h.Fatal(err)
		}
		h.tx(func(tx *store.Tx) error { return passwords.SetPassword(tx, withPassword, prepared) })
		kept, _, err := h.Salt(h.Context(), withPassword.Msisdn, withPassword.ID)
		if err != nil {
			h.Fatal(err)
		}

		c := config()
		c.Realm = realm
		h.Room = passwords.New(h.store, h.clock, c)
		h.wantSalt("of the unused one-time password", number, h.account.ID, old)
		after := h.issue(pc)
		h.wantSalt("of the next one", number, h.account.ID, models.TimestampSalt(number, realm))
		h.want("the older one", h.register(pc, before).OK, false)
		h.want("the next one", h.register(pc, after).OK, true)

		account := h.account
		h.account = withPassword
		otp := h.issue(pc)
		h.wantSalt("beside a password", withPassword.Msisdn, withPassword.ID, kept)
		h.want("the one-time password", h.judge(h.attempt(withPassword, withPassword.Msisdn, pc, otp), models.ID{}).OK, true)
		h.want("the password", h.judge(h.attempt(withPassword, withPassword.Msisdn, pc, "Blue-Kite-42!"), models.ID{}).OK, true)
		reset := h.reset()
		h.wantSalt("of a reset", withPassword.Msisdn, withPassword.ID, models.TimestampSalt(withPassword.Msisdn, realm))
		h.want("the reset code", h.judge(h.attempt(withPassword, withPassword.Msisdn, pc, reset), models.ID{}).OK, true)
		h.account = account
	})
}

// Somebody set a password while a one-time password with another salt was prepared.
func TestAPasswordSetMeanwhileKeepsItsSalt(t *testing.T) {
	each(t, config(), func(h *house) {
		h.issue(pc)
		c := config()
		c.Realm = realm
		stamped := passwords.New(h.store, h.clock, c)
		p, err := stamped.PrepareOTP(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		h.set("Blue-Kite-42!")
		err = h.store.InTx(h.Context(), func(tx *store.Tx) error { return passwords.IssueOTP(tx, h.account, pc, p) })
		h.want("code", models.CodeOf(err), models.Unavailable)
		h.want("the password", h.register(pc, "Blue-Kite-42!").OK, true)
	})
}

// A nonce of timestamp mode is kept for twice the window of the clock, others for a day (i4.md C.7).
func TestHowLongANonceIsKept(t *testing.T) {
	c := config()
	c.Realm, c.Window = realm, 5*time.Minute
	each(t, c, func(h *house) {
		h.set("Blue-Kite-42!")
		for _, x := range []struct {
			serverNonce string
			kept        time.Duration
		}{{models.NoServerNonce, 11 * time.Minute}, {strings.Repeat("0", 32), 24 * time.Hour}} {
			a := h.attempt(h.account, number, pc, "Blue-Kite-42!")
			a.Message.ServerNonce = x.serverNonce
			keys, err := models.DeriveProofKeys("Blue-Kite-42!", models.TimestampSalt(number, realm), c.Iterations)
			if err != nil {
				h.Fatal(err)
			}
			a.Proof = keys.Proof(a.Message)
			h.want("first", h.judge(a, models.ID{}).OK, true)
			h.clock.Advance(x.kept - time.Millisecond)
			h.want("within", h.judge(a, models.ID{}).Result, models.ResultChallengeInvalid)
			h.clock.Advance(time.Millisecond)
			h.want("after", h.judge(a, models.ID{}).OK, true)
		}
	})
}
