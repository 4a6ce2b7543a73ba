package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// The mutations, as idempotency records and audit rows name them.
const (
	provisionAccount     = "provisionAccount"
	modifyAccount        = "modifyAccount"
	activateAccount      = "activateAccount"
	suspendAccount       = "suspendAccount"
	resumeAccount        = "resumeAccount"
	terminateAccount     = "terminateAccount"
	resetAccountPassword = "resetAccountPassword"
	unlockAccount        = "unlockAccount"
	endLogins            = "endLogins"
	sendNotice           = "sendNotice"
)

// errAsk ends an attempt of a transaction that needs something which takes too long to be waited for inside it.
var errAsk = errors.New("something has to be asked outside the transaction")

// outside is what was asked between two attempts.
type outside struct {
	directory answer
	password  *passwords.Prepared
}

// draft is an account that is to be: checked, not yet stored.
type draft struct {
	account models.Account
	in      ProvisionInput
}

// Provision makes an account, ACTIVE or PENDING. Identities that are left out are derived from number and domain; a SIP secret that is left
// out is made as the policy says. It needs ACCOUNT_WRITE in the account's region, else POLICY_DENIED. An external id, a number or an identity
// that another account has is ALREADY_EXISTS, and names that account if the actor may change it.
func (r *Room) Provision(ctx context.Context, in ProvisionInput) (Result, error) {
	if err := models.Need(ctx, models.AccountWrite); err != nil {
		return Result{}, err
	}
	d, err := r.draft(in)
	if err != nil {
		return Result{}, err
	}
	if err := mayHold(ctx, d.account.Region); err != nil {
		return Result{}, err
	}
	var asked outside
	for {
		result, err := r.provision(ctx, d, asked)
		if !errors.Is(err, errAsk) {
			return result, wrap("provision an account", err)
		}
		if asked, err = r.askOutside(ctx, d); err != nil {
			return Result{}, wrap("provision an account", err)
		}
	}
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func mayHold(ctx context.Context, region string) error {
	if models.ActorFrom(ctx).Scope(models.AccountWrite).Covers(region) {
		return nil
	}
	return models.E(models.PolicyDenied, "you may not keep accounts in this region", "input", "region")
}

func (r *Room) draft(in ProvisionInput) (draft, error) {
	var c checks
	a := models.Account{
		ID: models.NewID(), Version: 1, State: models.AccountPending, ExternalID: in.ExternalID, Msisdn: in.Msisdn, LiveMsisdn: &in.Msisdn,
		DisplayName: in.DisplayName, Region: in.Region, IMPI: in.IMPI, IMPU: models.DocOf(in.IMPU), BoundMobile: in.BoundMobile,
		BroadbandAccount: in.BroadbandAccount, ScreenSerial: in.ScreenSerial, ClientTypes: models.DocOf(in.ClientTypes),
		Services: models.DocOf(c.services(in.Services)), MaxDevices: in.MaxDevices,
	}
	if in.Activate {
		a.State = models.AccountActive
	}
	r.derive(&a)
	c.whole(&a)
	c.workOrder(in.WorkOrderExternalID)
	c.secrets(in.SipPassword, in.IMSI)
	if err := c.result(); err != nil {
		return draft{}, err
	}
	return draft{a, in}, r.configuration.CheckServices(a.Services.V)
}

// derive fills identities that are left out (resolutions 70).
func (r *Room) derive(a *models.Account) {
	if a.IMPI == "" {
		a.IMPI = a.Msisdn.E164() + "@" + r.config.Domain
	}
	if a.IMPU.V == nil {
		a.IMPU.V = []string{"sip:" + a.Msisdn.E164() + "@" + r.config.Domain, "tel:" + a.Msisdn.E164()}
	}
}

// askOutside does what must not be waited for in a transaction: it asks the directory and derives the verifier of the first password.
func (r *Room) askOutside(ctx context.Context, d draft) (asked outside, err error) {
	if !d.in.InitialPassword.IsZero() {
		// Parallel duplicates share one derivation: the pool would turn most of them away, and they are to get equal answers.
		same := string(d.account.Msisdn) + " " + d.in.InitialPassword.Reveal()
		p, err, _ := r.deriving.Do(same, func() (any, error) {
			return r.passwords.PreparePassword(context.WithoutCancel(ctx), d.account.Msisdn, d.account.ID, d.in.InitialPassword)
		})
		if err != nil {
			return asked, err
		}
		prepared := p.(passwords.Prepared)
		asked.password = &prepared
	}
	if r.config.Secret == AskDirectory && d.in.SipPassword.IsZero() && d.account.State == models.AccountActive {
		asked.directory, err = r.ask(ctx, &d.account)
	}
	return asked, err
}

func (r *Room) askDirectory(ctx context.Context, a *models.Account) (asked outside, err error) {
	asked.directory, err = r.ask(ctx, a)
	return asked, err
}

// record is what an idempotency record keeps of a mutation here.
type record struct{ Account, Sms models.ID }

func (r *Room) provision(ctx context.Context, d draft, asked outside) (result Result, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		key := d.in.IdempotencyKey
		prior, err := events.Once[record](tx, provisionAccount, key, d.in.fingerprint(tx))
		if err != nil {
			return err
		}
		if prior != nil {
			result, err = replay(tx, models.AccountWrite, prior)
			return err
		}
		result.Account, err = r.insert(tx, d, asked)
		if err != nil {
			return err
		}
		return events.Done(tx, provisionAccount, key, record{Account: result.Account.ID})
	})
	if err != nil {
		return Result{}, err
	}
	return result, nil
}

// replay answers with the account as it is now, to whoever still holds the permission in its region.
func replay(tx *store.Tx, needs models.Permission, prior *record) (Result, error) {
	a, err := Load(tx, prior.Account)
	if a != nil && !models.ActorFrom(tx.Context()).Scope(needs).Covers(a.Region) {
		a = nil
	}
	return Result{Account: a, Sms: prior.Sms, Replayed: true}, err
}

// insert stores the account, or returns the one that exists already if that is what the caller accepts.
func (r *Room) insert(tx *store.Tx, d draft, asked outside) (*models.Account, error) {
	a := d.account
	a.CreatedAt, a.UpdatedAt, a.StateChangedAt = tx.Now, tx.Now, tx.Now
	secret, source := d.in.SipPassword, models.SecretFromBSS
	if secret.IsZero() {
		var err error
		if secret, source, err = r.secretFor(a.State, &asked.directory); err != nil {
			return nil, err
		}
	}
	if !d.in.InitialPassword.IsZero() && asked.password == nil {
		return nil, errAsk
	}
	if err := errors.Join(setSecret(tx, &a, secret, source), setIMSI(tx, &a, d.in.IMSI)); err != nil {
		return nil, err
	}
	err := gorm.G[models.Account](tx.DB).Create(tx.Context(), &a)
	if store.IsDuplicate(err) {
		return taken(tx, d)
	}
	if err != nil {
		return nil, err
	}
	if err := insertIMPUs(tx, &a); err != nil {
		return nil, err
	}
	if asked.password != nil {
		if err := passwords.SetPassword(tx, &a, *asked.password); err != nil {
			return nil, err
		}
	}
	if err := created(tx, &a, d.in.WorkOrderExternalID); err != nil {
		return nil, err
	}
	return &a, r.swap(tx, &models.Account{}, &a)
}

// insertIMPUs claims the account's public identities; one that another account has is ALREADY_EXISTS.
func insertIMPUs(tx *store.Tx, a *models.Account) error {
	for _, uri := range slices.Sorted(slices.Values(a.IMPU.V)) { // one order for all, against deadlocks
		err := gorm.G[models.AccountIMPU](tx.DB).Create(tx.Context(), &models.AccountIMPU{IMPU: uri, AccountID: a.ID})
		if store.IsDuplicate(err) {
			other, err := find(tx.Locked(), Ref{IMPU: uri})
			if err != nil {
				return err
			}
			return alreadyExists(tx, other, "another account has this public identity", "impu")
		}
		if err != nil {
			return fmt.Errorf("claim an identity of account %s: %w", a.ID, err)
		}
	}
	return nil
}

// taken finds out what the account of a draft collided with.
func taken(tx *store.Tx, d draft) (*models.Account, error) {
	// Locked, because a snapshot may be older than the row that is in the way.
	other, err := find(tx.Locked(), Ref{ExternalID: d.account.ExternalID})
	if err != nil {
		return nil, err
	}
	if other != nil {
		if d.in.AcceptIfSame {
			same, err := d.sameAs(tx, other)
			if err != nil || same {
				return other, err
			}
		}
		return nil, alreadyExists(tx, other, "an account with this external id exists", "externalId")
	}
	other, err = first(tx.Locked().Where("live_msisdn = ?", d.account.Msisdn))
	if err != nil {
		return nil, err
	}
	return nil, alreadyExists(tx, other, "another account has this number", "msisdn")
}

// alreadyExists names the account that is in the way to whoever may change it.
func alreadyExists(tx *store.Tx, other *models.Account, message, field string) error {
	e := models.E(models.AlreadyExists, message, "input", field)
	if other != nil && models.ActorFrom(tx.Context()).Scope(models.AccountWrite).Covers(other.Region) {
		e.Existing, e.ExistingExternalID = models.Subject{Kind: models.KindAccount, ID: other.ID}, other.ExternalID
	}
	return e
}

// sameAs tells whether every field that the draft's input gives is that of other, which the actor may change. The first password is none of
// the account's fields.
func (d draft) sameAs(tx *store.Tx, other *models.Account) (bool, error) {
	if !models.ActorFrom(tx.Context()).Scope(models.AccountWrite).Covers(other.Region) || other.State == models.AccountTerminated {
		return false, nil
	}
	secret, err := Secret(tx, other)
	if err != nil {
		return false, err
	}
	subscriber, err := tx.Unseal("accounts", "imsi", other.ID, other.IMSI)
	if err != nil {
		return false, err
	}
	in := d.in
	given := func(text, is string) bool { return text == "" || text == is }
	return given(string(in.Msisdn), string(other.Msisdn)) && given(in.DisplayName, other.DisplayName) && given(in.Region, other.Region) &&
		given(in.IMPI, other.IMPI) && (in.IMPU == nil || slices.Equal(in.IMPU, other.IMPU.V)) && given(in.SipPassword.Reveal(), secret.Reveal()) &&
		given(string(in.BoundMobile), string(other.BoundMobile)) && given(in.IMSI, string(subscriber)) &&
		given(in.BroadbandAccount, other.BroadbandAccount) && given(in.ScreenSerial, other.ScreenSerial) &&
		slices.Equal(in.ClientTypes, other.ClientTypes.V) && (in.Services == nil || sameServices(d.account.Services.V, other.Services.V)) &&
		in.MaxDevices == other.MaxDevices && in.Activate == (other.State != models.AccountPending), nil
}
