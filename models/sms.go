package models

// SmsState is where a message stands.
type SmsState string

// The states of the schema. SUBMITTED is committed before the message leaves, so that a crash never sends it twice (resolutions 58).
const (
	SmsQueued        SmsState = "QUEUED"
	SmsSubmitted     SmsState = "SUBMITTED"
	SmsDelivered     SmsState = "DELIVERED"
	SmsUndeliverable SmsState = "UNDELIVERABLE"
	SmsExpired       SmsState = "EXPIRED"
	SmsRejected      SmsState = "REJECTED"
)

// SmsPurpose says why a message is sent.
type SmsPurpose string

// The purposes of the schema.
const (
	SmsPasswordReset SmsPurpose = "PASSWORD_RESET"
	SmsActivation    SmsPurpose = "ACTIVATION"
	SmsNotice        SmsPurpose = "NOTICE"
	SmsLoginCode     SmsPurpose = "LOGIN_CODE"
)

// SmsMessage is a row of the outbox. The body is wiped at a final state.
type SmsMessage struct {
	ID             ID `gorm:"primaryKey"`
	AccountID      ID
	Region         string
	To             Number `gorm:"column:recipient"`
	Body           Sealed
	Purpose        SmsPurpose
	State          SmsState
	ProviderStatus string
	// ProviderID is the SMS centre's name for the message, which its receipt carries.
	ProviderID  string
	Attempts    int
	QueuedAt    Time
	NextAt      Time
	ExpiresAt   Time
	SubmittedAt Time
	FinalAt     Time
}
