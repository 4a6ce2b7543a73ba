package passwords_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// fresh is the verifier of a password as a client makes it.
func (h *house) fresh(password models.Secret, salt string) passwords.NewVerifier {
	h.Helper()
	n := passwords.NewVerifier{Salt: []byte(salt), Iterations: 10_000}
	n.Verifier = h.verifier(password, n.Salt, n.Iterations)
	return n
}

const someSalt = "0123456789abcdef"

// change changes the password as CHANGEPWD does; it returns the proof that it was given.
func (h *house) change(requestID string, old models.Secret, n passwords.NewVerifier) passwords.Attempt {
	h.Helper()
	a := h.prove(models.ToChangePassword, pc, old, models.ID{})
	h.tx(func(tx *store.Tx) error {
		v, err := h.Judge(tx, a)
		if err != nil || !v.OK {
			h.Fatalf("%+v, %v", v, err)
		}
		return h.Replace(tx, passwords.Change{Account: h.account, Device: pc, RequestID: requestID}, v.Verifier, n)
	})
	return a
}

func (h *house) answered(requestID string) (c *models.PasswordChange) {
	h.Helper()
	h.tx(func(tx *store.Tx) (err error) {
		c, err = h.Answered(tx, pc, requestID)
		return err
	})
	return c
}

func TestAChangedPassword(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		otp, code := h.issue(pc), h.sendCode(pc)
		h.change("r1", "Blue-Kite-42!", h.fresh("Red-Kite-43!", someSalt))
		h.wantSalt("the salt", number, h.account.ID, []byte(someSalt))
		h.want("state", h.state().Password, models.PasswordSet)
		for what, password := range map[string]models.Secret{"the old one": "Blue-Kite-42!", "a one-time password": otp, "a login code": code} {
			h.want(what, h.register(pc, password).OK, false)
		}
		h.want("the new one", h.register(pc, "Red-Kite-43!").OK, true)
		h.want("the next one-time password", h.register(pc, h.issue(pc)).OK, true)
		h.tx(func(tx *store.Tx) error {
			e, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.PasswordChanged).Order("n DESC").Offset(1).Limit(1).Find(tx.Context())
			if err == nil {
				h.want("event", [2]any{e[0].Payload.V["code"], e[0].Payload.V["state"]}, [2]any{"password.changed", "SET"})
			}
			return err
		})
	})
}

// The answer to a change was lost: the same RequestId is proved with the old password again, for a while.
func TestALostAnswerOfAChange(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		oldSalt, _, err := h.Salt(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		first := h.change("r1", "Blue-Kite-42!", h.fresh("Red-Kite-43!", someSalt))
		repeat := func(password models.Secret) passwords.Verdict {
			h.Helper()
			prior := h.answered("r1")
			if prior == nil || prior.Status != "OK" || prior.AccountID != h.account.ID {
				h.Fatalf("the answer is %+v", prior)
			}
			a := h.prove(models.ToChangePassword, pc, password, models.ID{})
			keys, err := models.DeriveProofKeys(password, oldSalt, config().Iterations)
			if err != nil {
				h.Fatal(err)
			}
			a.Proof, a.Repeat = keys.Proof(a.Message), prior
			return h.judge(a, models.ID{})
		}
		h.want("the old salt", string(h.answered("r1").Salt), string(oldSalt))
		h.want("the old password", [2]bool{repeat("Blue-Kite-42!").OK, repeat("Blue-Kite-42!").Repeated}, [2]bool{true, true})
		h.want("another one", repeat("Red-Kite-43!").Times, 1)
		first.Repeat = h.answered("r1")
		h.want("the first proof once more", h.judge(first, models.ID{}).Result, models.ResultChallengeInvalid)
		if other := h.answered("r2"); other != nil {
			h.Errorf("another RequestId is answered with %+v", other)
		}

		h.clock.Advance(10*time.Minute - time.Millisecond)
		h.want("at the last moment", repeat("Blue-Kite-42!").OK, true)
		h.clock.Advance(time.Millisecond)
		h.want("after the grace time", h.Kept(h.answered("r1"), h.clock.Now()), false)
		h.want("the proof", repeat("Blue-Kite-42!").OK, false)
		clean := func() (rows, verifiers int64) {
			if err := h.Clean(h.Context()); err != nil {
				h.Fatal(err)
			}
			h.tx(func(tx *store.Tx) error {
				if err := tx.DB.Model(&models.PasswordChange{}).Count(&rows).Error; err != nil {
					return err
				}
				return tx.DB.Model(&models.PasswordChange{}).Where("stored_key IS NOT NULL OR server_key IS NOT NULL OR salt IS NOT NULL").Count(&verifiers).Error
			})
			return rows, verifiers
		}
		rows, verifiers := clean()
		h.want("cleaned", [2]int64{rows, verifiers}, [2]int64{1, 0})
		h.clock.Advance(24*time.Hour - 10*time.Minute)
		if c := h.answered("r1"); c != nil {
			h.Errorf("a day later it is answered with %+v", c)
		}
		h.change("r1", "Red-Kite-43!", h.fresh("Sea-Kite-44!", someSalt)) // over the row that was not cleaned yet
		h.clock.Advance(24 * time.Hour)
		rows, _ = clean()
		h.want("all is forgotten", rows, int64(0))
	})
}

// What was replaced by an earlier change, or taken by a reset, is good for nothing.
func TestOnlyTheLastReplacedVerifierIsKept(t *testing.T) {
	each(t, config(), func(h *house) {
		kept := func(id string) bool { return h.Kept(h.answered(id), h.clock.Now()) }
		h.set("Blue-Kite-42!")
		h.change("r1", "Blue-Kite-42!", h.fresh("Red-Kite-43!", someSalt))
		h.want("the first", kept("r1"), true)
		h.change("r2", "Red-Kite-43!", h.fresh("Sea-Kite-44!", someSalt))
		h.want("the first after the second, and the second", [2]bool{kept("r1"), kept("r2")}, [2]bool{false, true})
		h.reset()
		h.want("after a reset", kept("r2"), false)
		h.want("the answer stays", h.answered("r2").Status, "OK")
	})
}

func TestChangesADay(t *testing.T) {
	c := config()
	c.ChangeDay = 3
	each(t, c, func(h *house) {
		wait := func() (n int) {
			h.tx(func(tx *store.Tx) (err error) {
				n, err = h.ChangeWait(tx, h.account.ID)
				return err
			})
			return n
		}
		record := func(id string) {
			h.tx(func(tx *store.Tx) error {
				return h.RecordChange(tx, passwords.Change{Account: h.account, Device: pc, RequestID: id}, models.ResultPasswordRejected)
			})
		}
		for _, id := range []string{"r1", "r2", "r3"} {
			h.want("allowed", wait(), 0)
			record(id)
			h.clock.Advance(time.Hour)
		}
		h.want("refused", wait(), 21*3600)
		h.want("what was told", h.answered("r2").Status, "PASSWORD_REJECTED")
		h.clock.Advance(21 * time.Hour)
		h.want("one is a day old", wait(), 0)
		record("r4")
		h.want("refused again", wait(), 3600)
	})
}

// What makes a new verifier fit (i4.md B.5, C.2.3).
func TestNewVerifiersThatFit(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		a := h.prove(models.ToChangePassword, pc, "Blue-Kite-42!", models.ID{})
		v := h.judge(a, models.ID{})
		key, _ := v.Verifier.ClientKey(a.Proof, a.Message)
		fits := func(n passwords.NewVerifier) bool {
			return h.Fits(number, n, v.Verifier, a.Message, a.Proof, models.VerifierMAC(key, a.Message, n.Salt, n.Iterations, n.Verifier))
		}
		good := h.fresh("Red-Kite-43!", someSalt)
		h.want("a good one", fits(good), true)
		mac := models.VerifierMAC(key, a.Message, good.Salt, good.Iterations, good.Verifier)
		h.want("in upper case", h.Fits(number, good, v.Verifier, a.Message, a.Proof, strings.ToUpper(mac)), true)
		h.want("without MAC", h.Fits(number, good, v.Verifier, a.Message, a.Proof, ""), false)
		h.want("with another proof", h.Fits(number, good, v.Verifier, a.Message, strings.Repeat("0", 64), mac), false)
		for what, bad := range map[string]func(n *passwords.NewVerifier){
			"too few iterations":  func(n *passwords.NewVerifier) { n.Iterations = 9_999 },
			"too many iterations": func(n *passwords.NewVerifier) { n.Iterations = 1_000_001 },
			"a short salt":        func(n *passwords.NewVerifier) { n.Salt = n.Salt[:15] },
			"the old key":         func(n *passwords.NewVerifier) { n.StoredKey = v.Verifier.StoredKey },
		} {
			n := good
			bad(&n)
			h.want(what, fits(n), false)
		}
		c := config()
		c.Realm = realm
		h.Room = passwords.New(h.store, h.clock, c)
		h.want("another salt than the number's, in timestamp mode", fits(good), false)
		h.want("the number's", fits(h.fresh("Red-Kite-43!", string(models.TimestampSalt(number, realm)))), true)
	})
}

func TestReadingAVerifier(t *testing.T) {
	t.Parallel()
	salt, key := strings.Repeat("0A", 16), strings.Repeat("ff", 32)
	n, ok := passwords.ReadVerifier(salt, 10_000, key, key)
	if !ok || hex.EncodeToString(n.Salt) != strings.ToLower(salt) || n.StoredKey[31] != 255 || n.ServerKey[0] != 255 {
		t.Errorf("%v, %v", n, ok)
	}
	for what, given := range map[string][3]string{
		"no salt": {"", key, key}, "a long salt": {salt + "00", key, key}, "a salt not hex": {"zz" + salt[2:], key, key},
		"a short key": {salt, key[2:], key}, "a long key": {salt, key, key + "00"}, "a key not hex": {salt, key, "zz" + key[2:]},
	} {
		if _, ok := passwords.ReadVerifier(given[0], 10_000, given[1], given[2]); ok {
			t.Errorf("%s passes", what)
		}
	}
}

func TestStrongPasswords(t *testing.T) {
	t.Parallel()
	for password, want := range map[models.Secret]bool{
		"Blue-Kite": true, "bluekite4!": true, "BlueKite42": true, "蓝色风筝-Kite": true, "Blue-4!": false, "bluekite42": false, "BLUEKITE!": false,
		"BlueKite": false, "862162345678": false, "+862162345678": false, "Blue\tKite4": false, "Blue-Kite\xff": false, "": false,
		models.Secret("Aa1" + strings.Repeat("x", 61)): true, models.Secret("Aa1" + strings.Repeat("x", 62)): false,
	} {
		if passwords.Strong(password, number) != want {
			t.Errorf("%q: %v was expected", password.Reveal(), want)
		}
	}
}

func TestADerivedVerifier(t *testing.T) {
	each(t, config(), func(h *house) {
		h.set("Blue-Kite-42!")
		salt, iterations, err := h.Salt(h.Context(), number, h.account.ID)
		if err != nil {
			h.Fatal(err)
		}
		n, underOld, err := h.DeriveNew(h.Context(), number, "Blue-Kite-42!", salt, iterations)
		again, _, err2 := h.DeriveNew(h.Context(), number, "Blue-Kite-42!", salt, iterations)
		if err != nil || err2 != nil {
			h.Fatal(err, err2)
		}
		h.want("the old password is known", underOld, h.verifier("Blue-Kite-42!", salt, iterations))
		h.want("a salt of its own", string(n.Salt) != string(again.Salt) && string(n.Salt) != string(salt) && len(n.Salt) == 16, true)
		h.want("the verifier", n.Verifier, h.verifier("Blue-Kite-42!", n.Salt, n.Iterations))
	})
}

func (h *house) verifier(password models.Secret, salt []byte, iterations int) models.Verifier {
	h.Helper()
	keys, err := models.DeriveProofKeys(password, salt, iterations)
	if err != nil {
		h.Fatal(err)
	}
	return keys.Verifier
}
