package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/models"
)

// certificates serves the pair in two files. A pair that cannot be used, half of it replaced perhaps, leaves the last good one in place.
type certificates struct {
	watchedFiles
	current atomic.Pointer[tls.Certificate]
}

// loadCertificates reads the pair for the first time, when it has to be good.
func loadCertificates(certFile, keyFile string, clock models.Clock) (*certificates, error) {
	c := &certificates{}
	c.watchedFiles = watchedFiles{what: "the certificate of the south", paths: []string{certFile, keyFile}, clock: clock, use: c.use}
	return c, c.load("south.tls")
}

func (c *certificates) use(files [][]byte) error {
	pair, err := tls.X509KeyPair(files[0], files[1]) // also tells whether they belong together
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.paths[0], c.paths[1], err)
	}
	c.current.Store(&pair)
	return nil
}

// expiresIn is how long the certificate in use is good; negative when it is over.
func (c *certificates) expiresIn() time.Duration {
	c.refresh()
	return models.TimeOf(c.current.Load().Leaf.NotAfter).Sub(c.clock.Now())
}

// collect tells a scrape of the certificate in use; nothing of nil.
func (c *certificates) collect(out chan<- prometheus.Metric) {
	if c == nil {
		return
	}
	expiry := prometheus.NewDesc("softacs_tls_certificate_expiry_seconds", "How long the certificate of the south is still good.", nil, nil)
	out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, c.expiresIn().Seconds())
	failures := prometheus.NewDesc("softacs_tls_reload_failures_total", "Changes of the certificate's files that could not be used.", nil, nil)
	out <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, float64(c.failures.Load()))
}

// secure puts TLS around the listener of the south if a certificate is configured.
func (a *app) secure(l net.Listener) (net.Listener, error) {
	files := a.config.South.TLS
	if files.Cert == "" {
		return l, nil
	}
	least, err := minVersion(a.config)
	if err != nil {
		return nil, err
	}
	if a.certificates, err = loadCertificates(files.Cert, files.Key, a.clock); err != nil {
		return nil, err
	}
	config := a.certificates.config(least)
	if a.authorities != nil {
		a.authorities.ask(config)
	}
	return tls.NewListener(l, config), nil
}

// config is how the south speaks TLS: HTTP/1.1 only, no renegotiation and no early data, which crypto/tls has for no server.
func (c *certificates) config(least uint16) *tls.Config {
	return &tls.Config{
		MinVersion: least, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.refresh()
			return c.current.Load(), nil
		},
	}
}

// minVersion reads i4.tls.minVersion.
func minVersion(c Config) (uint16, error) {
	switch c.I4.TLS.MinVersion {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("i4.tls.minVersion: 1.2 and 1.3 are allowed, not %q", c.I4.TLS.MinVersion)
}
