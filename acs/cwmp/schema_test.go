package cwmp_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
)

const (
	soapEnv = "http://schemas.xmlsoap.org/soap/envelope/"
	soapEnc = "http://schemas.xmlsoap.org/soap/encoding/"
)

// schema is as much of XML Schema as the CWMP schemas use for structure: which elements exist, in which order and how
// often. Facets of text are not looked at.
type schema struct {
	Elements []*declaration `xml:"element"`
	Types    []*complexType `xml:"complexType"`
}

type declaration struct {
	Name   string       `xml:"name,attr"`
	Type   string       `xml:"type,attr"`
	Min    string       `xml:"minOccurs,attr"`
	Max    string       `xml:"maxOccurs,attr"`
	Inline *complexType `xml:"complexType"`
}

type complexType struct {
	Name     string         `xml:"name,attr"`
	Sequence []*declaration `xml:"sequence>element"`
	Array    struct {
		Base     string         `xml:"base,attr"`
		Sequence []*declaration `xml:"sequence>element"`
	} `xml:"complexContent>restriction"`
}

func loadSchema(t testing.TB, file string) *schema {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{}
	if err := xml.Unmarshal(b, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// check reports where a whole message breaks the schema.
func (s *schema) check(t testing.TB, envelope *node) {
	t.Helper()
	if envelope.name != (xml.Name{Space: soapEnv, Local: "Envelope"}) {
		t.Fatalf("root is %v", envelope.name)
	}
	body := envelope.children[len(envelope.children)-1]
	if body.name != (xml.Name{Space: soapEnv, Local: "Body"}) || len(body.children) != 1 {
		t.Fatalf("last child is %v with %d children", body.name, len(body.children))
	}
	message := body.children[0]
	if message.name.Space == soapEnv {
		message = message.find("detail").children[0]
	}
	headers := envelope.children[0].children
	if envelope.children[0] == body {
		headers = nil
	}
	for _, n := range append(headers, message) {
		d := s.global(n.name.Local)
		if !strings.HasPrefix(n.name.Space, "urn:dslforum-org:cwmp-1-") || d == nil && n == message {
			t.Errorf("%v is not declared", n.name)
			continue
		}
		if n != message {
			continue // headers of 1.3 and 1.4 are declared in files that only add them
		}
		if err := s.element(d, n); err != nil {
			t.Error(err)
		}
	}
}

func (s *schema) global(name string) *declaration {
	for _, d := range s.Elements {
		if d.Name == name {
			return d
		}
	}
	return nil
}

func (s *schema) element(d *declaration, n *node) error {
	typ := d.Inline
	if name, found := strings.CutPrefix(d.Type, "tns:"); found {
		for _, x := range s.Types {
			if x.Name == name {
				typ = x
			}
		}
	}
	if typ == nil {
		if len(n.children) > 0 {
			return fmt.Errorf("%s is simple and has children", n.name.Local)
		}
		return nil
	}
	sequence := typ.Sequence
	if strings.HasSuffix(typ.Array.Base, ":Array") {
		sequence = typ.Array.Sequence
		if err := arrayType(n); err != nil {
			return err
		}
	}
	rest := n.children
	for _, d := range sequence {
		count := 0
		for ; len(rest) > 0 && rest[0].name == (xml.Name{Local: d.Name}); rest = rest[1:] {
			if err := s.element(d, rest[0]); err != nil {
				return fmt.Errorf("%s > %w", n.name.Local, err)
			}
			count++
		}
		least, most := bound(d.Min), bound(d.Max)
		if count < least || most >= 0 && count > most {
			return fmt.Errorf("%s: %d times %s", n.name.Local, count, d.Name)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s: %v is not declared here", n.name.Local, rest[0].name)
	}
	return nil
}

func bound(s string) int {
	switch s {
	case "":
		return 1
	case "unbounded":
		return -1
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// arrayType compares the count of an array with its members, and the type in it with their names.
func arrayType(n *node) error {
	for _, a := range n.attrs {
		if a.Name != (xml.Name{Space: soapEnc, Local: "arrayType"}) {
			continue
		}
		_, kind, _ := strings.Cut(a.Value, ":")
		for _, c := range n.children {
			if want := fmt.Sprintf("%s[%d]", c.name.Local, len(n.children)); kind != want {
				return fmt.Errorf("%s has arrayType %s, want %s", n.name.Local, kind, want)
			}
		}
		if len(n.children) == 0 && !strings.HasSuffix(kind, "[0]") {
			return fmt.Errorf("%s has arrayType %s and no members", n.name.Local, kind)
		}
		return nil
	}
	return fmt.Errorf("%s has no arrayType", n.name.Local)
}

// everything is one message of each type, with all that it can hold.
func everything() []cwmp.Message {
	values := []cwmp.ParameterValue{
		{Name: "Device.A", Type: "xsd:string", Value: "a < b & c > d ]]> \"e\" 'f'\r\n\tg 软客户端 😀"},
		{Name: "Device.B", Type: "xsd:boolean", Value: "1"},
		{Name: "Device.C", Type: "xsd:dateTime", Value: "2012-01-10T01:30:03Z"},
		{Name: "Device.D", Type: "xsd:base64Binary", Value: "AAEC"},
		{Name: "Device.E", Type: "xsd:string", Value: "<FaultCode>9002</FaultCode>"},
	}
	return []cwmp.Message{
		&cwmp.Inform{
			DeviceID: cwmp.DeviceID{Manufacturer: "A&B", OUI: "00005E", ProductClass: "IMSPC", SerialNumber: "1"},
			Events:   []cwmp.Event{{Code: "1 BOOT"}, {Code: "M Reboot", CommandKey: "k"}}, MaxEnvelopes: 1, RetryCount: 3,
			Parameters: values,
		},
		&cwmp.InformResponse{},
		&cwmp.GetRPCMethods{},
		&cwmp.GetRPCMethodsResponse{Methods: []string{"Inform", "Reboot"}},
		&cwmp.SetParameterValues{Parameters: values, ParameterKey: "cfg-000000042"},
		&cwmp.SetParameterValues{},
		&cwmp.SetParameterValuesResponse{Status: 1},
		&cwmp.GetParameterValues{Names: []string{"Device.A", "Device.X."}},
		&cwmp.GetParameterValuesResponse{Parameters: values},
		&cwmp.GetParameterNames{ParameterPath: "Device.", NextLevel: true},
		&cwmp.GetParameterNamesResponse{Parameters: []cwmp.ParameterInfo{{Name: "Device.A."}, {Name: "Device.B", Writable: true}}},
		&cwmp.AddObject{ObjectName: "Device.A.", ParameterKey: "cfg-000000042"},
		&cwmp.AddObjectResponse{InstanceNumber: 2, Status: 1},
		&cwmp.Reboot{CommandKey: "k"},
		&cwmp.RebootResponse{},
		&cwmp.GetParameterAttributes{Names: []string{"Device.A", "Device.X."}},
		&cwmp.GetParameterAttributesResponse{Parameters: []cwmp.ParameterAttribute{
			{Name: "Device.A", Notification: 2, AccessList: []string{"Subscriber"}}, {Name: "Device.B"},
		}},
		&cwmp.SetParameterAttributes{Parameters: []cwmp.AttributeChange{
			{Name: "Device.A", NotificationChange: true, Notification: 1}, {Name: "Device.X.", AccessListChange: true, AccessList: []string{"Subscriber"}},
		}},
		&cwmp.SetParameterAttributesResponse{},
		&cwmp.AddObject{ObjectName: "Device.X.", ParameterKey: "cfg-000000042"},
		&cwmp.AddObjectResponse{InstanceNumber: 3, Status: 1},
		&cwmp.DeleteObject{ObjectName: "Device.X.3."},
		&cwmp.DeleteObjectResponse{Status: 1},
		&cwmp.FactoryReset{},
		&cwmp.FactoryResetResponse{},
		&cwmp.ScheduleInform{DelaySeconds: 60, CommandKey: "k"},
		&cwmp.ScheduleInformResponse{},
		&cwmp.TransferComplete{CommandKey: "k", FaultCode: 9010, FaultString: "File transfer failure"},
		&cwmp.TransferCompleteResponse{},
		&cwmp.Download{
			CommandKey: "k", FileType: "1 Firmware Upgrade Image", URL: "https://a/p/1/n?d=1&e=2&s=3", Username: "u", Password: "p", FileSize: 4294967295,
			TargetFileName: "n", DelaySeconds: 7, SuccessURL: "https://a/1", FailureURL: "https://a/2",
		},
		&cwmp.DownloadResponse{Status: 1},
		&cwmp.RequestDownload{FileType: "1 Firmware Upgrade Image", Args: []cwmp.Arg{{Name: "Version", Value: "2"}, {Name: "A&B"}}},
		&cwmp.RequestDownloadResponse{},
		&cwmp.AutonomousTransferComplete{
			AnnounceURL: "http://a", TransferURL: "http://b", IsDownload: true, FileType: "1 Firmware Upgrade Image", FileSize: 9, TargetFileName: "n",
			FaultCode: 9010, FaultString: "File transfer failure",
		},
		&cwmp.AutonomousTransferCompleteResponse{},
		&cwmp.Fault{
			Code: 9003, String: "Invalid arguments", SOAPCode: "Server",
			Parameters: []cwmp.ParameterFault{{Name: "Device.A", Code: 9005, String: "x"}, {Name: "Device.B", Code: 9007}},
		},
	}
}
