package clients

import (
	"context"
	"errors"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// maxTasks is how many tasks a session may take (i4.md A.5-8).
const maxTasks = 16

// service is what a device at L1 is asked when nothing else is going on: its configuration first (i4.md B.10), then its tasks. A device
// without work costs no statement.
type service struct {
	*Visit
	// delivery is out; nil if a task is, or nothing.
	delivery *configuration.Delivery
	// outcome goes with the delivery that turns the line off.
	outcome *models.Outcome
	// own are the new HTTP credentials that a delivery after a factory reset carries.
	own   []models.Value
	task  *models.Task
	taken int
	// over: a newer session has the device, or there is nothing left.
	over bool
}

func (f *service) next(ctx context.Context) (*models.Request, error) {
	if f.over || f.epoch == 0 && !f.due() {
		return nil, nil
	}
	request, err := f.configure(ctx)
	if err != nil || request != nil || f.over {
		return request, err
	}
	if f.taken < maxTasks {
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

// configure takes the device's work, if this session has not yet, and returns the configuration that it is owed; nil if none.
func (f *service) configure(ctx context.Context) (request *models.Request, err error) {
	if f.delivery != nil {
		return f.deliver(), nil // once more, without what the device refused
	}
	if f.epoch != 0 && (f.configured || f.device.AccountID.IsZero()) {
		return nil, nil
	}
	err = f.room.store.InTx(ctx, func(tx *store.Tx) error {
		f.delivery, f.own, f.outcome = nil, nil, nil
		if err := f.begin(tx); err != nil || f.device.AccountID.IsZero() {
			return err
		}
		delivery, err := f.room.Configuration.Pending(tx, f.device, f.key)
		if err != nil || delivery == nil {
			return err
		}
		if err := f.room.Configuration.Sent(tx, f.device, f.epoch, delivery); err != nil {
			return err
		}
		f.delivery = delivery
		if f.outcome, err = f.standing(tx); err != nil {
			return err
		}
		return f.renew(tx)
	})
	switch {
	case errors.Is(err, configuration.ErrOvertaken):
		f.over = true
		return nil, nil
	case err != nil:
		return nil, err
	case f.delivery == nil:
		f.configured = true
		return nil, nil
	}
	return f.deliver(), nil
}

// begin takes the device's work and reads from the Inform what became of a delivery whose answer was lost.
func (f *service) begin(tx *store.Tx) error {
	if f.began {
		return nil
	}
	epoch, err := devices.TakeWork(tx, f.device)
	if err != nil {
		return err
	}
	if !f.device.AccountID.IsZero() {
		applied, err := f.room.Configuration.Confirm(tx, f.device, epoch, f.in)
		if err != nil {
			return err
		}
		if applied || f.newest {
			if _, err := bindings.Confirm(tx, f.device.ID); err != nil {
				return err
			}
		}
	}
	f.epoch = epoch
	tx.AfterCommit(func() { f.began = true })
	return nil
}

// standing is what the device is told beside a delivery: nothing, or that its account does not include its type any more (resolutions 75).
func (f *service) standing(tx *store.Tx) (*models.Outcome, error) {
	a, err := accounts.Load(tx, f.device.AccountID)
	if err != nil || a == nil || a.Includes(f.device.ClientType) {
		return nil, err
	}
	outcome := denied(models.ResultTypeNotAllowed)
	return &outcome, nil
}

// renew gives a device that was reset to its factory state new HTTP credentials, once a session (i4.md C.6).
func (f *service) renew(tx *store.Tx) error {
	if !f.in.Has(models.EventBootstrap) || f.renewed || f.device.Registered {
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
		Method: models.SetParameterValues, Version: f.delivery.Version, Outcome: f.outcome, Without: f.delivery.Dropped,
		Values: append(append([]models.Value{}, f.own...), f.delivery.Values...),
	}
}

func (f *service) answer(ctx context.Context, reply models.Reply) error {
	if f.delivery == nil {
		task := f.task
		f.task = nil
		return f.room.Tasks.Answered(ctx, f.device, task, f.epoch, reply)
	}
	delivery := f.delivery
	f.delivery = nil
	err := f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if reply.Fault != nil {
			f.delivery, err = f.room.Configuration.Refused(tx, f.device, f.epoch, delivery, *reply.Fault)
			return err
		}
		if err := f.room.Configuration.Applied(tx, f.device, f.epoch, delivery, reply.Status); err != nil {
			return err
		}
		_, err = bindings.Confirm(tx, f.device.ID)
		return err
	})
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
		for _, at := range []models.Time{configure, task} {
			if err := devices.SetWork(tx, f.device.ID, at); err != nil {
				return err
			}
		}
		return nil
	})
}
