package models

// CredentialKind says what a verifier is good for.
type CredentialKind string

// The kinds of verifier (i4.md C.2.1, resolutions 1).
const (
	// OneTimePassword authenticates one REGISTER.
	OneTimePassword CredentialKind = "otp"
	// InitialPassword is a used one-time password: good only for a password change from the device that used it.
	InitialPassword CredentialKind = "initial"
	// LongTermPassword is the customer's own password.
	LongTermPassword CredentialKind = "password"
)

// PasswordState is what the north sees of an account's verifiers (resolutions 1).
type PasswordState string

// The password states of the schema.
const (
	PasswordNone    PasswordState = "NONE"
	PasswordOneTime PasswordState = "ONE_TIME"
	PasswordSet     PasswordState = "SET"
	PasswordLocked  PasswordState = "LOCKED"
)

// Credential is one verifier of an account. At most one of each kind exists.
type Credential struct {
	ID        ID `gorm:"primaryKey"`
	AccountID ID
	Kind      CredentialKind
	StoredKey Sealed
	ServerKey Sealed
	// DeviceKey: only this device may use it; empty: any.
	DeviceKey DeviceKey
	// BindingID is the binding that a used one-time password made; the same device may prove it again while that is unconfirmed.
	BindingID ID
	ExpiresAt Time // zero: never
	UsedAt    Time
	CreatedAt Time `gorm:"autoCreateTime:false"`
}

// PasswordSalt is the salt of all verifiers of an account (resolutions 64).
type PasswordSalt struct {
	AccountID  ID `gorm:"primaryKey"`
	Salt       []byte
	Iterations int
}

// PasswordRequest is one GETPWD as it was answered; it is the replay record and what the limits count. Hashes are HMACs of the normalised digits.
type PasswordRequest struct {
	DeviceKey  DeviceKey `gorm:"primaryKey"`
	RequestID  string    `gorm:"primaryKey"`
	NumberHash []byte
	MDNHash    []byte `gorm:"column:mdn_hash"`
	AccountID  ID
	Status     string
	RetryAfter int
	CreatedAt  Time `gorm:"autoCreateTime:false"`
}

// Lockout counts failures of one subject in one scope (i4.md C.3).
type Lockout struct {
	Scope       string `gorm:"primaryKey"` // pair, account, device
	Subject     []byte `gorm:"primaryKey"`
	Failures    int
	WindowStart Time
	LockedUntil Time
	Level       int // how often it was locked in a row: the lock doubles
}

// ClientNonce is a nonce that was judged, right or wrong (resolutions 3).
type ClientNonce struct {
	NumberHash []byte `gorm:"primaryKey"`
	Nonce      string `gorm:"primaryKey"`
	Until      Time
}
