package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
)

// metrics is what Prometheus reads of this process. Rooms and doors know nothing of it: they are observed, or asked at each scrape.
type metrics struct {
	registry   *prometheus.Registry
	statements *prometheus.HistogramVec
	kinds      map[string]prometheus.Observer // of statements, found once: a statement may take less time than finding its label
	operations *prometheus.HistogramVec
	streamed   *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		statements: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "softacs_database_duration_seconds", Help: "How long statements took by kind; kind transaction is from BEGIN to the end of COMMIT.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}, []string{"kind"}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "softacs_graphql_operation_duration_seconds", Help: "How long GraphQL queries and mutations took by root field and outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"kind", "field", "outcome"}),
		streamed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "softacs_graphql_subscription_responses_total", Help: "Responses sent to GraphQL subscriptions.",
		}, []string{"field", "outcome"}),
	}
	m.kinds = map[string]prometheus.Observer{}
	for _, kind := range []string{"lookup", "transaction", "create", "query", "update", "delete", "row", "raw"} {
		m.kinds[kind] = m.statements.WithLabelValues(kind)
	}
	m.registry.MustRegister(m.statements, m.operations, m.streamed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) statement(kind string, took time.Duration) {
	observer, ok := m.kinds[kind]
	if !ok {
		observer = m.statements.WithLabelValues(kind)
	}
	observer.Observe(took.Seconds())
}

func (m *metrics) operation(o graph.Operation) {
	if o.Kind == "subscription" {
		m.streamed.WithLabelValues(o.Field, o.Outcome).Inc()
		return
	}
	m.operations.WithLabelValues(o.Kind, o.Field, o.Outcome).Observe(o.Took.Seconds())
}

// scraped asks the platform at each scrape.
type scraped struct{ *app }

// Describe says nothing, so that the registry takes what Collect brings.
func (scraped) Describe(chan<- *prometheus.Desc) {}

// scrapeTime bounds what a scrape asks the database.
const scrapeTime = 5 * time.Second

// Collect reads the counters of the rooms and the lengths of the queues in the database.
func (s scraped) Collect(out chan<- prometheus.Metric) {
	s.sessions(out)
	s.presence(out)
	s.shortMessages(out)
	s.callStatistics(out)
	s.webhookDeliveries(out)
	s.screens(out)
	s.certificates.collect(out)
	s.authorities.collect(out)
	s.accounting(out)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	gauge := func(name, help, label string, values map[string]float64, err error) {
		var labels []string
		if label != "" {
			labels = []string{label}
		}
		desc := prometheus.NewDesc(name, help, labels, nil)
		if err != nil {
			out <- prometheus.NewInvalidMetric(desc, err)
			return
		}
		for key, value := range values {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, []string{key}[:len(labels)]...)
		}
	}
	lag, err := s.log.Lag(ctx)
	gauge("softacs_events_unnumbered", "Events that are committed and not yet readable.", "", map[string]float64{"": float64(lag.Events)}, err)
	gauge("softacs_events_lag_seconds", "Age of the oldest event that is committed and not yet readable.", "", map[string]float64{"": lag.Age.Seconds()}, err)
	backlog, err := s.tasks.Backlog(ctx)
	gauge("softacs_tasks_open", "Tasks that are not over by state.", "state", floats(backlog), err)
	lags, err := s.webhooks.Lags(ctx)
	seconds := map[string]float64{}
	for id, behind := range lags {
		seconds[id.String()] = behind.Seconds()
	}
	gauge("softacs_webhook_lag_seconds", "Age of the oldest event that a webhook has to get, by webhook.", "webhook", seconds, err)
	outbox, err := s.sms.Outbox(ctx)
	gauge("softacs_sms_outbox", "Short messages that have not ended by state.", "state", floats(outbox), err)
}

func floats[K ~string](counts map[K]int64) map[string]float64 {
	values := map[string]float64{}
	for key, n := range counts {
		values[string(key)] = float64(n)
	}
	return values
}

// sessions are the counters of the south door.
func (s scraped) sessions(out chan<- prometheus.Metric) {
	stats := s.acs.Stats()
	emit := func(kind prometheus.ValueType, name, help string, value float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), kind, value)
	}
	count := func(name, help, label string, values map[string]uint64) {
		desc := prometheus.NewDesc(name, help, []string{label}, nil)
		for key, n := range values {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), key)
		}
	}
	emit(prometheus.GaugeValue, "softacs_cwmp_sessions_open", "CWMP sessions that are open.", float64(stats.Open))
	emit(prometheus.GaugeValue, "softacs_cwmp_sessions_kept", "CWMP sessions that ended well and are kept for a lost last answer.", float64(stats.Finished))
	emit(prometheus.GaugeValue, "softacs_cwmp_sessions_limit", "How many CWMP sessions there may be.", float64(stats.Limit))
	count("softacs_cwmp_sessions_total", "CWMP sessions that ended by outcome.", "outcome",
		named(stats.Sessions, server.Completed, server.TimedOut, server.Replaced, server.Refused, server.Failed, server.Stopped))
	count("softacs_cwmp_posts_total", "CWMP POSTs that were answered by HTTP status.", "status", named(stats.Answers))
	count("softacs_cwmp_refusals_total", "CWMP POSTs that were told to come again later by reason.", "reason",
		named(stats.Refusals, server.NoPlace, server.Stopping, server.OverLimit, server.Busy))
	count("softacs_cwmp_visits_total", "CWMP sessions that were let in by trust.", "trust", named(stats.Trust))
	count("softacs_cwmp_warnings_total", "What was wrong with Informs that were let in all the same.", "warning", named(stats.Warnings))
	emit(prometheus.CounterValue, "softacs_cwmp_floods_total", "Heartbeats that came too often and were not looked at.", float64(stats.Floods))
	emit(prometheus.CounterValue, "softacs_cwmp_strangers_total", "Informs of unknown generic devices.", float64(stats.Strangers))
	emit(prometheus.CounterValue, "softacs_cwmp_impostors_total", "Devices that presented the credentials of another one.", float64(stats.Impostors))
	emit(prometheus.CounterValue, "softacs_proofs_refused_total", "Wrong proofs of clients.", float64(s.passwords.Refused()))
	emit(prometheus.CounterValue, "softacs_cwmp_panics_total", "Panics in CWMP sessions.", float64(stats.Panics))
}

// shortMessages are the counters of the outbox.
func (s scraped) shortMessages(out chan<- prometheus.Metric) {
	stats := s.sms.Stats()
	emit := func(kind prometheus.ValueType, name, help, label string, values map[string]uint64) {
		desc := prometheus.NewDesc(name, help, []string{label}, nil)
		for key, n := range values {
			out <- prometheus.MustNewConstMetric(desc, kind, float64(n), key)
		}
	}
	up := 0.0
	if stats.Up {
		up = 1
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc("softacs_sms_up", "Whether the SMS centre is connected.", nil, nil), prometheus.GaugeValue, up)
	emit(prometheus.CounterValue, "softacs_sms_attempts_total", "Attempts to send a short message by outcome.", "outcome",
		map[string]uint64{"sent": stats.Sent, "busy": stats.Busy, "failed": stats.Unsent})
	emit(prometheus.CounterValue, "softacs_sms_ended_total", "Short messages that ended by state.", "state",
		named(stats.Ended, models.SmsDelivered, models.SmsUndeliverable, models.SmsExpired, models.SmsRejected))
	emit(prometheus.CounterValue, "softacs_sms_receipts_total", "Receipts of the SMS centre by outcome.", "outcome",
		named(stats.Receipts, sms.TakenReceipt, sms.IntermediateReceipt, sms.DuplicateReceipt, sms.UnknownReceipt))
	emit(prometheus.CounterValue, "softacs_sms_incoming_total", "Short messages of subscribers by outcome.", "outcome",
		named(stats.Incoming, sms.TakenMessage, sms.IgnoredMessage, sms.FailedMessage))
}

// named are counts by label value; those of always are there from the start.
func named[K comparable](counts map[K]uint64, always ...K) map[string]uint64 {
	values := map[string]uint64{}
	for _, key := range always {
		values[fmt.Sprint(key)] = 0
	}
	for key, n := range counts {
		values[fmt.Sprint(key)] = n
	}
	return values
}

// listenAdmin opens the admin listener: /metrics and /debug/pprof. It has no authentication, so it belongs on a loopback or management address.
func (a *app) listenAdmin(ctx context.Context) (err error) {
	addr := a.config.Admin.Addr
	if addr == "" {
		return nil
	}
	a.adminAddr, err = net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) && a.config.Lab {
		// Several platforms on one machine are usual in a lab, and nobody's monitoring depends on the port there.
		host, _, _ := net.SplitHostPort(addr)
		a.adminAddr, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return fmt.Errorf("admin.addr: %w", err)
	}
	a.metrics.registry.MustRegister(scraped{a})
	errorLog := slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{ErrorLog: errorLog, ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	a.admin = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: errorLog}
	go func() {
		if err := a.admin.Serve(a.adminAddr); err != nil && !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(ctx, "a door closed", "door", "admin", "error", err)
		}
	}()
	return nil
}
