package sim

import (
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// A report has the shape of example 06, and each knob does what it says.
func TestStatistics(t *testing.T) {
	p := &platform{ask: func(*cwmp.Inform) []cwmp.Message { return nil }}
	now := time.Date(2026, 1, 5, 2, 0, 0, 500, time.UTC)
	c := setup(t, p, func(c *Config) { c.Now = func() time.Time { return now } })
	send := func(r Report) *cwmp.Inform {
		t.Helper()
		if _, err := c.SendReport(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return last[*cwmp.Inform](t, p)
	}
	c.Call(90 * time.Second)
	c.Count(models.StatisticsCause+"486", 2)
	c.Count("line.stats.packetsLost", 1<<32-1)
	first := c.NextReport(15 * time.Minute)
	send(first)
	expect(t, p, "X CT-COM STATISTICS", map[string]string{
		"Statistics.BootId": first.BootID, "Statistics.Seq": "1", "Statistics.IntervalStart": "2026-01-05T01:45:00Z", "Statistics.IntervalEnd": "2026-01-05T02:00:00Z",
		"Stats.TotalCallTime": "90", "Stats.PacketsReceived": "4500", "Stats.AverageRoundTripDelay": "48000", "Statistics.ReleaseCauses": "200:1,486:2",
	})
	if _, err := c.Retry(t.Context()); err != nil || parameter(last[*cwmp.Inform](t, p), "Statistics.Seq") != "1" {
		t.Errorf("a duplicate: %v", err)
	}
	c.Count("line.stats.packetsLost", 3)
	second := c.NextReport(15 * time.Minute)
	if second.Seq != 2 || second.BootID != first.BootID || second.Values["line.stats.packetsLost"] != "2" {
		t.Errorf("wrapped: %+v", second)
	}
	c.SetFaults(Faults{ClockSkew: time.Hour})
	if in := send(second); !in.CurrentTime.Equal(now.Add(time.Hour).Truncate(time.Second)) || parameter(in, "Statistics.IntervalEnd") != "2026-01-05T03:00:00Z" {
		t.Errorf("a wrong clock: %s", in.CurrentTime)
	}
	c.SetFaults(Faults{})
	c.ResetCounters(true)
	if r := c.NextReport(time.Hour); r.BootID != first.BootID || r.Seq != 3 || r.Values["line.stats.totalCallTime"] != "" {
		t.Errorf("reset: %+v", r)
	}
	c.ResetCounters(false)
	if r := c.NextReport(time.Hour); r.BootID == first.BootID || len(r.BootID) != 32 || r.Seq != 1 || len(r.Values) != 0 {
		t.Errorf("another BootId: %+v", r)
	}
	for _, v := range send(Report{}).Parameters {
		if v.Name == "Device.X_CT-COM_Statistics.BootId" {
			t.Error("an empty BootId is sent")
		}
	}
}
