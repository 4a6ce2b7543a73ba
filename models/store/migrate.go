package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialectFS shows the migrations of one engine: the common files, and its own of the twins NAME.mysql.sql and NAME.sqlite.sql.
type dialectFS struct {
	fs.FS
	other string // suffix of the other engine's files
}

func migrationsOf(dialect string) (fs.FS, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	other := "." + dialectMySQL + ".sql"
	if dialect == dialectMySQL {
		other = "." + dialectSQLite + ".sql"
	}
	return dialectFS{FS: sub, other: other}, nil
}

func (f dialectFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	kept := entries[:0]
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), f.other) {
			kept = append(kept, e)
		}
	}
	return kept, err
}

func (s *Store) migrator() (*goose.Provider, *sql.DB, error) {
	pool, err := s.write.DB()
	if err != nil {
		return nil, nil, err
	}
	files, err := migrationsOf(s.engine.dialect())
	if err != nil {
		return nil, nil, err
	}
	dialect := goose.DialectMySQL
	if s.engine.dialect() == dialectSQLite {
		dialect = goose.DialectSQLite3
	}
	provider, err := goose.NewProvider(dialect, pool, files)
	return provider, pool, err
}

// prepareSchema migrates if it may and checks that the schema is not older than the program. A newer one is fine: versions N and N-1 of the
// program run side by side.
func (s *Store) prepareSchema(ctx context.Context, migrate bool) error {
	pools := []*gorm.DB{s.write}
	if s.read != s.write {
		pools = append(pools, s.read)
	}
	for _, db := range pools {
		if err := countStatements(db); err != nil {
			return err
		}
	}
	provider, pool, err := s.migrator()
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if migrate {
		return s.migrate(ctx, provider, pool)
	}
	sources := provider.ListSources()
	target := sources[len(sources)-1].Version
	current, err := s.schemaVersion(ctx, pool)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current < target {
		return fmt.Errorf("the database schema is at version %d, this program needs %d: run `softacs migrate`", current, target)
	}
	return nil
}

// schemaVersion is 0 for a database that was never migrated. It only reads: whoever serves may lack the right to make tables.
func (s *Store) schemaVersion(ctx context.Context, pool *sql.DB) (version int64, err error) {
	err = pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	if s.engine.noSuchTable(err) {
		return 0, nil
	}
	return version, err
}

const (
	leaseTime  = time.Minute
	leaseRenew = 15 * time.Second
	leaseRetry = 200 * time.Millisecond
)

// migrate brings the schema up to date under the lease, so that of two programs that start together one migrates and the other waits.
func (s *Store) migrate(ctx context.Context, provider *goose.Provider, pool *sql.DB) error {
	if s.engine.dialect() == dialectMySQL {
		// Whatever the server's default is: texts compare by their bytes, as on SQLite.
		if _, err := pool.ExecContext(ctx, "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
			return fmt.Errorf("set the database's character set: %w", err)
		}
	}
	holder := models.NewID().String()
	if err := takeLease(ctx, pool, holder); err != nil {
		return err
	}
	renewing, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		for (models.SystemClock{}).Wait(renewing, leaseRenew) == nil {
			_, _ = pool.ExecContext(renewing, "UPDATE schema_lease SET until = ? WHERE holder = ?", time.Now().Add(leaseTime).UnixMilli(), holder)
		}
	}()
	_, err := provider.Up(ctx)
	stop()
	<-renewed
	if _, e := pool.ExecContext(context.WithoutCancel(ctx), "UPDATE schema_lease SET until = 0 WHERE holder = ?", holder); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

// takeLease waits until no other program holds the lease or its holder has died.
func takeLease(ctx context.Context, pool *sql.DB, holder string) error {
	const create = "CREATE TABLE IF NOT EXISTS schema_lease (id INT NOT NULL PRIMARY KEY, holder VARCHAR(32) NOT NULL, until BIGINT NOT NULL)"
	if _, err := pool.ExecContext(ctx, create); err != nil {
		return fmt.Errorf("make the table of the schema lease: %w", err)
	}
	const first = "INSERT INTO schema_lease (id, holder, until) SELECT 1, '', 0 WHERE NOT EXISTS (SELECT 1 FROM schema_lease)"
	// Two programs may insert at once; the loser's duplicate key is as good as its own row.
	_, insertErr := pool.ExecContext(ctx, first)
	for {
		now := time.Now()
		done, err := pool.ExecContext(ctx, "UPDATE schema_lease SET holder = ?, until = ? WHERE id = 1 AND until < ?",
			holder, now.Add(leaseTime).UnixMilli(), now.UnixMilli())
		if err != nil {
			return fmt.Errorf("take the schema lease: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var rows int
		if err := pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM schema_lease").Scan(&rows); err != nil || rows == 0 {
			return fmt.Errorf("take the schema lease: %w", errors.Join(err, insertErr))
		}
		if err := (models.SystemClock{}).Wait(ctx, leaseRetry); err != nil {
			return fmt.Errorf("wait for another program that migrates the schema: %w", err)
		}
	}
}
