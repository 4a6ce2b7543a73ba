package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

const (
	crashBSS     = 3
	crashClients = 4
)

// traffic is what goes on at both doors while the process is killed.
type traffic struct {
	*victim
	deeds    deeds
	clients  []*sim.Client
	devices  []string // their GraphQL ids
	followed *follower
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// newTraffic registers the clients and lets everybody go.
func newTraffic(v *victim) *traffic {
	v.t.Helper()
	r := &traffic{victim: v, followed: &follower{victim: v, bss: v.api()}}
	r.ctx, r.cancel = context.WithCancel(v.t.Context())
	v.t.Cleanup(r.running.Wait)
	v.t.Cleanup(r.cancel)
	for i := range crashClients {
		r.join(i)
	}
	for i, client := range r.clients {
		r.running.Go(func() { r.beat(i, client) })
	}
	for i := range crashBSS {
		r.running.Go(func() { r.order(i) })
	}
	r.running.Go(func() {
		for r.ctx.Err() == nil && v.until("events", r.followed.read) {
			_ = models.SystemClock{}.Wait(r.ctx, followEvery)
		}
	})
	return r
}

// join gives a client an account and registers it.
func (r *traffic) join(i int) {
	r.t.Helper()
	b, msisdn := r.api(), fmt.Sprintf("+86216100%04d", i)
	d, _, ok := r.do(b, "provisionAccount", object{"idempotencyKey": msisdn, "externalId": msisdn, "msisdn": msisdn,
		"boundMobile": fmt.Sprintf("+86139000%05d", i), "region": "pudong", "initialPassword": longTerm})
	if !ok {
		r.t.FailNow()
	}
	r.deeds.add(d)
	client, err := sim.New(sim.Config{URL: r.south, Identity: sim.NewIdentity(), Number: msisdn, Profile: profile})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.register(r.t.Context(), client); err != nil {
		r.t.Fatal(err)
	}
	r.clients = append(r.clients, client)
	var device struct{ ID string }
	serial := string(client.Key())[strings.LastIndex(string(client.Key()), "-")+1:]
	err = b.do(r.t.Context(), `query($serial: String!) { device(ref: {identity: {oui: "00005E", productClass: "IMSPC", serialNumber: $serial}}) { id } }`,
		map[string]any{"serial": serial}, &device)
	if err != nil {
		r.t.Fatal(err)
	}
	r.devices = append(r.devices, device.ID)
}

func (r *traffic) register(ctx context.Context, client *sim.Client) error {
	o, err := client.Register(ctx, longTerm)
	if err == nil && o.Status != 0 {
		err = fmt.Errorf("status %d %s", o.Status, o.Desc)
	}
	return err
}

// session is a heartbeat, or a REGISTER where the platform wants one: a client whose new credentials were lost has no others left.
func (r *traffic) session(ctx context.Context, client *sim.Client) error {
	o, err := client.Heartbeat(ctx)
	if status(err) == http.StatusUnauthorized || err == nil && o.Status == reauthenticate {
		return r.register(ctx, client)
	}
	return err
}

// beat sends heartbeats and, now and then, registers again.
func (r *traffic) beat(i int, client *sim.Client) {
	for n := 1; r.ctx.Err() == nil; n++ {
		session := r.session
		if n%5 == 0 {
			session = r.register
		}
		if !r.until(fmt.Sprint("client ", i), func(ctx context.Context) error { return session(ctx, client) }) {
			return
		}
		r.sessions[i].Add(1)
	}
}

// order provisions accounts, modifies each and gives the clients tasks.
func (r *traffic) order(i int) {
	b := r.api()
	for n := 0; r.ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%d-%d", i, n)
		d, _, ok := r.do(b, "provisionAccount", object{"idempotencyKey": key, "externalId": key, "region": "pudong",
			"msisdn": fmt.Sprintf("+8621%08d", 62_000_000+i*1_000_000+n), "boundMobile": fmt.Sprintf("+86137%08d", i*1_000_000+n)})
		if !ok {
			return
		}
		r.deeds.add(d)
		for mutation, input := range map[string]object{
			"modifyAccount":    {"idempotencyKey": key, "account": object{"id": d.id}, "displayName": "after " + key},
			"createDeviceTask": {"idempotencyKey": key, "device": object{"id": r.devices[n%len(r.devices)]}, "kind": "GET_VALUES", "paths": []string{"Device.DeviceInfo."}},
		} {
			d, _, ok := r.do(b, mutation, input)
			if !ok {
				return
			}
			r.deeds.add(d)
		}
	}
}

// stop ends the traffic; what was begun is acknowledged first.
func (r *traffic) stop() {
	r.cancel()
	r.running.Wait()
}

// everyClientIsServed registers every client anew and lets it work off its tasks.
func (r *traffic) everyClientIsServed() {
	r.t.Helper()
	for i, client := range r.clients {
		if err := r.register(r.t.Context(), client); err != nil {
			r.t.Errorf("client %d: %v", i, err)
		}
		var open struct {
			Tasks struct{ Nodes []struct{ State string } }
		}
		storetest.Eventually(r.t, "the tasks end", func() bool {
			if _, err := client.Heartbeat(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
			err := r.api().do(r.t.Context(), `query($id: ID!) { node(id: $id) { ... on Device { tasks(state: PENDING, first: 1) { nodes { state } } } } }`,
				map[string]any{"id": r.devices[i]}, &open)
			if err != nil {
				r.t.Fatal(err)
			}
			return len(open.Tasks.Nodes) == 0
		})
	}
}

// everythingIsReplayed repeats every mutation with its key: each answers as it did before and does nothing.
func (r *traffic) everythingIsReplayed() {
	r.t.Helper()
	b := r.api()
	for _, d := range r.deeds.list {
		again, replayed, ok := r.do(b, d.mutation, d.input)
		if !ok || !replayed || again.id != d.id {
			r.t.Errorf("%s %s is answered with %q (replayed: %t), not with %q", d.mutation, d.input.text("idempotencyKey"), again.id, replayed, d.id)
		}
	}
}

// follower reads the log by its cursor, as an integration does.
type follower struct {
	*victim
	bss       *bss
	after     string
	positions []int64
	ids       map[string]bool
}

const followEvery = 20 * time.Millisecond

// read takes the next page; an error leaves the cursor where it is.
func (f *follower) read(ctx context.Context) error {
	_, err := f.page(ctx)
	return err
}

func (f *follower) page(ctx context.Context) (more bool, err error) {
	var page struct {
		Nodes    []struct{ ID, Cursor string }
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
	}
	err = f.bss.do(ctx, `query($after: String) { events(after: $after, first: 200) { nodes { id cursor } pageInfo { hasNextPage endCursor } } }`,
		map[string]any{"after": f.after}, &page)
	if err != nil {
		return false, err
	}
	for _, e := range page.Nodes {
		var epoch, position int64
		raw, _ := base64.RawURLEncoding.DecodeString(e.Cursor)
		if _, err := fmt.Sscanf(string(raw), "%d.%d", &epoch, &position); err != nil {
			f.t.Errorf("cursor %q: %v", e.Cursor, err)
		}
		if f.ids == nil {
			f.ids = map[string]bool{}
		}
		f.ids[e.ID], f.positions = true, append(f.positions, position)
	}
	f.after = page.PageInfo.EndCursor
	return page.PageInfo.HasNextPage, nil
}

// catchUp reads to the end of the log.
func (f *follower) catchUp(t *testing.T) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = f.page(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// inspect looks at the rows that the dead process left.
func inspect(t *testing.T, c Config, r *traffic) {
	t.Helper()
	keys, err := loadKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: c.Database, Keys: keys}, models.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	durable(t, s)
	number := func(query string, arguments ...any) (n int64) {
		t.Helper()
		if err := s.Reader().QueryRowContext(t.Context(), query, arguments...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	accounts, modified, tasks := int64(len(r.deeds.of("provisionAccount"))), int64(len(r.deeds.of("modifyAccount"))), int64(len(r.deeds.of("createDeviceTask")))
	total := number("SELECT COUNT(*) FROM events")
	for query, want := range map[string]int64{
		"SELECT COUNT(*) FROM accounts":                                                                                       accounts,
		"SELECT COUNT(DISTINCT external_id) FROM accounts":                                                                    accounts,
		"SELECT COUNT(*) FROM accounts WHERE display_name LIKE 'after %'":                                                     modified,
		"SELECT COUNT(*) FROM events WHERE type = 'ACCOUNT_CREATED'":                                                          accounts,
		"SELECT COUNT(DISTINCT account_id) FROM events WHERE type = 'ACCOUNT_CREATED'":                                        accounts,
		"SELECT COUNT(*) FROM events WHERE type = 'ACCOUNT_CHANGED'":                                                          modified,
		"SELECT COUNT(DISTINCT account_id) FROM events WHERE type = 'ACCOUNT_CHANGED'":                                        modified,
		"SELECT COUNT(*) FROM tasks":                                                                                          tasks,
		"SELECT COUNT(*) FROM tasks WHERE state = 'SUCCEEDED' OR state = 'FAILED' AND attempts = 3":                           tasks,
		"SELECT COUNT(*) FROM events WHERE payload LIKE '%task.succeeded%' OR payload LIKE '%task.failed%'":                   tasks,
		"SELECT COUNT(DISTINCT subject_id) FROM events WHERE payload LIKE '%task.succeeded%' OR payload LIKE '%task.failed%'": tasks,
		"SELECT COUNT(*) FROM audit_entries WHERE action = 'provisionAccount'":                                                accounts,
		"SELECT COUNT(*) FROM audit_entries WHERE action = 'modifyAccount'":                                                   modified,
		"SELECT COUNT(*) FROM audit_entries WHERE action = 'createDeviceTask'":                                                tasks,
		"SELECT COUNT(*) FROM events WHERE position IS NULL":                                                                  0,
		"SELECT COUNT(DISTINCT position) FROM events":                                                                         total,
		"SELECT MAX(position) FROM events":                                                                                    total,
		"SELECT position FROM log_head":                                                                                       total,
		"SELECT COUNT(*) FROM devices":                                                                                        crashClients,
		"SELECT COUNT(*) FROM bindings WHERE state <> 'REMOVED'":                                                              crashClients,
	} {
		if got := number(query); got != want {
			t.Errorf("%s: %d, not %d", query, got, want)
		}
	}
	if held, err := events.New(s, models.SystemClock{}).VerifyAudit(t.Context(), events.AuditHead{}); err != nil || held.Sequence != number("SELECT COUNT(*) FROM audit_entries") {
		t.Errorf("audit entries hold up to %s, %v", held, err)
	}
	f := r.followed
	if int64(len(f.ids)) != total || int64(len(f.positions)) != total {
		t.Errorf("the follower saw %d events, %d different ones, of %d", len(f.positions), len(f.ids), total)
	}
	for i, position := range f.positions {
		if position != int64(i+1) {
			t.Fatalf("event %d of the follower has position %d", i+1, position)
		}
	}
	t.Logf("%d accounts, %d changes, %d tasks, %d events", accounts, modified, tasks, total)
}

// durable asserts that a commit survives a power cut.
func durable(t *testing.T, s *store.Store) {
	t.Helper()
	settings := map[string]string{}
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		queries := map[string]string{"flush": "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit", "doublewrite": "SELECT @@GLOBAL.innodb_doublewrite"}
		if tx.DB.Name() == "sqlite" {
			queries = map[string]string{"synchronous": "PRAGMA synchronous", "journal": "PRAGMA journal_mode"}
		}
		for name, query := range queries {
			var value string
			if err := tx.DB.Raw(query).Scan(&value).Error; err != nil {
				return err
			}
			settings[name] = value
		}
		return nil
	})
	text, _ := json.Marshal(settings)
	if want := `{"journal":"wal","synchronous":"2"}`; err != nil || string(text) != want && string(text) != `{"doublewrite":"1","flush":"1"}` {
		t.Errorf("the settings are %s, %v", text, err)
	}
}
