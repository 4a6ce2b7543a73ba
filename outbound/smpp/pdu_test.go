package smpp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/outbound/smpp"
)

// octets reads hexadecimal with spaces.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wire are PDUs whose octets were put together by hand from SMPP 3.4 chapters 4 and 5.
var wire = []struct {
	name   string
	octets string
	pdu    smpp.PDU
}{
	{"bind_transceiver", "0000002F 00000009 00000000 00000001" +
		" 736F667461637300 73656372657400 00 34 01 01 3836 31 00 0000000000000000000000",
		smpp.PDU{}}, // its length is wrong on purpose: see TestMalformed
	{"bind_transceiver", "00000027 00000009 00000000 00000001 736F667461637300 73656372657400 5600 34 00 00 383600",
		smpp.PDU{Command: smpp.BindTransceiver, Sequence: 1, Bind: &smpp.Bind{SystemID: "softacs", Password: "secret", SystemType: "V", InterfaceVersion: 0x34, AddressRange: "86"}}},
	{"bind_transceiver_resp", "00000015 80000009 00000000 00000001 736D736300",
		smpp.PDU{Command: smpp.BindTransceiverResp, Sequence: 1, Answer: "smsc"}},
	{"bind_transceiver_resp refused", "00000010 80000009 0000000E 00000001",
		smpp.PDU{Command: smpp.BindTransceiverResp, Status: smpp.InvalidPassword, Sequence: 1}},
	{"submit_sm", "00000047 00000004 00000000 00000002 00 000131303038 3600 0101 3836313338303031333830303000 00 00 00 00" +
		" 30303030303030303130303030303052 00 01 00 08 00 04 4FE1 0041",
		smpp.PDU{Command: smpp.SubmitSM, Sequence: 2, SM: &smpp.SM{
			Source: smpp.Address{NPI: 1, Digits: "10086"}, Dest: smpp.Address{TON: 1, NPI: 1, Digits: "8613800138000"},
			ValidityPeriod: "000000001000000R", RegisteredDelivery: 1, DataCoding: 8, Message: "\x4f\xe1\x00A",
		}}},
	{"submit_sm_resp", "00000015 80000004 00000000 00000002 3141324200",
		smpp.PDU{Command: smpp.SubmitSMResp, Sequence: 2, Answer: "1A2B"}},
	{"submit_sm_resp throttled", "00000010 80000004 00000058 00000002",
		smpp.PDU{Command: smpp.SubmitSMResp, Status: smpp.Throttled, Sequence: 2}},
	{"deliver_sm with a receipt", "00000041 00000005 00000000 00000003 00 010138363133383030313338303030 00 000131303038 3600" +
		" 04 00 00 00 00 00 00 00 00 00 001E 0005 3141324200 0427 0001 02",
		smpp.PDU{Command: smpp.DeliverSM, Sequence: 3, SM: &smpp.SM{
			Source: smpp.Address{TON: 1, NPI: 1, Digits: "8613800138000"}, Dest: smpp.Address{NPI: 1, Digits: "10086"},
			ESMClass: 4, ReceiptedMessageID: "1A2B", MessageState: 2,
		}}},
	{"deliver_sm_resp", "00000011 80000005 00000064 00000003 00",
		smpp.PDU{Command: smpp.DeliverSMResp, Status: smpp.ReceiverTemporary, Sequence: 3}},
	{"enquire_link", "00000010 00000015 00000000 7FFFFFFF", smpp.PDU{Command: smpp.EnquireLink, Sequence: 0x7FFFFFFF}},
	{"unbind_resp", "00000010 80000006 00000000 00000004", smpp.PDU{Command: smpp.UnbindResp, Sequence: 4}},
	{"generic_nack", "00000010 80000000 00000003 00000005", smpp.PDU{Command: smpp.GenericNack, Status: smpp.InvalidCommand, Sequence: 5}},
}

func TestPDUsOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range wire[1:] {
		raw := octets(t, c.octets)
		if got, err := smpp.Decode(raw); err != nil || !reflect.DeepEqual(got, c.pdu) {
			t.Errorf("%s is read as %+v, %v", c.name, got, err)
		}
		if got, err := smpp.Encode(c.pdu); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s is written as %X, %v", c.name, got, err)
		}
	}
}

func TestLongMessagesTravelAsPayload(t *testing.T) {
	t.Parallel()
	p := smpp.PDU{Command: smpp.DeliverSM, SM: &smpp.SM{Message: models.Secret(strings.Repeat("x", 300))}}
	raw, err := smpp.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := smpp.Decode(raw); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("read as %+v, %v", got, err)
	}
	p.SM.Message = models.Secret(strings.Repeat("x", smpp.MaxPDU))
	if _, err := smpp.Encode(p); err == nil {
		t.Error("a PDU beyond the limit was written")
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	full := octets(t, wire[1].octets)
	var malformed *smpp.MalformedError
	for end := 16; end < len(full); end++ {
		cut := bytes.Clone(full[:end])
		cut[3] = byte(end)
		if p, err := smpp.Decode(cut); !errors.As(err, &malformed) || p.Sequence != 1 {
			t.Errorf("cut at %d: %v", end, err)
		}
	}
	for name, text := range map[string]string{
		"a name without end":           "00000014 80000004 00000000 00000001 31323334",
		"a message that is too short":  "00000032 00000005 00000000 00000003 00 0101 38363133383030313338303030 00 00 01 3130303836 00 04 00 00 00 00 00",
		"an optional parameter cut":    "00000042 00000005 00000000 00000003 00 010138363133383030313338303030 00 000131303038 3600 04 00 00 00 00 00 00 00 00 00 001E 0009 31413242000427",
		"an optional parameter's head": "00000037 00000005 00000000 00000003 00 010138363133383030313338303030 00 000131303038 3600 04 00 00 00 00 00 00 00 00 00 00",
	} {
		raw := octets(t, text)
		raw[3] = byte(len(raw))
		if _, err := smpp.Decode(raw); !errors.As(err, &malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"shorter than a header": "0000000F 80000004 00000000 000001", "longer than 64 KiB": "00010001 80000004 00000000 00000001", "another length": wire[0].octets} {
		raw := octets(t, text)
		if _, err := smpp.Decode(raw); err == nil || errors.As(err, &malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := smpp.Read(bytes.NewReader(full[:20])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a connection that ends within a PDU: %v", err)
	}
	if _, err := smpp.Read(bytes.NewReader(octets(t, "FFFFFFFF 00"))); err == nil {
		t.Error("a PDU of 4 GiB is read")
	}
}

func TestWhatHasNoFormIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]smpp.PDU{
		"a long id":       {Command: smpp.BindTransceiver, Bind: &smpp.Bind{SystemID: strings.Repeat("x", 16)}},
		"a long password": {Command: smpp.BindTransceiver, Bind: &smpp.Bind{Password: "123456789"}},
		"a NUL":           {Command: smpp.SubmitSM, SM: &smpp.SM{Source: smpp.Address{Digits: "1\x002"}}},
		"a long number":   {Command: smpp.SubmitSM, SM: &smpp.SM{Dest: smpp.Address{Digits: strings.Repeat("1", 21)}}},
		"a long name":     {Command: smpp.SubmitSMResp, Answer: strings.Repeat("1", 65)},
	} {
		if _, err := smpp.Encode(p); err == nil || strings.Contains(err.Error(), "123456789") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever arrives is read or refused; what is read can be written and reads the same.
func FuzzPDU(f *testing.F) {
	for _, c := range wire {
		f.Add(octets(f, c.octets))
	}
	f.Add(octets(f, "00000010 00000103 00000000 00000001"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := smpp.Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		written, err := smpp.Encode(p)
		if err != nil {
			return // it was read with more room than may be written
		}
		again, err := smpp.Decode(written)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
