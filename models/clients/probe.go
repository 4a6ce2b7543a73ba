package clients

import (
	"context"
	"errors"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// confirm asks whether a version took effect of which the device's ParameterKey does not tell; nil if there is nothing to ask.
func (f *service) confirm(ctx context.Context) (*models.Request, error) {
	if !f.began {
		err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
			_, err := f.begin(tx)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	request := f.probe
	f.probe, f.probing = nil, request != nil
	return request, nil
}

// judge takes the answer to that.
func (f *service) judge(ctx context.Context, reply models.Reply) error {
	f.probing = false
	applied := false
	err := f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if err := devices.SaveParameters(tx, f.device.ID, reply.Raw, nil); err != nil {
			return err
		}
		applied, err = f.room.Configuration.Probed(tx, f.device, f.epoch, reply)
		if err != nil || !applied {
			return err
		}
		_, err = f.confirmed(tx)
		return err
	})
	if errors.Is(err, configuration.ErrOvertaken) {
		return nil
	}
	if err == nil && !applied {
		f.key = models.ParameterKey(f.device.ConfirmedVersion) // whatever it reports: it goes on as it was before
	}
	return err
}
