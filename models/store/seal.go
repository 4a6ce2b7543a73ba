package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/softacs/softacs/models"
)

// Key is one key of the secretKeys list: a name of at most 255 bytes and 32 bytes of key.
type Key struct {
	ID     string
	Secret [32]byte
}

// keyring seals with its first key and unseals with all.
type keyring struct {
	keys []Key
	aead map[string]cipher.AEAD
}

func newKeyring(keys []Key) (*keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("secretKeys: at least one key is needed")
	}
	ring := &keyring{keys: keys, aead: map[string]cipher.AEAD{}}
	for _, k := range keys {
		if k.ID == "" || len(k.ID) > 255 || ring.aead[k.ID] != nil {
			return nil, errors.New("secretKeys: every key needs a name of its own, 1 to 255 bytes long")
		}
		block, err := aes.NewCipher(k.Secret[:])
		if err != nil {
			return nil, err
		}
		if ring.aead[k.ID], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// place is the additional data of a sealed value: a value copied to another row, column or table does not open there.
func place(table, column string, row models.ID) []byte {
	return append([]byte(table+"\x00"+column+"\x00"), row[:]...)
}

func (r *keyring) seal(place, plain []byte) models.Sealed {
	kid := r.keys[0].ID
	sealed := append([]byte{byte(len(kid))}, kid...)
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	sealed = append(sealed, nonce...)
	return r.aead[kid].Seal(sealed, nonce, plain, place)
}

func (r *keyring) unseal(place []byte, sealed models.Sealed) ([]byte, error) {
	if len(sealed) < 1 || len(sealed) < 1+int(sealed[0])+12 {
		return nil, errors.New("a sealed value is too short")
	}
	kid := string(sealed[1 : 1+sealed[0]])
	aead := r.aead[kid]
	if aead == nil {
		return nil, fmt.Errorf("secretKeys has no key %q, with which a value was sealed", kid)
	}
	rest := sealed[1+len(kid):]
	plain, err := aead.Open(nil, rest[:12], rest[12:], place)
	if err != nil {
		return nil, fmt.Errorf("a value sealed with key %q does not open: %w", kid, err)
	}
	return plain, nil
}

// Seal encrypts plain for one place: table, column and row.
func (s *Store) Seal(table, column string, row models.ID, plain []byte) models.Sealed {
	return s.keys.seal(place(table, column, row), plain)
}

// Unseal decrypts what Seal made for the same place; nil for nil.
func (s *Store) Unseal(table, column string, row models.ID, sealed models.Sealed) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := s.keys.unseal(place(table, column, row), sealed)
	if err != nil {
		return nil, fmt.Errorf("unseal %s.%s of %s: %w", table, column, row, err)
	}
	return plain, nil
}

// SealJSON seals the JSON of v.
func (s *Store) SealJSON(table, column string, row models.ID, v any) (models.Sealed, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.Seal(table, column, row, plain), nil
}

// UnsealJSON reads what SealJSON made; nil leaves v as it is.
func (s *Store) UnsealJSON(table, column string, row models.ID, sealed models.Sealed, v any) error {
	plain, err := s.Unseal(table, column, row, sealed)
	if err != nil || plain == nil {
		return err
	}
	return json.Unmarshal(plain, v)
}

// Seal is Store.Seal.
func (tx *Tx) Seal(table, column string, row models.ID, plain []byte) (models.Sealed, error) {
	return tx.store.Seal(table, column, row, plain), nil
}

// Unseal is Store.Unseal.
func (tx *Tx) Unseal(table, column string, row models.ID, sealed models.Sealed) ([]byte, error) {
	return tx.store.Unseal(table, column, row, sealed)
}

// SealJSON is Store.SealJSON.
func (tx *Tx) SealJSON(table, column string, row models.ID, v any) (models.Sealed, error) {
	return tx.store.SealJSON(table, column, row, v)
}

// UnsealJSON is Store.UnsealJSON.
func (tx *Tx) UnsealJSON(table, column string, row models.ID, sealed models.Sealed, v any) error {
	return tx.store.UnsealJSON(table, column, row, sealed, v)
}

// HMAC is Store.HMAC.
func (tx *Tx) HMAC(purpose, text string) [32]byte { return tx.store.HMAC(purpose, text) }

// Derive returns the key for one purpose under the first secret key, the same in every replica that has the same first key. Use it for what
// lives for minutes: another first key makes another one.
func (s *Store) Derive(purpose string) [32]byte { return derive(s.keys.keys[0].Secret, purpose) }

// DeriveAll returns the keys for one purpose under every secret key, the first first.
func (s *Store) DeriveAll(purpose string) [][32]byte {
	keys := make([][32]byte, len(s.keys.keys))
	for i, k := range s.keys.keys {
		keys[i] = derive(k.Secret, purpose)
	}
	return keys
}

func derive(secret [32]byte, purpose string) (key [32]byte) {
	material, err := hkdf.Key(sha256.New, secret[:], nil, purpose, len(key))
	if err != nil {
		panic(err) // only for more than 255 hash lengths
	}
	copy(key[:], material)
	return key
}

// HMAC hashes text for one purpose: an index over personal data that a stolen database does not give away. It stays the same when the secret
// keys change, because rows are found by it for days and the salts of unknown numbers must not move while those of accounts stay.
func (s *Store) HMAC(purpose, text string) [32]byte {
	key := derive(s.root, purpose)
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(text))
	return [32]byte(h.Sum(nil))
}
