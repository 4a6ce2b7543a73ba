package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
)

const dialectMySQL = "mysql"

// mysqlEngine is a MySQL 8 or MariaDB server, or a Galera cluster of which one node is written to.
type mysqlEngine struct{ config *mysqldriver.Config }

func newMySQL(text string) (engine, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || len(u.Path) < 2 {
		// The parse error would quote the password.
		return nil, errors.New("database: mysql://user:password@host:port/database is expected")
	}
	c := mysqldriver.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if socket := u.Query().Get("socket"); socket != "" {
		c.Net, c.Addr = "unix", socket
	}
	c.Collation = "utf8mb4_bin"
	c.ClientFoundRows = true // RowsAffected counts matched rows, as on SQLite
	c.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"}
	return &mysqlEngine{config: c}, nil
}

func (*mysqlEngine) dialect() string  { return dialectMySQL }
func (*mysqlEngine) lockRows() string { return "UPDATE" }

// transient: deadlock, lock wait timeout, and a Galera node without its cluster.
func (*mysqlEngine) transient(err error) bool {
	var coded *mysqldriver.MySQLError
	return errors.As(err, &coded) && (coded.Number == 1213 || coded.Number == 1205 || coded.Number == 1047)
}

func (*mysqlEngine) noSuchTable(err error) bool {
	var coded *mysqldriver.MySQLError
	return errors.As(err, &coded) && coded.Number == 1146
}

const mysqlConnections = 64

func (e *mysqlEngine) open(ctx context.Context) (write, read *gorm.DB, err error) {
	if err := e.settle(ctx); err != nil {
		return nil, nil, err
	}
	connector, err := mysqldriver.NewConnector(e.config)
	if err != nil {
		return nil, nil, fmt.Errorf("database: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(mysqlConnections)
	pool.SetMaxIdleConns(mysqlConnections)
	db, err := gorm.Open(mysql.New(mysql.Config{Conn: pool}), gormConfig())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the database: %w", err), pool.Close())
	}
	return db, db, nil
}

// settle asks the server what it is, sets the session variable for READ COMMITTED under the name that this server has, and warns if a
// commit may be lost in a power cut.
func (e *mysqlEngine) settle(ctx context.Context) error {
	connector, err := mysqldriver.NewConnector(e.config)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	pool := sql.OpenDB(connector)
	defer pool.Close()
	var version string
	var flush int
	if err := pool.QueryRowContext(ctx, "SELECT VERSION(), @@GLOBAL.innodb_flush_log_at_trx_commit").Scan(&version, &flush); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	isolation := "transaction_isolation"
	if strings.Contains(version, "MariaDB") {
		isolation = "tx_isolation"
	}
	e.config.Params[isolation] = "'READ-COMMITTED'"
	if flush != 1 {
		slog.WarnContext(ctx, "the database may lose acknowledged commits in a power cut; set innodb_flush_log_at_trx_commit=1", "value", flush)
	}
	return nil
}
