package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Modify changes an account and, in the same transaction, what its devices are to be set to. A change of nothing makes neither version nor
// event. It needs ACCOUNT_WRITE in the account's region, else NOT_FOUND, and in the region that it moves to, else POLICY_DENIED. An expected
// version that is not the current one is VERSION_CONFLICT, an account that cannot be changed in its state STATE_CONFLICT.
func (r *Room) Modify(ctx context.Context, in ModifyInput) (Result, error) {
	if err := models.Need(ctx, models.AccountWrite); err != nil {
		return Result{}, err
	}
	var c checks
	c.workOrder(in.WorkOrderExternalID)
	c.secrets(in.SipPassword.Value, in.IMSI.Value)
	services := c.services(in.Services.Value)
	if err := c.result(); err != nil {
		return Result{}, err
	}
	if err := r.configuration.CheckServices(services); err != nil {
		return Result{}, err
	}
	return r.change(ctx, mutation{
		name: modifyAccount, needs: models.AccountWrite, key: in.IdempotencyKey, ref: in.Account, version: in.ExpectedVersion,
		fingerprint: func(tx *store.Tx) any { return in.fingerprint(tx) },
		ask:         r.askDirectory,
		apply: func(tx *store.Tx, a *models.Account, asked *outside) ([]change, error) {
			before := *a
			in.lay(a, services)
			r.derive(a)
			var c checks
			c.whole(a)
			if err := c.result(); err != nil {
				return nil, err
			}
			if a.Region != before.Region {
				if err := mayHold(ctx, a.Region); err != nil {
					return nil, err
				}
			}
			hidden, err := r.laySecrets(tx, a, in, &asked.directory)
			return append(diff(&before, a), hidden...), err
		},
		emit: func(tx *store.Tx, a *models.Account, changes []change) error {
			return emit(tx, a, models.AccountChanged, "account.changed", in.WorkOrderExternalID, details(a, changes))
		},
	})
}

func details(a *models.Account, changes []change) map[string]any {
	names := fields(changes)
	d := map[string]any{"fields": names}
	if slices.Contains(names, "sipSecretSource") {
		d["sipSecretSource"] = a.SipSecretSource
	}
	for _, c := range changes {
		if c.field == "state" {
			d["previousState"] = c.old
		}
	}
	return d
}

// lay lays the fields that are set over the account.
func (in ModifyInput) lay(a *models.Account, services []models.ServiceFeature) {
	lay(&a.DisplayName, in.DisplayName)
	lay(&a.Region, in.Region)
	lay(&a.IMPI, in.IMPI)
	lay(&a.IMPU.V, in.IMPU)
	lay(&a.BoundMobile, in.BoundMobile)
	lay(&a.BroadbandAccount, in.BroadbandAccount)
	lay(&a.ScreenSerial, in.ScreenSerial)
	lay(&a.ClientTypes.V, in.ClientTypes)
	lay(&a.MaxDevices, in.MaxDevices)
	if in.Services.Set {
		a.Services.V = services
	}
}

func lay[T any](field *T, with Optional[T]) {
	switch {
	case with.Null:
		var none T
		*field = none
	case with.Set:
		*field = with.Value
	}
}

// laySecrets lays SIP secret and IMSI over the account and lists which of them changed.
func (r *Room) laySecrets(tx *store.Tx, a *models.Account, in ModifyInput, asked *answer) (changes []change, err error) {
	if in.SipPassword.Set {
		old, err := Secret(tx, a)
		if err != nil {
			return nil, err
		}
		secret, source := in.SipPassword.Value, models.SecretFromBSS
		if in.SipPassword.Null || secret.IsZero() {
			if secret, source, err = r.secretFor(a.State, asked); err != nil {
				return nil, err
			}
		}
		if secret != old {
			if err := setSecret(tx, a, secret, source); err != nil {
				return nil, err
			}
			changes = append(changes, change{field: "sipPassword", hidden: true})
		}
	}
	if in.IMSI.Set {
		old, err := tx.Unseal("accounts", "imsi", a.ID, a.IMSI)
		if err != nil {
			return nil, err
		}
		if in.IMSI.Value != string(old) {
			if err := setIMSI(tx, a, in.IMSI.Value); err != nil {
				return nil, err
			}
			changes = append(changes, change{field: "imsi", hidden: true})
		}
	}
	return changes, nil
}

// mutation is one change of an existing account.
type mutation struct {
	name, key   string
	needs       models.Permission
	ref         Ref
	version     int64
	fingerprint func(tx *store.Tx) any
	// apply changes the account in memory and lists the fields that changed; errAsk if it needs what ask gets.
	apply func(tx *store.Tx, a *models.Account, asked *outside) ([]change, error)
	ask   func(ctx context.Context, a *models.Account) (outside, error)
	// emit appends the event of a change, and does what follows from it. Unused if apply never lists a field.
	emit func(tx *store.Tx, a *models.Account, changes []change) error
	// sms is where apply leaves the id of a message that it queued; nil if it never does.
	sms *models.ID
}

// change runs a mutation. What takes too long for a transaction is asked between two attempts.
func (r *Room) change(ctx context.Context, m mutation) (Result, error) {
	doing := "change an account by " + m.name
	var asked outside
	for {
		result, account, err := r.attempt(ctx, m, asked)
		if !errors.Is(err, errAsk) {
			return result, wrap(doing, err)
		}
		if asked, err = m.ask(ctx, account); err != nil {
			return Result{}, wrap(doing, err)
		}
	}
}

// attempt is one transaction of a mutation; account is what there is something to be asked about.
func (r *Room) attempt(ctx context.Context, m mutation, asked outside) (result Result, account *models.Account, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		prior, err := events.Once[record](tx, m.name, m.key, m.fingerprint(tx))
		if err != nil {
			return err
		}
		if prior != nil {
			result, err = replay(tx, m.needs, prior)
			return err
		}
		a, err := lockForChange(tx, m)
		if err != nil {
			return err
		}
		account = a
		before := *a
		changes, err := m.apply(tx, a, &asked)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			if err := r.save(tx, &before, a, m, changes); err != nil {
				return err
			}
		}
		result = Result{Account: a}
		if m.sms != nil {
			result.Sms = *m.sms
		}
		return events.Done(tx, m.name, m.key, record{Account: a.ID, Sms: result.Sms})
	})
	if err != nil {
		return Result{}, account, err
	}
	return result, account, nil
}

// lockForChange finds the account of a mutation and judges whether it may be changed now.
func lockForChange(tx *store.Tx, m mutation) (*models.Account, error) {
	a, err := find(tx.Locked(), m.ref)
	if err != nil {
		return nil, err
	}
	if a == nil || !models.ActorFrom(tx.Context()).Scope(m.needs).Covers(a.Region) {
		return nil, models.E(models.NotFound, "there is no such account", "input", "account")
	}
	if m.version != 0 && m.version != a.Version {
		e := models.E(models.VersionConflict, "the account was changed since that version", "input", "expectedVersion")
		e.CurrentVersion = a.Version
		return nil, e
	}
	if _, allowed := models.AccountActions[a.State][m.name]; !allowed {
		e := models.E(models.StateConflict, fmt.Sprintf("%s is not possible while the account is %s", m.name, a.State), "input", "account")
		e.CurrentState, e.AllowedActions = string(a.State), a.State.AllowedActions()
		return nil, e
	}
	return a, nil
}

// save stores a changed account with its audit row and event, and brings the change to its devices.
func (r *Room) save(tx *store.Tx, before, a *models.Account, m mutation, changes []change) error {
	a.Version, a.UpdatedAt = before.Version+1, tx.Now
	rows, err := gorm.G[models.Account](tx.DB).Where("id = ? AND version = ?", a.ID, before.Version).Select("*").Updates(tx.Context(), *a)
	if err != nil {
		return fmt.Errorf("store account %s: %w", a.ID, err)
	}
	if rows != 1 {
		return fmt.Errorf("store account %s: it was changed under its lock", a.ID)
	}
	if !slices.Equal(before.IMPU.V, a.IMPU.V) {
		if _, err := gorm.G[models.AccountIMPU](tx.DB).Where("account_id = ?", a.ID).Delete(tx.Context()); err != nil {
			return fmt.Errorf("free the identities of account %s: %w", a.ID, err)
		}
		if err := insertIMPUs(tx, a); err != nil {
			return err
		}
	}
	if err := audit(tx, m.name, a, changes); err != nil {
		return err
	}
	if err := m.emit(tx, a, changes); err != nil {
		return err
	}
	if err := r.swap(tx, before, a); err != nil {
		return err
	}
	return r.reconfigure(tx, a)
}

// reconfigure tells every device of the account what became of it.
func (r *Room) reconfigure(tx *store.Tx, a *models.Account) error {
	list, err := devicesOf(tx, a)
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := devices.SetAccount(tx, d.ID, a); err != nil {
			return err
		}
		if _, _, err := r.configuration.Rebuild(tx, d, a); err != nil {
			return err
		}
	}
	return nil
}
