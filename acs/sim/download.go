package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// The fault codes of a transfer (i4.md A.9).
const (
	serverRefused    = 9012
	serverNotReached = 9015
	noAccess         = 9016
	incomplete       = 9017
	corrupted        = 9018
)

// download takes a Download; one whose CommandKey it knows is begun already (i4.md B.7).
func (d *dialogue) download(m *cwmp.Download) (cwmp.Message, *cwmp.Fault) {
	if d.faults.Applied {
		d.install()
		return &cwmp.DownloadResponse{Status: 0, StartTime: d.config.Now(), CompleteTime: d.config.Now()}, nil
	}
	waiting := false
	for i, other := range d.downloads {
		if other.CommandKey == m.CommandKey { // its link may be a newer one
			d.downloads[i], waiting = m, true
		}
	}
	if !waiting && !d.known[m.CommandKey] {
		d.downloads = append(d.downloads, m)
	}
	if d.known == nil {
		d.known = map[string]bool{}
	}
	d.known[m.CommandKey] = true
	return &cwmp.DownloadResponse{Status: 1}, nil
}

// install makes the client run what it was told to.
func (c *Client) install() {
	version := c.store.get("softClient.upgrade.targetVersion")
	if c.faults.Installed != "" {
		version = c.faults.Installed
	}
	c.store.set("deviceInfo.softwareVersion", version)
}

// Download does what the platform asked for, without waiting for its DelaySeconds: it fetches each file, looks whether it is the announced one
// and installs it. The next session brings `7 TRANSFER COMPLETE`, `M Download` and TransferComplete; after an install it is the caller's Boot.
// It returns the fault code of the last transfer, 0 for success, and how many there were.
func (c *Client) Download(ctx context.Context) (fault, n int) {
	c.busy.Lock()
	defer c.busy.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(c.downloads) > 0; c.downloads = c.downloads[1:] {
		m, began := c.downloads[0], c.config.Now()
		if fault = c.faults.TransferFault; fault == 0 {
			fault = c.fetch(ctx, m)
		}
		if fault == 0 {
			c.install()
		} else {
			delete(c.known, m.CommandKey) // it may be asked for again
		}
		n++
		if c.faults.NoTransferComplete {
			continue
		}
		c.events = append(c.events, c.event(models.EventTransferComplete)...)
		c.events = append(c.events, cwmp.Event{Code: c.profile.EventCode(models.EventMDownload), CommandKey: m.CommandKey})
		report := &cwmp.TransferComplete{CommandKey: m.CommandKey, FaultCode: fault, StartTime: began, CompleteTime: c.config.Now()}
		if fault != 0 {
			report.FaultString = fmt.Sprintf("fault %d", fault)
		}
		c.requests = append(c.requests, report)
	}
	return fault, n
}

// fetch gets a file and checks it; it returns the fault code.
func (c *Client) fetch(ctx context.Context, m *cwmp.Download) int {
	want, cut := c.store.get("softClient.upgrade.sha256"), c.faults.BreakOff
	c.mu.Unlock()
	defer c.mu.Lock()
	var content []byte
	for etag, try := "", 0; ; try++ {
		part, next, code := c.get(ctx, m.URL, int64(len(content)), etag, cut)
		content, etag, cut = append(content, part...), next, 0
		if code == 0 {
			break
		}
		if code != incomplete || try == maxRetryRequests {
			return code
		}
	}
	sum := sha256.Sum256(content)
	if m.FileSize != 0 && int64(len(content)) != m.FileSize || want != "" && hex.EncodeToString(sum[:]) != want {
		return corrupted
	}
	return 0
}

// get reads a file from offset on; cut > 0 ends it after so many bytes.
func (c *Client) get(ctx context.Context, url string, offset int64, etag string, cut int64) (content []byte, tag string, code int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", serverNotReached
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		request.Header.Set("If-Range", etag)
	}
	answer, err := c.config.HTTP.Do(request)
	if err != nil {
		return nil, etag, serverNotReached
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return nil, "", serverRefused
	case offset == 0 && answer.StatusCode == http.StatusOK, offset > 0 && answer.StatusCode == http.StatusPartialContent:
	default:
		return nil, "", noAccess
	}
	body := io.Reader(answer.Body)
	if cut > 0 {
		body = io.LimitReader(body, cut)
	}
	content, err = io.ReadAll(body)
	if err != nil && !errors.Is(err, io.EOF) || cut > 0 {
		return content, answer.Header.Get("ETag"), incomplete
	}
	return content, answer.Header.Get("ETag"), 0
}
