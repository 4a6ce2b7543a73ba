package models

import (
	"encoding/base64"
	"maps"
)

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
	KindWebhook    Kind = "Webhook"
	// KindWebhookDelivery names what is no node.
	KindWebhookDelivery Kind = "WebhookDelivery"
	KindDiagnostic      Kind = "Diagnostic"
	// KindSession is a recorded session; it is no node, because it is read through its device only.
	KindSession    Kind = "CwmpSession"
	KindConfigTask Kind = "ConfigTask"
	// KindPlatform is the platform itself, the subject of alarms that are about no single device or account (resolutions 40).
	KindPlatform Kind = "Platform"
)

// Subject names a row of any kind.
type Subject struct {
	Kind Kind `gorm:"column:subject_kind"`
	ID   ID   `gorm:"column:subject_id"`
}

// GlobalID is the opaque text that names the row to everybody outside: base64url of its kind, a colon and its 16 bytes.
func (s Subject) GlobalID() string {
	return base64.RawURLEncoding.EncodeToString(append([]byte(s.Kind+":"), s.ID[:]...))
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
	DiagnosticCompleted       EventType = "DIAGNOSTIC_COMPLETED"
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

// payloadKinds are the members of payloads that name rows by their ids.
var payloadKinds = map[string]Kind{"account": KindAccount, "device": KindDevice, "webhook": KindWebhook}

// PublicPayload is the payload as everybody outside sees it: ids in it are global ids, as everywhere in the API.
func (e *Event) PublicPayload() map[string]any {
	payload := maps.Clone(e.Payload.V)
	for name, kind := range payloadKinds {
		if text, ok := payload[name].(string); ok {
			if id, err := ParseID(text); err == nil {
				payload[name] = Subject{Kind: kind, ID: id}.GlobalID()
			}
		}
	}
	return payload
}

// PayloadVersion is the version of the payloads' JSON Schemas (docs/events).
const PayloadVersion = 1

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
