// Package operators keeps who may use the north door: people who sign in, API clients, and the roles that give them permissions in regions.
//
// It owns the tables roles, operators, api_clients and operator_sessions, the passwords of people and the secrets of programs. It refuses to
// know tokens of the door (graph makes and checks JWTs) and what a permission allows: every other room asks the Actor that it returns.
package operators

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Config is what the room is built with; zero values take the defaults.
type Config struct {
	// SessionTime is how long a sign-in lasts, however often it is refreshed; 12 hours.
	SessionTime time.Duration
	// Tries wrong passwords in a row lock an operator for LockTime; 5 and 15 minutes.
	Tries    int
	LockTime time.Duration
	// SecretOverlap is how long an API client's former secret stays good after a rotation; 24 hours.
	SecretOverlap time.Duration
	// Memory in KiB, Passes and Threads are argon2id's cost of new passwords; 19 MiB, 2 and 1.
	Memory  uint32
	Passes  uint32
	Threads uint8
	// Checks is how many passwords are checked at once, Waiting how many more may wait; twice the processors and 64.
	Checks, Waiting int
}

// Room is all roles, operators and API clients.
type Room struct {
	store     *store.Store
	clock     models.Clock
	config    Config
	passwords *passwords

	mu     sync.Mutex
	actors map[actorKey]cached
	// changes counts what was saved, so that a read that began before a change is not remembered after it.
	changes int64
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	c.SessionTime = orElse(c.SessionTime, 12*time.Hour)
	c.Tries = orElse(c.Tries, 5)
	c.LockTime = orElse(c.LockTime, 15*time.Minute)
	c.SecretOverlap = orElse(c.SecretOverlap, 24*time.Hour)
	return &Room{store: s, clock: clock, config: c, passwords: newPasswords(c), actors: map[actorKey]cached{}}
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

const (
	remembered = 5 * time.Second
	maxActors  = 10_000
)

type actorKey struct {
	kind models.ActorKind
	id   models.ID
}

type cached struct {
	actor models.Actor
	until models.Time
}

// Actor returns an operator or API client with its grants as they are now, give or take five seconds; UNAUTHENTICATED if it is disabled or gone.
func (r *Room) Actor(ctx context.Context, kind models.ActorKind, id models.ID) (models.Actor, error) {
	key, now := actorKey{kind, id}, r.clock.Now()
	r.mu.Lock()
	known, ok := r.actors[key]
	changes := r.changes
	r.mu.Unlock()
	if ok && now < known.until {
		return known.actor, nil
	}
	var actor models.Actor
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		actor, err = readActor(tx, kind, id)
		return err
	})
	if err != nil {
		return models.Actor{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes == changes {
		if len(r.actors) >= maxActors {
			clear(r.actors)
		}
		r.actors[key] = cached{actor: actor, until: now.Add(remembered)}
	}
	return actor, nil
}

// forget drops what is remembered of actors once tx has committed.
func (r *Room) forget(tx *store.Tx) {
	tx.AfterCommit(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes++
		clear(r.actors)
	})
}

func readActor(tx *store.Tx, kind models.ActorKind, id models.ID) (actor models.Actor, err error) {
	var roles []models.ID
	enabled := false
	switch kind {
	case models.OperatorActor:
		var o models.Operator
		err = tx.DB.Where("id = ?", id).Take(&o).Error
		actor.Name, roles, enabled = o.Username, o.RoleIDs.V, o.Enabled
	case models.APIClientActor:
		var c models.APIClient
		err = tx.DB.Where("id = ?", id).Take(&c).Error
		actor.Name, roles, enabled = c.ClientID, c.RoleIDs.V, c.Enabled
	default:
		return actor, models.E(models.Unauthenticated, "only operators and API clients have grants")
	}
	if store.IsMissing(err) || err == nil && !enabled {
		return models.Actor{}, models.E(models.Unauthenticated, "whom this token was made for may not use the API any more")
	}
	if err != nil {
		return models.Actor{}, fmt.Errorf("read the actor %s: %w", id, err)
	}
	actor.Kind, actor.ID = kind, id
	found, err := rolesByID(tx, roles)
	if err != nil {
		return models.Actor{}, err
	}
	for _, id := range roles {
		if role := found[id]; role != nil {
			actor.Grants = append(actor.Grants, models.Grant{Permissions: role.Permissions.V, Regions: role.Regions.V})
		}
	}
	return actor, nil
}

// Roles returns all roles by name. It needs OPERATOR_ADMIN.
func (r *Room) Roles(ctx context.Context) ([]models.Role, error) {
	return all[models.Role](ctx, r, "name")
}

// Operators returns all operators by user name. It needs OPERATOR_ADMIN.
func (r *Room) Operators(ctx context.Context) ([]models.Operator, error) {
	return all[models.Operator](ctx, r, "username")
}

// APIClients returns all API clients by client id. It needs OPERATOR_ADMIN.
func (r *Room) APIClients(ctx context.Context) ([]models.APIClient, error) {
	return all[models.APIClient](ctx, r, "client_id")
}

func all[T any](ctx context.Context, r *Room, order string) (rows []T, err error) {
	if err := models.Need(ctx, models.OperatorAdmin); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error { return tx.DB.Order(order).Find(&rows).Error })
	if err != nil {
		return nil, fmt.Errorf("list by %s: %w", order, err)
	}
	return rows, nil
}

// RolesByID returns those of the roles that exist.
func (r *Room) RolesByID(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Role, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = rolesByID(tx, ids)
		return err
	})
	return found, err
}

// OperatorsByID returns those of the operators that exist. Who may see more than their names is the caller's to check (resolutions 61).
func (r *Room) OperatorsByID(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Operator, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(tx.DB, ids, func(o *models.Operator) models.ID { return o.ID })
		return err
	})
	return found, err
}

// APIClientsByID returns those of the API clients that exist. Who may see more than their names is the caller's to check (resolutions 61).
func (r *Room) APIClientsByID(ctx context.Context, ids []models.ID) (found map[models.ID]*models.APIClient, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(tx.DB, ids, func(c *models.APIClient) models.ID { return c.ID })
		return err
	})
	return found, err
}

func rolesByID(tx *store.Tx, ids []models.ID) (map[models.ID]*models.Role, error) {
	return store.ByID(tx.DB, ids, func(r *models.Role) models.ID { return r.ID })
}

// unique drops repeated values and keeps the order; never nil.
func unique[T comparable](list []T) []T {
	kept := make([]T, 0, len(list))
	for _, v := range list {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}
