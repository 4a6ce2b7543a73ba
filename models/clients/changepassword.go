package clients

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store"
)

// passwordChange is flow 6.1.5 (i4.md B.5): a bound PC client proves the old password and brings the verifier of the new one.
type passwordChange struct {
	challenge
	requestID string
	// account is the number's; salt and rounds are those that the client was told.
	account models.ID
	salt    []byte
	rounds  int

	// own is what a change delivers: the platform's proof and the new HTTP credentials. without is what the client refused of its outcome.
	own     []models.Value
	without []string
	outcome models.Outcome
}

func newPasswordChange(v *Visit) *passwordChange {
	f := &passwordChange{}
	f.Visit = v
	f.wants = []string{newSalt, newIterations, newStoredKey, newServerKey, newVerifierMAC}
	if v.room.config.PlaintextChange {
		f.wants = []string{newPassword}
	}
	f.then, f.prove, f.refuse = f.begin, f.change, f.deny
	return f
}

// changePassword is the action in the audit log.
const changePassword = "changePassword"

// begin runs the checks that need no proof, in the order of B.5, and sends the challenge.
func (f *passwordChange) begin(ctx context.Context) (*models.Request, error) {
	request, err := f.tryChallenge(ctx)
	if err != nil {
		return nil, f.failed(ctx, err)
	}
	return request, nil
}

func (f *passwordChange) tryChallenge(ctx context.Context) (*models.Request, error) {
	number, wrong := f.parse()
	if wrong != "" {
		return nil, f.deny(ctx, malformed(wrong))
	}
	var refusal *models.Outcome
	var prior *models.PasswordChange
	err := f.room.store.View(ctx, func(tx *store.Tx) error {
		a, err := accounts.Load(tx, f.device.AccountID)
		if err != nil {
			return err
		}
		if a == nil || a.Msisdn != number {
			return errForeign
		}
		f.account = a.ID
		lock, err := f.room.Passwords.LockedFor(tx, models.ToChangePassword, number, a.ID, f.in.Key)
		if err != nil || lock.RetryAfter > 0 {
			refusal = &models.Outcome{Result: models.ResultLocked, Delivery: models.DeliveryFailed, RetryAfter: lock.RetryAfter, Limit: f.room.Passwords.Tries(), Times: lock.Failures}
			return err
		}
		prior, refusal, err = f.admit(tx, a)
		return err
	})
	switch {
	case errors.Is(err, errForeign):
		return nil, f.foreign(ctx)
	case err != nil:
		return nil, err
	case refusal != nil && prior != nil:
		f.tell(*refusal)
		return nil, nil
	case refusal != nil:
		return nil, f.deny(ctx, *refusal)
	}
	if prior != nil {
		f.salt, f.rounds = prior.Salt, prior.Iterations
	} else if f.salt, f.rounds, err = f.room.Passwords.Salt(ctx, number, f.account); err != nil {
		return nil, err
	}
	return f.request(f.salt, f.rounds), nil
}

// errForeign: the number is not that of the account that the device is bound to.
var errForeign = errors.New("another account's number")

// parse reads what the client sent; wrong names the first parameter that is missing or malformed.
func (f *passwordChange) parse() (number models.Number, wrong string) {
	number, ok := f.room.config.Plan.Normalise(f.in.Get(userName))
	switch {
	case f.clientType() != models.PC:
		return "", clientTypeName
	case !ok:
		return "", userName
	case !isHex(f.in.Get(requestID), 32):
		return "", requestID
	case f.in.Get(mode) != "challenge":
		return "", mode
	case f.in.Get(algorithm) != models.ProofAlgorithm:
		return "", algorithm
	case f.in.Get(purpose) != string(models.ToChangePassword):
		return "", purpose
	case !isHex(f.in.Get(clientNonce), 32):
		return "", clientNonce
	}
	f.requestID = strings.ToLower(f.in.Get(requestID))
	f.message = models.AuthMessage{
		Purpose: models.ToChangePassword, Number: number, DeviceKey: f.in.Key, ClientType: models.PC, ClientNonce: strings.ToLower(f.in.Get(clientNonce)),
	}
	return number, ""
}

// admit tells how the RequestId was answered before, and what it gets at once: that answer again, or a refusal because the account has made
// its changes of the day. Without an outcome it has to be proved, a repeat like the change itself.
func (f *passwordChange) admit(tx *store.Tx, a *models.Account) (prior *models.PasswordChange, outcome *models.Outcome, err error) {
	prior, err = f.room.Passwords.Answered(tx, f.in.Key, f.requestID)
	if err != nil {
		return nil, nil, err
	}
	at := func(o models.Outcome) (*models.PasswordChange, *models.Outcome, error) { return prior, &o, nil }
	switch {
	case a.State == models.AccountTerminated:
		o := denied(models.ResultClosed)
		return nil, &o, nil
	case prior == nil:
		wait, err := f.room.Passwords.ChangeWait(tx, a.ID)
		if err != nil || wait == 0 {
			return nil, nil, err
		}
		return at(models.Outcome{Result: models.ResultRateLimited, Delivery: models.DeliveryFailed, RetryAfter: wait})
	case prior.AccountID != a.ID:
		return at(malformed(requestID))
	case prior.Status != string(models.ResultOK):
		return at(denied(models.Result(prior.Status)))
	case !f.room.Passwords.Kept(prior, tx.Now):
		return at(models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone})
	}
	return prior, nil, nil
}

// change judges the proof and changes the password, in one transaction: what the client is told next is committed.
func (f *passwordChange) change(ctx context.Context, given map[string]string) error {
	n, fits, err := f.candidate(ctx, given)
	if err != nil {
		return f.failed(ctx, err)
	}
	wrongProof := false
	err = f.room.store.InTx(ctx, func(tx *store.Tx) error {
		f.own, wrongProof = nil, false
		a, err := accounts.LockForNumber(tx, f.message.Number)
		if err != nil {
			return err
		}
		if idOf(a) != f.account {
			return errChanged
		}
		prior, refusal, err := f.admit(tx, a)
		if err != nil {
			return err
		}
		if refusal != nil {
			f.outcome = *refusal
			if prior != nil {
				return nil
			}
			return f.note(tx, a, nil)
		}
		v, err := f.judge(tx, a, prior, given[proof])
		if err != nil {
			return err
		}
		if !v.OK {
			wrongProof = v.Result != models.ResultChallengeInvalid
			f.outcome = models.Outcome{Result: v.Result, Delivery: models.DeliveryFailed, RetryAfter: v.RetryAfter, Limit: v.Limit, Times: v.Times}
			return f.note(tx, a, map[string]any{"times": v.Times})
		}
		d, err := devices.LockByID(tx, f.device.ID)
		if err != nil {
			return err
		}
		c := passwords.Change{Account: a, Device: f.in.Key, RequestID: f.requestID}
		switch {
		case d.AccountID != a.ID || d.Revoked || d.ReauthRequired: // since the challenge
			f.outcome = denied(models.ResultReauthRequired)
			return nil
		case prior == nil && !fits(v.Verifier):
			f.outcome = denied(models.ResultPasswordRejected)
			if err := f.note(tx, a, nil); err != nil {
				return err
			}
			return f.room.Passwords.RecordChange(tx, c, models.ResultPasswordRejected)
		case prior == nil:
			if err := f.replace(tx, d, c, v.Verifier, n); err != nil {
				return err
			}
		}
		password, err := devices.RotateCredentials(tx, d)
		if err != nil {
			return err
		}
		f.own = []models.Value{
			{Name: serverProof, Value: v.Verifier.ServerProof(f.message)},
			{Name: acsUsername, Value: d.HTTPUsername},
			{Name: acsPassword, Value: password.Reveal(), Secret: true},
		}
		f.outcome = models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}
		return nil
	})
	switch {
	case err != nil:
		return f.failed(ctx, err)
	case wrongProof:
		f.room.Passwords.IPFailed(f.in.RemoteAddress)
	}
	if f.own == nil {
		f.tell(f.outcome)
		return nil
	}
	f.then = f.deliver
	return nil
}

// candidate reads the new verifier, or derives it outside the transaction; fits tells later whether it may follow on the old one.
func (f *passwordChange) candidate(ctx context.Context, given map[string]string) (n passwords.NewVerifier, fits func(old models.Verifier) bool, err error) {
	room := f.room.Passwords
	if !f.room.config.PlaintextChange {
		rounds, errRounds := strconv.Atoi(given[newIterations])
		n, ok := passwords.ReadVerifier(given[newSalt], rounds, given[newStoredKey], given[newServerKey])
		return n, func(old models.Verifier) bool {
			return ok && errRounds == nil && room.Fits(f.message.Number, n, old, f.message, given[proof], given[newVerifierMAC])
		}, nil
	}
	password := models.Secret(given[newPassword])
	if !passwords.Strong(password, f.message.Number) {
		return n, func(models.Verifier) bool { return false }, nil
	}
	n, underOld, err := room.DeriveNew(ctx, f.message.Number, password, f.salt, f.rounds)
	return n, func(old models.Verifier) bool { return old.StoredKey != underOld.StoredKey }, err
}

func (f *passwordChange) judge(tx *store.Tx, a *models.Account, prior *models.PasswordChange, given string) (passwords.Verdict, error) {
	attempt := passwords.Attempt{Number: f.message.Number, Account: a, Device: f.in.Key, Message: f.message, Proof: given, Repeat: prior}
	b, err := bindings.LiveOfDevice(tx, f.device.ID)
	if err != nil {
		return passwords.Verdict{}, err
	}
	if b != nil {
		attempt.Binding = b.ID
	}
	return f.room.Passwords.Judge(tx, attempt)
}

// replace does everything that a change brings, once.
func (f *passwordChange) replace(tx *store.Tx, d *models.Device, c passwords.Change, old models.Verifier, n passwords.NewVerifier) error {
	if err := f.room.Passwords.Replace(tx, c, old, n); err != nil {
		return err
	}
	if d.MustChangePassword {
		if err := devices.SetMustChange(tx, d.ID, false); err != nil {
			return err
		}
		if err := devices.SetWork(tx, d.ID, tx.Now); err != nil { // what Status 15 withheld comes in the next session (resolutions 13)
			return err
		}
	}
	if _, err := accounts.Reauthenticate(tx, c.Account, d.ID, true); err != nil {
		return err
	}
	err := events.Audit(tx, models.AuditEntry{
		Action: changePassword, Subject: models.Subject{Kind: models.KindAccount, ID: c.Account.ID},
		Changes: models.DocOf(map[string]any{"password": "[redacted]"}),
	})
	if err != nil || c.Account.BoundMobile == "" {
		return err
	}
	_, err = sms.Queue(tx, sms.Message{
		AccountID: c.Account.ID, Region: c.Account.Region, To: c.Account.BoundMobile, Body: models.Secret(f.room.config.ChangedText),
		Purpose: models.SmsNotice, ExpiresAt: tx.Now.Add(noticeTTL),
	})
	return err
}

// noticeTTL is how long it is worth telling of a change.
const noticeTTL = 24 * time.Hour

// deliver sends the platform's proof and the new HTTP credentials.
func (f *passwordChange) deliver(context.Context) (*models.Request, error) {
	f.take = f.delivered
	return &models.Request{Method: models.SetParameterValues, Values: f.own, Outcome: &f.outcome, Without: f.without}, nil
}

// delivered takes the client's answer. Whatever it is, the change stays committed: a client that refuses the delivery keeps its older HTTP
// credentials and may repeat its RequestId.
func (f *passwordChange) delivered(ctx context.Context, reply models.Reply) error {
	if reply.Fault == nil {
		return nil
	}
	if reply.Fault.Code == deniedByClient {
		f.flows = f.flows[:1] // whoever does not believe the proof is told nothing more
		return f.room.store.InTx(ctx, func(tx *store.Tx) error {
			return security(tx, "security.server_proof_rejected", nil, f.device, map[string]any{"fault": reply.Fault.Code})
		})
	}
	if refused := dispensable(reply.Fault); refused != nil && f.without == nil {
		f.without, f.then = refused, f.deliver
		return nil
	}
	slog.WarnContext(ctx, "a client refused the answer to its password change", "device", f.in.Key, "fault", reply.Fault.Code)
	return nil
}

// dispensable names what the client refused if it can do without all of it.
func dispensable(fault *models.Fault) (names []string) {
	for _, p := range fault.Parameters {
		if !strings.HasPrefix(p.Name, "ui.") || p.Name == status || p.Name == result {
			return nil
		}
		names = append(names, p.Name)
	}
	return names
}

// deny ends the flow with an outcome, and tells the north of a refusal.
func (f *passwordChange) deny(ctx context.Context, outcome models.Outcome) error {
	f.outcome = outcome
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := accounts.Load(tx, f.device.AccountID)
		if err != nil {
			return err
		}
		return f.note(tx, a, nil)
	})
	if err != nil {
		return f.failed(ctx, err)
	}
	f.tell(outcome)
	return nil
}

// foreign refuses a device that names a number which is not its own (i4.md B.5).
func (f *passwordChange) foreign(ctx context.Context) error {
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := accounts.Load(tx, f.device.AccountID)
		if err != nil {
			return err
		}
		return security(tx, "security.foreign_number", a, f.device, nil)
	})
	if err != nil {
		return err
	}
	f.tell(denied(models.ResultAuthFailed))
	return nil
}

// refusals are the security events of what a CHANGEPWD may hear.
var refusals = map[models.Result]string{
	models.ResultAuthFailed: "security.auth_failed", models.ResultLocked: "security.locked", models.ResultRateLimited: "security.rate_limited",
	models.ResultChallengeInvalid: "security.challenge_invalid", models.ResultPasswordRejected: "security.password_rejected",
	models.ResultMalformed: "security.malformed",
}

// note appends the security event of f.outcome, if it is a refusal.
func (f *passwordChange) note(tx *store.Tx, a *models.Account, fields map[string]any) error {
	code := refusals[f.outcome.Result]
	if code == "" {
		return nil
	}
	if f.outcome.Detail != "" {
		fields = map[string]any{"parameter": f.outcome.Detail}
	}
	return security(tx, code, a, f.device, fields)
}

// failed ends the flow with Status 50 and an audit row, unless the error is one that the HTTP door answers with 503.
func (f *passwordChange) failed(ctx context.Context, err error) error {
	if models.CodeOf(err) == models.Unavailable {
		return err
	}
	f.tell(internalError(ctx, "change password", f.Visit, err))
	err = f.room.store.InTx(ctx, func(tx *store.Tx) error {
		return events.Audit(tx, models.AuditEntry{
			Action: changePassword, Subject: models.Subject{Kind: models.KindAccount, ID: f.device.AccountID}, Outcome: models.AuditFailed,
			ErrorCode: models.Code(models.ResultInternal),
		})
	})
	if err != nil {
		slog.ErrorContext(ctx, "audit a password change that went wrong", "device", f.in.Key, "error", err)
	}
	return nil
}
