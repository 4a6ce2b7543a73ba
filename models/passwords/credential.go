package passwords

import (
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
	if err := issue(tx, account, device, p); err != nil {
		return err
	}
	return changed(tx, account, "password.requested")
}

// IssueCode stores a prepared login code for the mobile client that asked for it; an older one is replaced. Nothing of it is a password of the
// account, so there is no event (i4.md B.3).
func IssueCode(tx *store.Tx, account *models.Account, device models.DeviceKey, p Prepared) error {
	return issue(tx, account, device, p)
}

// IssueReset stores a prepared reset code in place of everything that the account could prove so far, its long-term password included; any
// device may use it first (resolutions 37). The event PASSWORD_CHANGED says password.requested.
func IssueReset(tx *store.Tx, account *models.Account, p Prepared) error {
	if err := forget(tx, account.ID); err != nil {
		return err
	}
	if err := issue(tx, account, "", p); err != nil {
		return err
	}
	return changed(tx, account, "password.requested")
}

// SetPassword stores a prepared long-term password in place of the older one. It is part of provisioning and has no event of its own.
func SetPassword(tx *store.Tx, account *models.Account, p Prepared) error {
	return issue(tx, account, "", p)
}

// issue keeps the salt at its first use and makes what was prepared the account's only verifier of its kind.
func issue(tx *store.Tx, account *models.Account, device models.DeviceKey, p Prepared) error {
	if p.kind != models.LoginCode { // whose salt is the mobile's own
		if err := keepSalt(tx, account.ID, p); err != nil {
			return err
		}
	}
	c := models.Credential{Kind: p.kind}
	if p.ttl > 0 {
		c.ExpiresAt = tx.Now.Add(p.ttl)
	}
	if p.bindDevice {
		c.DeviceKey = device
	}
	return replace(tx, account.ID, c, p.keys)
}

// replace makes c, with these keys, the account's only verifier of its kind.
func replace(tx *store.Tx, account models.ID, c models.Credential, keys models.Verifier) error {
	if _, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind = ?", account, c.Kind).Delete(tx.Context()); err != nil {
		return fmt.Errorf("delete the older verifier of account %s: %w", account, err)
	}
	c.ID, c.AccountID, c.CreatedAt = models.NewID(), account, tx.Now
	var err error
	if c.StoredKey, c.ServerKey, err = seal(tx, "credentials", c.ID, keys); err != nil {
		return err
	}
	if err := gorm.G[models.Credential](tx.DB).Create(tx.Context(), &c); err != nil {
		return fmt.Errorf("store a verifier of account %s: %w", account, err)
	}
	return nil
}

// forget deletes all verifiers of the account, and what was kept of a replaced one.
func forget(tx *store.Tx, account models.ID) error {
	if _, err := gorm.G[models.Credential](tx.DB).Where("account_id = ?", account).Delete(tx.Context()); err != nil {
		return fmt.Errorf("delete the verifiers of account %s: %w", account, err)
	}
	err := tx.DB.Model(&models.PasswordChange{}).Where("account_id = ? AND stored_key IS NOT NULL", account).Updates(noVerifier).Error
	if err != nil {
		return fmt.Errorf("delete the replaced verifiers of account %s: %w", account, err)
	}
	return nil
}

func seal(tx *store.Tx, table string, row models.ID, v models.Verifier) (stored, server models.Sealed, err error) {
	var errs [2]error
	stored, errs[0] = tx.Seal(table, "stored_key", row, v.StoredKey[:])
	server, errs[1] = tx.Seal(table, "server_key", row, v.ServerKey[:])
	return stored, server, errors.Join(errs[:]...)
}

func unseal(tx *store.Tx, table string, row models.ID, storedKey, serverKey models.Sealed) (v models.Verifier, err error) {
	stored, err := tx.Unseal(table, "stored_key", row, storedKey)
	if err != nil {
		return v, err
	}
	server, err := tx.Unseal(table, "server_key", row, serverKey)
	if err != nil {
		return v, err
	}
	if copy(v.StoredKey[:], stored) != 32 || copy(v.ServerKey[:], server) != 32 {
		return v, fmt.Errorf("the verifier %s of %s has the wrong length", row, table)
	}
	return v, nil
}

// keepSalt makes p's salt that of the account, or sees that it is.
func keepSalt(tx *store.Tx, account models.ID, p Prepared) error {
	stored, err := storedSalt(tx, account)
	switch {
	case err != nil:
		return err
	case stored == nil:
		first := models.PasswordSalt{AccountID: account, Salt: p.salt, Iterations: p.iterations}
		err := gorm.G[models.PasswordSalt](tx.DB).Create(tx.Context(), &first)
		if store.IsDuplicate(err) {
			return errSaltChanged
		}
		return err
	case sameSalt(stored, p.salt, p.iterations):
		return nil
	case !p.resalts:
		return errSaltChanged
	}
	needed, err := needsSalt(tx, account, p.kind)
	if err != nil {
		return err
	}
	if needed {
		return errSaltChanged // somebody set a password meanwhile
	}
	if err := forget(tx, account); err != nil { // nobody could prove them any more
		return err
	}
	return setSalt(tx, account, p.salt, p.iterations)
}

func setSalt(tx *store.Tx, account models.ID, salt []byte, iterations int) error {
	err := tx.DB.Model(&models.PasswordSalt{}).Where("account_id = ?", account).Updates(map[string]any{"salt": salt, "iterations": iterations}).Error
	if err != nil {
		return fmt.Errorf("set the salt of account %s: %w", account, err)
	}
	return nil
}

// changed appends PASSWORD_CHANGED with the state that the account is in now.
func changed(tx *store.Tx, account *models.Account, code string) error {
	state, err := StateOf(tx, account.ID)
	if err != nil {
		return err
	}
	return events.Append(tx, models.Event{
		Type: models.PasswordChanged, Subject: models.Subject{Kind: models.KindAccount, ID: account.ID}, SubjectVersion: account.Version,
		Payload:   models.DocOf(map[string]any{"code": code, "account": account.ID, "state": state}),
		AccountID: account.ID, AccountExternalID: account.ExternalID, Region: account.Region,
	})
}

// Use takes note that v opened the way for device and made binding. A one-time password or reset code becomes the device's initial password,
// good for a password change for 24 hours (resolutions 1, 37); a login code is used up. For any other verdict there is nothing to note.
func Use(tx *store.Tx, v Verdict, device models.DeviceKey, binding models.ID) error {
	if !v.OK || v.Repeated {
		return nil
	}
	c := v.Credential
	used := map[string]any{"device_key": device, "binding_id": binding, "used_at": tx.Now, "repeat_until": c.ExpiresAt}
	switch c.Kind {
	case models.OneTimePassword, models.ResetCode:
		_, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind = ?", c.AccountID, models.InitialPassword).Delete(tx.Context())
		if err != nil {
			return fmt.Errorf("delete the older initial password of account %s: %w", c.AccountID, err)
		}
		used["kind"], used["expires_at"] = models.InitialPassword, tx.Now.Add(initialTTL)
	case models.LoginCode:
	default:
		return nil
	}
	done := tx.DB.Model(&models.Credential{}).Where("id = ? AND used_at = 0", c.ID).Updates(used)
	if done.Error != nil {
		return fmt.Errorf("use a one-time password of account %s: %w", c.AccountID, done.Error)
	}
	if done.RowsAffected != 1 {
		return fmt.Errorf("use a one-time password of account %s: it is not there any more", c.AccountID)
	}
	return nil
}

// IsFirst tells whether the account has no verifier yet, so that its next password is its first.
func IsFirst(tx *store.Tx, account models.ID) (bool, error) {
	n, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind <> ?", account, models.LoginCode).Count(tx.Context(), "*")
	if err != nil {
		return false, fmt.Errorf("count the verifiers of account %s: %w", account, err)
	}
	return n == 0, nil
}
