package cwmp

import "time"

// Version is the CWMP namespace that a message is written in. Later versions of the standard kept the namespace of 1.2
// and only added headers (i4.md 0.2-1), so these three are all that exist.
type Version int

// The three namespaces, oldest first.
const (
	V1_0 Version = iota
	V1_1
	V1_2
)

// Namespace returns the XML namespace, for example "urn:dslforum-org:cwmp-1-2".
func (v Version) Namespace() string {
	switch v {
	case V1_0:
		return cwmpNamespace + "0"
	case V1_1:
		return cwmpNamespace + "1"
	default:
		return cwmpNamespace + "2"
	}
}

// Envelope is one SOAP message (TR-069 3.4.1, i4.md A.3).
type Envelope struct {
	// Version is the namespace of the RPC element; a higher urn:dslforum-org:cwmp-1-N counts as 1.2 (resolutions 18).
	Version Version
	// ID is the header cwmp:ID, byte for byte; "" is none. At most 1,024 bytes on the way in.
	ID string
	// SupportedVersions is the header SupportedCWMPVersions of a 1.4 client, such as "1.0", "1.4"; nil if absent.
	SupportedVersions []string
	// UseVersion is the header UseCWMPVersion with which the server answers SupportedVersions; "" is none.
	UseVersion string
	// SessionTimeout is the header of that name in seconds; 0 if absent or not a number.
	SessionTimeout int
	// Body is the message itself, never nil after Decode.
	Body Message
}

// Message is the content of an envelope. Its concrete types are the pointers to the structs of this file.
type Message interface {
	// Method is the name of the RPC element, such as "Inform" or "SetParameterValuesResponse"; "Fault" for a fault.
	Method() string
}

// DeviceID identifies a client. On the way in all fields are trimmed and OUI is in upper case (i4.md D.4); an empty
// SerialNumber is for the caller to refuse.
type DeviceID struct{ Manufacturer, OUI, ProductClass, SerialNumber string }

// Event is one cause of an Inform. Both fields are trimmed on the way in, nothing else is normalised.
type Event struct{ Code, CommandKey string }

// ParameterValue is a parameter with its value.
type ParameterValue struct {
	Name string
	// Type is the XML Schema type with the prefix "xsd:", for example "xsd:unsignedInt"; on the way in a missing type
	// is "xsd:string", on the way out "" is.
	Type string
	// Value is the text. A value of type xsd:boolean is "1" or "0" in both directions, whatever of true, false, 1 and 0
	// was written; white space around values of other types than xsd:string is removed.
	Value string
}

// ParameterInfo is a name that a client knows. A partial path ends with a dot.
type ParameterInfo struct {
	Name     string
	Writable bool
}

// Inform opens a session (TR-069 A.3.3.1). Numbers and times that cannot be read are zero; the zero time is the Unknown
// Time of the standard. Events is empty if the client sent none.
type Inform struct {
	DeviceID     DeviceID
	Events       []Event
	MaxEnvelopes int // sent as 1 when 0
	CurrentTime  time.Time
	RetryCount   int
	Parameters   []ParameterValue
}

// InformResponse answers an Inform; MaxEnvelopes is always 1 (i4.md A.3-4).
type InformResponse struct{}

// GetRPCMethods asks the other side for its methods (TR-069 A.3.1.1).
type GetRPCMethods struct{}

// GetRPCMethodsResponse lists the methods that the sender handles.
type GetRPCMethodsResponse struct{ Methods []string }

// SetParameterValues sets all parameters or none (TR-069 A.3.2.1). It overwrites ManagementServer.ParameterKey with
// ParameterKey.
type SetParameterValues struct {
	Parameters   []ParameterValue
	ParameterKey string
}

// SetParameterValuesResponse says that the values were accepted: Status 0 applied, 1 committed and not yet applied.
type SetParameterValuesResponse struct{ Status int }

// GetParameterValues asks for values (TR-069 A.3.2.2). A name that ends with a dot asks for everything below it.
type GetParameterValues struct{ Names []string }

// GetParameterValuesResponse returns the values.
type GetParameterValuesResponse struct{ Parameters []ParameterValue }

// GetParameterNames asks what exists below a path (TR-069 A.3.2.3): one level if NextLevel, else all.
type GetParameterNames struct {
	ParameterPath string
	NextLevel     bool
}

// GetParameterNamesResponse returns the names.
type GetParameterNamesResponse struct{ Parameters []ParameterInfo }

// AddObject makes an instance of an object (TR-069 A.3.2.6). ObjectName is a path without instance number that ends with a dot; ParameterKey
// becomes the device's.
type AddObject struct {
	ObjectName   string
	ParameterKey string
}

// AddObjectResponse names the instance: Status 0 exists, 1 exists after the next start.
type AddObjectResponse struct {
	InstanceNumber int64
	Status         int
}

// Reboot restarts the client, which reports CommandKey with the event M Reboot (TR-069 A.3.2.9).
type Reboot struct{ CommandKey string }

// RebootResponse promises the restart.
type RebootResponse struct{}

// Download asks the client to fetch a file (TR-069 A.3.2.8). DelaySeconds is the least that it waits; FileSize is in bytes, 0 for not said.
type Download struct {
	CommandKey     string
	FileType       string
	URL            string
	Username       string
	Password       string
	FileSize       int64
	TargetFileName string
	DelaySeconds   int
	SuccessURL     string
	FailureURL     string
}

// DownloadResponse says how far the download came: Status 0 done and applied, so that no TransferComplete follows, 1 later. The times count
// with 0 only; the zero time is unknown.
type DownloadResponse struct {
	Status       int
	StartTime    time.Time
	CompleteTime time.Time
}

// TransferComplete reports the end of a transfer (TR-069 A.3.3.2). FaultCode 0 is success. The zero time is unknown.
type TransferComplete struct {
	CommandKey   string
	FaultCode    int
	FaultString  string
	StartTime    time.Time
	CompleteTime time.Time
}

// TransferCompleteResponse acknowledges it.
type TransferCompleteResponse struct{}

// AutonomousTransferComplete reports a transfer that the server did not ask for (TR-069 A.3.3.3).
type AutonomousTransferComplete struct {
	AnnounceURL    string
	TransferURL    string
	IsDownload     bool
	FileType       string
	FileSize       int64
	TargetFileName string
	FaultCode      int
	FaultString    string
	StartTime      time.Time
	CompleteTime   time.Time
}

// AutonomousTransferCompleteResponse acknowledges it.
type AutonomousTransferCompleteResponse struct{}

// RequestDownload asks the server for a Download (TR-069 A.4.2.2), with at most 16 arguments, such as Version.
type RequestDownload struct {
	FileType string
	Args     []Arg
}

// Arg is a name with a value.
type Arg struct{ Name, Value string }

// RequestDownloadResponse acknowledges it, whether a Download follows or not.
type RequestDownloadResponse struct{}

// Fault is a SOAP fault with a CWMP fault in its detail (TR-069 3.5, A.5).
type Fault struct {
	// Code is the CWMP fault code, such as 8000 or 9003; 0 if the sender gave none that can be read.
	Code int
	// String is the CWMP fault string, or the SOAP fault string if there is no CWMP fault.
	String string
	// SOAPCode is Client or Server without prefix; "" on the way out is Client.
	SOAPCode string
	// Parameters is the SetParameterValuesFault list.
	Parameters []ParameterFault
}

// ParameterFault is the reason why one parameter of SetParameterValues was refused.
type ParameterFault struct {
	Name   string
	Code   int
	String string
}

// Unknown is any other RPC of the CWMP namespace, without its arguments.
type Unknown struct{ Name string }

// The names of the RPC elements.
func (*Inform) Method() string                     { return "Inform" }
func (*InformResponse) Method() string             { return "InformResponse" }
func (*GetRPCMethods) Method() string              { return "GetRPCMethods" }
func (*GetRPCMethodsResponse) Method() string      { return "GetRPCMethodsResponse" }
func (*SetParameterValues) Method() string         { return "SetParameterValues" }
func (*SetParameterValuesResponse) Method() string { return "SetParameterValuesResponse" }
func (*GetParameterValues) Method() string         { return "GetParameterValues" }
func (*GetParameterValuesResponse) Method() string { return "GetParameterValuesResponse" }
func (*GetParameterNames) Method() string          { return "GetParameterNames" }
func (*GetParameterNamesResponse) Method() string  { return "GetParameterNamesResponse" }
func (*AddObject) Method() string                  { return "AddObject" }
func (*AddObjectResponse) Method() string          { return "AddObjectResponse" }
func (*Reboot) Method() string                     { return "Reboot" }
func (*RebootResponse) Method() string             { return "RebootResponse" }
func (*TransferComplete) Method() string           { return "TransferComplete" }
func (*TransferCompleteResponse) Method() string   { return "TransferCompleteResponse" }
func (*Download) Method() string                   { return "Download" }
func (*DownloadResponse) Method() string           { return "DownloadResponse" }
func (*RequestDownload) Method() string            { return "RequestDownload" }
func (*RequestDownloadResponse) Method() string    { return "RequestDownloadResponse" }
func (*AutonomousTransferComplete) Method() string { return "AutonomousTransferComplete" }
func (*AutonomousTransferCompleteResponse) Method() string {
	return "AutonomousTransferCompleteResponse"
}
func (*Fault) Method() string { return "Fault" }

// Method returns the name on the wire.
func (m *Unknown) Method() string { return m.Name }
