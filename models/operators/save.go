package operators

import (
	"context"
	"fmt"
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
	maxName    = 64
	maxRegions = 50
	maxRoles   = 20
)

var (
	roleName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	username = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]*$`)
)

// SaveRoleInput is the input of saveRole; a zero ID makes a role.
type SaveRoleInput struct {
	ID              models.ID
	ExpectedVersion *int64
	Name            string
	Permissions     []models.Permission
	Regions         []string
}

// SaveOperatorInput is the input of saveOperator; a zero ID makes an operator. An empty InitialPassword leaves the password as it is; a new
// operator without one cannot sign in.
type SaveOperatorInput struct {
	ID              models.ID
	ExpectedVersion *int64
	Username        string
	RoleIDs         []models.ID
	Enabled         bool
	InitialPassword models.Secret
}

// need checks that the actor administers operators everywhere: they have no region.
func need(ctx context.Context) error {
	if models.ActorFrom(ctx).Scope(models.OperatorAdmin).All {
		return nil
	}
	return models.E(models.Forbidden, "permission "+string(models.OperatorAdmin)+" is needed, in all regions")
}

// SaveRole makes or changes a role. Nobody grants what they do not hold in the same regions, changes a built-in role, or takes the last
// OPERATOR_ADMIN away (POLICY_DENIED). Making one that exists with the same content changes nothing.
func (r *Room) SaveRole(ctx context.Context, in SaveRoleInput) (role *models.Role, err error) {
	if err := need(ctx); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	in.Permissions, in.Regions = unique(in.Permissions), unique(in.Regions)
	if p, ok := holds(models.ActorFrom(ctx), in.Permissions, in.Regions); !ok {
		return nil, models.E(models.PolicyDenied, "you do not hold "+string(p)+" in these regions yourself", "input", "permissions")
	}
	err = r.change(ctx, func(tx *store.Tx) error {
		now, err := current(tx, in.ID, in.ExpectedVersion, "name", in.Name, func(m *models.Role) (models.ID, int64) { return m.ID, m.Version })
		if err != nil {
			return err
		}
		if now != nil && isBuiltIn(now.Name) || isBuiltIn(in.Name) {
			return models.E(models.PolicyDenied, "built-in roles do not change", "input", "name")
		}
		if now != nil && now.Name == in.Name && slices.Equal(now.Permissions.V, in.Permissions) && slices.Equal(now.Regions.V, in.Regions) {
			role = now
			return nil
		}
		if now != nil && in.ID.IsZero() {
			return taken(models.KindRole, now.ID, "a role with this name exists", "name")
		}
		role = &models.Role{ID: models.NewID(), Version: 1, CreatedAt: tx.Now}
		if now != nil {
			*role = *now
			role.Version++
		}
		role.UpdatedAt, role.Name, role.Permissions, role.Regions = tx.Now, in.Name, models.DocOf(in.Permissions), models.DocOf(in.Regions)
		if err := write(tx, role, now == nil, role.ID, map[string]any{
			"version": role.Version, "updated_at": tx.Now, "name": role.Name, "permissions": role.Permissions, "regions": role.Regions,
		}); err != nil {
			return duplicate[models.Role](tx, err, models.KindRole, "name", in.Name, func(m *models.Role) models.ID { return m.ID })
		}
		changes := diff(now, role, func(m *models.Role) map[string]any {
			return map[string]any{"name": m.Name, "permissions": m.Permissions.V, "regions": m.Regions.V}
		})
		return events.Audit(tx, models.AuditEntry{Action: "saveRole", Subject: models.Subject{Kind: models.KindRole, ID: role.ID}, Changes: changes})
	})
	return role, wrap("save a role", err)
}

func (in SaveRoleInput) check() error {
	if err := checkName(roleName, in.Name, "name"); err != nil {
		return err
	}
	for i, p := range in.Permissions {
		if !slices.Contains(models.Permissions, p) {
			return models.E(models.Invalid, "there is no such permission", "input", "permissions", strconv.Itoa(i))
		}
	}
	if len(in.Regions) > maxRegions {
		return models.E(models.TooLong, fmt.Sprintf("a role has at most %d regions", maxRegions), "input", "regions")
	}
	for i, region := range in.Regions {
		field := []string{"input", "regions", strconv.Itoa(i)}
		switch {
		case region == "":
			return models.E(models.Invalid, "a region has a name", field...)
		case utf8.RuneCountInString(region) > maxName:
			return models.E(models.TooLong, fmt.Sprintf("a region has at most %d characters", maxName), field...)
		case strings.TrimSpace(region) != region || strings.ContainsFunc(region, func(r rune) bool { return !unicode.IsGraphic(r) }):
			// As in accounts: to MySQL "north" and "north " are the same region, to everybody else they are not.
			return models.E(models.Invalid, "a region has no white space at its beginning or end and nothing that cannot be seen", field...)
		}
	}
	return nil
}

func checkName(pattern *regexp.Regexp, name, field string) error {
	switch {
	case name == "":
		return models.E(models.Required, field+" may not be empty", "input", field)
	case len(name) > maxName:
		return models.E(models.TooLong, fmt.Sprintf("%s has at most %d characters", field, maxName), "input", field)
	case !pattern.MatchString(name):
		return models.E(models.Invalid, fmt.Sprintf("%s has to match %s", field, pattern), "input", field)
	}
	return nil
}

// SaveOperator makes or changes a person. Roles may be added only by who holds all that they grant, and so may a password be set; the last
// enabled OPERATOR_ADMIN stays (POLICY_DENIED). A new password, and disabling, end the operator's sign-ins. Making one that exists with the same
// content and password changes nothing.
func (r *Room) SaveOperator(ctx context.Context, in SaveOperatorInput) (o *models.Operator, err error) {
	if err := need(ctx); err != nil {
		return nil, err
	}
	in.RoleIDs = unique(in.RoleIDs)
	if err := checkName(username, in.Username, "username"); err != nil {
		return nil, err
	}
	hash := ""
	if !in.InitialPassword.IsZero() {
		if err := checkPolicy(in.InitialPassword, in.Username); err != nil {
			return nil, err
		}
		if hash, err = r.passwords.hash(ctx, in.InitialPassword); err != nil {
			return nil, err
		}
	}
	err = r.change(ctx, func(tx *store.Tx) error {
		now, err := current(tx, in.ID, in.ExpectedVersion, "username", in.Username, func(m *models.Operator) (models.ID, int64) { return m.ID, m.Version })
		if err != nil {
			return err
		}
		same := now != nil && now.Username == in.Username && slices.Equal(now.RoleIDs.V, in.RoleIDs) && now.Enabled == in.Enabled
		if same && hash != "" && in.ID.IsZero() { // a repeat of what made it
			if same, err = r.passwords.check(ctx, now.PasswordHash, in.InitialPassword); err != nil {
				return err
			}
		} else if hash != "" {
			same = false
		}
		if same {
			o = now
			return nil
		}
		if now != nil && in.ID.IsZero() {
			return taken(models.KindOperator, now.ID, "an operator with this user name exists", "username")
		}
		o = &models.Operator{ID: models.NewID(), Version: 1, CreatedAt: tx.Now}
		if now != nil {
			*o = *now
			o.Version++
		}
		before := o.RoleIDs.V
		o.UpdatedAt, o.Username, o.RoleIDs, o.Enabled = tx.Now, in.Username, models.DocOf(in.RoleIDs), in.Enabled
		columns := map[string]any{"version": o.Version, "updated_at": tx.Now, "username": o.Username, "role_ids": o.RoleIDs, "enabled": o.Enabled}
		if hash != "" {
			o.PasswordHash, o.Failures, o.LockedUntil = hash, 0, 0
			columns["password_hash"], columns["failures"], columns["locked_until"] = hash, 0, 0
		}
		if err := mayGive(tx, in.RoleIDs, before, hash != ""); err != nil {
			return err
		}
		if err := write(tx, o, now == nil, o.ID, columns); err != nil {
			return duplicate[models.Operator](tx, err, models.KindOperator, "username", in.Username, func(m *models.Operator) models.ID { return m.ID })
		}
		if hash != "" || !o.Enabled {
			if _, err := revoke(tx, "operator_id = ?", o.ID); err != nil {
				return err
			}
		}
		changes := diff(now, o, func(m *models.Operator) map[string]any {
			return map[string]any{"username": m.Username, "roleIds": m.RoleIDs.V, "enabled": m.Enabled}
		})
		if hash != "" {
			changes.V["initialPassword"] = "[redacted]"
		}
		return events.Audit(tx, models.AuditEntry{Action: "saveOperator", Subject: models.Subject{Kind: models.KindOperator, ID: o.ID}, Changes: changes})
	})
	return o, wrap("save an operator", err)
}

// change runs f while no other change of roles and operators runs, and refuses what would leave nobody to administer operators.
func (r *Room) change(ctx context.Context, f func(tx *store.Tx) error) error {
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		r.forget(tx)
		// The row of the role admin is the mutex: otherwise two admins could disable each other at once.
		if err := tx.Locked().Where("name = ?", adminRole).Find(&[]models.Role{}).Error; err != nil {
			return err
		}
		before, err := administered(tx)
		if err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		after, err := administered(tx)
		if err == nil && before && !after {
			err = models.E(models.PolicyDenied, "then nobody could administer operators any more", "input")
		}
		return err
	})
}

// administered tells whether an enabled operator holds OPERATOR_ADMIN everywhere.
func administered(tx *store.Tx) (bool, error) {
	roles, err := gorm.G[models.Role](tx.DB).Find(tx.Context())
	if err != nil {
		return false, err
	}
	operators, err := gorm.G[models.Operator](tx.DB).Where("enabled = ?", true).Find(tx.Context())
	if err != nil {
		return false, err
	}
	for _, role := range roles {
		if len(role.Regions.V) > 0 || !slices.Contains(role.Permissions.V, models.OperatorAdmin) {
			continue
		}
		if slices.ContainsFunc(operators, func(o models.Operator) bool { return slices.Contains(o.RoleIDs.V, role.ID) }) {
			return true, nil
		}
	}
	return false, nil
}

// holds tells whether the actor holds every permission in every region, no region meaning everywhere; else it names one that is missing.
func holds(a models.Actor, permissions []models.Permission, regions []string) (missing models.Permission, ok bool) {
	for _, p := range permissions {
		scope := a.Scope(p)
		if scope.All {
			continue
		}
		if len(regions) == 0 {
			return p, false
		}
		for _, region := range regions {
			if !scope.Covers(region) {
				return p, false
			}
		}
	}
	return "", true
}

// mayGive checks that the roles exist and that the actor holds what the added ones grant; with whole also what the others grant, because the
// actor could then use them.
func mayGive(tx *store.Tx, wanted, before []models.ID, whole bool) error {
	if len(wanted) > maxRoles {
		return models.E(models.TooLong, fmt.Sprintf("at most %d roles are allowed", maxRoles), "input", "roleIds")
	}
	found, err := rolesByID(tx, unique(append(slices.Clone(wanted), before...)))
	if err != nil {
		return err
	}
	actor := models.ActorFrom(tx.Context())
	for i, id := range wanted {
		role := found[id]
		if role == nil {
			return models.E(models.NotFound, "there is no such role", "input", "roleIds", strconv.Itoa(i))
		}
		if slices.Contains(before, id) && !whole {
			continue
		}
		if p, ok := holds(actor, role.Permissions.V, role.Regions.V); !ok {
			return models.E(models.PolicyDenied, "the role "+role.Name+" grants "+string(p)+", which you do not hold yourself", "input", "roleIds", strconv.Itoa(i))
		}
	}
	for _, id := range before {
		if role := found[id]; whole && role != nil {
			if p, ok := holds(actor, role.Permissions.V, role.Regions.V); !ok {
				return models.E(models.PolicyDenied, "its role "+role.Name+" grants "+string(p)+", which you do not hold yourself", "input")
			}
		}
	}
	return nil
}

// current reads and holds the row to change: by id, else by its name, nil if that is free. A row that is gone is NOT_FOUND, another version
// VERSION_CONFLICT.
func current[T any](tx *store.Tx, id models.ID, expected *int64, column, name string, of func(*T) (models.ID, int64)) (*T, error) {
	q := tx.Locked().Where(column+" = ?", name)
	if !id.IsZero() {
		q = tx.Locked().Where("id = ?", id)
	}
	var row T
	err := q.Take(&row).Error
	if store.IsMissing(err) {
		if id.IsZero() {
			return nil, nil
		}
		return nil, models.E(models.NotFound, "there is no such row", "input", "id")
	}
	if err != nil {
		return nil, err
	}
	if _, version := of(&row); expected != nil && *expected != version {
		conflict := models.E(models.VersionConflict, "somebody changed it since you read it", "input", "expectedVersion")
		conflict.CurrentVersion = version
		return nil, conflict
	}
	return &row, nil
}

// write inserts row or updates its columns; its row is held.
func write[T any](tx *store.Tx, row *T, fresh bool, id models.ID, columns map[string]any) error {
	if fresh {
		return gorm.G[T](tx.DB).Create(tx.Context(), row)
	}
	return tx.DB.Model(new(T)).Where("id = ?", id).Updates(columns).Error
}

// duplicate turns a violated unique name into ALREADY_EXISTS with its owner.
func duplicate[T any](tx *store.Tx, err error, kind models.Kind, column, name string, id func(*T) models.ID) error {
	if !store.IsDuplicate(err) {
		return err
	}
	row, err := gorm.G[T](tx.DB).Where(column+" = ?", name).Take(tx.Context())
	if err != nil {
		return err
	}
	field := map[string]string{"name": "name", "username": "username", "client_id": "clientId"}[column]
	return taken(kind, id(&row), "this name is taken", field)
}

func taken(kind models.Kind, id models.ID, message, field string) error {
	err := models.E(models.AlreadyExists, message, "input", field)
	err.Existing = models.Subject{Kind: kind, ID: id}
	return err
}

// diff is what changed, for the audit log: field → [old, new]; old is null for a new row.
func diff[T any](before, after *T, fields func(*T) map[string]any) models.Doc[map[string]any] {
	var old map[string]any
	if before != nil {
		old = fields(before)
	}
	changes := map[string]any{}
	for name, value := range fields(after) {
		if fmt.Sprint(old[name]) != fmt.Sprint(value) || before == nil {
			changes[name] = []any{old[name], value}
		}
	}
	return models.DocOf(changes)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
