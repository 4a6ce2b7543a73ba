package cwmp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxEnvelope is the size in bytes that every client must be able to take (TR-069 3.5, i4.md H10).
const MaxEnvelope = 32 << 10

// ErrTooLarge says that an envelope for a client exceeds MaxEnvelope.
var ErrTooLarge = errors.New("cwmp: envelope exceeds 32 KiB")

// FieldError says that a field of a message cannot be written. It never holds the value, which may be secret.
type FieldError struct {
	Field  string // the name of the parameter if there is one, else of the element
	Reason string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("cwmp: %q %s", e.Field, e.Reason)
}

const (
	soapClient = "Client"

	envelopeHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap-env:Envelope xmlns:soap-env="` + soapNamespace + `" xmlns:soap-enc="` + encNamespace +
		`" xmlns:xsd="` + xsdNamespace + `" xmlns:xsi="` + xsiNamespace + `" xmlns:cwmp="`
	envelopeTail = `</soap-env:Body></soap-env:Envelope>` + "\n"
)

// Lengths that the schema allows, in characters (cwmp-1-2.xsd, i4.md 0.2-6). They are checked in requests to a client.
const (
	maxParameterName = 256
	maxKey           = 32
)

// Encode returns the envelope as a UTF-8 document. HoldRequests and NoMoreRequests are never written, and the text
// "<FaultCode>" only in a fault and in TransferComplete, because clients search for it (i4.md A.3-10).
//
// The errors are a *FieldError, for text that XML cannot carry, a type without the prefix "xsd:", or a name or key of a
// request that is longer than the schema allows; and ErrTooLarge. The messages in which a client reports parameters are
// exempt from the latter: a server takes more (i4.md H10).
func Encode(e *Envelope) ([]byte, error) {
	w := &writer{b: make([]byte, 0, 2048)}
	w.raw(envelopeHead)
	w.raw(e.Version.Namespace())
	w.raw(`">`)
	w.header(e)
	w.raw(`<soap-env:Body>`)
	w.message(e.Body)
	w.raw(envelopeTail)
	if w.err != nil {
		return nil, w.err
	}
	switch e.Body.(type) {
	case *Inform, *GetParameterValuesResponse, *GetParameterNamesResponse:
	default:
		if len(w.b) > MaxEnvelope {
			return nil, ErrTooLarge
		}
	}
	return w.b, nil
}

// writer collects a document and keeps the first error.
type writer struct {
	b   []byte
	err error
}

func (w *writer) fail(field, reason string) {
	if w.err == nil {
		w.err = &FieldError{Field: field, Reason: reason}
	}
}

func (w *writer) header(e *Envelope) {
	if e.ID == "" && e.SessionTimeout == 0 && len(e.SupportedVersions) == 0 && e.UseVersion == "" {
		return
	}
	w.raw(`<soap-env:Header>`)
	if e.ID != "" {
		w.headerField("ID", "1", e.ID)
	}
	if e.SessionTimeout != 0 {
		w.headerField("SessionTimeout", "0", strconv.Itoa(e.SessionTimeout))
	}
	if len(e.SupportedVersions) > 0 {
		w.headerField("SupportedCWMPVersions", "0", strings.Join(e.SupportedVersions, ","))
	}
	if e.UseVersion != "" {
		w.headerField("UseCWMPVersion", "1", e.UseVersion)
	}
	w.raw(`</soap-env:Header>`)
}

func (w *writer) headerField(name, mustUnderstand, value string) {
	w.raw(`<cwmp:` + name + ` soap-env:mustUnderstand="` + mustUnderstand + `">`)
	w.text(name, value)
	w.raw(`</cwmp:` + name + `>`)
}

func (w *writer) message(m Message) {
	switch m := m.(type) {
	case *Fault:
		w.fault(m)
		return
	case *GetRPCMethods, *RebootResponse, *TransferCompleteResponse, *AutonomousTransferCompleteResponse, *RequestDownloadResponse:
		w.raw(`<cwmp:` + m.Method() + `/>`)
		return
	case *Unknown:
		if !isNCName([]byte(m.Name)) {
			w.fail("Method", "is not a name")
			return
		}
		w.raw(`<cwmp:` + m.Name + `/>`)
		return
	case nil:
		w.fail("Body", "is missing")
		return
	}
	w.raw(`<cwmp:` + m.Method() + `>`)
	switch m := m.(type) {
	case *Inform:
		w.inform(m)
	case *InformResponse:
		w.number("MaxEnvelopes", 1)
	case *GetRPCMethodsResponse:
		w.strings("MethodList", m.Methods)
	case *SetParameterValues:
		for _, p := range m.Parameters {
			w.limit(p.Name, "is longer than 256 characters", p.Name, maxParameterName)
		}
		w.limit("ParameterKey", "is longer than 32 characters", m.ParameterKey, maxKey)
		w.values(m.Parameters)
		w.field("ParameterKey", m.ParameterKey)
	case *SetParameterValuesResponse:
		w.number("Status", m.Status)
	case *GetParameterValues:
		for _, name := range m.Names {
			w.limit(name, "is longer than 256 characters", name, maxParameterName)
		}
		w.strings("ParameterNames", m.Names)
	case *GetParameterValuesResponse:
		w.values(m.Parameters)
	case *GetParameterNames:
		w.limit("ParameterPath", "is longer than 256 characters", m.ParameterPath, maxParameterName)
		w.field("ParameterPath", m.ParameterPath)
		w.boolean("NextLevel", m.NextLevel)
	case *GetParameterNamesResponse:
		w.array("ParameterList", "cwmp:ParameterInfoStruct", len(m.Parameters))
		for _, p := range m.Parameters {
			w.raw(`<ParameterInfoStruct>`)
			w.field("Name", p.Name)
			w.boolean("Writable", p.Writable)
			w.raw(`</ParameterInfoStruct>`)
		}
		w.raw(`</ParameterList>`)
	case *AddObject:
		w.limit("ObjectName", "is longer than 256 characters", m.ObjectName, maxParameterName)
		w.limit("ParameterKey", "is longer than 32 characters", m.ParameterKey, maxKey)
		w.field("ObjectName", m.ObjectName)
		w.field("ParameterKey", m.ParameterKey)
	case *AddObjectResponse:
		w.field("InstanceNumber", strconv.FormatInt(m.InstanceNumber, 10))
		w.number("Status", m.Status)
	case *Reboot:
		w.limit("CommandKey", "is longer than 32 characters", m.CommandKey, maxKey)
		w.field("CommandKey", m.CommandKey)
	case *Download:
		w.download(m)
	case *DownloadResponse:
		w.number("Status", m.Status)
		w.time("StartTime", m.StartTime)
		w.time("CompleteTime", m.CompleteTime)
	case *TransferComplete:
		w.field("CommandKey", m.CommandKey)
		w.faultStruct(m.FaultCode, m.FaultString)
		w.time("StartTime", m.StartTime)
		w.time("CompleteTime", m.CompleteTime)
	case *AutonomousTransferComplete:
		w.field("AnnounceURL", m.AnnounceURL)
		w.field("TransferURL", m.TransferURL)
		w.boolean("IsDownload", m.IsDownload)
		w.field("FileType", m.FileType)
		w.field("FileSize", strconv.FormatInt(m.FileSize, 10))
		w.field("TargetFileName", m.TargetFileName)
		w.faultStruct(m.FaultCode, m.FaultString)
		w.time("StartTime", m.StartTime)
		w.time("CompleteTime", m.CompleteTime)
	case *RequestDownload:
		w.field("FileType", m.FileType)
		w.array("FileTypeArg", "cwmp:ArgStruct", len(m.Args))
		for _, a := range m.Args {
			w.raw(`<ArgStruct>`)
			w.field("Name", a.Name)
			w.field("Value", a.Value)
			w.raw(`</ArgStruct>`)
		}
		w.raw(`</FileTypeArg>`)
	default:
		w.fail("Body", "is of a foreign type")
		return
	}
	w.raw(`</cwmp:` + m.Method() + `>`)
}

func (w *writer) inform(m *Inform) {
	w.raw(`<DeviceId>`)
	w.field("Manufacturer", m.DeviceID.Manufacturer)
	w.field("OUI", m.DeviceID.OUI)
	w.field("ProductClass", m.DeviceID.ProductClass)
	w.field("SerialNumber", m.DeviceID.SerialNumber)
	w.raw(`</DeviceId>`)
	w.array("Event", "cwmp:EventStruct", len(m.Events))
	for _, event := range m.Events {
		w.raw(`<EventStruct>`)
		w.field("EventCode", event.Code)
		w.field("CommandKey", event.CommandKey)
		w.raw(`</EventStruct>`)
	}
	w.raw(`</Event>`)
	w.number("MaxEnvelopes", max(1, m.MaxEnvelopes))
	w.time("CurrentTime", m.CurrentTime)
	w.number("RetryCount", m.RetryCount)
	w.values(m.Parameters)
}

// download writes the lengths that the schema allows, and a file size that fits an unsignedInt.
func (w *writer) download(m *Download) {
	w.limit("CommandKey", "is longer than 32 characters", m.CommandKey, maxKey)
	w.limit("FileType", "is longer than 64 characters", m.FileType, 64)
	for name, text := range map[string]string{
		"URL": m.URL, "Username": m.Username, "Password": m.Password, "TargetFileName": m.TargetFileName, "SuccessURL": m.SuccessURL, "FailureURL": m.FailureURL,
	} {
		w.limit(name, "is longer than 256 characters", text, 256)
	}
	if m.FileSize < 0 || m.FileSize > math.MaxUint32 || m.DelaySeconds < 0 {
		w.fail("FileSize", "or DelaySeconds is out of range")
	}
	w.field("CommandKey", m.CommandKey)
	w.field("FileType", m.FileType)
	w.field("URL", m.URL)
	w.field("Username", m.Username)
	w.field("Password", m.Password)
	w.field("FileSize", strconv.FormatInt(m.FileSize, 10))
	w.field("TargetFileName", m.TargetFileName)
	w.number("DelaySeconds", m.DelaySeconds)
	w.field("SuccessURL", m.SuccessURL)
	w.field("FailureURL", m.FailureURL)
}

func (w *writer) faultStruct(code int, text string) {
	w.raw(`<FaultStruct>`)
	w.number("FaultCode", code)
	w.field("FaultString", text)
	w.raw(`</FaultStruct>`)
}

// fault writes i4.md example 25; the fault string of SOAP is always the same.
func (w *writer) fault(m *Fault) {
	code := m.SOAPCode
	if code == "" {
		code = soapClient
	}
	w.raw(`<soap-env:Fault>`)
	w.field("faultcode", code)
	w.field("faultstring", "CWMP fault")
	w.raw(`<detail><cwmp:Fault>`)
	w.number("FaultCode", m.Code)
	w.field("FaultString", m.String)
	for _, p := range m.Parameters {
		w.raw(`<SetParameterValuesFault>`)
		w.field("ParameterName", p.Name)
		w.number("FaultCode", p.Code)
		w.field("FaultString", p.String)
		w.raw(`</SetParameterValuesFault>`)
	}
	w.raw(`</cwmp:Fault></detail></soap-env:Fault>`)
}

func (w *writer) values(list []ParameterValue) {
	w.array("ParameterList", "cwmp:ParameterValueStruct", len(list))
	for _, p := range list {
		kind := p.Type
		if kind == "" {
			kind = xsdString
		}
		if local, found := strings.CutPrefix(kind, "xsd:"); !found || !isNCName([]byte(local)) {
			w.fail(p.Name, "has a type that is not of XML Schema")
			return
		}
		value := p.Value
		switch kind {
		case xsdBoolean:
			value = canonicalValue(kind, []byte(value))
		case "xsd:base64": // TR-106 calls it so, XML Schema does not
			kind = "xsd:base64Binary"
		}
		w.raw(`<ParameterValueStruct>`)
		w.field("Name", p.Name)
		w.raw(`<Value xsi:type="`)
		w.raw(kind)
		w.raw(`">`)
		w.text(p.Name, value)
		w.raw(`</Value></ParameterValueStruct>`)
	}
	w.raw(`</ParameterList>`)
}

func (w *writer) strings(name string, list []string) {
	w.array(name, "xsd:string", len(list))
	for _, s := range list {
		w.field("string", s)
	}
	w.raw(`</`)
	w.raw(name)
	w.raw(`>`)
}

// array opens a list of n members; the caller closes it.
func (w *writer) array(name, kind string, n int) {
	w.raw(`<` + name + ` soap-enc:arrayType="` + kind + `[`)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
	w.raw(`]">`)
}

func (w *writer) number(name string, n int) { w.field(name, strconv.Itoa(n)) }

func (w *writer) time(name string, t time.Time) { w.field(name, FormatTime(t)) }

func (w *writer) boolean(name string, b bool) {
	if b {
		w.field(name, "1")
	} else {
		w.field(name, "0")
	}
}

// field writes an unqualified element with text.
func (w *writer) field(name, value string) {
	w.raw(`<`)
	w.raw(name)
	w.raw(`>`)
	w.text(name, value)
	w.raw(`</`)
	w.raw(name)
	w.raw(`>`)
}

func (w *writer) limit(field, reason, value string, n int) {
	if len(value) > n && utf8.RuneCountInString(value) > n {
		w.fail(field, reason)
	}
}

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// text writes character data such that a parser gives back the same bytes. A carriage return needs a reference, because
// a parser turns a literal one into a line feed.
func (w *writer) text(field, s string) {
	if !validText(s) {
		w.fail(field, "holds text that XML cannot carry")
		return
	}
	done := 0
	for i := 0; i < len(s); i++ {
		var ref string
		switch s[i] {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '\r':
			ref = "&#13;"
		default:
			continue
		}
		w.raw(s[done:i])
		w.raw(ref)
		done = i + 1
	}
	w.raw(s[done:])
}
