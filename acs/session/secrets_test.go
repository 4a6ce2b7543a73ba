package session

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// A client wrote into its faults what it had been sent, and they were kept with its task and its transfer, where operators read them.
func TestFaultsQuoteNoSecret(t *testing.T) {
	const secret, signed = "planted-secret", "http://acs.example.net/d/1?e=9&s=planted-signature"
	heard := map[string]*models.Fault{}
	v := &visit{
		next: asking(&models.Request{Method: models.SetParameterValues, Values: []models.Value{
			{Name: "line.sip.authPassword", Value: secret}, {Name: "Device.X.Key", Value: secret + "-2", Secret: true}, {Name: "sip.outboundProxy", Value: "sbc"},
		}}),
		answer:   func(r models.Reply) error { heard["answer"] = r.Fault; return nil },
		transfer: func(t models.Transfer) error { heard[t.CommandKey] = t.Fault; return nil },
	}
	s := open(t, v, models.L1, Config{})
	say := func(id string, m cwmp.Message) *cwmp.Envelope {
		t.Helper()
		out, err := s.Post(t.Context(), []byte(id), &cwmp.Envelope{Version: cwmp.V1_0, ID: id, Body: m})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	asked, err := s.Post(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	say("1", &cwmp.TransferComplete{CommandKey: "own", FaultCode: 9010, FaultString: "no " + signed + ", not with " + secret})
	say("2", &cwmp.AutonomousTransferComplete{FaultCode: 9010, FaultString: "no " + signed})
	proxy, _ := profile(t).Path("sip.outboundProxy")
	say(asked.ID, &cwmp.Fault{Code: 9003, String: "bad: " + secret + "-2 and sbc", Parameters: []cwmp.ParameterFault{
		{Name: proxy, Code: 9007, String: "not " + secret}, {Name: "Device.X." + secret, Code: 9005},
	}})
	if len(heard) != 3 {
		t.Fatal(heard)
	}
	for from, fault := range heard {
		text, err := json.Marshal(fault)
		if err != nil || strings.Contains(string(text), "planted") {
			t.Errorf("%s: %s, %v", from, text, err)
		}
	}
	told := heard["answer"]
	if told.Message != "bad: [redacted] and sbc" || told.Parameters[0].Path != proxy || told.Parameters[0].Name != "sip.outboundProxy" || told.Parameters[1].Name != "Device.X.[redacted]" {
		t.Errorf("%+v", told)
	}
	if own := heard["own"].Message; !strings.HasPrefix(own, "no http://acs.example.net/d/1?[redacted]") {
		t.Error(own)
	}
}
