package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// nouns are all rows that package models declares.
var nouns = []any{
	models.Account{}, models.AccountIMPU{}, models.Device{}, models.DevicePresence{}, models.DeviceParameter{}, models.DeviceMark{}, models.Binding{}, models.Task{},
	models.Configuration{}, models.UnsupportedParameter{}, models.Credential{}, models.PasswordSalt{}, models.PasswordRequest{}, models.Lockout{},
	models.ClientNonce{}, models.PasswordChange{}, models.MobileIdentity{}, models.Screen{}, models.UsedToken{}, models.AssertedNumber{}, models.Suspension{},
	models.ReachabilityChange{}, models.Beat{}, models.Outage{}, models.SmsMessage{}, models.Event{}, models.AuditEntry{}, models.Role{}, models.Operator{}, models.APIClient{},
	models.OperatorSession{}, models.RootKey{}, models.DeedSecret{}, models.StatisticsReport{}, models.StatisticsRefusal{}, models.FixedSetting{},
	models.Package{}, models.DeviceDownload{}, models.TransferReport{}, models.Webhook{}, models.WebhookDelivery{}, models.Diagnostic{}, models.ConfigTask{}, models.ConfigTarget{}, models.DeviceObject{}, models.UnsupportedMethod{}, models.AccessLine{}, models.AccessServer{},
	models.Trace{}, models.CwmpSession{}, models.CwmpMessage{}, models.UnsupportedMethod{},
	models.LineRegistration{},
}

// The tables have exactly the columns of the nouns, on both engines: a migration and a struct cannot drift apart.
func TestNoDrift(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		for _, noun := range nouns {
			var cache sync.Map
			parsed, err := schema.Parse(noun, &cache, schema.NamingStrategy{})
			if err != nil {
				t.Fatal(err)
			}
			err = s.View(t.Context(), func(tx *store.Tx) error {
				rows, err := tx.DB.Table(parsed.Table).Limit(1).Rows()
				if err != nil {
					return err
				}
				defer rows.Close()
				columns, err := rows.Columns()
				if err != nil {
					return err
				}
				fields := slices.Clone(parsed.DBNames)
				slices.Sort(columns)
				slices.Sort(fields)
				if !reflect.DeepEqual(columns, fields) {
					t.Errorf("table %s has %v, %T has %v", parsed.Table, columns, noun, fields)
				}
				return rows.Err()
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func role(name string) models.Role {
	return models.Role{ID: models.NewID(), Version: 1, Name: name}
}

func names(t *testing.T, s *store.Store, k store.Keyset, p store.Page) (store.Slice[models.Role], error) {
	t.Helper()
	var slice store.Slice[models.Role]
	err := s.View(t.Context(), func(tx *store.Tx) (err error) {
		slice, err = store.List(tx, tx.DB.Model(&models.Role{}), k, p, func(r *models.Role) (any, models.ID) { return r.Name, r.ID })
		return err
	})
	return slice, err
}

func TestPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			for _, n := range []string{"c", "a", "é", "b", "B"} {
				r := role(n)
				if err := gorm.G[models.Role](tx.DB).Create(tx.Context(), &r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		byName := store.Keyset{Listing: "roles by name", Column: "name"}
		show := func(k store.Keyset, p store.Page) (string, store.Slice[models.Role]) {
			slice, err := names(t, s, k, p)
			if err != nil {
				t.Fatal(err)
			}
			var list []string
			for _, r := range slice.Items {
				list = append(list, r.Name)
			}
			return fmt.Sprint(list, slice.HasPrevious, slice.HasNext), slice
		}
		check := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		got, first := show(byName, store.Page{First: 2})
		check(got, "[B a] false true")
		got, second := show(byName, store.Page{First: 2, After: first.Cursors[1]})
		check(got, "[b c] true true")
		got, _ = show(byName, store.Page{First: 2, After: second.Cursors[1]})
		check(got, "[é] true false")
		got, _ = show(byName, store.Page{Last: 2, Before: second.Cursors[0]})
		check(got, "[B a] false true")
		got, _ = show(byName, store.Page{Last: 2})
		check(got, "[c é] true false")
		down := byName
		down.Desc = true
		got, top := show(down, store.Page{First: 2})
		check(got, "[é c] false true")
		got, _ = show(down, store.Page{First: 9, After: top.Cursors[1]})
		check(got, "[b a B] true false")

		forged := first.Cursors[0][:len(first.Cursors[0])-1] + "A"
		other := byName
		other.Listing = "something else"
		for what, try := range map[string]func() error{
			"forged":         func() error { _, err := names(t, s, byName, store.Page{First: 1, After: forged}); return err },
			"no base64":      func() error { _, err := names(t, s, byName, store.Page{First: 1, After: "%"}); return err },
			"foreign":        func() error { _, err := names(t, s, other, store.Page{First: 1, After: first.Cursors[0]}); return err },
			"first and last": func() error { _, err := names(t, s, byName, store.Page{First: 1, Last: 1}); return err },
			"negative":       func() error { _, err := names(t, s, byName, store.Page{First: -1}); return err },
		} {
			if err := try(); models.CodeOf(err) != models.BadUserInput {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestSealIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := storetest.Open(t, models.Secret("sqlite:"+filepath.Join(t.TempDir(), "a.db")), clock)
	row := models.NewID()
	sealed := s.Seal("accounts", "sip_password", row, []byte("secret"))
	if plain, err := s.Unseal("accounts", "sip_password", row, sealed); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	again := s.Seal("accounts", "sip_password", row, []byte("secret"))
	if string(again) == string(sealed) {
		t.Error("two seals are equal")
	}
	for what, try := range map[string]func() ([]byte, error){
		"other row":    func() ([]byte, error) { return s.Unseal("accounts", "sip_password", models.NewID(), sealed) },
		"other column": func() ([]byte, error) { return s.Unseal("accounts", "imsi", row, sealed) },
		"cut":          func() ([]byte, error) { return s.Unseal("accounts", "sip_password", row, sealed[:8]) },
		"flipped": func() ([]byte, error) {
			flipped := slices.Clone(sealed)
			flipped[len(flipped)-1] ^= 1
			return s.Unseal("accounts", "sip_password", row, flipped)
		},
	} {
		if plain, err := try(); err == nil {
			t.Errorf("%s opened: %q", what, plain)
		}
	}
}

func TestOldKeysStillOpen(t *testing.T) {
	t.Parallel()
	url := models.Secret("sqlite:" + filepath.Join(t.TempDir(), "a.db"))
	clock, row := storetest.NewClock(), models.NewID()
	before := storetest.Open(t, url, clock)
	sealed := before.Seal("t", "c", row, []byte("x"))
	open := func(keys ...store.Key) (*store.Store, error) {
		return store.Open(t.Context(), store.Config{URL: url, Keys: keys}, clock)
	}
	rotated, err := open(store.Key{ID: "new", Secret: [32]byte{9}}, storetest.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	defer rotated.Close()
	if plain, err := rotated.Unseal("t", "c", row, sealed); err != nil || string(plain) != "x" {
		t.Errorf("%q, %v", plain, err)
	}
	if rotated.HMAC("nonce", "8621") != before.HMAC("nonce", "8621") || rotated.HMAC("nonce", "8621") == rotated.HMAC("salt", "8621") {
		t.Error("the HMACs of a purpose changed with the first key")
	}
	if _, err := open(store.Key{ID: "new", Secret: [32]byte{9}}); err == nil || !strings.Contains(err.Error(), `"test"`) {
		t.Errorf("the error does not name the missing key: %v", err)
	}
}

func TestNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		refuse, after := errors.New("no"), 0
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			tx.AfterCommit(func() { after++ })
			r := role("x")
			if err := gorm.G[models.Role](tx.DB).Create(tx.Context(), &r); err != nil {
				return err
			}
			return refuse
		})
		if !errors.Is(err, refuse) || after != 0 {
			t.Errorf("%v, %d after commits", err, after)
		}
		if slice, err := names(t, s, store.Keyset{Listing: "l", Column: "name"}, store.Page{First: 1}); err != nil || len(slice.Items) != 0 {
			t.Errorf("a row of a rolled back transaction: %v, %v", slice.Items, err)
		}
		err = s.InTx(t.Context(), func(tx *store.Tx) error {
			return s.InTx(tx.Context(), func(*store.Tx) error { return nil })
		})
		if err == nil {
			t.Error("a transaction inside a transaction was let through")
		}
		duplicate := s.InTx(t.Context(), func(tx *store.Tx) error {
			a, b := role("same"), role("same")
			if err := gorm.G[models.Role](tx.DB).Create(tx.Context(), &a); err != nil {
				return err
			}
			return gorm.G[models.Role](tx.DB).Create(tx.Context(), &b)
		})
		if !store.IsDuplicate(duplicate) {
			t.Errorf("a duplicate key is %v", duplicate)
		}
	})
}

// Two transactions that lock two rows in opposite order: the server ends one with 1213, and it is run again.
func TestDeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, storetest.MariaDB(t), storetest.NewClock())
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		a, b := role("a"), role("b")
		return errors.Join(gorm.G[models.Role](tx.DB).Create(tx.Context(), &a), gorm.G[models.Role](tx.DB).Create(tx.Context(), &b))
	})
	if err != nil {
		t.Fatal(err)
	}
	touch := func(tx *store.Tx, name string) error {
		return tx.DB.Model(&models.Role{}).Where("name = ?", name).Update("version", gorm.Expr("version + 1")).Error
	}
	var both sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	attempts := 0
	var wg sync.WaitGroup
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			var once sync.Once
			err := s.InTx(t.Context(), func(tx *store.Tx) error {
				mu.Lock()
				attempts++
				mu.Unlock()
				if err := touch(tx, order[0]); err != nil {
					return err
				}
				once.Do(func() { both.Done(); both.Wait() })
				return touch(tx, order[1])
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slice, err := names(t, s, store.Keyset{Listing: "l", Column: "name"}, store.Page{First: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range slice.Items {
		if r.Version != 3 {
			t.Errorf("%s was changed %d times", r.Name, r.Version-1)
		}
	}
	if attempts < 3 {
		t.Errorf("%d attempts: there was no deadlock to run again", attempts)
	}
}

func TestTwoMigrators(t *testing.T) {
	t.Parallel()
	for engine, url := range storetest.Unmigrated {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			at := url(t)
			if engine == "mariadb" {
				_, err := store.Open(t.Context(), store.Config{URL: at, Keys: storetest.Keys}, storetest.NewClock())
				if err == nil || !strings.Contains(err.Error(), "softacs migrate") {
					t.Fatalf("an empty schema without migrate: %v", err)
				}
			}
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if err := store.Migrate(context.Background(), at); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			s, err := store.Open(t.Context(), store.Config{URL: at, Keys: storetest.Keys}, storetest.NewClock())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadURLsDoNotLeakThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []models.Secret{"", "sqlite:", "postgres://u:hunter2@h/d", "mysql://u:hunter2@", "mysql://u:hunter2@%zz/db", "mysql://u:hunter2@127.0.0.1:1/db"} {
		_, err := store.Open(t.Context(), store.Config{URL: url, Keys: storetest.Keys}, storetest.NewClock())
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url.Reveal(), err)
		}
	}
}

// What was acknowledged survives a power cut: SQLite syncs at each commit.
func TestSQLiteIsDurable(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, models.Secret("sqlite:"+filepath.Join(t.TempDir(), "a b?.db")), storetest.NewClock())
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		var synchronous int
		var journal string
		err := errors.Join(tx.DB.Raw("PRAGMA synchronous").Scan(&synchronous).Error, tx.DB.Raw("PRAGMA journal_mode").Scan(&journal).Error)
		if synchronous != 2 || journal != "wal" {
			t.Errorf("synchronous=%d journal_mode=%s", synchronous, journal)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
