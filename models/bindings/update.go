package bindings

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// UpdateInput is the input of updateDevice. What is left out stays.
type UpdateInput struct {
	Device devices.Ref
	// ExpectedVersion 0 means any.
	ExpectedVersion     int64
	AddTags, RemoveTags []string
	StockState          models.StockState
}

// operatorMoves are what an operator may make of a screen; the other states come from its order.
var operatorMoves = map[models.StockState]struct {
	models.StockMove
	Reason
}{
	models.Stock: {models.RestockScreen, Returned}, models.Returned: {models.ReturnScreen, Returned}, models.Stolen: {models.StealScreen, Stolen},
}

// UpdateDevice changes what operators keep of a device: its tags and, of a magic screen, its stock state. A screen that is bound leaves its
// account by that, at once. A change of nothing makes neither version nor audit row. It needs DEVICE_WRITE in the device's region, else
// NOT_FOUND; an expected version that is not the current one is VERSION_CONFLICT.
func (r *Room) UpdateDevice(ctx context.Context, in UpdateInput) (id models.ID, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return id, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		d, err := devices.LockByRef(tx, in.Device, models.DeviceWrite)
		if models.CodeOf(err) == models.NotFound {
			return models.E(models.NotFound, "there is no such device", "input", "device")
		}
		if err != nil {
			return err
		}
		id = d.ID
		if in.ExpectedVersion != 0 && in.ExpectedVersion != d.Version {
			e := models.E(models.VersionConflict, "the device was changed since that version", "input", "expectedVersion")
			e.CurrentVersion = d.Version
			return e
		}
		return r.change(tx, d, in)
	})
	if err != nil {
		return models.ID{}, fmt.Errorf("update a device: %w", err)
	}
	return id, nil
}

func (r *Room) change(tx *store.Tx, d *models.Device, in UpdateInput) error {
	changes := map[string]any{}
	tags, err := devices.Retagged(d.Tags.V, in.AddTags, in.RemoveTags)
	if err != nil {
		return err
	}
	if tags != nil {
		changes["tags"] = []any{d.Tags.V, tags}
	}
	before := d.StockState
	if in.StockState != "" && in.StockState != before {
		if err := r.restock(tx, d, in.StockState); err != nil {
			return err
		}
		changes["stockState"] = []any{before, in.StockState}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := devices.Touch(tx, d, tags); err != nil {
		return err
	}
	err = events.Audit(tx, models.AuditEntry{
		Action: "updateDevice", Subject: models.Subject{Kind: models.KindDevice, ID: d.ID}, Changes: models.DocOf(changes),
	})
	if err != nil || changes["stockState"] == nil {
		return err
	}
	switch models.Stolen {
	case in.StockState:
		return events.Append(tx, devices.EventOf(d, models.Security, "screen.stolen", map[string]any{"previousState": before}))
	case before:
		return events.Append(tx, devices.EventOf(d, models.Security, "screen.recovered", map[string]any{"stockState": in.StockState}))
	}
	return nil
}

// restock makes of a screen what an operator says, and ends its binding first.
func (r *Room) restock(tx *store.Tx, d *models.Device, to models.StockState) error {
	if d.ClientType != models.MagicScreen {
		return models.E(models.Invalid, "only a magic screen has a stock state", "input", "stockState")
	}
	move, possible := operatorMoves[to]
	if !possible {
		return models.E(models.Invalid, "allowed are STOCK, RETURNED and STOLEN; the others come from the order", "input", "stockState")
	}
	b, err := LiveOfDevice(tx, d.ID)
	if err != nil {
		return err
	}
	if b != nil {
		if err := Release(tx, r.configuration, b, move.Reason); err != nil {
			return err
		}
	}
	return devices.MoveStock(tx, d.ID, move.StockMove)
}

// Release removes b like Remove, and what its device was to be set to: what the device holds is good for Status 12 only.
func Release(tx *store.Tx, c *configuration.Room, b *models.Binding, reason Reason) error {
	if err := Remove(tx, b, reason); err != nil {
		return err
	}
	d, err := devices.LockByID(tx, b.DeviceID)
	if err != nil {
		return err
	}
	_, _, err = c.Rebuild(tx, d, nil)
	return err
}
