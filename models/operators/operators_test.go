package operators

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// cheap makes password checks fast: tests are not about their cost.
var cheap = Config{Memory: 64, Passes: 1}

const password = models.Secret("Correct-Horse-1")

func each(t *testing.T, f func(t *testing.T, r *Room, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, cheap)
		if _, err := r.Bootstrap(t.Context(), Bootstrap{AdminPassword: password}); err != nil {
			t.Fatal(err)
		}
		f(t, r, clock)
	})
}

func field(t *testing.T, err error, code models.Code, path string) {
	t.Helper()
	var coded *models.Error
	if !errors.As(err, &coded) || coded.Code != code || path != "" && strings.Join(coded.Field, ".") != path {
		t.Errorf("got %v, want %s at %s", err, code, path)
	}
}

func role(t *testing.T, r *Room, name string) *models.Role {
	t.Helper()
	roles, err := r.Roles(storetest.As(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(roles, func(role models.Role) bool { return role.Name == name })
	if i < 0 {
		t.Fatalf("there is no role %s", name)
	}
	return &roles[i]
}

func operator(t *testing.T, r *Room, name string) *models.Operator {
	t.Helper()
	operators, err := r.Operators(storetest.As(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(operators, func(o models.Operator) bool { return o.Username == name })
	if i < 0 {
		t.Fatalf("there is no operator %s", name)
	}
	return &operators[i]
}

// save makes an operator with built-in roles and the test's password.
func save(t *testing.T, r *Room, name string, roles ...string) *models.Operator {
	t.Helper()
	in := SaveOperatorInput{Username: name, Enabled: true, InitialPassword: password}
	for _, name := range roles {
		in.RoleIDs = append(in.RoleIDs, role(t, r, name).ID)
	}
	o, err := r.SaveOperator(storetest.As(t), in)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func signIn(t *testing.T, r *Room, name string) Session {
	t.Helper()
	session, err := r.SignIn(t.Context(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// as is the context in which the operator acts.
func as(t *testing.T, r *Room, o *models.Operator) context.Context {
	t.Helper()
	actor, err := r.Actor(t.Context(), models.OperatorActor, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	return models.WithActor(t.Context(), actor)
}

func TestBootstrap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, cheap)
		// Replicas that start together make one admin, with the password of one of them.
		generated := make([]models.Secret, 3)
		var group sync.WaitGroup
		for i := range generated {
			group.Go(func() {
				var err error
				generated[i], err = r.Bootstrap(t.Context(), Bootstrap{APIClientID: "lab", APIClientSecret: "a secret of the lab"})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		generated = slices.DeleteFunc(generated, models.Secret.IsZero)
		if len(generated) != 1 || len(generated[0].Reveal()) != 26 {
			t.Fatalf("%d passwords were generated", len(generated))
		}
		session, err := r.SignIn(t.Context(), "admin", generated[0])
		if err != nil {
			t.Fatal(err)
		}
		actor, err := r.Actor(t.Context(), models.OperatorActor, session.Operator.ID)
		if err != nil || actor.Name != "admin" || !actor.Scope(models.SecretRead).All || len(actor.Grants) != 1 {
			t.Errorf("%+v %v", actor, err)
		}
		client, err := r.Authenticate(t.Context(), "lab", "a secret of the lab", "192.0.2.1")
		if err != nil || client.TrustedDocumentsOnly {
			t.Fatal(client, err)
		}
		if actor, err := r.Actor(t.Context(), models.APIClientActor, client.ID); err != nil || !actor.Scope(models.AccountWrite).All {
			t.Errorf("%+v %v", actor, err)
		}
		if roles, err := r.Roles(storetest.As(t)); err != nil || len(roles) != len(builtIn) {
			t.Errorf("%d roles, %v", len(roles), err)
		}

		// The next start brings roles and client up to date and leaves admin alone.
		care := role(t, r, "care")
		err = s.InTx(storetest.As(t), func(tx *store.Tx) error {
			return tx.DB.Model(&models.Role{}).Where("name = ?", "care").Update("permissions", models.DocOf([]models.Permission{models.SecretRead})).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Bootstrap(t.Context(), Bootstrap{AdminPassword: "another", APIClientID: "lab", APIClientSecret: "a new secret of the lab"})
		if err != nil || !again.IsZero() {
			t.Fatal(again, err)
		}
		if now := role(t, r, "care"); now.ID != care.ID || !slices.Equal(now.Permissions.V, carePermissions) || now.Version != care.Version+1 {
			t.Errorf("care is %+v", now)
		}
		if _, err := r.SignIn(t.Context(), "admin", generated[0]); err != nil {
			t.Error(err)
		}
		_, err = r.Authenticate(t.Context(), "lab", "a secret of the lab", "192.0.2.1")
		field(t, err, models.Unauthenticated, "")
		if _, err := r.Authenticate(t.Context(), "lab", "a new secret of the lab", "192.0.2.1"); err != nil {
			t.Error(err)
		}
		for _, b := range []Bootstrap{{APIClientID: "lab"}, {APIClientID: "a:b", APIClientSecret: "a secret of the lab"}} {
			if _, err := r.Bootstrap(t.Context(), b); err == nil {
				t.Errorf("%s is allowed", b.APIClientID)
			}
		}
	})
}

func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		session := signIn(t, r, "admin")
		if session.Operator.Username != "admin" || session.ExpiresAt != clock.Now().Add(12*time.Hour) || operator(t, r, "admin").LastLoginAt != clock.Now() {
			t.Errorf("%+v", session)
		}
		disabled := save(t, r, "gone", "care")
		if _, err := r.SaveOperator(storetest.As(t), SaveOperatorInput{ID: disabled.ID, Username: "gone", RoleIDs: disabled.RoleIDs.V}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.SaveOperator(storetest.As(t), SaveOperatorInput{Username: "new", Enabled: true}); err != nil {
			t.Fatal(err)
		}
		var messages []string
		for _, c := range []struct {
			name   string
			secret models.Secret
		}{{"admin", "wrong"}, {"nobody", "wrong"}, {"admin ", password}, {"gone", password}, {"new", ""}, {"admin", models.Secret(strings.Repeat("x", 100_000))}} {
			_, err := r.SignIn(t.Context(), c.name, c.secret)
			field(t, err, models.Invalid, "")
			messages = append(messages, err.Error())
		}
		if len(slices.Compact(messages)) != 1 {
			t.Errorf("the answers differ: %q", messages)
		}
	})
}

func TestLock(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		wrong := func(n int) {
			for range n {
				_, err := r.SignIn(t.Context(), "admin", "wrong")
				field(t, err, models.Invalid, "")
			}
		}
		wrong(4)
		signIn(t, r, "admin") // begins anew
		wrong(5)
		until := clock.Now().Add(15 * time.Minute)
		clock.Advance(14 * time.Minute)
		_, err := r.SignIn(t.Context(), "admin", password)
		field(t, err, models.Invalid, "")
		wrong(1)
		if o := operator(t, r, "admin"); o.LockedUntil != until {
			t.Errorf("locked until %v, not %v", o.LockedUntil, until)
		}
		clock.Advance(time.Minute)
		signIn(t, r, "admin")

		// Tries at the same time count one by one.
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() { _, _ = r.SignIn(t.Context(), "admin", "wrong") })
		}
		group.Wait()
		_, err = r.SignIn(t.Context(), "admin", password)
		field(t, err, models.Invalid, "")
	})
}

func TestPool(t *testing.T) {
	c := cheap
	c.Checks, c.Waiting = 1, 1
	p := newPasswords(c)
	leave, err := p.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() { _, err := p.hash(ctx, password); waits <- err }()
	storetest.Eventually(t, "one waits", func() bool { return len(p.queue) == 2 })
	_, err = p.hash(t.Context(), password)
	field(t, err, models.Unavailable, "")
	stop()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave()
	hash, err := p.hash(t.Context(), "pa\u0308ssword")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatal(hash, err)
	}
	if ok, err := p.check(t.Context(), hash, "p\u00e4ssword"); !ok || err != nil {
		t.Errorf("the same password in another normal form: %v %v", ok, err)
	}
	if _, err := p.check(t.Context(), "$bcrypt$", password); err == nil {
		t.Error("a foreign hash is read")
	}
	if len(p.queue) != 0 || len(p.running) != 0 {
		t.Error("a place is not given back")
	}
}

func TestRefresh(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		first := signIn(t, r, "admin")
		clock.Advance(time.Hour)
		second, err := r.Refresh(t.Context(), first.RefreshToken)
		if err != nil || second.RefreshToken.Reveal() == first.RefreshToken.Reveal() || second.ExpiresAt != first.ExpiresAt || second.Operator.Username != "admin" {
			t.Fatal(second, err)
		}
		other := signIn(t, r, "admin")
		_, err = r.Refresh(t.Context(), first.RefreshToken)
		field(t, err, models.Unauthenticated, "")
		_, err = r.Refresh(t.Context(), second.RefreshToken) // the reuse ended the whole sign-in
		field(t, err, models.Unauthenticated, "")
		_, err = r.Refresh(t.Context(), "unknown")
		field(t, err, models.Unauthenticated, "")

		if n, err := r.SignOut(t.Context(), other.RefreshToken); n != 1 || err != nil {
			t.Errorf("%d signed out, %v", n, err)
		}
		if n, err := r.SignOut(t.Context(), other.RefreshToken); n != 0 || err != nil {
			t.Errorf("%d signed out again, %v", n, err)
		}
		_, err = r.Refresh(t.Context(), other.RefreshToken)
		field(t, err, models.Unauthenticated, "")

		last := signIn(t, r, "admin")
		clock.Advance(12 * time.Hour)
		_, err = r.Refresh(t.Context(), last.RefreshToken)
		field(t, err, models.Unauthenticated, "")
	})
}

func TestRefreshRace(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		session := signIn(t, r, "admin")
		results := make([]Session, 4)
		var group sync.WaitGroup
		for i := range results {
			group.Go(func() { results[i], _ = r.Refresh(t.Context(), session.RefreshToken) })
		}
		group.Wait()
		results = slices.DeleteFunc(results, func(s Session) bool { return s.Operator == nil })
		if len(results) != 1 {
			t.Fatalf("one token was good %d times", len(results))
		}
		_, err := r.Refresh(t.Context(), results[0].RefreshToken)
		field(t, err, models.Unauthenticated, "")
	})
}

func TestActor(t *testing.T) {
	each(t, func(t *testing.T, r *Room, clock *storetest.Clock) {
		o := save(t, r, "ann", "care")
		session := signIn(t, r, "ann")
		read := func() models.Actor {
			t.Helper()
			actor, err := r.Actor(t.Context(), models.OperatorActor, o.ID)
			if err != nil {
				t.Fatal(err)
			}
			return actor
		}
		if read(); !read().Can(models.AccountCare) || read().Can(models.AccountWrite) {
			t.Errorf("%+v", read())
		}
		regional, err := r.SaveRole(storetest.As(t), SaveRoleInput{Name: "east", Permissions: []models.Permission{models.AccountWrite}, Regions: []string{"east"}})
		if err != nil {
			t.Fatal(err)
		}
		change := SaveOperatorInput{ID: o.ID, Username: "ann", Enabled: true, RoleIDs: []models.ID{regional.ID}}
		if _, err := r.SaveOperator(storetest.As(t), change); err != nil {
			t.Fatal(err)
		}
		// A change through this replica is seen at once, one through another within five seconds.
		if actor := read(); actor.Can(models.AccountCare) || !actor.Scope(models.AccountWrite).Covers("east") || actor.Scope(models.AccountWrite).Covers("west") {
			t.Errorf("%+v", actor)
		}
		change.Enabled = false
		if _, err := New(r.store, clock, cheap).SaveOperator(storetest.As(t), change); err != nil {
			t.Fatal(err)
		}
		read()
		clock.Advance(5 * time.Second)
		_, err = r.Actor(t.Context(), models.OperatorActor, o.ID)
		field(t, err, models.Unauthenticated, "")
		_, err = r.Refresh(t.Context(), session.RefreshToken)
		field(t, err, models.Unauthenticated, "")
		for _, kind := range []models.ActorKind{models.OperatorActor, models.APIClientActor, models.DeviceActor} {
			_, err = r.Actor(t.Context(), kind, models.NewID())
			field(t, err, models.Unauthenticated, "")
		}
	})
}
