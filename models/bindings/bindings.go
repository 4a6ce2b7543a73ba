// Package bindings says which device belongs to which account: made by a verified proof, confirmed when the device has what it was sent, ended
// by another device's take-over or by an operator.
//
// It owns the table bindings. It refuses to know how a proof is judged and what is delivered afterwards; it tells the device's row whose it is
// through devices.
package bindings

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Room reads bindings for the north, and changes what decides about them.
type Room struct {
	store         *store.Store
	configuration *configuration.Room
}

// New opens the room.
func New(s *store.Store, c *configuration.Room) *Room { return &Room{store: s, configuration: c} }

// line is the line of a device that a binding gives to the account; soft clients have one.
const line = 1

// Bind ties d to a as a proof said: PENDING until Confirm. A device that is a's already keeps its binding, ACTIVE if it was; created is then
// false. A device of another account leaves that one first. Events: client.unbound of the old one, then client.bound or client.rebound.
func Bind(tx *store.Tx, d *models.Device, a *models.Account, method models.BindingMethod, by models.Actor) (b *models.Binding, created bool, err error) {
	live, err := LiveOfDevice(tx, d.ID)
	if err != nil {
		return nil, false, err
	}
	switch {
	case live != nil && live.AccountID == a.ID:
		return live, false, rebind(tx, live, a, method, by)
	case live != nil:
		if err := end(tx, live, moved); err != nil {
			return nil, false, err
		}
	}
	b = &models.Binding{
		ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, AccountID: a.ID, DeviceID: d.ID, LiveDeviceID: d.ID,
		ClientType: d.ClientType, State: models.BindingPending, LineIndex: line, BoundAt: tx.Now,
		Method: method, BoundByKind: by.Kind, BoundByID: by.ID, BoundByName: by.Name,
	}
	err = gorm.G[models.Binding](tx.DB).Create(tx.Context(), b)
	if store.IsDuplicate(err) {
		return Bind(tx, d, a, method, by) // somebody was faster; what they left is there to be seen now
	}
	if err != nil {
		return nil, false, fmt.Errorf("bind device %s: %w", d.ID, err)
	}
	if err := devices.SetAccount(tx, d.ID, a); err != nil {
		return nil, false, err
	}
	if err := stock(tx, b, models.BindScreen); err != nil {
		return nil, false, err
	}
	return b, true, changed(tx, b, a, "client.bound", "")
}

// rebind keeps a binding that was proved again; nothing that the north sees changes unless it was neither pending nor active.
func rebind(tx *store.Tx, b *models.Binding, a *models.Account, method models.BindingMethod, by models.Actor) error {
	if err := devices.SetAccount(tx, b.DeviceID, a); err != nil {
		return err
	}
	same := b.State == models.BindingActive || b.State == models.BindingPending
	if same && b.Method == method && b.BoundByKind == by.Kind && b.BoundByID == by.ID {
		return nil
	}
	if !same {
		b.State = models.BindingPending
	}
	b.Method, b.BoundByKind, b.BoundByID, b.BoundByName = method, by.Kind, by.ID, by.Name
	err := update(tx, b, map[string]any{
		"state": b.State, "method": method, "bound_by_kind": by.Kind, "bound_by_id": by.ID, "bound_by_name": by.Name,
	})
	if err != nil {
		return err
	}
	return changed(tx, b, a, "client.rebound", "")
}

// Confirm notes that the device has what its last REGISTER delivered: a PENDING binding becomes ACTIVE, with its event. It returns nil if the
// device has no binding.
func Confirm(tx *store.Tx, device models.ID) (*models.Binding, error) {
	b, err := LiveOfDevice(tx, device)
	if err != nil || b == nil {
		return nil, err
	}
	b.ConfirmedAt = tx.Now
	switch b.State {
	case models.BindingActive:
		// A repeated REGISTER is confirmed: from now on its one-time password cannot be proved again (resolutions 1).
		if err := tx.DB.Model(&models.Binding{}).Where("id = ?", b.ID).Update("confirmed_at", tx.Now).Error; err != nil {
			return nil, err
		}
		return b, stock(tx, b, models.ConfirmScreen)
	case models.BindingPending:
	default:
		return b, nil
	}
	b.State = models.BindingActive
	if err := update(tx, b, map[string]any{"state": b.State, "confirmed_at": tx.Now}); err != nil {
		return nil, err
	}
	if err := stock(tx, b, models.ConfirmScreen); err != nil {
		return nil, err
	}
	a, err := account(tx, b.AccountID)
	if err != nil {
		return nil, err
	}
	return b, changed(tx, b, a, "client.bound", "")
}

// Reason says why a binding ended or was suspended; it is payload.reason of the event.
type Reason string

// The reasons that exist so far.
const (
	Replaced   Reason = "REPLACED"    // another device took over
	Suspended  Reason = "SUSPENDED"   // its account is
	Closed     Reason = "CLOSED"      // its account is
	SIMChanged Reason = "SIM_CHANGED" // the mobile came with another SIM card
	Swapped    Reason = "SWAPPED"     // the order names another magic screen
	Stolen     Reason = "STOLEN"      // the magic screen is
	Returned   Reason = "RETURNED"    // the magic screen is, or it is in stock again
	moved      Reason = "MOVED"       // the device went to another account
)

// Suspend takes the service from a live binding until Resume, with the event client.suspended. A binding that is suspended already, or removed,
// stays as it is.
func Suspend(tx *store.Tx, b *models.Binding, reason Reason) error {
	if b.State != models.BindingActive && b.State != models.BindingPending {
		return nil
	}
	return turn(tx, b, models.BindingSuspended, "client.suspended", reason)
}

// Resume gives a suspended binding back: ACTIVE, or PENDING if its device never confirmed what it was sent, with the event client.resumed.
// A binding in any other state stays as it is.
func Resume(tx *store.Tx, b *models.Binding) error {
	if b.State != models.BindingSuspended {
		return nil
	}
	to := models.BindingActive
	if b.ConfirmedAt.IsZero() {
		to = models.BindingPending
	}
	return turn(tx, b, to, "client.resumed", "")
}

// turn moves b to another state in which its device still belongs to the account.
func turn(tx *store.Tx, b *models.Binding, to models.BindingState, code string, reason Reason) error {
	b.State = to
	if err := update(tx, b, map[string]any{"state": to}); err != nil {
		return err
	}
	a, err := account(tx, b.AccountID)
	if err != nil {
		return err
	}
	return changed(tx, b, a, code, reason)
}

// Remove ends b: REMOVED, the device belongs to nobody and its credentials are revoked unless it was registered (resolutions 7). Removing a
// removed binding changes nothing.
func Remove(tx *store.Tx, b *models.Binding, reason Reason) error {
	if b.State == models.BindingRemoved {
		return nil
	}
	if err := end(tx, b, reason); err != nil {
		return err
	}
	if err := devices.SetAccount(tx, b.DeviceID, nil); err != nil {
		return err
	}
	return devices.Revoke(tx, b.DeviceID)
}

// end removes the binding and leaves the device alone.
func end(tx *store.Tx, b *models.Binding, reason Reason) error {
	b.State, b.UnboundAt, b.LiveDeviceID = models.BindingRemoved, tx.Now, models.ID{}
	if err := update(tx, b, map[string]any{"state": b.State, "unbound_at": tx.Now, "live_device_id": nil}); err != nil {
		return err
	}
	if err := stock(tx, b, models.UnbindScreen); err != nil {
		return err
	}
	a, err := account(tx, b.AccountID)
	if err != nil {
		return err
	}
	return changed(tx, b, a, "client.unbound", reason)
}

// stock moves the screen that b is about in its stock.
func stock(tx *store.Tx, b *models.Binding, m models.StockMove) error {
	if b.ClientType != models.MagicScreen {
		return nil
	}
	return devices.MoveStock(tx, b.DeviceID, m)
}

// update changes b if nobody did since it was read; VERSION_CONFLICT otherwise.
func update(tx *store.Tx, b *models.Binding, columns map[string]any) error {
	columns["version"], columns["updated_at"] = b.Version+1, tx.Now
	done := tx.DB.Model(&models.Binding{}).Where("id = ? AND version = ?", b.ID, b.Version).Updates(columns)
	if done.Error != nil {
		return fmt.Errorf("change binding %s: %w", b.ID, done.Error)
	}
	if done.RowsAffected != 1 {
		return models.E(models.VersionConflict, "the binding was changed at the same time")
	}
	b.Version, b.UpdatedAt = b.Version+1, tx.Now
	return nil
}

// account reads what an event of the binding says about its account.
func account(tx *store.Tx, id models.ID) (*models.Account, error) {
	a, err := gorm.G[models.Account](tx.DB).Select("id", "external_id", "region").Where("id = ?", id).Take(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", id, err)
	}
	return &a, nil
}

// changed appends BINDING_CHANGED (resolutions 22). Of a screen, what binds it and what takes its place have names of their own (i4.md B.4).
func changed(tx *store.Tx, b *models.Binding, a *models.Account, code string, reason Reason) error {
	switch {
	case reason == Swapped:
		code = "screen.swap_detected"
	case b.ClientType == models.MagicScreen && code == "client.bound":
		code = "screen.bound"
	}
	payload := map[string]any{
		"code": code, "account": b.AccountID, "device": b.DeviceID, "clientType": b.ClientType, "state": b.State, "method": b.Method,
	}
	if reason != "" {
		payload["reason"] = reason
	}
	return events.Append(tx, models.Event{
		Type: models.BindingChanged, Subject: models.Subject{Kind: models.KindBinding, ID: b.ID}, SubjectVersion: b.Version,
		Payload: models.DocOf(payload), AccountID: b.AccountID, AccountExternalID: a.ExternalID, DeviceID: b.DeviceID,
		ClientType: b.ClientType, Region: a.Region,
	})
}

// LiveOfDevice returns the binding of the device that is not removed and holds its row until the commit; nil if there is none.
func LiveOfDevice(tx *store.Tx, device models.ID) (*models.Binding, error) {
	var rows []models.Binding
	if err := tx.Locked().Where("live_device_id = ?", device).Limit(1).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the binding of device %s: %w", device, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// LiveOfAccount returns the bindings of the account that are not removed, the oldest first.
func LiveOfAccount(tx *store.Tx, account models.ID) (live []models.Binding, err error) {
	err = tx.Locked().Where("account_id = ? AND live_device_id IS NOT NULL", account).Order("bound_at, id").Find(&live).Error
	if err != nil {
		return nil, fmt.Errorf("read the bindings of account %s: %w", account, err)
	}
	return live, nil
}

// inScope limits bindings to those whose account and device both are in the regions in which the actor may read devices: a binding shows both,
// and neither may be left out. A device that was replaced belongs to no region any more (resolutions 68).
func inScope(ctx context.Context, q *gorm.DB) *gorm.DB {
	scope := models.ActorFrom(ctx).Scope(models.DeviceRead)
	if scope.All {
		return q
	}
	of := func(noun any) *gorm.DB {
		return store.InScope(q.Session(&gorm.Session{NewDB: true}).Model(noun).Select("id"), "region", scope)
	}
	return q.Where("account_id IN (?) AND device_id IN (?)", of(&models.Account{}), of(&models.Device{}))
}
