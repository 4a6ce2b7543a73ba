package models

import "strings"

import "net/netip"

// The nouns of a session with a soft client. Names are logical (`sip.outboundProxy`, event `GETPWD`, result `AUTH_FAILED`); only acs/i4 knows
// paths, numbers and texts. A raw path (a name that starts with an upper-case letter) passes as it is.

// Trust is how far a session is believed (i4.md A.2).
type Trust int

// The trust levels.
const (
	// L0: nobody proved anything; the device identity is a claim.
	L0 Trust = iota
	// L1: the device's own HTTP credentials were presented.
	L1
	// L2: a client certificate that names the device was presented (i4.md C.4). The device need not have a row.
	L2
)

// EventName is an event by its logical name: an action of i4.md D.2 or a standard event.
type EventName string

// The events that the platform acts on so far; any other arrives by the code it was sent with.
const (
	EventBootstrap          EventName = "BOOTSTRAP"
	EventBoot               EventName = "BOOT"
	EventPeriodic           EventName = "PERIODIC"
	EventScheduled          EventName = "SCHEDULED"
	EventValueChange        EventName = "VALUE_CHANGE"
	EventConnectionRequest  EventName = "CONNECTION_REQUEST"
	EventTransferComplete   EventName = "TRANSFER_COMPLETE"
	EventDiagnostics        EventName = "DIAGNOSTICS_COMPLETE"
	EventHeartbeat          EventName = "HEARTBEAT"
	EventRequestDownload    EventName = "REQUEST_DOWNLOAD"
	EventAutonomousTransfer EventName = "AUTONOMOUS_TRANSFER_COMPLETE"
	EventMDownload          EventName = "M_DOWNLOAD"
	EventMReboot            EventName = "M_REBOOT"
	EventGetPassword        EventName = "GET_PASSWORD"
	EventRegister           EventName = "REGISTER"
	EventChangePassword     EventName = "CHANGE_PASSWORD"
	EventLogoff             EventName = "LOGOFF"
	EventStatistics         EventName = "STATISTICS"
)

// InformEvent is one event of an Inform. At L0 only events whose profile level is L0 are acted on.
type InformEvent struct {
	Name       EventName
	Code       string // as sent
	CommandKey string
	L0         bool // allowed without credentials (i4.md A.10, D.2)
	Vendor     bool // not a standard TR-069 event
}

// Value is a parameter with its value. Type is an xsd name such as xsd:string; empty means the profile's type.
type Value struct {
	Name   string `json:"path"`
	Value  string `json:"value"`
	Type   string `json:"type"`
	Secret bool   `json:"-"`
}

// Inform is the first message of a session, in logical names.
type Inform struct {
	Key          DeviceKey
	OUI          string
	ProductClass string
	SerialNumber string
	Manufacturer string
	// ClientType is what SC.ClientType, else the ProductClass map says; Generic if neither does. Claimed is SC.ClientType itself.
	ClientType ClientType
	Claimed    string
	Events     []InformEvent
	// Values by logical name, or by path where there is no logical name.
	Values map[string]Value
	// Raw are the parameters as sent, by path, for Device.parameters; secrets are left out.
	Raw           []Value
	ParameterKey  string
	CurrentTime   Time
	RetryCount    int
	RemoteAddress string // IP without port
	// Source is RemoteAddress as an address, the zero Addr if it is none.
	Source netip.Addr
	// Certificate is what proved at L2 that the device is Key; nil below.
	Certificate *Certificate
}

// Get returns the value of a logical name, or "".
func (in *Inform) Get(name string) string { return in.Values[name].Value }

// Has tells whether the Inform carries that event.
func (in *Inform) Has(name EventName) bool {
	for _, e := range in.Events {
		if e.Name == name {
			return true
		}
	}
	return false
}

// Method is an RPC that the platform asks of a device.
type Method string

// The methods that exist so far.
const (
	SetParameterValues Method = "SetParameterValues"
	GetParameterValues Method = "GetParameterValues"
	GetParameterNames  Method = "GetParameterNames"
	RebootDevice       Method = "Reboot"
	DownloadFile       Method = "Download"
	GetAttributesOf    Method = "GetParameterAttributes"
	SetAttributesOf    Method = "SetParameterAttributes"
	AddObjectTo        Method = "AddObject"
	DeleteObjectOf     Method = "DeleteObject"
	FactoryResetDevice Method = "FactoryReset"
	ListMethods        Method = "GetRPCMethods"
	ScheduleInformOf   Method = "ScheduleInform"
)

// Request is what the platform asks of a device next.
type Request struct {
	Method Method
	Values []Value  // SetParameterValues
	Names  []string // GetParameterValues, Get- and SetParameterAttributes
	Path   string   // GetParameterNames, AddObject, DeleteObject
	// Notification is what SetParameterAttributes sets of all Names: 0 off, 1 passive, 2 active.
	Notification int
	// NextLevel asks GetParameterNames for one level only.
	NextLevel  bool
	CommandKey string // Reboot, Download, ScheduleInform
	// DelaySeconds is when ScheduleInform wants to be called.
	DelaySeconds int
	// Download is what the file is; its CommandKey is the Request's.
	Download *Download
	// Outcome, if set, is written behind Values as UI.Status, UI.Result and what belongs to them.
	Outcome *Outcome
	// Without names what the device refused of the Outcome; it is left out.
	Without []string
	// Version > 0: the ParameterKey becomes that of this configuration version; 0: the reported one is repeated (i4.md 0.2-7).
	Version int64
	// Moved are objects that the device has under other numbers.
	Moved []Moved
}

// Moved is an object with an instance number: From is how the platform names it, To how the device does. Both end with a dot.
type Moved struct{ From, To string }

// MovePath writes a path as the device names it; outer objects stand before inner ones in moved.
func MovePath(moved []Moved, path string) string {
	for i := len(moved) - 1; i >= 0; i-- {
		if rest, inside := strings.CutPrefix(path, moved[i].From); inside {
			return moved[i].To + rest
		}
	}
	return path
}

// UnmovePath is the way back.
func UnmovePath(moved []Moved, path string) string {
	for i := len(moved) - 1; i >= 0; i-- {
		if rest, inside := strings.CutPrefix(path, moved[i].To); inside {
			return moved[i].From + rest
		}
	}
	return path
}

// Reply is a device's answer to a Request: exactly one of a result and a Fault.
type Reply struct {
	Status int     // SetParameterValues, AddObject, DeleteObject: 0 applied, 1 committed; Download: 0 done, 1 later
	Values []Value // GetParameterValues: logical names where the profile knows them
	Raw    []Value // GetParameterValues: as answered
	Names  []ParameterName
	// Attributes answer GetParameterAttributes, Instance AddObject, Methods GetRPCMethods.
	Attributes []ParameterAttribute
	Instance   int
	Methods    []string
	Fault      *Fault
}

// ParameterAttribute is one line of a GetParameterAttributes answer. Notification is 0 off, 1 passive or 2 active; Access lists who may write
// beside the platform.
type ParameterAttribute struct {
	Path         string   `json:"path"`
	Notification int      `json:"notification"`
	Access       []string `json:"accessList"`
}

// ParameterName is one line of a GetParameterNames answer.
type ParameterName struct {
	Path     string `json:"path"`
	Writable bool   `json:"writable"`
}

// Fault is a CWMP fault of a device (TR-069 A.5).
type Fault struct {
	Code       int              `json:"code"`
	Message    string           `json:"message"`
	Parameters []ParameterFault `json:"parameterFaults,omitempty"`
}

// Passing tells whether the fault may be gone in the next session (i4.md A.9): denied, as in a call (B.8), internal error, resources, and those
// treated alike.
func (f *Fault) Passing() bool {
	return f.Code == 9001 || f.Code == 9002 || f.Code == 9004 || f.Code >= 9022 && f.Code <= 9032 || f.Code >= 9800 && f.Code <= 9899
}

// ParameterFault is one line of a SetParameterValues fault. Name is the logical name where the profile knows it.
type ParameterFault struct {
	Path    string `json:"path"`
	Name    string `json:"-"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Download is the file that a device is asked to fetch (TR-069 A.3.2.8).
type Download struct {
	FileType, URL, FileName string
	Size                    int64 // bytes
	DelaySeconds            int
}

// Transfer is a TransferComplete of a device, or an AutonomousTransferComplete of a transfer that nobody asked for.
type Transfer struct {
	CommandKey string
	Autonomous bool
	// FileType and URL are told by autonomous transfers only.
	FileType, URL string
	Fault         *Fault
	StartedAt     Time
	EndedAt       Time
}

// Result is a result code of UI.Status by its name (i4.md B.0).
type Result string

// The results that exist so far.
const (
	ResultOK                 Result = "OK"
	ResultAuthFailed         Result = "AUTH_FAILED"
	ResultUnknownAccount     Result = "UNKNOWN_ACCOUNT"
	ResultTimeout            Result = "TIMEOUT"
	ResultAlreadyDone        Result = "ALREADY_DONE"
	ResultRateLimited        Result = "RATE_LIMITED"
	ResultLocked             Result = "LOCKED"
	ResultReauthRequired     Result = "REAUTH_REQUIRED"
	ResultChallengeInvalid   Result = "CHALLENGE_INVALID"
	ResultClockSkew          Result = "CLOCK_SKEW"
	ResultMustChangePassword Result = "MUST_CHANGE_PASSWORD"
	ResultDeviceConflict     Result = "DEVICE_CONFLICT"
	ResultTypeNotAllowed     Result = "TYPE_NOT_ALLOWED"
	ResultVersionTooOld      Result = "VERSION_TOO_OLD"
	ResultPasswordRejected   Result = "PASSWORD_REJECTED"
	ResultCodeSent           Result = "CODE_SENT"
	ResultNoBoundMobile      Result = "NO_BOUND_MOBILE"
	ResultSmsUnavailable     Result = "SMS_UNAVAILABLE"
	ResultNetworkIDFailed    Result = "NETWORK_ID_FAILED"
	ResultNotProvisioned     Result = "NOT_PROVISIONED"
	ResultBoundToOther       Result = "BOUND_TO_OTHER"
	ResultLineMismatch       Result = "LINE_MISMATCH"
	ResultSuspended          Result = "SUSPENDED"
	ResultClosed             Result = "CLOSED"
	ResultMalformed          Result = "MALFORMED"
	ResultInternal           Result = "INTERNAL"
	ResultPending            Result = "PENDING"
)

// Delivery is UI.Result: how far the service data came (i4.md B).
type Delivery int

// The deliveries of i4.md B.
const (
	DeliveryRunning Delivery = 0
	DeliveryDone    Delivery = 1
	DeliveryFailed  Delivery = 2
	DeliveryInitial Delivery = 99
)

// Outcome tells a client how its request ended.
type Outcome struct {
	Result   Result
	Delivery Delivery
	// Detail names the offending parameter of MALFORMED; it is put behind the result's text in UI.ResultDesc.
	Detail string
	// RetryAfter in seconds, Limit and Times (tries allowed and used) are written if positive.
	RetryAfter, Limit, Times int
}
