// Package store opens the database and runs transactions on it: SQLite in one file, or MySQL and MariaDB.
//
// It owns connections, retries, migrations, sealing of secrets and keyset pages. It refuses to know any noun: there is no query about one here.
// A use-case opens the transaction with InTx and hands Tx down; inside it nothing but Tx may be touched, because SQLite has one writer and
// MySQL may run the closure again.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/softacs/softacs/models"
)

// Config says which database to open and with which keys.
type Config struct {
	// URL is sqlite:PATH or mysql://user:password@host:port/database.
	URL models.Secret
	// Keys seal and unseal: the first seals, all unseal.
	Keys []Key
	// Migrate brings the schema of a MySQL database up to date at Open; SQLite always does.
	Migrate bool
}

// Store is an open database.
type Store struct {
	engine engine
	write  *gorm.DB
	read   *gorm.DB
	clock  models.Clock
	keys   *keyring
	root   [32]byte // of HMAC
	wakes  wakes
	// observer hears how long statements take; nil: nobody does.
	observer Observer
}

// engine is what differs between the two kinds of database.
type engine interface {
	// open returns a pool to write with and one to read with; they may be the same.
	open(ctx context.Context) (write, read *gorm.DB, err error)
	// dialect is goose's and the migrations' name of the engine.
	dialect() string
	// transient tells whether the transaction may be run again.
	transient(err error) bool
	// noSuchTable tells whether a table is missing.
	noSuchTable(err error) bool
	// lockRows is the clause that makes a read hold its rows until the commit; empty where the writer is alone anyway.
	lockRows() string
}

// Open connects, migrates where it may and checks that the schema fits. An error about the schema names the command that mends it.
func Open(ctx context.Context, c Config, clock models.Clock) (*Store, error) {
	keys, err := newKeyring(c.Keys)
	if err != nil {
		return nil, err
	}
	e, err := engineOf(c.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: e, clock: clock, keys: keys}
	if s.write, s.read, err = e.open(ctx); err != nil {
		return nil, err
	}
	if err := s.prepareSchema(ctx, c.Migrate || e.dialect() == dialectSQLite); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.root, err = s.rootKey(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Migrate brings the schema of a database up to date; it needs no keys.
func Migrate(ctx context.Context, url models.Secret) (err error) {
	e, err := engineOf(url)
	if err != nil {
		return err
	}
	s := &Store{engine: e, clock: models.SystemClock{}}
	if s.write, s.read, err = e.open(ctx); err != nil {
		return err
	}
	return errors.Join(s.prepareSchema(ctx, true), s.Close())
}

func engineOf(url models.Secret) (engine, error) {
	text := url.Reveal()
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok && path != "" {
		return sqliteEngine{path: path}, nil
	}
	if strings.HasPrefix(text, "mysql://") {
		return newMySQL(text)
	}
	return nil, errors.New("database: allowed are sqlite:PATH and mysql://user:password@host:port/database")
}

func gormConfig() *gorm.Config {
	return &gorm.Config{SkipDefaultTransaction: true, PrepareStmt: true, TranslateError: true, Logger: logger.Discard, NowFunc: noAutomaticTime}
}

// noAutomaticTime makes a forgotten autoCreateTime stand out: time comes from Tx.Now only.
func noAutomaticTime() time.Time { return time.Time{} }

// Close ends all connections.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*gorm.DB{s.write, s.read} {
		if db == nil {
			continue
		}
		pool, err := db.DB()
		if err == nil {
			err = pool.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Reader is the pool for the few hand-written statements of hot paths.
func (s *Store) Reader() *sql.DB {
	pool, err := s.read.DB()
	if err != nil {
		panic(err) // gorm opened on a *sql.DB, so it has one
	}
	return pool
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.Reader().PingContext(ctx) }

// Tx is one transaction, or one View.
type Tx struct {
	// DB carries the context of the transaction.
	DB *gorm.DB
	// Now is the time at which this attempt of the transaction began; rows are stamped with it.
	Now models.Time

	store *Store
	after []func()
}

// Context is that of the transaction.
func (tx *Tx) Context() context.Context { return tx.DB.Statement.Context }

// As makes actor the one who acts in the rest of the transaction.
func (tx *Tx) As(actor models.Actor) {
	tx.DB = tx.DB.WithContext(models.WithActor(tx.Context(), actor))
}

// AfterCommit runs f once the transaction has committed; never if it rolls back.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// Locked is tx.DB whose reads hold their rows until the commit, so that what was read is still true when it is written. Use it with plain
// GORM: gorm.G starts a fresh statement and would drop the lock.
func (tx *Tx) Locked() *gorm.DB {
	if lock := tx.store.engine.lockRows(); lock != "" {
		return tx.DB.Clauses(clause.Locking{Strength: lock})
	}
	return tx.DB
}

type insideKey struct{}

// errNested is a mistake of the caller: on SQLite it would wait for itself.
var errNested = errors.New("a transaction was opened inside a transaction")

const maxAttempts = 12

// InTx runs f in a transaction and commits it if f returns nil. On MySQL a deadlock or a lost cluster node runs f again, so f must change
// nothing but what goes through its Tx.
func (s *Store) InTx(ctx context.Context, f func(tx *Tx) error) error {
	if ctx.Value(insideKey{}) != nil {
		return errNested
	}
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, f)
		if err == nil || attempt == maxAttempts || !s.engine.transient(err) {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(attempt) * int64(10*time.Millisecond)))
		if (models.SystemClock{}).Wait(ctx, pause) != nil {
			return err
		}
	}
}

func (s *Store) once(ctx context.Context, f func(tx *Tx) error) error {
	began := time.Now()
	tx := &Tx{Now: s.clock.Now(), store: s}
	inside := context.WithValue(ctx, insideKey{}, true)
	err := s.write.WithContext(inside).Transaction(func(db *gorm.DB) error {
		tx.DB = db
		return f(tx)
	})
	s.Took("transaction", began)
	if err != nil {
		return err
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

// View runs f for reading. Statements see what was committed before each of them; on SQLite a View never waits for the writer.
func (s *Store) View(ctx context.Context, f func(tx *Tx) error) error {
	if ctx.Value(insideKey{}) != nil {
		return errNested
	}
	tx := &Tx{DB: s.read.WithContext(ctx), Now: s.clock.Now(), store: s}
	if err := f(tx); err != nil {
		return err
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

// IsDuplicate tells whether err is a violated unique key. The transaction goes on after it.
func IsDuplicate(err error) bool { return errors.Is(err, gorm.ErrDuplicatedKey) }

// IsMissing tells whether err says that there is no such row.
func IsMissing(err error) bool { return errors.Is(err, gorm.ErrRecordNotFound) }

// InScope limits q to the rows whose column names a region of s (resolutions 68).
func InScope(q *gorm.DB, column string, s models.Scope) *gorm.DB {
	switch {
	case s.All:
		return q
	case len(s.Regions) == 0:
		return q.Where("1 = 0")
	}
	return q.Where(fmt.Sprintf("%s IN ?", column), s.Regions)
}

// LikePrefix is the pattern of texts that begin with s; use it as `column LIKE ? ESCAPE '!'`.
func LikePrefix(s string) string { return likeEscape.Replace(s) + "%" }

// LikeContains is the pattern of texts that contain s; use it as `column LIKE ? ESCAPE '!'`.
func LikeContains(s string) string { return "%" + likeEscape.Replace(s) + "%" }

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")
