package diagnostics

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// Whatever a device claims, decoding ends, and what comes out is sane and fits its row. Lines of told are leaf=value.
func FuzzDecode(f *testing.F) {
	f.Add("IP_PING", "successCount=4\nfailureCount=0\naverageResponseTime=31\nminimumResponseTime=27\nmaximumResponseTime=39")
	f.Add("IP_PING", "successCount=-1\nfailureCount=99999999999999999999")
	f.Add("TRACEROUTE", "hops.1.hostAddress=192.0.2.1\nhops.1.rtTimes=1,2,3\nhops.64.host=null\nhops.65.host=a\nhops.0.host=b\nhops.x.host=c\nhops.2.errorCode=11")
	f.Add("TRACEROUTE", "hops.1.rtTimes=NaN,Inf,-1,1e308,,\nhops.1.hostAddress=fe80::1%eth0\nhops.9999999999999999999.host=x")
	f.Add("DOWNLOAD_SPEED", "bomTime=2026-01-01T00:00:00.000001Z\neomTime=2026-01-01T00:00:00.000002Z\ntestBytesReceived=50000000")
	f.Add("DOWNLOAD_SPEED", "bomTime=0001-01-01T00:00:00Z\neomTime=9999-12-31T23:59:59Z\ntestBytesReceived=1")
	f.Add("UPLOAD_SPEED", "bomTime=2026-01-01T00:00:00\neomTime=2026-01-01T08:00:01+08:00\ntotalBytesSent=7\ntestFileLength=5")
	f.Add("NSLOOKUP", "successCount=1\nresults.1.status=Success\nresults.1.ipAddresses=192.0.2.1,::ffff:192.0.2.1,x\nresults.1.answerType=Authoritative")
	f.Add("SIP_REGISTRATION", "responseCode=200\nresponseTime=84\nexpires=3600\nserverUsed=\x00\x7f\xff\nnatType="+strings.Repeat("N", 100))
	f.Add("MEDIA_LOOPBACK", "packetsSent=0\npacketsReceived=0\njitter=-4")
	f.Fuzz(func(t *testing.T, kind, told string) {
		what, known := tests[models.DiagnosticKind(kind)]
		if !known {
			return
		}
		var values []models.Value
		for line := range strings.SplitSeq(told, "\n") {
			leaf, value, _ := strings.Cut(line, "=")
			values = append(values, models.Value{Name: what.object + "." + leaf, Value: value})
		}
		for _, in := range []models.DiagnosticInputs{{}, {Host: "a.example", Bytes: what.bytes, Count: what.count, TimeoutSeconds: 60}} {
			r, err := what.decode(in, answerOf(what.object, values))
			if err != nil {
				if len(err.Error()) > 512 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			text, err := json.Marshal(r)
			if err != nil || len(text) > 60_000 {
				t.Fatalf("a result of %d bytes, %v", len(text), err)
			}
			sane(t, r)
		}
	})
}

func sane(t *testing.T, r *models.DiagnosticResult) {
	t.Helper()
	bad := false
	switch {
	case r.Ping != nil:
		bad = r.Ping.Received < 0 || r.Ping.Received > r.Ping.Sent
	case r.Traceroute != nil:
		bad = len(r.Traceroute.Hops) > mostHops
		for _, hop := range r.Traceroute.Hops {
			bad = bad || hop.Index < 1 || hop.Index > mostHops || len(hop.RttMs) > 3 || len(hop.Address) > maxHost
			for _, ms := range hop.RttMs {
				bad = bad || ms < 0 || math.IsNaN(ms) || ms > maxMs
			}
		}
	case r.Transfer != nil:
		bad = r.Transfer.Bytes < 0 || r.Transfer.DurationMs < 1 || r.Transfer.BitsPerSecond < 0
	case r.Lookup != nil:
		bad = len(r.Lookup.Answers) > 64
	case r.Registration != nil:
		bad = *r.Registration.SipStatus < 100 || *r.Registration.SipStatus > 699 || strings.ContainsAny(r.Registration.ServerUsed, "\x00\x7f\n")
	case r.Loopback != nil:
		bad = r.Loopback.Received > r.Loopback.Sent || r.Loopback.LossPercent != nil && (*r.Loopback.LossPercent < 0 || *r.Loopback.LossPercent > 100)
	}
	if bad {
		t.Errorf("%+v", r)
	}
}

// What is let through as a target is written in one way only, and means the same to whoever reads it.
func FuzzTarget(f *testing.F) {
	for _, text := range []string{"pcscf1.ims.example.net", "PCSCF1.example.", "192.0.2.1", "::ffff:192.0.2.1", "[::1]", "127.1", "0x7f000001", "http://a.example:8080/x?y",
		"http://a@b/", "http://[::1]:80/", "http://a.example\\@b/", "https://a%2eexample/", "http://a.example:/", "http://a.example:0/", "http://xn--a/#"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if host, err := canonicalHost(text); err == nil {
			if again, err := canonicalHost(host); err != nil || again != host || strings.ContainsAny(host, "@/\\%[] ") {
				t.Errorf("%q became %q, then %q, %v", text, host, again, err)
			}
		}
		if canonical, host, err := canonicalURL(text); err == nil {
			again, same, err := canonicalURL(canonical)
			if err != nil || again != canonical || same != host || len(canonical) > maxURL {
				t.Errorf("%q became %q of %q, then %q of %q, %v", text, canonical, host, again, same, err)
			}
		}
	})
}
