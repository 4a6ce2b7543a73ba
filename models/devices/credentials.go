package devices

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Realm is the realm of every digest challenge southbound (i4.md A.2).
const Realm = "i4"

// keptPrevious bounds the older credentials that stay valid until the newest was used; each lost answer of a rotation leaves one.
const keptPrevious = 3

// HA1Of computes the digest verifiers of a user name and password (RFC 7616 3.4.2).
func HA1Of(username string, password models.Secret) models.HA1 {
	text := []byte(username + ":" + Realm + ":" + password.Reveal())
	md, sha := md5.Sum(text), sha256.Sum256(text)
	return models.HA1{MD5: hex.EncodeToString(md[:]), SHA256: hex.EncodeToString(sha[:])}
}

// Credentials unseals the digest verifiers of d without a statement; zero if it has none.
func (r *Room) Credentials(d *models.Device) (c models.HTTPCredentials, err error) {
	err = r.store.UnsealJSON("devices", "http_credentials", d.ID, d.HTTPCredentials, &c)
	return c, err
}

// newPassword makes a management password: 128 random bits, 26 base32 characters (i4.md C.6).
func newPassword() models.Secret {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return models.Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}

// RotateCredentials gives d a new management password and returns it; d.HTTPUsername is the user name that goes with it: the device key
// unless the device was registered with its own. Older passwords stay valid until ConfirmCredentials (i4.md A.2-6).
func RotateCredentials(tx *store.Tx, d *models.Device) (password models.Secret, err error) {
	now, kept, err := lockCredentials(tx, d.ID)
	if err != nil {
		return "", err
	}
	if now.HTTPUsername == "" {
		now.HTTPUsername = string(now.Key)
	}
	if kept.Current != (models.HA1{}) {
		kept.Previous = append([]models.HA1{kept.Current}, kept.Previous...)
		if n := len(kept.Previous); n > keptPrevious { // the oldest was used, and is what the device has if it took none of the others
			kept.Previous = append(kept.Previous[:keptPrevious-1], kept.Previous[n-1])
		}
	}
	password = newPassword()
	kept.Current = HA1Of(now.HTTPUsername, password)
	return password, saveCredentials(tx, d, now.HTTPUsername, kept)
}

// ConfirmCredentials drops the older passwords of d: the newest one was used.
func ConfirmCredentials(tx *store.Tx, d *models.Device) error {
	now, kept, err := lockCredentials(tx, d.ID)
	if err != nil || len(kept.Previous) == 0 {
		return err
	}
	// What the device used is what d was read with; a rotation since then is not confirmed by it.
	var used models.HTTPCredentials
	if err := tx.UnsealJSON("devices", "http_credentials", d.ID, d.HTTPCredentials, &used); err != nil {
		return err
	}
	if used.Current != kept.Current {
		return nil
	}
	kept.Previous = nil
	return saveCredentials(tx, d, now.HTTPUsername, kept)
}

func lockCredentials(tx *store.Tx, id models.ID) (*models.Device, models.HTTPCredentials, error) {
	var kept models.HTTPCredentials
	d, err := LockByID(tx, id)
	if err != nil {
		return nil, kept, err
	}
	return d, kept, tx.UnsealJSON("devices", "http_credentials", id, d.HTTPCredentials, &kept)
}

// saveCredentials writes c; a device that gets credentials is no longer revoked.
func saveCredentials(tx *store.Tx, d *models.Device, username string, c models.HTTPCredentials) error {
	sealed, err := tx.SealJSON("devices", "http_credentials", d.ID, c)
	if err != nil {
		return err
	}
	err = update(tx, d.ID, map[string]any{"http_username": username, "http_credentials": sealed, "revoked": false})
	if err != nil {
		return fmt.Errorf("save the credentials of device %s: %w", d.ID, err)
	}
	d.HTTPUsername, d.HTTPCredentials, d.Revoked = username, sealed, false
	return nil
}

// Revoke ends what a self-registered device may do with its credentials: they admit it to L0 only (resolutions 11). Credentials that
// registerDevice made stay (resolutions 7).
func Revoke(tx *store.Tx, deviceID models.ID) error {
	err := tx.DB.Model(&models.Device{}).Where("id = ? AND registered = ?", deviceID, false).
		Updates(map[string]any{"revoked": true, "updated_at": tx.Now}).Error
	if err != nil {
		return fmt.Errorf("revoke device %s: %w", deviceID, err)
	}
	return nil
}
