package cwmp_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// examples are the messages of i4.md D.5 with their method.
var examples = []struct{ file, method string }{
	{"01-pc-get-password", "Inform"},
	{"02-pc-register", "Inform"},
	{"03-mobile-register-inform", "Inform"},
	{"04-boot-periodic-inform", "Inform"},
	{"05-diagnostics-inform", "Inform"},
	{"06-statistics-inform", "Inform"},
	{"07-set-parameter-values", "SetParameterValues"},
	{"08-set-parameter-values-response", "SetParameterValuesResponse"},
	{"09-get-parameter-values", "GetParameterValues"},
	{"10-get-parameter-values-response", "GetParameterValuesResponse"},
	{"11-download", "Download"},
	{"12-download-response", "DownloadResponse"},
	{"13-transfer-complete", "TransferComplete"},
	{"14-transfer-complete-response", "TransferCompleteResponse"},
	{"15-inform-response", "InformResponse"},
	{"16-challenge-set-parameter-values", "SetParameterValues"},
	{"17-proof-get-parameter-values", "GetParameterValues"},
	{"18-proof-get-parameter-values-response", "GetParameterValuesResponse"},
	{"19-denied-set-parameter-values", "SetParameterValues"},
	{"20-pc-register-timestamp-inform", "Inform"},
	{"21-screen-bootstrap-inform", "Inform"},
	{"22-change-password-inform", "Inform"},
	{"23-change-password-proof-response", "GetParameterValuesResponse"},
	{"24-logoff-inform", "Inform"},
	{"25-acs-fault-8000", "Fault"},
	{"26-cpe-fault-spv-9003", "Fault"},
	{"27-diagnostics-set-parameter-values", "SetParameterValues"},
	{"28-inform-with-1-4-headers", "Inform"},
	{"29-inform-response-with-use-cwmp-version", "InformResponse"},
	{"30-get-rpc-methods-response", "GetRPCMethodsResponse"},
	{"31-transfer-complete-boot-inform", "Inform"},
	{"32-request-download", "RequestDownload"},
}

func example(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, body []byte, contentType string) *cwmp.Envelope {
	t.Helper()
	e, err := cwmp.Decode(body, contentType)
	if err != nil {
		t.Fatalf("decode: %v\n%s", err, body)
	}
	return e
}

func encode(t testing.TB, e *cwmp.Envelope) []byte {
	t.Helper()
	b, err := cwmp.Encode(e)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return b
}

// TestExamples reads every example message, writes it again, and holds the result against the example, the golden file
// and the schema.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) != len(examples) {
		t.Fatalf("%d example files, %d in the table (%v)", len(files), len(examples), err)
	}
	schema := loadSchema(t, "testdata/xsd/cwmp-1-2.xsd")
	for _, x := range examples {
		t.Run(x.file, func(t *testing.T) {
			t.Parallel()
			in := example(t, x.file)
			want := parseTree(t, in)
			schema.check(t, want)

			before := bytes.Clone(in)
			e := decode(t, in, `text/xml; charset="utf-8"`)
			if !bytes.Equal(in, before) {
				t.Error("decode wrote into the body of the caller")
			}
			if e.Body.Method() != x.method || e.Version != cwmp.V1_2 || e.ID != want.find("ID").text {
				t.Fatalf("method %s, version %v, ID %q", e.Body.Method(), e.Version, e.ID)
			}
			if _, unknown := e.Body.(*cwmp.Unknown); unknown {
				return // its arguments are not kept
			}

			out := encode(t, e)
			golden := filepath.Join("testdata", "golden", x.file+".xml")
			if *update {
				if err := os.WriteFile(golden, out, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if b, err := os.ReadFile(golden); err != nil || !bytes.Equal(b, out) {
				t.Errorf("not the golden file (%v):\n%s", err, out)
			}
			got := parseTree(t, out)
			schema.check(t, got)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("not the message of the example:\n%s", out)
			}
			if again := decode(t, out, ""); !reflect.DeepEqual(again, e) {
				t.Errorf("decodes to %+v, want %+v", again, e)
			}
		})
	}
}

// TestExampleFields spells out what some examples decode to, since equality of documents alone would not notice fields
// that are swapped in both directions.
func TestExampleFields(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	check := func(name string, want *cwmp.Envelope) {
		t.Helper()
		if got := decode(t, example(t, name), ""); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v %+v\nwant %+v %+v", name, got, got.Body, want, want.Body)
		}
	}
	s := func(name, value string) cwmp.ParameterValue {
		return cwmp.ParameterValue{Name: name, Type: "xsd:string", Value: value}
	}
	check("28-inform-with-1-4-headers", &cwmp.Envelope{
		Version: cwmp.V1_2, ID: "1012", SessionTimeout: 40,
		SupportedVersions: []string{"1.0", "1.1", "1.2", "1.3", "1.4"},
		Body: &cwmp.Inform{
			DeviceID: cwmp.DeviceID{
				Manufacturer: "ExampleSoft", OUI: "00005E", ProductClass: "IMSPC",
				SerialNumber: "7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5",
			},
			Events:       []cwmp.Event{{Code: "2 PERIODIC"}},
			MaxEnvelopes: 1,
			CurrentTime:  at("2012-01-10T02:10:00Z"),
			RetryCount:   1,
			Parameters: []cwmp.ParameterValue{
				s("Device.RootDataModelVersion", "2.2"),
				s("Device.DeviceInfo.HardwareVersion", "Windows"),
				s("Device.DeviceInfo.SoftwareVersion", "2.0.3"),
				s("Device.DeviceInfo.ProvisioningCode", ""),
				s("Device.ManagementServer.ConnectionRequestURL", ""),
				s("Device.ManagementServer.ParameterKey", "cfg-000000041"),
				s("Device.X_CT-COM_SoftClient.ClientType", "PC"),
				s("Device.X_CT-COM_SoftClient.LoginSessionId", "b4a1d2c3e4f5061728394a5b6c7d8e9f"),
				s("Device.X_CT-COM_UserInfo.UserName", "02162345678"),
			},
		},
	})
	check("29-inform-response-with-use-cwmp-version", &cwmp.Envelope{
		Version: cwmp.V1_2, ID: "1012", UseVersion: "1.4", Body: &cwmp.InformResponse{},
	})
	check("26-cpe-fault-spv-9003", &cwmp.Envelope{Version: cwmp.V1_2, ID: "5003", Body: &cwmp.Fault{
		Code: 9003, String: "Invalid arguments", SOAPCode: "Client",
		Parameters: []cwmp.ParameterFault{{
			Name: "Device.Services.VoiceService.1.VoiceProfile.1.X_CT-COM_Video.CodecList",
			Code: 9005, String: "Invalid parameter name",
		}},
	}})
	check("13-transfer-complete", &cwmp.Envelope{Version: cwmp.V1_2, ID: "1007", Body: &cwmp.TransferComplete{
		CommandKey: "upg-20120110-000137-7f3c0a9e",
		StartTime:  at("2012-01-10T02:12:05Z"), CompleteTime: at("2012-01-10T02:14:44Z"),
	}})
	check("11-download", &cwmp.Envelope{Version: cwmp.V1_2, ID: "5020", Body: &cwmp.Download{
		CommandKey: "upg-20120110-000137-7f3c0a9e", FileType: "1 Firmware Upgrade Image", FileSize: 18_350_080, TargetFileName: "imspc-2.1.0.exe", DelaySeconds: 120,
		URL: "https://dl.i4.example.net/p/p7K3xQ9w/imspc-2.1.0.exe?d=364a82e82bcd5b9e&e=4f0c1a80&s=SGLuQySgHcdJLYqVBA61Si_yPKI05BTsiXl5LuuAt0A",
	}})
	check("12-download-response", &cwmp.Envelope{Version: cwmp.V1_2, ID: "5020", Body: &cwmp.DownloadResponse{Status: 1}})
	check("30-get-rpc-methods-response", &cwmp.Envelope{Version: cwmp.V1_2, ID: "1013", Body: &cwmp.GetRPCMethodsResponse{
		Methods: []string{"Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload"},
	}})
	check("32-request-download", &cwmp.Envelope{
		Version: cwmp.V1_2, ID: "1014", Body: &cwmp.RequestDownload{FileType: "1 Firmware Upgrade Image", Args: []cwmp.Arg{{Name: "Version", Value: "2.0.3"}}},
	})
}

// node is a document as encoding/xml reads it, without what two equal messages may differ in: prefixes, order of
// attributes, white space between elements, and the zone of times.
type node struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string
	children []*node
}

func parseTree(t testing.TB, b []byte) *node {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	root := &node{}
	open := []*node{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name}
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" {
					n.attrs = append(n.attrs, a)
				}
			}
			slices.SortFunc(n.attrs, func(a, b xml.Attr) int { return strings.Compare(a.Name.Local, b.Name.Local) })
			top.children = append(top.children, n)
			open = append(open, n)
		case xml.CharData:
			top.text += string(token)
		case xml.EndElement:
			if len(top.children) > 0 {
				top.text = ""
			}
			if v, err := time.Parse(time.RFC3339, top.text); err == nil && strings.HasSuffix(top.name.Local, "Time") {
				top.text = v.UTC().Format(time.RFC3339)
			}
			open = open[:len(open)-1]
		}
	}
	return root.children[0]
}

// find returns the first element of this name at or below n, or an empty one.
func (n *node) find(local string) *node {
	if n.name.Local == local {
		return n
	}
	for _, c := range n.children {
		if found := c.find(local); found.name.Local != "" {
			return found
		}
	}
	return &node{}
}
