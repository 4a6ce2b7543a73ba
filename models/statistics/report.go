package statistics

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
)

// Logical names of a report's key and interval.
const (
	bootID        = "statistics.bootId"
	seq           = "statistics.seq"
	intervalStart = "statistics.intervalStart"
	intervalEnd   = "statistics.intervalEnd"
	releaseCauses = "statistics.releaseCauses"
)

// Counters that have a meaning of their own here.
const (
	packetsReceived   = "line.stats.packetsReceived"
	packetsLost       = "line.stats.packetsLost"
	incomingReceived  = "line.stats.incomingCallsReceived"
	incomingAnswered  = "line.stats.incomingCallsAnswered"
	incomingFailed    = "line.stats.incomingCallsFailed"
	outgoingAttempted = "line.stats.outgoingCallsAttempted"
	outgoingAnswered  = "line.stats.outgoingCallsAnswered"
	outgoingFailed    = "line.stats.outgoingCallsFailed"
	callsDropped      = "line.stats.callsDropped"
	totalCallTime     = "line.stats.totalCallTime"
	videoCalls        = "statistics.videoCalls"
	conferenceCalls   = "statistics.conferenceCalls"
	registerAttempts  = "statistics.registerAttempts"
	registerFailures  = "statistics.registerFailures"
)

// counters are cumulative: the 18 of TR-104 VoiceProfile.Line.Stats and ours (i4.md B.9).
var counters = []string{
	"line.stats.packetsSent", packetsReceived, "line.stats.bytesSent", "line.stats.bytesReceived", packetsLost, "line.stats.overruns",
	"line.stats.underruns", incomingReceived, incomingAnswered, "line.stats.incomingCallsConnected", incomingFailed, outgoingAttempted,
	outgoingAnswered, "line.stats.outgoingCallsConnected", outgoingFailed, callsDropped, totalCallTime, "line.stats.serverDownTime",
	videoCalls, "statistics.videoCallTime", conferenceCalls, "statistics.messagesSent", "statistics.messagesReceived", registerAttempts, registerFailures,
}

// Gauges that quality is estimated from.
const (
	lossRate      = "line.stats.receivePacketLossRate"
	jitter        = "line.stats.receiveInterarrivalJitter"
	delay         = "line.stats.roundTripDelay"
	averageJitter = "line.stats.averageReceiveInterarrivalJitter"
	averageDelay  = "line.stats.averageRoundTripDelay"
)

// gauges are samples of the call that went on, never differenced: loss in %, jitter and delay in microseconds.
var gauges = []string{
	lossRate, "line.stats.farEndPacketLossRate", jitter, "line.stats.farEndInterarrivalJitter", delay, averageJitter,
	"line.stats.averageFarEndInterarrivalJitter", averageDelay,
}

const (
	maxBootID = 32
	maxCauses = 20
	maxCause  = 32
	maxRaw    = 256 // bytes of a value that are kept: even escaped, all of them fit into a TEXT
)

// Report is what an Inform says, before it is compared with anything.
type Report struct {
	BootID   string
	Seq      int64
	Start    models.Time // by the client's clock
	End      models.Time
	Counters map[string]int64
	Gauges   map[string]int64
	Raw      map[string]string
	// Malformed: some counter or gauge could not be read.
	Malformed bool
}

// Parse reads the report that an Inform carries. wrong is the logical name of what makes it none: a missing or unreadable BootId, Seq or interval;
// Raw is set all the same. Counters are unsigned integers of 32 bits, and what is none is left out (i4.md B.9).
func Parse(in *models.Inform) (report Report, wrong string) {
	report.Raw = map[string]string{}
	for _, names := range [][]string{{bootID, seq, intervalStart, intervalEnd, releaseCauses}, counters, gauges} {
		for _, name := range names {
			if value, reported := in.Values[name]; reported {
				report.Raw[name] = clip(value.Value)
			}
		}
	}
	report.read(report.Raw)
	number, numbered := unsigned(in.Get(seq))
	start, started := instant(in.Get(intervalStart))
	end, ended := instant(in.Get(intervalEnd))
	report.BootID, report.Seq, report.Start, report.End = in.Get(bootID), number, start, end
	switch {
	case !isBootID(report.BootID):
		return report, bootID
	case !numbered:
		return report, seq
	case !started:
		return report, intervalStart
	case !ended || end <= start:
		return report, intervalEnd
	}
	return report, ""
}

// read takes counters and gauges out of the values as sent.
func (r *Report) read(raw map[string]string) {
	r.Counters, r.Gauges = r.numbers(raw, counters), r.numbers(raw, gauges)
	r.readCauses(raw[releaseCauses])
}

func (r *Report) numbers(raw map[string]string, names []string) map[string]int64 {
	found := map[string]int64{}
	for _, name := range names {
		text := strings.TrimSpace(raw[name])
		if text == "" {
			continue
		}
		n, ok := unsigned(text)
		if !ok {
			r.Malformed = true
			continue
		}
		found[name] = n
	}
	return found
}

// readCauses reads "code:count,…"; the last of several counts of a code stands.
func (r *Report) readCauses(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	read := 0
	for entry := range strings.SplitSeq(text, ",") {
		code, count, _ := strings.Cut(entry, ":")
		code = strings.TrimSpace(code)
		n, ok := unsigned(count)
		if !ok || !isWord(code, maxCause) || read == maxCauses {
			r.Malformed = true
			continue
		}
		read++
		r.Counters[models.StatisticsCause+code] = n
	}
}

// hash fingerprints the values as sent, whatever their order.
func (r *Report) hash() []byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.Raw)) {
		for _, text := range []string{name, r.Raw[name]} {
			h.Write([]byte(strconv.Quote(text)))
		}
	}
	return h.Sum(nil)
}

func unsigned(text string) (int64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return int64(n), err == nil
}

// instant reads a time in UTC; the Unknown Time is none.
func instant(text string) (models.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() <= 1 {
		return 0, false
	}
	return models.TimeOf(t), true
}

func isBootID(text string) bool { return isWord(text, maxBootID) }

// isWord tells whether text is 1 to max characters of printable ASCII without spaces, so that all databases tell words apart alike.
func isWord(text string, max int) bool {
	return text != "" && len(text) <= max && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

// clip shortens a value to what is kept of it; what is no UTF-8 is left out.
func clip(value string) string {
	return strings.ToValidUTF8(value[:min(len(value), maxRaw)], "")
}
