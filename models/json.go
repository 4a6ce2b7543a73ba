package models

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// Doc is a value kept as a JSON text column.
type Doc[T any] struct{ V T }

// DocOf wraps v.
func DocOf[T any](v T) Doc[T] { return Doc[T]{V: v} }

// Value stores the JSON text.
func (d Doc[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(d.V)
	return string(text), err
}

// Scan reads what Value stored; an empty text leaves the zero value.
func (d *Doc[T]) Scan(src any) error {
	var text []byte
	switch v := src.(type) {
	case nil:
	case []byte:
		text = v
	case string:
		text = []byte(v)
	default:
		return fmt.Errorf("cannot read %T as JSON", src)
	}
	var zero T
	d.V = zero
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, &d.V)
}

// MarshalJSON writes the value without its wrapping.
func (d Doc[T]) MarshalJSON() ([]byte, error) { return json.Marshal(d.V) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Doc[T]) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &d.V) }

// GormDataType keeps the drift test and GORM agreed on the column type.
func (Doc[T]) GormDataType() string { return "text" }
