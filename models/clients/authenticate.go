package clients

import (
	"context"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// backendRetry is UI.RetryAfter with Status 4, in seconds (i4.md B.2).
const backendRetry = 60

// authenticate judges the proof and, if everything holds, binds the device and prepares the delivery, in one transaction: what the client is
// told next is committed.
func (f *registration) authenticate(ctx context.Context, given string) error {
	var d *models.Device
	refused := false
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		d, f.own, f.delivery, refused = nil, nil, nil, false
		a, err := accounts.LockForNumber(tx, f.message.Number)
		if err != nil {
			return err
		}
		verdict, err := f.room.Passwords.Judge(tx, passwords.Attempt{
			Number: f.message.Number, Account: a, Device: f.in.Key, Message: f.message, Proof: given,
		})
		if err != nil {
			return err
		}
		if !verdict.OK {
			refused = verdict.Result != models.ResultChallengeInvalid
			f.outcome = f.wrong(a, verdict)
			return f.record(tx, a, verdict)
		}
		ended, outcome, err := f.admit(tx, a, verdict)
		if err != nil || outcome != nil {
			if outcome != nil {
				f.outcome = *outcome
			}
			return err
		}
		d, err = f.bind(tx, a, verdict, ended)
		return err
	})
	if err != nil {
		return err
	}
	if refused {
		f.room.Passwords.IPFailed(f.in.RemoteAddress)
	}
	if d == nil {
		f.tell(f.outcome)
		return nil
	}
	f.device, f.trust, f.began = d, models.L1, true
	f.promote()
	f.seen()
	if err := f.room.Devices.Report(f.as(ctx), d, f.in); err != nil {
		return err
	}
	f.then = f.deliver
	return nil
}

// promote gives the rest of the session to a device that has proved itself (i4.md C.2.2).
func (f *registration) promote() {
	for _, later := range f.flows[1:] {
		if _, there := later.(*service); there {
			return
		}
	}
	f.flows = append(f.flows, &service{Visit: f.Visit})
}

// wrong is what a client hears of a proof that does not hold.
func (f *registration) wrong(a *models.Account, v passwords.Verdict) models.Outcome {
	result := v.Result
	if result == models.ResultAuthFailed && a == nil && !f.room.config.AntiEnumeration {
		result = models.ResultUnknownAccount
	}
	return models.Outcome{Result: result, Delivery: models.DeliveryFailed, RetryAfter: v.RetryAfter, Limit: v.Limit, Times: v.Times}
}

func (f *registration) record(tx *store.Tx, a *models.Account, v passwords.Verdict) error {
	code := "security.auth_failed"
	switch v.Result {
	case models.ResultLocked:
		code = "security.locked"
	case models.ResultChallengeInvalid:
		code = "security.challenge_invalid"
	}
	return security(tx, code, a, f.device, map[string]any{"times": v.Times})
}

// admit runs the checks that follow a correct proof, in the order of B.2; outcome is nil if all hold. ended are the bindings that this one
// replaces.
func (f *registration) admit(tx *store.Tx, a *models.Account, v passwords.Verdict) (ended []models.Binding, outcome *models.Outcome, err error) {
	t := f.clientType()
	no := func(result models.Result) (_ []models.Binding, outcome *models.Outcome, err error) {
		o := denied(result)
		return nil, &o, nil
	}
	if refusal := stands(a, t); refusal != "" {
		return no(refusal)
	}
	if tooOld(f.in.Get(softwareName), f.room.config.MinVersion[t]) {
		return no(models.ResultVersionTooOld)
	}
	var known models.ID
	if f.device != nil {
		known = f.device.ID
	}
	ended, conflict, err := f.room.config.Policy.Replaces(tx, a, known, t, v.Kind == models.OneTimePassword)
	if err != nil {
		return nil, nil, err
	}
	if conflict {
		if err := security(tx, "security.device_conflict", a, f.device, nil); err != nil {
			return nil, nil, err
		}
		return no(models.ResultDeviceConflict)
	}
	if len(a.SipPassword) == 0 {
		o := denied(models.ResultTimeout)
		o.RetryAfter = backendRetry
		return nil, &o, nil
	}
	return ended, nil, nil
}

// bind does everything that a correct proof brings, in the order of its events (resolutions 49, 65).
func (f *registration) bind(tx *store.Tx, a *models.Account, v passwords.Verdict, ended []models.Binding) (*models.Device, error) {
	for i := range ended {
		if err := f.release(tx, &ended[i]); err != nil {
			return nil, err
		}
	}
	d, err := f.row(tx, a)
	if err != nil {
		return nil, err
	}
	tx.As(models.ByDevice(d.ID, string(d.Key)))
	devices.Lay(d, f.in)
	if err := authenticated(tx, d, a, v.Kind); err != nil {
		return nil, err
	}
	method := models.ByPassword
	if v.Kind == models.OneTimePassword {
		method = models.ByOneTimePassword
	}
	before := d.DesiredVersion
	b, created, err := bindings.Bind(tx, d, a, method, models.ByDevice(d.ID, string(d.Key)))
	if err != nil {
		return nil, err
	}
	d.AccountID, d.AccountState, d.Region = a.ID, a.State, a.Region // as Bind wrote it
	if err := passwords.Use(tx, v, f.in.Key, b.ID); err != nil {
		return nil, err
	}
	password, err := devices.RotateCredentials(tx, d)
	if err != nil {
		return nil, err
	}
	if _, _, err := f.room.Configuration.Rebuild(tx, d, a); err != nil {
		return nil, err
	}
	if f.epoch, err = devices.TakeWork(tx, d); err != nil {
		return nil, err
	}
	f.own = []models.Value{
		{Name: serverProof, Value: v.Verifier.ServerProof(f.message)},
		{Name: acsUsername, Value: d.HTTPUsername},
		{Name: acsPassword, Value: password.Reveal(), Secret: true},
	}
	f.outcome = models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}
	unchanged := !created && d.DesiredVersion == before && d.ConfirmedVersion == before && models.VersionOf(f.in.ParameterKey) == before
	if unchanged && f.room.config.ReportAlready {
		f.outcome.Result = models.ResultAlreadyDone
	} else if err := f.prepare(tx, d); err != nil {
		return nil, err
	}
	if err := devices.SetLogin(tx, d, f.in.Get(loginSessionID)); err != nil {
		return nil, err
	}
	return d, devices.SetOnline(tx, d, tx.Now)
}

// prepare takes the whole configuration into the delivery.
func (f *registration) prepare(tx *store.Tx, d *models.Device) (err error) {
	if f.delivery, err = f.room.Configuration.Everything(tx, d, f.key); err != nil || f.delivery == nil {
		return err
	}
	return f.room.Configuration.Sent(tx, d, f.epoch, f.delivery)
}

// row returns the device's row, made now if this is its first verified proof (resolutions 8).
func (f *registration) row(tx *store.Tx, a *models.Account) (*models.Device, error) {
	if f.device != nil {
		return devices.LockByID(tx, f.device.ID)
	}
	return devices.Create(tx, f.in, a)
}

// release ends the binding of another device: it belongs to nobody now, and what it holds is good for Status 12 only.
func (f *registration) release(tx *store.Tx, b *models.Binding) error {
	if err := bindings.Remove(tx, b, bindings.Replaced); err != nil {
		return err
	}
	old, err := devices.LockByID(tx, b.DeviceID)
	if err != nil {
		return err
	}
	_, _, err = f.room.Configuration.Rebuild(tx, old, nil)
	return err
}

func authenticated(tx *store.Tx, d *models.Device, a *models.Account, kind models.CredentialKind) error {
	e := devices.EventOf(d, models.DeviceInform, "client.authenticated", map[string]any{"account": a.ID, "by": kind})
	e.AccountID, e.AccountExternalID, e.Region = a.ID, a.ExternalID, a.Region
	return events.Append(tx, e)
}

// tooOld compares versions as dot-separated numbers; versions that are none must be equal to the minimum (i4.md B.7).
func tooOld(version, minimum string) bool {
	if minimum == "" {
		return false
	}
	have, ok := numbers(version)
	want, ok2 := numbers(minimum)
	if !ok || !ok2 {
		return version != minimum
	}
	for i := range max(len(have), len(want)) {
		var h, w int
		if i < len(have) {
			h = have[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if h != w {
			return h < w
		}
	}
	return false
}

func numbers(version string) (list []int, ok bool) {
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}
