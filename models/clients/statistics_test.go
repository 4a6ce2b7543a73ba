package clients_test

import (
	"maps"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/store"
)

// report is a STATISTICS Inform.
func (c *client) report(values map[string]string) *models.Inform {
	all := map[string]string{
		"softClient.clientType": "PC", "deviceInfo.softwareVersion": "2.0.4", "statistics.bootId": "boot", "statistics.seq": "1",
		"statistics.intervalStart": "2026-01-05T01:00:00Z", "statistics.intervalEnd": "2026-01-05T02:00:00Z", "line.stats.totalCallTime": "60",
	}
	maps.Copy(all, values)
	in := c.inform(models.EventStatistics, all)
	in.CurrentTime = c.clock.Now()
	return in
}

// A report costs the look-up of the device and three statements, whatever the heartbeats between say, and is acknowledged only when it is stored.
func TestStatistics(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.client(h.provision())
		if o := c.register(); o.Result != models.ResultOK {
			h.Fatal(o)
		}
		c.play(h.Context(), c.arrive(h.Context(), c.heartbeat(), models.L1), c.heartbeat())
		for _, want := range []int64{4, 2} { // the second is a duplicate
			ctx, statements := store.CountStatements(h.Context())
			in := c.report(nil)
			v := c.arrive(ctx, in, models.L1)
			if n := statements.Load(); n != want {
				h.Errorf("%d statements until the InformResponse", n)
			}
			c.play(ctx, v, in)
			if n := statements.Load(); n != want {
				h.Errorf("%d statements in all", n)
			}
		}
		in := c.report(map[string]string{"statistics.seq": "", "statistics.bootId": "other"})
		if o := c.play(h.Context(), c.arrive(h.Context(), in, models.L1), in); o.Result != models.ResultMalformed || o.Detail != "statistics.seq" || o.Delivery != models.DeliveryFailed {
			h.Errorf("%+v", o)
		}
		if s := h.Statistics.Stats(); s[statistics.Received] != 1 || s[statistics.Duplicate] != 1 || s[statistics.Refused] != 1 {
			h.Errorf("%v", s)
		}
	})
}

// Nothing is taken from whoever has not proved to be the device, nor from a device outside the profile.
func TestStatisticsOfOthers(t *testing.T) {
	each(t, nil, func(h *house) {
		c := h.client(h.provision())
		c.register()
		in := c.report(nil)
		if o := c.play(h.Context(), c.arrive(h.Context(), in, models.L0), in); o.Result != models.ResultReauthRequired {
			h.Errorf("at L0: %+v", o)
		}
		stranger := h.client(nil)
		in = stranger.report(nil)
		if o := stranger.play(h.Context(), stranger.arrive(h.Context(), in, models.L0), in); o.Result != models.ResultReauthRequired {
			h.Errorf("a stranger: %+v", o)
		}
		h.exec("UPDATE devices SET client_type = ? WHERE device_key = ?", models.Generic, c.key())
		in = c.report(nil)
		c.play(h.Context(), c.arrive(h.Context(), in, models.L1), in)
		for outcome, n := range h.Statistics.Stats() {
			if n != 0 {
				h.Errorf("%d %s", n, outcome)
			}
		}
	})
}
