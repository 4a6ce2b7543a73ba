package devices

import (
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// update writes columns of one device. Device.version does not move: it counts what operators change (resolutions 79).
func update(tx *store.Tx, id models.ID, columns map[string]any) error {
	columns["updated_at"] = tx.Now
	return tx.DB.Model(&models.Device{}).Where("id = ?", id).Updates(columns).Error
}

// SetAccount tells the device whose it is: the account of its newest binding that is not removed, nil for none. Call it whenever that account
// changes its state or region too.
func SetAccount(tx *store.Tx, deviceID models.ID, account *models.Account) error {
	columns := map[string]any{"account_id": models.ID{}, "account_state": models.AccountState(""), "region": ""}
	if account != nil {
		columns = map[string]any{"account_id": account.ID, "account_state": account.State, "region": account.Region}
	}
	if err := update(tx, deviceID, columns); err != nil {
		return fmt.Errorf("set the account of device %s: %w", deviceID, err)
	}
	return nil
}

// SetReauth tells whether the device must authenticate with its number and password again before it is served.
func SetReauth(tx *store.Tx, deviceID models.ID, required bool) error {
	if err := update(tx, deviceID, map[string]any{"reauth_required": required}); err != nil {
		return fmt.Errorf("set re-authentication of device %s: %w", deviceID, err)
	}
	return nil
}

// SetMustChange tells whether the device has to change its password before it gets service (resolutions 13).
func SetMustChange(tx *store.Tx, deviceID models.ID, required bool) error {
	if err := update(tx, deviceID, map[string]any{"must_change_password": required}); err != nil {
		return fmt.Errorf("set the change of the password of device %s: %w", deviceID, err)
	}
	return nil
}

// SetDesired tells the device the version of its desired configuration; 0: none.
func SetDesired(tx *store.Tx, deviceID models.ID, version int64) error {
	if err := update(tx, deviceID, map[string]any{"desired_version": version}); err != nil {
		return fmt.Errorf("set the desired version of device %s: %w", deviceID, err)
	}
	return nil
}

// SetConfirmed tells the device the version of the configuration that it has confirmed.
func SetConfirmed(tx *store.Tx, deviceID models.ID, version int64) error {
	if err := update(tx, deviceID, map[string]any{"confirmed_version": version}); err != nil {
		return fmt.Errorf("set the confirmed version of device %s: %w", deviceID, err)
	}
	return nil
}

// SetHeartbeat remembers the interval in seconds that the device has confirmed or reported.
func SetHeartbeat(tx *store.Tx, deviceID models.ID, seconds int) error {
	err := tx.DB.Model(&models.Device{}).Where("id = ? AND heartbeat_seconds <> ?", deviceID, seconds).
		Updates(map[string]any{"heartbeat_seconds": seconds, "updated_at": tx.Now}).Error
	if err != nil {
		return fmt.Errorf("set the heartbeat of device %s: %w", deviceID, err)
	}
	return nil
}

// SetTrace tells until when the sessions of the device are recorded; the zero Time ends that.
func SetTrace(tx *store.Tx, deviceID models.ID, until models.Time) error {
	if err := update(tx, deviceID, map[string]any{"trace_until": until}); err != nil {
		return fmt.Errorf("set the trace of device %s: %w", deviceID, err)
	}
	return nil
}

// SetWork asks for a session's attention at that time or earlier; the zero Time asks for nothing.
func SetWork(tx *store.Tx, deviceID models.ID, at models.Time) error {
	if at.IsZero() {
		return nil
	}
	err := tx.DB.Model(&models.Device{}).Where("id = ? AND (work_at = 0 OR work_at > ?)", deviceID, at).Update("work_at", at).Error
	if err != nil {
		return fmt.Errorf("set work for device %s: %w", deviceID, err)
	}
	return nil
}

// ClearWork forgets when there is work, if the session of that epoch still holds it; false if a newer one has taken it. It holds the device's
// row, so call it first and then SetWork, in the same transaction, with each room's next due time: no task created meanwhile is forgotten.
func ClearWork(tx *store.Tx, deviceID models.ID, epoch int64) (held bool, err error) {
	done := tx.DB.Model(&models.Device{}).Where("id = ? AND session_epoch = ?", deviceID, epoch).Update("work_at", 0)
	if done.Error != nil {
		return false, fmt.Errorf("clear the work of device %s: %w", deviceID, done.Error)
	}
	return done.RowsAffected == 1, nil
}

// Hold locks the device's row and tells whether the session of that epoch still holds its work; false if a newer one has taken it.
func Hold(tx *store.Tx, deviceID models.ID, epoch int64) (held bool, err error) {
	d, err := LockByID(tx, deviceID)
	return err == nil && d.SessionEpoch == epoch, err
}

// TakeWork raises the session epoch of d and returns it: from now on what older sessions write changes nothing (design decision 3).
func TakeWork(tx *store.Tx, d *models.Device) (epoch int64, err error) {
	held, err := LockByID(tx, d.ID)
	if err != nil {
		return 0, fmt.Errorf("take the work of device %s: %w", d.ID, err)
	}
	d.SessionEpoch = held.SessionEpoch + 1
	if err := tx.DB.Model(&models.Device{}).Where("id = ?", d.ID).Update("session_epoch", d.SessionEpoch).Error; err != nil {
		return 0, fmt.Errorf("take the work of device %s: %w", d.ID, err)
	}
	return d.SessionEpoch, nil
}
