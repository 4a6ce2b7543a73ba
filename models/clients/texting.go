package clients

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

// wish is a client's request for an SMS with something that only the owner of a mobile is to know: GETPWD (i4.md B.1), or REGISTER of a mobile
// client in mode sms (B.3). Checks, limits and silence are the same for both.
type wish struct {
	passwords.Request
	granted models.Result
	// find is whose number it is; several: more than one account has it.
	find func(tx *store.Tx, locked bool) (a *models.Account, several bool, err error)
	// refusal is what stands in the way; empty for an account that gets its SMS.
	refusal func(a *models.Account, several bool) models.Result
	// mobile is where the SMS goes.
	mobile  func(a *models.Account) models.Number
	prepare func(ctx context.Context, number models.Number, account models.ID) (passwords.Prepared, error)
	issue   func(tx *store.Tx, a *models.Account, device models.DeviceKey, p passwords.Prepared) error
	purpose func(tx *store.Tx, a *models.Account) (models.SmsPurpose, error)
}

// padded decides and answers after the same time whatever was found (resolutions 74).
func (v *Visit) padded(ctx context.Context, what string, decide func(context.Context) (models.Outcome, error)) (models.Outcome, error) {
	began := v.room.clock.Now()
	outcome, err := decide(ctx)
	if models.CodeOf(err) == models.Unavailable {
		return outcome, err
	}
	if err != nil {
		outcome = internalError(ctx, what, v, err)
	}
	return outcome, v.pad(ctx, began)
}

// pad waits until what began then has taken the time that hides what was found.
func (v *Visit) pad(ctx context.Context, began models.Time) error {
	pad := v.room.config.Pad
	if pad <= 0 {
		return nil
	}
	pad += time.Duration(rand.Int64N(int64(pad)/10 + 1))
	return v.room.clock.Wait(ctx, pad-v.room.clock.Now().Sub(began))
}

// text runs the checks of B.1 in their order. One thing is decided earlier than the book says: without a way to send SMS everybody hears 22,
// because an answer that only existing numbers get would tell which numbers exist.
func (v *Visit) text(ctx context.Context, w wish) (models.Outcome, error) {
	prior, wait, err := v.look(ctx, w.Request)
	switch {
	case err != nil:
		return models.Outcome{}, err
	case prior != nil:
		return told(models.Result(prior.Status), prior.RetryAfter), nil
	}
	if wait == 0 {
		wait = v.room.Passwords.AdmitIP(v.in.RemoteAddress)
	}
	if wait > 0 {
		return v.limited(ctx, w, wait)
	}
	var a *models.Account
	var refusal models.Result
	err = v.room.store.View(ctx, func(tx *store.Tx) error {
		found, several, err := w.find(tx, false)
		a, refusal = found, w.refusal(found, several)
		return err
	})
	if err != nil {
		return models.Outcome{}, err
	}
	if !v.room.SMS.Available() && (v.room.config.AntiEnumeration || refusal == "") {
		return models.Outcome{Result: models.ResultSmsUnavailable, Delivery: models.DeliveryFailed, RetryAfter: v.room.config.RetryAfter}, nil
	}
	// Derived for refused requests too, so that neither the time nor a full pool tells them apart.
	prepared, err := w.prepare(ctx, w.Number, idOf(a))
	if err != nil {
		return models.Outcome{}, err
	}
	return v.grant(ctx, w, idOf(a), prepared)
}

// look answers repeats and refuses what is limited before anything costly is done. A repeat is looked for last: its first request may be
// committed between the statements, and would limit it.
func (v *Visit) look(ctx context.Context, q passwords.Request) (prior *models.PasswordRequest, wait int, err error) {
	err = v.room.store.View(ctx, func(tx *store.Tx) (err error) {
		if wait, err = v.room.Passwords.Limited(tx, q); err != nil {
			return err
		}
		prior, err = v.room.Passwords.Replayed(tx, q.Device, q.RequestID)
		return err
	})
	return prior, wait, err
}

func (v *Visit) limited(ctx context.Context, w wish, wait int) (models.Outcome, error) {
	err := v.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, _, err := w.find(tx, false)
		if err != nil {
			return err
		}
		return security(tx, "security.rate_limited", a, v.device, nil)
	})
	return models.Outcome{Result: models.ResultRateLimited, Delivery: models.DeliveryFailed, RetryAfter: wait}, err
}

// errChanged: the number came to mean another account while the password was derived for the older one.
var errChanged = models.E(models.Unavailable, "the number was just given to another account; try again")

// grant issues what was prepared, queues its SMS and records the answer in one transaction; limits, repeats and whether the account gets one, to
// which mobile, are decided there for good. account is that which p was prepared for.
func (v *Visit) grant(ctx context.Context, w wish, account models.ID, p passwords.Prepared) (out models.Outcome, err error) {
	err = v.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, several, err := w.find(tx, true)
		if err != nil {
			return err
		}
		if idOf(a) != account {
			return errChanged
		}
		refusal, q := w.refusal(a, several), w.Request
		if refusal == "" {
			q.Mobile = w.mobile(a)
		}
		prior, wait, err := v.room.Passwords.AdmitRequest(tx, q)
		if err != nil {
			return err
		}
		if prior != nil {
			out = told(models.Result(prior.Status), prior.RetryAfter)
			return nil
		}
		if wait > 0 {
			out = models.Outcome{Result: models.ResultRateLimited, Delivery: models.DeliveryFailed, RetryAfter: wait}
			return security(tx, "security.rate_limited", a, v.device, nil)
		}
		result, wait := refusal, 0
		if refusal == "" {
			if err := v.send(tx, w, a, q.Mobile, p); err != nil {
				return err
			}
		}
		if refusal == "" || v.room.config.AntiEnumeration {
			result, wait = w.granted, v.room.config.RetryAfter
		}
		out = told(result, wait)
		return v.room.Passwords.Record(tx, q, idOf(a), result, wait)
	})
	return out, err
}

func (v *Visit) send(tx *store.Tx, w wish, a *models.Account, to models.Number, p passwords.Prepared) error {
	purpose, err := w.purpose(tx, a)
	if err != nil {
		return err
	}
	if err := w.issue(tx, a, v.in.Key, p); err != nil {
		return err
	}
	_, err = sms.Queue(tx, sms.Message{
		AccountID: a.ID, Region: a.Region, To: to, Body: v.room.Passwords.Text(p), Purpose: purpose, ExpiresAt: tx.Now.Add(p.Lifetime()),
	})
	return err
}

// told is the answer of a recorded result. After a code the service data is still to come.
func told(result models.Result, retryAfter int) models.Outcome {
	delivery := models.DeliveryFailed
	switch result {
	case models.ResultOK:
		delivery = models.DeliveryDone
	case models.ResultCodeSent:
		delivery = models.DeliveryRunning
	}
	return models.Outcome{Result: result, Delivery: delivery, RetryAfter: retryAfter}
}

func idOf(a *models.Account) models.ID {
	if a == nil {
		return models.ID{}
	}
	return a.ID
}
