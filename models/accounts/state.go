package accounts

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// check is what all actions of an account have in common.
func (in ActionInput) check(name string) error {
	var c checks
	c.workOrder(in.WorkOrderExternalID)
	c.text(in.Note, maxNote, "note")
	known := slices.Contains(models.SuspendReasons, in.Reason)
	switch {
	case name == suspendAccount && in.Reason == "":
		c.fail(models.Required, "the reason of the suspension is needed", "reason")
	case (name == suspendAccount || name == resumeAccount) && in.Reason != "" && !known:
		c.fail(models.Invalid, fmt.Sprintf("there is no such reason; there are %v", models.SuspendReasons), "reason")
	case name != suspendAccount && name != resumeAccount && in.Reason != "":
		c.fail(models.Invalid, name+" takes no reason", "reason")
	}
	return c.result()
}

// act runs one action that changes the account's state.
func (r *Room) act(ctx context.Context, name string, in ActionInput, apply func(*store.Tx, *models.Account, *outside) ([]change, error),
	emit func(*store.Tx, *models.Account, []change) error) (Result, error) {
	if err := models.Need(ctx, models.AccountWrite); err != nil {
		return Result{}, err
	}
	if err := in.check(name); err != nil {
		return Result{}, err
	}
	return r.change(ctx, mutation{
		name: name, needs: models.AccountWrite, key: in.IdempotencyKey, ref: in.Account, version: in.ExpectedVersion,
		fingerprint: func(*store.Tx) any { return in.fingerprint() }, ask: r.askDirectory, apply: apply, emit: emit,
	})
}

// Activate makes a PENDING account ACTIVE; in any other state it is STATE_CONFLICT. Permissions and versions are those of Modify.
func (r *Room) Activate(ctx context.Context, in ActionInput) (Result, error) {
	apply := func(tx *store.Tx, a *models.Account, asked *outside) ([]change, error) {
		before := *a
		a.State, a.StateReason, a.StateChangedAt = models.AccountActions[a.State][activateAccount], in.Note, tx.Now
		hidden, err := r.fillSecret(tx, a, asked)
		return append(diff(&before, a), hidden...), err
	}
	emit := func(tx *store.Tx, a *models.Account, changes []change) error {
		return emit(tx, a, models.AccountStateChanged, "account.activated", in.WorkOrderExternalID, details(a, changes))
	}
	return r.act(ctx, activateAccount, in, apply, emit)
}

// fillSecret gives an account that becomes active the SIP secret that it has none of, as the policy says.
func (r *Room) fillSecret(tx *store.Tx, a *models.Account, asked *outside) ([]change, error) {
	if a.SipPassword != nil {
		return nil, nil
	}
	secret, source, err := r.secretFor(a.State, &asked.directory)
	if err != nil {
		return nil, err
	}
	if err := setSecret(tx, a, secret, source); err != nil || a.SipPassword == nil {
		return nil, err
	}
	return []change{{field: "sipPassword", hidden: true}}, nil
}

// Suspend suspends an ACTIVE account, or adds a reason to a suspended one; a reason that is in force already changes nothing. Its bindings are
// SUSPENDED at once, and its devices are told so at their next session (Status 33). Permissions and versions are those of Modify.
func (r *Room) Suspend(ctx context.Context, in ActionInput) (Result, error) {
	var now []models.SuspendReason
	apply := func(tx *store.Tx, a *models.Account, _ *outside) ([]change, error) {
		force, err := suspensionsOf(tx, a.ID)
		if err != nil {
			return nil, err
		}
		was := reasonsOf(force)
		if slices.Contains(was, in.Reason) {
			return nil, nil
		}
		by := models.ActorFrom(tx.Context())
		err = gorm.G[models.Suspension](tx.DB).Create(tx.Context(), &models.Suspension{
			AccountID: a.ID, Reason: in.Reason, Since: tx.Now, ByKind: by.Kind, ByID: by.ID, ByName: by.Name, Note: in.Note,
		})
		if err != nil {
			return nil, fmt.Errorf("suspend account %s: %w", a.ID, err)
		}
		now = inOrder(append(slices.Clone(was), in.Reason))
		before := *a
		stand(tx, a, now, string(in.Reason))
		return append(diff(&before, a), change{field: "suspensions", old: was, new: now}), nil
	}
	emit := func(tx *store.Tx, a *models.Account, changes []change) error {
		more := details(a, changes)
		more["reason"], more["suspensions"] = in.Reason, now
		if err := emit(tx, a, models.AccountStateChanged, "account.suspended", in.WorkOrderExternalID, more); err != nil {
			return err
		}
		return suspendBindings(tx, a, bindings.Suspended)
	}
	return r.act(ctx, suspendAccount, in, apply, emit)
}

// stand makes the account what the reasons in force say.
func stand(tx *store.Tx, a *models.Account, force []models.SuspendReason, why string) {
	to := models.AccountSuspended
	if len(force) == 0 {
		to = models.AccountActive
	}
	if a.State != to {
		a.State, a.StateChangedAt = to, tx.Now
	}
	a.StateReason = why
}

func suspendBindings(tx *store.Tx, a *models.Account, reason bindings.Reason) error {
	live, err := bindings.LiveOfAccount(tx, a.ID)
	if err != nil {
		return err
	}
	for i := range live {
		if err := bindings.Suspend(tx, &live[i], reason); err != nil {
			return err
		}
	}
	return nil
}

// Resume lifts the reason that is given, or every one that the actor may lift: FRAUD and REGULATORY are lifted by whoever put them or a holder
// of SECURITY_ADMIN in the account's region only, else POLICY_DENIED. A reason that is not in force is STATE_CONFLICT. The account is ACTIVE
// again when the last reason is lifted (resolutions 59); its bindings come back at once and its devices get everything at their next session,
// those that owe a proof with their next REGISTER. Permissions and versions are those of Modify.
func (r *Room) Resume(ctx context.Context, in ActionInput) (Result, error) {
	var lifted, left []models.SuspendReason
	apply := func(tx *store.Tx, a *models.Account, asked *outside) ([]change, error) {
		force, err := suspensionsOf(tx, a.ID)
		if err != nil {
			return nil, err
		}
		if lifted, err = liftable(tx, a, force, in.Reason); err != nil {
			return nil, err
		}
		was := reasonsOf(force)
		left = slices.DeleteFunc(slices.Clone(was), func(reason models.SuspendReason) bool { return slices.Contains(lifted, reason) })
		_, err = gorm.G[models.Suspension](tx.DB).Where("account_id = ? AND reason IN ?", a.ID, lifted).Delete(tx.Context())
		if err != nil {
			return nil, fmt.Errorf("lift the suspensions of account %s: %w", a.ID, err)
		}
		why := in.Note
		if len(left) > 0 {
			why = string(left[len(left)-1])
		}
		before := *a
		stand(tx, a, left, why)
		var hidden []change
		if a.State == models.AccountActive {
			hidden, err = r.fillSecret(tx, a, asked)
		}
		return append(append(diff(&before, a), change{field: "suspensions", old: was, new: left}), hidden...), err
	}
	emit := func(tx *store.Tx, a *models.Account, changes []change) error {
		more := details(a, changes)
		more["lifted"], more["suspensions"] = lifted, left
		if len(lifted) == 1 {
			more["reason"] = lifted[0]
		}
		if err := emit(tx, a, models.AccountStateChanged, "account.resumed", in.WorkOrderExternalID, more); err != nil || a.State != models.AccountActive {
			return err
		}
		return resumeBindings(tx, a)
	}
	return r.act(ctx, resumeAccount, in, apply, emit)
}

// resumeBindings gives the bindings of the account back; that of a device which owes a proof comes back with its next REGISTER.
func resumeBindings(tx *store.Tx, a *models.Account) error {
	live, err := bindings.LiveOfAccount(tx, a.ID)
	if err != nil {
		return err
	}
	list, err := served(tx, live)
	if err != nil {
		return err
	}
	for i := range live {
		owes := slices.ContainsFunc(list, func(d *models.Device) bool { return d.ID == live[i].DeviceID && d.ReauthRequired })
		if owes {
			continue
		}
		if err := bindings.Resume(tx, &live[i]); err != nil {
			return err
		}
	}
	return nil
}

// liftable says which of the reasons in force the actor lifts: the one asked for, or without one all that it may.
func liftable(tx *store.Tx, a *models.Account, force []models.Suspension, asked models.SuspendReason) (reasons []models.SuspendReason, err error) {
	actor := models.ActorFrom(tx.Context())
	security := actor.Scope(models.SecurityAdmin).Covers(a.Region)
	denied := false
	for _, s := range force {
		guarded := s.Reason == models.SuspendFraud || s.Reason == models.SuspendRegulatory
		own := s.ByKind == actor.Kind && s.ByID == actor.ID
		switch {
		case asked != "" && s.Reason != asked:
		case guarded && !own && !security:
			denied = true
		default:
			reasons = append(reasons, s.Reason)
		}
	}
	switch {
	case len(reasons) == 0 && denied:
		return nil, models.E(models.PolicyDenied, "FRAUD and REGULATORY are lifted by whoever put them or by a holder of SECURITY_ADMIN", "input", "reason")
	case len(reasons) == 0 && asked != "":
		e := models.E(models.StateConflict, "the account is not suspended for that reason", "input", "reason")
		e.CurrentState, e.AllowedActions = string(a.State), a.State.AllowedActions()
		return nil, e
	}
	return inOrder(reasons), nil
}

// Terminate closes an account for good: its number and public identities are free for another one, its suspensions end and its one-time
// passwords are deleted. Its own password stays: a client that proves it is told that the account is closed (Status 34), and nothing else. Its
// devices are told so at their next session and then belong to nobody. Permissions and versions are those of Modify.
func (r *Room) Terminate(ctx context.Context, in ActionInput) (Result, error) {
	var was []models.SuspendReason
	apply := func(tx *store.Tx, a *models.Account, _ *outside) ([]change, error) {
		force, err := suspensionsOf(tx, a.ID)
		if err != nil {
			return nil, err
		}
		was = reasonsOf(force)
		if _, err := gorm.G[models.Suspension](tx.DB).Where("account_id = ?", a.ID).Delete(tx.Context()); err != nil {
			return nil, fmt.Errorf("end the suspensions of account %s: %w", a.ID, err)
		}
		if _, err := gorm.G[models.AccountIMPU](tx.DB).Where("account_id = ?", a.ID).Delete(tx.Context()); err != nil {
			return nil, fmt.Errorf("free the identities of account %s: %w", a.ID, err)
		}
		if err := passwords.ForgetOneTime(tx, a.ID); err != nil {
			return nil, err
		}
		before := *a
		a.State, a.StateReason, a.StateChangedAt, a.TerminatedAt = models.AccountTerminated, in.Note, tx.Now, tx.Now
		a.LiveMsisdn = nil
		changes := diff(&before, a)
		if len(was) > 0 {
			changes = append(changes, change{field: "suspensions", old: was, new: []models.SuspendReason{}})
		}
		return changes, nil
	}
	emit := func(tx *store.Tx, a *models.Account, changes []change) error {
		more := details(a, changes)
		more["suspensions"] = []models.SuspendReason{}
		if err := emit(tx, a, models.AccountStateChanged, "account.terminated", in.WorkOrderExternalID, more); err != nil {
			return err
		}
		return suspendBindings(tx, a, bindings.Closed)
	}
	return r.act(ctx, terminateAccount, in, apply, emit)
}

func suspensionsOf(tx *store.Tx, account models.ID) ([]models.Suspension, error) {
	rows, err := gorm.G[models.Suspension](tx.DB).Where("account_id = ?", account).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the suspensions of account %s: %w", account, err)
	}
	return rows, nil
}

// reasonsOf lists reasons in the order of the schema.
func reasonsOf(force []models.Suspension) []models.SuspendReason {
	reasons := make([]models.SuspendReason, len(force))
	for i, s := range force {
		reasons[i] = s.Reason
	}
	return inOrder(reasons)
}

func inOrder(reasons []models.SuspendReason) []models.SuspendReason {
	slices.SortFunc(reasons, func(a, b models.SuspendReason) int {
		return slices.Index(models.SuspendReasons, a) - slices.Index(models.SuspendReasons, b)
	})
	return reasons
}

// Suspensions returns the reasons in force of each of the accounts that exist in the regions in which the actor may read accounts, in the order
// in which they came.
func (r *Room) Suspensions(ctx context.Context, ids []models.ID) (map[models.ID][]*models.Suspension, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	found := make(map[models.ID][]*models.Suspension)
	err := r.store.View(ctx, func(tx *store.Tx) error {
		inReach := inScope(ctx, tx.DB.Model(&models.Account{}).Select("id").Where("id IN ?", ids))
		var rows []*models.Suspension
		if err := tx.DB.Where("account_id IN (?)", inReach).Order("since, reason").Find(&rows).Error; err != nil {
			return fmt.Errorf("read suspensions: %w", err)
		}
		for _, s := range rows {
			found[s.AccountID] = append(found[s.AccountID], s)
		}
		return nil
	})
	return found, err
}

// OwingProof tells which of the accounts have a device that must authenticate again before it is served; the others are left out. It looks in
// the regions in which the actor may read accounts.
func (r *Room) OwingProof(ctx context.Context, ids []models.ID) (map[models.ID]bool, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	found := make(map[models.ID]bool)
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var owing []models.ID
		q := inScope(ctx, tx.DB.Model(&models.Device{}).Distinct("account_id").Where("account_id IN ? AND reauth_required = ?", ids, true))
		if err := q.Pluck("account_id", &owing).Error; err != nil {
			return fmt.Errorf("read which devices must authenticate again: %w", err)
		}
		for _, id := range owing {
			found[id] = true
		}
		return nil
	})
	return found, err
}
