package accounts

import (
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// Reauthenticate makes the devices that a serves prove themselves again before they are served further (Status 12), but not the device except
// nor a generic one, which has nothing to prove; with byPassword only those that logged in with a password, of one time or their own (i4.md
// B.5). It returns how many devices owe a proof now that owed none before; if there are any, PASSWORD_CHANGED client.reauth_required names their
// number.
func Reauthenticate(tx *store.Tx, a *models.Account, except models.ID, byPassword bool) (int, error) {
	live, err := bindings.LiveOfAccount(tx, a.ID)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, b := range live {
		if b.DeviceID == except || b.ClientType == models.Generic || byPassword && b.Method != models.ByPassword && b.Method != models.ByOneTimePassword {
			continue
		}
		d, err := devices.LockByID(tx, b.DeviceID)
		if err != nil {
			return 0, err
		}
		if d.ReauthRequired {
			continue
		}
		if err := devices.SetReauth(tx, d.ID, true); err != nil {
			return 0, err
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	state, err := passwords.StateOf(tx, a.ID)
	if err != nil {
		return 0, err
	}
	err = events.Append(tx, models.Event{
		Type: models.PasswordChanged, Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, SubjectVersion: a.Version,
		Payload:   models.DocOf(map[string]any{"code": "client.reauth_required", "account": a.ID, "state": state, "devices": n}),
		AccountID: a.ID, AccountExternalID: a.ExternalID, Region: a.Region,
	})
	if err != nil {
		return 0, fmt.Errorf("require authentication of the devices of account %s: %w", a.ID, err)
	}
	return n, nil
}
