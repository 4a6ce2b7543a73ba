package diagnostics

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
)

// answer is what a device says of one test, by leaf. Everything in it is a claim: types are not looked at, numbers may be none, there may be any
// number of rows and of letters.
type answer map[string]string

// answerOf picks the parameters below the object of a test; of a parameter that is told twice the first counts.
func answerOf(object string, values []models.Value) answer {
	a := answer{}
	for _, v := range values {
		if leaf, below := strings.CutPrefix(v.Name, object+"."); below {
			if _, twice := a[leaf]; !twice {
				a[leaf] = v.Value
			}
		}
	}
	return a
}

// Why a result is none, as people read it.
type nonsense string

func (n nonsense) Error() string { return string(n) }

// number reads a whole number from 0 to most.
func (a answer) number(leaf string, most int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(a[leaf]), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, nonsense(fmt.Sprintf("the device's answer makes no sense: %s is %q, a number from 0 to %d was expected", leaf, clip(a[leaf], 40), most))
	}
	return n, nil
}

// optional is number for what may be missing; nil for what is no number either.
func (a answer) optional(leaf string, most int64) *int {
	n, err := a.number(leaf, most)
	if err != nil {
		return nil
	}
	whole := int(n)
	return &whole
}

const maxMs = 3_600_000 // of anything that is measured in milliseconds

func (a answer) ms(leaf string) *float64 {
	n := a.optional(leaf, maxMs)
	if n == nil {
		return nil
	}
	ms := float64(*n)
	return &ms
}

// host is what a result is about: what was asked for, else what the device says.
func (a answer) host(asked, leaf string) string {
	if asked != "" {
		return asked
	}
	return clip(a[leaf], maxHost)
}

func decodePing(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	asked := int64(cmp.Or(in.Count, math.MaxInt32))
	received, err := a.number("successCount", asked)
	if err != nil {
		return nil, err
	}
	failed, err := a.number("failureCount", asked-received)
	if err != nil {
		return nil, err
	}
	r := &models.PingResult{Host: a.host(in.Host, "host"), Sent: int(received + failed), Received: int(received)}
	if lowest, mean, highest := a.ms("minimumResponseTime"), a.ms("averageResponseTime"), a.ms("maximumResponseTime"); received > 0 && ordered(lowest, mean, highest) {
		r.MinMs, r.AvgMs, r.MaxMs = lowest, mean, highest
	}
	return &models.DiagnosticResult{Ping: r}, nil
}

// ordered tells whether those that are known rise.
func ordered(list ...*float64) bool {
	last := 0.0
	for _, v := range list {
		if v != nil {
			if *v < last {
				return false
			}
			last = *v
		}
	}
	return true
}

// rows collects the numbered rows below a table, by number, up to mostHops.
func (a answer) rows(table string) map[int]answer {
	rows := map[int]answer{}
	for leaf, value := range a {
		rest, below := strings.CutPrefix(leaf, table+".")
		digits, column, ok := strings.Cut(rest, ".")
		if !below || !ok {
			continue
		}
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= mostHops {
			if rows[n] == nil {
				rows[n] = answer{}
			}
			rows[n][column] = value
		}
	}
	return rows
}

func decodeTraceroute(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	r := &models.TracerouteResult{Host: a.host(in.Host, "host"), Hops: []models.TracerouteHop{}}
	rows := a.rows("hops")
	for n := 1; n <= mostHops; n++ {
		row := rows[n]
		if row == nil {
			continue
		}
		hop := models.TracerouteHop{Index: n, RttMs: []float64{}}
		for _, leaf := range []string{"host", "hostAddress"} { // the address is the better one
			if host, err := canonicalHost(row[leaf]); err == nil && host != "null" {
				hop.Address = host
			}
		}
		for part := range strings.SplitSeq(clip(row["rtTimes"], 64), ",") {
			ms, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
			if err == nil && ms >= 0 && ms <= maxMs && len(hop.RttMs) < 3 {
				hop.RttMs = append(hop.RttMs, ms)
			}
		}
		if code := row.optional("errorCode", math.MaxInt32); code != nil && *code > 0 {
			hop.Error = strconv.Itoa(*code)
		}
		r.Hops = append(r.Hops, hop)
	}
	return &models.DiagnosticResult{Traceroute: r}, nil
}

func decodeDownload(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	most := int64(math.MaxUint32)
	if in.Host != "" {
		most = maxTransfer
	}
	bytes, err := a.number("testBytesReceived", most)
	if err != nil {
		return nil, err
	}
	return transfer(bytes, a)
}

// decodeUpload: what was sent is what was asked for; the total of the interface is more, because others use it too (TR-143).
func decodeUpload(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	bytes := in.Bytes
	if bytes == 0 {
		var err error
		if bytes, err = a.number("testFileLength", math.MaxUint32); err != nil {
			return nil, err
		}
	}
	if total := a.optional("totalBytesSent", math.MaxUint32); total != nil && int64(*total) < bytes {
		return nil, nonsense("the device's answer makes no sense: it sent less than the file has")
	}
	return transfer(bytes, a)
}

// transfer is how fast so many bytes went; there is no speed if the end is not behind the beginning (i4.md B.8).
func transfer(bytes int64, a answer) (*models.DiagnosticResult, error) {
	began, err := a.instant("bomTime")
	if err != nil {
		return nil, err
	}
	over, err := a.instant("eomTime")
	if err != nil {
		return nil, err
	}
	took := over.Sub(began)
	if took <= 0 || took > 24*time.Hour {
		return nil, nonsense("the device's answer makes no sense: the transfer ended before it began, or took longer than a day")
	}
	return &models.DiagnosticResult{Transfer: &models.TransferResult{
		Bytes: bytes, DurationMs: int(max(took.Milliseconds(), 1)), BitsPerSecond: int64(float64(bytes) * 8 / took.Seconds()),
	}}, nil
}

// instant reads a time with its fraction of a second, which TR-143 measures in; one without zone is UTC.
func (a answer) instant(leaf string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, strings.TrimSpace(a[leaf])); err == nil && t.Year() > 1 {
			return t, nil
		}
	}
	return time.Time{}, nonsense(fmt.Sprintf("the device's answer makes no sense: %s is %q, a time was expected", leaf, clip(a[leaf], 40)))
}

func decodeLookup(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	const maxAnswers = 64
	if _, err := a.number("successCount", int64(cmp.Or(in.Count, math.MaxInt32))); err != nil {
		return nil, err
	}
	r := &models.LookupResult{Name: a.host(in.Host, "hostName"), Answers: []string{}}
	rows := a.rows("results")
	for n := 1; n <= mostHops; n++ {
		row := rows[n]
		if row == nil || row["status"] != "Success" {
			continue
		}
		r.Authoritative = r.Authoritative || row["answerType"] == "Authoritative"
		for part := range strings.SplitSeq(clip(row["ipAddresses"], 4096), ",") {
			address, err := netip.ParseAddr(strings.TrimSpace(part))
			if known := address.WithZone("").String(); err == nil && len(r.Answers) < maxAnswers && !slices.Contains(r.Answers, known) {
				r.Answers = append(r.Answers, known)
			}
		}
	}
	return &models.DiagnosticResult{Lookup: r}, nil
}

func decodeRegistration(_ models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	code, err := a.number("responseCode", 699)
	if err == nil && code < 100 {
		err = nonsense(fmt.Sprintf("the device's answer makes no sense: %d is no SIP response", code))
	}
	if err != nil {
		return nil, err
	}
	status := int(code)
	return &models.DiagnosticResult{Registration: &models.RegistrationResult{
		Registered: status/100 == 2, SipStatus: &status, ExpiresInSeconds: a.optional("expires", math.MaxInt32), ResponseMs: a.optional("responseTime", maxMs),
		ServerUsed: clip(a["serverUsed"], 256), NatType: clip(a["natType"], 32),
	}}, nil
}

func decodeLoopback(_ models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error) {
	sent, err := a.number("packetsSent", math.MaxInt32)
	if err != nil {
		return nil, err
	}
	received, err := a.number("packetsReceived", sent)
	if err != nil {
		return nil, err
	}
	r := &models.LoopbackResult{Sent: int(sent), Received: int(received), JitterMs: a.ms("jitter"), RttMs: a.ms("rtt")}
	if sent > 0 {
		loss := float64(sent-received) * 100 / float64(sent)
		r.LossPercent = &loss
	}
	return &models.DiagnosticResult{Loopback: r}, nil
}
