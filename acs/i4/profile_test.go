package i4

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
)

func load(t *testing.T, override string) *Profile {
	t.Helper()
	p, err := Load([]byte(override))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoadEmbedded(t *testing.T) {
	p := load(t, "")
	for name, want := range map[string]string{
		"sip.outboundProxy":         "Device.Services.VoiceService.1.VoiceProfile.1.SIP.OutboundProxy",
		"line.sip.authPassword":     "Device.Services.VoiceService.1.VoiceProfile.1.Line.1.SIP.AuthPassword",
		"managementServer.password": "Device.ManagementServer.Password",
		"ui.userName":               "Device.X_CT-COM_UserInfo.UserName",
	} {
		if path, ok := p.Path(name); !ok || path != want {
			t.Errorf("Path(%s) = %s, %v", name, path, ok)
		}
		if got := p.Name(want); got != name {
			t.Errorf("Name(%s) = %s", want, got)
		}
	}
	if _, ok := p.Path("sip.nothing"); ok {
		t.Error("an unknown logical name has a path")
	}
	if d := p.Heartbeat(models.Generic); d != 24*time.Hour {
		t.Errorf("heartbeat of GENERIC: %v", d)
	}
}

// Resolutions 38: everything but these is optional.
func TestMandatoryParameters(t *testing.T) {
	want := map[string]bool{}
	for _, name := range []string{
		"managementServer.username", "managementServer.password", "managementServer.periodicInformEnable", "managementServer.periodicInformInterval",
		"auth.serverProof", "ui.status", "ui.result", "voice.enable", "sip.userAgentDomain", "sip.registrarServer", "sip.outboundProxy",
		"sip.outboundProxyPort", "line.enable", "line.directoryNumber", "line.sip.authUserName", "line.sip.authPassword", "line.sip.uri",
	} {
		want[name] = true
	}
	for _, parameter := range load(t, "").Catalogue() {
		if parameter.Optional == want[parameter.Name] {
			t.Errorf("%s: optional = %v", parameter.Name, parameter.Optional)
		}
	}
}

// Resolutions 71: leaves belong to the service whose object contains them.
func TestServiceLeaves(t *testing.T) {
	p := load(t, "")
	for name, want := range map[string][2]string{
		"video.codecList":                  {"VIDEO", "CodecList"},
		"presence.serverURI":               {"PRESENCE", "ServerURI"},
		"addressBook.url":                  {"ADDRESS_BOOK", "URL"},
		"voice.dtmfMethod":                 {"VOICE", "DTMFMethod"},
		"sip.registerExpires":              {"VOICE", "SIP.RegisterExpires"},
		"line.features.callWaitingEnable":  {"CALL_WAITING", "CallWaitingEnable"},
		"line.features.mwiEnable":          {"CALL_WAITING", "MWIEnable"},
		"line.sip.authPassword":            {},
		"managementServer.password":        {},
		"line.features.callerIDEnable":     {"CALLER_ID", "CallerIDEnable"},
		"line.features.callTransferEnable": {"CALL_FORWARD", "CallTransferEnable"},
	} {
		parameter, ok := p.Parameter(name)
		if !ok || parameter.Service != want[0] || parameter.Leaf != want[1] {
			t.Errorf("%s: %s %s", name, parameter.Service, parameter.Leaf)
		}
	}
	services := p.Services("ims.example.net")
	if len(services) != 9 || services["PRESENCE"].On["presence.serverURI"] != "sip:presence@ims.example.net" {
		t.Errorf("services: %v", services)
	}
}

func TestDefaults(t *testing.T) {
	p := load(t, "defaults: {PC: {sip.registerExpires: \"1800\"}, ALL: {sip.outboundProxy: \"sbc.{domain}\"}}")
	pc, mobile := p.Defaults(models.PC, "example.org"), p.Defaults(models.Mobile, "example.org")
	for _, c := range []struct{ got, want string }{
		{pc["sip.registerExpires"], "1800"}, {mobile["sip.registerExpires"], "3600"},
		{pc["sip.outboundProxy"], "sbc.example.org"}, {pc["sip.userAgentDomain"], "example.org"},
		{pc["managementServer.periodicInformInterval"], "600"}, {mobile["managementServer.periodicInformInterval"], "1800"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if len(p.Defaults(models.Generic, "example.org")) != 0 {
		t.Error("GENERIC has defaults")
	}
}

func TestOverride(t *testing.T) {
	p := load(t, `
objects: {UI: InternetGatewayDevice.X_CT-COM_UserInfo.}
events: {REGISTER: {code: X CT-COM LOGIN, aliases: []}}
results: {LOCKED: {status: 111}}
parameters:
  sip.outboundProxy: {optional: true}
  custom.colour: {path: VP.X_Colour, type: enum(red|blue), write: true}
`)
	if path, _ := p.Path("ui.userName"); path != "InternetGatewayDevice.X_CT-COM_UserInfo.UserName" {
		t.Error(path)
	}
	if code := p.EventCode(models.EventRegister); code != "X CT-COM LOGIN" {
		t.Error(code)
	}
	if status, err := p.Status(models.ResultLocked); status != 111 || err != nil {
		t.Error(status, err)
	}
	if proxy, _ := p.Parameter("sip.outboundProxy"); !proxy.Optional || proxy.Path == "" {
		t.Errorf("%+v", proxy)
	}
	if colour, _ := p.Parameter("custom.colour"); colour.Service != "VOICE" || colour.Leaf != "X_Colour" {
		t.Errorf("%+v", colour)
	}
}

func TestOverrideErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"section", "event: {}", "unknown key event, the nearest known one is events"},
		{"entry", "events: {REGISTR: {code: X}}", "unknown key events.REGISTR, the nearest known one is events.REGISTER"},
		{"field", "results: {OK: {txt: fine}}", "unknown key results.OK.txt, the nearest known one is results.OK.text"},
		{"parameter", "parameters: {sip.outbundProxy: {optional: true}}", "the nearest known one is parameters.sip.outboundProxy"},
		{"default", "defaults: {PC: {sip.outbondProxy: a}}", "the nearest known one is sip.outboundProxy"},
		{"default type", "defaults: {MOBIL: {sip.outboundProxy: a}}", "the nearest known one is MOBILE"},
		{"default value", "defaults: {PC: {sip.outboundProxyPort: many}}", "must be a whole number from 0 to 65535"},
		{"read-only default", "defaults: {PC: {line.status: Up}}", "not writable"},
		{"level", "events: {REGISTER: {level: L7}}", "must be L0 or L1"},
		{"code twice", "events: {REGISTER: {code: X CT-COM GETPWD}}", "already means"},
		{"type", "parameters: {sip.outboundProxy: {type: text}}", "is none of"},
		{"path twice", "parameters: {sip.outboundProxy: {path: VP.SIP.ProxyServer}}", "the same path"},
		{"path", "parameters: {sip.outboundProxy: {path: proxy}}", "upper-case"},
		{"service", "parameters: {sip.outboundProxy: {service: VIDEO}}", "does not contain it"},
		{"client type", "events: {REGISTER: {types: [PHONE]}}", "unknown client type PHONE"},
		{"form", "events: []", "wrong form"},
		{"list", "- a", "not a mapping"},
		{"two documents", "events: {}\n---\nevents: {}", "more than one document"},
		{"YAML", "events: {", "i4.profile"},
		{"class twice", "clientTypes: {MOBILE: {productClasses: [IMSPC]}}", "belongs to two types"},
		{"heartbeat", "clientTypes: {PC: {heartbeat: 0}}", "at least 1"},
		{"entry form", "events: {REGISTER: 5}", "not a mapping"},
		{"number", "clientTypes: {PC: {heartbeat: soon}}", "i4.profile"},
		{"negative status", "results: {OK: {status: -1}}", "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestIsSecret(t *testing.T) {
	p := load(t, "")
	for path, want := range map[string]bool{
		"auth.proof": true, "Device.X_CT-COM_UserInfo.Auth.Proof": true, "Device.X_CT-COM_UserInfo.Auth.NewSomething": true,
		"ui.imsi": true, "Device.ManagementServer.Password": true, "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword": true,
		"Device.WiFi.AccessPoint.1.Security.KeyPassphrase": true, "X_VENDOR_adminpassword": true,
		"auth.salt": false, "ui.userName": false, "Device.DeviceInfo.SoftwareVersion": false, "Device.X_CT-COM_UserInfo.Auth.Proofs": false,
	} {
		if got := p.IsSecret(path); got != want {
			t.Errorf("IsSecret(%s) = %v", path, got)
		}
	}
}

func TestCheck(t *testing.T) {
	p := load(t, "")
	for _, c := range []struct {
		name, typ, value, want, wantType string
		code                             models.Code
	}{
		{name: "video.enable", value: "true", want: "1", wantType: "xsd:boolean"},
		{name: "video.enable", value: "0", want: "0", wantType: "xsd:boolean"},
		{name: "video.enable", value: "yes", code: models.Invalid},
		{name: "sip.outboundProxyPort", value: " 5060 ", want: "5060", wantType: "xsd:unsignedInt"},
		{name: "sip.outboundProxyPort", value: "65536", code: models.Invalid},
		{name: "sip.outboundProxyPort", typ: "string", value: "any", want: "any", wantType: "xsd:string"},
		{name: "managementServer.stunMaximumKeepAlivePeriod", value: "-1", want: "-1", wantType: "xsd:int"},
		{name: "managementServer.periodicInformInterval", value: "0", code: models.Invalid},
		{name: "managementServer.periodicInformTime", value: "2012-01-10T09:30:03+08:00", want: "2012-01-10T01:30:03Z", wantType: "xsd:dateTime"},
		{name: "managementServer.periodicInformTime", value: "tomorrow", code: models.Invalid},
		{name: "line.enable", value: "Enabled", want: "Enabled", wantType: "xsd:string"},
		{name: "line.enable", value: "1", code: models.Invalid},
		{name: "message.mode", value: "pager", code: models.Invalid},
		{name: "ui.userName", value: strings.Repeat("漢", 64), want: strings.Repeat("漢", 64), wantType: "xsd:string"},
		{name: "ui.userName", value: strings.Repeat("漢", 65), code: models.TooLong},
		{name: "ui.userName", value: "a\x00", code: models.Invalid},
		{name: "Device.Raw.Thing", value: "x", want: "x", wantType: "xsd:string"},
		{name: "Device.Raw.Thing", typ: "xsd:boolean", value: "TRUE", want: "1", wantType: "xsd:boolean"},
		{name: "Device.Raw.Thing", typ: "xsd:unsignedInt", value: "-1", code: models.Invalid},
		{name: "Device.DeviceInfo.SerialNumber", value: "x", code: models.PolicyDenied},
	} {
		got, err := p.Check(models.Value{Name: c.name, Type: c.typ, Value: c.value})
		if code := models.CodeOf(err); code != c.code {
			t.Errorf("%s %q: %v", c.name, c.value, err)
		} else if err == nil && (got.Value != c.want || got.Type != c.wantType) {
			t.Errorf("%s %q: %+v", c.name, c.value, got)
		}
		var coded *models.Error
		if err != nil && !errors.As(err, &coded) {
			t.Errorf("%s: not a coded error", c.name)
		}
	}
	if v, err := p.Check(models.Value{Name: "line.sip.authPassword", Value: "x"}); err != nil || !v.Secret {
		t.Error(v, err)
	}
}

func TestIsPersonal(t *testing.T) {
	t.Parallel()
	p := load(t, "")
	for path, want := range map[string]bool{
		"Device.X_CT-COM_UserInfo.UserName": true, "Device.Services.VoiceService.1.VoiceProfile.1.Line.2.DirectoryNumber": true,
		"Device.Services.VoiceService.1.VoiceProfile.1.Line.1.SIP.URI": true, "InternetGatewayDevice.LANDevice.1.IPAddress": true,
		"Device.DeviceInfo.SoftwareVersion": false, "Device.X_CT-COM_SoftClient.ClientType": false,
	} {
		if got := p.IsPersonal(path); got != want {
			t.Errorf("IsPersonal(%s) = %v", path, got)
		}
	}
}
