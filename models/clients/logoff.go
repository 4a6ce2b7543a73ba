package clients

import (
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// parting is what a LOGOFF comes to (i4.md B.6). It is acted on at the Inform: a client that closes after the InformResponse is gone all the same.
type parting int

const (
	// stays: there is no LOGOFF, or none that the platform plays with this type of client (resolutions 6).
	stays parting = iota
	// leaves: the client ends the login that the platform knows.
	leaves
	// late: a LOGOFF of another login, perhaps one repeated after the next login has begun. It is kept as an event and changes no presence.
	late
)

// parting compares the LOGOFF with the login known before this Inform. A set-top box that announces its shutdown names no login: it means the
// current one.
func (v *Visit) parting() parting {
	if v.clientType() == models.Generic || !v.in.Has(models.EventLogoff) {
		return stays
	}
	if session := v.in.Get(loginSessionID); session != "" && session != v.device.LoginSessionID {
		return late
	}
	return leaves
}

// onlyLeaves tells whether LOGOFF is the only vendor event, so that nothing is asked in the session (resolutions 16).
func (v *Visit) onlyLeaves() bool {
	return v.clientType() != models.Generic && v.in.Has(models.EventLogoff) &&
		!slices.ContainsFunc(v.in.Events, func(e models.InformEvent) bool { return e.Vendor && e.Name != models.EventLogoff })
}

// quiet tells whether the presence of the device is already what p makes of it: a LOGOFF that is repeated changes nothing more.
func (v *Visit) quiet(p parting) bool {
	d := v.device
	switch p {
	case leaves:
		return d.Reachability != models.Online && (d.LoginSessionID == "" || !d.LogoutAt.IsZero())
	case late:
		return false
	}
	return d.Reachability == models.Online
}

// appear sets the device's presence by what it sent: every session makes it ONLINE but that of a LOGOFF.
func (v *Visit) appear(tx *store.Tx, p parting) error {
	d, reason := v.device, logoffReasonOf(v.in.Get(logoffReason))
	switch p {
	case leaves:
		if err := devices.SetOffline(tx, d, reason); err != nil {
			return err
		}
		return devices.EndLogin(tx, d, reason)
	case late:
		fields := map[string]any{"reason": reason, "loginSessionId": printable(v.in.Get(loginSessionID))}
		if err := events.Append(tx, devices.EventOf(d, models.DeviceInform, "client.logoff_stale", fields)); err != nil {
			return err
		}
		if !v.opensLogin() {
			return nil
		}
	}
	return devices.SetOnline(tx, d, tx.Now)
}

// logoffReasons are those of SC.LogoffReason (i4.md B.6).
var logoffReasons = []string{"UserExit", "SystemShutdown", "AccountSwitch", "Kicked", "NetworkLost", "Upgrade"}

// otherReason stands for what no client should say.
const otherReason = "Other"

// logoffReasonOf is the reason as it is kept: a word of the client's own is clipped to 32 characters, and taken if it can be shown. The
// platform's own reason is not the client's to give.
func logoffReasonOf(told string) string {
	if slices.Contains(logoffReasons, told) {
		return told
	}
	if reason := printable(told); reason != "" && reason != devices.HeartbeatLost {
		return reason
	}
	return otherReason
}

// printable clips s to 32 characters; empty if it holds anything but printable ASCII.
func printable(s string) string {
	s = strings.TrimSpace(s)
	s = s[:min(len(s), 32)]
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
		return ""
	}
	return s
}
