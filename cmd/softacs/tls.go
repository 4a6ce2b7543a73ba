package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/models"
)

// certificateCheck is how often the files are looked at, by handshakes and scrapes.
const certificateCheck = 2 * time.Second

// certificates serves the pair in two files. Files that changed are read again, whether they were written or a link was changed; a pair that
// cannot be used, half of it replaced perhaps, leaves the last good one in place and is complained of once.
type certificates struct {
	certFile, keyFile string
	clock             models.Clock

	current atomic.Pointer[tls.Certificate]
	// failures counts pairs that could not be used.
	failures atomic.Int64

	checking sync.Mutex // guards what follows
	checked  models.Time
	tried    [2][]byte // what was read last, good or bad
	outcome  error     // of what was tried
	problem  string    // with the files as they are; empty: none
}

// loadCertificates reads the pair for the first time, when it has to be good.
func loadCertificates(certFile, keyFile string, clock models.Clock) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile, clock: clock, checked: clock.Now()}
	pair, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("south.tls: %w", err)
	}
	c.current.Store(pair)
	return c, nil
}

// read reads both files; nil if they are what they were, with the error that they had then.
func (c *certificates) read() (*tls.Certificate, error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(cert, c.tried[0]) && bytes.Equal(key, c.tried[1]) {
		return nil, c.outcome
	}
	c.tried, c.outcome, c.problem = [2][]byte{cert, key}, nil, ""
	pair, err := tls.X509KeyPair(cert, key) // also tells whether they belong together
	if err != nil {
		c.outcome = fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
		return nil, c.outcome
	}
	return &pair, nil
}

// refresh looks at the files if that was long ago. Whoever comes while another looks goes on with what is there.
func (c *certificates) refresh() {
	if !c.checking.TryLock() {
		return
	}
	defer c.checking.Unlock()
	now := c.clock.Now()
	if since := now.Sub(c.checked); since >= 0 && since < certificateCheck {
		return
	}
	c.checked = now
	pair, err := c.read()
	switch {
	case err != nil:
		if c.problem != err.Error() {
			c.failures.Add(1)
			slog.Error("the certificate of the south cannot be read again; the one in use stays", "error", err)
		}
		c.problem = err.Error()
	case pair == nil:
		c.problem = ""
	default:
		c.current.Store(pair)
		slog.Info("the certificate of the south was read again", "notAfter", pair.Leaf.NotAfter)
	}
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
	return tls.NewListener(l, a.certificates.config(least)), nil
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
