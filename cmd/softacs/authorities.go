package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/acs/pki"
	"github.com/softacs/softacs/models"
)

// authorities judge client certificates by the CAs of south.tls.clientCA and the lists of south.tls.crl, which are read again like the server's
// own certificate.
type authorities struct {
	watchedFiles
	grace   time.Duration
	current atomic.Pointer[pki.Authorities]

	accepted atomic.Uint64 // handshakes
	refused  map[pki.Reason]*atomic.Uint64
	logged   atomic.Int64 // when a refusal was last logged
}

// loadAuthorities reads the files for the first time, when they have to be good. It returns nil if no CA is configured.
func loadAuthorities(c Config, clock models.Clock) (*authorities, error) {
	files := c.South.TLS
	switch {
	case files.ClientCA == "" && len(files.CRL) > 0:
		return nil, errors.New("south.tls.crl: south.tls.clientCA is missing, the CAs that sign such lists")
	case files.ClientCA == "":
		return nil, nil
	case files.Cert == "":
		return nil, errors.New("south.tls.clientCA: without south.tls.cert nobody can present a certificate")
	case files.CRLGrace < 0:
		return nil, errors.New("south.tls.crlGrace: seconds, 0 or more")
	}
	a := &authorities{grace: seconds(files.CRLGrace), refused: map[pki.Reason]*atomic.Uint64{}}
	for _, reason := range pki.Reasons {
		a.refused[reason] = new(atomic.Uint64)
	}
	a.watchedFiles = watchedFiles{what: "the CAs of clients and their revocation lists", paths: append([]string{files.ClientCA}, files.CRL...), clock: clock, use: a.use}
	return a, a.load("south.tls.clientCA and south.tls.crl")
}

func (a *authorities) use(files [][]byte) error {
	read, err := pki.New(files[0], files[1:], a.grace)
	if err != nil {
		return fmt.Errorf("%s: %w", a.paths, err)
	}
	a.current.Store(read)
	return nil
}

// ask makes config ask clients for a certificate, which they need not have, and judge it at each handshake, be it the resumption of a session.
// crypto/tls only proves that the client holds its key: what it knows of CAs would be as old as the session.
func (a *authorities) ask(config *tls.Config) {
	base := config.Clone()
	base.ClientAuth = tls.RequestClientCert
	base.VerifyConnection = func(state tls.ConnectionState) error {
		id, err := a.identify(&state)
		var refusal *pki.Refusal
		switch {
		case errors.As(err, &refusal):
			a.refused[refusal.Reason].Add(1)
			a.complain(state.PeerCertificates[0], refusal)
		case id != nil:
			a.accepted.Add(1)
		}
		return err
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		a.refresh()
		config := base.Clone()
		config.ClientCAs = a.current.Load().Pool()
		return config, nil
	}
}

// identify judges the certificate of a connection as of now.
func (a *authorities) identify(state *tls.ConnectionState) (*pki.Identity, error) {
	a.refresh()
	return a.current.Load().Verify(state.PeerCertificates, a.clock.Now().Std())
}

// complain logs a refusal, one a second: strangers can cause any number.
func (a *authorities) complain(presented *x509.Certificate, refusal *pki.Refusal) {
	now, last := int64(a.clock.Now()), a.logged.Load()
	if since := now - last; since >= 0 && since < time.Second.Milliseconds() || !a.logged.CompareAndSwap(last, now) {
		return
	}
	slog.Warn("a client certificate was refused", "reason", refusal.Reason, "detail", fmt.Sprintf("%.200s", refusal.Detail),
		"commonName", fmt.Sprintf("%.200s", presented.Subject.CommonName))
}

// collect tells a scrape of client certificates; nothing of nil.
func (a *authorities) collect(out chan<- prometheus.Metric) {
	if a == nil {
		return
	}
	a.refresh()
	desc := prometheus.NewDesc("softacs_tls_client_certificates_total", "Handshakes with a client certificate by outcome.", []string{"outcome"}, nil)
	out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(a.accepted.Load()), "accepted")
	for _, reason := range pki.Reasons {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(a.refused[reason].Load()), string(reason))
	}
	failures := prometheus.NewDesc("softacs_tls_client_ca_reload_failures_total", "Changes of the files of client CAs and lists that could not be used.", nil, nil)
	out <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, float64(a.failures.Load()))
	cas, lists := a.current.Load().Until()
	until := func(name, help string, at time.Time) {
		if !at.IsZero() {
			left := models.TimeOf(at).Sub(a.clock.Now()).Seconds()
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, left)
		}
	}
	until("softacs_tls_client_ca_expiry_seconds", "How long the first of the clients' CAs to expire is still good.", cas)
	until("softacs_tls_crl_expiry_seconds", "How long the first of the revocation lists to run out is still good.", lists)
}
