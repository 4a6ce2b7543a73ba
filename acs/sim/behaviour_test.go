package sim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// run lets the platform ask one thing in a heartbeat and returns the answer.
func run(t *testing.T, c *Client, p *platform, m cwmp.Message) cwmp.Message {
	t.Helper()
	p.ask = func(*cwmp.Inform) []cwmp.Message { return []cwmp.Message{m} }
	if _, err := c.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[len(p.got)-1]
}

func codes(m cwmp.Message) []int {
	f, ok := m.(*cwmp.Fault)
	if !ok {
		return nil
	}
	list := []int{f.Code}
	for _, p := range f.Parameters {
		list = append(list, p.Code)
	}
	return list
}

func TestSetParameterValues(t *testing.T) {
	p := &platform{}
	c := setup(t, p, nil)
	wrongType := c.values("sip.outboundProxyPort", "5060")
	wrongType.Parameters[0].Type = "xsd:string"
	for _, x := range []struct {
		name   string
		faults Faults
		set    *cwmp.SetParameterValues
		want   []int
	}{
		{"accepted", Faults{}, c.values("sip.outboundProxy", "sbc", "video.enable", "true"), nil},
		{"unknown name", Faults{}, c.values("sip.outboundProxy", "new", "Device.X_Nothing", "1"), []int{9003, 9005}},
		{"read only", Faults{}, c.values("sip.outboundProxy", "new", "line.status", "Up"), []int{9003, 9008}},
		{"value", Faults{}, c.values("sip.outboundProxy", "new", "line.enable", "on"), []int{9003, 9007}},
		{"type", Faults{}, wrongType, []int{9003, 9006}},
		{"twice", Faults{}, c.values("sip.outboundProxy", "new", "sip.outboundProxy", "newer"), []int{9003}},
		{"one on demand", Faults{Parameters: map[string]int{"video.codecList": 9005}}, c.values("sip.outboundProxy", "new", "video.codecList", "H264"), []int{9003, 9005}},
		{"by path", Faults{Parameters: map[string]int{c.store.path("sip.outboundProxy"): 9001}}, c.values("sip.outboundProxy", "new"), []int{9003, 9001}},
		{"whole on demand", Faults{Methods: map[string]int{"SetParameterValues": 9002}}, c.values("sip.outboundProxy", "new"), []int{9002}},
		{"another answer", Faults{Respond: func(cwmp.Message) cwmp.Message { return &cwmp.Fault{Code: 9800} }}, c.values("sip.outboundProxy", "new"), []int{9800}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.SetFaults(x.faults)
			x.set.ParameterKey = x.name
			answer := run(t, c, p, x.set)
			if !slices.Equal(codes(answer), x.want) {
				t.Errorf("%+v", answer)
			}
			if c.Get("sip.outboundProxy") != "sbc" || c.Get("video.enable") != "1" || c.Get("managementServer.parameterKey") != "accepted" {
				t.Error("not all or nothing")
			}
		})
	}
	c.SetFaults(Faults{Status: 1})
	if answer := run(t, c, p, c.values("sip.outboundProxy", "sbc")); answer.(*cwmp.SetParameterValuesResponse).Status != 1 {
		t.Errorf("%+v", answer)
	}
}

func TestGetParameterValues(t *testing.T) {
	p := &platform{}
	c := setup(t, p, func(c *Config) { c.ACSPassword = "hidden" })
	answer := run(t, c, p, &cwmp.GetParameterValues{Names: []string{"Device.ManagementServer.", "Device.DeviceInfo.SoftwareVersion"}}).(*cwmp.GetParameterValuesResponse)
	values := map[string]string{}
	for _, v := range answer.Parameters {
		values[v.Name] = v.Value
	}
	if len(values) < 10 || values["Device.ManagementServer.Password"] != "" || values["Device.DeviceInfo.SoftwareVersion"] != "2.0.3" ||
		values["Device.ManagementServer.PeriodicInformInterval"] != "600" {
		t.Errorf("%v", values)
	}
	for _, name := range []string{"Device.Nothing", "Device.Nothing."} {
		if answer := run(t, c, p, &cwmp.GetParameterValues{Names: []string{name}}); !slices.Equal(codes(answer), []int{9005}) {
			t.Errorf("%+v", answer)
		}
	}
	if answer := run(t, c, p, c.asks("auth.proof")).(*cwmp.GetParameterValuesResponse); answer.Parameters[0].Value != "" {
		t.Error("a proof without challenge")
	}
}

// A challenge that a client cannot work with is an internal error of the client.
func TestMalformedChallenge(t *testing.T) {
	for name, value := range map[string]string{"auth.salt": "xyz", "auth.iterations": "9999"} {
		var c *Client
		p := &platform{ask: func(*cwmp.Inform) []cwmp.Message {
			good := map[string]string{"auth.salt": salt, "auth.iterations": "10000"}
			good[name] = value
			return []cwmp.Message{c.values("auth.serverNonce", nonce, "auth.salt", good["auth.salt"], "auth.iterations", good["auth.iterations"]),
				c.asks("auth.proof")}
		}}
		c = setup(t, p, nil)
		if _, err := c.Register(t.Context(), secret); err != nil || last[*cwmp.Fault](t, p).Code != 9002 {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestGetParameterNames(t *testing.T) {
	p := &platform{}
	c := setup(t, p, nil)
	names := func(path string, next bool) (list []string) {
		answer := run(t, c, p, &cwmp.GetParameterNames{ParameterPath: path, NextLevel: next})
		if _, bad := answer.(*cwmp.Fault); bad {
			return []string{"fault"}
		}
		for _, n := range answer.(*cwmp.GetParameterNamesResponse).Parameters {
			if n.Writable {
				list = append(list, n.Name+" W")
			} else {
				list = append(list, n.Name)
			}
		}
		return list
	}
	if got := names("Device.X_CT-COM_UserInfo.", true); !slices.Contains(got, "Device.X_CT-COM_UserInfo.Auth.") || !slices.Contains(got, "Device.X_CT-COM_UserInfo.Status W") ||
		slices.Contains(got, "Device.X_CT-COM_UserInfo.Auth.Proof") || slices.Contains(got, "Device.X_CT-COM_UserInfo.") {
		t.Error(got)
	}
	if got := names("", true); !slices.Equal(got, []string{"Device."}) {
		t.Error(got)
	}
	if got := names("Device.Time.", false); !slices.Equal(got, []string{"Device.Time.", "Device.Time.NTPServer1 W", "Device.Time.NTPServer2 W"}) {
		t.Error(got)
	}
	if got := names("Device.Time.NTPServer1", false); !slices.Equal(got, []string{"Device.Time.NTPServer1 W"}) {
		t.Error(got)
	}
	if names("Device.Time.NTPServer1", true)[0] != "fault" || names("Device.None.", false)[0] != "fault" {
		t.Error("no fault")
	}
}

func TestReboot(t *testing.T) {
	p := &platform{}
	c := setup(t, p, nil)
	if answer := run(t, c, p, &cwmp.Reboot{CommandKey: "task-1"}); answer.Method() != "RebootResponse" {
		t.Errorf("%+v", answer)
	}
	p.ask = nil
	if _, err := c.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events := last[*cwmp.Inform](t, p).Events; !slices.Equal(events, []cwmp.Event{{Code: "1 BOOT"}, {Code: "M Reboot", CommandKey: "task-1"}}) {
		t.Errorf("%+v", events)
	}
	if _, err := c.Boot(t.Context()); err != nil || len(last[*cwmp.Inform](t, p).Events) != 1 {
		t.Error("the event was delivered before", err)
	}
}

func TestOwnRequests(t *testing.T) {
	p := &platform{}
	c := setup(t, p, nil)
	c.Queue(&cwmp.TransferComplete{CommandKey: "t"})
	c.Queue(&cwmp.GetRPCMethods{})
	if _, err := c.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range p.got {
		if m != nil && m.Method() == "GetRPCMethods" {
			n++
		}
	}
	if last[*cwmp.TransferComplete](t, p).CommandKey != "t" || n != maxRetryRequests {
		t.Errorf("%d tries at fault 8005", n)
	}
	if answer := run(t, c, p, &cwmp.GetRPCMethods{}).(*cwmp.GetRPCMethodsResponse); !slices.Contains(answer.Methods, "Reboot") {
		t.Errorf("%+v", answer)
	}
	if answer := run(t, c, p, &cwmp.Unknown{Name: "Upload"}); !slices.Equal(codes(answer), []int{9000}) {
		t.Errorf("%+v", answer)
	}
}

func TestGeneric(t *testing.T) {
	p := &platform{}
	c := setup(t, p, func(c *Config) { c.Type, c.Identity.ProductClass = models.Generic, "IGD" })
	out, err := c.Boot(t.Context())
	inform := last[*cwmp.Inform](t, p)
	if err != nil || out.Status != 99 || len(inform.Parameters) != 6 {
		t.Errorf("%+v %v", inform, err)
	}
	answer := run(t, c, p, &cwmp.GetParameterValues{Names: []string{"Device."}}).(*cwmp.GetParameterValuesResponse)
	for _, v := range answer.Parameters {
		if strings.Contains(v.Name, "X_CT-COM") {
			t.Errorf("a plain device has %s", v.Name)
		}
	}
	c.Set("Device.X_Own.Thing", "1")
	if got := c.Get("Device.X_Own.Thing"); got != "1" {
		t.Error(got)
	}
	if answer := run(t, c, p, c.values("Device.X_Own.Thing", "2")); answer.Method() != "SetParameterValuesResponse" || c.Get("Device.X_Own.Thing") != "2" {
		t.Errorf("%+v", answer)
	}
}

// ErrAgain repeats the same bytes within the session.
func TestAgain(t *testing.T) {
	p := &platform{}
	var seen []string
	again := true
	c := setup(t, p, func(c *Config) {
		c.OnExchange = func(x Exchange) error {
			name := "empty"
			if x.Sent != nil {
				name = x.Sent.Method()
			}
			seen = append(seen, name)
			if x.Sent == nil && again {
				again = false
				return ErrAgain
			}
			return nil
		}
	})
	if _, err := c.Heartbeat(t.Context()); err != nil || !slices.Equal(seen, []string{"Inform", "empty", "empty"}) {
		t.Error(seen, err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := New(Config{URL: "http://127.0.0.1"}); err == nil {
		t.Error("no serial number")
	}
	c := setup(t, &platform{}, nil)
	if _, err := c.Retry(t.Context()); err == nil {
		t.Error("nothing to retry")
	}
	for name, handler := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"not XML": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"long":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 40<<10)) },
		"empty":   func(http.ResponseWriter, *http.Request) {},
		"ID": func(w http.ResponseWriter, _ *http.Request) {
			text, _ := cwmp.Encode(&cwmp.Envelope{ID: "other", Body: &cwmp.InformResponse{}})
			_, _ = w.Write(text)
		},
		"fault": func(w http.ResponseWriter, r *http.Request) {
			e, _ := cwmp.Decode(bodyOf(r), "")
			text, _ := cwmp.Encode(&cwmp.Envelope{ID: e.ID, Body: &cwmp.Fault{Code: 8003}})
			_, _ = w.Write(text)
		},
		"message": func(w http.ResponseWriter, r *http.Request) {
			e, _ := cwmp.Decode(bodyOf(r), "")
			text, _ := cwmp.Encode(&cwmp.Envelope{ID: e.ID, Body: &cwmp.TransferCompleteResponse{}})
			_, _ = w.Write(text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := setup(t, &platform{}, func(c *Config) { c.HTTP = &http.Client{Transport: handled(handler)} })
			_, err := c.Heartbeat(t.Context())
			var status *HTTPError
			var refused *FaultError
			switch {
			case err == nil:
				t.Error("passed")
			case name == "status" && (!errors.As(err, &status) || status.Status != 503 || status.RetryAfter != 7):
				t.Error(err)
			case name == "fault" && (!errors.As(err, &refused) || refused.Code != 8003 || refused.Method != "Inform"):
				t.Error(err)
			}
		})
	}
}

func TestRetryWait(t *testing.T) {
	c := setup(t, &platform{}, nil)
	for n, bounds := range map[int][2]time.Duration{1: {5 * time.Second, 10 * time.Second}, 5: {80 * time.Second, 160 * time.Second},
		10: {2560 * time.Second, 5120 * time.Second}, 99: {2560 * time.Second, 5120 * time.Second}} {
		for range 20 {
			if d := c.RetryWait(n); d < bounds[0] || d > bounds[1] {
				t.Errorf("retry %d after %v", n, d)
			}
		}
	}
	if c.Interval() != 10*time.Minute || len(NewIdentity().SerialNumber) != 32 {
		t.Error(c.Interval())
	}
}
