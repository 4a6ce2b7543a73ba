package store

import (
	"context"
	"sync/atomic"

	"gorm.io/gorm"
)

type countKey struct{}

// CountStatements returns a context under which every statement that goes through the store's GORM is counted.
func CountStatements(ctx context.Context) (context.Context, *atomic.Int64) {
	n := new(atomic.Int64)
	return context.WithValue(ctx, countKey{}, n), n
}

// CountOne counts a hand-written statement.
func CountOne(ctx context.Context) {
	if n, ok := ctx.Value(countKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}

// countStatements hooks the counter into db.
func countStatements(db *gorm.DB) error {
	count := func(db *gorm.DB) {
		if !db.DryRun { // a subquery is only written here; it runs as part of its statement
			CountOne(db.Statement.Context)
		}
	}
	callback := db.Callback()
	for _, register := range []func(string, func(*gorm.DB)) error{
		callback.Create().Before("gorm:create").Register,
		callback.Query().Before("gorm:query").Register,
		callback.Update().Before("gorm:update").Register,
		callback.Delete().Before("gorm:delete").Register,
		callback.Row().Before("gorm:row").Register,
		callback.Raw().Before("gorm:raw").Register,
	} {
		if err := register("store:count", count); err != nil {
			return err
		}
	}
	return nil
}
