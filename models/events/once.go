package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// remembered is how long an idempotency key is kept (schema: 7 days).
const remembered = 7 * 24 * time.Hour

// deed is one mutation that was done, by its idempotency key.
type deed struct {
	ActorID        []byte `gorm:"primaryKey"`
	Mutation       string `gorm:"primaryKey"`
	IdempotencyKey string `gorm:"primaryKey"`
	InputHash      []byte
	Result         string
	CreatedAt      models.Time `gorm:"autoCreateTime:false"`
}

var keyField = []string{"input", "idempotencyKey"}

// Once claims (actor, mutation, key) for this transaction; call it first. If the mutation was done before with the same input, it returns what
// Done recorded; with another input IDEMPOTENCY_KEY_REUSED. A parallel duplicate waits for the first to commit or to fail (resolutions 72).
// Input is hashed as JSON without the key; a secret in it must be given in a form that JSON shows, such as its hash.
func Once[T any](tx *store.Tx, mutation, key string, input any) (prior *T, err error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	normalised, err := json.Marshal(input)
	if err != nil {
		return nil, fmt.Errorf("hash the input of %s: %w", mutation, err)
	}
	sum := sha256.Sum256(normalised)
	actor := models.ActorFrom(tx.Context()).ID
	d := deed{ActorID: actor[:], Mutation: mutation, IdempotencyKey: key, InputHash: sum[:], CreatedAt: tx.Now}
	err = gorm.G[deed](tx.DB).Create(tx.Context(), &d)
	if err == nil {
		return nil, nil
	}
	if !store.IsDuplicate(err) {
		return nil, fmt.Errorf("claim the idempotency key of %s: %w", mutation, err)
	}
	var done deed
	// Read without a lock: the refused insert holds a shared one, and many duplicates that all wanted more would deadlock.
	if err := tx.DB.Where(&deed{ActorID: d.ActorID, Mutation: mutation, IdempotencyKey: key}).Take(&done).Error; err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", mutation, err)
	}
	if done.CreatedAt.Add(remembered) < tx.Now {
		return nil, tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&d).Error
	}
	if !bytes.Equal(done.InputHash, sum[:]) {
		return nil, models.E(models.IdempotencyKeyReused, "this idempotency key was used with another input", keyField...)
	}
	prior = new(T)
	return prior, json.Unmarshal([]byte(done.Result), prior)
}

// Repeat does a mutation unless it was done before with the key: replayed tells that it was, and result is what was recorded then. Otherwise result,
// the ids of what was done, is recorded now. Errors as Once, and those of do.
func Repeat[T any](tx *store.Tx, mutation, key string, input any, do func() (T, error)) (result T, replayed bool, err error) {
	prior, err := Once[T](tx, mutation, key, input)
	if err != nil {
		return result, false, err
	}
	if prior != nil {
		return *prior, true, nil
	}
	if result, err = do(); err != nil {
		return result, false, err
	}
	return result, false, Done(tx, mutation, key, result)
}

// RepeatKeyed is Repeat for a mutation that may come without a key: then nothing is recorded.
func RepeatKeyed[T any](tx *store.Tx, mutation, key string, input any, do func() (T, error)) (result T, replayed bool, err error) {
	if key == "" {
		result, err = do()
		return result, false, err
	}
	return Repeat(tx, mutation, key, input, do)
}

const maxKey = 128

func checkKey(key string) error {
	switch {
	case key == "":
		return models.E(models.Required, fmt.Sprintf("an idempotency key of 1 to %d characters is needed", maxKey), keyField...)
	case utf8.RuneCountInString(key) > maxKey:
		return models.E(models.TooLong, fmt.Sprintf("an idempotency key has at most %d characters", maxKey), keyField...)
	case strings.TrimSpace(key) != key: // to MySQL "k" and "k " are the same key
		return models.E(models.Invalid, "an idempotency key has no white space at its beginning or end", keyField...)
	}
	return nil
}

// Done records what the mutation did, as ids; call it last in the transaction that claimed the key with Once.
func Done(tx *store.Tx, mutation, key string, result any) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	actor := models.ActorFrom(tx.Context()).ID
	err = tx.DB.Model(&deed{}).Where(&deed{ActorID: actor[:], Mutation: mutation, IdempotencyKey: key}).Update("result", string(text)).Error
	if err != nil {
		return fmt.Errorf("record %s: %w", mutation, err)
	}
	return nil
}

// Keep keeps a secret that the mutation answers with, so that a repeat is answered alike; its id belongs into what Done records.
func Keep(tx *store.Tx, secret models.Secret) (models.ID, error) {
	kept := models.DeedSecret{ID: models.NewID(), CreatedAt: tx.Now}
	var err error
	if kept.Secret, err = tx.Seal("deed_secrets", "secret", kept.ID, []byte(secret.Reveal())); err != nil {
		return kept.ID, err
	}
	if err := gorm.G[models.DeedSecret](tx.DB).Create(tx.Context(), &kept); err != nil {
		return kept.ID, fmt.Errorf("keep the secret of a mutation: %w", err)
	}
	return kept.ID, nil
}

// Kept returns what Keep kept; the empty secret for the zero id.
func Kept(tx *store.Tx, id models.ID) (models.Secret, error) {
	if id.IsZero() {
		return "", nil
	}
	kept, err := gorm.G[models.DeedSecret](tx.DB).Where("id = ?", id).Take(tx.Context())
	if err != nil {
		return "", fmt.Errorf("read the secret of a mutation: %w", err)
	}
	plain, err := tx.Unseal("deed_secrets", "secret", id, kept.Secret)
	return models.Secret(plain), err
}

// Clean deletes the records of mutations whose keys are remembered no longer, with their secrets, at most 1,000 a statement.
func (l *Log) Clean(ctx context.Context) error {
	if err := l.store.DeleteOld(ctx, &deed{}, "created_at < ?", remembered); err != nil {
		return fmt.Errorf("clean up old idempotency keys: %w", err)
	}
	if err := l.store.DeleteOld(ctx, &models.DeedSecret{}, "created_at < ?", remembered); err != nil {
		return fmt.Errorf("clean up the secrets of old mutations: %w", err)
	}
	return nil
}
