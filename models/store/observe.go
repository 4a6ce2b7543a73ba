package store

import (
	"time"

	"gorm.io/gorm"
)

// Observer hears how long something in the database took. Kind is one of a few constant words: create, query, update, delete, row and raw for
// statements, transaction from BEGIN to the end of COMMIT or ROLLBACK, and what callers of Took name.
type Observer func(kind string, took time.Duration)

type startKey struct{}

// Observe lets f hear of every statement from now on. It is called once, before the store is used by several goroutines; f is called by many.
func (s *Store) Observe(f Observer) error {
	s.observer = f
	if err := observeStatements(s.write, f); err != nil || s.read == s.write {
		return err
	}
	return observeStatements(s.read, f)
}

// Took tells the observer of a hand-written statement that began at start: defer s.Took("lookup", time.Now()).
func (s *Store) Took(kind string, start time.Time) {
	if s.observer != nil {
		s.observer(kind, time.Since(start))
	}
}

func observeStatements(db *gorm.DB, f Observer) error {
	callback := db.Callback()
	type register func(string, func(*gorm.DB)) error
	for kind, around := range map[string][2]register{
		"create": {callback.Create().Before("gorm:create").Register, callback.Create().After("gorm:create").Register},
		"query":  {callback.Query().Before("gorm:query").Register, callback.Query().After("gorm:query").Register},
		"update": {callback.Update().Before("gorm:update").Register, callback.Update().After("gorm:update").Register},
		"delete": {callback.Delete().Before("gorm:delete").Register, callback.Delete().After("gorm:delete").Register},
		"row":    {callback.Row().Before("gorm:row").Register, callback.Row().After("gorm:row").Register},
		"raw":    {callback.Raw().Before("gorm:raw").Register, callback.Raw().After("gorm:raw").Register},
	} {
		if err := around[0]("store:started", func(db *gorm.DB) { db.Statement.Settings.Store(startKey{}, time.Now()) }); err != nil {
			return err
		}
		ended := func(db *gorm.DB) {
			if start, ok := db.Statement.Settings.Load(startKey{}); ok && !db.DryRun {
				f(kind, time.Since(start.(time.Time)))
			}
		}
		if err := around[1]("store:ended", ended); err != nil {
			return err
		}
	}
	return nil
}
