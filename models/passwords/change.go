package passwords

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Change names a CHANGEPWD: whose password, from which device, by which RequestId (i4.md B.5).
type Change struct {
	Account   *models.Account
	Device    models.DeviceKey
	RequestID string
}

// NewVerifier is what takes the place of an account's verifier.
type NewVerifier struct {
	Salt       []byte
	Iterations int
	models.Verifier
}

// noVerifier empties the replaced verifier of a PasswordChange.
var noVerifier = map[string]any{"salt": nil, "iterations": 0, "stored_key": nil, "server_key": nil}

// Answered returns how the device's RequestId was answered within the last 24 hours; nil if it is new.
func (r *Room) Answered(tx *store.Tx, device models.DeviceKey, requestID string) (*models.PasswordChange, error) {
	rows, err := gorm.G[models.PasswordChange](tx.DB).
		Where("device_key = ? AND request_id = ? AND created_at > ?", device, requestID, tx.Now.Add(-day)).Limit(1).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("look for a repeated CHANGEPWD: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// Kept tells whether the verifier that c replaced is still there, so that a repeat can be proved and answered in full.
func (r *Room) Kept(c *models.PasswordChange, now models.Time) bool {
	return len(c.StoredKey) > 0 && now < c.CreatedAt.Add(r.config.ChangeGrace)
}

// ChangeWait tells in how many seconds the account may change its password again; 0: now (i4.md B.5).
func (r *Room) ChangeWait(tx *store.Tx, account models.ID) (retryAfter int, err error) {
	limit := r.config.ChangeDay
	if limit == 0 {
		return 0, nil
	}
	rows, err := gorm.G[models.PasswordChange](tx.DB).Select("created_at").Where("account_id = ? AND created_at > ?", account, tx.Now.Add(-day)).
		Order("created_at DESC").Limit(limit).Find(tx.Context())
	if err != nil {
		return 0, fmt.Errorf("count the password changes of account %s: %w", account, err)
	}
	if len(rows) < limit {
		return 0, nil
	}
	return seconds(rows[limit-1].CreatedAt.Add(day).Sub(tx.Now)), nil
}

// matchReplaced judges the proof against the verifier that a.Repeat replaced.
func (r *Room) matchReplaced(tx *store.Tx, a Attempt) (Verdict, error) {
	c := a.Repeat
	if !r.Kept(c, tx.Now) {
		return Verdict{}, nil
	}
	verifier, err := unseal(tx, "password_changes", c.ID, c.StoredKey, c.ServerKey)
	if err != nil || !a.proves(verifier) {
		return Verdict{}, err
	}
	return Verdict{OK: true, Result: models.ResultOK, Verifier: verifier, Repeated: true}, nil
}

// Fits tells whether the account may have n, that a client made: its form, that it is another one than old, and that mac proves it to come from
// whoever proved old by proof (i4.md C.2.3).
func (r *Room) Fits(number models.Number, n NewVerifier, old models.Verifier, m models.AuthMessage, proof, mac string) bool {
	key, ok := old.ClientKey(proof, m)
	return ok && len(n.Salt) == saltSize && n.Iterations >= r.config.MinIterations && n.Iterations <= MaxIterations &&
		(r.config.Realm == "" || string(n.Salt) == string(models.TimestampSalt(number, r.config.Realm))) &&
		subtle.ConstantTimeCompare(n.StoredKey[:], old.StoredKey[:]) == 0 &&
		hmac.Equal([]byte(strings.ToLower(mac)), []byte(models.VerifierMAC(key, m, n.Salt, n.Iterations, n.Verifier)))
}

const saltSize = 16

// ReadVerifier reads a verifier as it is transmitted; false if salt and keys have not the form that they must have.
func ReadVerifier(salt string, iterations int, storedKey, serverKey string) (n NewVerifier, ok bool) {
	n.Iterations = iterations
	var errs [3]error
	var stored, server []byte
	n.Salt, errs[0] = hex.DecodeString(salt)
	stored, errs[1] = hex.DecodeString(storedKey)
	server, errs[2] = hex.DecodeString(serverKey)
	ok = errs == [3]error{} && len(n.Salt) == saltSize && len(stored) == len(n.StoredKey) && len(server) == len(n.ServerKey)
	copy(n.StoredKey[:], stored)
	copy(n.ServerKey[:], server)
	return n, ok
}

// classes is how many of lower case, upper case, digits and everything else a password must have (i4.md B.5).
const classes = 3

// Strong tells whether a password in clear is one that a customer may choose (i4.md B.5).
func Strong(password models.Secret, number models.Number) bool {
	text := norm.NFC.String(password.Reveal())
	length := utf8.RuneCountInString(text)
	if !utf8.ValidString(text) || length < minPassword || length > maxPassword || strings.TrimPrefix(text, "+") == string(number) {
		return false
	}
	return !strings.ContainsFunc(text, unicode.IsControl) && models.Secret(text).Classes() >= classes
}

// DeriveNew makes the verifier of a password in clear with a fresh salt, and its keys under the salt of the old one, which tell whether it is
// another password. A full pool is UNAVAILABLE.
func (r *Room) DeriveNew(ctx context.Context, number models.Number, password models.Secret, oldSalt []byte, oldIterations int) (n NewVerifier, underOld models.Verifier, err error) {
	n.Iterations, n.Salt = r.config.Iterations, models.TimestampSalt(number, r.config.Realm)
	if r.config.Realm == "" {
		_, _ = rand.Read(n.Salt) // never fails (crypto/rand)
	}
	if underOld, err = r.derive(ctx, password, oldSalt, oldIterations); err != nil {
		return n, underOld, err
	}
	n.Verifier, err = r.derive(ctx, password, n.Salt, n.Iterations)
	return n, underOld, err
}

// Replace makes n the account's only verifier and keeps old for the grace time, for the case that the answer is lost. The event PASSWORD_CHANGED
// says password.changed.
func (r *Room) Replace(tx *store.Tx, c Change, old models.Verifier, n NewVerifier) error {
	salt, err := storedSalt(tx, c.Account.ID)
	if err != nil {
		return err
	}
	if salt == nil {
		return fmt.Errorf("account %s has a verifier without salt", c.Account.ID)
	}
	if err := forget(tx, c.Account.ID); err != nil {
		return err
	}
	if err := setSalt(tx, c.Account.ID, n.Salt, n.Iterations); err != nil {
		return err
	}
	if err := replace(tx, c.Account.ID, models.Credential{Kind: models.LongTermPassword}, n.Verifier); err != nil {
		return err
	}
	row := models.PasswordChange{ID: models.NewID(), Status: string(models.ResultOK), Salt: salt.Salt, Iterations: salt.Iterations}
	if row.StoredKey, row.ServerKey, err = seal(tx, "password_changes", row.ID, old); err != nil {
		return err
	}
	if err := record(tx, c, row); err != nil {
		return err
	}
	return changed(tx, c.Account, "password.changed")
}

// RecordChange keeps the answer of a change that was refused for good.
func (r *Room) RecordChange(tx *store.Tx, c Change, status models.Result) error {
	return record(tx, c, models.PasswordChange{ID: models.NewID(), Status: string(status)})
}

func record(tx *store.Tx, c Change, row models.PasswordChange) error {
	row.DeviceKey, row.RequestID, row.AccountID, row.CreatedAt = c.Device, c.RequestID, c.Account.ID, tx.Now
	err := gorm.G[models.PasswordChange](tx.DB).Create(tx.Context(), &row)
	if store.IsDuplicate(err) { // one that outlived its day
		same := gorm.G[models.PasswordChange](tx.DB).Where("device_key = ? AND request_id = ?", c.Device, c.RequestID)
		if _, err = same.Delete(tx.Context()); err == nil {
			err = gorm.G[models.PasswordChange](tx.DB).Create(tx.Context(), &row)
		}
	}
	if err != nil {
		return fmt.Errorf("record a CHANGEPWD: %w", err)
	}
	return nil
}
