package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// calls is what a client counts of its calls. Counters have 32 bits and begin anew at 0 beyond them.
type calls struct {
	bootID   string
	seq      int64
	counters map[string]uint32
	gauges   map[string]uint32
}

// Report is what a STATISTICS Inform says (i4.md B.9). A test makes one odd by changing it before SendReport: another Seq leaves a gap, the same one
// with other Values is a conflict, and so on; Retry is a duplicate. Faults.ClockSkew is for a wrong clock.
type Report struct {
	BootID     string
	Seq        int64
	Start, End time.Time
	// Values are counters and gauges by logical name. A text that is no number is sent as it is.
	Values map[string]string
}

// Count adds to a counter, by its logical name or, for a release cause, models.StatisticsCause and the code.
func (c *Client) Count(name string, n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting()
	c.calls.counters[name] += n
}

// Sample sets a gauge by its logical name.
func (c *Client) Sample(name string, value uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting()
	c.calls.gauges[name] = value
}

// Call counts an outgoing call that was answered and lasted so long, with its packets of 20 ms, and samples jitter and delay of a good line.
func (c *Client) Call(lasted time.Duration) {
	seconds := uint32(lasted / time.Second)
	for name, n := range map[string]uint32{
		"line.stats.outgoingCallsAttempted": 1, "line.stats.outgoingCallsAnswered": 1, "line.stats.outgoingCallsConnected": 1,
		"line.stats.totalCallTime": seconds, "line.stats.packetsSent": 50 * seconds, "line.stats.packetsReceived": 50 * seconds,
		"line.stats.bytesSent": 8000 * seconds, "line.stats.bytesReceived": 8000 * seconds, models.StatisticsCause + "200": 1,
	} {
		c.Count(name, n)
	}
	c.Sample("line.stats.averageReceiveInterarrivalJitter", 9_000)
	c.Sample("line.stats.averageRoundTripDelay", 48_000)
}

// counting begins the first BootId.
func (c *Client) counting() {
	if c.calls.bootID == "" {
		c.calls.bootID, c.calls.seq = randomHex(), 0
		c.calls.counters, c.calls.gauges = map[string]uint32{}, map[string]uint32{}
	}
}

// ResetCounters begins all counters anew at 0. A client that obeys takes another BootId for it; with keep it does not.
func (c *Client) ResetCounters(keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if keep {
		clear(c.calls.counters)
		return
	}
	c.calls = calls{}
}

// NextReport is the report of the interval that began so long ago and ends now.
func (c *Client) NextReport(interval time.Duration) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting()
	end := c.config.Now().UTC().Truncate(time.Second)
	c.calls.seq++
	r := Report{BootID: c.calls.bootID, Seq: c.calls.seq, Start: end.Add(-interval), End: end, Values: map[string]string{}}
	var causes []string
	for _, name := range slices.Sorted(maps.Keys(c.calls.counters)) {
		n := strconv.FormatUint(uint64(c.calls.counters[name]), 10)
		if code, ok := strings.CutPrefix(name, models.StatisticsCause); ok {
			causes = append(causes, code+":"+n)
			continue
		}
		r.Values[name] = n
	}
	if len(causes) > 0 {
		r.Values["statistics.releaseCauses"] = strings.Join(causes, ",")
	}
	for name, value := range c.calls.gauges {
		r.Values[name] = strconv.FormatUint(uint64(value), 10)
	}
	return r
}

// Statistics reports the interval that ends now.
func (c *Client) Statistics(ctx context.Context, interval time.Duration) (Outcome, error) {
	return c.SendReport(ctx, c.NextReport(interval))
}

// SendReport is a STATISTICS session.
func (c *Client) SendReport(ctx context.Context, r Report) (Outcome, error) {
	a := &attempt{events: c.event(models.EventStatistics), parameters: []cwmp.ParameterValue{c.held("ui.userName")}}
	c.mu.Lock()
	skew := c.faults.ClockSkew
	c.mu.Unlock()
	for _, v := range [][2]string{
		{"statistics.bootId", r.BootID}, {"statistics.seq", fmt.Sprint(r.Seq)},
		{"statistics.intervalStart", cwmp.FormatTime(r.Start.Add(skew))}, {"statistics.intervalEnd", cwmp.FormatTime(r.End.Add(skew))},
	} {
		if v[1] != "" {
			a.parameters = append(a.parameters, c.value(v[0], v[1]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		a.parameters = append(a.parameters, c.value(name, r.Values[name]))
	}
	return c.act(ctx, a)
}
