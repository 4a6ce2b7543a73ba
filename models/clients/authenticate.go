package clients

import (
	"context"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// backendRetry is UI.RetryAfter with Status 4, in seconds (i4.md B.2).
const backendRetry = 60

// authenticate judges the client's claim and, if everything holds, binds the device and prepares the delivery, in one transaction: what the
// client is told next is committed. A failure takes as long as the answer to GETPWD: for an account more is written than for nobody's number.
func (f *registration) authenticate(ctx context.Context) error {
	began := f.room.clock.Now()
	var d *models.Device
	var refused *refusal
	var proofs []models.Value // the platform's own
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		d, f.own, f.delivery, refused = nil, nil, nil, nil
		a, several, err := f.claimant(tx, true)
		if err != nil {
			return err
		}
		j, err := f.way.judge(f, tx, a, several)
		if err != nil {
			return err
		}
		proofs = j.own
		var ended []models.Binding
		if refused = j.refusal; refused == nil {
			if ended, refused, err = f.admit(tx, a, j); err != nil {
				return err
			}
		}
		if refused != nil {
			return f.note(tx, a, *refused)
		}
		d, err = f.bind(tx, a, j, ended)
		return err
	})
	switch {
	case err != nil:
		return err
	case refused != nil:
		f.tell(refused.Outcome)
		if f.isScreen() {
			f.turnAway(refused.Result)
		}
		if refused.Result == models.ResultVersionTooOld {
			return f.offer(ctx, proofs)
		}
		if !refused.counts {
			return nil
		}
		f.room.Passwords.IPFailed(f.in.RemoteAddress)
		return f.pad(ctx, began)
	}
	f.device, f.trust, f.began = d, max(f.trust, models.L1), true
	f.configured = f.configured || d.MustChangePassword
	f.promote()
	f.seen()
	if err := f.room.Devices.Report(f.as(ctx), d, f.in); err != nil {
		return err
	}
	f.then = f.deliver
	return nil
}

// note writes down why the client was refused.
func (f *registration) note(tx *store.Tx, a *models.Account, r refusal) error {
	if f.isScreen() {
		return f.noteScreen(tx, a, r)
	}
	fields := map[string]any{"result": r.Result}
	if r.Times > 0 {
		fields["times"] = r.Times
	}
	return security(tx, r.code, a, f.device, fields)
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

// admit runs the checks that follow a proof, in the order of B.2 and B.3; refused is nil if all hold. ended are the bindings that this one
// replaces.
func (f *registration) admit(tx *store.Tx, a *models.Account, j judged) (ended []models.Binding, refused *refusal, err error) {
	t := f.clientType()
	no := func(code string, o models.Outcome) ([]models.Binding, *refusal, error) {
		return nil, &refusal{Outcome: o, code: code}, nil
	}
	const refusedCode = "security.register_refused"
	if result := stands(a, t); result != "" {
		return no(refusedCode, denied(result))
	}
	if refused, err := f.sameSIM(tx, a); err != nil || refused != nil {
		return nil, refused, err
	}
	if models.TooOld(f.in.Get(softwareName), f.room.config.MinVersion[t]) {
		return no(refusedCode, denied(models.ResultVersionTooOld))
	}
	var known models.ID
	if f.device != nil {
		known = f.device.ID
	}
	ended, conflict, err := f.room.config.Policy.Replaces(tx, a, known, t, j.owner)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case conflict && t == models.MagicScreen:
		return no("security.device_conflict", denied(models.ResultBoundToOther))
	case conflict:
		return no("security.device_conflict", denied(models.ResultDeviceConflict))
	}
	if len(a.SipPassword) == 0 {
		o := denied(models.ResultTimeout)
		o.RetryAfter = backendRetry
		return no(refusedCode, o)
	}
	return ended, nil, nil
}

// bind does everything that a proof brings, in the order of its events (resolutions 49, 65).
func (f *registration) bind(tx *store.Tx, a *models.Account, j judged, ended []models.Binding) (*models.Device, error) {
	for i := range ended {
		if err := bindings.Release(tx, f.room.Configuration, &ended[i], bindings.Replaced); err != nil {
			return nil, err
		}
	}
	d, err := f.row(tx, a)
	if err != nil {
		return nil, err
	}
	by := models.ByDevice(d.ID, string(d.Key))
	tx.As(by)
	devices.Lay(d, f.in)
	if err := informed(tx, d, a, "client.authenticated", j.by); err != nil {
		return nil, err
	}
	if err := f.identify(tx, d, a, j); err != nil {
		return nil, err
	}
	if f.isScreen() {
		if err := f.noteBound(tx, d, a, j); err != nil {
			return nil, err
		}
	}
	before := d.DesiredVersion
	b, created, err := bindings.Bind(tx, d, a, j.method, by)
	if err != nil {
		return nil, err
	}
	d.AccountID, d.AccountState, d.Region = a.ID, a.State, a.Region // as Bind wrote it
	if err := passwords.Use(tx, j.verdict, f.in.Key, b.ID); err != nil {
		return nil, err
	}
	if err := f.settleDebts(tx, d, j); err != nil {
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
	f.own = append(j.own,
		models.Value{Name: acsUsername, Value: d.HTTPUsername},
		models.Value{Name: acsPassword, Value: password.Reveal(), Secret: true})
	if f.way.mobile || f.isScreen() {
		f.own = append(f.own, models.Value{Name: userName, Value: string(a.Msisdn)}) // resolutions 9
	}
	f.outcome = models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}
	unchanged := !created && d.DesiredVersion == before && d.ConfirmedVersion == before && models.VersionOf(f.key) == before
	switch {
	case d.MustChangePassword:
		f.outcome.Result = models.ResultMustChangePassword
		err = f.manage(tx, d)
	case unchanged && f.room.config.ReportAlready:
		f.outcome.Result = models.ResultAlreadyDone
	default:
		err = f.prepare(tx, d)
	}
	if err != nil {
		return nil, err
	}
	if session := f.in.Get(loginSessionID); session != "" {
		if err := devices.SetLogin(tx, d, session); err != nil {
			return nil, err
		}
	}
	return d, devices.SetOnline(tx, d, tx.Now)
}

// settleDebts takes from the device what it owed before: a proof, and the change of an initial password unless this was one. Only PC clients can
// change their password (i4.md B.5).
func (f *registration) settleDebts(tx *store.Tx, d *models.Device, j judged) error {
	must := f.room.config.Ways.MustChangeInitial && j.verdict.Kind == models.OneTimePassword && d.ClientType == models.PC
	if d.ReauthRequired {
		if err := devices.SetReauth(tx, d.ID, false); err != nil {
			return err
		}
		d.ReauthRequired = false
	}
	if d.MustChangePassword != must {
		if err := devices.SetMustChange(tx, d.ID, must); err != nil {
			return err
		}
		d.MustChangePassword = must
	}
	return devices.SetLegacyAuth(tx, d, f.plain != nil)
}

// manage delivers with Status 15 what keeps the device in touch, and nothing of its service: that comes after CHANGEPWD (resolutions 13).
func (f *registration) manage(tx *store.Tx, d *models.Device) error {
	everything, err := f.room.Configuration.Everything(tx, d, f.key)
	if err != nil || everything == nil {
		return err
	}
	for _, v := range everything.Values {
		if v.Name == configuration.PeriodicInformInterval || v.Name == configuration.PeriodicInformEnable {
			f.own = append(f.own, v)
		}
	}
	return nil
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
