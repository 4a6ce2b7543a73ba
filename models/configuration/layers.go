package configuration

import (
	"hash/fnv"
	"maps"
	"strconv"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// desired merges the layers for a device of an account: defaults of the client type, area, services, account, device (i4.md B.10,
// resolutions 26). What the device layer does not say of the phase of its heartbeat follows from its key.
func (r *Room) desired(tx *store.Tx, d *models.Device, a *models.Account, layer map[string]models.Value) (map[string]string, error) {
	values := map[string]string{}
	maps.Copy(values, r.config.Defaults[d.ClientType])
	maps.Copy(values, r.config.Areas[a.Region])
	r.layServices(values, a.Services.V)
	if err := layAccount(tx, values, a); err != nil {
		return nil, err
	}
	layDevice(values, layer)
	if d.SecretWithheld {
		delete(values, AuthPassword)
	}
	if phase := informPhase(d.Key, values[PeriodicInformInterval]); phase != "" && layer[PeriodicInformTime].Value == "" {
		values[PeriodicInformTime] = phase
	}
	switch {
	case a.State == models.AccountSuspended, a.State == models.AccountTerminated:
		return revoked(values, a.State), nil
	case !a.Includes(d.ClientType), a.State != models.AccountActive:
		return off(values), nil
	}
	return values, nil
}

// closed is in the content of a closed account's devices and no parameter of theirs: closing a suspended account is a version of its own, because
// the devices have to hear of it.
const closed = "closed"

// revoked is off without the SIP secret: what a device keeps of a suspended or closed account (i4.md B.10).
func revoked(values map[string]string, state models.AccountState) map[string]string {
	rest := off(values)
	rest[AuthPassword] = ""
	if state == models.AccountTerminated {
		rest[closed] = "1"
	}
	return rest
}

// revokes tells whether a content or a part of it takes the SIP secret away.
func revokes(values map[string]string) bool {
	secret, set := values[AuthPassword]
	return set && secret == ""
}

// off keeps the heartbeat and switches the line off: what a device gets whose subscription does not let it serve (resolutions 75).
func off(values map[string]string) map[string]string {
	rest := map[string]string{LineEnable: disabled}
	for _, name := range []string{PeriodicInformEnable, PeriodicInformInterval, PeriodicInformTime} {
		if value, set := values[name]; set {
			rest[name] = value
		}
	}
	return rest
}

func layAccount(tx *store.Tx, values map[string]string, a *models.Account) error {
	secret, err := tx.Unseal("accounts", "sip_password", a.ID, a.SipPassword)
	if err != nil {
		return err
	}
	values[DirectoryNumber] = a.Msisdn.E164()
	values[AuthUserName] = a.IMPI
	if len(secret) > 0 {
		values[AuthPassword] = string(secret)
	}
	if len(a.IMPU.V) > 0 {
		values[PublicURI] = a.IMPU.V[0]
	}
	return nil
}

// informPhase spreads the heartbeats of all devices over their interval (resolutions 70); empty if there is no interval.
func informPhase(key models.DeviceKey, interval string) string {
	seconds, err := strconv.ParseUint(interval, 10, 32)
	if err != nil || seconds == 0 {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	phase := time.Duration(h.Sum64()%seconds) * time.Second
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(phase).Format(time.RFC3339)
}
