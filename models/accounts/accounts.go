// Package accounts keeps the subscriptions: it provisions, activates, changes, suspends and closes them, does for their owners what a care desk
// does, and finds them by any of their names.
//
// It owns the tables accounts, account_impus and account_suspensions, the rules about identities, numbers and SIP secrets, and who may see and
// change which account. A change reaches the devices of the account in the same transaction, through bindings, devices and configuration. It
// refuses to know GraphQL, sessions and how a client proves itself.
package accounts

import (
	"context"

	"golang.org/x/sync/singleflight"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// SecretPolicy says who makes a SIP secret that the input leaves out (`ims.secret`, resolutions 26).
type SecretPolicy string

// The policies.
const (
	RequireSecret  SecretPolicy = "require"  // nobody: SECRET_REQUIRED
	GenerateSecret SecretPolicy = "generate" // we
	AskDirectory   SecretPolicy = "adapter"  // the IMS core, when the account is activated
)

// IMSDirectory is the IMS core as far as it knows secrets (interface I3).
type IMSDirectory interface {
	// SipPassword returns the secret of an identity, empty if the core has none. An error means that it could not be asked.
	SipPassword(ctx context.Context, impi string, impu []string) (models.Secret, error)
}

// Config is what the room is built with.
type Config struct {
	// Domain is the home domain of derived identities.
	Domain string
	Secret SecretPolicy
	// Directory is needed with AskDirectory only.
	Directory IMSDirectory
	// SMSAvailable tells whether a message may be expected to leave soon; nil means that it always may.
	SMSAvailable func() bool
}

// Room is all accounts.
type Room struct {
	store         *store.Store
	passwords     *passwords.Room
	configuration *configuration.Room
	config        Config
	deriving      singleflight.Group
}

// New builds the room on s.
func New(s *store.Store, p *passwords.Room, c *configuration.Room, config Config) *Room {
	return &Room{store: s, passwords: p, configuration: c, config: config}
}

// Ref names an account by exactly one of its names; the zero Ref names none.
type Ref struct {
	ID         models.ID
	ExternalID string
	Msisdn     models.Number
	IMPU       string
}

// Optional is a field of a change: absent, null or a value. The zero Optional is absent.
type Optional[T any] struct {
	Set   bool
	Null  bool
	Value T
}

// Some is a field with a value.
func Some[T any](value T) Optional[T] { return Optional[T]{Set: true, Value: value} }

// Null is a field that is cleared.
func Null[T any]() Optional[T] { return Optional[T]{Set: true, Null: true} }

// ServiceInput is a service as the north sends it; values of Parameters are JSON texts, numbers or booleans.
type ServiceInput struct {
	Code       string
	Enabled    bool
	Parameters map[string]any
}

// ProvisionInput is the input of provisionAccount. Empty texts and nil lists are left out.
type ProvisionInput struct {
	IdempotencyKey string
	// WorkOrderExternalID is the BSS's order number, which the event of a mutation carries.
	WorkOrderExternalID string
	ExternalID          string
	Msisdn              models.Number
	DisplayName         string
	Region              string
	IMPI                string
	IMPU                []string
	SipPassword         models.Secret
	BoundMobile         models.Number
	IMSI                string
	BroadbandAccount    string
	ScreenSerial        string
	ClientTypes         []models.ClientType
	Services            []ServiceInput
	MaxDevices          int
	Activate            bool
	// AcceptIfSame answers with the existing account if every given field is equal (onExisting: ACCEPT_IF_SAME).
	AcceptIfSame    bool
	InitialPassword models.Secret
	// Quiet asks for no SMS; provisioning sends none either way.
	Quiet bool
}

// ModifyInput is the input of modifyAccount: absent leaves a field, null clears it, a list is the whole new list (resolutions 59). Identities
// that are cleared are derived again; a SIP secret that is cleared is made again as the policy says.
type ModifyInput struct {
	IdempotencyKey      string
	WorkOrderExternalID string
	Account             Ref
	// ExpectedVersion 0 means any.
	ExpectedVersion  int64
	DisplayName      Optional[string]
	Region           Optional[string]
	IMPI             Optional[string]
	IMPU             Optional[[]string]
	SipPassword      Optional[models.Secret]
	BoundMobile      Optional[models.Number]
	IMSI             Optional[string]
	BroadbandAccount Optional[string]
	ScreenSerial     Optional[string]
	ClientTypes      Optional[[]models.ClientType]
	Services         Optional[[]ServiceInput]
	MaxDevices       Optional[int]
}

// ActionInput is the input of every mutation that changes an account's state or does what a care desk does.
type ActionInput struct {
	IdempotencyKey      string
	WorkOrderExternalID string
	Account             Ref
	ExpectedVersion     int64
	Note                string
	// Reason is why suspendAccount suspends and, if resumeAccount is to lift one only, which; the others refuse it.
	Reason models.SuspendReason
}

// ResetInput is the input of resetAccountPassword.
type ResetInput struct {
	IdempotencyKey      string
	WorkOrderExternalID string
	Account             Ref
	// Reauthenticate: devices that logged in with a password must authenticate again.
	Reauthenticate bool
}

// Result is an account after a mutation. Account is nil if a replay's account is not in the actor's regions any more.
type Result struct {
	Account *models.Account
	// Sms is the message that resetAccountPassword queued.
	Sms      models.ID
	Replayed bool
}
