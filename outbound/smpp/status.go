package smpp

import "fmt"

// Status is the command_status of a response (SMPP 3.4 5.1.3).
type Status uint32

// The statuses that mean something to us.
const (
	OK                Status = 0x00000000 // ESME_ROK
	InvalidLength     Status = 0x00000002 // ESME_RINVCMDLEN
	InvalidCommand    Status = 0x00000003 // ESME_RINVCMDID
	BindFailed        Status = 0x0000000D // ESME_RBINDFAIL
	InvalidPassword   Status = 0x0000000E // ESME_RINVPASWD
	QueueFull         Status = 0x00000014 // ESME_RMSGQFUL
	Throttled         Status = 0x00000058 // ESME_RTHROTTLED
	ReceiverTemporary Status = 0x00000064 // ESME_RX_T_APPN: deliver it again
	ReceiverRejects   Status = 0x00000066 // ESME_RX_R_APPN: do not
)

// statusNames are those of SMPP 3.4 table 5-2 that a centre may answer to what we send.
var statusNames = map[Status]string{
	0x01: "ESME_RINVMSGLEN", 0x02: "ESME_RINVCMDLEN", 0x03: "ESME_RINVCMDID", 0x04: "ESME_RINVBNDSTS", 0x05: "ESME_RALYBND",
	0x06: "ESME_RINVPRTFLG", 0x07: "ESME_RINVREGDLVFLG", 0x08: "ESME_RSYSERR", 0x0A: "ESME_RINVSRCADR", 0x0B: "ESME_RINVDSTADR",
	0x0C: "ESME_RINVMSGID", 0x0D: "ESME_RBINDFAIL", 0x0E: "ESME_RINVPASWD", 0x0F: "ESME_RINVSYSID", 0x14: "ESME_RMSGQFUL",
	0x15: "ESME_RINVSERTYP", 0x42: "ESME_RINVESMCLASS", 0x45: "ESME_RSUBMITFAIL", 0x48: "ESME_RINVSRCTON", 0x49: "ESME_RINVSRCNPI",
	0x50: "ESME_RINVDSTTON", 0x51: "ESME_RINVDSTNPI", 0x53: "ESME_RINVSYSTYP", 0x58: "ESME_RTHROTTLED", 0x61: "ESME_RINVSCHED",
	0x62: "ESME_RINVEXPIRY", 0xFF: "ESME_RUNKNOWNERR",
}

// String is the name of the specification with the number, or the number alone.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return fmt.Sprintf("%s (0x%02X)", name, uint32(s))
	}
	return fmt.Sprintf("0x%02X", uint32(s))
}
