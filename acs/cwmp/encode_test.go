package cwmp_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
)

// TestEveryMessage takes one message of each type through both directions, in each version.
func TestEveryMessage(t *testing.T) {
	t.Parallel()
	for _, version := range []cwmp.Version{cwmp.V1_0, cwmp.V1_1, cwmp.V1_2} {
		schema := loadSchema(t, fmt.Sprintf("testdata/xsd/cwmp-1-%d.xsd", version))
		for _, m := range everything() {
			want := &cwmp.Envelope{Version: version, ID: "<5003>", Body: m}
			out := encode(t, want)
			if !since12(m) || version == cwmp.V1_2 {
				schema.check(t, parseTree(t, out))
			}
			if !bytes.Contains(out, []byte(`xmlns:cwmp="`+version.Namespace()+`"`)) {
				t.Errorf("%s: not in %s", m.Method(), version.Namespace())
			}
			for _, ns := range []string{"soap-env", "soap-enc", "xsd", "xsi", "cwmp"} {
				if bytes.Count(out, []byte(" xmlns:"+ns+"=")) != 1 {
					t.Errorf("%s: namespace %s is not declared once", m.Method(), ns)
				}
			}
			_, fault := m.(*cwmp.Fault)
			transfer := strings.HasSuffix(m.Method(), "TransferComplete")
			if got := bytes.Contains(out, []byte("<FaultCode>")); got != (fault || transfer) {
				t.Errorf("%s: <FaultCode> found: %t", m.Method(), got)
			}
			if got := decode(t, out, ""); !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\ngot  %+v %+v\nwant %+v %+v", m.Method(), got, got.Body, want, want.Body)
			}
		}
	}
}

// since12 tells whether a message is declared from cwmp-1-1 or 1-2 on only; a client that sends it in an older namespace is answered there.
func since12(m cwmp.Message) bool { return strings.HasPrefix(m.Method(), "Autonomous") }

func TestEncodeFills(t *testing.T) {
	t.Parallel()
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
	for _, x := range []struct {
		name string
		in   cwmp.Message
		want cwmp.Message
	}{
		{"type, boolean, envelopes and seconds",
			&cwmp.Inform{
				CurrentTime: time.Date(2012, 1, 10, 9, 25, 0, 999, time.FixedZone("", 8*3600)),
				Parameters:  []cwmp.ParameterValue{{Name: "A", Value: "x"}, {Name: "B", Type: "xsd:boolean", Value: "True"}},
			},
			&cwmp.Inform{
				MaxEnvelopes: 1, CurrentTime: time.Date(2012, 1, 10, 1, 25, 0, 0, time.UTC),
				Parameters: []cwmp.ParameterValue{
					{Name: "A", Type: "xsd:string", Value: "x"}, {Name: "B", Type: "xsd:boolean", Value: "1"},
				},
			}},
		{"base64",
			&cwmp.SetParameterValues{Parameters: []cwmp.ParameterValue{{Name: "A", Type: "xsd:base64", Value: "AAEC"}}},
			&cwmp.SetParameterValues{Parameters: []cwmp.ParameterValue{{Name: "A", Type: "xsd:base64Binary", Value: "AAEC"}}}},
		{"time that cannot be written", &cwmp.TransferComplete{StartTime: late}, &cwmp.TransferComplete{}},
		{"fault", &cwmp.Fault{Code: 8000}, &cwmp.Fault{Code: 8000, SOAPCode: "Client"}},
		{"unknown method", &cwmp.Unknown{Name: "Kicked"}, &cwmp.Unknown{Name: "Kicked"}},
	} {
		if got := decode(t, encode(t, &cwmp.Envelope{Body: x.in}), "").Body; !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: got %+v, want %+v", x.name, got, x.want)
		}
	}
	if out := encode(t, &cwmp.Envelope{Body: &cwmp.InformResponse{}}); bytes.Contains(out, []byte("Header")) {
		t.Errorf("header without content: %s", out)
	}
}

// foreign is a message that the codec does not know.
type foreign struct{}

func (foreign) Method() string { return "Inform" }

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	set := func(p cwmp.ParameterValue) cwmp.Message {
		return &cwmp.SetParameterValues{Parameters: []cwmp.ParameterValue{{Name: "Device.Fine"}, p}}
	}
	for _, x := range []struct {
		name, field string
		e           cwmp.Envelope
	}{
		{"control character", "Device.A", cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: "Device.A", Value: secret + "\x01"})}},
		{"not UTF-8", "Device.A", cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: "Device.A", Value: secret + "\xFF"})}},
		{"U+FFFE", "Device.A", cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: "Device.A", Value: secret + "\uFFFE"})}},
		{"type without prefix", "Device.A", cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: "Device.A", Type: "string"})}},
		{"type that is no name", "Device.A", cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: "Device.A", Type: `xsd:a"b`})}},
		{"long name", strings.Repeat("a", 257), cwmp.Envelope{Body: set(cwmp.ParameterValue{Name: strings.Repeat("a", 257)})}},
		{"long key", "ParameterKey", cwmp.Envelope{Body: &cwmp.SetParameterValues{ParameterKey: strings.Repeat("k", 33)}}},
		{"long name to get", strings.Repeat("a", 257), cwmp.Envelope{Body: &cwmp.GetParameterValues{Names: []string{strings.Repeat("a", 257)}}}},
		{"long path", "ParameterPath", cwmp.Envelope{Body: &cwmp.GetParameterNames{ParameterPath: strings.Repeat("a", 257)}}},
		{"long command key", "CommandKey", cwmp.Envelope{Body: &cwmp.Reboot{CommandKey: strings.Repeat("k", 33)}}},
		{"method", "Method", cwmp.Envelope{Body: &cwmp.Unknown{Name: "a b"}}},
		{"ID", "ID", cwmp.Envelope{ID: "\x00", Body: &cwmp.InformResponse{}}},
		{"no body", "Body", cwmp.Envelope{}},
		{"foreign body", "Body", cwmp.Envelope{Body: foreign{}}},
	} {
		out, err := cwmp.Encode(&x.e)
		var field *cwmp.FieldError
		if !errors.As(err, &field) || field.Field != x.field || out != nil {
			t.Errorf("%s: got %v", x.name, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the value", x.name)
		}
	}
	// Lengths count characters, not bytes.
	key := strings.Repeat("钥", 32)
	if _, err := cwmp.Encode(&cwmp.Envelope{Body: &cwmp.Reboot{CommandKey: key}}); err != nil {
		t.Error(err)
	}
}

// TestSize holds envelopes for a client to 32 KiB and lets a client report more.
func TestSize(t *testing.T) {
	t.Parallel()
	values := []cwmp.ParameterValue{{Name: "Device.A", Value: "x"}}
	size := len(encode(t, &cwmp.Envelope{Body: &cwmp.SetParameterValues{Parameters: values}}))
	values[0].Value = strings.Repeat("x", 1+cwmp.MaxEnvelope-size)
	if n := len(encode(t, &cwmp.Envelope{Body: &cwmp.SetParameterValues{Parameters: values}})); n != cwmp.MaxEnvelope {
		t.Errorf("%d bytes", n)
	}
	values[0].Value += "x"
	if _, err := cwmp.Encode(&cwmp.Envelope{Body: &cwmp.SetParameterValues{Parameters: values}}); !errors.Is(err, cwmp.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	encode(t, &cwmp.Envelope{Body: &cwmp.Inform{Parameters: values}})
	encode(t, &cwmp.Envelope{Body: &cwmp.GetParameterValuesResponse{Parameters: values}})
}

func TestTimes(t *testing.T) {
	t.Parallel()
	if got := cwmp.FormatTime(time.Time{}); got != "0001-01-01T00:00:00Z" {
		t.Errorf("Unknown Time is %q", got)
	}
	for _, s := range []string{"", "T", "2012-01-10", "2012-01-10T09:25", "2012-13-10T09:25:00Z", "2012-01-10 09:25:00", "9:25"} {
		if got, ok := cwmp.ParseTime(s, nil); ok || !got.IsZero() {
			t.Errorf("%q is %v", s, got)
		}
	}
	if got, ok := cwmp.ParseTime("0001-01-01T00:00:00", nil); !ok || !got.IsZero() {
		t.Errorf("Unknown Time without offset is %v, %t", got, ok)
	}
}
