package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/cwmp/cwmptest"
)

// wiretap keeps the messages that went between one platform and its clients, as they were on the wire.
type wiretap struct {
	mu        sync.Mutex
	sent, got [][]byte // by the clients
}

// newWiretap makes one that, when the test ends, holds everything that the clients got against the schemas of CWMP.
func newWiretap(t *testing.T) *wiretap {
	w := &wiretap{}
	scratch := t.TempDir()
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := cwmptest.Validate("../../acs/cwmp/testdata/xsd", scratch, w.got); err != nil {
			t.Error(err)
		}
	})
	return w
}

// on is c with w listening; nil is the client that sim makes for itself.
func (w *wiretap) on(c *http.Client) *http.Client {
	tapped := http.Client{Timeout: 30 * time.Second}
	if c != nil {
		tapped = *c
	}
	if tapped.Transport == nil {
		tapped.Transport = &http.Transport{}
	}
	tapped.Transport = &listener{wire: w, next: tapped.Transport}
	return &tapped
}

type listener struct {
	wire *wiretap
	next http.RoundTripper
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		l.wire.keep(&l.wire.sent, r.Header, text)
	}
	answer, err := l.next.RoundTrip(r)
	if err != nil || !isXML(answer.Header) {
		return answer, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	l.wire.keep(&l.wire.got, answer.Header, text)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, nil
}

// CloseIdleConnections does what the client of a session expects when it ends.
func (l *listener) CloseIdleConnections() {
	if next, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

func (w *wiretap) keep(list *[][]byte, header http.Header, text []byte) {
	if !isXML(header) || len(text) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, text)
}

func isXML(header http.Header) bool { return strings.HasPrefix(header.Get("Content-Type"), "text/xml") }

// sees tells whether a text was in any message.
func (w *wiretap) sees(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range [][][]byte{w.sent, w.got} {
		for _, message := range list {
			if bytes.Contains(message, []byte(text)) {
				return true
			}
		}
	}
	return false
}
