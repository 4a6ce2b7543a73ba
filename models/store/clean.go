package store

import (
	"context"
	"time"
)

// mostDeleted is how many rows one transaction deletes: a long one would hold up whoever writes.
const mostDeleted = 1000

// DeleteOld deletes the rows of row's table for which where holds, at most 1,000 in a transaction. The one placeholder of where is the time that
// lies age ago.
func (s *Store) DeleteOld(ctx context.Context, row any, where string, age time.Duration) error {
	for n := int64(mostDeleted); n == mostDeleted; {
		err := s.InTx(ctx, func(tx *Tx) error {
			before := tx.Now.Add(-age)
			q := tx.DB.Where(where, before).Limit(mostDeleted)
			if s.engine.dialect() == dialectSQLite { // has no DELETE with a limit, but every table has a rowid
				q = tx.DB.Where("rowid IN (?)", tx.DB.Model(row).Select("rowid").Where(where, before).Limit(mostDeleted))
			}
			done := q.Delete(row)
			n = done.RowsAffected
			return done.Error
		})
		if err != nil {
			return err
		}
	}
	return nil
}
