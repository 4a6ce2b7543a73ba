package passwords

import (
	"context"
	"fmt"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// cleanChunk is how many rows one statement deletes.
const cleanChunk = 1000

// Clean deletes what is remembered no longer: nonces, GETPWD answers, counters and used or unused one-time passwords.
func (r *Room) Clean(ctx context.Context) error {
	longest := time.Duration(r.config.Lockout.MaxHours) * time.Hour
	for _, old := range []struct {
		row   any
		where string
		age   time.Duration
	}{
		{&models.ClientNonce{}, "until <= ?", 0},
		{&models.PasswordRequest{}, "created_at <= ?", day},
		{&models.Credential{}, "expires_at > 0 AND expires_at <= ?", 0},
		{&models.Lockout{}, "CASE WHEN window_start > locked_until THEN window_start ELSE locked_until END <= ?", max(longest, time.Hour)},
	} {
		for n := int64(cleanChunk); n == cleanChunk; {
			err := r.store.InTx(ctx, func(tx *store.Tx) (err error) {
				n, err = deleteSome(tx, old.row, old.where, tx.Now.Add(-old.age))
				return err
			})
			if err != nil {
				return fmt.Errorf("clean the passwords: %w", err)
			}
		}
	}
	return nil
}

// deleteSome deletes at most cleanChunk rows. SQLite has no DELETE with a limit, but every table of it has a rowid.
func deleteSome(tx *store.Tx, row any, where string, before models.Time) (int64, error) {
	q := tx.DB.Where(where, before).Limit(cleanChunk)
	if tx.DB.Name() == "sqlite" {
		q = tx.DB.Where("rowid IN (?)", tx.DB.Model(row).Select("rowid").Where(where, before).Limit(cleanChunk))
	}
	done := q.Delete(row)
	return done.RowsAffected, done.Error
}
