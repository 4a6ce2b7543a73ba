package cwmp_test

import (
	"encoding/xml"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
)

// informXML is what an Inform costs at least with encoding/xml.
type informXML struct {
	ID     string `xml:"Header>ID"`
	Inform struct {
		DeviceID struct {
			Manufacturer, OUI, ProductClass, SerialNumber string
		} `xml:"DeviceId"`
		Events []struct {
			EventCode, CommandKey string
		} `xml:"Event>EventStruct"`
		MaxEnvelopes, RetryCount int
		CurrentTime              string
		Parameters               []struct {
			Name  string
			Value struct {
				Type  string `xml:"type,attr"`
				Value string `xml:",chardata"`
			}
		} `xml:"ParameterList>ParameterValueStruct"`
	} `xml:"Body>Inform"`
}

const benchmarked = "04-boot-periodic-inform"

func BenchmarkDecodeInform(b *testing.B) {
	body := example(b, benchmarked)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cwmp.Decode(body, `text/xml; charset="utf-8"`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeInformEncodingXML(b *testing.B) {
	body := example(b, benchmarked)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := xml.Unmarshal(body, &informXML{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeSetParameterValues(b *testing.B) {
	e := decode(b, example(b, "07-set-parameter-values"), "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cwmp.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations keeps the hot path away from the cost of encoding/xml: every heartbeat of every client passes here.
func TestAllocations(t *testing.T) {
	body := example(t, benchmarked)
	ours := testing.AllocsPerRun(100, func() {
		if _, err := cwmp.Decode(body, `text/xml; charset="utf-8"`); err != nil {
			t.Fatal(err)
		}
	})
	theirs := testing.AllocsPerRun(100, func() {
		if err := xml.Unmarshal(body, &informXML{}); err != nil {
			t.Fatal(err)
		}
	})
	if ours*8 > theirs {
		t.Errorf("%.0f allocations, encoding/xml %.0f: want an eighth at most", ours, theirs)
	}
	out := testing.AllocsPerRun(100, func() {
		if _, err := cwmp.Encode(&cwmp.Envelope{ID: "1", Body: &cwmp.InformResponse{}}); err != nil {
			t.Fatal(err)
		}
	})
	if out > 10 {
		t.Errorf("%.0f allocations for an InformResponse", out)
	}
}
