package accounts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

const (
	// noticesDay is how many notices an account gets in a day, so that no desk floods a customer.
	noticesDay = 5
	// noticeTTL is how long a notice waits for an SMS centre.
	noticeTTL = 24 * time.Hour
	// revealed is how long what was revealed may stand on a screen.
	revealed = 5 * time.Minute
)

// NoticeInput is the input of sendNotice.
type NoticeInput struct {
	IdempotencyKey string
	Account        Ref
	Text           string
}

// Notify sends an SMS to the bound mobile of an account. It needs ACCOUNT_CARE in the account's region, else NOT_FOUND. STATE_CONFLICT unless the
// account is ACTIVE or SUSPENDED, INVALID without a bound mobile, REQUIRED without a text and TOO_LONG for one that does not fit into one SMS,
// LIMIT_BY_POLICY beyond the notices of a day, DEPENDENCY_FAILED while no SMS can be sent.
func (r *Room) Notify(ctx context.Context, in NoticeInput) (Result, error) {
	if err := models.Need(ctx, models.AccountCare); err != nil {
		return Result{}, err
	}
	var c checks
	c.text(in.Text, maxNote, "text")
	if in.Text == "" {
		c.fail(models.Required, "a notice says something", "text")
	}
	if sms.CheckText(in.Text) != nil {
		c.fail(models.TooLong, "a notice fits into one SMS of 70 UTF-16 units", "text")
	}
	if err := c.result(); err != nil {
		return Result{}, err
	}
	return r.change(ctx, mutation{
		name: sendNotice, needs: models.AccountCare, key: in.IdempotencyKey, ref: in.Account,
		fingerprint: func(*store.Tx) any { return in.fingerprint() },
		apply: func(tx *store.Tx, a *models.Account, _ *outside) ([]change, error) {
			if err := r.mayText(a); err != nil {
				return nil, err
			}
			sent, err := sms.Since(tx, a.ID, models.SmsNotice, tx.Now.Add(-24*time.Hour))
			if err != nil {
				return nil, err
			}
			if sent >= noticesDay {
				e := models.E(models.LimitByPolicy, "at most "+strconv.Itoa(noticesDay)+" notices a day go to an account", "input", "account")
				e.RetryAfterSeconds = int(24 * time.Hour / time.Second)
				return nil, e
			}
			_, err = sms.Queue(tx, sms.Message{
				AccountID: a.ID, Region: a.Region, To: a.BoundMobile, Body: models.Secret(in.Text), Purpose: models.SmsNotice, ExpiresAt: tx.Now.Add(noticeTTL),
			})
			if err != nil {
				return nil, err
			}
			return nil, audit(tx, sendNotice, a, []change{{field: "text", hidden: true}}) // a notice may say anything about its reader
		},
	})
}

// RevealInput is the input of revealPersonalData.
type RevealInput struct {
	Account Ref
	Fields  []string
	Reason  string
}

// personal are the fields that can be revealed. IMSI is another matter: it is sealed.
var personal = map[string]func(a *models.Account) any{
	"msisdn":           func(a *models.Account) any { return a.Msisdn.E164() },
	"impi":             func(a *models.Account) any { return a.IMPI },
	"impu":             func(a *models.Account) any { return a.IMPU.V },
	"displayName":      func(a *models.Account) any { return a.DisplayName },
	"boundMobile":      func(a *models.Account) any { return a.BoundMobile.E164() },
	"broadbandAccount": func(a *models.Account) any { return a.BroadbandAccount },
	"imsi":             nil,
}

// Reveal shows personal data of one account, with who asked, what and why in the audit log; until is when it shall be hidden again. It needs
// PII_READ in the account's region, else NOT_FOUND, and for the IMSI SECRET_READ there too, else POLICY_DENIED. REQUIRED without a field or a reason,
// INVALID for a field that is no personal data.
func (r *Room) Reveal(ctx context.Context, in RevealInput) (values map[string]any, until models.Time, err error) {
	if err := models.Need(ctx, models.PIIRead); err != nil {
		return nil, 0, err
	}
	var c checks
	c.text(in.Reason, maxNote, "reason")
	if in.Reason == "" {
		c.fail(models.Required, "the reason is needed", "reason")
	}
	if len(in.Fields) == 0 {
		c.fail(models.Required, "at least one field is needed", "fields")
	}
	for i, name := range in.Fields {
		if _, known := personal[name]; !known {
			c.fail(models.Invalid, fmt.Sprintf("there is no such field; there are %v", slices.Sorted(maps.Keys(personal))), "fields", strconv.Itoa(i))
		}
	}
	if err := c.result(); err != nil {
		return nil, 0, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := find(tx.DB, in.Account)
		actor := models.ActorFrom(ctx)
		switch {
		case err != nil:
			return err
		case a == nil || !actor.Scope(models.PIIRead).Covers(a.Region):
			return models.E(models.NotFound, "there is no such account", "input", "account")
		}
		values, until = make(map[string]any, len(in.Fields)), tx.Now.Add(revealed)
		for i, name := range in.Fields {
			if show := personal[name]; show != nil {
				values[name] = show(a)
				continue
			}
			if !actor.Scope(models.SecretRead).Covers(a.Region) {
				return models.E(models.PolicyDenied, "permission SECRET_READ is needed in the account's region", "input", "fields", strconv.Itoa(i))
			}
			plain, err := tx.Unseal("accounts", "imsi", a.ID, a.IMSI)
			if err != nil {
				return err
			}
			values[name] = string(plain)
		}
		return events.Audit(tx, models.AuditEntry{
			Action: "revealPersonalData", Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, Outcome: models.AuditDisclosed,
			Changes: models.DocOf(map[string]any{"fields": slices.Sorted(maps.Keys(values)), "reason": in.Reason}),
		})
	})
	if err != nil {
		return nil, 0, wrap("reveal personal data", err)
	}
	return values, until, nil
}
