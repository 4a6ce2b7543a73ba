package statistics

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// truth is what reports in the order of their Seq must add up to, counted the long way round.
type truth struct {
	deltas map[string]int64
	flags  []models.StatisticsFlag
}

func recount(reports map[int64]map[string]int64) map[int64]truth {
	last, all, before := map[string]int64{}, map[int64]truth{}, int64(-1)
	for _, n := range slices.Sorted(maps.Keys(reports)) {
		deltas, odd := map[string]int64{}, map[models.StatisticsFlag]bool{models.StatisticsGap: before >= 0 && n != before+1}
		for name, value := range reports[n] {
			delta := value - last[name]
			if delta < 0 {
				if wraps := last[name] > 2147483648 && value < 1073741824; wraps {
					delta += 4294967296
					odd[models.StatisticsWrap] = true
				} else {
					delta = value
					odd[models.StatisticsReset] = true
				}
			}
			if last[name] = value; delta != 0 {
				deltas[name] = delta
			}
		}
		var flags []models.StatisticsFlag
		for f, on := range odd {
			if on {
				flags = append(flags, f)
			}
		}
		slices.Sort(flags)
		all[n], before = truth{deltas, flags}, n
	}
	return all
}

// Reports that come twice, late, never, after resets and wraps are worth what a recount of those that came is worth, whatever the order.
func TestRecount(t *testing.T) {
	each(t, Config{}, func(h *house) {
		random := rand.New(rand.NewPCG(6, 19))
		names := []string{"line.stats.packetsSent", "line.stats.bytesReceived", registerAttempts, models.StatisticsCause + "486"}
		for run := range 12 {
			a := h.account("pudong")
			d := h.device(a)
			counters := map[string]int64{}
			var sent []*models.Inform
			reports := map[int64]map[string]int64{}
			for n := range int64(14) {
				for _, name := range names {
					switch random.IntN(12) {
					case 0:
						counters[name] = 0 // a reset that should have been another BootId
					case 1:
						counters[name] = 1<<32 - 1 - random.Int64N(1000)
					default:
						counters[name] = (counters[name] + random.Int64N(5000)) % (1 << 32)
					}
				}
				if random.IntN(5) == 0 {
					continue // lost
				}
				values := map[string]string{releaseCauses: fmt.Sprintf("486:%d", counters[models.StatisticsCause+"486"])}
				for _, name := range names[:3] {
					values[name] = fmt.Sprint(counters[name])
				}
				reports[n] = maps.Clone(counters)
				in := h.inform("boot", n, values)
				for range 1 + random.IntN(2) {
					sent = append(sent, in)
				}
			}
			random.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
			for _, in := range sent {
				h.receive(d, in)
			}
			want, rows := recount(reports), h.rows(d, "boot")
			if len(rows) != len(want) {
				h.Fatalf("run %d: %d rows of %d reports", run, len(rows), len(want))
			}
			for _, row := range rows {
				w := want[row.Seq]
				if !maps.Equal(row.Deltas.V, w.deltas) || !slices.Equal(row.Flags.V, w.flags) {
					h.Fatalf("run %d: report %d is %v %v, not %v %v", run, row.Seq, row.Deltas.V, row.Flags.V, w.deltas, w.flags)
				}
			}
		}
	})
}

// A counter that some reports leave out is counted once in all, in any order.
func TestLeftOut(t *testing.T) {
	each(t, Config{}, func(h *house) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 10 {
			d := h.device(h.account("pudong"))
			var sent []*models.Inform
			last, n := int64(0), int64(0)
			for n = range int64(9) {
				last += random.Int64N(100)
				values := map[string]string{registerAttempts: fmt.Sprint(last)}
				if random.IntN(2) == 0 && n < 8 {
					values = map[string]string{registerAttempts: ""}
				}
				sent = append(sent, h.inform("boot", n, values))
			}
			random.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
			for _, in := range sent {
				h.receive(d, in)
			}
			sum := int64(0)
			for _, row := range h.rows(d, "boot") {
				sum += row.Deltas.V[registerAttempts]
			}
			if sum != last {
				h.Fatalf("%d counted of %d", sum, last)
			}
		}
	})
}

// Reports of a device that come at the same time make one chain.
func TestRaces(t *testing.T) {
	each(t, Config{}, func(h *house) {
		d := h.device(h.account("pudong"))
		const reports = 12
		reported := map[int64]map[string]int64{}
		var wg sync.WaitGroup
		for n := range int64(reports) {
			reported[n] = map[string]int64{registerAttempts: 10 * (n + 1)}
			in := h.inform("boot", n, map[string]string{registerAttempts: fmt.Sprint(10 * (n + 1))})
			for range 2 {
				wg.Go(func() {
					if wrong, err := h.Receive(h.Context(), d, in); wrong != "" || err != nil {
						h.Errorf("report %d: %q %v", n, wrong, err)
					}
				})
			}
		}
		wg.Wait()
		for n, row := range h.rows(d, "boot") {
			if row.PreviousSeq != int64(n)-1 || row.Deltas.V[registerAttempts] != 10 || len(row.Flags.V) != 0 {
				h.Errorf("report %d follows %d with %v %v", row.Seq, row.PreviousSeq, row.Deltas.V, row.Flags.V)
			}
		}
		if s := h.Stats(); s[Received] != reports || s[Duplicate] != reports || len(h.events()) != reports {
			h.Errorf("%v, %d events", s, len(h.events()))
		}
	})
}

// No report costs more than three statements, in whatever way it comes.
func TestStatements(t *testing.T) {
	each(t, Config{Spacing: frequent}, func(h *house) {
		d := h.device(h.account("pudong"))
		short := h.clock.Now().Add(-time.Minute).Std().Format(time.RFC3339)
		for _, x := range []struct {
			what string
			want int64
			in   *models.Inform
		}{
			{"first", 3, h.inform("boot", 1, nil)},
			{"next", 3, h.inform("boot", 2, nil)},
			{"after a gap", 3, h.inform("boot", 5, nil)},
			{"out of order", 3, h.inform("boot", 4, nil)},
			{"duplicate", 1, h.inform("boot", 4, nil)},
			{"conflict", 3, h.inform("boot", 4, map[string]string{registerAttempts: "1"})},
			{"conflict again", 1, h.inform("boot", 4, map[string]string{registerAttempts: "2"})},
			{"frequent", 3, h.inform("boot", 6, map[string]string{intervalStart: short})},
			{"too often", 1, h.inform("boot", 7, map[string]string{intervalStart: short})},
			{"refused, too often", 1, h.inform("", 7, nil)},
		} {
			ctx, statements := store.CountStatements(h.Context())
			if _, err := h.Receive(ctx, d, x.in); err != nil || statements.Load() != x.want {
				h.Errorf("%s: %d statements, %v", x.what, statements.Load(), err)
			}
		}
	})
}

// What is no report is kept as it came, as often as the limit allows.
func TestRefusals(t *testing.T) {
	each(t, Config{Spacing: frequent}, func(h *house) {
		d := h.device(h.account("pudong"))
		for what, values := range map[string]map[string]string{
			bootID: {bootID: ""}, seq: {seq: "4294967296"}, intervalStart: {intervalStart: "yesterday"}, intervalEnd: {intervalEnd: "0001-01-01T00:00:00Z"},
		} {
			values[registerAttempts] = "17"
			for range 2 {
				if wrong, err := h.Receive(h.Context(), d, h.inform("boot", 1, values)); wrong != what || err != nil {
					h.Errorf("%s: %q %v", what, wrong, err)
				}
			}
			h.clock.Advance(frequent + time.Millisecond)
		}
		var kept []models.StatisticsRefusal
		h.tx(func(tx *store.Tx) error { return tx.DB.Find(&kept).Error })
		if len(kept) != 4 || kept[0].Raw.V[registerAttempts] != "17" || kept[0].Raw.V["deviceInfo.softwareVersion"] != "" {
			h.Errorf("kept %+v", kept)
		}
		if s := h.Stats(); s[Refused] != 4 || s[TooOften] != 4 || len(h.rows(d, "boot")) != 0 || len(h.events()) != 0 {
			h.Errorf("%v, %v", s, h.events())
		}
	})
}

// The clock of the client, and what is done about it (i4.md B.9, Clock).
func TestPlace(t *testing.T) {
	t.Parallel()
	now := models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC))
	day := 24 * time.Hour
	for what, x := range map[string]struct {
		skew, end  time.Duration // of the client's clock; of the interval's end before the client's now
		wantEnd    time.Duration // after the platform's now
		wantFlag   models.StatisticsFlag
		unknownNow bool
	}{
		"right":                     {},
		"two minutes ahead":         {skew: 2 * time.Minute, wantEnd: 2 * time.Minute},
		"two minutes behind":        {skew: -2 * time.Minute, wantEnd: -2 * time.Minute},
		"more than that":            {skew: 2*time.Minute + time.Millisecond},
		"a day behind":              {skew: -day, end: time.Hour, wantEnd: -time.Hour},
		"more than a day":           {skew: -day - time.Millisecond, end: time.Hour, wantFlag: models.StatisticsClock},
		"unknown":                   {unknownNow: true, end: time.Hour, wantFlag: models.StatisticsClock},
		"ten minutes in the future": {end: -10 * time.Minute, wantEnd: 10 * time.Minute},
		"more in the future":        {end: -10*time.Minute - time.Second, wantEnd: 10*time.Minute + time.Second, wantFlag: models.StatisticsFuture},
		"corrected future":          {skew: time.Hour, end: -time.Hour, wantEnd: time.Hour, wantFlag: models.StatisticsFuture},
	} {
		current := now.Add(x.skew)
		report := Report{Start: current.Add(-x.end - 6*time.Hour), End: current.Add(-x.end)}
		if x.unknownNow {
			current = 0
		}
		start, end, flags := place(&report, current, now)
		var want []models.StatisticsFlag
		if x.wantFlag != "" {
			want = append(want, x.wantFlag)
		}
		if end != now.Add(x.wantEnd) || end.Sub(start) != 6*time.Hour || !slices.Equal(flags, want) {
			t.Errorf("%s: %s to %s %v", what, start, end, flags)
		}
	}
}

// What is read of counters, gauges and release causes.
func TestParse(t *testing.T) {
	t.Parallel()
	in := plain(map[string]string{
		"line.stats.packetsSent": " 7 ", "line.stats.bytesSent": "4294967296", "line.stats.overruns": "-1", averageDelay: "48300", jitter: "",
		releaseCauses: "200:80, 486:9,BYE_TIMEOUT:1,487:x,:3,noCount,a b:1,200:81",
	})
	r, wrong := Parse(in)
	want := map[string]int64{"line.stats.packetsSent": 7, "cause.200": 81, "cause.486": 9, "cause.BYE_TIMEOUT": 1}
	if wrong != "" || !r.Malformed || !maps.Equal(r.Counters, want) || !maps.Equal(r.Gauges, map[string]int64{averageDelay: 48300}) {
		t.Errorf("%q %+v", wrong, r)
	}
	var many string
	for i := range 25 {
		many += fmt.Sprintf("%d:1,", i)
	}
	if r, _ := Parse(plain(map[string]string{releaseCauses: many})); len(r.Counters) != maxCauses || !r.Malformed {
		t.Errorf("%d causes", len(r.Counters))
	}
	if r, _ := Parse(plain(nil)); r.Malformed || len(r.Counters)+len(r.Gauges) != 0 {
		t.Errorf("nothing is %+v", r)
	}
}

// plain is a report without a database.
func plain(values map[string]string) *models.Inform {
	in := &models.Inform{Values: map[string]models.Value{}}
	all := map[string]string{bootID: "b", seq: "1", intervalStart: "2026-01-05T01:00:00Z", intervalEnd: "2026-01-05T02:00:00Z"}
	maps.Copy(all, values)
	for name, value := range all {
		in.Values[name] = models.Value{Name: name, Value: value}
	}
	return in
}

// A client that thinks of ever new release causes and sends the longest values fills no row beyond what it holds.
func TestHostile(t *testing.T) {
	each(t, Config{}, func(h *house) {
		d := h.device(h.account("pudong"))
		for n := range int64(15) {
			var causes string
			for i := range maxCauses {
				causes += fmt.Sprintf("<%d-%d>:1,", n, i)
			}
			values := map[string]string{releaseCauses: causes}
			for _, name := range append(slices.Clone(counters), gauges...) {
				values[name] = strings.Repeat("<", 5000)
			}
			h.receive(d, h.inform("boot", n, values))
		}
		rows := h.rows(d, "boot")
		if len(rows) != 15 || len(rows[14].Counters.V) != maxCounters || !slices.Contains(rows[14].Flags.V, models.StatisticsMalformed) {
			h.Errorf("%d rows, %d counters", len(rows), len(rows[14].Counters.V))
		}
	})
}

// The first report may have Seq 0, and what happens to it happens to no other.
func TestZero(t *testing.T) {
	each(t, Config{}, func(h *house) {
		d := h.device(h.account("pudong"))
		for n := range int64(3) {
			h.receive(d, h.inform("boot", n, nil))
		}
		h.tx(func(tx *store.Tx) error { // none has a flag
			return tx.DB.Model(&models.StatisticsReport{}).Where("device_id = ?", d.ID).Update("flags", models.Doc[[]models.StatisticsFlag]{}).Error
		})
		h.receive(d, h.inform("boot", 0, map[string]string{registerAttempts: "1"}))
		for _, row := range h.rows(d, "boot") {
			if conflicts := slices.Contains(row.Flags.V, models.StatisticsConflict); conflicts != (row.Seq == 0) {
				h.Errorf("report %d has the flags %v", row.Seq, row.Flags.V)
			}
		}
		if s := h.Stats(); s[Conflicting] != 1 || s[Received] != 3 {
			h.Errorf("%v", s)
		}
	})
}
