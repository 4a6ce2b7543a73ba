// Package devices keeps what is known of each installed client: its identity and type, its HTTP credentials, whether it is reachable, what it
// last reported, and when there is work for it.
//
// It owns the tables devices, screens, device_presence, device_parameters, device_marks, mobile_identities, reachability_changes, beats and outages; every other room
// changes a device through the functions here. It refuses to know why a device is bound, what its work is, and how it speaks: it never looks at
// a binding, a task or a configuration.
package devices

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Logical names of what an Inform or an answer tells about the device itself.
const (
	NameSoftwareVersion = "deviceInfo.softwareVersion"
	NameHardwareVersion = "deviceInfo.hardwareVersion"
	NameModel           = "deviceInfo.modelName"
	NameOSVersion       = "softClient.osVersion"
	NameHeartbeat       = "managementServer.periodicInformInterval"
	nameMAC             = "softClient.macAddress"
	nameSTBID           = "softClient.stbID"
)

// Rhythm is how devices of a type are heard of (i4.md B.6): every Interval until a device confirmed another; STALE when one heartbeat is later
// than Grace, OFFLINE when Missed heartbeats and Grace have passed.
type Rhythm struct {
	Interval time.Duration
	Missed   int
	Grace    time.Duration
}

// Config is what the room is built with.
type Config struct {
	// Heartbeat is the rhythm of each client type; what is left out is DefaultHeartbeats'.
	Heartbeat map[models.ClientType]Rhythm
	Guard     Guard
	// MaxPresence bounds the devices whose presence waits for the next flush; 0: 200,000.
	MaxPresence int
}

// DefaultHeartbeats are those of i4.md B.6, B.10 and, for generic devices, resolutions 6.
var DefaultHeartbeats = map[models.ClientType]Rhythm{
	models.PC:          {600 * time.Second, 3, 60 * time.Second},
	models.Mobile:      {1800 * time.Second, 3, 60 * time.Second},
	models.MagicScreen: {600 * time.Second, 3, 60 * time.Second},
	models.Generic:     {24 * time.Hour, 3, 60 * time.Second},
}

// Room is all devices.
type Room struct {
	store     *store.Store
	clock     models.Clock
	heartbeat map[models.ClientType]Rhythm
	guard     Guard
	presence  presence
	watched   watched

	prepare sync.Mutex
	lookup  *sql.Stmt
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	r := &Room{store: s, clock: clock, guard: c.Guard, heartbeat: map[models.ClientType]Rhythm{}}
	for t, usual := range DefaultHeartbeats {
		set := c.Heartbeat[t]
		r.heartbeat[t] = Rhythm{cmp.Or(set.Interval, usual.Interval), cmp.Or(set.Missed, usual.Missed), cmp.Or(set.Grace, usual.Grace)}
	}
	r.presence.limit = c.MaxPresence
	if r.presence.limit <= 0 {
		r.presence.limit = 200_000
	}
	r.presence.full = make(chan struct{}, 1)
	return r
}

// lookupColumns are the columns of devices in the order in which Lookup scans them.
const lookupColumns = "id, version, created_at, updated_at, device_key, oui, product_class, serial_number, manufacturer, model, client_type, tags, " +
	"stock_state, waiting_at, secret_withheld, registered, software_version, hardware_version, os_version, legacy_auth, http_username, http_credentials, revoked, " +
	"reauth_required, must_change_password, account_id, account_state, region, reachability, reachability_at, desired_version, confirmed_version, work_at, session_epoch, " +
	"heartbeat_seconds, login_session_id, login_at, logout_at, logout_reason, report_hash, trace_until"

// Lookup finds the device that an Inform names; nil if it is unknown. It is the only statement of a heartbeat (resolutions 41), so it is
// prepared and scanned by hand.
func (r *Room) Lookup(ctx context.Context, key models.DeviceKey) (*models.Device, error) {
	statement, err := r.lookupStatement(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the look-up of a device: %w", err)
	}
	store.CountOne(ctx)
	defer r.store.Took("lookup", time.Now())
	var d models.Device
	err = statement.QueryRowContext(ctx, string(key)).Scan(&d.ID, &d.Version, &d.CreatedAt, &d.UpdatedAt, &d.Key, &d.OUI, &d.ProductClass,
		&d.SerialNumber, &d.Manufacturer, &d.Model, &d.ClientType, &d.Tags, &d.StockState, &d.WaitingAt, &d.SecretWithheld, &d.Registered, &d.SoftwareVersion, &d.HardwareVersion,
		&d.OSVersion, &d.LegacyAuth, &d.HTTPUsername, &d.HTTPCredentials, &d.Revoked, &d.ReauthRequired, &d.MustChangePassword, &d.AccountID, &d.AccountState, &d.Region,
		&d.Reachability, &d.ReachabilityAt, &d.DesiredVersion, &d.ConfirmedVersion, &d.WorkAt, &d.SessionEpoch, &d.HeartbeatSeconds, &d.LoginSessionID, &d.LoginAt,
		&d.LogoutAt, &d.LogoutReason, &d.ReportHash, &d.TraceUntil)
	switch {
	case err == sql.ErrNoRows:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up device %s: %w", key, err)
	}
	return &d, nil
}

// lookupStatement prepares the look-up once; a failure is not remembered.
func (r *Room) lookupStatement(ctx context.Context) (*sql.Stmt, error) {
	r.prepare.Lock()
	defer r.prepare.Unlock()
	if r.lookup != nil {
		return r.lookup, nil
	}
	statement, err := r.store.Reader().PrepareContext(ctx, "SELECT "+lookupColumns+" FROM devices WHERE device_key = ?")
	if err != nil {
		return nil, err
	}
	r.lookup = statement
	return statement, nil
}

// LockByID reads a device and holds its row until the commit, so that changes of one device come one after the other.
// It returns NOT_FOUND if there is none.
func LockByID(tx *store.Tx, id models.ID) (*models.Device, error) {
	return take(tx.Locked().Where("id = ?", id))
}

// LockByKey is LockByID for the device of that key.
func LockByKey(tx *store.Tx, key models.DeviceKey) (*models.Device, error) {
	return take(tx.Locked().Where("device_key = ?", key))
}

func take(q *gorm.DB) (*models.Device, error) {
	var d models.Device
	err := q.Take(&d).Error // not gorm.G, which forgets the lock
	if store.IsMissing(err) {
		return nil, models.E(models.NotFound, "there is no such device")
	}
	if err != nil {
		return nil, fmt.Errorf("read a device: %w", err)
	}
	return &d, nil
}

// EventOf begins an event about a device: payload code, device and client type are filled in; fields are added to the payload.
func EventOf(d *models.Device, t models.EventType, code string, fields map[string]any) models.Event {
	payload := map[string]any{"code": code, "device": d.ID, "clientType": d.ClientType}
	if !d.AccountID.IsZero() {
		payload["account"] = d.AccountID
	}
	for name, value := range fields {
		payload[name] = value
	}
	return models.Event{
		Type: t, Subject: models.Subject{Kind: models.KindDevice, ID: d.ID}, SubjectVersion: d.Version, Payload: models.DocOf(payload),
		DeviceID: d.ID, ClientType: d.ClientType, Region: d.Region, AccountID: d.AccountID,
	}
}
