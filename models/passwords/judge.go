package passwords

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Attempt is a proof of REGISTER and what it claims to prove.
type Attempt struct {
	Number  models.Number
	Account *models.Account // nil: nobody has the number
	Device  models.DeviceKey
	Message models.AuthMessage
	Proof   string
}

// Verdict is how an attempt ended.
type Verdict struct {
	OK bool
	// Result is OK, AUTH_FAILED, LOCKED or CHALLENGE_INVALID.
	Result models.Result
	// Kind is what was proved: a one-time or the long-term password.
	Kind       models.CredentialKind
	Credential *models.Credential
	Verifier   models.Verifier // for the ServerProof
	// Repeated: the device proved the one-time password again that it had used already; its first use counts.
	Repeated bool
	// Times and Limit are tries used and allowed; RetryAfter is in seconds and set with LOCKED.
	Times, Limit, RetryAfter int
}

// Judge judges a proof once: its nonce is used up, right or wrong, for known and unknown numbers alike, and a failure is counted
// (i4.md C.3). The transaction must be committed whatever the verdict is.
func (r *Room) Judge(tx *store.Tx, a Attempt) (Verdict, error) {
	fresh, err := useNonce(tx, a.Number, a.Message.ClientNonce)
	if err != nil {
		return Verdict{}, err
	}
	if !fresh {
		return Verdict{Result: models.ResultChallengeInvalid}, nil
	}
	var account models.ID
	if a.Account != nil {
		account = a.Account.ID
	}
	c, err := lockCounters(tx, who(a.Number, account), a.Device)
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
	return r.wrong(c, tx.Now), c.save(tx)
}

func (r *Room) wrong(c *counters, now models.Time) Verdict {
	v := Verdict{Result: models.ResultAuthFailed, Times: c.pair.Failures, Limit: r.config.Lockout.Tries}
	if wait := c.locked(now); wait > 0 {
		v.Result, v.RetryAfter = models.ResultLocked, seconds(wait)
	}
	return v
}

// useNonce consumes the client's nonce for the number; false if it was seen within a day.
func useNonce(tx *store.Tx, number models.Number, nonce string) (fresh bool, err error) {
	hash := tx.HMAC("nonce", string(number))
	n := models.ClientNonce{NumberHash: hash[:], Nonce: strings.ToLower(nonce), Until: tx.Now.Add(day)}
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

// order is that in which verifiers are tried (resolutions 64).
var order = []models.CredentialKind{models.OneTimePassword, models.InitialPassword, models.LongTermPassword}

// match looks for the verifier that accepts the proof. While the account is locked for guessing, the long-term password is not even tried.
func (r *Room) match(tx *store.Tx, account models.ID, a Attempt, onlyOTP bool) (Verdict, error) {
	var credentials []models.Credential
	if err := tx.Locked().Where("account_id = ?", account).Find(&credentials).Error; err != nil {
		return Verdict{}, fmt.Errorf("read the verifiers of account %s: %w", account, err)
	}
	slices.SortFunc(credentials, func(a, b models.Credential) int {
		return slices.Index(order, a.Kind) - slices.Index(order, b.Kind)
	})
	for i := range credentials {
		c := &credentials[i]
		usable := c.Kind != models.LongTermPassword || !onlyOTP
		if !usable || !c.ExpiresAt.IsZero() && c.ExpiresAt <= tx.Now || c.DeviceKey != "" && c.DeviceKey != a.Device {
			continue
		}
		verifier, err := unseal(tx, c)
		if err != nil {
			return Verdict{}, err
		}
		if !verifier.Accepts(a.Proof, a.Message) {
			continue
		}
		v := Verdict{OK: true, Result: models.ResultOK, Kind: c.Kind, Credential: c, Verifier: verifier}
		if c.Kind == models.InitialPassword {
			if v.OK, err = r.repeatable(tx, c); err != nil || !v.OK {
				return Verdict{}, err
			}
			v.Kind, v.Repeated = models.OneTimePassword, true
		}
		return v, nil
	}
	return Verdict{}, nil
}

// repeatable tells whether a used one-time password may be proved again: within its time, while what its use delivered is unconfirmed, because
// the device may have lost the final answer (resolutions 1).
func (r *Room) repeatable(tx *store.Tx, c *models.Credential) (bool, error) {
	if c.CreatedAt.Add(r.config.OTPTTL) <= tx.Now {
		return false, nil
	}
	n, err := gorm.G[models.Binding](tx.DB).Where("id = ? AND state <> ? AND (state = ? OR confirmed_at < ?)",
		c.BindingID, models.BindingRemoved, models.BindingPending, c.UsedAt).Count(tx.Context(), "*")
	if err != nil {
		return false, fmt.Errorf("read the binding of a used one-time password: %w", err)
	}
	return n == 1, nil
}

func unseal(tx *store.Tx, c *models.Credential) (v models.Verifier, err error) {
	stored, err := tx.Unseal("credentials", "stored_key", c.ID, c.StoredKey)
	if err != nil {
		return v, err
	}
	server, err := tx.Unseal("credentials", "server_key", c.ID, c.ServerKey)
	if err != nil {
		return v, err
	}
	if copy(v.StoredKey[:], stored) != 32 || copy(v.ServerKey[:], server) != 32 {
		return v, fmt.Errorf("the verifier %s has the wrong length", c.ID)
	}
	return v, nil
}
