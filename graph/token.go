package graph

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/softacs/softacs/models"
)

// The fixed parts of an access token (resolutions 77; RFC 9068 for the type).
const (
	issuer    = "softacs"
	audience  = "softacs-north"
	tokenType = "at+jwt"
	tokenLife = 10 * time.Minute
)

// tokens makes and reads access tokens: the first seed signs, all verify, so that keys can be rotated.
type tokens struct {
	clock  models.Clock
	kid    string
	key    ed25519.PrivateKey
	public map[string]ed25519.PublicKey
}

func newTokens(seeds [][32]byte, clock models.Clock) (*tokens, error) {
	if len(seeds) == 0 {
		return nil, errors.New("access tokens need a key")
	}
	t := &tokens{clock: clock, public: map[string]ed25519.PublicKey{}}
	for i, seed := range seeds {
		key := ed25519.NewKeyFromSeed(seed[:])
		public := key.Public().(ed25519.PublicKey)
		sum := sha256.Sum256(public)
		kid := hex.EncodeToString(sum[:8])
		t.public[kid] = public
		if i == 0 {
			t.kid, t.key = kid, key
		}
	}
	return t, nil
}

type claims struct {
	jwt.RegisteredClaims
	Kind models.ActorKind `json:"kind"`
}

// issue makes the token of an actor; it ends ten minutes from now.
func (t *tokens) issue(kind models.ActorKind, id models.ID) (text string, expires models.Time, err error) {
	now := t.clock.Now()
	expires = now.Add(tokenLife)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{Kind: kind, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: id.String(), ID: models.NewID().String(),
		IssuedAt: jwt.NewNumericDate(now.Std()), ExpiresAt: jwt.NewNumericDate(expires.Std()),
	}})
	token.Header["typ"], token.Header["kid"] = tokenType, t.kid
	text, err = token.SignedString(t.key)
	return text, expires, err
}

// verify returns whose token it is and when it ends. Every failure is the same UNAUTHENTICATED.
func (t *tokens) verify(text string) (kind models.ActorKind, id models.ID, expires models.Time, err error) {
	var c claims
	_, err = jwt.ParseWithClaims(text, &c, t.keyOf, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer),
		jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return t.clock.Now().Std() }))
	id, idErr := models.ParseID(c.Subject)
	if err != nil || idErr != nil || c.Kind != models.OperatorActor && c.Kind != models.APIClientActor {
		return "", models.ID{}, 0, models.E(models.Unauthenticated, "the access token is not valid or has expired")
	}
	return c.Kind, id, models.TimeOf(c.ExpiresAt.Time), nil
}

func (t *tokens) keyOf(token *jwt.Token) (any, error) {
	if token.Header["typ"] != tokenType {
		return nil, fmt.Errorf("the token is no %s", tokenType)
	}
	kid, _ := token.Header["kid"].(string)
	public, known := t.public[kid]
	if !known {
		return nil, errors.New("the token is signed with an unknown key")
	}
	return public, nil
}
