package models

// Kind is what a global id names; it is the first part of a GraphQL ID.
type Kind string

// The kinds of node.
const (
	KindAccount    Kind = "Account"
	KindDevice     Kind = "Device"
	KindBinding    Kind = "Binding"
	KindTask       Kind = "DeviceTask"
	KindSms        Kind = "SmsMessage"
	KindAuditEntry Kind = "AuditEntry"
	KindOperator   Kind = "Operator"
	KindRole       Kind = "Role"
	KindAPIClient  Kind = "ApiClient"
	KindEvent      Kind = "Event"
	KindPackage    Kind = "Package"
	KindConfigTask Kind = "ConfigTask"
	// KindPlatform is the platform itself, the subject of alarms that are about no single device or account (resolutions 40).
	KindPlatform Kind = "Platform"
)

// Subject names a row of any kind.
type Subject struct {
	Kind Kind `gorm:"column:subject_kind"`
	ID   ID   `gorm:"column:subject_id"`
}

// Platform is the constant subject of events about the platform itself.
var Platform = Subject{Kind: KindPlatform, ID: ID{15: 1}}

// EventType is the type of a committed change.
type EventType string

// The event types that exist so far (resolutions 22).
const (
	AccountCreated            EventType = "ACCOUNT_CREATED"
	AccountChanged            EventType = "ACCOUNT_CHANGED"
	AccountStateChanged       EventType = "ACCOUNT_STATE_CHANGED"
	BindingChanged            EventType = "BINDING_CHANGED"
	DeviceRegistered          EventType = "DEVICE_REGISTERED"
	DeviceInform              EventType = "DEVICE_INFORM"
	DeviceBootstrap           EventType = "DEVICE_BOOTSTRAP"
	DeviceReachabilityChanged EventType = "DEVICE_REACHABILITY_CHANGED"
	DeviceParameterChanged    EventType = "DEVICE_PARAMETER_CHANGED"
	TaskStateChanged          EventType = "TASK_STATE_CHANGED"
	SmsStateChanged           EventType = "SMS_STATE_CHANGED"
	PasswordChanged           EventType = "PASSWORD_CHANGED"
	ConfigurationChanged      EventType = "CONFIGURATION_CHANGED"
	StatisticsReceived        EventType = "STATISTICS_RECEIVED"
	Security                  EventType = "SECURITY"
	AlarmRaised               EventType = "ALARM_RAISED"
	AlarmCleared              EventType = "ALARM_CLEARED"
)

// Event is one committed change. It is inserted unnumbered by the use-case; sequence gives it its Position (design decision 4).
type Event struct {
	// N is made by the database and orders unnumbered rows only; nobody outside the log sees it.
	N                 int64 `gorm:"primaryKey"`
	Position          *int64
	ID                ID
	Type              EventType
	OccurredAt        Time
	Subject           Subject `gorm:"embedded"`
	SubjectVersion    int64
	Payload           Doc[map[string]any]
	AccountID         ID
	AccountExternalID string
	DeviceID          ID
	ClientType        ClientType
	Region            string
	ActorKind         ActorKind
	ActorID           ID
	ActorName         string
	OnBehalfOf        string
	RequestID         string
}

// AuditOutcome is how an audited action ended.
type AuditOutcome string

// The outcomes of the schema.
const (
	AuditSuccess   AuditOutcome = "SUCCESS"
	AuditDenied    AuditOutcome = "DENIED"
	AuditFailed    AuditOutcome = "FAILED"
	AuditDisclosed AuditOutcome = "DISCLOSED"
)

// AuditEntry is one row of the hash-chained audit log.
type AuditEntry struct {
	N             int64 `gorm:"primaryKey"`
	Sequence      *int64
	ID            ID
	At            Time
	ActorKind     ActorKind
	ActorID       ID
	ActorName     string
	OnBehalfOf    string
	Action        string
	Subject       Subject `gorm:"embedded"`
	Outcome       AuditOutcome
	ErrorCode     Code
	Changes       Doc[map[string]any]
	RemoteAddress string
	RequestID     string
	PreviousHash  []byte
	Hash          []byte
}
