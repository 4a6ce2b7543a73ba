package passwords

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Attempt is a proof and what it claims to prove. Message.Purpose says which verifiers are tried (resolutions 1, 37): to register one-time
// passwords, reset codes and the long-term password; to register a mobile its login code; to change the password the initial password of the
// same device and binding and the long-term password.
type Attempt struct {
	Number  models.Number
	Account *models.Account // nil: nobody has the number
	Device  models.DeviceKey
	// Binding is the device's; an initial password changes the password in the binding that it made only.
	Binding models.ID
	Message models.AuthMessage
	Proof   string
	// Plain, if set, is judged instead of Proof (i4.md C.2.5).
	Plain *Plain
	// Repeat, if set, is the change whose answer was lost: only the verifier that it replaced is tried.
	Repeat *models.PasswordChange
}

// Verdict is how an attempt ended.
type Verdict struct {
	OK bool
	// Result is OK, AUTH_FAILED, LOCKED or CHALLENGE_INVALID.
	Result models.Result
	// Kind is what was proved: a one-time password, which a reset code counts as, a login code, the long-term password, or an initial password
	// to change it.
	Kind       models.CredentialKind
	Credential *models.Credential
	Verifier   models.Verifier // for the ServerProof
	// Repeated: the device proved the one-time password or login code again that it had used already; its first use counts.
	Repeated bool
	// Times and Limit are tries used and allowed; RetryAfter is in seconds and set with LOCKED.
	Times, Limit, RetryAfter int
}

// Judge judges a proof once: its nonce is used up, right or wrong, for known and unknown numbers alike, and a failure is counted
// (i4.md C.3). The transaction must be committed whatever the verdict is.
func (r *Room) Judge(tx *store.Tx, a Attempt) (Verdict, error) {
	if a.Plain == nil || a.Message.ClientNonce != "" {
		fresh, err := r.useNonce(tx, a.Number, a.Message)
		if err != nil {
			return Verdict{}, err
		}
		if !fresh {
			return Verdict{Result: models.ResultChallengeInvalid}, nil
		}
	}
	var account models.ID
	if a.Account != nil {
		account = a.Account.ID
	}
	c, err := lockCounters(tx, a.Message.Purpose, a.Number, account, a.Device)
	if err != nil {
		return Verdict{}, err
	}
	if c.locked(tx.Now) > 0 {
		return r.wrong(c, tx.Now), nil
	}
	v, err := r.match(tx, account, a, c.account.LockedUntil > tx.Now)
	if err != nil {
		return Verdict{}, err
	}
	if v.OK {
		c.pair.Failures, c.pair.Level, c.pair.LockedUntil = 0, 0, 0
		return v, c.save(tx)
	}
	r.failed(c, tx.Now)
	if a.Message.Purpose == models.ToRegisterMobile {
		if err := r.codeFailed(tx, account, a.Device); err != nil {
			return Verdict{}, err
		}
	}
	return r.wrong(c, tx.Now), c.save(tx)
}

// codeFailed counts a wrong proof of the device against its login code, which ends with the last one that is allowed (i4.md B.3).
func (r *Room) codeFailed(tx *store.Tx, account models.ID, device models.DeviceKey) error {
	code := tx.DB.Where("account_id = ? AND kind = ? AND device_key = ?", account, models.LoginCode, device)
	if err := tx.DB.Model(&models.Credential{}).Where(code).Update("failures", gorm.Expr("failures + 1")).Error; err != nil {
		return fmt.Errorf("count a wrong login code: %w", err)
	}
	if err := tx.DB.Where(code).Where("failures >= ?", r.config.CodeTries).Delete(&models.Credential{}).Error; err != nil {
		return fmt.Errorf("end a login code: %w", err)
	}
	return nil
}

func (r *Room) wrong(c *counters, now models.Time) Verdict {
	v := Verdict{Result: models.ResultAuthFailed, Times: c.pair.Failures, Limit: r.config.Lockout.Tries}
	if wait := c.locked(now); wait > 0 {
		v.Result, v.RetryAfter = models.ResultLocked, seconds(wait)
	}
	return v
}

// useNonce consumes the client's nonce for the number; false if it was seen within the time that it is kept (i4.md C.7).
func (r *Room) useNonce(tx *store.Tx, number models.Number, m models.AuthMessage) (fresh bool, err error) {
	kept := day
	if m.ServerNonce == models.NoServerNonce {
		kept = 2*r.config.Window + time.Minute // the window is judged by a clock that was read before this one
	}
	hash := tx.HMAC("nonce", string(number))
	n := models.ClientNonce{NumberHash: hash[:], Nonce: strings.ToLower(m.ClientNonce), Until: tx.Now.Add(kept)}
	err = gorm.G[models.ClientNonce](tx.DB).Create(tx.Context(), &n)
	if err == nil {
		return true, nil
	}
	if !store.IsDuplicate(err) {
		return false, fmt.Errorf("use up a nonce: %w", err)
	}
	// Seen before; but a row that outlived its day and only waits to be cleaned is taken over.
	done := tx.DB.Model(&models.ClientNonce{}).Where("number_hash = ? AND nonce = ? AND until <= ?", n.NumberHash, n.Nonce, tx.Now).Update("until", n.Until)
	if done.Error != nil {
		return false, fmt.Errorf("use up a nonce: %w", done.Error)
	}
	return done.RowsAffected == 1, nil
}

// tried are the kinds of verifier that a proof may be of, by its purpose, in the order in which they are tried (resolutions 64).
var tried = map[models.ProofPurpose][]models.CredentialKind{
	models.ToRegister:       {models.OneTimePassword, models.ResetCode, models.InitialPassword, models.LongTermPassword},
	models.ToRegisterMobile: {models.LoginCode},
	models.ToChangePassword: {models.InitialPassword, models.LongTermPassword},
}

// match looks for the verifier that accepts the proof. While the account is locked for guessing, the long-term password is not even tried.
func (r *Room) match(tx *store.Tx, account models.ID, a Attempt, onlyOTP bool) (Verdict, error) {
	if a.Repeat != nil {
		return r.matchReplaced(tx, a)
	}
	kinds := tried[a.Message.Purpose]
	var credentials []models.Credential
	if err := tx.Locked().Where("account_id = ? AND kind IN ?", account, kinds).Find(&credentials).Error; err != nil {
		return Verdict{}, fmt.Errorf("read the verifiers of account %s: %w", account, err)
	}
	slices.SortFunc(credentials, func(a, b models.Credential) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	for i := range credentials {
		c := &credentials[i]
		if c.Kind == models.LongTermPassword && onlyOTP || !usable(c, a, tx.Now) {
			continue
		}
		verifier, err := unseal(tx, "credentials", c.ID, c.StoredKey, c.ServerKey)
		if err != nil {
			return Verdict{}, err
		}
		if !a.proves(verifier) {
			continue
		}
		v := Verdict{OK: true, Result: models.ResultOK, Kind: c.Kind, Credential: c, Verifier: verifier}
		if !c.UsedAt.IsZero() && a.Message.Purpose != models.ToChangePassword {
			if v.Repeated, err = repeatable(tx, c); err != nil {
				return Verdict{}, err
			}
			if !v.Repeated {
				continue
			}
		}
		if a.Message.Purpose == models.ToRegister && c.Kind != models.LongTermPassword {
			v.Kind = models.OneTimePassword
		}
		return v, nil
	}
	return Verdict{}, nil
}

// usable tells whether the device may prove c at all.
func usable(c *models.Credential, a Attempt, now models.Time) bool {
	switch {
	case !c.ExpiresAt.IsZero() && c.ExpiresAt <= now, c.DeviceKey != "" && c.DeviceKey != a.Device:
		return false
	case a.Message.Purpose == models.ToChangePassword && c.Kind == models.InitialPassword:
		return c.BindingID == a.Binding
	}
	return true
}

// proves tells whether the attempt proves v.
func (a Attempt) proves(v models.Verifier) bool {
	if a.Plain != nil {
		return subtle.ConstantTimeCompare(a.Plain.keys.StoredKey[:], v.StoredKey[:]) == 1
	}
	return v.Accepts(a.Proof, a.Message)
}

// repeatable tells whether a used one-time password may be proved again: within its time, while what its use delivered is unconfirmed, because
// the device may have lost the final answer (resolutions 1).
func repeatable(tx *store.Tx, c *models.Credential) (bool, error) {
	if c.RepeatUntil <= tx.Now {
		return false, nil
	}
	n, err := gorm.G[models.Binding](tx.DB).Where("id = ? AND state <> ? AND (state = ? OR confirmed_at < ?)",
		c.BindingID, models.BindingRemoved, models.BindingPending, c.UsedAt).Count(tx.Context(), "*")
	if err != nil {
		return false, fmt.Errorf("read the binding of a used one-time password: %w", err)
	}
	return n == 1, nil
}
