package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/softacs/softacs/models"
)

// Command says what a PDU is (SMPP 3.4 5.1.2.1). A response has the top bit set.
type Command uint32

// The commands that we know; everything else is answered by generic_nack.
const (
	GenericNack         Command = 0x80000000
	SubmitSM            Command = 0x00000004
	SubmitSMResp        Command = 0x80000004
	DeliverSM           Command = 0x00000005
	DeliverSMResp       Command = 0x80000005
	Unbind              Command = 0x00000006
	UnbindResp          Command = 0x80000006
	BindTransceiver     Command = 0x00000009
	BindTransceiverResp Command = 0x80000009
	EnquireLink         Command = 0x00000015
	EnquireLinkResp     Command = 0x80000015
)

const (
	response          Command = 0x80000000
	alertNotification Command = 0x00000102
)

func (c Command) String() string { return fmt.Sprintf("0x%08X", uint32(c)) }

// Tags of optional parameters that we read (SMPP 3.4 5.3.2).
const (
	tagReceiptedMessageID = 0x001E
	tagMessagePayload     = 0x0424
	tagMessageState       = 0x0427
)

// MaxPDU is the longest PDU that is read or written, in octets.
const MaxPDU = 64 << 10

const headerSize = 16

// PDU is one message of the protocol. Bind, BindResp, SM and SMResp are set as the command asks; the other commands have no body.
type PDU struct {
	Command  Command
	Status   Status
	Sequence uint32

	Bind   *Bind  // bind_transceiver
	SM     *SM    // submit_sm, deliver_sm
	Answer string // system_id of bind_transceiver_resp, message_id of submit_sm_resp and deliver_sm_resp
}

// Bind is the body of bind_transceiver (4.1.5).
type Bind struct {
	SystemID         string
	Password         models.Secret
	SystemType       string
	InterfaceVersion byte
	TON, NPI         byte
	AddressRange     string
}

// Types of number and numbering plans (5.2.5, 5.2.6).
const (
	tonInternational = 1
	tonAlphanumeric  = 5
	npiISDN          = 1
)

// Address is a number with its type and plan.
type Address struct {
	TON, NPI byte
	Digits   string
}

// SM is the body of submit_sm and deliver_sm (4.4.1, 4.6.1), which have the same layout. Message holds octets as DataCoding says; one that came
// as message_payload is there too.
type SM struct {
	ServiceType        string
	Source, Dest       Address
	ESMClass           byte
	ProtocolID         byte
	Priority           byte
	ScheduleTime       string
	ValidityPeriod     string
	RegisteredDelivery byte
	ReplaceIfPresent   byte
	DataCoding         byte
	DefaultMessage     byte
	Message            models.Secret
	ReceiptedMessageID string // optional parameter 0x001E
	MessageState       byte   // optional parameter 0x0427; 0: absent
}

// MalformedError tells that a PDU's header could be read and its body could not; the connection can go on.
type MalformedError struct{ Field string }

func (e *MalformedError) Error() string { return "malformed PDU at " + e.Field }

// errLength means that nothing on the connection can be understood any more.
var errLength = fmt.Errorf("the length of a PDU is not within %d and %d octets", headerSize, MaxPDU)

// Read reads one PDU. With a *MalformedError the header is valid; any other error ends the connection.
func Read(r io.Reader) (PDU, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return PDU{}, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < headerSize || n > MaxPDU {
		return PDU{}, errLength
	}
	octets := make([]byte, n)
	copy(octets, length[:])
	if _, err := io.ReadFull(r, octets[4:]); err != nil {
		return PDU{}, err
	}
	return Decode(octets)
}

// Decode reads the octets of one whole PDU; errors as with Read.
func Decode(octets []byte) (PDU, error) {
	if len(octets) < headerSize || len(octets) > MaxPDU || binary.BigEndian.Uint32(octets) != uint32(len(octets)) {
		return PDU{}, errLength
	}
	p := PDU{
		Command: Command(binary.BigEndian.Uint32(octets[4:])), Status: Status(binary.BigEndian.Uint32(octets[8:])),
		Sequence: binary.BigEndian.Uint32(octets[12:]),
	}
	d := decoder{rest: octets[headerSize:]}
	switch p.Command {
	case BindTransceiver:
		p.Bind = &Bind{SystemID: d.text("system_id", 16), Password: models.Secret(d.text("password", 9)), SystemType: d.text("system_type", 13),
			InterfaceVersion: d.octet("interface_version"), TON: d.octet("addr_ton"), NPI: d.octet("addr_npi"), AddressRange: d.text("address_range", 41)}
	case SubmitSM, DeliverSM:
		p.SM = d.sm()
	case BindTransceiverResp, SubmitSMResp, DeliverSMResp:
		// 4.1.6, 4.4.2: a response that tells an error may have no body. Centres leave it out of good ones too; then there is no name.
		if len(d.rest) > 0 {
			p.Answer = d.text("name", 65)
		}
	}
	return p, d.err
}

// decoder takes fields from the front of rest; after an error everything is empty.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(field string) {
	if d.err == nil {
		d.err = &MalformedError{Field: field}
	}
	d.rest = nil
}

func (d *decoder) octet(field string) byte {
	if len(d.rest) == 0 {
		d.fail(field)
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// text reads a C-octet string of at most size octets with its NUL.
func (d *decoder) text(field string, size int) string {
	for i, b := range d.rest[:min(len(d.rest), size)] {
		if b == 0 {
			s := string(d.rest[:i])
			d.rest = d.rest[i+1:]
			return s
		}
	}
	d.fail(field)
	return ""
}

func (d *decoder) octets(field string, n int) []byte {
	if len(d.rest) < n {
		d.fail(field)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) address(field string) Address {
	return Address{TON: d.octet(field + "_ton"), NPI: d.octet(field + "_npi"), Digits: d.text(field, 21)}
}

func (d *decoder) sm() *SM {
	m := &SM{
		ServiceType: d.text("service_type", 6), Source: d.address("source_addr"), Dest: d.address("dest_addr"),
		ESMClass: d.octet("esm_class"), ProtocolID: d.octet("protocol_id"), Priority: d.octet("priority_flag"),
		ScheduleTime: d.text("schedule_delivery_time", 17), ValidityPeriod: d.text("validity_period", 17),
		RegisteredDelivery: d.octet("registered_delivery"), ReplaceIfPresent: d.octet("replace_if_present_flag"),
		DataCoding: d.octet("data_coding"), DefaultMessage: d.octet("sm_default_msg_id"),
	}
	m.Message = models.Secret(d.octets("short_message", int(d.octet("sm_length"))))
	for len(d.rest) > 0 {
		head := d.octets("optional parameter", 4)
		if head == nil {
			break
		}
		value := d.octets("optional parameter", int(binary.BigEndian.Uint16(head[2:])))
		switch binary.BigEndian.Uint16(head) {
		case tagReceiptedMessageID: // a C-octet string; some centres leave the NUL out
			m.ReceiptedMessageID, _, _ = strings.Cut(string(value[:min(len(value), 65)]), "\x00")
		case tagMessageState:
			if len(value) == 1 {
				m.MessageState = value[0]
			}
		case tagMessagePayload:
			if m.Message == "" {
				m.Message = models.Secret(value)
			}
		}
	}
	return m
}

// errField is a mistake of the caller: what it wants to send has no form in the protocol.
var errField = errors.New("it has no form in SMPP 3.4")

// Encode returns the octets of p, or an error that names the field that is too long or holds a NUL.
func Encode(p PDU) ([]byte, error) {
	e := encoder{octets: make([]byte, headerSize, 256)}
	binary.BigEndian.PutUint32(e.octets[4:], uint32(p.Command))
	binary.BigEndian.PutUint32(e.octets[8:], uint32(p.Status))
	binary.BigEndian.PutUint32(e.octets[12:], p.Sequence)
	switch p.Command {
	case BindTransceiver:
		b := p.Bind
		e.text("system_id", b.SystemID, 16)
		e.text("password", b.Password.Reveal(), 9)
		e.text("system_type", b.SystemType, 13)
		e.octets = append(e.octets, b.InterfaceVersion, b.TON, b.NPI)
		e.text("address_range", b.AddressRange, 41)
	case SubmitSM, DeliverSM:
		e.sm(p.SM)
	case BindTransceiverResp, SubmitSMResp, DeliverSMResp:
		size := 65
		if p.Command == BindTransceiverResp {
			size = 16
		}
		if p.Status == OK || p.Command == DeliverSMResp || p.Answer != "" { // 4.6.2: that of deliver_sm_resp is unused, and always there
			e.text("name", p.Answer, size)
		}
	}
	if len(e.octets) > MaxPDU && e.err == nil {
		e.err = errLength
	}
	binary.BigEndian.PutUint32(e.octets, uint32(len(e.octets)))
	return e.octets, e.err
}

type encoder struct {
	octets []byte
	err    error
}

func (e *encoder) text(field, s string, size int) {
	if (len(s) >= size || strings.ContainsRune(s, 0)) && e.err == nil {
		e.err = fmt.Errorf("%s: %w", field, errField)
	}
	e.octets = append(append(e.octets, s...), 0)
}

func (e *encoder) address(field string, a Address) {
	e.octets = append(e.octets, a.TON, a.NPI)
	e.text(field, a.Digits, 21)
}

func (e *encoder) sm(m *SM) {
	e.text("service_type", m.ServiceType, 6)
	e.address("source_addr", m.Source)
	e.address("dest_addr", m.Dest)
	e.octets = append(e.octets, m.ESMClass, m.ProtocolID, m.Priority)
	e.text("schedule_delivery_time", m.ScheduleTime, 17)
	e.text("validity_period", m.ValidityPeriod, 17)
	e.octets = append(e.octets, m.RegisteredDelivery, m.ReplaceIfPresent, m.DataCoding, m.DefaultMessage)
	message := m.Message.Reveal()
	if len(message) <= 254 { // 5.2.22
		e.octets = append(append(e.octets, byte(len(message))), message...)
	} else {
		e.octets = append(e.octets, 0)
		e.option(tagMessagePayload, message)
	}
	if m.ReceiptedMessageID != "" {
		e.option(tagReceiptedMessageID, m.ReceiptedMessageID+"\x00")
	}
	if m.MessageState != 0 {
		e.option(tagMessageState, string([]byte{m.MessageState}))
	}
}

func (e *encoder) option(tag uint16, value string) {
	if len(value) >= MaxPDU && e.err == nil {
		e.err = errLength
	}
	e.octets = binary.BigEndian.AppendUint16(e.octets, tag)
	e.octets = binary.BigEndian.AppendUint16(e.octets, uint16(len(value)))
	e.octets = append(e.octets, value...)
}
