package i4

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// example reads one of the messages of the book.
func example[T cwmp.Message](t *testing.T, name string) T {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "cwmp", "testdata", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := cwmp.Decode(body, "")
	if err != nil {
		t.Fatal(err)
	}
	m, ok := e.Body.(T)
	if !ok {
		t.Fatalf("%s is a %s", name, e.Body.Method())
	}
	return m
}

func TestInform(t *testing.T) {
	p := load(t, "")
	in, warnings := p.Inform(example[*cwmp.Inform](t, "02-pc-register"), "192.0.2.7")
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	if in.Key != "00005E-IMSPC-7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5" || in.ClientType != models.PC || in.Claimed != "PC" || in.RemoteAddress != "192.0.2.7" {
		t.Errorf("%+v", in)
	}
	if want := (models.InformEvent{Name: models.EventRegister, Code: "X CT-COM REGISTER", L0: true, Vendor: true}); !slices.Equal(in.Events, []models.InformEvent{want}) {
		t.Errorf("events: %+v", in.Events)
	}
	if in.Get("auth.clientNonce") != "5f1c9a0be27d4436b1f08c2d7e6a5b40" || in.Get("ui.userName") != "02162345678" || len(in.Raw) != 14 {
		t.Errorf("%+v", in.Values)
	}
	if want, _ := time.Parse(time.RFC3339, "2012-01-10T09:30:00+08:00"); in.CurrentTime != models.TimeOf(want) {
		t.Error(in.CurrentTime)
	}
	in, _ = p.Inform(example[*cwmp.Inform](t, "04-boot-periodic-inform"), "")
	if in.ParameterKey != "cfg-000000042" || !in.Has(models.EventBoot) || !in.Has(models.EventPeriodic) || in.Events[1].L0 || in.Events[1].Vendor {
		t.Errorf("%+v", in)
	}
}

// Secrets of an Inform are marked, and never among the parameters that are kept.
func TestInformKeepsSecretsOut(t *testing.T) {
	in, _ := load(t, "").Inform(example[*cwmp.Inform](t, "03-mobile-register-inform"), "")
	for _, v := range in.Raw {
		if strings.Contains(v.Name, "IMSI") || strings.Contains(v.Name, "NetworkToken") || v.Secret {
			t.Errorf("%s is kept", v.Name)
		}
	}
	if !in.Values["ui.imsi"].Secret || in.Get("ui.imsi") == "" || !in.Values["auth.networkToken"].Secret {
		t.Errorf("%+v", in.Values)
	}
}

func TestInformStatistics(t *testing.T) {
	p := load(t, "")
	m := example[*cwmp.Inform](t, "06-statistics-inform")
	for i, v := range m.Parameters {
		if v.Name == "Device.X_CT-COM_Statistics.IntervalEnd" {
			m.Parameters[i].Value = "2012-01-11T00:00:00+08:00"
		}
	}
	in, warnings := p.Inform(m, "")
	if len(warnings) > 0 || !in.Has(models.EventStatistics) {
		t.Error(warnings, in.Events)
	}
	for name, want := range map[string]string{
		"statistics.bootId": "5d41402abc4b2a76b9719d911017c592", "statistics.seq": "17", "statistics.intervalStart": "2012-01-09T16:00:00Z",
		"statistics.intervalEnd": "2012-01-10T16:00:00Z", "statistics.releaseCauses": "200:80,486:9,487:6,603:2,BYE_TIMEOUT:1",
		"line.stats.incomingCallsReceived": "41", "line.stats.averageRoundTripDelay": "48300", "statistics.videoCallTime": "3120",
	} {
		if got := in.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if len(in.Raw) != 8 {
		t.Errorf("of a report %v is kept as parameters", in.Raw)
	}
	m.Events[0].Code = "2 PERIODIC"
	if in, _ = p.Inform(m, ""); len(in.Raw) != 36 {
		t.Errorf("of a heartbeat %d parameters are kept", len(in.Raw))
	}
}

func TestInformEvents(t *testing.T) {
	p := load(t, "events: {LOGOFF: {enabled: false}}")
	for _, c := range []struct {
		code    string
		name    models.EventName
		warning Warning
		vendor  bool
	}{
		{"2 PERIODIC", models.EventPeriodic, "", false},
		{" 2  periodic ", models.EventPeriodic, EventNormalised, false},
		{"8 DIAGNOSTIC COMPLETE", models.EventDiagnostics, "", false},
		{"M REBOOT", models.EventMReboot, EventNormalised, false},
		{"M TRANSFERCOMPLETE", models.EventTransferComplete, "", false},
		{"4 VALUECHANGE", models.EventValueChange, "", false},
		{"X CT-COM BIND", models.EventRegister, "", true},
		{"x ct-com  bind2", models.EventRegister, EventNormalised, true},
		{"X CT-COM ACCOUNTCHANGE", "X CT-COM ACCOUNTCHANGE", "", true},
		{"10 AUTONMOUS TRANSFER COMPLETE", models.EventAutonomousTransfer, "", false},
		{"M Download", models.EventMDownload, "", false},
		{"M Upload", "M Upload", "", false},
		{"X CT-COM LOGOFF", "X CT-COM LOGOFF", EventUnknown, true}, // disabled
		{"M CTC LOG_PERIODIC", "M CTC LOG_PERIODIC", EventUnknown, true},
		{"X 00005E THING", "X 00005E THING", EventUnknown, true},
		{"77 SOMETHING", "77 SOMETHING", EventUnknown, false},
		{"", "", EventUnknown, true},
	} {
		in, warnings := p.Inform(&cwmp.Inform{DeviceID: cwmp.DeviceID{ProductClass: "IMSPC"}, Events: []cwmp.Event{{Code: c.code, CommandKey: "k"}}}, "")
		e := in.Events[0]
		if e.Name != c.name || e.Code != c.code || e.Vendor != c.vendor || len(warnings) > 1 || (c.warning != "") != (len(warnings) == 1) ||
			len(warnings) == 1 && warnings[0] != c.warning {
			t.Errorf("%q: %+v %v", c.code, e, warnings)
		}
		if keeps := e.CommandKey == "k"; keeps != (c.name == models.EventMReboot || c.name == models.EventMDownload || string(c.name) == c.code) {
			t.Errorf("%q: CommandKey %q", c.code, e.CommandKey)
		}
	}
	in, warnings := p.Inform(&cwmp.Inform{}, "")
	if !in.Has(models.EventPeriodic) || !slices.Equal(warnings, []Warning{NoEvent}) {
		t.Error(in.Events, warnings)
	}
}

func TestInformClientType(t *testing.T) {
	p := load(t, "")
	for _, c := range []struct {
		class, claimed string
		want           models.ClientType
		warned         bool
	}{
		{"IMSPC", "", models.PC, false}, {"IMSMobile", "", models.Mobile, true}, {"IMSPC", "Mobile", models.Mobile, true},
		{"IMSScreen", "Fridge", models.MagicScreen, true}, {"IGD", "", models.Generic, true},
	} {
		m := &cwmp.Inform{DeviceID: cwmp.DeviceID{ProductClass: c.class}, Events: []cwmp.Event{{Code: "X CT-COM GETPWD"}}}
		if c.claimed != "" {
			m.Parameters = []cwmp.ParameterValue{{Name: "Device.X_CT-COM_SoftClient.ClientType", Value: c.claimed}}
		}
		in, warnings := p.Inform(m, "")
		if in.ClientType != c.want || in.Claimed != c.claimed || slices.Contains(warnings, EventType) != c.warned {
			t.Errorf("%+v: %s %v", c, in.ClientType, warnings)
		}
	}
}

func TestInformDuplicateAndLongNames(t *testing.T) {
	long := "Device." + strings.Repeat("x", 300)
	in, _ := load(t, "").Inform(&cwmp.Inform{Parameters: []cwmp.ParameterValue{
		{Name: "Device.A", Value: "1"}, {Name: "Device.A", Value: "2"}, {Name: long, Value: "3"}, {Name: "", Value: "4"},
	}}, "")
	if len(in.Raw) != 1 || in.Raw[0].Value != "1" || in.Get(long) != "3" {
		t.Errorf("%+v", in)
	}
}

func TestIdentifies(t *testing.T) {
	for _, c := range []struct {
		id   cwmp.DeviceID
		want bool
	}{
		{cwmp.DeviceID{OUI: "00005E", ProductClass: "IMSPC", SerialNumber: "1"}, true},
		{cwmp.DeviceID{OUI: "00005E", ProductClass: "IMSPC"}, false},
		{cwmp.DeviceID{OUI: "00005E", SerialNumber: strings.Repeat("漢", 43)}, true},
		{cwmp.DeviceID{OUI: "00005E", SerialNumber: strings.Repeat("漢", 64)}, false}, // too long once it is percent-encoded
		{cwmp.DeviceID{OUI: "00005E", ProductClass: strings.Repeat("-", 64), SerialNumber: strings.Repeat(" -", 32)}, true},
		{cwmp.DeviceID{OUI: "00005E", SerialNumber: strings.Repeat("1", 65)}, false},
		{cwmp.DeviceID{OUI: "00005E0", SerialNumber: "1"}, false},
		{cwmp.DeviceID{ProductClass: strings.Repeat("1", 65), SerialNumber: "1"}, false},
	} {
		if Identifies(c.id) != c.want {
			t.Errorf("%+v", c.id)
		}
	}
}

// one returns the only message of a request.
func one[T cwmp.Message](t *testing.T, p *Profile, r *models.Request, key string) T {
	t.Helper()
	now := time.Date(2012, 1, 10, 1, 30, 3, 0, time.UTC)
	list, err := p.Requests(r, key, now)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages, %v", len(list), err)
	}
	return list[0].(T)
}

// The delivery, the challenge and the denial of the book come out exactly, whatever the order in which values were given.
func TestRequestsOfTheBook(t *testing.T) {
	p := load(t, "")
	for _, c := range []struct {
		file    string
		outcome models.Outcome
		version int64
	}{
		{"07-set-parameter-values", models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}, 42},
		{"16-challenge-set-parameter-values", models.Outcome{Result: models.ResultPending}, 0},
		{"19-denied-set-parameter-values", models.Outcome{Result: models.ResultLocked, Delivery: models.DeliveryFailed, RetryAfter: 900}, 0},
	} {
		want := example[*cwmp.SetParameterValues](t, c.file)
		r := &models.Request{Method: models.SetParameterValues, Outcome: &c.outcome, Version: c.version}
		for _, v := range want.Parameters {
			if name := p.Name(v.Name); !strings.HasPrefix(name, "ui.") {
				r.Values = append(r.Values, models.Value{Name: name, Value: v.Value})
			}
		}
		rand.Shuffle(len(r.Values), func(i, j int) { r.Values[i], r.Values[j] = r.Values[j], r.Values[i] })
		if got := one[*cwmp.SetParameterValues](t, p, r, ""); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.file, got, want)
		}
	}
	get := one[*cwmp.GetParameterValues](t, p, &models.Request{Method: models.GetParameterValues,
		Names: []string{"auth.proof", "auth.timestamp", "auth.clientNonce"}}, "")
	if want := example[*cwmp.GetParameterValues](t, "17-proof-get-parameter-values"); !reflect.DeepEqual(get, want) {
		t.Errorf("%+v", get)
	}
}

func TestRequestDetails(t *testing.T) {
	p := load(t, "")
	m := one[*cwmp.SetParameterValues](t, p, &models.Request{Method: models.SetParameterValues, Values: []models.Value{
		{Name: "voice.enable", Value: "Enabled"},
		{Name: "Device.X_Own.Thing", Value: "1"},
		{Name: "sip.outboundProxy", Value: "layered"},
		{Name: "Device.Services.VoiceService.1.VoiceProfile.1.SIP.OutboundProxy", Value: "raw"},
		{Name: "voice.serverType", Value: "0", Type: "string"},
	}, Outcome: &models.Outcome{Result: models.ResultMalformed, Delivery: models.DeliveryFailed, Detail: "ui.userName", Limit: 5, Times: 2}}, "cfg-000000007")
	var got []string
	for _, v := range m.Parameters {
		got = append(got, p.Name(v.Name)+"="+v.Value+" "+v.Type)
	}
	want := []string{
		"voice.serverType=0 xsd:string", "sip.outboundProxy=raw xsd:string", "Device.X_Own.Thing=1 xsd:string", "voice.enable=Enabled xsd:string",
		"ui.status=40 xsd:unsignedInt", "ui.result=2 xsd:unsignedInt", "ui.resultDesc=MALFORMED: Device.X_CT-COM_UserInfo.UserName xsd:string",
		"ui.limit=5 xsd:unsignedInt", "ui.times=2 xsd:unsignedInt", "ui.serverTime=2012-01-10T01:30:03Z xsd:dateTime",
	}
	if !slices.Equal(got, want) || m.ParameterKey != "cfg-000000007" {
		t.Errorf("%s\n%q", m.ParameterKey, got)
	}
	short := one[*cwmp.SetParameterValues](t, p, &models.Request{Method: models.SetParameterValues, Without: []string{"ui.resultDesc", "ui.serverTime"},
		Outcome: &models.Outcome{Result: models.ResultClosed, Delivery: models.DeliveryFailed}}, "")
	if len(short.Parameters) != 2 || short.Parameters[0].Value != "34" {
		t.Errorf("%+v", short)
	}
	names := one[*cwmp.GetParameterNames](t, p, &models.Request{Method: models.GetParameterNames, Path: "Device.", NextLevel: true}, "")
	if names.ParameterPath != "Device." || !names.NextLevel {
		t.Errorf("%+v", names)
	}
	if reboot := one[*cwmp.Reboot](t, p, &models.Request{Method: models.RebootDevice, CommandKey: "k"}, ""); reboot.CommandKey != "k" {
		t.Errorf("%+v", reboot)
	}
}

func TestRequestErrors(t *testing.T) {
	p := load(t, "")
	for _, r := range []models.Request{
		{Method: "Format"},
		{Method: models.SetParameterValues},
		{Method: models.SetParameterValues, Values: []models.Value{{Name: "no.such", Value: "1"}}},
		{Method: models.SetParameterValues, Outcome: &models.Outcome{Result: "SURPRISE"}},
		{Method: models.SetParameterValues, Values: []models.Value{{Name: "Device.A", Value: "\x00"}}},
		{Method: models.SetParameterValues, Values: []models.Value{{Name: "Device.A", Type: "a b"}}},
		{Method: models.SetParameterValues, Values: []models.Value{{Name: "Device." + strings.Repeat("a", 250)}}},
		{Method: models.GetParameterNames, Path: "\xff"},
		{Method: models.RebootDevice, CommandKey: strings.Repeat("k", 33)},
		{Method: models.DownloadFile},
		{Method: models.DownloadFile, Download: &models.Download{URL: strings.Repeat("u", 257)}},
		{Method: models.DownloadFile, Download: &models.Download{Size: 1 << 32}},
		{Method: models.DownloadFile, Download: &models.Download{FileName: "\x00"}},
		{Method: models.DownloadFile, CommandKey: strings.Repeat("k", 33), Download: &models.Download{}},
		{Method: models.GetParameterValues},
		{Method: models.GetParameterValues, Names: []string{"no.such"}},
	} {
		if _, err := p.Requests(&r, "", time.Time{}); err == nil {
			t.Errorf("%+v passed", r)
		}
	}
}

// i4.md B.10: a set that does not fit is split, and only its last part carries the new key.
func TestLargeSetIsSplit(t *testing.T) {
	p := load(t, "")
	for name, value := range map[string]string{"many": "x", "large": strings.Repeat("<", 250)} {
		r := &models.Request{Method: models.SetParameterValues, Version: 8, Outcome: &models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}}
		for i := range 450 {
			r.Values = append(r.Values, models.Value{Name: fmt.Sprintf("Device.X_Own.%d", i), Value: value})
		}
		parts, err := p.Requests(r, "cfg-000000007", time.Time{})
		if err != nil || len(parts) < 3 {
			t.Fatal(len(parts), err)
		}
		for i, part := range parts {
			spv := part.(*cwmp.SetParameterValues)
			if last := i == len(parts)-1; (spv.ParameterKey == "cfg-000000008") != last {
				t.Errorf("%s: part %d has key %s", name, i, spv.ParameterKey)
			}
			body, err := cwmp.Encode(&cwmp.Envelope{ID: strings.Repeat("i", 40), Body: part})
			if err != nil || len(body) > cwmp.MaxEnvelope || len(spv.Parameters) > 200 {
				t.Errorf("%s: part %d: %d bytes, %d values, %v", name, i, len(body), len(spv.Parameters), err)
			}
		}
	}
}

func TestReply(t *testing.T) {
	p := load(t, "")
	reply, err := p.Reply(example[*cwmp.GetParameterValuesResponse](t, "18-proof-get-parameter-values-response"))
	if err != nil || len(reply.Values) != 3 || reply.Values[0].Name != "auth.proof" || len(reply.Values[0].Value) != 64 || !reply.Values[0].Secret {
		t.Fatalf("%+v %v", reply, err)
	}
	if reply.Raw[0].Value != Redacted || !reply.Raw[0].Secret || reply.Raw[1].Value != "2012-01-10T01:30:02Z" ||
		reply.Raw[1].Name != "Device.X_CT-COM_UserInfo.Auth.Timestamp" {
		t.Errorf("%+v", reply.Raw)
	}
	reply, err = p.Reply(example[*cwmp.Fault](t, "26-cpe-fault-spv-9003"))
	if err != nil || reply.Fault.Code != 9003 || len(reply.Fault.Parameters) != 1 || reply.Fault.Parameters[0].Name != "video.codecList" ||
		reply.Fault.Parameters[0].Code != 9005 || !strings.HasPrefix(reply.Fault.Parameters[0].Path, "Device.") {
		t.Errorf("%+v %v", reply.Fault, err)
	}
	reply, err = p.Reply(&cwmp.GetParameterNamesResponse{Parameters: []cwmp.ParameterInfo{{Name: "Device.", Writable: true}}})
	if err != nil || !slices.Equal(reply.Names, []models.ParameterName{{Path: "Device.", Writable: true}}) {
		t.Errorf("%+v %v", reply, err)
	}
	if reply, err := p.Reply(&cwmp.SetParameterValuesResponse{Status: 1}); err != nil || reply.Status != 1 {
		t.Errorf("%+v %v", reply, err)
	}
	if _, err := p.Reply(&cwmp.RebootResponse{}); err != nil {
		t.Error(err)
	}
	if _, err := p.Reply(&cwmp.Inform{}); err == nil {
		t.Error("an Inform passed as an answer")
	}
	if !Answers(&cwmp.Fault{}, models.RebootDevice) || !Answers(&cwmp.RebootResponse{}, models.RebootDevice) || Answers(&cwmp.RebootResponse{}, models.GetParameterValues) {
		t.Error("Answers")
	}
}

func TestTransfer(t *testing.T) {
	ok := Transfer(example[*cwmp.TransferComplete](t, "13-transfer-complete"))
	if ok.CommandKey == "" || ok.Fault != nil || ok.EndedAt.IsZero() {
		t.Errorf("%+v", ok)
	}
	if failed := Transfer(&cwmp.TransferComplete{FaultCode: 9010, FaultString: "s"}); failed.Fault == nil || failed.Fault.Code != 9010 || !failed.StartedAt.IsZero() {
		t.Errorf("%+v", failed)
	}
}
