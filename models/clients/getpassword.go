package clients

import (
	"context"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// getPassword is flow 6.1.1 (i4.md B.1): a PC client asks for a one-time password, which goes to the bound mobile by SMS.
type getPassword struct {
	*Visit
	done bool
}

func (f *getPassword) answer(context.Context, models.Reply) error { return nil }
func (f *getPassword) broke(context.Context) error                { return nil }

func (f *getPassword) next(ctx context.Context) (*models.Request, error) {
	if f.done {
		return nil, nil
	}
	f.done = true
	outcome, err := f.padded(ctx, "getPassword", func(ctx context.Context) (models.Outcome, error) {
		wish, wrong := f.parse()
		if wrong != "" {
			return malformed(wrong), nil
		}
		return f.text(ctx, wish)
	})
	if err != nil {
		return nil, err
	}
	return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}, nil
}

// parse reads what the client sent; wrong names the first parameter that is missing or malformed.
func (f *getPassword) parse() (w wish, wrong string) {
	if f.clientType() != models.PC {
		return w, clientTypeName
	}
	number, ok := f.room.config.Plan.Normalise(f.in.Get(userName))
	if !ok {
		return w, userName
	}
	id := f.in.Get(requestID)
	if !isHex(id, 32) {
		return w, requestID
	}
	var mobile models.Number
	if typed := f.in.Get(mdn); typed != "" {
		if mobile, ok = f.room.config.Plan.Normalise(typed); !ok {
			return w, mdn
		}
	}
	room := f.room.Passwords
	return wish{
		Request: passwords.Request{Device: f.in.Key, RequestID: strings.ToLower(id), Number: number},
		granted: models.ResultOK,
		find: func(tx *store.Tx, locked bool) (a *models.Account, _ bool, err error) {
			if locked {
				a, err = accounts.LockForNumber(tx, number)
			} else {
				a, err = accounts.ForNumber(tx, number)
			}
			return a, false, err
		},
		refusal: func(a *models.Account, _ bool) models.Result { return refusalOf(a, mobile) },
		mobile:  func(a *models.Account) models.Number { return a.BoundMobile },
		prepare: room.PrepareOTP,
		issue:   passwords.IssueOTP,
		purpose: func(tx *store.Tx, a *models.Account) (models.SmsPurpose, error) {
			first, err := passwords.IsFirst(tx, a.ID)
			if first {
				return models.SmsActivation, err
			}
			return models.SmsPasswordReset, err
		},
	}, ""
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
