// Package mariadb starts a private MariaDB server, for tests and measurements.
//
// It owns the server's folder, which goes when the process does. It refuses to know what the databases are for.
package mariadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of the databases made here

	"github.com/softacs/softacs/models"
)

// Server is a running server.
type Server struct {
	addr string
	// lifeline is the keeper's standard input. It is held here because a collected pipe is a closed one; the end of the process closes it.
	lifeline io.WriteCloser
	keeper   *exec.Cmd
}

// keeper starts the server and ends it, with its folder, as soon as its standard input closes: that is when this process ends, however it ends.
const keeper = `"$@" >"$DIR/log" 2>&1 & cat >/dev/null; kill $!; wait $!; rm -rf "$DIR"`

// Volatile are options of a server that never waits for a disk: what it acknowledged outlives whoever told it, but not a crash of the machine.
// They are for tests, which kill our processes and no database; a measurement is of a server without them.
var Volatile = []string{
	"--loose-debug-no-sync", "--loose-sync-frm=OFF", "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite",
	"--loose-innodb-file-per-table=OFF", // a table is made and dropped ten thousand times
}

// Start installs and starts a server on a free port of 127.0.0.1, with options of mariadbd beside its own. An error that a program is missing
// names Debian's package.
func Start(options ...string) (*Server, error) {
	daemon, err := find("mariadbd")
	if err != nil {
		return nil, err
	}
	installer, err := find("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "softacs-mariadb-")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	install := exec.Command(installer, append([]string{"--no-defaults", "--datadir=" + data, "--user=" + me.Username,
		"--auth-root-authentication-method=normal", "--skip-test-db"}, options...)...)
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	run := exec.Command("sh", append([]string{"-c", keeper, "keeper", daemon, "--no-defaults", "--datadir=" + data, "--user=" + me.Username,
		"--tmpdir=" + dir, "--socket=" + filepath.Join(dir, "s"), "--port=" + port, "--bind-address=127.0.0.1",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin", "--skip-name-resolve",
		"--innodb-buffer-pool-size=128M", "--innodb-log-file-size=32M", "--max-connections=2000", "--performance-schema=OFF"}, options...)...)
	run.Env = append(os.Environ(), "DIR="+dir)
	lifeline, err := run.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := run.Start(); err != nil {
		return nil, err
	}
	s := &Server{addr: addr, lifeline: lifeline, keeper: run}
	pool, err := sql.Open("mysql", "root@tcp("+addr+")/")
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		if err = pool.Ping(); err == nil {
			return s, nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return nil, fmt.Errorf("the private MariaDB does not answer: %w\n%s", err, log)
		}
		_ = models.SystemClock{}.Wait(context.Background(), 50*time.Millisecond)
	}
}

// Stop ends the server and removes its folder. A process that ends without it leaves nothing behind either.
func (s *Server) Stop() error {
	if err := s.lifeline.Close(); err != nil {
		return err
	}
	return s.keeper.Wait()
}

// Database makes a database, runs the statements of filling in it, separated by semicolons, and returns its URL and a function that drops it.
func (s *Server) Database(ctx context.Context, filling string) (url models.Secret, drop func() error, err error) {
	name := "t" + models.NewID().String()
	if err := s.run(ctx, "CREATE DATABASE "+name+"; USE "+name+"; "+filling); err != nil {
		return "", nil, err
	}
	return models.Secret("mysql://root@" + s.addr + "/" + name), func() error { return s.run(context.Background(), "DROP DATABASE "+name) }, nil
}

func (s *Server) run(ctx context.Context, statements string) error {
	admin, err := sql.Open("mysql", "root@tcp("+s.addr+")/?multiStatements=true")
	if err != nil {
		return err
	}
	_, err = admin.ExecContext(ctx, statements)
	return errors.Join(err, admin.Close())
}

// Filling returns what makes Database copy the tables and rows of the database at url, which is on this server, stays there and has no foreign
// keys. It takes a twentieth of the time of the migrations.
func (s *Server) Filling(ctx context.Context, url models.Secret) (string, error) {
	from := path.Base(url.Reveal())
	pool, err := sql.Open("mysql", "root@tcp("+s.addr+")/"+from)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	rows, err := pool.QueryContext(ctx, "SHOW TABLES")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var statements []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return "", err
		}
		statements = append(statements, "CREATE TABLE "+table+" LIKE "+from+"."+table)
		var filled bool
		if err := pool.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&filled); err != nil {
			return "", err
		}
		if filled {
			statements = append(statements, "INSERT INTO "+table+" SELECT * FROM "+from+"."+table)
		}
	}
	return strings.Join(statements, "; "), rows.Err()
}

func find(program string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: Debian's package mariadb-server has it (make test installs it)", program)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
