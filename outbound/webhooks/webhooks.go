// Package webhooks posts deliveries to receivers over HTTP and signs them.
//
// It owns the wire: headers, the signature, TLS, how long a receiver may take and where it may be. It refuses to know what is delivered, in which
// order and when again: that is models/webhooks.
package webhooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/webhooks"
)

// Headers of a delivery (docs/api.md).
const (
	// Timestamp is when it was signed, in seconds since 1970.
	Timestamp = "Softacs-Timestamp"
	// Signature is v1= and the HMAC-SHA256 in lower-case hex over the timestamp, a full stop and the body; while a secret is being replaced
	// there are two, with a comma between them.
	Signature = "Softacs-Signature"
	// DeliveryID names the attempt among Webhook.deliveries.
	DeliveryID = "Softacs-Delivery"
	// Attempt counts from 1.
	Attempt = "Softacs-Attempt"
)

const (
	dialTime = 5 * time.Second
	// maxAnswer is how much of an answer is read, for the sake of the connection; nobody looks at it.
	maxAnswer = 64 << 10
	maxHeader = 64 << 10
	userAgent = "softacs"
)

// Config says where receivers may be.
type Config struct {
	// Lab allows targets that are not public.
	Lab bool
	// Roots verify receivers; nil: those of the system.
	Roots *x509.CertPool
}

// Sender is a webhooks.Sender.
type Sender struct{ client *http.Client }

// New makes a sender. It asks no proxy, follows no redirect, and looks at the address of a receiver when it connects, after the name was looked
// up: what a name meant before does not count.
func New(c Config) *Sender {
	dialer := &net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}
	if !c.Lab {
		dialer.Control = publicOnly
	}
	return &Sender{client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}, TLSHandshakeTimeout: dialTime,
			ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: maxHeader,
		},
	}}
}

// errClosed is what the dial of a closed address ends with.
type errClosed struct{ addr netip.Addr }

func (e errClosed) Error() string { return fmt.Sprintf("the address %s is not a public one", e.addr) }

// publicOnly refuses to connect to an address that is not public.
func publicOnly(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !webhooks.Public(to.Addr()) {
		return errClosed{to.Addr()}
	}
	return nil
}

// Send posts d. Errors tell what went wrong without the URL, whose query may hold a secret.
func (s *Sender) Send(ctx context.Context, d webhooks.Delivery) (answer webhooks.Answer, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return answer, errors.New("the URL cannot be used")
	}
	timestamp := strconv.FormatInt(d.At.Std().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set(Timestamp, timestamp)
	r.Header.Set(Signature, sign(d.Secrets, timestamp, d.Body))
	r.Header.Set(DeliveryID, d.ID)
	r.Header.Set(Attempt, strconv.FormatInt(d.Attempt, 10))
	response, err := s.client.Do(r)
	if err != nil {
		return answer, plain(err)
	}
	defer response.Body.Close()
	// The status is the answer. A short rest is read so that the connection can be used again; a long or slow one costs the connection.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return webhooks.Answer{StatusCode: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), d.At)}, nil
}

// sign makes the header Signature.
func sign(secrets []models.Secret, timestamp string, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
		signatures[i] = "v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, ",")
}

// plain is an error without method and URL.
func plain(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var closed errClosed
	switch {
	case errors.As(err, &closed):
		return closed
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the receiver did not answer in time")
	}
	return err
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3): seconds or a date; zero for neither.
func retryAfter(text string, now models.Time) time.Duration {
	const longest = 24 * time.Hour
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, longest)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now.Std()), 0), longest)
	}
	return 0
}
