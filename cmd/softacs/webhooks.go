package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/webhooks"
	outbound "github.com/softacs/softacs/outbound/webhooks"
)

// checkWebhooks checks how long a receiver may take.
func (c Config) checkWebhooks() error {
	if longest := int(webhooks.MaxTimeout.Seconds()); c.Webhooks.Timeout < 1 || c.Webhooks.Timeout > longest {
		return fmt.Errorf("webhooks.timeout: 1 to %d are allowed, not %d", longest, c.Webhooks.Timeout)
	}
	return nil
}

func newWebhooks(c Config, s *store.Store, clock models.Clock, log *events.Log, people *operators.Room) *webhooks.Room {
	return webhooks.New(s, clock, log, people, outbound.New(outbound.Config{Lab: c.Lab}), webhooks.Config{Lab: c.Lab, Timeout: seconds(c.Webhooks.Timeout)})
}

// webhookDeliveries are the counters of the webhooks.
func (s scraped) webhookDeliveries(out chan<- prometheus.Metric) {
	stats := s.webhooks.Stats()
	desc := prometheus.NewDesc("softacs_webhook_deliveries_total", "Attempts to deliver to a webhook by outcome.", []string{"outcome"}, nil)
	for outcome, n := range named(stats.Deliveries, webhooks.Delivered, webhooks.Refused, webhooks.Failed) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), outcome)
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc("softacs_webhook_events_total", "Events that receivers of webhooks took.", nil, nil),
		prometheus.CounterValue, float64(stats.Events))
}
