package accounts

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

// What a care desk does for the owner of an account. It changes nothing of the account's own row, so its version stays.

// ResetPassword deletes every password of the account and sends a code to its bound mobile, with which any of its devices may log in once; with
// Reauthenticate the devices that logged in with a password must do so again (resolutions 37). It needs ACCOUNT_CARE in the account's region,
// else NOT_FOUND. STATE_CONFLICT unless the account is ACTIVE or SUSPENDED, INVALID without a bound mobile, LIMIT_BY_POLICY beyond the resets of
// a day, DEPENDENCY_FAILED while no SMS can be sent.
func (r *Room) ResetPassword(ctx context.Context, in ResetInput) (Result, error) {
	if err := models.Need(ctx, models.AccountCare); err != nil {
		return Result{}, err
	}
	var c checks
	c.workOrder(in.WorkOrderExternalID)
	if err := c.result(); err != nil {
		return Result{}, err
	}
	var queued models.ID
	return r.change(ctx, mutation{
		name: resetAccountPassword, needs: models.AccountCare, key: in.IdempotencyKey, ref: in.Account, sms: &queued,
		fingerprint: func(*store.Tx) any { return in.fingerprint() },
		ask: func(ctx context.Context, a *models.Account) (outside, error) {
			p, err := r.passwords.PrepareReset(ctx, a.Msisdn, a.ID)
			return outside{password: &p}, err
		},
		apply: func(tx *store.Tx, a *models.Account, asked *outside) ([]change, error) {
			if err := r.mayReset(tx, a); err != nil {
				return nil, err
			}
			if asked.password == nil {
				return nil, errAsk
			}
			var err error
			queued, err = r.reset(tx, a, *asked.password, in.Reauthenticate)
			return nil, err
		},
	})
}

// mayReset takes one of the day's resets, if there is somebody to send a code to and a way to send it.
func (r *Room) mayReset(tx *store.Tx, a *models.Account) error {
	if err := r.mayText(a); err != nil {
		return err
	}
	return r.passwords.AdmitReset(tx, a.ID)
}

// mayText tells whether there is somebody to send an SMS to and a way to send it.
func (r *Room) mayText(a *models.Account) error {
	if a.BoundMobile == "" {
		return models.E(models.Invalid, "the account has no bound mobile that an SMS could be sent to", "input", "account")
	}
	if r.config.SMSAvailable != nil && !r.config.SMSAvailable() {
		return models.E(models.DependencyFailed, "no SMS can be sent at the moment; nothing was changed", "input", "account")
	}
	return nil
}

func (r *Room) reset(tx *store.Tx, a *models.Account, p passwords.Prepared, reauthenticate bool) (queued models.ID, err error) {
	if err := passwords.IssueReset(tx, a, p); err != nil {
		return queued, err
	}
	queued, err = sms.Queue(tx, sms.Message{
		AccountID: a.ID, Region: a.Region, To: a.BoundMobile, Body: r.passwords.Text(p), Purpose: models.SmsPasswordReset,
		ExpiresAt: tx.Now.Add(p.Lifetime()),
	})
	if err != nil {
		return queued, err
	}
	changes := []change{{field: "password", hidden: true}}
	if reauthenticate {
		n, err := Reauthenticate(tx, a, models.ID{}, true)
		if err != nil {
			return queued, err
		}
		changes = append(changes, change{field: "reauthRequired", new: n})
	}
	return queued, audit(tx, resetAccountPassword, a, changes)
}

// care runs one care action. do returns nothing if there was nothing to do; then there is no audit row either.
func (r *Room) care(ctx context.Context, name string, in ActionInput, do func(*store.Tx, *models.Account) ([]change, error)) (Result, error) {
	if err := models.Need(ctx, models.AccountCare); err != nil {
		return Result{}, err
	}
	if err := in.check(name); err != nil {
		return Result{}, err
	}
	return r.change(ctx, mutation{
		name: name, needs: models.AccountCare, key: in.IdempotencyKey, ref: in.Account, version: in.ExpectedVersion,
		fingerprint: func(*store.Tx) any { return in.fingerprint() },
		apply: func(tx *store.Tx, a *models.Account, _ *outside) ([]change, error) {
			changes, err := do(tx, a)
			if err != nil || len(changes) == 0 {
				return nil, err
			}
			if in.Note != "" {
				changes = append(changes, change{field: "note", new: in.Note})
			}
			return nil, audit(tx, name, a, changes)
		},
	})
}

// Unlock ends the locks of the account and of its devices; with any, the event PASSWORD_CHANGED says password.unlocked. It needs ACCOUNT_CARE in
// the account's region, else NOT_FOUND; a closed account is STATE_CONFLICT.
func (r *Room) Unlock(ctx context.Context, in ActionInput) (Result, error) {
	return r.care(ctx, unlockAccount, in, func(tx *store.Tx, a *models.Account) ([]change, error) {
		list, err := devicesOf(tx, a)
		if err != nil {
			return nil, err
		}
		keys := make([]models.DeviceKey, len(list))
		for i, d := range list {
			keys[i] = d.Key
		}
		unlocked, err := passwords.Unlock(tx, a.ID, keys)
		if err != nil || !unlocked {
			return nil, err
		}
		state, err := passwords.StateOf(tx, a.ID)
		if err != nil {
			return nil, err
		}
		err = events.Append(tx, models.Event{
			Type: models.PasswordChanged, Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, SubjectVersion: a.Version,
			Payload:   models.DocOf(map[string]any{"code": "password.unlocked", "account": a.ID, "state": state}),
			AccountID: a.ID, AccountExternalID: a.ExternalID, Region: a.Region,
		})
		return []change{{field: "locked", old: true, new: false}}, err
	})
}

// EndLogins ends the login of every device of the account (reason Kicked), which must then authenticate again. It needs ACCOUNT_CARE in the
// account's region, else NOT_FOUND; STATE_CONFLICT unless the account is ACTIVE or SUSPENDED.
func (r *Room) EndLogins(ctx context.Context, in ActionInput) (Result, error) {
	return r.care(ctx, endLogins, in, func(tx *store.Tx, a *models.Account) ([]change, error) {
		list, err := devicesOf(tx, a)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		for _, d := range list {
			if err := devices.EndLogin(tx, d, kicked); err != nil {
				return nil, err
			}
		}
		n, err := Reauthenticate(tx, a, models.ID{}, false)
		return []change{{field: "reauthRequired", new: n}}, err
	})
}

// kicked is SC.LogoffReason of a login that the platform ended (i4.md B.6).
const kicked = "Kicked"

// served returns the devices of these bindings, ordered by id, and holds their rows until the commit.
func served(tx *store.Tx, live []models.Binding) (list []*models.Device, err error) {
	if len(live) == 0 {
		return nil, nil
	}
	ids := make([]models.ID, len(live))
	for i, b := range live {
		ids[i] = b.DeviceID
	}
	if err := tx.Locked().Where("id IN ?", ids).Order("id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read the devices of account %s: %w", live[0].AccountID, err)
	}
	return list, nil
}

// devicesOf returns the devices of the account's live bindings as served does.
func devicesOf(tx *store.Tx, a *models.Account) ([]*models.Device, error) {
	live, err := bindings.LiveOfAccount(tx, a.ID)
	if err != nil {
		return nil, err
	}
	return served(tx, live)
}
