package models

import (
	"fmt"
	"strings"
)

// ClientType is the kind of soft client.
type ClientType string

// The client types of the schema; Generic is a plain TR-069 CPE outside the IMS profile.
const (
	PC          ClientType = "PC"
	Mobile      ClientType = "MOBILE"
	MagicScreen ClientType = "MAGIC_SCREEN"
	Generic     ClientType = "GENERIC"
)

var wireTypes = map[ClientType]string{PC: "PC", Mobile: "Mobile", MagicScreen: "MagicScreen"}

// Wire is the type as SC.ClientType writes it (i4.md D.3.3); empty for a generic CPE.
func (t ClientType) Wire() string { return wireTypes[t] }

// ClientTypeOf reads SC.ClientType; false if it is none of the three.
func ClientTypeOf(wire string) (ClientType, bool) {
	for t, w := range wireTypes {
		if w == wire {
			return t, true
		}
	}
	return "", false
}

// DeviceKey is OUI-ProductClass-SerialNumber with every octet outside [0-9A-Za-z_.] percent-encoded per component (i4.md C.2.1).
type DeviceKey string

// MaxDeviceKey is the longest key that rows hold, in bytes: any identity of ASCII fits.
const MaxDeviceKey = 400

// DeviceKeyOf builds the key; the OUI is compared in upper case (resolutions 19).
func DeviceKeyOf(oui, productClass, serialNumber string) DeviceKey {
	return DeviceKey(encodeKeyPart(strings.ToUpper(oui)) + "-" + encodeKeyPart(productClass) + "-" + encodeKeyPart(serialNumber))
}

func encodeKeyPart(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '_', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Reachability is what the platform knows of a device's presence (resolutions 21). Stale is computed when read and never stored.
type Reachability string

// The reachabilities of the schema.
const (
	NeverSeen Reachability = "NEVER_SEEN"
	Online    Reachability = "ONLINE"
	Stale     Reachability = "STALE"
	Offline   Reachability = "OFFLINE"
)

// Device is one installed client. This is the hot row: an Inform is judged by it alone (design: hot row, soft row).
type Device struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time      `gorm:"autoCreateTime:false"`
	UpdatedAt Time      `gorm:"autoUpdateTime:false"`
	Key       DeviceKey `gorm:"column:device_key"`

	OUI          string `gorm:"column:oui"`
	ProductClass string
	SerialNumber string
	Manufacturer string
	Model        string
	ClientType   ClientType
	Tags         Doc[[]string]
	// StockState is a magic screen's; empty for everything else.
	StockState StockState
	// WaitingAt is since when a magic screen waits for what it needs to be served, above all for its order; zero: it does not. While it waits,
	// every Inform of it asks again.
	WaitingAt Time
	// SecretWithheld: the SIP secret is not delivered, because nothing proves that this magic screen is the one it says (resolutions 10).
	SecretWithheld bool
	// Registered: made by registerDevice; its credentials survive the end of a binding.
	Registered bool

	SoftwareVersion string
	HardwareVersion string
	OSVersion       string `gorm:"column:os_version"`
	LegacyAuth      bool

	HTTPUsername string `gorm:"column:http_username"`
	// HTTPCredentials seals a HTTPCredentials document.
	HTTPCredentials Sealed `gorm:"column:http_credentials"`
	// Revoked: the binding was replaced or removed; the right credentials admit only to L0 and Status 12 (resolutions 11).
	Revoked        bool
	ReauthRequired bool
	// MustChangePassword: it authenticated with a one-time password and gets no service before CHANGEPWD (Status 15).
	MustChangePassword bool

	// AccountID, AccountState and Region are those of the account of the newest binding that is not removed.
	AccountID    ID
	AccountState AccountState
	Region       string

	Reachability Reachability
	// ReachabilityAt is since when; zero if that is not known.
	ReachabilityAt   Time
	DesiredVersion   int64
	ConfirmedVersion int64
	// WorkAt is when there is something to ask of the device; zero: nothing.
	WorkAt Time
	// SessionEpoch rises when a session takes work; writes of an overtaken session name an old one and change nothing.
	SessionEpoch int64
	// HeartbeatSeconds is the interval last confirmed by the device; 0: its type's default.
	HeartbeatSeconds int
	LoginSessionID   string
	LoginAt          Time
	// LogoutAt and LogoutReason are those of the login session; zero while it lasts.
	LogoutAt     Time
	LogoutReason string
	// ReportHash fingerprints the last reported parameters, so that an unchanged report writes nothing.
	ReportHash int64
	// TraceUntil is until when its sessions are recorded; zero: they are not.
	TraceUntil Time
}

// HTTPCredentials are the digest verifiers of one device: the newest, and the older ones that stay valid until the newest was used (i4.md A.2-6).
type HTTPCredentials struct {
	Current  HA1   `json:"current"`
	Previous []HA1 `json:"previous,omitempty"`
}

// HA1 is H(username:realm:password) for each digest algorithm, lower-case hex.
type HA1 struct {
	MD5    string `json:"md5"`
	SHA256 string `json:"sha256"`
}

// DevicePresence is the soft row of a device: coalesced in memory, flushed at most a second later, only ever forward in time.
type DevicePresence struct {
	DeviceID         ID `gorm:"primaryKey"`
	LastInformAt     Time
	LastBootAt       Time
	IPAddress        string `gorm:"column:ip_address"`
	ClockSkewSeconds int64
	// ExpiresAt is when to look whether the device is gone: LastInformAt + missed heartbeats + grace, or later; 1: at the next occasion;
	// zero: never, because the device is not ONLINE.
	ExpiresAt Time
	// DeferredTo is the end of the newest outage of the platform that ExpiresAt already makes up for.
	DeferredTo Time
	// LineAt is when the device last told the status of its line.
	LineAt Time
}

// LineStatus is the state of a SIP line (TR-104 Line.Status).
type LineStatus string

// The line statuses of the schema.
const (
	LineUp            LineStatus = "UP"
	LineInitializing  LineStatus = "INITIALIZING"
	LineRegistering   LineStatus = "REGISTERING"
	LineUnregistering LineStatus = "UNREGISTERING"
	LineError         LineStatus = "ERROR"
	LineTesting       LineStatus = "TESTING"
	LineQuiescent     LineStatus = "QUIESCENT"
	LineDisabled      LineStatus = "DISABLED"
	LineUnknown       LineStatus = "UNKNOWN"
)

// LineRegistration is what a device last told of a line and of its last SIP registration (resolutions 54).
type LineRegistration struct {
	DeviceID  ID  `gorm:"primaryKey"`
	LineIndex int `gorm:"primaryKey;autoIncrement:false"`
	Status    LineStatus
	Since     Time
	// SipStatus, Reason and AnsweredAt are the last answer to a REGISTER; 0 for none.
	SipStatus  int
	Reason     string
	AnsweredAt Time
	ReportedAt Time
	// AccountID and Region are the device's, when the line is read for the north.
	AccountID ID     `gorm:"-"`
	Region    string `gorm:"-"`
}

// Refused tells whether the line is not up because its registration was refused.
func (l *LineRegistration) Refused() bool { return l.SipStatus >= 300 && l.Status != LineUp }

// ReachabilityChange is one line of a device's presence history (i4.md B.6).
type ReachabilityChange struct {
	ID             ID `gorm:"primaryKey"`
	DeviceID       ID
	At             Time
	State          Reachability
	PreviousState  Reachability
	Reason         string
	LoginSessionID string
	// DurationSeconds is how long the previous state lasted; 0 if that is not known.
	DurationSeconds int64
}

// Beat is the platform's own sign of life, so that its absence is not taken for the devices' (i4.md B.6). FrozenAt: expiry is frozen since then.
type Beat struct {
	Name     string `gorm:"primaryKey"`
	At       Time
	FrozenAt Time
}

// Outage is a time in which the platform could not be heard by any device.
type Outage struct {
	EndedAt Time `gorm:"primaryKey;autoIncrement:false"`
	BeganAt Time
}

// TableName is device_presence.
func (DevicePresence) TableName() string { return "device_presence" }

// DeviceMark is what is printed on a device and people name it by, beside its serial number: its MAC address or STB identifier, as it reported
// them, in lower case without separators.
type DeviceMark struct {
	DeviceID ID     `gorm:"primaryKey"`
	Kind     string `gorm:"primaryKey"`
	Mark     string
}

// MarkOf brings a MAC address or an STB identifier in any usual writing to the form of a DeviceMark: 12 to 32 letters and digits. ok is false
// if it is none.
func MarkOf(text string) (mark string, ok bool) {
	mark = strings.ToLower(separators.Replace(text))
	other := func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') }
	return mark, len(mark) >= 12 && len(mark) <= 32 && !strings.ContainsFunc(mark, other)
}

var separators = strings.NewReplacer(":", "", "-", "", ".", "", " ", "")

// DeviceParameter is a value that a device reported or confirmed; secrets are never kept here (resolutions 33).
type DeviceParameter struct {
	DeviceID ID     `gorm:"primaryKey"`
	Path     string `gorm:"primaryKey"`
	Value    string
	Type     string
	Writable *bool
	// Notification is 0 off, 1 passive or 2 active (TR-069 A.3.2.4); nil if it is not known.
	Notification *int
	ReportedAt   Time
}
