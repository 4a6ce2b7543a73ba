package statistics

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
)

// FuzzReport reads the fields of a report as a client sends them, one `name=value` a line, twice in a chain: nothing may break, and what is kept fits
// the rows.
func FuzzReport(f *testing.F) {
	fields := func(lines ...string) string {
		return strings.Join(append([]string{
			"statistics.bootId=5d41402abc4b2a76b9719d911017c592", "statistics.seq=17", "statistics.intervalStart=2012-01-09T16:00:00Z",
			"statistics.intervalEnd=2012-01-10T16:00:00Z",
		}, lines...), "\n")
	}
	example := fields("line.stats.incomingCallsReceived=41", "line.stats.incomingCallsAnswered=33", "line.stats.totalCallTime=10473",
		"line.stats.packetsReceived=521004", "line.stats.packetsLost=1311", "line.stats.averageReceiveInterarrivalJitter=9120",
		"line.stats.averageRoundTripDelay=48300", "statistics.releaseCauses=200:80,486:9,487:6,603:2,BYE_TIMEOUT:1")
	f.Add(example, fields("line.stats.packetsReceived=7"))
	f.Add(fields("line.stats.packetsSent=4294967295"), fields("line.stats.packetsSent=1", "statistics.seq=18"))
	f.Add(fields("statistics.releaseCauses=::,,:1,a:b,486:4294967296,"+strings.Repeat("1:1,", 40)), fields("statistics.seq=4294967295"))
	f.Add(fields("statistics.intervalEnd=9999-12-31T23:59:59Z", "statistics.intervalStart=0002-01-01T00:00:00Z"), example)
	f.Add(fields("statistics.bootId= ", "line.stats.totalCallTime=\xff\x00"), "statistics.seq=-1")
	f.Fuzz(func(t *testing.T, first, second string) {
		now := models.Time(1326211200000)
		var before *models.StatisticsReport
		for _, text := range []string{first, second} {
			in := &models.Inform{Values: map[string]models.Value{}, CurrentTime: now}
			for line := range strings.SplitSeq(text, "\n") {
				name, value, _ := strings.Cut(line, "=")
				in.Values[name] = models.Value{Name: name, Value: value}
			}
			report, wrong := Parse(in)
			for name, value := range report.Raw {
				if len(value) > maxRaw || !utf8.ValidString(value) || !models.IsStatistic(name) {
					t.Fatalf("kept %q: %q", name, value)
				}
			}
			if len(report.hash()) != 32 {
				t.Fatal("no hash")
			}
			if wrong != "" {
				continue
			}
			if report.Seq < 0 || report.Seq >= 1<<32 || report.End <= report.Start || !isBootID(report.BootID) {
				t.Fatalf("taken: %+v", report)
			}
			row := &models.StatisticsReport{BootID: report.BootID, Seq: report.Seq, Gauges: models.DocOf(report.Gauges), Raw: models.DocOf(report.Raw)}
			row.StartedAt, row.EndedAt, row.Flags.V = place(&report, in.CurrentTime, now)
			insert(before, row, nil, report.Counters)
			for name, delta := range row.Deltas.V {
				if delta <= 0 || delta >= 1<<32 {
					t.Fatalf("%s grew by %d", name, delta)
				}
			}
			for name, n := range row.Counters.V {
				cause, is := strings.CutPrefix(name, models.StatisticsCause)
				if n < 0 || n >= 1<<32 || is && !isWord(cause, maxCause) || !is && !slices.Contains(counters, name) {
					t.Fatalf("%q is %d", name, n)
				}
			}
			if text, err := json.Marshal(row.Counters); err != nil || len(text) > 1<<13 {
				t.Fatalf("%d bytes, %v", len(text), err)
			}
			if patience(row) < grace {
				t.Fatalf("patience %s", patience(row))
			}
			b := Bucket{devices: map[models.ID]struct{}{}}
			b.add(row)
			b.close()
			if b.MosAvg != nil && !(*b.MosAvg >= 1 && *b.MosAvg <= 4.5) {
				t.Fatalf("MOS %v", *b.MosAvg)
			}
			before = &models.StatisticsReport{Seq: row.Seq, EndedAt: row.EndedAt, Counters: models.DocOf(maps.Clone(row.Counters.V))}
		}
	})
}
