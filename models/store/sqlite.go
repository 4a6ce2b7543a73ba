package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const dialectSQLite = "sqlite"

// sqliteEngine keeps everything in one file: write-ahead log, synced at each commit, one writer.
type sqliteEngine struct{ path string }

func (sqliteEngine) dialect() string      { return dialectSQLite }
func (sqliteEngine) lockRows() string     { return "" }
func (sqliteEngine) transient(error) bool { return false }

// noSuchTable is never asked: SQLite migrates at every start.
func (sqliteEngine) noSuchTable(error) bool { return false }

func (e sqliteEngine) open(ctx context.Context) (write, read *gorm.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of the database: %w", err)
	}
	// Whoever may read the file may read the log and every number: it is its owner's only.
	file, err := os.OpenFile(e.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("make the database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, nil, fmt.Errorf("make the database: %w", err)
	}
	// The writer takes its lock at BEGIN: a transaction that read first and wrote later could otherwise fail with SQLITE_BUSY.
	if write, err = e.pool(ctx, 1, url.Values{"_txlock": {"immediate"}}); err != nil {
		return nil, nil, err
	}
	if read, err = e.pool(ctx, max(4, 2*runtime.NumCPU()), url.Values{"_pragma": {"query_only(1)"}}); err != nil {
		return nil, nil, err
	}
	return write, read, nil
}

func (e sqliteEngine) pool(ctx context.Context, size int, options url.Values) (*gorm.DB, error) {
	for _, pragma := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"} {
		options.Add("_pragma", pragma)
	}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: e.path}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", e.path, err)
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", e.path, err), pool.Close())
	}
	dialector := sqliteDialector{&sqlite.Dialector{DriverName: "sqlite", Conn: pool}}
	return gorm.Open(dialector, gormConfig())
}

// sqliteDialector is GORM's SQLite dialect on the pure Go driver, whose errors it knows how to translate.
type sqliteDialector struct{ *sqlite.Dialector }

func (d sqliteDialector) Translate(err error) error {
	var coded *modernc.Error
	if errors.As(err, &coded) {
		switch coded.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return gorm.ErrDuplicatedKey
		}
	}
	return err
}
