package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
)

// devicesConfig is how devices are expected to be heard of; complete has checked it.
func devicesConfig(c Config, p *i4.Profile) devices.Config {
	out := devices.Config{Heartbeat: map[models.ClientType]devices.Rhythm{}, Guard: devices.Guard{
		Percent: c.I4.Presence.MassPercent, Minimum: c.I4.Presence.MassMinimum, Freeze: time.Duration(c.I4.Presence.FreezeMinutes) * time.Minute,
	}}
	for t, interval := range heartbeats(c, p) {
		set := c.I4.Heartbeat[heartbeatKey(t)]
		out.Heartbeat[t] = devices.Rhythm{Interval: interval, Missed: set.Missed, Grace: time.Duration(set.Grace) * time.Second}
	}
	return out
}

// heartbeatKey is the name of a client type in i4.heartbeat.
func heartbeatKey(t models.ClientType) string { return cmp.Or(t.Wire(), "Generic") }

// checkPresence checks i4.heartbeat and i4.presence; 0 of a heartbeat is the default.
func (c *Config) checkPresence() error {
	var types []string
	for _, t := range clientTypes {
		types = append(types, heartbeatKey(t))
	}
	for key, h := range c.I4.Heartbeat {
		if !slices.Contains(types, key) {
			return fmt.Errorf("i4.heartbeat.%s: PC, Mobile, MagicScreen and Generic are allowed", key)
		}
		for _, x := range []struct {
			name       string
			value, max int
		}{{"interval", h.Interval, 30 * 86_400}, {"missed", h.Missed, 100}, {"grace", h.Grace, 86_400}} {
			if x.value < 0 || x.value > x.max {
				return fmt.Errorf("i4.heartbeat.%s.%s: 1 to %d are allowed, and 0 for the default, not %d", key, x.name, x.max, x.value)
			}
		}
	}
	p := c.I4.Presence
	switch {
	case p.MassPercent < 0 || p.MassPercent > 100:
		return fmt.Errorf("i4.presence.massPercent: 1 to 100 are allowed, and 0 for no guard, not %d", p.MassPercent)
	case p.MassMinimum < 1:
		return fmt.Errorf("i4.presence.massMinimum: at least 1 is allowed, not %d", p.MassMinimum)
	case p.FreezeMinutes < 1 || p.FreezeMinutes > 1440:
		return fmt.Errorf("i4.presence.freezeMinutes: 1 to 1440 are allowed, not %d", p.FreezeMinutes)
	}
	return nil
}

// presence are the counters of the watch for missed heartbeats.
func (s scraped) presence(out chan<- prometheus.Metric) {
	stats, frozen := s.devices.WatchStats(), 0.0
	if stats.Frozen {
		frozen = 1
	}
	emit := func(kind prometheus.ValueType, name, help string, value float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), kind, value)
	}
	emit(prometheus.CounterValue, "softacs_presence_expired_total", "Devices that this process found gone by missed heartbeats.", float64(stats.Expired))
	emit(prometheus.GaugeValue, "softacs_presence_frozen", "1 while expiry is frozen because too many devices would expire at once.", frozen)
}
