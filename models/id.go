package models

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// ID names a row: a UUIDv7, stored as BINARY(16) and printed as 32 lower-case hex digits, so that it fits a CommandKey.
// The zero ID means none and is stored as NULL.
type ID [16]byte

// NewID returns a fresh UUIDv7.
func NewID() ID { return ID(uuid.Must(uuid.NewV7())) }

// ParseID reads 32 hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 32 {
		return id, fmt.Errorf("an id has 32 hex digits, not %d characters", len(s))
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err
}

// IsZero tells whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the 32 hex digits, for JSON payloads.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 32 hex digits; an empty text is the zero ID.
func (id *ID) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	*id, err = ParseID(string(text))
	return err
}

// Value stores the 16 bytes, or NULL for the zero ID.
func (id ID) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil
	}
	return id[:], nil
}

// Scan reads what Value stored.
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = ID{}
		return nil
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
	}
	return fmt.Errorf("cannot read %T as an id", src)
}
