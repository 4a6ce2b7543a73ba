package main

import (
	"fmt"
	"time"
	_ "time/tzdata" // reporting.timeZone, also where the system has no time zone files

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/models/statistics"
)

// checkStatistics checks reporting.timeZone, i4.stats and the limit of reports.
func (c *Config) checkStatistics() error {
	if _, err := statistics.LoadZone(c.Reporting.TimeZone); err != nil {
		return fmt.Errorf("reporting.timeZone: %w", err)
	}
	switch interval, minutes := c.I4.Stats.Interval, c.I4.Limits.StatsMinutes; {
	case interval != 0 && (interval < 900 || interval > 7*86_400):
		return fmt.Errorf("i4.stats.interval: 900 to %d are allowed, and 0 for no statistics, not %d", 7*86_400, interval)
	case minutes < 0 || minutes > 24*60:
		return fmt.Errorf("i4.limits.statsMinutes: 1 to %d are allowed, and 0 for no limit, not %d", 24*60, minutes)
	}
	return nil
}

func statisticsConfig(c Config) statistics.Config {
	zone, err := statistics.LoadZone(c.Reporting.TimeZone)
	if err != nil {
		zone = time.UTC // complete has checked it
	}
	return statistics.Config{Spacing: time.Duration(c.I4.Limits.StatsMinutes) * time.Minute, Zone: zone, Watch: c.I4.Stats.Interval > 0}
}

// reportingLayer is the layer that makes clients report call statistics (i4.md B.9). Daily intervals are the days of reporting.timeZone.
func reportingLayer(c Config) map[string]string {
	if c.I4.Stats.Interval == 0 {
		return nil
	}
	midnight := time.Date(2000, 1, 1, 0, 0, 0, 0, statisticsConfig(c).Zone).UTC()
	return map[string]string{
		"statistics.enable": "1", "statistics.reportInterval": fmt.Sprint(c.I4.Stats.Interval), "statistics.reportTime": midnight.Format(time.RFC3339),
	}
}

// callStatistics are the counters of reports.
func (s scraped) callStatistics(out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc("softacs_statistics_reports_total", "Reports of call statistics by outcome; missing: none came.", []string{"outcome"}, nil)
	for outcome, n := range named(s.statistics.Stats()) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), outcome)
	}
}
