package statistics

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

func utc(text string) models.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return models.TimeOf(t)
}

// Where buckets begin and end (resolutions 27).
func TestBuckets(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		z, err := LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	now := utc("2026-04-20T12:00:00Z")
	for _, x := range []struct {
		width    Width
		zone     string
		from, to string
		want     string
	}{
		{FiveMinutes, "Asia/Kathmandu", "2026-04-20T11:52:00Z", "2026-04-20T12:00:00Z", "11:50 11:55 12:00"},
		{Hour, "Asia/Kathmandu", "2026-04-20T10:00:00Z", "2026-04-20T12:00:00.001Z", "10:00 11:00 12:00 13:00"},
		{Day, "Asia/Shanghai", "2026-04-19T15:59:59Z", "2026-04-19T16:00:01Z", "18T16:00 19T16:00 20T16:00"},
		{Day, "Europe/London", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "28T00:00 29T00:00 29T23:00 30T23:00"}, // clocks go forward
		{Week, "Asia/Shanghai", "2026-04-05T15:59:59Z", "2026-04-05T16:00:01Z", "29T16:00 05T16:00 12T16:00"},         // Monday is the 6th
		{Month, "Asia/Shanghai", "2026-02-10T00:00:00Z", "2026-04-01T00:00:00Z", "31T16:00 28T16:00 31T16:00 30T16:00"},
	} {
		list, err := buckets(Range{utc(x.from), utc(x.to)}, x.width, zone(x.zone), now)
		if err != nil {
			t.Fatal(err)
		}
		layout := "02T15:04"
		if x.width == FiveMinutes || x.width == Hour {
			layout = "15:04"
		}
		var got []string
		for i, b := range list {
			if i > 0 && b.Start != list[i-1].End {
				t.Errorf("%s: a hole before %s", x.width, b.Start)
			}
			got = append(got, b.Start.Std().Format(layout))
		}
		got = append(got, list[len(list)-1].End.Std().Format(layout))
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s of %s: %v, not %s", x.width, x.zone, got, x.want)
		}
	}
	list, err := buckets(Range{utc("2026-01-21T00:00:00Z"), utc("2026-04-20T00:00:00Z")}, Week, time.UTC, now)
	if err != nil || len(list) != 13 || list[0].Complete || !list[1].Complete || !list[11].Complete || list[12].Complete {
		t.Errorf("%d weeks, %v; the first is cut off by what is kept, the last ended less than 7 days ago", len(list), err)
	}
	for _, bad := range []struct {
		asked Range
		width Width
	}{
		{Range{now, now}, Day}, {Range{now, now.Add(-1)}, Day}, {Range{now.Add(-kept - time.Millisecond), now}, Day},
		{Range{now, math.MaxInt64 / 2}, Month}, {Range{now.Add(-8 * 24 * time.Hour), now}, FiveMinutes}, {Range{0, now}, Day},
	} {
		if _, err := buckets(bad.asked, bad.width, time.UTC, now); models.CodeOf(err) != models.BadUserInput {
			t.Errorf("%v of %s: %v", bad.asked, bad.width, err)
		}
	}
	if _, err := buckets(Range{now.Add(-kept), now}, Hour, time.UTC, now); err != nil {
		t.Errorf("the hours of 90 days: %v", err)
	}
	for _, name := range []string{"", "Local", "Shanghai", "../etc/passwd"} {
		if _, err := LoadZone(name); err == nil {
			t.Errorf("%q is a zone", name)
		}
	}
}

// A report belongs to the bucket that holds the second before its end, and is in all widths.
func TestTotals(t *testing.T) {
	shanghai, err := LoadZone("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	each(t, Config{Zone: shanghai}, func(h *house) {
		a := h.account("pudong")
		one, two, other := h.device(a), h.device(a), h.device(h.account("pudong"))
		h.clock.Advance(14 * time.Hour) // to midnight in Shanghai
		midnight := h.clock.Now()
		values := func(received, answered, seconds int) map[string]string {
			return map[string]string{incomingReceived: fmt.Sprint(received), incomingAnswered: fmt.Sprint(answered), totalCallTime: fmt.Sprint(seconds)}
		}
		h.receive(one, h.inform("boot", 1, values(4, 2, 100))) // ends at midnight: of the day before
		h.receive(other, h.inform("boot", 1, values(90, 90, 90)))
		h.clock.Advance(frequent)
		h.receive(one, h.inform("boot", 2, values(10, 5, 300)))
		h.receive(two, h.inform("boot", 1, values(1, 1, 10)))
		h.receive(two, h.inform("lies", 1, values(1, 2, 10)))
		ctx := storetest.In(h.T, []string{"pudong"}, models.StatsRead)
		list, err := h.OfAccount(ctx, a, Range{midnight.Add(-time.Hour), midnight.Add(time.Hour)}, Day)
		if err != nil || len(list) != 2 {
			h.Fatalf("%d days, %v", len(list), err)
		}
		for i, want := range []string{"4 2 100 50 0.5 1 2", "7 4 210 52.5 0.5714285714285714 2 2"} {
			b := list[i]
			got := fmt.Sprintf("%d %d %d %v %v %d %d", b.Attempts, b.Answered, b.TalkSeconds, *b.AverageCallSeconds, *b.AnswerSeizureRatio, b.ReportingDevices, b.ExpectedDevices)
			if got != want || b.MosAvg != nil || b.PacketLossPercent != nil || b.JitterMsP95 != nil {
				h.Errorf("day %d is %s, not %s", i, got, want)
			}
		}
		for _, w := range []Width{FiveMinutes, Hour, Week, Month} {
			list, err := h.OfAccount(ctx, a, Range{midnight.Add(-time.Hour), midnight.Add(time.Hour)}, w)
			sum := int64(0)
			for _, b := range list {
				sum += b.Attempts
			}
			if err != nil || sum != 11 {
				h.Errorf("%s: %d attempts, %v", w, sum, err)
			}
		}
		days, err := h.OfDevice(ctx, one, Range{midnight.Add(-time.Hour), midnight.Add(time.Hour)}, Day, "UTC")
		if err != nil || len(days) != 1 || days[0].Attempts != 10 || days[0].ExpectedDevices != 1 || days[0].ReportingDevices != 1 {
			h.Errorf("%+v, %v", days, err)
		}
		_, err = h.OfDevice(ctx, one, Range{midnight.Add(-time.Hour), midnight}, Day, "Mars")
		if models.CodeOf(err) != models.BadUserInput {
			h.Errorf("a zone of Mars: %v", err)
		}
		foreign := storetest.In(h.T, []string{"beijing"}, models.StatsRead)
		if _, err := h.OfAccount(foreign, a, Range{midnight.Add(-time.Hour), midnight}, Day); models.CodeOf(err) != models.Forbidden {
			h.Errorf("out of scope: %v", err)
		}
		if _, err := h.OfDevice(foreign, one, Range{midnight.Add(-time.Hour), midnight}, Day, ""); models.CodeOf(err) != models.Forbidden {
			h.Errorf("out of scope: %v", err)
		}
	})
}

// The E-model against what ITU-T publishes.
func TestQuality(t *testing.T) {
	t.Parallel()
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %v, not %v", what, got, want)
		}
	}
	// G.107 Table B.1, which G.109 repeats.
	for r, mos := range map[float64]float64{90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58} {
		near(fmt.Sprintf("MOS of R %v", r), meanOpinion(r), mos, 0.01)
	}
	// With all parameters at their defaults R is 93.2 and MOS 4.41 (G.107 clause 7.7).
	near("R by default", rating(0, 0), 93.2, 0)
	near("MOS by default", meanOpinion(rating(0, 0)), 4.41, 0.005)
	near("MOS at the bottom", meanOpinion(-5), 1, 0)
	near("MOS at the top", meanOpinion(120), 4.5, 0)
	if low := meanOpinion(3); low < 1 {
		t.Errorf("MOS %v", low)
	}
	// G.114 Figure 1: delay hardly matters up to 150 ms; at 400 ms, the limit of network planning, R is a little below 70.
	near("Idd of 100 ms", delayImpairment(100), 0, 0)
	near("R of 150 ms", rating(150, 0), 93, 0.5)
	near("R of 400 ms", rating(400, 0), 69, 0.5)
	// G.107 equation 7-29: half of what is left of 95 is lost when the loss equals Bpl.
	near("Ie-eff at Bpl", equipmentImpairment(robustness), 47.5, 1e-9)
	near("Ie-eff of nothing", equipmentImpairment(0), 0, 0)

	calls := map[string]int64{packetsReceived: 1000}
	q := sample(map[string]int64{averageJitter: 9120, averageDelay: 48300, jitter: 99_000}, map[string]int64{packetsReceived: 990, packetsLost: 10}, calls)
	near("jitter", q.jitterMs, 9.12, 1e-9)
	near("MOS of 1 % loss", q.mos, meanOpinion(93.2-95/26.1), 1e-9)
	if q = sample(map[string]int64{lossRate: 3, delay: 48300}, map[string]int64{packetsReceived: 990, packetsLost: 10}, calls); !q.hasMOS || q.jittered {
		t.Errorf("%+v", q)
	}
	near("MOS of the gauge's 3 %", q.mos, meanOpinion(93.2-95*3/28.1), 1e-9)
	if q = sample(map[string]int64{averageJitter: 9120}, nil, calls); q.hasMOS || q.jittered {
		t.Errorf("no call, but %+v", q)
	}
	if q = sample(nil, calls, calls); q.hasMOS {
		t.Errorf("no gauge, but %+v", q)
	}
	if p := percentile([]float64{5, 1, 4, 2, 3}, 95); *p != 5 {
		t.Errorf("p95 %v", *p)
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	if low, high := percentile(hundred, 5), percentile(hundred, 95); *low != 5 || *high != 95 {
		t.Errorf("p05 %v, p95 %v", *low, *high)
	}
}
