package clients

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

// getPassword is flow 6.1.1 (i4.md B.1): a PC client asks for a one-time password, which goes to the bound mobile by SMS.
type getPassword struct {
	*Visit
	done bool
}

func (f *getPassword) answer(context.Context, models.Reply) error { return nil }
func (f *getPassword) broke(context.Context) error                { return nil }

// next does everything at the empty POST and answers after the same time whatever it found (resolutions 74).
func (f *getPassword) next(ctx context.Context) (*models.Request, error) {
	if f.done {
		return nil, nil
	}
	f.done = true
	began := f.room.clock.Now()
	outcome, err := f.decide(ctx)
	if models.CodeOf(err) == models.Unavailable {
		return nil, err
	}
	if err != nil {
		outcome = internalError(ctx, "get password", f.Visit, err)
	}
	if pad := f.room.config.Pad; pad > 0 {
		pad += time.Duration(rand.Int64N(int64(pad)/10 + 1))
		if err := f.room.clock.Wait(ctx, pad-f.room.clock.Now().Sub(began)); err != nil {
			return nil, err
		}
	}
	return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}, nil
}

// decide runs the checks of B.1 in their order. One thing is decided earlier than the book says: without a way to send SMS everybody hears 22,
// because an answer that only existing numbers get would tell which numbers exist.
func (f *getPassword) decide(ctx context.Context) (models.Outcome, error) {
	q, mobile, wrong := f.parse()
	if wrong != "" {
		return malformed(wrong), nil
	}
	prior, wait, err := f.look(ctx, q)
	switch {
	case err != nil:
		return models.Outcome{}, err
	case prior != nil:
		return f.told(models.Result(prior.Status), prior.RetryAfter), nil
	}
	if wait == 0 {
		wait = f.room.Passwords.AdmitIP(f.in.RemoteAddress)
	}
	if wait > 0 {
		return f.limited(ctx, q, wait)
	}
	a, refusal, err := f.eligible(ctx, q.Number, mobile)
	if err != nil {
		return models.Outcome{}, err
	}
	if !f.room.SMS.Available() && (f.room.config.AntiEnumeration || refusal == "") {
		return models.Outcome{Result: models.ResultSmsUnavailable, Delivery: models.DeliveryFailed, RetryAfter: f.room.config.RetryAfter}, nil
	}
	// Derived for refused requests too, so that neither the time nor a full pool tells them apart.
	prepared, err := f.room.Passwords.PrepareOTP(ctx, q.Number, idOf(a))
	if err != nil {
		return models.Outcome{}, err
	}
	return f.commit(ctx, q, mobile, idOf(a), prepared)
}

// parse reads what the client sent; wrong names the first parameter that is missing or malformed.
func (f *getPassword) parse() (q passwords.Request, mobile models.Number, wrong string) {
	if f.clientType() != models.PC {
		return q, "", clientTypeName
	}
	number, ok := f.room.config.Plan.Normalise(f.in.Get(userName))
	if !ok {
		return q, "", userName
	}
	id := f.in.Get(requestID)
	if !isHex(id, 32) {
		return q, "", requestID
	}
	if typed := f.in.Get(mdn); typed != "" {
		if mobile, ok = f.room.config.Plan.Normalise(typed); !ok {
			return q, "", mdn
		}
	}
	return passwords.Request{Device: f.in.Key, RequestID: strings.ToLower(id), Number: number}, mobile, ""
}

// look answers repeats and refuses what is limited before anything costly is done. A repeat is looked for last: its first request may be
// committed between the statements, and would limit it.
func (f *getPassword) look(ctx context.Context, q passwords.Request) (prior *models.PasswordRequest, wait int, err error) {
	err = f.room.store.View(ctx, func(tx *store.Tx) (err error) {
		if wait, err = f.room.Passwords.Limited(tx, q); err != nil {
			return err
		}
		prior, err = f.room.Passwords.Replayed(tx, q.Device, q.RequestID)
		return err
	})
	return prior, wait, err
}

func (f *getPassword) limited(ctx context.Context, q passwords.Request, wait int) (models.Outcome, error) {
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := accounts.ForNumber(tx, q.Number)
		if err != nil {
			return err
		}
		return security(tx, "security.rate_limited", a, f.device, nil)
	})
	return models.Outcome{Result: models.ResultRateLimited, Delivery: models.DeliveryFailed, RetryAfter: wait}, err
}

// eligible finds the account and what stands in its way; refusal is empty for one that gets a password.
func (f *getPassword) eligible(ctx context.Context, number, mobile models.Number) (a *models.Account, refusal models.Result, err error) {
	err = f.room.store.View(ctx, func(tx *store.Tx) (err error) {
		a, err = accounts.ForNumber(tx, number)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return a, refusalOf(a, mobile), nil
}

// refusalOf is check 4 of B.1.
func refusalOf(a *models.Account, mobile models.Number) models.Result {
	if a == nil {
		return models.ResultUnknownAccount
	}
	if refusal := stands(a, models.PC); refusal != "" {
		return refusal
	}
	switch {
	case a.BoundMobile == "":
		return models.ResultNoBoundMobile
	case mobile != "" && mobile != a.BoundMobile:
		return models.ResultAuthFailed
	}
	return ""
}

// stands tells what the account's state and services say to a client of that type; empty if nothing stands in its way (resolutions 14).
func stands(a *models.Account, t models.ClientType) models.Result {
	switch {
	case a.State == models.AccountSuspended:
		return models.ResultSuspended
	case a.State == models.AccountTerminated:
		return models.ResultClosed
	case a.State == models.AccountPending && t == models.MagicScreen:
		return models.ResultNotProvisioned
	case a.State == models.AccountPending, !a.Includes(t):
		return models.ResultTypeNotAllowed
	}
	return ""
}

// errChanged: the number came to mean another account while the password was derived for the older one.
var errChanged = models.E(models.Unavailable, "the number was just given to another account; try again")

// commit issues the password, queues its SMS and records the answer in one transaction; limits, repeats and whether the account gets one, to
// which mobile, are decided there for good. account is that which p was prepared for.
func (f *getPassword) commit(ctx context.Context, q passwords.Request, mobile models.Number, account models.ID, p passwords.Prepared) (out models.Outcome, err error) {
	err = f.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := accounts.LockForNumber(tx, q.Number)
		if err != nil {
			return err
		}
		if idOf(a) != account {
			return errChanged
		}
		refusal := refusalOf(a, mobile)
		if q.Mobile = ""; refusal == "" {
			q.Mobile = a.BoundMobile
		}
		prior, wait, err := f.room.Passwords.AdmitRequest(tx, q)
		if err != nil {
			return err
		}
		if prior != nil {
			out = f.told(models.Result(prior.Status), prior.RetryAfter)
			return nil
		}
		if wait > 0 {
			out = models.Outcome{Result: models.ResultRateLimited, Delivery: models.DeliveryFailed, RetryAfter: wait}
			return security(tx, "security.rate_limited", a, f.device, nil)
		}
		result, wait := refusal, 0
		if refusal == "" {
			if err := f.send(tx, a, p); err != nil {
				return err
			}
		}
		if refusal == "" || f.room.config.AntiEnumeration {
			result, wait = models.ResultOK, f.room.config.RetryAfter
		}
		out = f.told(result, wait)
		return f.room.Passwords.Record(tx, q, idOf(a), result, wait)
	})
	return out, err
}

func (f *getPassword) send(tx *store.Tx, a *models.Account, p passwords.Prepared) error {
	first, err := passwords.IsFirst(tx, a.ID)
	if err != nil {
		return err
	}
	if err := passwords.IssueOTP(tx, a, f.in.Key, p); err != nil {
		return err
	}
	purpose := models.SmsPasswordReset
	if first {
		purpose = models.SmsActivation
	}
	_, err = sms.Queue(tx, sms.Message{
		AccountID: a.ID, Region: a.Region, To: a.BoundMobile, Body: f.room.Passwords.Text(p), Purpose: purpose,
		ExpiresAt: tx.Now.Add(f.room.Passwords.TTL()),
	})
	return err
}

// told is the answer of a recorded result.
func (f *getPassword) told(result models.Result, retryAfter int) models.Outcome {
	delivery := models.DeliveryFailed
	if result == models.ResultOK {
		delivery = models.DeliveryDone
	}
	return models.Outcome{Result: result, Delivery: delivery, RetryAfter: retryAfter}
}

func idOf(a *models.Account) models.ID {
	if a == nil {
		return models.ID{}
	}
	return a.ID
}
