package clients

import (
	"context"
	"errors"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// registration is REGISTER, flows 6.1.2 and 6.1.3 (i4.md B.2, B.3): a proof of whose the client is, and one atomic delivery of everything that
// it needs. Its way says what proves it; everything else is the same for all.
type registration struct {
	challenge
	way way
	// given is the proof of a password or code; plain is a password that came in clear instead.
	given string
	plain *passwords.Plain

	// own are the values that belong to this REGISTER: the platform's proof, the new HTTP credentials, the account's number.
	own      []models.Value
	delivery *configuration.Delivery
	outcome  models.Outcome
	building building

	// What was found of a magic screen: what stands in its way, and the line that it is on.
	stands    *refusal
	line      string
	lineKnown bool
}

func newRegistration(v *Visit) *registration {
	f := &registration{}
	f.Visit = v
	f.then, f.prove, f.refuse = f.begin, f.proved, f.deny
	return f
}

// deny ends the flow with a refusal.
func (f *registration) deny(_ context.Context, outcome models.Outcome) error {
	f.tell(outcome)
	return nil
}

// failed ends the flow with Status 50, unless the error is one that the HTTP door answers with 503.
func (f *registration) failed(ctx context.Context, err error) error {
	if models.CodeOf(err) == models.Unavailable {
		return err
	}
	f.tell(internalError(ctx, "register", f.Visit, err))
	return nil
}

// begin checks what the Inform says and takes the first step of the client's way.
func (f *registration) begin(ctx context.Context) (*models.Request, error) {
	if wrong := f.parse(); wrong != "" {
		if err := f.noteMalformed(ctx, wrong); err != nil {
			return nil, f.failed(ctx, err)
		}
		return nil, f.deny(ctx, malformed(wrong))
	}
	request, err := f.way.begin(f, ctx)
	if err != nil {
		return nil, f.failed(ctx, err)
	}
	return request, nil
}

// noteMalformed tells the log of a known device that sends nonsense; strangers are nobody that an event could be about (resolutions 40).
func (f *registration) noteMalformed(ctx context.Context, wrong string) error {
	if f.device == nil {
		return nil
	}
	return f.room.store.InTx(ctx, func(tx *store.Tx) error {
		if wrong == clientTypeName {
			return mistyped(tx, f.Visit)
		}
		return security(tx, "security.malformed", nil, f.device, map[string]any{"parameter": wrong})
	})
}

// claimant is the account that the client says it belongs to, held until the commit if locked; nil if there is none, or if several accounts
// have the mobile number.
func (f *registration) claimant(tx *store.Tx, locked bool) (a *models.Account, several bool, err error) {
	switch {
	case f.way.claim != nil:
		return f.way.claim(f, tx, locked)
	case f.way.mobile && locked:
		return accounts.LockForMDN(tx, f.message.Number)
	case f.way.mobile:
		return accounts.ForMDN(tx, f.message.Number)
	case locked:
		a, err = accounts.LockForNumber(tx, f.message.Number)
	default:
		a, err = accounts.ForNumber(tx, f.message.Number)
	}
	return a, false, err
}

// locked tells whether the number or mobile is locked for the device, or the device for everything; account is whose number it is.
func (f *registration) locked(ctx context.Context) (account models.ID, refusal *models.Outcome, err error) {
	err = f.room.store.View(ctx, func(tx *store.Tx) error {
		a, _, err := f.claimant(tx, false)
		if err != nil {
			return err
		}
		account = idOf(a)
		lock, err := f.room.Passwords.LockedFor(tx, f.way.purpose, f.message.Number, account, f.in.Key)
		if err == nil && lock.RetryAfter > 0 {
			refusal = &models.Outcome{Result: models.ResultLocked, Delivery: models.DeliveryFailed, RetryAfter: lock.RetryAfter, Limit: f.room.Passwords.Tries(), Times: lock.Failures}
		}
		return err
	})
	return account, refusal, err
}

// deliver sends everything at once: the platform's proof, the credentials and the configuration.
func (f *registration) deliver(context.Context) (*models.Request, error) {
	request := &models.Request{Method: models.SetParameterValues, Values: slices.Clone(f.own), Outcome: &f.outcome}
	if f.delivery != nil {
		request.Values = append(request.Values, f.delivery.Values...)
		request.Version = f.delivery.Version
		request.Without, request.Moved = f.delivery.Dropped, f.delivery.Moved
	}
	f.take = f.delivered
	return request, nil
}

// delivered takes the client's answer to the delivery.
func (f *registration) delivered(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		return f.rejected(ctx, *reply.Fault)
	}
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		if f.delivery != nil {
			if err := f.room.Configuration.Applied(tx, f.device, f.epoch, f.delivery, reply.Status); err != nil {
				return err
			}
		}
		_, err := bindings.Confirm(tx, f.device.ID)
		return err
	})
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	if f.delivery != nil {
		f.key = models.ParameterKey(f.delivery.Version)
	}
	return nil
}

// deniedByClient is the fault of a client that does not believe the platform's proof (i4.md C.2.2).
const deniedByClient = 9001

// rejected takes a fault on the delivery: nothing of it was applied. The binding stays PENDING until a later REGISTER.
func (f *registration) rejected(ctx context.Context, fault models.Fault) error {
	if fault.Code == deniedByClient {
		f.flows = f.flows[:1] // whoever does not believe the proof is told nothing more
		return f.room.store.InTx(ctx, func(tx *store.Tx) error {
			return security(tx, "security.server_proof_rejected", nil, f.device, map[string]any{"fault": fault.Code})
		})
	}
	switch {
	case f.outcome.Result == models.ResultAlreadyDone:
		return f.instead(ctx)
	case f.delivery == nil:
		return f.deny(ctx, denied(f.outcome.Result))
	}
	if f.building.begin(f.room.Configuration.Missing(f.delivery, fault), &fault) {
		f.then = f.construct
		return nil
	}
	var retry *configuration.Delivery
	err := f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		retry, err = f.room.Configuration.Refused(tx, f.device, f.epoch, f.delivery, fault)
		return err
	})
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	f.again(retry)
	return nil
}

// construct adds objects that the client does not have and the delivery sets; then that goes out again.
func (f *registration) construct(ctx context.Context) (*models.Request, error) {
	request, err := f.building.next(ctx, f.Visit)
	if err == nil && request != nil {
		f.take = func(ctx context.Context, reply models.Reply) error {
			f.then = f.construct
			return f.building.answer(ctx, f.Visit, reply)
		}
		return request, nil
	}
	var next *configuration.Delivery
	if err == nil {
		next, err = f.building.done(ctx, f.Visit, f.delivery)
	}
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return nil, err
	}
	f.again(next)
	return nil, nil
}

// again sends what is left of a refused delivery; nil: nothing is.
func (f *registration) again(retry *configuration.Delivery) {
	f.configured = true
	if retry == nil {
		f.tell(models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryFailed})
		return
	}
	f.delivery = retry
	f.own = slices.DeleteFunc(f.own, func(v models.Value) bool { return slices.Contains(retry.Dropped, v.Name) })
	f.then = f.deliver
}

// instead follows a refused ALREADY_DONE with everything: what may be left out of a delivery is known there, and the new HTTP credentials
// have to arrive, because each REGISTER replaces them.
func (f *registration) instead(ctx context.Context) error {
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error { return f.prepare(tx, f.device) })
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	if err != nil || f.delivery == nil {
		f.delivery = nil
		f.tell(models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryFailed})
		return nil
	}
	f.outcome.Result = models.ResultOK
	f.then = f.deliver
	return nil
}
