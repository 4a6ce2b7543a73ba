package webhooks_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/webhooks"
	outbound "github.com/softacs/softacs/outbound/webhooks"
)

func delivery(url string) webhooks.Delivery {
	return webhooks.Delivery{
		ID: "d1", URL: url, Secrets: []models.Secret{"a-webhook-secret-for-the-tests", "another-secret-for-the-tests"}, Attempt: 3,
		At: models.TimeOf(time.Unix(1767578400, 7e8)), Body: []byte(`{"events":[]}`),
	}
}

// The signatures were made by openssl dgst -sha256 -hmac.
func TestSigned(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, want := range map[string]string{
			"Softacs-Timestamp": "1767578400", "Softacs-Delivery": "d1", "Softacs-Attempt": "3", "Content-Type": "application/json", "User-Agent": "softacs",
			"Softacs-Signature": "v1=0e357c4f6d55c267d78c6798a45a6f135aced3f1d8f571ce2a7e9082baa4a790,v1=5a69036a27eb42f78c7359c0f3df42605da5b7943fefe77331fa59c9ef89fae0",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if string(body) != `{"events":[]}` || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, body)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer receiver.Close()
	answer, err := outbound.New(outbound.Config{Lab: true}).Send(t.Context(), delivery(receiver.URL))
	if err != nil || answer != (webhooks.Answer{StatusCode: 503, RetryAfter: 7 * time.Second}) {
		t.Errorf("%+v, %v", answer, err)
	}
}

// Outside lab mode nothing is connected to that is not public, however it is written and whatever its name says when it is looked up.
func TestOnlyPublicTargets(t *testing.T) {
	t.Parallel()
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	sender := outbound.New(outbound.Config{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200",
		"224.0.0.1", "[fe80::1]", "[fd00:ec2::254]", "[ff02::1]",
	} {
		_, err := sender.Send(t.Context(), delivery("http://"+host+port+"/?token=very-secret"))
		if err == nil || !strings.HasSuffix(err.Error(), "is not a public one") || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: %v", host, err)
		}
	}
	// What is no address to us may be one to the system that looks names up.
	for _, host := range []string{"127.1", "2130706433", "0x7f000001", "0177.0.0.1"} {
		if _, err := sender.Send(t.Context(), delivery("http://"+host+port)); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if reached {
		t.Error("something inside was reached")
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	receiver := httptest.NewTLSServer(handler)
	defer receiver.Close()
	if _, err := outbound.New(outbound.Config{Lab: true}).Send(t.Context(), delivery(receiver.URL)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(receiver.Certificate())
	trusting := outbound.New(outbound.Config{Lab: true, Roots: roots})
	if answer, err := trusting.Send(t.Context(), delivery(receiver.URL)); err != nil || answer.StatusCode != http.StatusNoContent {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, err := trusting.Send(t.Context(), delivery(strings.Replace(receiver.URL, "127.0.0.1", "localhost", 1))); err == nil {
		t.Error("a certificate of another name was taken")
	}
	old := httptest.NewUnstartedServer(handler)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} // #nosec: that it is refused is the test
	old.StartTLS()
	defer old.Close()
	if _, err := trusting.Send(t.Context(), delivery(old.URL)); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "1.5": 0, "soon": 0, "99999999": 24 * time.Hour, "99999999999999999999": 0,
		"Mon, 05 Jan 2026 02:01:00 GMT": time.Minute, "Mon, 05 Jan 2026 01:00:00 GMT": 0, "Mon, 05 Jan 2099 02:00:00 GMT": 24 * time.Hour,
	} {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if text != "" {
				w.Header().Set("Retry-After", text)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		d := delivery(receiver.URL)
		d.At = models.TimeOf(time.Unix(1767578400, 0))
		answer, err := outbound.New(outbound.Config{Lab: true}).Send(t.Context(), d)
		if got := answer.RetryAfter; err != nil || got != want {
			t.Errorf("%q is read as %v, %v", text, got, err)
		}
		receiver.Close()
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees its client go
		cancel()
		<-r.Context().Done()
	}))
	defer receiver.Close()
	if _, err := outbound.New(outbound.Config{Lab: true}).Send(ctx, delivery(receiver.URL)); err == nil {
		t.Error("an attempt outlived its context")
	}
	if _, err := outbound.New(outbound.Config{Lab: true}).Send(t.Context(), delivery("http://[::1%25/")); err == nil || strings.Contains(err.Error(), "::1") {
		t.Errorf("a broken URL: %v", err)
	}
}
