package statistics

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
)

const (
	believed   = 120 * time.Second // a clock that is wrong by less is right
	correcting = 24 * time.Hour    // a clock that is wrong by more tells nothing
	ahead      = 10 * time.Minute
	acceptable = 7 * 24 * time.Hour

	lines   = 4         // calls that a client has at a time, at most
	slack   = time.Hour // of a call that is counted in the interval in which it ends
	maxSeqs = 10_000    // reports that a first one may make up for
	// maxCounters bounds the release causes that a client may think of within a BootId.
	maxCounters = 200
	longest     = 400 * 24 * time.Hour // time that a report may tell of
)

// place puts a report's interval into the platform's time (i4.md B.9, Clock). current is the client's clock when it sent the report, zero if it does
// not know.
func place(report *Report, current, received models.Time) (start, end models.Time, flags []models.StatisticsFlag) {
	start, end = report.Start, report.End
	skew := received - current
	distance := max(skew, -skew)
	switch {
	case current.IsZero() || distance > models.Time(correcting.Milliseconds()):
		start, end = received-(end-start), received
		flags = append(flags, models.StatisticsClock)
	case distance > models.Time(believed.Milliseconds()):
		start, end = start+skew, end+skew
	}
	if end > received.Add(ahead) {
		flags = append(flags, models.StatisticsFuture)
	}
	return start, end, flags
}

// link makes row the successor of before in the chain, nil for the first. own are the counters that row itself reported; what it left out stays as
// it was.
func link(before, row *models.StatisticsReport, own map[string]int64) {
	var was map[string]int64
	row.PreviousSeq = -1
	if before != nil {
		was, row.PreviousSeq = before.Counters.V, before.Seq
	}
	cumulative := maps.Clone(was)
	if cumulative == nil {
		cumulative = map[string]int64{}
	}
	deltas, flags := map[string]int64{}, slices.DeleteFunc(slices.Clone(row.Flags.V), isOfChain)
	room := maxCounters - len(cumulative)
	if before != nil && row.Seq-before.Seq > 1 {
		flags = append(flags, models.StatisticsGap)
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		n := own[name]
		if _, known := cumulative[name]; !known && strings.HasPrefix(name, models.StatisticsCause) {
			if room--; room < 0 {
				continue
			}
		}
		delta, odd := grew(was[name], n)
		if odd != "" && !slices.Contains(flags, odd) {
			flags = append(flags, odd)
		}
		if cumulative[name] = n; delta > 0 {
			deltas[name] = delta
		}
	}
	if implausible(before, row, cumulative, deltas) {
		flags = append(flags, models.StatisticsImplausible)
	}
	slices.Sort(flags)
	row.Counters, row.Deltas, row.Flags = models.DocOf(cumulative), models.DocOf(deltas), models.DocOf(flags)
}

// isOfChain tells whether a flag follows from the report before.
func isOfChain(f models.StatisticsFlag) bool {
	switch f {
	case models.StatisticsGap, models.StatisticsWrap, models.StatisticsReset, models.StatisticsImplausible:
		return true
	}
	return false
}

// grew is what a counter of 32 bits grew by within a BootId (i4.md B.9, Processing).
func grew(was, now int64) (delta int64, odd models.StatisticsFlag) {
	switch {
	case now >= was:
		return now - was, ""
	case was > 1<<31 && now < 1<<30:
		return now + 1<<32 - was, models.StatisticsWrap
	}
	return now, models.StatisticsReset
}

// implausible tells whether a report cannot be true: more calls answered than there were, or longer ones than there was time for. A call may be
// attempted in one interval and answered in the next, so the cumulative counters have to say it too.
func implausible(before, row *models.StatisticsReport, cumulative, deltas map[string]int64) bool {
	for _, pair := range [][2]string{{incomingAnswered, incomingReceived}, {outgoingAnswered, outgoingAttempted}} {
		answered, offered := pair[0], pair[1]
		if _, told := cumulative[offered]; told && cumulative[answered] > cumulative[offered] && deltas[answered] > deltas[offered] {
			return true
		}
	}
	elapsed, bound := row.EndedAt-row.StartedAt, models.Time(longest.Milliseconds())
	if before != nil {
		elapsed = max(elapsed, row.EndedAt-before.EndedAt)
	} else {
		elapsed = min(elapsed, bound) * models.Time(min(row.Seq, maxSeqs)+1) // those before it were not received
	}
	return deltas[totalCallTime]*1000 > lines*int64(min(elapsed, bound))+slack.Milliseconds()
}

// insert puts row between before and after in the chain, each nil if there is none. own are the counters that row itself reported. One that after
// left out is taken for unknown in row as well: what it grew by is already counted by a later report.
func insert(before, row, after *models.StatisticsReport, own map[string]int64) {
	if after == nil {
		link(before, row, own)
		return
	}
	var told Report
	told.read(after.Raw.V)
	maps.DeleteFunc(told.Counters, func(name string, n int64) bool { return after.Counters.V[name] != n }) // taken for unknown, too
	own = maps.Clone(own)
	maps.DeleteFunc(own, func(name string, _ int64) bool { _, known := told.Counters[name]; return !known })
	link(before, row, own)
	link(row, after, told.Counters)
}
