package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/softacs/softacs/models"
)

// benchFloorCommand is what a scenario cannot cost less than: a bare net/http server that answers with canned bodies, and for provisionAccount
// the bare SQL of its rows.
type benchFloorCommand struct{}

type floorSetup struct {
	Clean       bool // delete what the floor wrote into the log, before anybody follows that
	Transcripts map[string]transcript
	Database    string
}

// Run serves until its parent closes the pipe.
func (benchFloorCommand) Run(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f := &floor{}
	server := &http.Server{Handler: f, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, turnKey{}, new(int))
	}}
	go func() { _ = server.Serve(l) }() // until Close
	defer server.Close()
	return serveChild("floor="+l.Addr().String(), func(q floorSetup) (any, error) {
		if q.Clean {
			return struct{}{}, f.rows.clean(ctx)
		}
		rows, err := copyRows(ctx, q.Database)
		f.transcripts, f.rows = q.Transcripts, rows
		return struct{}{}, err
	})
}

type floor struct {
	transcripts map[string]transcript
	rows        *rows
}

type turnKey struct{}

// ServeHTTP answers the nth request of a connection to /scenario/i with the nth answer of the scenario's ith connection.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	name, i, _ := strings.Cut(r.URL.Path[1:], "/")
	n, _ := strconv.Atoi(i)
	turn, _ := r.Context().Value(turnKey{}).(*int)
	exchanges := f.transcripts[name][n]
	x := exchanges[*turn%len(exchanges)]
	*turn++
	if name == "provision" {
		if err := f.rows.insert(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	for key, values := range x.AnswerHeader {
		if key != "Date" {
			w.Header()[key] = values
		}
	}
	w.WriteHeader(x.Status)
	_, _ = w.Write(x.Answer)
}

// rows are copies of what one provisionAccount wrote, ready to be written again under other ids.
type rows struct {
	pool   *sql.DB
	tables []*table
	next   atomic.Int64
}

type table struct {
	columns []string
	values  []any
	insert  *sql.Stmt
}

// openPlain opens a database without the platform's store.
func openPlain(url string) (pool *sql.DB, driver string, err error) {
	driver, dsn := "mysql", ""
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	} else if dsn, ok = mysqlDSN(url); !ok {
		return nil, "", errors.New("--database is mysql://user:password@host:port/database or sqlite:PATH")
	}
	if pool, err = sql.Open(driver, dsn); err != nil {
		return nil, "", err
	}
	pool.SetMaxIdleConns(64)
	if driver == "sqlite" {
		pool.SetMaxOpenConns(1)
	}
	return pool, driver, nil
}

// copyRows reads what the last provisionAccount wrote.
func copyRows(ctx context.Context, url string) (*rows, error) {
	pool, _, err := openPlain(url)
	if err != nil {
		return nil, err
	}
	r := &rows{pool: pool}
	const account = "(SELECT id FROM accounts WHERE external_id LIKE '+%' ORDER BY id DESC LIMIT 1)"
	for _, query := range []string{
		"SELECT * FROM deeds WHERE mutation = 'provisionAccount' AND idempotency_key = (SELECT external_id FROM accounts WHERE id = " + account + ")",
		"SELECT * FROM accounts WHERE id = " + account,
		"SELECT * FROM account_impus WHERE account_id = " + account,
		"SELECT * FROM events WHERE account_id = " + account,
		"SELECT * FROM audit_entries WHERE subject_id = " + account,
	} {
		if err := r.copy(ctx, query); err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
	}
	return r, nil
}

func (r *rows) copy(ctx context.Context, query string) error {
	found, err := r.pool.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(query, "FROM ")
	name, _, _ = strings.Cut(name, " ")
	before := len(r.tables)
	for found.Next() {
		all := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range all {
			pointers[i] = &all[i]
		}
		if err := found.Scan(pointers...); err != nil {
			return err
		}
		t := &table{}
		for i, column := range columns {
			if column != "n" { // the database numbers
				t.columns, t.values = append(t.columns, column), append(t.values, all[i])
			}
		}
		r.tables = append(r.tables, t)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil || len(r.tables) == before {
		return errors.Join(err, errors.New("no rows"))
	}
	for _, t := range r.tables[before:] {
		marks := strings.Repeat("?, ", len(t.columns)-1) + "?"
		quoted := "`" + strings.Join(t.columns, "`, `") + "`"
		if t.insert, err = r.pool.PrepareContext(ctx, "INSERT INTO "+name+" ("+quoted+") VALUES ("+marks+")"); err != nil {
			return err
		}
	}
	return nil
}

// insert writes the rows under new ids in one transaction.
func (r *rows) insert(ctx context.Context) error {
	tx, err := r.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	id, unique, n := models.NewID(), hex.EncodeToString(random[:]), r.next.Add(1)
	for i, t := range r.tables {
		values := make([]any, len(t.values))
		copy(values, t.values)
		for j, column := range t.columns {
			switch column {
			case "id", "account_id", "subject_id":
				values[j] = id[:]
			case "external_id", "idempotency_key", "account_external_id":
				values[j] = unique
			case "msisdn", "live_msisdn":
				values[j] = unique[:15]
			case "impu":
				values[j] = fmt.Sprint("sip:", i, unique)
			case "position", "sequence":
				values[j] = -n // numbered already, so the platform's sequencer leaves them alone, and read by nobody
			case "previous_hash", "hash":
				values[j] = random[:]
			}
		}
		if _, err := tx.StmtContext(ctx, t.insert).ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// clean takes the rows out of the log, where positions are positive.
func (r *rows) clean(ctx context.Context) error {
	_, err := r.pool.ExecContext(ctx, "DELETE FROM events WHERE position < 0")
	if err == nil {
		_, err = r.pool.ExecContext(ctx, "DELETE FROM audit_entries WHERE sequence < 0")
	}
	return err
}
