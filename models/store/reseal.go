package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/softacs/softacs/models"
)

// rootKey reads the key of HMAC, or makes it in a database that has none.
func (s *Store) rootKey(ctx context.Context) (root [32]byte, err error) {
	const purpose = "hmac"
	secret := make([]byte, len(root))
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	fresh := models.RootKey{ID: models.NewID(), Purpose: purpose}
	fresh.Secret = s.Seal("root_keys", "secret", fresh.ID, secret)
	for {
		rows, err := gorm.G[models.RootKey](s.write).Where("purpose = ?", purpose).Limit(1).Find(ctx)
		if err != nil {
			return root, fmt.Errorf("read the root key: %w", err)
		}
		if len(rows) == 1 {
			plain, err := s.Unseal("root_keys", "secret", rows[0].ID, rows[0].Secret)
			if err == nil && copy(root[:], plain) != len(root) {
				err = fmt.Errorf("the root key has %d bytes", len(plain))
			}
			return root, err
		}
		if err := gorm.G[models.RootKey](s.write).Create(ctx, &fresh); err != nil && !IsDuplicate(err) { // another process was first
			return root, fmt.Errorf("make the root key: %w", err)
		}
	}
}

// sealedColumn is one column of sealed values; key is the primary key's column.
type sealedColumn struct{ table, key, column string }

// sealedColumns follow from the nouns.
func (s *Store) sealedColumns() ([]sealedColumn, error) {
	var columns []sealedColumn
	for _, noun := range models.SealedNouns {
		parsed, err := schema.Parse(noun, new(sync.Map), s.write.NamingStrategy)
		if err != nil {
			return nil, err
		}
		for _, field := range parsed.Fields {
			if field.FieldType == reflect.TypeFor[models.Sealed]() {
				columns = append(columns, sealedColumn{table: parsed.Table, key: parsed.PrioritizedPrimaryField.DBName, column: field.DBName})
			}
		}
	}
	return columns, nil
}

// SealedCount is how many values of a column one key sealed.
type SealedCount struct {
	Table, Column, Key string
	Values             int64
}

// KeyIDs are the names of the secret keys in their order.
func (s *Store) KeyIDs() []string {
	ids := make([]string, len(s.keys.keys))
	for i, k := range s.keys.keys {
		ids[i] = k.ID
	}
	return ids
}

// CountSealed counts the sealed values of every column by the key that sealed them, in the order of the columns. It opens none.
func (s *Store) CountSealed(ctx context.Context) ([]SealedCount, error) {
	columns, err := s.sealedColumns()
	if err != nil {
		return nil, err
	}
	var counts []SealedCount
	err = s.View(ctx, func(tx *Tx) error {
		for _, c := range columns {
			keys, err := c.count(tx)
			if err != nil {
				return fmt.Errorf("count %s.%s by key: %w", c.table, c.column, err)
			}
			counts = append(counts, keys...)
		}
		return nil
	})
	return counts, err
}

// count groups by what a sealed value begins with: the length of the key's name in one byte, then the name.
func (c sealedColumn) count(tx *Tx) (counts []SealedCount, err error) {
	type group struct {
		Head   string
		Amount int64
	}
	var lengths []group
	byLength := tx.DB.Table(c.table).Where(c.column + " IS NOT NULL AND LENGTH(" + c.column + ") > 0").Group("head").
		Select("HEX(SUBSTR(" + c.column + ", 1, 1)) AS head, COUNT(*) AS amount")
	if err := byLength.Scan(&lengths).Error; err != nil {
		return nil, err
	}
	for _, l := range lengths {
		n, err := hex.DecodeString(l.Head)
		if err != nil {
			return nil, err
		}
		var names []group
		byName := tx.DB.Table(c.table).Where("HEX(SUBSTR("+c.column+", 1, 1)) = ?", l.Head).Group("head").
			Select("HEX(SUBSTR("+c.column+", 2, ?)) AS head, COUNT(*) AS amount", int(n[0]))
		if err := byName.Scan(&names).Error; err != nil {
			return nil, err
		}
		for _, name := range names {
			id, err := hex.DecodeString(name.Head)
			if err != nil {
				return nil, err
			}
			counts = append(counts, SealedCount{Table: c.table, Column: c.column, Key: string(id), Values: name.Amount})
		}
	}
	slices.SortFunc(counts, func(a, b SealedCount) int { return cmp.Compare(a.Key, b.Key) })
	return counts, nil
}

// resealChunk bounds what one transaction of Reseal writes.
const resealChunk = 200

// Resealed is what Reseal did.
type Resealed struct {
	Values int64 // sealed anew
	// Closed are values that did not open, First the error of one of them.
	Closed int64
	First  error
}

// Reseal seals every value anew that another key than the first has sealed, in small transactions. It may run beside servers and be broken off:
// a value that somebody changed in the meantime stays as they left it, and the next run goes on. Values that do not open stay too.
func (s *Store) Reseal(ctx context.Context) (done Resealed, err error) {
	columns, err := s.sealedColumns()
	if err != nil {
		return done, err
	}
	for _, c := range columns {
		if err := s.reseal(ctx, c, &done); err != nil {
			return done, fmt.Errorf("reseal %s.%s: %w", c.table, c.column, err)
		}
	}
	return done, nil
}

// sealedValue is one value of a sealed column.
type sealedValue struct {
	ID    models.ID
	Value []byte
}

func (s *Store) reseal(ctx context.Context, c sealedColumn, done *Resealed) error {
	first := s.keys.keys[0].ID
	head := append([]byte{byte(len(first))}, first...)
	var last models.ID
	for {
		var found []sealedValue
		err := s.View(ctx, func(tx *Tx) error {
			return tx.DB.Table(c.table).Select(c.key+" AS id, "+c.column+" AS value").
				Where(c.key+" > ? AND "+c.column+" IS NOT NULL AND LENGTH("+c.column+") > 0 AND SUBSTR("+c.column+", 1, ?) <> ?", last[:], len(head), head).
				Order(c.key).Limit(resealChunk).Find(&found).Error
		})
		if err != nil || len(found) == 0 {
			return err
		}
		last = found[len(found)-1].ID
		fresh := make(map[models.ID]models.Sealed, len(found))
		for _, v := range found {
			plain, err := s.Unseal(c.table, c.column, v.ID, v.Value)
			if err != nil {
				done.Closed++
				done.First = cmp.Or(done.First, err)
				continue
			}
			fresh[v.ID] = s.Seal(c.table, c.column, v.ID, plain)
			clear(plain)
		}
		var changed int64
		err = s.InTx(ctx, func(tx *Tx) error {
			changed = 0
			for _, v := range found {
				if fresh[v.ID] == nil {
					continue
				}
				// Only over the bytes that were read: whoever wrote since then is right.
				update := tx.DB.Table(c.table).Where(c.key+" = ? AND "+c.column+" = ?", v.ID[:], v.Value).
					Update(c.column, []byte(fresh[v.ID]))
				if update.Error != nil {
					return update.Error
				}
				changed += update.RowsAffected
			}
			return nil
		})
		if err != nil {
			return err
		}
		done.Values += changed
	}
}
