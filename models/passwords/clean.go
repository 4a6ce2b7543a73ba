package passwords

import (
	"context"
	"fmt"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Clean deletes what is remembered no longer: nonces, tokens, asserted numbers, answers of GETPWD and CHANGEPWD, counters, used or unused
// one-time passwords, and replaced verifiers after their grace.
func (r *Room) Clean(ctx context.Context) error {
	longest := time.Duration(r.config.Lockout.MaxHours) * time.Hour
	for _, old := range []struct {
		row   any
		where string
		age   time.Duration
	}{
		{&models.ClientNonce{}, "until <= ?", 0},
		{&models.UsedToken{}, "until <= ?", 0},
		{&models.AssertedNumber{}, "until <= ?", 0},
		{&models.PasswordChange{}, "created_at <= ?", day},
		{&models.PasswordRequest{}, "created_at <= ?", day},
		{&models.Credential{}, "expires_at > 0 AND expires_at <= ?", 0},
		{&models.Lockout{}, "CASE WHEN window_start > locked_until THEN window_start ELSE locked_until END <= ?", max(longest, day)},
	} {
		if err := r.store.DeleteOld(ctx, old.row, old.where, old.age); err != nil {
			return fmt.Errorf("clean the passwords: %w", err)
		}
	}
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.DB.Model(&models.PasswordChange{}).Where("stored_key IS NOT NULL AND created_at <= ?", tx.Now.Add(-r.config.ChangeGrace)).Updates(noVerifier).Error
	})
	if err != nil {
		return fmt.Errorf("clean the replaced verifiers: %w", err)
	}
	return nil
}
