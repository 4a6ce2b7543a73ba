package operators

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// adminRole is the built-in role that holds every permission.
const adminRole = "admin"

var carePermissions = []models.Permission{
	models.AccountRead, models.AccountCare, models.DeviceRead, models.DiagRun, models.EventRead, models.StatsRead,
}

// builtIn are the roles of resolutions 69; they hold everywhere and nobody changes them.
var builtIn = []struct {
	name        string
	permissions []models.Permission
}{
	{"bss", []models.Permission{models.AccountRead, models.AccountWrite, models.AccountCare, models.PIIRead, models.SecretRead, models.DeviceRead,
		models.EventRead, models.StatsRead, models.BulkRun, models.ExportRun, models.WebhookAdmin}},
	{"care", carePermissions},
	{"care-lead", append(slices.Clone(carePermissions), models.PIIRead, models.TraceRun, models.DeviceWrite)},
	{"operations", []models.Permission{models.DeviceRead, models.DeviceWrite, models.DiagRun, models.TraceRun, models.PackageWrite,
		models.UpgradeRead, models.UpgradeWrite, models.UpgradeApprove, models.StatsRead, models.StatsWrite, models.EventRead,
		models.AlarmRead, models.AlarmAck, models.BulkRun, models.BulkApprove, models.ExportRun, models.SystemAdmin}},
	{"security", []models.Permission{models.OperatorAdmin, models.SecurityAdmin, models.AlarmRead}},
	{"auditor", []models.Permission{models.AuditRead, models.EventRead}},
	{adminRole, models.Permissions},
}

func isBuiltIn(name string) bool {
	for _, b := range builtIn {
		if b.name == name {
			return true
		}
	}
	return false
}

// Bootstrap is what a start makes sure of.
type Bootstrap struct {
	// AdminPassword of the first operator, admin; empty: a random one.
	AdminPassword models.Secret
	// APIClientID and APIClientSecret of a client with all permissions (lab); empty: none.
	APIClientID     string
	APIClientSecret models.Secret
}

// Bootstrap makes the built-in roles, brings them up to date, and makes the operator admin unless there is one; generated is that one's
// password if none was given, to be shown once. The API client gets the secret given, at every start.
func (r *Room) Bootstrap(ctx context.Context, b Bootstrap) (generated models.Secret, err error) {
	if b.APIClientID != "" && (!clientID.MatchString(b.APIClientID) || b.APIClientSecret == "") {
		return "", errors.New("bootstrap.apiClient is id:secret: an id of letters, digits, dots, dashes and underscores, and a secret")
	}
	ctx = models.WithActor(ctx, models.System("bootstrap"))
	var admin models.ID
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		r.forget(tx)
		admin, err = makeRoles(tx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make the built-in roles: %w", err)
	}
	if generated, err = r.makeAdmin(ctx, admin, b.AdminPassword); err != nil {
		return "", fmt.Errorf("make the first operator: %w", err)
	}
	if b.APIClientID != "" {
		if err := r.makeClient(ctx, admin, b); err != nil {
			return "", fmt.Errorf("make the API client of the configuration: %w", err)
		}
	}
	return generated, nil
}

// makeRoles returns the id of the role admin.
func makeRoles(tx *store.Tx) (admin models.ID, err error) {
	for _, b := range builtIn {
		var role models.Role
		err := tx.Locked().Where("name = ?", b.name).Take(&role).Error
		if store.IsMissing(err) {
			role = models.Role{ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, Name: b.name,
				Permissions: models.DocOf(b.permissions), Regions: models.DocOf([]string{})}
			err = gorm.G[models.Role](tx.DB).Create(tx.Context(), &role)
			if store.IsDuplicate(err) { // another replica starts too
				role = models.Role{}
				err = tx.Locked().Where("name = ?", b.name).Take(&role).Error
			}
		}
		if err != nil {
			return admin, err
		}
		if !slices.Equal(role.Permissions.V, b.permissions) || len(role.Regions.V) > 0 {
			err := tx.DB.Model(&models.Role{}).Where("id = ?", role.ID).Updates(map[string]any{
				"version": role.Version + 1, "updated_at": tx.Now, "permissions": models.DocOf(b.permissions), "regions": models.DocOf([]string{}),
			}).Error
			if err != nil {
				return admin, err
			}
		}
		if b.name == adminRole {
			admin = role.ID
		}
	}
	return admin, nil
}

func (r *Room) makeAdmin(ctx context.Context, role models.ID, password models.Secret) (generated models.Secret, err error) {
	var n int64
	err = r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Model(&models.Operator{}).Where("username = ?", adminRole).Count(&n).Error
	})
	if err != nil || n > 0 {
		return "", err
	}
	if password.IsZero() {
		generated = randomPassword()
		password = generated
	}
	hash, err := r.passwords.hash(ctx, password)
	if err != nil {
		return "", err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		o := models.Operator{ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, Username: adminRole, PasswordHash: hash,
			RoleIDs: models.DocOf([]models.ID{role}), Enabled: true}
		if err := gorm.G[models.Operator](tx.DB).Create(tx.Context(), &o); err != nil {
			return err
		}
		return events.Audit(tx, models.AuditEntry{Action: "bootstrap", Subject: models.Subject{Kind: models.KindOperator, ID: o.ID}})
	})
	if store.IsDuplicate(err) { // another replica was first, with its own password
		return "", nil
	}
	return generated, err
}

func (r *Room) makeClient(ctx context.Context, role models.ID, b Bootstrap) error {
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		r.forget(tx)
		var c models.APIClient
		err := tx.Locked().Where("client_id = ?", b.APIClientID).Take(&c).Error
		if store.IsMissing(err) {
			c = models.APIClient{ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, ClientID: b.APIClientID,
				SecretHash: hashOf(b.APIClientSecret), RoleIDs: models.DocOf([]models.ID{role}), Enabled: true,
				AllowedCIDRs: models.DocOf([]string{}), PointsPerMinute: defaultPoints}
			if err := gorm.G[models.APIClient](tx.DB).Create(tx.Context(), &c); err != nil && !store.IsDuplicate(err) {
				return err
			}
			return events.Audit(tx, models.AuditEntry{Action: "bootstrap", Subject: models.Subject{Kind: models.KindAPIClient, ID: c.ID}})
		}
		if err != nil || slices.Equal(c.SecretHash, hashOf(b.APIClientSecret)) && c.Enabled {
			return err
		}
		err = tx.DB.Model(&models.APIClient{}).Where("id = ?", c.ID).Updates(map[string]any{
			"version": c.Version + 1, "updated_at": tx.Now, "secret_hash": hashOf(b.APIClientSecret), "previous_secret_hash": nil, "previous_until": 0,
			"enabled": true,
		}).Error
		if err != nil {
			return err
		}
		return events.Audit(tx, models.AuditEntry{Action: "bootstrap", Subject: models.Subject{Kind: models.KindAPIClient, ID: c.ID}})
	})
}
