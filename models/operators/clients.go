package operators

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	rotateSecret  = "rotateApiClientSecret"
	maxCIDRs      = 64
	maxNote       = 255
	maxPoints     = 10_000_000
	defaultPoints = 6000
)

// clientID has no colon, which ends the id in HTTP Basic (RFC 6749 2.3.1).
var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// SaveAPIClientInput is the input of saveApiClient; a zero ID makes a client, which gets its secret by RotateSecret.
type SaveAPIClientInput struct {
	ID                   models.ID
	ExpectedVersion      *int64
	ClientID             string
	RoleIDs              []models.ID
	Enabled              bool
	AllowedCIDRs         []string
	TrustedDocumentsOnly bool
	PointsPerMinute      int
}

// SaveAPIClient makes or changes an API client. Roles may be added only by who holds all that they grant (POLICY_DENIED). Making one that
// exists with the same content changes nothing.
func (r *Room) SaveAPIClient(ctx context.Context, in SaveAPIClientInput) (c *models.APIClient, err error) {
	if err := need(ctx); err != nil {
		return nil, err
	}
	in.RoleIDs = unique(in.RoleIDs)
	if err := in.check(); err != nil {
		return nil, err
	}
	err = r.change(ctx, func(tx *store.Tx) error {
		now, err := current(tx, in.ID, in.ExpectedVersion, "client_id", in.ClientID, func(m *models.APIClient) (models.ID, int64) { return m.ID, m.Version })
		if err != nil {
			return err
		}
		c = &models.APIClient{ID: models.NewID(), Version: 1, CreatedAt: tx.Now}
		if now != nil {
			*c = *now
			c.Version++
		}
		before := c.RoleIDs.V
		c.UpdatedAt, c.ClientID, c.RoleIDs, c.Enabled = tx.Now, in.ClientID, models.DocOf(in.RoleIDs), in.Enabled
		c.AllowedCIDRs, c.TrustedDocumentsOnly, c.PointsPerMinute = models.DocOf(in.AllowedCIDRs), in.TrustedDocumentsOnly, in.PointsPerMinute
		changes := diff(now, c, func(m *models.APIClient) map[string]any {
			return map[string]any{"clientId": m.ClientID, "roleIds": m.RoleIDs.V, "enabled": m.Enabled, "allowedCidrs": m.AllowedCIDRs.V,
				"trustedDocumentsOnly": m.TrustedDocumentsOnly, "pointsPerMinute": m.PointsPerMinute}
		})
		if now != nil && len(changes.V) == 0 {
			c = now
			return nil
		}
		if now != nil && in.ID.IsZero() {
			return taken(models.KindAPIClient, now.ID, "an API client with this id exists", "clientId")
		}
		if err := mayGive(tx, in.RoleIDs, before, false); err != nil {
			return err
		}
		if err := write(tx, c, now == nil, c.ID, map[string]any{
			"version": c.Version, "updated_at": tx.Now, "client_id": c.ClientID, "role_ids": c.RoleIDs, "enabled": c.Enabled,
			"allowed_cidrs": c.AllowedCIDRs, "trusted_documents_only": c.TrustedDocumentsOnly, "points_per_minute": c.PointsPerMinute,
		}); err != nil {
			return duplicate[models.APIClient](tx, err, models.KindAPIClient, "client_id", in.ClientID, func(m *models.APIClient) models.ID { return m.ID })
		}
		return events.Audit(tx, models.AuditEntry{Action: "saveApiClient", Subject: models.Subject{Kind: models.KindAPIClient, ID: c.ID}, Changes: changes})
	})
	return c, wrap("save an API client", err)
}

func (in *SaveAPIClientInput) check() error {
	if err := checkName(clientID, in.ClientID, "clientId"); err != nil {
		return err
	}
	if len(in.AllowedCIDRs) > maxCIDRs {
		return models.E(models.TooLong, fmt.Sprintf("at most %d networks are allowed", maxCIDRs), "input", "allowedCidrs")
	}
	networks := make([]string, 0, len(in.AllowedCIDRs))
	for i, text := range in.AllowedCIDRs {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return models.E(models.Invalid, "this is no network such as 10.1.0.0/16 or 2001:db8::/32", "input", "allowedCidrs", strconv.Itoa(i))
		}
		networks = append(networks, network.Masked().String())
	}
	in.AllowedCIDRs = unique(networks)
	if in.PointsPerMinute < 1 || in.PointsPerMinute > maxPoints {
		return models.E(models.Invalid, fmt.Sprintf("pointsPerMinute is 1 to %d", maxPoints), "input", "pointsPerMinute")
	}
	return nil
}

// RotateSecretInput is the input of rotateApiClientSecret; one of IdempotencyKey and ExpectedVersion is needed (resolutions 57).
type RotateSecretInput struct {
	ID              models.ID
	IdempotencyKey  string
	ExpectedVersion *int64
	// Note is kept in the audit log.
	Note string
}

// RotateSecretResult holds the new secret. The former one stays good until OverlapUntil; zero if there was none.
type RotateSecretResult struct {
	Client       *models.APIClient
	Secret       models.Secret
	OverlapUntil models.Time
	Replayed     bool
}

// rotated is what the record of a rotation keeps; Kept names the new secret. Without it a lost answer would make the
// caller rotate again, which ends the secret in use.
type rotated struct {
	Client models.ID
	Kept   models.ID
	Until  models.Time
}

// RotateSecret gives an API client a new secret. Only who holds all that the client's roles grant may have it (POLICY_DENIED).
func (r *Room) RotateSecret(ctx context.Context, in RotateSecretInput) (result RotateSecretResult, err error) {
	if err := need(ctx); err != nil {
		return result, err
	}
	if in.IdempotencyKey == "" && in.ExpectedVersion == nil {
		return result, models.E(models.Required, "idempotencyKey or expectedVersion is needed", "input", "idempotencyKey")
	}
	if err := checkNote(in.Note); err != nil {
		return result, err
	}
	err = r.change(ctx, func(tx *store.Tx) error {
		result = RotateSecretResult{}
		if in.IdempotencyKey != "" {
			prior, err := events.Once[rotated](tx, rotateSecret, in.IdempotencyKey, []any{in.ID, in.ExpectedVersion, in.Note})
			if err != nil {
				return err
			}
			if prior != nil {
				return replay(tx, prior, &result)
			}
		}
		return r.rotate(tx, in, &result)
	})
	if err != nil {
		return RotateSecretResult{}, wrap("rotate the secret of an API client", err)
	}
	return result, nil
}

func checkNote(note string) error {
	switch {
	case utf8.RuneCountInString(note) > maxNote:
		return models.E(models.TooLong, fmt.Sprintf("a note has at most %d characters", maxNote), "input", "note")
	case strings.ContainsFunc(note, unicode.IsControl):
		return models.E(models.Invalid, "a note holds no control characters", "input", "note")
	}
	return nil
}

func replay(tx *store.Tx, prior *rotated, result *RotateSecretResult) error {
	secret, err := events.Kept(tx, prior.Kept)
	if err != nil {
		return err
	}
	c, err := gorm.G[models.APIClient](tx.DB).Where("id = ?", prior.Client).Take(tx.Context())
	*result = RotateSecretResult{Client: &c, Secret: secret, OverlapUntil: prior.Until, Replayed: true}
	return err
}

func (r *Room) rotate(tx *store.Tx, in RotateSecretInput, result *RotateSecretResult) error {
	if in.ID.IsZero() {
		return models.E(models.NotFound, "there is no such row", "input", "id")
	}
	c, err := current(tx, in.ID, in.ExpectedVersion, "", "", func(m *models.APIClient) (models.ID, int64) { return m.ID, m.Version })
	if err != nil {
		return err
	}
	if err := mayGive(tx, nil, c.RoleIDs.V, true); err != nil {
		return err
	}
	secret := randomSecret()
	c.PreviousSecretHash, c.PreviousUntil = c.SecretHash, 0
	if len(c.SecretHash) > 0 {
		c.PreviousUntil = tx.Now.Add(r.config.SecretOverlap)
	}
	c.SecretHash, c.Version, c.UpdatedAt = hashOf(secret), c.Version+1, tx.Now
	err = write(tx, c, false, c.ID, map[string]any{
		"version": c.Version, "updated_at": tx.Now, "secret_hash": c.SecretHash, "previous_secret_hash": c.PreviousSecretHash, "previous_until": c.PreviousUntil,
	})
	if err != nil {
		return err
	}
	*result = RotateSecretResult{Client: c, Secret: secret, OverlapUntil: c.PreviousUntil}
	changes := map[string]any{"secret": "[redacted]"}
	if in.Note != "" {
		changes["note"] = in.Note
	}
	err = events.Audit(tx, models.AuditEntry{Action: rotateSecret, Subject: models.Subject{Kind: models.KindAPIClient, ID: c.ID},
		Changes: models.DocOf(changes)})
	if err != nil || in.IdempotencyKey == "" {
		return err
	}
	kept, err := events.Keep(tx, secret)
	if err != nil {
		return err
	}
	return events.Done(tx, rotateSecret, in.IdempotencyKey, rotated{Client: c.ID, Kept: kept, Until: c.PreviousUntil})
}

// Authenticate finds the API client with that secret. UNAUTHENTICATED, without saying why, if there is none, it is disabled or remoteIP is in
// none of its networks.
func (r *Room) Authenticate(ctx context.Context, id string, secret models.Secret, remoteIP string) (*models.APIClient, error) {
	var found []models.APIClient
	err := r.store.View(ctx, func(tx *store.Tx) error { return tx.DB.Where("client_id = ?", id).Limit(1).Find(&found).Error })
	if err != nil {
		return nil, fmt.Errorf("read an API client: %w", err)
	}
	refused := models.E(models.Unauthenticated, "client id or secret is wrong")
	given := hashOf(secret)
	if len(found) == 0 || found[0].ClientID != id { // MariaDB also finds it with spaces behind
		return nil, refused
	}
	c := &found[0]
	good := subtle.ConstantTimeCompare(given, c.SecretHash) == 1
	if r.clock.Now() < c.PreviousUntil && subtle.ConstantTimeCompare(given, c.PreviousSecretHash) == 1 {
		good = true
	}
	if !good || !c.Enabled || !allowed(c.AllowedCIDRs.V, remoteIP) {
		return nil, refused
	}
	return c, nil
}

// allowed tells whether ip is in one of the networks; with none, every address is.
func allowed(networks []string, ip string) bool {
	if len(networks) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(ip)
	return err == nil && slices.ContainsFunc(networks, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(addr.Unmap())
	})
}
