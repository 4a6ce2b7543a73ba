package devices

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// HeartbeatLost is the reason of OFFLINE, and of the end of a login, when a device was not heard of for too long (i4.md B.6).
const HeartbeatLost = "HeartbeatLost"

// soon is the expires_at of a device whose deadline is not known yet: the next turn of the watch looks at it.
const soon models.Time = 1

// SetOnline makes the device ONLINE, with an event and a line of its history if it was not. at is when it was heard of. The login that an
// absence ended goes on, unless the device has to authenticate again.
func SetOnline(tx *store.Tx, d *models.Device, at models.Time) error {
	now, err := LockByID(tx, d.ID)
	if err != nil {
		return fmt.Errorf("set device %s online: %w", d.ID, err)
	}
	if now.Reachability == models.Online {
		tx.AfterCommit(func() { d.Reachability = models.Online }) // not now: the transaction may run again
		return nil
	}
	columns := map[string]any{}
	if !now.ReauthRequired {
		columns["logout_at"], columns["logout_reason"] = models.Time(0), ""
	}
	if err := transition(tx, d, now, models.Online, "", columns, map[string]any{"at": at}); err != nil {
		return err
	}
	return watch(tx, d.ID)
}

// SetOffline makes an ONLINE device OFFLINE for that reason, with an event and a line of its history; it changes no device that is not ONLINE.
func SetOffline(tx *store.Tx, d *models.Device, reason string) error {
	now, err := LockByID(tx, d.ID)
	if err != nil {
		return fmt.Errorf("set device %s offline: %w", d.ID, err)
	}
	if now.Reachability != models.Online {
		tx.AfterCommit(func() { d.Reachability = now.Reachability })
		return nil
	}
	if err := transition(tx, d, now, models.Offline, clip(reason, 32), map[string]any{}, nil); err != nil {
		return err
	}
	return unwatch(tx, d.ID)
}

// transition writes the new state of a device, whose row is locked and was read as now, its line of history and its event.
func transition(tx *store.Tx, d, now *models.Device, to models.Reachability, reason string, columns, fields map[string]any) error {
	columns["reachability"], columns["reachability_at"] = to, tx.Now
	if err := update(tx, d.ID, columns); err != nil {
		return fmt.Errorf("set device %s %s: %w", d.ID, to, err)
	}
	since := now.ReachabilityAt
	if since.IsZero() && now.Reachability == models.NeverSeen {
		since = now.CreatedAt
	}
	seconds := int64(0)
	if !since.IsZero() {
		seconds = max(0, int64(tx.Now-since)/1000)
	}
	err := gorm.G[models.ReachabilityChange](tx.DB).Create(tx.Context(), &models.ReachabilityChange{
		ID: models.NewID(), DeviceID: d.ID, At: tx.Now, State: to, PreviousState: now.Reachability, Reason: reason,
		LoginSessionID: now.LoginSessionID, DurationSeconds: seconds,
	})
	if err != nil {
		return fmt.Errorf("write the presence history of device %s: %w", d.ID, err)
	}
	code := "client.online"
	payload := map[string]any{"state": to, "previousState": now.Reachability, "durationSeconds": seconds}
	if to == models.Offline {
		code, payload["reason"] = "client.offline", reason
	}
	if now.LoginSessionID != "" {
		payload["loginSessionId"] = now.LoginSessionID
	}
	for name, value := range fields {
		payload[name] = value
	}
	tx.AfterCommit(func() { d.Reachability, d.ReachabilityAt = to, tx.Now })
	return events.Append(tx, EventOf(d, models.DeviceReachabilityChanged, code, payload))
}

// watch has the presence row of a device looked at, in the transaction in which it comes ONLINE: what is in memory may be lost.
func watch(tx *store.Tx, id models.ID) error {
	const (
		mysql  = " ON DUPLICATE KEY UPDATE expires_at = IF(expires_at = 0, VALUES(expires_at), expires_at)"
		sqlite = " ON CONFLICT (device_id) DO UPDATE SET expires_at = CASE WHEN expires_at = 0 THEN excluded.expires_at ELSE expires_at END"
	)
	if err := upsertPresence(tx, []models.DevicePresence{{DeviceID: id, ExpiresAt: soon}}, mysql, sqlite); err != nil {
		return fmt.Errorf("watch device %s: %w", id, err)
	}
	return nil
}

func unwatch(tx *store.Tx, id models.ID) error {
	err := tx.DB.Model(&models.DevicePresence{}).Where("device_id = ?", id).Update("expires_at", models.Time(0)).Error
	if err != nil {
		return fmt.Errorf("watch device %s no more: %w", id, err)
	}
	return nil
}

// SetLogin remembers the login session that the device reported, if it is another one or the known one has ended (resolutions 16).
func SetLogin(tx *store.Tx, d *models.Device, sessionID string) error {
	sessionID = clip(sessionID, 32)
	if d.LoginSessionID == sessionID && d.LogoutAt.IsZero() {
		return nil
	}
	err := update(tx, d.ID, map[string]any{"login_session_id": sessionID, "login_at": tx.Now, "logout_at": models.Time(0), "logout_reason": ""})
	if err != nil {
		return fmt.Errorf("set the login of device %s: %w", d.ID, err)
	}
	tx.AfterCommit(func() { // not now: the transaction may run again
		d.LoginSessionID, d.LoginAt, d.LogoutAt, d.LogoutReason = sessionID, tx.Now, 0, ""
	})
	return nil
}

// EndLogin ends the login session of the device, if one lasts, for a reason of i4.md B.6 or HeartbeatLost.
func EndLogin(tx *store.Tx, d *models.Device, reason string) error {
	reason = clip(reason, 32)
	done := tx.DB.Model(&models.Device{}).Where("id = ? AND login_session_id <> '' AND logout_at = 0", d.ID).
		Updates(map[string]any{"logout_at": tx.Now, "logout_reason": reason, "updated_at": tx.Now})
	if done.Error != nil {
		return fmt.Errorf("end the login of device %s: %w", d.ID, done.Error)
	}
	if done.RowsAffected == 1 {
		tx.AfterCommit(func() { d.LogoutAt, d.LogoutReason = tx.Now, reason })
	}
	return nil
}
