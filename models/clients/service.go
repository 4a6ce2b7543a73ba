package clients

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// maxTasks is how many tasks a session may take (i4.md A.5-8).
const maxTasks = 16

// service is what a device at L1 is asked when nothing else is going on: its configuration first (i4.md B.10), then its tasks. A device
// without work costs no statement.
type service struct {
	*Visit
	// delivery is out; nil if a task or a diagnostic is, or nothing.
	delivery *configuration.Delivery
	// outcome goes with the delivery that turns the line off, or on again.
	outcome *models.Outcome
	// own are the new HTTP credentials that a delivery after a factory reset, or to a device of a closed account, carries.
	own   []models.Value
	task  *models.Task
	taken int
	// test is the diagnostic that is being read or begun; nil if none is. read, tested: this session has read, or begun, what there was.
	test         *models.Diagnostic
	read, tested bool
	// building adds objects that delivery sets and the device does not have.
	building building
	// reading: values are read back, because the device may have changed what it was given; sampled: that was done.
	reading, sampled bool
	// probe reads back whether a version took effect; nil if its ParameterKey says enough, or it was asked. probing: it is out.
	probe   *models.Request
	probing bool
	// gone: the device was unbound in this session, because it has answered for the closing of its account. told: it knows.
	gone, told bool
	// over: a newer session has the device, or there is nothing left.
	over bool
}

func (f *service) next(ctx context.Context) (*models.Request, error) {
	if f.over || f.epoch == 0 && !f.due() {
		return nil, nil
	}
	if f.task != nil && len(f.task.Steps) > 0 { // one task, several requests
		return &f.task.Steps[0], nil
	}
	if f.test != nil { // as well
		return &f.test.Steps[0], nil
	}
	request, err := f.results(ctx)
	if err != nil || request != nil || f.over {
		return request, err
	}
	request, err = f.confirm(ctx)
	if err != nil || request != nil || f.over {
		return request, err
	}
	request, err = f.configure(ctx)
	if err != nil || request != nil || f.over {
		return request, err
	}
	if f.gone && !f.told { // its answer was lost in an older session; this one says what every later one will
		f.told, f.task = true, nil
		outcome := denied(models.ResultReauthRequired)
		return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}, nil
	}
	if request, err = f.sample(ctx); err != nil || request != nil {
		return request, err
	}
	// A device that owes a proof is here for what its account's suspension or end takes from it.
	if f.taken < maxTasks && !f.gone && !f.device.ReauthRequired {
		if request, err = f.diagnose(ctx); err != nil || request != nil {
			return request, err
		}
		f.task, request, err = f.room.Tasks.Next(ctx, f.device, f.epoch)
		if err != nil || request != nil {
			f.taken++
			return request, err
		}
	}
	f.over = true
	return nil, f.settle(ctx)
}

func (f *service) due() bool {
	now := f.room.clock.Now()
	work := f.device.WorkAt
	return !work.IsZero() && work <= now || !f.device.AccountID.IsZero() && configuration.Due(f.device, f.in, now)
}

// results asks for what the device's diagnostics found, before anything else (i4.md A.5-8); nil if there is nothing to ask.
func (f *service) results(ctx context.Context) (*models.Request, error) {
	if f.read || f.gone || f.device.ReauthRequired {
		return nil, nil
	}
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		f.test = nil
		if _, err := f.begin(tx); err != nil {
			return err
		}
		var err error
		f.test, err = f.room.Diagnostics.Read(tx, f.device, f.epoch)
		return err
	})
	if errors.Is(err, configuration.ErrOvertaken) {
		f.over = true
		return nil, nil
	}
	if err != nil || f.test == nil {
		f.read = err == nil
		return nil, err
	}
	return &f.test.Steps[0], nil
}

// diagnose begins the diagnostic that waits; nil if none does.
func (f *service) diagnose(ctx context.Context) (request *models.Request, err error) {
	if f.tested {
		return nil, nil
	}
	if f.test, err = f.room.Diagnostics.Begin(ctx, f.device, f.epoch); err != nil || f.test == nil {
		f.tested = true
		return nil, err
	}
	f.taken++
	return &f.test.Steps[0], nil
}

// configure takes the device's work, if this session has not yet, and returns the configuration that it is owed; nil if none.
func (f *service) configure(ctx context.Context) (request *models.Request, err error) {
	if f.building.build != nil {
		if request, err := f.construct(ctx); err != nil || request != nil || f.over {
			return request, err
		}
	}
	if f.delivery != nil {
		return f.deliver(), nil // once more, without what the device refused, or now that its objects are there
	}
	if f.epoch != 0 && (f.configured || f.device.AccountID.IsZero()) {
		return nil, nil
	}
	withheld := false
	err = f.room.store.InTx(ctx, func(tx *store.Tx) error {
		f.delivery, f.own, f.outcome, withheld = nil, nil, nil, false
		left, err := f.begin(tx)
		if err != nil || left || f.device.AccountID.IsZero() {
			return err
		}
		// A client that cannot register may hold another secret than it confirmed (resolutions 54).
		var again []string
		if devices.RegistrationRefused(f.in) {
			again = append(again, configuration.AuthPassword)
		}
		delivery, err := f.room.Configuration.Pending(tx, f.device, f.key, again...)
		if err != nil || delivery == nil {
			return err
		}
		outcome, err := f.standing(tx, delivery)
		if err != nil {
			return err
		}
		// What a suspended or closed account takes away is delivered all the same.
		if withheld = f.device.MustChangePassword && (outcome == nil || outcome.Result == models.ResultOK); withheld {
			return nil
		}
		if err := f.room.Configuration.Sent(tx, f.device, f.epoch, delivery); err != nil {
			return err
		}
		f.delivery, f.outcome = delivery, outcome
		build, err := f.room.Configuration.Unsure(tx, f.device, delivery)
		if err != nil {
			return err
		}
		f.building = building{builds: f.building.builds, added: f.building.added}
		f.building.begin(build, nil)
		return f.renew(tx)
	})
	switch {
	case errors.Is(err, configuration.ErrOvertaken):
		f.over = true
		return nil, nil
	case err != nil:
		return nil, err
	case withheld && !f.in.Has(models.EventChangePassword): // whose own answer it has heard already
		f.configured = true
		return &models.Request{Method: models.SetParameterValues, Outcome: &models.Outcome{Result: models.ResultMustChangePassword, Delivery: models.DeliveryDone}}, nil
	case f.delivery == nil:
		f.configured = true
		return nil, nil
	case f.building.build != nil:
		return f.configure(ctx)
	}
	return f.deliver(), nil
}

// construct asks on for the build; when it is done, what it has made of the delivery goes out next, if anything.
func (f *service) construct(ctx context.Context) (*models.Request, error) {
	request, err := f.building.next(ctx, f.Visit)
	if err == nil && request == nil {
		f.delivery, err = f.building.done(ctx, f.Visit, f.delivery)
		f.configured = f.delivery == nil
	}
	if errors.Is(err, configuration.ErrOvertaken) {
		f.over, f.building.build, f.delivery = true, nil, nil
		return nil, nil
	}
	return request, err
}

// begin takes the device's work and reads from the Inform what became of a delivery whose answer was lost. It tells whether the device left
// its account by that.
func (f *service) begin(tx *store.Tx) (left bool, err error) {
	if f.began {
		return false, nil
	}
	epoch, err := devices.TakeWork(tx, f.device)
	if err != nil {
		return false, err
	}
	var probe *models.Request
	if !f.device.AccountID.IsZero() {
		var applied bool
		if applied, probe, err = f.room.Configuration.Confirm(tx, f.device, epoch, f.in); err != nil {
			return false, err
		}
		if applied || f.newest {
			if left, err = f.confirmed(tx); err != nil {
				return false, err
			}
		}
	}
	if f.in.Has(models.EventValueChange) && !f.device.AccountID.IsZero() && !left {
		told := slices.Collect(maps.Values(f.in.Values))
		if err := f.room.Configuration.Drifted(tx, f.device, epoch, f.in.ParameterKey, told, false); err != nil {
			return false, err
		}
	}
	f.epoch = epoch
	if left {
		probe = nil
	}
	tx.AfterCommit(func() { f.began, f.probe = true, probe })
	return left, nil
}

// confirmed takes note that the device has what it was sent: its binding is confirmed or, if its account is closed and the device has answered
// for that, over (i4.md B.10, resolutions 51).
func (f *service) confirmed(tx *store.Tx) (left bool, err error) {
	a, err := accounts.Load(tx, f.device.AccountID)
	if err != nil {
		return false, err
	}
	if a == nil || a.State != models.AccountTerminated {
		_, err := bindings.Confirm(tx, f.device.ID)
		return false, err
	}
	answered, err := f.room.Configuration.Answered(tx, f.device.ID)
	if err != nil || !answered {
		return false, err
	}
	b, err := bindings.LiveOfDevice(tx, f.device.ID)
	if err != nil || b == nil {
		return false, err
	}
	if err := bindings.Remove(tx, b, bindings.Closed); err != nil {
		return false, err
	}
	if _, _, err := f.room.Configuration.Rebuild(tx, f.device, nil); err != nil {
		return false, err
	}
	tx.AfterCommit(func() { f.gone, f.device.AccountID = true, models.ID{} })
	return true, nil
}

// standing is what the device is told beside a delivery: that its account is suspended or closed or does not include its type (resolutions 75),
// that everything is well again, or nothing.
func (f *service) standing(tx *store.Tx, delivery *configuration.Delivery) (*models.Outcome, error) {
	a, err := accounts.Load(tx, f.device.AccountID)
	if err != nil || a == nil {
		return nil, err
	}
	refusal := stands(a, f.device.ClientType)
	switch {
	case refusal != "":
		outcome := denied(refusal)
		return &outcome, nil
	case delivery.Returns:
		return &models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryDone}, nil
	}
	return nil, nil
}

// renew gives new HTTP credentials to a device that was reset to its factory state (i4.md C.6) or whose account is closed (B.10), once a
// session. Those of a registered device stay.
func (f *service) renew(tx *store.Tx) error {
	closed := f.outcome != nil && f.outcome.Result == models.ResultClosed
	if !closed && !f.in.Has(models.EventBootstrap) || f.renewed || f.device.Registered {
		return nil
	}
	password, err := devices.RotateCredentials(tx, f.device)
	if err != nil {
		return err
	}
	f.own = []models.Value{
		{Name: acsUsername, Value: f.device.HTTPUsername},
		{Name: acsPassword, Value: password.Reveal(), Secret: true},
	}
	tx.AfterCommit(func() { f.renewed = true })
	return nil
}

func (f *service) deliver() *models.Request {
	return &models.Request{
		Method: models.SetParameterValues, Version: f.delivery.Version, Outcome: f.outcome, Without: f.delivery.Dropped, Moved: f.delivery.Moved,
		Values: append(append([]models.Value{}, f.own...), f.delivery.Values...),
	}
}

// sample reads some of what the device confirmed back, once in a session that has it on its list; nil if it has not.
func (f *service) sample(ctx context.Context) (request *models.Request, err error) {
	if f.sampled || f.gone || f.device.AccountID.IsZero() || f.device.ReauthRequired || f.device.MustChangePassword {
		return nil, nil
	}
	err = f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		request, err = f.room.Configuration.Sample(tx, f.device, f.epoch, f.key)
		return err
	})
	if errors.Is(err, configuration.ErrOvertaken) {
		f.over = true
		return nil, nil
	}
	f.sampled, f.reading = err == nil, request != nil
	return request, err
}

// compare judges what was read back. A device that refuses to tell has told nothing.
func (f *service) compare(ctx context.Context, reply models.Reply) error {
	f.reading = false
	if reply.Fault != nil {
		return nil
	}
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		if err := devices.SaveParameters(tx, f.device.ID, reply.Raw, nil); err != nil {
			return err
		}
		return f.room.Configuration.Drifted(tx, f.device, f.epoch, f.key, reply.Values, true)
	})
	if errors.Is(err, configuration.ErrOvertaken) {
		return nil
	}
	f.configured = false // what drifted goes out in this session
	return err
}

func (f *service) answer(ctx context.Context, reply models.Reply) error {
	if f.test != nil {
		err := f.room.Diagnostics.Answered(ctx, f.device, f.test, f.epoch, reply)
		if err != nil || len(f.test.Steps) == 0 {
			f.test = nil
		}
		return err
	}
	if f.reading {
		return f.compare(ctx, reply)
	}
	if f.probing {
		return f.judge(ctx, reply)
	}
	if f.building.build != nil {
		return f.building.answer(ctx, f.Visit, reply)
	}
	if f.delivery == nil && f.task == nil {
		return nil // what it makes of a Status 12 changes nothing
	}
	if f.delivery == nil {
		err := f.room.Tasks.Answered(ctx, f.device, f.task, f.epoch, reply)
		if err != nil || len(f.task.Steps) == 0 {
			f.task = nil
		}
		return err
	}
	delivery := f.delivery
	if reply.Fault != nil && f.building.begin(f.room.Configuration.Missing(delivery, *reply.Fault), reply.Fault) {
		return nil
	}
	f.delivery = nil
	err := f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if reply.Fault != nil {
			f.delivery, err = f.room.Configuration.Refused(tx, f.device, f.epoch, delivery, *reply.Fault)
			return err
		}
		if err := f.room.Configuration.Applied(tx, f.device, f.epoch, delivery, reply.Status); err != nil {
			return err
		}
		_, err = f.confirmed(tx)
		return err
	})
	f.told = f.gone // it was just told why
	if reply.Fault == nil {
		f.key = models.ParameterKey(delivery.Version)
	} else {
		f.configured = f.delivery == nil
	}
	if errors.Is(err, configuration.ErrOvertaken) {
		return nil // by a newer version, which comes next, or by a newer session, which the next write will find
	}
	return err
}

// broke gives a task back that was out; what became of a configuration the next Inform tells.
func (f *service) broke(ctx context.Context) error {
	if f.test != nil {
		return f.room.Diagnostics.Lost(ctx, f.device)
	}
	if f.task == nil {
		return nil
	}
	return f.room.Tasks.Lost(ctx, f.device, f.task)
}

// settle writes down when the device has work again, now that this session has done what it could.
func (f *service) settle(ctx context.Context) error {
	return f.room.store.InTx(ctx, func(tx *store.Tx) error {
		held, err := devices.ClearWork(tx, f.device.ID, f.epoch)
		if err != nil || !held {
			return err
		}
		configure, err := f.room.Configuration.NextWork(tx, f.device.ID)
		if err != nil {
			return err
		}
		task, err := tasks.Due(tx, f.device.ID)
		if err != nil {
			return err
		}
		test, err := diagnostics.Due(tx, f.device.ID)
		if err != nil {
			return err
		}
		for _, at := range []models.Time{configure, task, test} {
			if err := devices.SetWork(tx, f.device.ID, at); err != nil {
				return err
			}
		}
		return nil
	})
}
