package models

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is an instant in whole milliseconds since 1970, UTC, stored as BIGINT. The zero Time means never.
type Time int64

// TimeOf truncates t to milliseconds; the zero time.Time becomes the zero Time.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Std returns the instant as a time.Time in UTC; the zero Time becomes the zero time.Time.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// IsZero tells whether the instant is never.
func (t Time) IsZero() bool { return t == 0 }

// Add returns the instant d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Millisecond }

// String is RFC 3339 with milliseconds, always Z; empty for the zero Time.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Std().Format("2006-01-02T15:04:05.000Z")
}

// MarshalText writes String, for JSON payloads.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339; an empty text is the zero Time.
func (t *Time) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = 0
		return nil
	}
	std, err := time.Parse(time.RFC3339Nano, string(text))
	*t = TimeOf(std)
	return err
}

// Value stores the milliseconds.
func (t Time) Value() (driver.Value, error) { return int64(t), nil }

// Scan reads what Value stored.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = 0
	case int64:
		*t = Time(v)
	default:
		return fmt.Errorf("cannot read %T as a time", src)
	}
	return nil
}
