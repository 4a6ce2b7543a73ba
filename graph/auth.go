package graph

import (
	"context"
	"net"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
)

const (
	refreshCookie    = "softacs_refresh"
	onBehalfOfHeader = "Softacs-On-Behalf-Of"
	maxOnBehalfOf    = 64 // events.on_behalf_of
)

// caller is who sent a request.
type caller struct {
	actor models.Actor
	// expires is when the token does.
	expires models.Time
	// err says why a credential that was presented did not hold; what anybody may ask is served all the same.
	err error
	// foreign says why nothing may be served.
	foreign error
}

func (c caller) anonymous() bool { return c.actor.Kind == "" }

// originOf gives the request its id, which the caller gets back as X-Request-Id.
func originOf(w http.ResponseWriter, r *http.Request) models.Origin {
	origin := models.Origin{RequestID: models.NewID().String(), RemoteAddress: remoteIP(r)}
	w.Header().Set("X-Request-Id", origin.RequestID)
	return origin
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// identify puts the caller into the context. It refuses nothing: the operation may be one that anybody may ask.
func (s *server) identify(w http.ResponseWriter, r *http.Request) *http.Request {
	ctx := models.WithOrigin(r.Context(), originOf(w, r))
	x := s.newRequest(w)
	x.caller = s.bearer(ctx, r.Header.Values("Authorization"), r.Header.Get(onBehalfOfHeader))
	if cookie, err := r.Cookie(refreshCookie); err == nil {
		x.refresh = models.Secret(cookie.Value)
		// A browser sends the cookie by itself, so the page that asks must be ours (resolutions 77).
		if err := s.origins.Check(r); err != nil {
			x.caller = caller{foreign: models.E(models.Forbidden, "the request comes from a foreign origin")}
		}
	}
	ctx = models.WithActor(ctx, x.caller.actor)
	return r.WithContext(context.WithValue(ctx, requestKey{}, x))
}

// bearer reads the access token and then the actor's rights, which are never in the token.
func (s *server) bearer(ctx context.Context, authorization []string, onBehalfOf string) (c caller) {
	if len(authorization) == 0 {
		return caller{}
	}
	scheme, text, _ := strings.Cut(authorization[0], " ")
	if len(authorization) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return caller{err: models.E(models.Unauthenticated, "one bearer token is expected")}
	}
	kind, id, expires, err := s.tokens.verify(strings.TrimSpace(text))
	if err != nil {
		return caller{err: err}
	}
	actor, err := s.Operators.Actor(ctx, kind, id)
	if err != nil {
		return caller{err: err}
	}
	if onBehalfOf != "" && kind == models.APIClientActor {
		if !utf8.ValidString(onBehalfOf) || utf8.RuneCountInString(onBehalfOf) > maxOnBehalfOf || strings.ContainsFunc(onBehalfOf, unicode.IsControl) {
			return caller{err: models.E(models.BadUserInput, onBehalfOfHeader+" has at most 64 printable characters")}
		}
		actor.OnBehalfOf = onBehalfOf
	}
	return caller{actor: actor, expires: expires}
}

// setRefresh hands out a refresh token, or takes it back when there is none.
func (s *server) setRefresh(ctx context.Context, token models.Secret, expires models.Time) {
	cookie := &http.Cookie{
		Name: refreshCookie, Value: token.Reveal(), Path: "/graphql", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: !s.Lab,
		MaxAge: int(expires.Sub(s.Clock.Now()).Seconds()),
	}
	if token.IsZero() {
		cookie.MaxAge = -1
	}
	http.SetCookie(requestFrom(ctx).w, cookie)
}
