package passwords

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// errSaltChanged: the account got a new salt between the preparation and the transaction.
var errSaltChanged = models.E(models.Unavailable, "the password of this account was just changed; try again")

// IssueOTP stores a prepared one-time password of an active or pending account; an older unused one is replaced, the long-term password stays
// (i4.md B.1). The event PASSWORD_CHANGED says password.requested.
func IssueOTP(tx *store.Tx, account *models.Account, device models.DeviceKey, p Prepared) error {
	c := models.Credential{Kind: models.OneTimePassword, ExpiresAt: tx.Now.Add(p.ttl)}
	if p.bindDevice {
		c.DeviceKey = device
	}
	if err := replace(tx, account, c, p); err != nil {
		return err
	}
	states, err := states(tx, []models.ID{account.ID})
	if err != nil {
		return err
	}
	return events.Append(tx, models.Event{
		Type: models.PasswordChanged, Subject: models.Subject{Kind: models.KindAccount, ID: account.ID}, SubjectVersion: account.Version,
		Payload:   models.DocOf(map[string]any{"code": "password.requested", "account": account.ID, "state": states[account.ID].Password}),
		AccountID: account.ID, AccountExternalID: account.ExternalID, Region: account.Region,
	})
}

// SetPassword stores a prepared long-term password in place of the older one. It is part of provisioning and has no event of its own.
func SetPassword(tx *store.Tx, account *models.Account, p Prepared) error {
	return replace(tx, account, models.Credential{Kind: models.LongTermPassword}, p)
}

// replace makes c the account's only verifier of its kind and keeps the salt at its first use.
func replace(tx *store.Tx, account *models.Account, c models.Credential, p Prepared) error {
	if err := keepSalt(tx, account.ID, p); err != nil {
		return err
	}
	if _, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind = ?", account.ID, c.Kind).Delete(tx.Context()); err != nil {
		return fmt.Errorf("delete the older verifier of account %s: %w", account.ID, err)
	}
	c.ID, c.AccountID, c.CreatedAt = models.NewID(), account.ID, tx.Now
	var errs [2]error
	c.StoredKey, errs[0] = tx.Seal("credentials", "stored_key", c.ID, p.keys.StoredKey[:])
	c.ServerKey, errs[1] = tx.Seal("credentials", "server_key", c.ID, p.keys.ServerKey[:])
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := gorm.G[models.Credential](tx.DB).Create(tx.Context(), &c); err != nil {
		return fmt.Errorf("store a verifier of account %s: %w", account.ID, err)
	}
	return nil
}

func keepSalt(tx *store.Tx, account models.ID, p Prepared) error {
	stored, err := storedSalt(tx, account)
	if err != nil {
		return err
	}
	if stored == nil {
		first := models.PasswordSalt{AccountID: account, Salt: p.salt, Iterations: p.iterations}
		err := gorm.G[models.PasswordSalt](tx.DB).Create(tx.Context(), &first)
		if store.IsDuplicate(err) {
			return errSaltChanged
		}
		return err
	}
	if !bytes.Equal(stored.Salt, p.salt) || stored.Iterations != p.iterations {
		return errSaltChanged
	}
	return nil
}

// Use takes note that v opened the way for device and made binding: a one-time password becomes the device's initial password, good for a
// password change for 24 hours (resolutions 1). For any other verdict there is nothing to note.
func Use(tx *store.Tx, v Verdict, device models.DeviceKey, binding models.ID) error {
	if !v.OK || v.Kind != models.OneTimePassword || v.Repeated {
		return nil
	}
	c := v.Credential
	_, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind = ?", c.AccountID, models.InitialPassword).Delete(tx.Context())
	if err != nil {
		return fmt.Errorf("delete the older initial password of account %s: %w", c.AccountID, err)
	}
	done := tx.DB.Model(&models.Credential{}).Where("id = ? AND kind = ?", c.ID, models.OneTimePassword).Updates(map[string]any{
		"kind": models.InitialPassword, "device_key": device, "binding_id": binding, "used_at": tx.Now, "expires_at": tx.Now.Add(initialTTL),
	})
	if done.Error != nil {
		return fmt.Errorf("use a one-time password of account %s: %w", c.AccountID, done.Error)
	}
	if done.RowsAffected != 1 {
		return fmt.Errorf("use a one-time password of account %s: it is not there any more", c.AccountID)
	}
	return nil
}

// State is what the north sees of an account's verifiers.
type State struct {
	Password    models.PasswordState
	LockedUntil models.Time // zero: not locked
}

// States returns the state of each account (resolutions 1); accounts without any verifier are NONE. It needs ACCOUNT_READ.
func (r *Room) States(ctx context.Context, accounts []models.ID) (map[models.ID]State, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	var found map[models.ID]State
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = states(tx, accounts)
		return err
	})
	return found, err
}

func states(tx *store.Tx, accounts []models.ID) (map[models.ID]State, error) {
	found := make(map[models.ID]State, len(accounts))
	subjects := make([][]byte, len(accounts))
	owner := make(map[string]models.ID, len(accounts))
	for i, id := range accounts {
		found[id] = State{Password: models.PasswordNone}
		subjects[i] = who("", id).subject(tx, scopeAccount, "")
		owner[string(subjects[i])] = id
	}
	live, err := gorm.G[models.Credential](tx.DB).Select("account_id", "kind").
		Where("account_id IN ? AND (expires_at = 0 OR expires_at > ?)", accounts, tx.Now).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the password states: %w", err)
	}
	for _, c := range live {
		state := models.PasswordOneTime
		if c.Kind == models.LongTermPassword || found[c.AccountID].Password == models.PasswordSet {
			state = models.PasswordSet
		}
		found[c.AccountID] = State{Password: state}
	}
	locks, err := gorm.G[models.Lockout](tx.DB).
		Where("scope = ? AND subject IN ? AND locked_until > ?", scopeAccount, subjects, tx.Now).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the locked accounts: %w", err)
	}
	for _, l := range locks {
		found[owner[string(l.Subject)]] = State{Password: models.PasswordLocked, LockedUntil: l.LockedUntil}
	}
	return found, nil
}

// IsFirst tells whether the account has no verifier yet, so that its next password is its first.
func IsFirst(tx *store.Tx, account models.ID) (bool, error) {
	n, err := gorm.G[models.Credential](tx.DB).Where("account_id = ?", account).Count(tx.Context(), "*")
	if err != nil {
		return false, fmt.Errorf("count the verifiers of account %s: %w", account, err)
	}
	return n == 0, nil
}
