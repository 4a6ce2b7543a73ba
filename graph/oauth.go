package graph

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/softacs/softacs/models"
)

const maxTokenRequest = 8 << 10

// oauthError is an error of RFC 6749 5.2.
type oauthError struct {
	status int
	code   string
}

// token serves POST /oauth/token: the client credentials grant of RFC 6749 4.4, with HTTP Basic only.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(models.WithOrigin(r.Context(), originOf(w, r)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		reply(w, http.StatusMethodNotAllowed, map[string]any{"error": "invalid_request"})
		return
	}
	answer, refused := s.grant(w, r)
	if refused != nil {
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="softacs", charset="UTF-8"`)
		}
		reply(w, refused.status, map[string]any{"error": refused.code})
		return
	}
	reply(w, http.StatusOK, answer)
}

func (s *server) grant(w http.ResponseWriter, r *http.Request) (map[string]any, *oauthError) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &oauthError{http.StatusRequestEntityTooLarge, "invalid_request"}
	}
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil {
		return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
	}
	for _, values := range form {
		if len(values) > 1 { // RFC 6749 3.2: no parameter more than once
			return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
		}
	}
	client, err := s.client(r)
	if err != nil {
		return nil, s.refuseClient(w, r, err)
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
	default:
		return nil, &oauthError{http.StatusBadRequest, "unsupported_grant_type"}
	}
	text, _, err := s.tokens.issue(models.APIClientActor, client.ID)
	if err != nil {
		return nil, s.refuseClient(w, r, err)
	}
	return map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds())}, nil
}

func (s *server) refuseClient(w http.ResponseWriter, r *http.Request, err error) *oauthError {
	coded := (*models.Error)(nil)
	switch {
	case !errors.As(err, &coded):
		slog.ErrorContext(r.Context(), "oauth token", "request", models.OriginFrom(r.Context()).RequestID, "error", err)
		return &oauthError{http.StatusInternalServerError, "server_error"}
	case coded.Code == models.Throttled:
		w.Header().Set("Retry-After", strconv.Itoa(max(coded.RetryAfterSeconds, 1)))
		return &oauthError{http.StatusTooManyRequests, "temporarily_unavailable"}
	case coded.Code == models.Unavailable:
		return &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable"}
	}
	return &oauthError{http.StatusUnauthorized, "invalid_client"}
}

// client authenticates by HTTP Basic. Id and secret are form-encoded (RFC 6749 2.3.1), but many programs send them as they are, so a secret
// that reads differently is tried both ways.
func (s *server) client(r *http.Request) (*models.APIClient, error) {
	id, secret, ok := r.BasicAuth()
	if !ok || len(r.Header.Values("Authorization")) != 1 {
		return nil, models.E(models.Unauthenticated, "HTTP Basic is expected")
	}
	decodedID, idErr := url.QueryUnescape(id)
	decoded, secretErr := url.QueryUnescape(secret)
	if idErr == nil && secretErr == nil && (decodedID != id || decoded != secret) {
		client, err := s.Operators.Authenticate(r.Context(), decodedID, models.Secret(decoded), remoteIP(r))
		if models.CodeOf(err) != models.Unauthenticated {
			return client, err
		}
	}
	return s.Operators.Authenticate(r.Context(), id, models.Secret(secret), remoteIP(r))
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error here is a caller who went away
}
