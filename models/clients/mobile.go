package clients

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// Mobile is how mobile clients authenticate (i4.md B.3).
type Mobile struct {
	// Modes are those of network, sms and mo-sms that are open (i4.mobile.modes).
	Modes []string
	// RejectIMSI refuses a SIM card that is not the account's (i4.mobile.imsiMismatch): otherwise the client is sent to its SMS.
	RejectIMSI bool
	// TokenKeys are those of network tokens; a token signed with any of them is good.
	TokenKeys [][32]byte
	// AssertedTTL is how long the nonce of an SMS of the client is good.
	AssertedTTL time.Duration
}

var subscriberIdentity = regexp.MustCompile(`^[0-9]{6,15}$`)

// isIMSI tells whether a text is an IMSI, or none because the system hides it.
func isIMSI(s string) bool { return s == "" || subscriberIdentity.MatchString(s) }

// parseMobile reads what a client sends that is known by its number alone.
func (f *registration) parseMobile() (wrong string) {
	switch {
	case !f.parseNumber(f.in.Get(mdn)):
		return mdn
	case !isIMSI(f.in.Get(imsi)):
		return imsi
	case f.way.mode == modeSMS && !isHex(f.in.Get(requestID), 32):
		return requestID
	case f.way.mode != modeSMS && !isHex(f.message.ClientNonce, 32):
		return clientNonce
	}
	return ""
}

// vouched judges a number that the network vouches for: there is nothing to ask the client.
func (f *registration) vouched(ctx context.Context) (*models.Request, error) {
	wait := 0
	err := f.room.store.View(ctx, func(tx *store.Tx) (err error) {
		wait, err = f.room.Passwords.DeviceLocked(tx, f.in.Key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, f.deny(ctx, models.Outcome{Result: models.ResultLocked, Delivery: models.DeliveryFailed, RetryAfter: wait})
	}
	return nil, f.authenticate(ctx)
}

// judgeToken judges a token of the portal: signed by us, of this client and number, in time, and for the first time.
func (f *registration) judgeToken(tx *store.Tx, a *models.Account, several bool) (judged, error) {
	text := f.in.Get(networkToken)
	token, ok := models.ParseNetworkToken(text, f.room.config.Mobile.TokenKeys)
	if ok = ok && token.ExpiresAt > tx.Now && token.ClientNonce == f.message.ClientNonce && token.MDN == f.message.Number; ok {
		var err error
		if ok, err = passwords.Spend(tx, text, token.ExpiresAt); err != nil {
			return judged{}, err
		}
	}
	return f.identified(tx, a, several, ok)
}

// judgeAsserted judges a nonce that the client sent by SMS before.
func (f *registration) judgeAsserted(tx *store.Tx, a *models.Account, several bool) (judged, error) {
	ok, err := passwords.Redeem(tx, f.message.Number, f.message.ClientNonce)
	if err != nil {
		return judged{}, err
	}
	return f.identified(tx, a, several, ok)
}

// identified is what becomes of a number that the network vouched for, or did not.
func (f *registration) identified(tx *store.Tx, a *models.Account, several, vouched bool) (judged, error) {
	r := &refusal{Outcome: denied(models.ResultNetworkIDFailed), code: "security.network_id_failed", counts: true}
	switch {
	case !vouched:
		wait, err := f.room.Passwords.DeviceFailed(tx, f.in.Key)
		if err != nil {
			return judged{}, err
		}
		if wait > 0 {
			r.Result, r.RetryAfter, r.code = models.ResultLocked, wait, "security.locked"
		}
		return judged{refusal: r}, nil
	case a == nil:
		return judged{refusal: &refusal{Outcome: denied(f.unknown(a, several)), code: "security.auth_failed"}}, nil
	}
	return judged{by: f.way.mode, method: models.ByNetwork, owner: true}, nil
}

// sendCode is the first session of mode sms: a code for the mobile itself, with the limits of GETPWD (i4.md B.3).
func (f *registration) sendCode(ctx context.Context) (*models.Request, error) {
	outcome, err := f.padded(ctx, "send a login code", func(ctx context.Context) (models.Outcome, error) {
		_, refusal, err := f.locked(ctx)
		if err != nil {
			return models.Outcome{}, err
		}
		if refusal != nil {
			return *refusal, nil
		}
		number := f.message.Number
		return f.text(ctx, wish{
			// The mobile counts whether somebody has it or not: what is limited tells nothing.
			Request: passwords.Request{Device: f.in.Key, RequestID: strings.ToLower(f.in.Get(requestID)), Number: number, Mobile: number},
			granted: models.ResultCodeSent,
			find:    f.claimant,
			refusal: f.standsInTheWay,
			mobile:  func(*models.Account) models.Number { return number },
			prepare: f.room.Passwords.PrepareCode,
			issue:   passwords.IssueCode,
			purpose: func(*store.Tx, *models.Account) (models.SmsPurpose, error) { return models.SmsLoginCode, nil },
		})
	})
	if err != nil {
		return nil, err
	}
	return nil, f.deny(ctx, outcome)
}

// standsInTheWay is what refuses a code to a mobile number.
func (f *registration) standsInTheWay(a *models.Account, several bool) models.Result {
	switch {
	case several:
		return models.ResultAuthFailed
	case a == nil:
		return models.ResultUnknownAccount
	}
	return stands(a, models.Mobile)
}

// sameSIM compares the SIM card that the client tells with the account's, if both are known (i4.md B.3). After an SMS code another card is only
// noted, unless it is to be rejected: the SMS is what a client falls back to.
func (f *registration) sameSIM(tx *store.Tx, a *models.Account) (*refusal, error) {
	told := f.in.Get(imsi)
	if !f.way.mobile || told == "" || len(a.IMSI) == 0 {
		return nil, nil
	}
	own, err := tx.Unseal("accounts", "imsi", a.ID, a.IMSI)
	if err != nil || string(own) == told {
		return nil, err
	}
	const code = "security.imsi_mismatch"
	switch {
	case f.room.config.Mobile.RejectIMSI:
		return &refusal{Outcome: denied(models.ResultAuthFailed), code: code}, nil
	case f.way.mode == modeChallenge:
		return nil, security(tx, code, a, f.device, nil)
	}
	return &refusal{Outcome: denied(models.ResultNetworkIDFailed), code: code}, nil
}

// identify remembers what a mobile client was identified by; of one that proved a password only its SIM card is known.
func (f *registration) identify(tx *store.Tx, d *models.Device, a *models.Account, j judged) error {
	if d.ClientType != models.Mobile {
		return nil
	}
	var number models.Number
	if f.way.mobile {
		number = f.message.Number
		by := f.way.mode
		if by == modeChallenge {
			by = modeSMS
		}
		if err := informed(tx, d, a, "mobile.identified", by); err != nil {
			return err
		}
	}
	told := f.in.Get(imsi)
	if !isIMSI(told) {
		told = "" // a password says nothing about it
	}
	return devices.Identify(tx, d.ID, number, told, j.method)
}

// informed appends DEVICE_INFORM about a device that the log does not yet know as the account's.
func informed(tx *store.Tx, d *models.Device, a *models.Account, code, by string) error {
	e := devices.EventOf(d, models.DeviceInform, code, map[string]any{"account": a.ID, "by": by})
	e.AccountID, e.AccountExternalID, e.Region = a.ID, a.ExternalID, a.Region
	return events.Append(tx, e)
}

// watchSIM looks at the SIM card of a mobile client that boots or tells anything new: another one than it was identified by suspends its binding
// and asks for a new REGISTER (i4.md B.3). The boot alone is not enough, because without credentials it is let in too and proves nothing
// (A.2-3). A client that told no card before is known by this one from now on. Call it before the Inform is kept as told.
func (v *Visit) watchSIM(ctx context.Context) error {
	d, told := v.device, v.in.Get(imsi)
	if d.ClientType != models.Mobile || d.AccountID.IsZero() || v.in.Has(models.EventRegister) || told == "" || !isIMSI(told) ||
		!v.in.Has(models.EventBoot) && devices.Told(d, v.in) {
		return nil
	}
	var known string
	var identified bool
	err := v.room.store.View(ctx, func(tx *store.Tx) (err error) {
		known, identified, err = devices.SIM(tx, d.ID)
		return err
	})
	if err != nil || !identified || known == told {
		return err
	}
	return v.room.store.InTx(ctx, func(tx *store.Tx) error {
		b, err := bindings.LiveOfDevice(tx, d.ID)
		if err != nil || b == nil {
			return err
		}
		known, _, err := devices.SIM(tx, d.ID) // again, now that no REGISTER can change it
		switch {
		case err != nil, known == told:
			return err
		case known == "":
			return devices.SetSIM(tx, d.ID, told)
		case b.State == models.BindingSuspended && d.ReauthRequired:
			return nil
		}
		a, err := accounts.Load(tx, b.AccountID)
		if err != nil {
			return err
		}
		if err := security(tx, "security.sim_changed", a, d, nil); err != nil {
			return err
		}
		if err := bindings.Suspend(tx, b, bindings.SIMChanged); err != nil {
			return err
		}
		tx.AfterCommit(func() { d.ReauthRequired = true })
		return devices.SetReauth(tx, d.ID, true)
	})
}

var nonceRun = regexp.MustCompile(`(?i)(?:^|[^0-9a-f])([0-9a-f]{32})(?:[^0-9a-f]|$)`)

// Asserted takes an SMS that a mobile client sent to the service number: its sender is a number that the network vouches for, its text holds the
// ClientNonce of the REGISTER that follows (i4.md B.3, mo-sms). A text without one is none of ours.
func (r *Room) Asserted(ctx context.Context, from models.Number, text string) error {
	found := nonceRun.FindStringSubmatch(text)
	if found == nil {
		slog.DebugContext(ctx, "an SMS to the service number is not about a REGISTER")
		return nil
	}
	return r.store.InTx(ctx, func(tx *store.Tx) error {
		return passwords.Assert(tx, from, strings.ToLower(found[1]), r.config.Mobile.AssertedTTL)
	})
}
