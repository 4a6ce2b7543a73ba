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
	// LoginCode is the code of a mobile's first authentication (i4.md B.3); it proves purpose=mobile only.
	LoginCode CredentialKind = "code"
	// ResetCode is what an operator's reset sends: a one-time password bound to no device until its first use (resolutions 37).
	ResetCode CredentialKind = "reset"
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
	// RepeatUntil is how long a used one may be proved again while the answer to its use is unconfirmed.
	RepeatUntil Time
	// Failures counts wrong proofs of a LoginCode.
	Failures  int
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
	// AccountID is whose failures these are, so that unlocking the account finds them; zero for an unknown number.
	AccountID ID
}

// PasswordChange is one CHANGEPWD as it was answered (i4.md B.5). The old verifier stays for the grace time, only to answer the same RequestId
// of the same device again when the final answer was lost.
type PasswordChange struct {
	ID         ID `gorm:"primaryKey"`
	DeviceKey  DeviceKey
	RequestID  string
	AccountID  ID
	Status     string
	Salt       []byte
	Iterations int
	StoredKey  Sealed
	ServerKey  Sealed
	CreatedAt  Time `gorm:"autoCreateTime:false"`
}

// MobileIdentity is which subscriber a mobile client was identified as, and by which SIM (i4.md B.3).
type MobileIdentity struct {
	DeviceID     ID     `gorm:"primaryKey"`
	MDN          Number `gorm:"column:mdn"`
	IMSI         Sealed `gorm:"column:imsi"`
	Method       BindingMethod
	IdentifiedAt Time
}

// UsedToken is a network token that was used once (i4.md C.7); Hash is its SHA-256.
type UsedToken struct {
	Hash  []byte `gorm:"primaryKey"`
	Until Time
}

// AssertedNumber is a number that the network asserted by an SMS of the mobile itself, which carried the ClientNonce (i4.md B.3, mo-sms).
type AssertedNumber struct {
	Nonce string `gorm:"primaryKey"`
	MDN   Number `gorm:"column:mdn"`
	Until Time
}

// ClientNonce is a nonce that was judged, right or wrong (resolutions 3).
type ClientNonce struct {
	NumberHash []byte `gorm:"primaryKey"`
	Nonce      string `gorm:"primaryKey"`
	Until      Time
}
