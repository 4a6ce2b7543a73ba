package passwords

import (
	"crypto/sha256"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Spend uses up a network token that is good until then; false if it was used before (i4.md C.7).
func Spend(tx *store.Tx, token string, until models.Time) (fresh bool, err error) {
	hash := sha256.Sum256([]byte(token))
	err = gorm.G[models.UsedToken](tx.DB).Create(tx.Context(), &models.UsedToken{Hash: hash[:], Until: until})
	if store.IsDuplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("use up a network token: %w", err)
	}
	return true, nil
}

// Assert remembers for ttl that an SMS from mdn carried the nonce (i4.md B.3, mo-sms). Of several senders of one nonce the first counts.
func Assert(tx *store.Tx, mdn models.Number, nonce string, ttl time.Duration) error {
	asserted := models.AssertedNumber{Nonce: nonce, MDN: mdn, Until: tx.Now.Add(ttl)}
	if err := tx.DB.Where("nonce = ? AND until <= ?", nonce, tx.Now).Delete(&models.AssertedNumber{}).Error; err != nil {
		return fmt.Errorf("forget an older nonce of an SMS: %w", err)
	}
	err := gorm.G[models.AssertedNumber](tx.DB).Create(tx.Context(), &asserted)
	if err != nil && !store.IsDuplicate(err) {
		return fmt.Errorf("keep the nonce of an SMS: %w", err)
	}
	return nil
}

// Redeem uses up what an SMS asserted: false if none from mdn carried the nonce, or too long ago, or it was redeemed before.
func Redeem(tx *store.Tx, mdn models.Number, nonce string) (bool, error) {
	done := tx.DB.Where("nonce = ? AND mdn = ? AND until > ?", nonce, mdn, tx.Now).Delete(&models.AssertedNumber{})
	if done.Error != nil {
		return false, fmt.Errorf("redeem the nonce of an SMS: %w", done.Error)
	}
	return done.RowsAffected == 1, nil
}

// DeviceLocked tells for how many seconds the device is locked for everything (Status 11); 0: it is not.
func (r *Room) DeviceLocked(tx *store.Tx, device models.DeviceKey) (retryAfter int, err error) {
	row := deviceCounter(tx, device)
	var found []models.Lockout
	if err := tx.DB.Where("scope = ? AND subject = ?", row.Scope, row.Subject).Limit(1).Find(&found).Error; err != nil {
		return 0, fmt.Errorf("read the lock of a device: %w", err)
	}
	if len(found) == 0 {
		return 0, nil
	}
	return seconds(max(found[0].LockedUntil.Sub(tx.Now), 0)), nil
}

// DeviceFailed counts a failure of the device that belongs to no account, and returns for how many seconds it is locked now (i4.md C.3).
func (r *Room) DeviceFailed(tx *store.Tx, device models.DeviceKey) (retryAfter int, err error) {
	row := deviceCounter(tx, device)
	if err := hold(tx, []*models.Lockout{&row}); err != nil {
		return 0, err
	}
	if err := tx.DB.Where("scope = ? AND subject = ?", row.Scope, row.Subject).Take(&row).Error; err != nil {
		return 0, fmt.Errorf("read the failures of a device: %w", err)
	}
	failedInAnHour(&row, r.config.Lockout.DeviceHour, tx.Now)
	err = tx.DB.Model(&models.Lockout{}).Where("scope = ? AND subject = ?", row.Scope, row.Subject).
		Updates(map[string]any{"failures": row.Failures, "window_start": row.WindowStart, "locked_until": row.LockedUntil}).Error
	if err != nil {
		return 0, fmt.Errorf("count a failure of a device: %w", err)
	}
	return seconds(max(row.LockedUntil.Sub(tx.Now), 0)), nil
}

func deviceCounter(tx *store.Tx, device models.DeviceKey) models.Lockout {
	return models.Lockout{Scope: scopeDevice, Subject: claimant("").subject(tx, scopeDevice, device)}
}
