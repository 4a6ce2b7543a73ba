package models

// Role is a named set of permissions in regions.
type Role struct {
	ID          ID `gorm:"primaryKey"`
	Version     int64
	CreatedAt   Time `gorm:"autoCreateTime:false"`
	UpdatedAt   Time `gorm:"autoUpdateTime:false"`
	Name        string
	Permissions Doc[[]Permission]
	Regions     Doc[[]string]
}

// Operator is a person who signs in.
type Operator struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
	Username  string
	// PasswordHash is an argon2id PHC string.
	PasswordHash string
	RoleIDs      Doc[[]ID]
	Enabled      bool
	Failures     int
	LockedUntil  Time
	LastLoginAt  Time
}

// APIClient is a program that calls the north door.
type APIClient struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
	ClientID  string
	// SecretHash is the SHA-256 of a secret of 256 random bits.
	SecretHash []byte
	// PreviousSecretHash is that of the secret before it, which is good until PreviousUntil.
	PreviousSecretHash   []byte
	PreviousUntil        Time
	RoleIDs              Doc[[]ID]
	Enabled              bool
	AllowedCIDRs         Doc[[]string] `gorm:"column:allowed_cidrs"`
	TrustedDocumentsOnly bool
	PointsPerMinute      int
}

// TableName is api_clients.
func (APIClient) TableName() string { return "api_clients" }

// OperatorSession is one refresh token of a sign-in; all tokens of one sign-in share Family, and a reused one ends the family.
type OperatorSession struct {
	TokenHash  []byte `gorm:"primaryKey"`
	Family     ID
	OperatorID ID
	CreatedAt  Time `gorm:"autoCreateTime:false"`
	ExpiresAt  Time
	RotatedAt  Time
	RevokedAt  Time
}
