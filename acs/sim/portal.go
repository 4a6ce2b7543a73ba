package sim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// networkToken asks the portal for a token of this nonce and is the operator's gateway on the way (i4.md B.3). It runs with c.mu held.
func (c *Client) networkToken(ctx context.Context, nonce string) (string, error) {
	forge := c.faults.ForgeToken
	c.mu.Unlock()
	defer c.mu.Lock()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.Portal+"?cn="+url.QueryEscape(nonce), nil)
	if err != nil {
		return "", err
	}
	if c.config.MDN != "" {
		request.Header.Set(c.config.MDNHeader, c.config.MDN)
	}
	answer, err := c.config.HTTP.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return "", err
	case answer.StatusCode != http.StatusOK:
		return "", &HTTPError{Status: answer.StatusCode}
	case len(text) > maxToken:
		return "", fmt.Errorf("a token of %d characters", len(text))
	}
	token := strings.TrimSpace(string(text))
	if forge != nil {
		token = forge(token)
	}
	return token, nil
}

// maxToken is what AU.NetworkToken can hold (i4.md B.3).
const maxToken = 256
