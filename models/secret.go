package models

import "log/slog"

const redacted = "[redacted]"

// Secret is a text that nobody may print: fmt, slog and JSON show [redacted]. Reveal is the only way to the text.
type Secret string

// Reveal returns the text itself; write what you do with it so that it reaches neither a log nor a row unsealed.
func (s Secret) Reveal() string { return string(s) }

// IsZero tells whether there is no text.
func (s Secret) IsZero() bool { return s == "" }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the text as it is, so that configuration files can hold secrets.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// Sealed is a secret as it rests in a row: encrypted by the store, bound to its table, column and row. It prints as [sealed].
type Sealed []byte

func (Sealed) String() string               { return "[sealed]" }
func (Sealed) GoString() string             { return "[sealed]" }
func (Sealed) LogValue() slog.Value         { return slog.StringValue("[sealed]") }
func (Sealed) MarshalText() ([]byte, error) { return []byte("[sealed]"), nil }
