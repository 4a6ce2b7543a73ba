// Package storetest gives tests a real store on each engine: SQLite in a temporary folder and a private MariaDB on a free port.
package storetest

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Each runs f once on SQLite and once on MariaDB, each with a database of its own that is migrated and empty otherwise.
func Each(t *testing.T, f func(t *testing.T, s *store.Store, clock *Clock)) {
	t.Helper()
	for engine, url := range Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			f(t, Open(t, url(t), clock), clock)
		})
	}
}

// Engines has for each engine a function that makes a migrated database and returns its URL.
var Engines = map[string]func(t *testing.T) models.Secret{"sqlite": SQLite, "mariadb": MariaDB}

// Unmigrated has for each engine a function that makes a database without tables and returns its URL.
var Unmigrated = map[string]func(t *testing.T) models.Secret{
	"sqlite": func(t *testing.T) models.Secret {
		return models.Secret("sqlite:" + filepath.Join(t.TempDir(), "softacs.db"))
	},
	"mariadb": emptyMariaDB,
}

// Durable has for each engine a function that makes a database whose acknowledged commits survive a crash of the machine, as in production, and
// returns its URL. It may have no tables yet.
var Durable = map[string]func(t *testing.T) models.Secret{"sqlite": SQLite, "mariadb": durable}

// Keys is the key list of test stores.
var Keys = []store.Key{{ID: "test", Secret: [32]byte{1, 2, 3}}}

// Open opens the database at url, migrates it if need be, and closes it with the test.
func Open(t *testing.T, url models.Secret, clock models.Clock) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url, Keys: Keys, Migrate: true}, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// As returns the test's context with an API client that holds the permissions everywhere; with none named, all of them.
func As(t *testing.T, permissions ...models.Permission) context.Context {
	return In(t, nil, permissions...)
}

// In is As for an API client that holds the permissions in regions only.
func In(t *testing.T, regions []string, permissions ...models.Permission) context.Context {
	if len(permissions) == 0 {
		permissions = models.Permissions
	}
	return models.WithActor(t.Context(), models.Actor{
		Kind: models.APIClientActor, ID: models.ID{1}, Name: "bss",
		Grants: []models.Grant{{Permissions: permissions, Regions: regions}},
	})
}

// Clock is a clock that moves only when a test moves it.
type Clock struct {
	mu      sync.Mutex
	now     models.Time
	changed chan struct{}
	waiting int
}

// NewClock starts at 2026-01-05T02:00:00Z, a Monday.
func NewClock() *Clock {
	return &Clock{now: models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)), changed: make(chan struct{})}
}

// Now is the time that the test set.
func (c *Clock) Now() models.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock and lets every Wait that is over return.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	close(c.changed)
	c.changed = make(chan struct{})
}

// Waiting tells how many calls of Wait have not returned; a test that advances the clock past a poll waits for the poll first.
func (c *Clock) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// Wait returns when the clock was advanced by d.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	until := c.now.Add(d)
	c.waiting++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
	}()
	for {
		c.mu.Lock()
		now, changed := c.now, c.changed
		c.mu.Unlock()
		if now >= until {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Eventually waits until ok returns true and fails the test if it does not within ten seconds of real time.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		_ = models.SystemClock{}.Wait(t.Context(), 5*time.Millisecond)
	}
}
