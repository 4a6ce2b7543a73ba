package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // asks a MariaDB for its process

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest/mariadb"
)

// benchCommand measures what things cost (docs/performance.md). Every figure is the median of pairs: the platform, then the floor, in one run on
// one machine. The platform, the floor and the load generator are processes of their own, so that each one's CPU is its own.
type benchCommand struct {
	Database    string        `help:"URL of an empty database (mysql://… or sqlite:…); a private MariaDB is started if it is left out." placeholder:"URL"`
	Pairs       int           `help:"How many pairs." default:"5"`
	Seconds     float64       `help:"How long each half of a pair lasts." default:"3"`
	Clients     int           `help:"How many registered clients take turns." default:"100"`
	Devices     int           `help:"How many devices the database holds at least; the others are never heard of." default:"0"`
	Workers     int           `help:"How many sessions or requests go on at a time." default:"8"`
	Subscribers int           `help:"How many subscribers hear of each event; 0: leave that out." default:"1000"`
	Only        []string      `help:"The scenarios to run; all if left out."`
	Profile     string        `help:"Folder for a CPU profile of the platform in each scenario, taken after its pairs." type:"existingdir" placeholder:"FOLDER"`
	Out         string        `help:"Markdown file: the table is written between its lines <!-- bench --> and <!-- /bench -->, or is all of a new file." type:"path" placeholder:"FILE"`
	Wait        time.Duration `hidden:"" default:"30s" help:"How long anything may take to start."`
}

// benchRun is one run of the bench.
type benchRun struct {
	benchCommand
	folder   string
	server   *child
	floor    *child
	load     *child
	database *databaseProcess
	results  []result
}

// Run measures and prints the table.
func (cmd benchCommand) Run(ctx context.Context) (err error) {
	if cmd.Pairs < 1 || cmd.Seconds <= 0 || cmd.Clients < cmd.Workers || cmd.Workers < 1 {
		return errors.New("--pairs, --seconds and --workers are positive, --clients is not less than --workers")
	}
	b := &benchRun{benchCommand: cmd}
	if b.folder, err = os.MkdirTemp("", "softacs-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.folder)
	if cmd.Database == "" {
		private, err := mariadb.Start()
		if err != nil {
			return err
		}
		defer private.Stop()
		url, _, err := private.Database(ctx, "")
		if err != nil {
			return err
		}
		b.Database = url.Reveal()
	}
	defer b.end()
	if err := b.begin(ctx); err != nil {
		return err
	}
	for _, s := range scenarios {
		if len(cmd.Only) > 0 && !slices.Contains(cmd.Only, s.name) {
			continue
		}
		switch s.name {
		case eventScenario:
			err = b.events(ctx)
		case webhookScenario:
			err = b.webhooks(ctx)
		default:
			err = b.measure(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	table := b.table(time.Now())
	fmt.Print(table)
	return writeTable(cmd.Out, table)
}

const (
	benchClient = "bench"
	benchSecret = "bench-secret-for-this-run"
)

// begin starts the processes and registers the clients.
func (b *benchRun) begin(ctx context.Context) (err error) {
	keys := filepath.Join(b.folder, "keys")
	if err := makeKeys(keys); err != nil {
		return err
	}
	smsFile := filepath.Join(b.folder, "sms.jsonl")
	if err := os.WriteFile(smsFile, nil, 0o600); err != nil {
		return err
	}
	stderr, err := os.Create(filepath.Join(b.folder, "server.log")) // its lines are part of what it does
	if err != nil {
		return err
	}
	defer stderr.Close()
	b.server, err = startChild(ctx, b.Wait, stderr, []string{
		"SOFTACS_API_CLIENT=" + benchClient + ":" + benchSecret, "SOFTACS_ADMIN_PASSWORD=" + models.NewID().String(),
		// The clients come far more often than any client may, and an answer that waits on purpose says nothing about speed.
		"SOFTACS_I4_LIMITS_HEARTBEAT_SECONDS=0", "SOFTACS_I4_GETPWD_PAD_MILLISECONDS=1", "SOFTACS_I4_GETPWD_LIMITS_NUMBER_SECONDS=0",
		"SOFTACS_I4_GETPWD_LIMITS_NUMBER_DAY=0", "SOFTACS_I4_GETPWD_LIMITS_MDN_DAY=0", "SOFTACS_I4_GETPWD_LIMITS_GLOBAL_PER_SECOND=0",
	}, "serve", "--lab", "--database", b.Database, "--secretKeys", keys, "--sms", "file:"+smsFile,
		"--north.addr", "127.0.0.1:0", "--south.addr", "127.0.0.1:0", "--admin.addr", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the platform: %w", err)
	}
	if b.database, err = findDatabase(ctx, b.Database); err != nil {
		return err
	}
	if b.load, err = startChild(ctx, b.Wait, os.Stderr, nil, "bench-load"); err != nil {
		return fmt.Errorf("start the load generator: %w", err)
	}
	var recorded loadAnswer
	fmt.Fprintf(os.Stderr, "registering %d clients\n", b.Clients)
	err = b.load.ask(loadRequest{Setup: &loadSetup{
		North: "http://" + b.server.addr("north"), South: "http://" + b.server.addr("south") + "/acs", SMSFile: smsFile, Clients: b.Clients, Workers: b.Workers,
	}}, &recorded)
	if err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	if b.floor, err = startChild(ctx, b.Wait, os.Stderr, nil, "bench-floor"); err != nil {
		return fmt.Errorf("start the floor: %w", err)
	}
	return b.floor.ask(floorSetup{Transcripts: recorded.Transcripts, Database: b.Database}, &struct{}{})
}

func (b *benchRun) end() {
	for _, c := range []*child{b.load, b.floor, b.server} {
		if c != nil {
			c.stop()
		}
	}
}

// half is what one half of a pair cost, per session or request.
type half struct {
	n                         int
	server, database          time.Duration
	mallocs, bytes, statement float64
	p50, p99                  time.Duration
}

// measure runs the pairs of a scenario.
func (b *benchRun) measure(ctx context.Context, s scenario) error {
	r := result{scenario: s}
	for pair := range b.Pairs + 1 { // the first one warms up
		platform, err := b.half(ctx, s, b.server, "")
		if err != nil {
			return err
		}
		floor, err := b.half(ctx, s, b.floor, "http://"+b.floor.addr("floor"))
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		if pair > 0 {
			r.platform, r.floor = append(r.platform, platform), append(r.floor, floor)
			fmt.Fprintf(os.Stderr, "%s %d/%d: %v, floor %v\n", s.name, pair, b.Pairs, platform.server, floor.server)
		}
	}
	err := b.profile(ctx, s.name, func() error {
		_, err := b.half(ctx, s, b.server, "")
		return err
	})
	if err != nil {
		return err
	}
	memory, err := b.server.memory()
	r.memory = memory
	b.results = append(b.results, r)
	return err
}

// profile runs something of a scenario once more, outside the figures, and writes what the platform's CPU did meanwhile to a file of the scenario.
func (b *benchRun) profile(ctx context.Context, name string, run func() error) error {
	if b.Profile == "" {
		return nil
	}
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", b.server.addr("admin"), max(1, int(b.Seconds)))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			failed <- err
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		failed <- errors.Join(err, os.WriteFile(filepath.Join(b.Profile, name+".pprof"), text, 0o644))
	}()
	err = run()
	return errors.Join(err, <-failed)
}

// half runs one half of a pair against the process, whose address floor is if it is the floor.
func (b *benchRun) half(ctx context.Context, s scenario, process *child, floor string) (h half, err error) {
	isServer := floor == ""
	var before, after readings
	rounds, seconds := 1, b.Seconds
	if s.prepare != nil && isServer { // each client has one thing to do a round, which is prepared outside the measured time
		rounds, seconds = max(1, int(b.Seconds*2)), 0
	}
	var latencies []time.Duration
	for range rounds {
		if seconds == 0 {
			if err := b.load.ask(loadRequest{Scenario: s.name, Prepare: true}, &loadAnswer{}); err != nil {
				return h, err
			}
		}
		if before, err = b.read(ctx, process, false); err != nil {
			return h, err
		}
		var answer loadAnswer
		if err := b.load.ask(loadRequest{Scenario: s.name, Floor: floor, Seconds: seconds, Workers: b.Workers}, &answer); err != nil {
			return h, err
		}
		if after, err = b.read(ctx, process, true); err != nil {
			return h, err
		}
		h.n += len(answer.Latencies)
		latencies = append(latencies, answer.Latencies...)
		h.server += after.process - before.process
		h.database += after.database - before.database
		h.mallocs += after.mallocs - before.mallocs
		h.bytes += after.bytes - before.bytes
		h.statement += after.statements - before.statements
	}
	if h.n == 0 {
		return h, errors.New("nothing was done")
	}
	n := float64(h.n)
	h.server, h.database = h.server/time.Duration(h.n), h.database/time.Duration(h.n)
	h.mallocs, h.bytes, h.statement = h.mallocs/n, h.bytes/n, h.statement/n
	slices.Sort(latencies)
	h.p50, h.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	return h, nil
}

// databaseProcess is the MariaDB whose CPU is counted too; nil for SQLite, whose work is the platform's own.
type databaseProcess struct {
	pid  int
	name string
}

// findDatabase asks a MariaDB for its process; a remote one is not found and not counted.
func findDatabase(ctx context.Context, url string) (*databaseProcess, error) {
	dsn, ok := mysqlDSN(url)
	if !ok {
		return &databaseProcess{name: "SQLite"}, nil
	}
	pool, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	var version, pidFile, folder string
	if err := pool.QueryRowContext(ctx, "SELECT VERSION(), @@pid_file, @@datadir").Scan(&version, &pidFile, &folder); err != nil {
		return nil, err
	}
	d := &databaseProcess{name: version}
	if !filepath.IsAbs(pidFile) {
		pidFile = filepath.Join(folder, pidFile)
	}
	text, err := os.ReadFile(pidFile)
	if err == nil {
		_, err = fmt.Sscan(string(bytes.TrimSpace(text)), &d.pid)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the database's CPU is not counted:", err)
	}
	return d, nil
}

// mysqlDSN is what the driver wants of a mysql:// URL; false for another database.
func mysqlDSN(url string) (string, bool) {
	rest, ok := strings.CutPrefix(url, "mysql://")
	if !ok {
		return "", false
	}
	user, rest, ok := strings.Cut(rest, "@")
	host, name, ok2 := strings.Cut(rest, "/")
	return user + "@tcp(" + host + ")/" + name, ok && ok2
}
