package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
)

// bss is a small BSS: an API client of the north door.
type bss struct {
	north  string // http://host:port
	id     string
	secret models.Secret

	token   string
	renewAt time.Time
}

// do runs an operation and reads its data into data. Errors of the protocol and userErrors are errors here.
func (b *bss) do(ctx context.Context, document string, variables map[string]any, data any) error {
	if err := b.authenticate(ctx); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.north+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.token)
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []struct{ Message string }
	}
	if err := exchange(r, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return errors.New(answer.Errors[0].Message)
	}
	for _, raw := range answer.Data {
		var payload struct{ UserErrors []struct{ Message string } }
		if json.Unmarshal(raw, &payload) == nil && len(payload.UserErrors) > 0 {
			return errors.New(payload.UserErrors[0].Message)
		}
		if err := json.Unmarshal(raw, data); err != nil {
			return err
		}
	}
	return nil
}

func (b *bss) authenticate(ctx context.Context) error {
	if time.Now().Before(b.renewAt) {
		return nil
	}
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.north+"/oauth/token", strings.NewReader(form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(b.id, b.secret.Reveal())
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := exchange(r, &answer); err != nil {
		return err
	}
	if answer.AccessToken == "" {
		return errors.New("the token endpoint gave no token")
	}
	b.token, b.renewAt = answer.AccessToken, time.Now().Add(time.Duration(answer.ExpiresIn)*time.Second/2)
	return nil
}

func exchange(r *http.Request, into any) error {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: HTTP %d: %w", r.URL.Path, answer.StatusCode, err)
	}
	return nil
}
