package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm/schema"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

var newer = store.Key{ID: "newer", Secret: [32]byte{9}}

// sealedRow is a row of a noun with something in every sealed column.
func sealedRow(t *testing.T, s *store.Store, noun any, n int) (row any, table string, columns map[string]models.Sealed, id models.ID) {
	t.Helper()
	parsed, err := schema.Parse(noun, new(sync.Map), schema.NamingStrategy{})
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.New(reflect.TypeOf(noun))
	id, columns = models.NewID(), map[string]models.Sealed{}
	for _, field := range parsed.Fields {
		switch f := field.ReflectValueOf(t.Context(), v.Elem()); {
		case field.FieldType == reflect.TypeFor[models.ID]():
			f.Set(reflect.ValueOf(id))
		case field.FieldType == reflect.TypeFor[models.Sealed]():
			columns[field.DBName] = s.Seal(parsed.Table, field.DBName, id, fmt.Appendf(nil, "%s of row %d", field.DBName, n))
			f.Set(reflect.ValueOf(columns[field.DBName]))
		case f.Kind() == reflect.String:
			f.SetString(fmt.Sprint(n))
		case field.FieldType == reflect.TypeFor[[]byte]():
			f.SetBytes(binary.BigEndian.AppendUint64(nil, uint64(n)))
		}
	}
	return v.Interface(), parsed.Table, columns, id
}

func storeWith(t *testing.T, url models.Secret, clock models.Clock, keys ...store.Key) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url, Keys: keys, Migrate: true}, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// valuesBy counts what a key sealed.
func valuesBy(t *testing.T, s *store.Store, key string) (n int64) {
	t.Helper()
	counts, err := s.CountSealed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Key == key {
			n += c.Values
		}
	}
	return n
}

// After a reseal nothing names the old key, and everything opens without it: in every sealed column of every noun.
func TestReseal(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url, clock := database(t), storetest.NewClock()
			before := storetest.Open(t, url, clock)
			type place struct {
				table, column string
				id            models.ID
			}
			planted := map[place]string{}
			const rows = 210 // more than a chunk
			for _, noun := range models.SealedNouns {
				if _, ok := noun.(models.RootKey); ok {
					continue // the store has made its own
				}
				err := before.InTx(t.Context(), func(tx *store.Tx) error {
					for n := range rows {
						row, table, columns, id := sealedRow(t, before, noun, n)
						for column := range columns {
							planted[place{table, column, id}] = fmt.Sprintf("%s of row %d", column, n)
						}
						if err := tx.DB.Create(row).Error; err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatalf("%T: %v", noun, err)
				}
			}
			total := int64(len(planted)) + 1
			if n := valuesBy(t, before, "test"); n != total {
				t.Fatalf("%d values are counted, not %d", n, total)
			}
			both := storeWith(t, url, clock, newer, storetest.Keys[0])
			done, err := both.Reseal(t.Context())
			if err != nil || done.Values != total || done.Closed != 0 {
				t.Fatalf("%+v, %v", done, err)
			}
			if done, err := both.Reseal(t.Context()); err != nil || done != (store.Resealed{}) {
				t.Errorf("the second time: %+v, %v", done, err)
			}
			if n := valuesBy(t, both, "test"); n != 0 || valuesBy(t, both, "newer") != total {
				t.Errorf("%d values are still sealed by the old key", n)
			}
			alone := storeWith(t, url, clock, newer)
			err = alone.View(t.Context(), func(tx *store.Tx) error {
				for p, want := range planted {
					var values []models.Sealed
					key := "id"
					if p.table == "configurations" || p.table == "mobile_identities" {
						key = "device_id"
					}
					if err := tx.DB.Table(p.table).Where(key+" = ?", p.id).Pluck(p.column, &values).Error; err != nil {
						return err
					}
					if plain, err := tx.Unseal(p.table, p.column, p.id, values[0]); err != nil || string(plain) != want {
						t.Errorf("%v: %q, %v", p, plain, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A server writes a value between the reading and the writing of a reseal, and a value is broken: neither is touched, and the rest is done.
func TestResealTouchesNothingElse(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url, clock := database(t), storetest.NewClock()
			before := storetest.Open(t, url, clock)
			ids := make([]models.ID, 3)
			sealed := func(s *store.Store, id models.ID, text string) models.Sealed {
				return s.Seal("deed_secrets", "secret", id, []byte(text))
			}
			err := before.InTx(t.Context(), func(tx *store.Tx) error {
				for i := range ids {
					ids[i] = models.NewID()
					value := sealed(before, ids[i], fmt.Sprint(i))
					if i == 1 {
						value = slices.Concat(value[:len(value)-1], models.Sealed{value[len(value)-1] ^ 1})
					}
					if err := tx.DB.Create(&models.DeedSecret{ID: ids[i], Secret: value}).Error; err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			both := storeWith(t, url, clock, newer, storetest.Keys[0])
			var changed models.Sealed
			err = both.Observe(func(kind string, _ time.Duration) {
				if kind != "query" {
					return
				}
				changed = sealed(before, ids[2], "changed")
				err := before.InTx(t.Context(), func(tx *store.Tx) error {
					return tx.DB.Table("deed_secrets").Where("id = ?", ids[2]).Update("secret", []byte(changed)).Error
				})
				if err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			done, err := both.Reseal(t.Context())
			if err != nil || done.Values != 2 || done.Closed != 1 || done.First == nil || !strings.Contains(done.First.Error(), ids[1].String()) {
				t.Errorf("%+v, %v", done, err)
			}
			err = before.View(t.Context(), func(tx *store.Tx) error {
				var now models.DeedSecret
				if err := tx.DB.Take(&now, "id = ?", ids[2]).Error; err != nil {
					return err
				}
				if !bytes.Equal(now.Secret, changed) {
					t.Error("the reseal wrote over what a server had written")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			again := storeWith(t, url, clock, newer, storetest.Keys[0])
			if done, err := again.Reseal(t.Context()); err != nil || done.Values != 1 || done.Closed != 1 {
				t.Errorf("the next run: %+v, %v", done, err)
			}
		})
	}
}
