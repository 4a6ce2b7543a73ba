package models

import "slices"

// AccountState is where a subscription stands.
type AccountState string

// The account states of the schema.
const (
	AccountPending    AccountState = "PENDING"
	AccountActive     AccountState = "ACTIVE"
	AccountSuspended  AccountState = "SUSPENDED"
	AccountTerminated AccountState = "TERMINATED"
)

// AccountActions is the state table of an account: which mutation is allowed in which state and where it leads.
var AccountActions = map[AccountState]map[string]AccountState{
	AccountPending: {
		"activateAccount": AccountActive, "modifyAccount": AccountPending, "terminateAccount": AccountTerminated, "unlockAccount": AccountPending,
	},
	AccountActive: {
		"modifyAccount": AccountActive, "suspendAccount": AccountSuspended, "terminateAccount": AccountTerminated,
		"resetAccountPassword": AccountActive, "unlockAccount": AccountActive, "endLogins": AccountActive,
		"sendNotice": AccountActive,
	},
	AccountSuspended: { // resumeAccount leads to ACTIVE when it lifts the last reason, suspendAccount adds another one
		"modifyAccount": AccountSuspended, "suspendAccount": AccountSuspended, "resumeAccount": AccountActive,
		"terminateAccount": AccountTerminated, "resetAccountPassword": AccountSuspended, "unlockAccount": AccountSuspended,
		"endLogins": AccountSuspended, "sendNotice": AccountSuspended,
	},
	AccountTerminated: {},
}

// AllowedActions lists the mutations allowed in s, sorted.
func (s AccountState) AllowedActions() []string {
	actions := make([]string, 0, len(AccountActions[s]))
	for action := range AccountActions[s] {
		actions = append(actions, action)
	}
	slices.Sort(actions)
	return actions
}

// SipSecretSource says who made the SIP secret.
type SipSecretSource string

// The sources of the schema.
const (
	SecretFromBSS     SipSecretSource = "BSS"
	SecretFromAdapter SipSecretSource = "ADAPTER"
	SecretGenerated   SipSecretSource = "GENERATED"
	SecretNone        SipSecretSource = "NONE"
)

// ServiceFeature is one service of an account, e.g. VIDEO. Parameters are leaf names below the service's object.
type ServiceFeature struct {
	Code       string            `json:"code"`
	Enabled    bool              `json:"enabled"`
	Parameters map[string]string `json:"parameters,omitempty"`
}

// Account is an IMS subscription, known by its number.
type Account struct {
	ID             ID `gorm:"primaryKey"`
	Version        int64
	CreatedAt      Time `gorm:"autoCreateTime:false"`
	UpdatedAt      Time `gorm:"autoUpdateTime:false"`
	ExternalID     string
	State          AccountState
	StateReason    string
	StateChangedAt Time
	Msisdn         Number
	// LiveMsisdn is Msisdn until the account is terminated, then NULL: its unique index lets a number be used again.
	LiveMsisdn       *Number
	IMPI             string        `gorm:"column:impi"`
	IMPU             Doc[[]string] `gorm:"column:impu"`
	DisplayName      string
	Region           string
	SipPassword      Sealed
	SipSecretSource  SipSecretSource
	BoundMobile      Number
	IMSI             Sealed `gorm:"column:imsi"`
	BroadbandAccount string
	ScreenSerial     string
	ClientTypes      Doc[[]ClientType]
	Services         Doc[[]ServiceFeature]
	MaxDevices       int
	TerminatedAt     Time
}

// Includes tells whether the subscription has that client type.
func (a *Account) Includes(t ClientType) bool { return slices.Contains(a.ClientTypes.V, t) }

// SuspendReason says why an account is suspended. Several may be in force; the account is ACTIVE again when the last is lifted.
type SuspendReason string

// The reasons of the schema.
const (
	SuspendCustomerRequest SuspendReason = "CUSTOMER_REQUEST"
	SuspendNonPayment      SuspendReason = "NON_PAYMENT"
	SuspendFraud           SuspendReason = "FRAUD"
	SuspendRegulatory      SuspendReason = "REGULATORY"
	SuspendMaintenance     SuspendReason = "MAINTENANCE"
)

// SuspendReasons lists every reason in the order of the schema.
var SuspendReasons = []SuspendReason{SuspendCustomerRequest, SuspendNonPayment, SuspendFraud, SuspendRegulatory, SuspendMaintenance}

// Suspension is one reason in force.
type Suspension struct {
	AccountID ID            `gorm:"primaryKey"`
	Reason    SuspendReason `gorm:"primaryKey"`
	Since     Time
	ByKind    ActorKind
	ByID      ID
	ByName    string
	Note      string
}

// TableName is account_suspensions.
func (Suspension) TableName() string { return "account_suspensions" }

// AccountIMPU is one public identity of an account; the identity is unique among live accounts.
type AccountIMPU struct {
	IMPU      string `gorm:"column:impu;primaryKey"`
	AccountID ID
}

// TableName is account_impus.
func (AccountIMPU) TableName() string { return "account_impus" }
