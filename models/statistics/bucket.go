package statistics

import (
	"fmt"
	"slices"
	"time"

	"github.com/softacs/softacs/models"
)

// Width is how long a bucket is.
type Width string

// The widths of the schema. Up to an hour they are of UTC, the others of a time zone; weeks begin on Monday (resolutions 27).
const (
	FiveMinutes Width = "MINUTE_5"
	Hour        Width = "HOUR"
	Day         Width = "DAY"
	Week        Width = "WEEK"
	Month       Width = "MONTH"
)

// maxBuckets are the hours of 90 days, and a week of five minutes.
const maxBuckets = 2200

// Range is the time from From up to, not including, To.
type Range struct{ From, To models.Time }

// Bucket is what the reports add up to whose intervals end in it. Ratios are nil where nothing was counted.
type Bucket struct {
	Start, End models.Time
	// Complete: no report can change it any more, and none of it was deleted.
	Complete bool

	Attempts, Answered, Failed, Dropped int64
	// AnswerSeizureRatio is Answered / Attempts, AverageCallSeconds TalkSeconds / Answered.
	AnswerSeizureRatio, AverageCallSeconds *float64
	PacketLossPercent                      *float64
	// MosAvg is the mean of the MOS that the E-model estimates for each report, MosP05 the one that 5 % of the reports do not reach.
	MosAvg, MosP05, JitterMsP95        *float64
	RegisterAttempts, RegisterFailures int64
	VideoCalls, ConferenceCalls        int64
	TalkSeconds                        int64
	// ReportingDevices have reported in it; ExpectedDevices are those that could.
	ReportingDevices, ExpectedDevices int64

	lost, received int64
	opinions       []float64
	jitters        []float64
	devices        map[models.ID]struct{}
}

// floor is the begin of the bucket that holds t.
func (w Width) floor(t time.Time, zone *time.Location) time.Time {
	switch w {
	case FiveMinutes:
		return t.UTC().Truncate(5 * time.Minute)
	case Hour:
		return t.UTC().Truncate(time.Hour)
	}
	t = t.In(zone)
	year, month, day := t.Date()
	switch w {
	case Week:
		day -= (int(t.Weekday()) + 6) % 7
	case Month:
		day = 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, zone)
}

// next is the begin of the bucket after the one that begins at t.
func (w Width) next(t time.Time) time.Time {
	switch w {
	case FiveMinutes:
		return t.Add(5 * time.Minute)
	case Hour:
		return t.Add(time.Hour)
	case Week:
		return t.AddDate(0, 0, 7)
	case Month:
		return t.AddDate(0, 1, 0)
	}
	return t.AddDate(0, 0, 1)
}

// buckets lists the buckets that a range touches. The error says what is allowed.
func buckets(asked Range, w Width, zone *time.Location, now models.Time) ([]Bucket, error) {
	horizon := now.Add(-kept)
	switch {
	case asked.From >= asked.To:
		return nil, models.E(models.BadUserInput, "to must be after from", "range", "to")
	case asked.From < horizon:
		return nil, models.E(models.BadUserInput, fmt.Sprintf("statistics are kept for 90 days: from must not be before %s", horizon), "range", "from")
	}
	var list []Bucket
	for start, to := w.floor(asked.From.Std(), zone), asked.To.Std(); start.Before(to); {
		if len(list) == maxBuckets {
			return nil, models.E(models.BadUserInput, fmt.Sprintf("the range has more than %d buckets of %s", maxBuckets, w), "range")
		}
		end := w.next(start)
		b := Bucket{Start: models.TimeOf(start), End: models.TimeOf(end), devices: map[models.ID]struct{}{}}
		b.Complete = b.End.Add(acceptable) <= now && b.Start >= horizon
		list, start = append(list, b), end
	}
	return list, nil
}

// add takes a report into the bucket.
func (b *Bucket) add(row *models.StatisticsReport) {
	b.devices[row.DeviceID] = struct{}{}
	if slices.Contains(row.Flags.V, models.StatisticsImplausible) {
		return
	}
	d := row.Deltas.V
	b.Attempts += d[incomingReceived] + d[outgoingAttempted]
	b.Answered += d[incomingAnswered] + d[outgoingAnswered]
	b.Failed += d[incomingFailed] + d[outgoingFailed]
	b.Dropped += d[callsDropped]
	b.TalkSeconds += d[totalCallTime]
	b.RegisterAttempts += d[registerAttempts]
	b.RegisterFailures += d[registerFailures]
	b.VideoCalls += d[videoCalls]
	b.ConferenceCalls += d[conferenceCalls]
	b.lost += d[packetsLost]
	b.received += d[packetsReceived]
	q := sample(row.Gauges.V, d, row.Counters.V)
	if q.hasMOS {
		b.opinions = append(b.opinions, q.mos)
	}
	if q.jittered {
		b.jitters = append(b.jitters, q.jitterMs)
	}
}

// close computes what needs all reports.
func (b *Bucket) close() {
	b.ReportingDevices = int64(len(b.devices))
	b.AnswerSeizureRatio = ratio(float64(b.Answered), float64(b.Attempts))
	b.AverageCallSeconds = ratio(float64(b.TalkSeconds), float64(b.Answered))
	b.PacketLossPercent = ratio(100*float64(b.lost), float64(b.lost+b.received))
	sum := 0.0
	for _, mos := range b.opinions {
		sum += mos
	}
	b.MosAvg = ratio(sum, float64(len(b.opinions)))
	b.MosP05, b.JitterMsP95 = percentile(b.opinions, 5), percentile(b.jitters, 95)
}

func ratio(part, whole float64) *float64 {
	if whole == 0 {
		return nil
	}
	r := part / whole
	return &r
}

// percentile is the value of the nearest rank; nil of nothing.
func percentile(values []float64, p int) *float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	rank := max(1, (len(values)*p+99)/100)
	return &values[rank-1]
}
