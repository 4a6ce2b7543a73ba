package operators

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func version(v int64) *int64 { return &v }

func TestSaveRole(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		ctx := storetest.As(t)
		in := SaveRoleInput{Name: "shanghai", Permissions: []models.Permission{models.AccountRead, models.AccountRead}, Regions: []string{"east"}}
		made, err := r.SaveRole(ctx, in)
		if err != nil || made.Version != 1 || len(made.Permissions.V) != 1 {
			t.Fatal(made, err)
		}
		if again, err := r.SaveRole(ctx, in); err != nil || again.ID != made.ID || again.Version != 1 {
			t.Errorf("a repeat gives %+v, %v", again, err)
		}
		in.Regions = nil
		_, err = r.SaveRole(ctx, in)
		field(t, err, models.AlreadyExists, "input.name")
		in.ID, in.ExpectedVersion = made.ID, version(1)
		changed, err := r.SaveRole(ctx, in)
		if err != nil || changed.Version != 2 || len(changed.Regions.V) != 0 {
			t.Fatal(changed, err)
		}
		in.Name = "other"
		_, err = r.SaveRole(ctx, in)
		field(t, err, models.VersionConflict, "input.expectedVersion")
		in.ExpectedVersion, in.Name = nil, "care"
		_, err = r.SaveRole(ctx, in)
		field(t, err, models.PolicyDenied, "input.name")
		in.ID = models.NewID()
		in.Name = "shanghai"
		_, err = r.SaveRole(ctx, in)
		field(t, err, models.NotFound, "input.id")
		second, err := r.SaveRole(ctx, SaveRoleInput{Name: "second"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.SaveRole(ctx, SaveRoleInput{ID: second.ID, Name: "shanghai"})
		field(t, err, models.AlreadyExists, "input.name")
		_, err = r.SaveRole(ctx, SaveRoleInput{ID: role(t, r, "security").ID, Name: "mine", Permissions: []models.Permission{models.AccountRead}})
		field(t, err, models.PolicyDenied, "input.name")

		for name, c := range map[string]struct {
			in   SaveRoleInput
			code models.Code
			path string
		}{
			"no name":    {SaveRoleInput{}, models.Required, "input.name"},
			"name":       {SaveRoleInput{Name: "A b"}, models.Invalid, "input.name"},
			"long name":  {SaveRoleInput{Name: strings.Repeat("x", 65)}, models.TooLong, "input.name"},
			"permission": {SaveRoleInput{Name: "x", Permissions: []models.Permission{"FLY"}}, models.Invalid, "input.permissions.0"},
			"region":     {SaveRoleInput{Name: "x", Regions: []string{"a", ""}}, models.Invalid, "input.regions.1"},
		} {
			_, err := r.SaveRole(ctx, c.in)
			if err == nil {
				t.Errorf("%s is allowed", name)
			}
			field(t, err, c.code, c.path)
		}
		_, err = r.SaveRole(storetest.As(t, models.SecurityAdmin), in)
		field(t, err, models.Forbidden, "")
		_, err = r.SaveRole(storetest.In(t, []string{"east"}), in)
		field(t, err, models.Forbidden, "")
		_, err = r.Roles(storetest.As(t, models.SecurityAdmin))
		field(t, err, models.Forbidden, "")
	})
}

// TestNobodyGrantsMore is about the operator `security`, who administers operators and holds little else.
func TestNobodyGrantsMore(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		security := as(t, r, save(t, r, "sam", "security"))
		_, err := r.SaveRole(security, SaveRoleInput{Name: "mine", Permissions: []models.Permission{models.SecurityAdmin, models.AccountRead}})
		field(t, err, models.PolicyDenied, "input.permissions")
		own, err := r.SaveRole(security, SaveRoleInput{Name: "mine", Permissions: []models.Permission{models.SecurityAdmin}, Regions: []string{"east"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.SaveOperator(security, SaveOperatorInput{Username: "bob", Enabled: true, RoleIDs: []models.ID{own.ID, role(t, r, "care").ID}})
		field(t, err, models.PolicyDenied, "input.roleIds.1")
		admin := operator(t, r, "admin")
		_, err = r.SaveOperator(security, SaveOperatorInput{ID: admin.ID, Username: "admin", Enabled: true, RoleIDs: admin.RoleIDs.V, InitialPassword: password})
		field(t, err, models.PolicyDenied, "input.roleIds.0")
		_, err = r.SaveOperator(security, SaveOperatorInput{ID: admin.ID, Username: "admin", Enabled: true, InitialPassword: password})
		field(t, err, models.PolicyDenied, "input")
		_, err = r.SaveAPIClient(security, SaveAPIClientInput{ClientID: "bss", RoleIDs: []models.ID{role(t, r, "bss").ID}, PointsPerMinute: 1})
		field(t, err, models.PolicyDenied, "input.roleIds.0")
		client, err := r.SaveAPIClient(storetest.As(t), SaveAPIClientInput{ClientID: "bss", RoleIDs: []models.ID{role(t, r, "bss").ID}, PointsPerMinute: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.RotateSecret(security, RotateSecretInput{ID: client.ID, IdempotencyKey: "k"})
		field(t, err, models.PolicyDenied, "input")
		// What they may do: disable somebody who holds more.
		care := save(t, r, "carl", "care")
		if _, err := r.SaveOperator(security, SaveOperatorInput{ID: care.ID, Username: "carl", RoleIDs: care.RoleIDs.V}); err != nil {
			t.Error(err)
		}
	})
}

func TestSaveOperator(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		ctx := storetest.As(t)
		o := save(t, r, "ann", "care")
		if again := save(t, r, "ann", "care"); again.ID != o.ID || again.Version != 1 {
			t.Errorf("a repeat gives %+v", again)
		}
		in := SaveOperatorInput{Username: "ann", Enabled: true, RoleIDs: o.RoleIDs.V, InitialPassword: "Another-Horse-2"}
		_, err := r.SaveOperator(ctx, in)
		field(t, err, models.AlreadyExists, "input.username")
		session := signIn(t, r, "ann")
		in.ID, in.ExpectedVersion = o.ID, version(1)
		if changed, err := r.SaveOperator(ctx, in); err != nil || changed.Version != 2 {
			t.Fatal(changed, err)
		}
		_, err = r.Refresh(t.Context(), session.RefreshToken)
		field(t, err, models.Unauthenticated, "")
		_, err = r.SignIn(t.Context(), "ann", password)
		field(t, err, models.Invalid, "")
		if _, err := r.SignIn(t.Context(), "ann", in.InitialPassword); err != nil {
			t.Error(err)
		}
		in.InitialPassword = ""
		_, err = r.SaveOperator(ctx, in)
		field(t, err, models.VersionConflict, "input.expectedVersion")
		in.ExpectedVersion = nil
		if same, err := r.SaveOperator(ctx, in); err != nil || same.Version != 2 {
			t.Errorf("no change gives %+v, %v", same, err)
		}
		for secret, code := range map[models.Secret]models.Code{
			"Short-1": models.Invalid, "onlysmallletters": models.Invalid, "xxAnn-0123456789": models.Invalid, models.Secret("Aa1" + strings.Repeat("x", 126)): models.TooLong,
		} {
			_, err := r.SaveOperator(ctx, SaveOperatorInput{Username: "ann", Enabled: true, InitialPassword: secret})
			field(t, err, code, "input.initialPassword")
		}
		_, err = r.SaveOperator(ctx, SaveOperatorInput{Username: "Ann"})
		field(t, err, models.Invalid, "input.username")
		_, err = r.SaveOperator(ctx, SaveOperatorInput{Username: "bob", RoleIDs: []models.ID{models.NewID()}})
		field(t, err, models.NotFound, "input.roleIds.0")
		_, err = r.SaveOperator(ctx, SaveOperatorInput{Username: "bob", RoleIDs: slices.Collect(func(yield func(models.ID) bool) {
			for range 21 {
				if !yield(models.NewID()) {
					return
				}
			}
		})})
		field(t, err, models.TooLong, "input.roleIds")

		err = r.store.View(ctx, func(tx *store.Tx) error {
			entries, err := gorm.G[models.AuditEntry](tx.DB).Where("action = ?", "saveOperator").Order("n").Find(ctx)
			if len(entries) != 2 || entries[1].Changes.V["initialPassword"] != "[redacted]" || entries[1].Changes.V["username"] != nil || entries[0].ActorName != "bss" {
				t.Errorf("audit rows %+v", entries)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestLastAdministrator(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		ctx := storetest.As(t)
		admin := operator(t, r, "admin")
		disable := SaveOperatorInput{ID: admin.ID, Username: "admin", RoleIDs: admin.RoleIDs.V}
		_, err := r.SaveOperator(ctx, disable)
		field(t, err, models.PolicyDenied, "input")
		_, err = r.SaveOperator(ctx, SaveOperatorInput{ID: admin.ID, Username: "admin", Enabled: true, RoleIDs: []models.ID{role(t, r, "care").ID}})
		field(t, err, models.PolicyDenied, "input")

		// Two who disable each other at the same time: one stays.
		other := save(t, r, "ann", "admin")
		inputs := []SaveOperatorInput{disable, {ID: other.ID, Username: "ann", RoleIDs: other.RoleIDs.V}}
		errs := make([]error, 2)
		var group sync.WaitGroup
		for i, in := range inputs {
			group.Go(func() { _, errs[i] = r.SaveOperator(ctx, in) })
		}
		group.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("both or none: %v", errs)
		}
	})
}

func TestAPIClient(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		ctx := storetest.As(t)
		in := SaveAPIClientInput{ClientID: "Bss.1", RoleIDs: []models.ID{role(t, r, "bss").ID}, Enabled: true,
			AllowedCIDRs: []string{"192.0.2.77/24", "2001:db8::/32"}, TrustedDocumentsOnly: true, PointsPerMinute: 6000}
		c, err := r.SaveAPIClient(ctx, in)
		if err != nil || !slices.Equal(c.AllowedCIDRs.V, []string{"192.0.2.0/24", "2001:db8::/32"}) {
			t.Fatal(c, err)
		}
		if again, err := r.SaveAPIClient(ctx, in); err != nil || again.ID != c.ID || again.Version != 1 {
			t.Errorf("a repeat gives %+v, %v", again, err)
		}
		good := func(secret models.Secret, ip string, want bool) {
			t.Helper()
			found, err := r.Authenticate(t.Context(), "Bss.1", secret, ip)
			if (err == nil) != want || want && found.ID != c.ID {
				t.Errorf("from %s: %v", ip, err)
			}
			if !want {
				field(t, err, models.Unauthenticated, "")
			}
		}
		good("", "192.0.2.1", false) // no secret yet

		_, err = r.RotateSecret(ctx, RotateSecretInput{ID: c.ID})
		field(t, err, models.Required, "input.idempotencyKey")
		_, err = r.RotateSecret(ctx, RotateSecretInput{ID: c.ID, ExpectedVersion: version(7)})
		field(t, err, models.VersionConflict, "input.expectedVersion")
		_, err = r.RotateSecret(ctx, RotateSecretInput{ID: models.NewID(), IdempotencyKey: "x"})
		field(t, err, models.NotFound, "input.id")
		first, err := r.RotateSecret(ctx, RotateSecretInput{ID: c.ID, IdempotencyKey: "1"})
		if err != nil || first.OverlapUntil != 0 || first.Replayed || first.Client.Version != 2 {
			t.Fatal(first, err)
		}
		good(first.Secret, "192.0.2.1", true)
		good(first.Secret, "2001:db8::1", true)
		good(first.Secret, "::ffff:192.0.2.1", true)
		good(first.Secret, "198.51.100.1", false)
		good(first.Secret, "", false)

		second, err := r.RotateSecret(ctx, RotateSecretInput{ID: c.ID, ExpectedVersion: version(2), IdempotencyKey: "2"})
		if err != nil || second.OverlapUntil != clock.Now().Add(24*time.Hour) {
			t.Fatal(second, err)
		}
		replay, err := r.RotateSecret(ctx, RotateSecretInput{ID: c.ID, ExpectedVersion: version(2), IdempotencyKey: "2"})
		if err != nil || !replay.Replayed || replay.Secret.Reveal() != second.Secret.Reveal() || replay.OverlapUntil != second.OverlapUntil {
			t.Errorf("a replay gives %+v, %v", replay, err)
		}
		good(first.Secret, "192.0.2.1", true)
		good(second.Secret, "192.0.2.1", true)
		clock.Advance(24 * time.Hour)
		good(first.Secret, "192.0.2.1", false)
		good(second.Secret, "192.0.2.1", true)
		for _, id := range []string{"nobody", "Bss.1 ", "bss.1"} {
			_, err = r.Authenticate(t.Context(), id, second.Secret, "192.0.2.1")
			field(t, err, models.Unauthenticated, "")
		}
		in.ID, in.Enabled = c.ID, false
		if _, err := r.SaveAPIClient(ctx, in); err != nil {
			t.Fatal(err)
		}
		good(second.Secret, "192.0.2.1", false)

		for path, change := range map[string]func(in *SaveAPIClientInput){
			"input.clientId":        func(in *SaveAPIClientInput) { in.ClientID = "a:b" },
			"input.allowedCidrs.1":  func(in *SaveAPIClientInput) { in.AllowedCIDRs = []string{"10.0.0.0/8", "10.0.0.1"} },
			"input.pointsPerMinute": func(in *SaveAPIClientInput) { in.PointsPerMinute = 0 },
		} {
			bad := in
			change(&bad)
			_, err := r.SaveAPIClient(ctx, bad)
			field(t, err, models.Invalid, path)
		}
		clients, err := r.APIClients(ctx)
		if err != nil || len(clients) != 1 {
			t.Error(clients, err)
		}
	})
}

func TestLoaders(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		ctx, statements := store.CountStatements(context.Background())
		admin, care := operator(t, r, "admin"), role(t, r, "care")
		roles, err1 := r.RolesByID(ctx, []models.ID{care.ID, models.NewID()})
		operators, err2 := r.OperatorsByID(ctx, []models.ID{admin.ID})
		clients, err3 := r.APIClientsByID(ctx, nil)
		if err1 != nil || err2 != nil || err3 != nil || len(roles) != 1 || roles[care.ID].Name != "care" || operators[admin.ID].Username != "admin" || len(clients) != 0 {
			t.Error(roles, operators, clients, err1, err2, err3)
		}
		if statements.Load() != 2 {
			t.Error(fmt.Sprint(statements.Load()), "statements")
		}
	})
}
