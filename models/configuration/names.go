package configuration

// Logical names of the values that this room computes itself; the profile of acs/i4 has a path for each. All other names come from the
// catalogue and the layers of the configuration file.
const (
	PeriodicInformEnable   = "managementServer.periodicInformEnable"
	PeriodicInformInterval = "managementServer.periodicInformInterval"
	PeriodicInformTime     = "managementServer.periodicInformTime"

	LineEnable      = "line.enable"
	DirectoryNumber = "line.directoryNumber"
	AuthUserName    = "line.sip.authUserName"
	AuthPassword    = "line.sip.authPassword"
	PublicURI       = "line.sip.uri"
)

// The service codes of resolutions 26.
const (
	Voice       = "VOICE"
	Video       = "VIDEO"
	Conference  = "CONFERENCE"
	Presence    = "PRESENCE"
	Message     = "MESSAGE"
	AddressBook = "ADDRESS_BOOK"
	CallWaiting = "CALL_WAITING"
	CallerID    = "CALLER_ID"
	CallForward = "CALL_FORWARD"
)

// ServiceCodes lists every service code, in the order in which their layers are laid over each other.
var ServiceCodes = []string{Voice, Video, Conference, Presence, Message, AddressBook, CallWaiting, CallerID, CallForward}

const disabled = "Disabled" // of LineEnable
