package models

// BindingState is where the relation of an account and a device stands.
type BindingState string

// The binding states of the schema.
const (
	BindingPending   BindingState = "PENDING"
	BindingActive    BindingState = "ACTIVE"
	BindingSuspended BindingState = "SUSPENDED"
	BindingRemoved   BindingState = "REMOVED"
)

// BindingMethod says what proved that the device may be bound.
type BindingMethod string

// The binding methods of the schema that exist so far.
const (
	ByOneTimePassword BindingMethod = "ONE_TIME_PASSWORD"
	ByPassword        BindingMethod = "PASSWORD"
	ByNetwork         BindingMethod = "NETWORK"     // the operator's network vouched for the number (i4.md B.3)
	BySMS             BindingMethod = "SMS"         // a code sent to the mobile itself
	ByCertificate     BindingMethod = "CERTIFICATE" // the magic screen's own (i4.md B.4)
	ByLine            BindingMethod = "LINE"        // the serial number of a magic screen and the line that it is on (resolutions 10)
	ByOperator        BindingMethod = "OPERATOR"
)

// Binding ties a device to an account.
type Binding struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
	AccountID ID
	DeviceID  ID
	// LiveDeviceID is DeviceID until the binding is removed, then NULL: its unique index keeps a device on one account.
	LiveDeviceID ID
	ClientType   ClientType
	State        BindingState
	LineIndex    int
	BoundAt      Time
	ConfirmedAt  Time
	UnboundAt    Time
	Method       BindingMethod
	// BoundBy is who bound it.
	BoundByKind ActorKind
	BoundByID   ID
	BoundByName string
}
