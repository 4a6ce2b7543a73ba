package models

import (
	"log/slog"
	"unicode"
)

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

// Classes counts which of these are in the text: small letters, capital letters, digits, other characters.
func (s Secret) Classes() int {
	var lower, upper, digit, other int
	for _, c := range string(s) {
		switch {
		case unicode.IsLower(c):
			lower = 1
		case unicode.IsUpper(c):
			upper = 1
		case unicode.IsDigit(c):
			digit = 1
		default:
			other = 1
		}
	}
	return lower + upper + digit + other
}

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

// SealedNouns are the nouns with a field of type Sealed. The primary key of each is one ID: it is the row that a value is bound to.
var SealedNouns = []any{
	Account{}, ConfigTask{}, Configuration{}, Credential{}, DeedSecret{}, Device{}, MobileIdentity{}, PasswordChange{}, RootKey{}, SmsMessage{}, Task{},
	Webhook{},
}

// RootKey is a key that was made once for this database and stays the same when the secret keys change.
type RootKey struct {
	ID      ID `gorm:"primaryKey"`
	Purpose string
	Secret  Sealed
}

// DeedSecret is a secret that a mutation answered with, kept as long as its idempotency key so that a repeat is answered alike.
type DeedSecret struct {
	ID        ID `gorm:"primaryKey"`
	Secret    Sealed
	CreatedAt Time `gorm:"autoCreateTime:false"`
}
