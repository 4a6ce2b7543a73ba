package clients

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Flow 6.1.4 (i4.md B.4): a magic screen is known by its certificate or, by policy, by its serial number and its line, and finds its order by
// itself. Everything after that is a REGISTER like any other.

// Screens are how magic screens are believed (i4.screen).
type Screens struct {
	// Uncertified lets screens in that show no certificate, by serial number and line (serial+line).
	Uncertified bool
	// Lines tells where a screen is; nil knows no line.
	Lines Lines
	// LineCheck is what becomes of a screen on a line that is not its order's.
	LineCheck LineCheck
	// Trusting delivers the SIP secret to an uncertified screen whatever LineCheck is: only a laboratory does (resolutions 10).
	Trusting bool
}

// LineCheck is a policy of i4.screen.lineCheck.
type LineCheck string

// The policies of i4.md B.4.
const (
	EnforceLine LineCheck = "enforce"
	WarnOfLine  LineCheck = "warn"
	IgnoreLine  LineCheck = "off"
)

const (
	waitingInterval = 300 // seconds between the heartbeats of a screen that waits
	// noteAgain is how long the same refusal of the same screen is not told again.
	noteAgain = 24 * time.Hour
	// frequentResets of a screen within noteAgain are told (i4.md B.4).
	frequentResets = 3

	modeCertificate = "certificate"
	screenWaiting   = "screen.waiting"
	maxLine         = 64
)

var (
	stbPattern = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)
	macPattern = regexp.MustCompile(`^[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5}$`)
)

var byScreen = way{
	mode: modeCertificate, claim: (*registration).findOrder, begin: (*registration).beginScreen, judge: (*registration).judgeScreen,
}

// isScreen tells whether the session is one of a magic screen.
func (v *Visit) isScreen() bool { return v.clientType() == models.MagicScreen }

// believed is the trust level that the visit is played with: magic screens are believed by their certificate and, only where uncertified ones
// are let in, by the HTTP credentials that they were given (i4.md A.2). Nobody is behind an identity without row, and nothing is open to one whose
// place another device took (resolutions 11).
func (v *Visit) believed(trust models.Trust) models.Trust {
	if v.device == nil || v.device.Revoked || v.isScreen() && trust == models.L1 && !v.room.config.Screens.Uncertified {
		return models.L0
	}
	return trust
}

// registers tells whether the Inform is a REGISTER. A screen's return from the factory state is one by itself, because some firmware knows the
// standard only; so is every Inform of a screen that waits, and of one that is stolen.
func (v *Visit) registers() bool {
	if v.in.Has(models.EventRegister) || !v.isScreen() {
		return v.in.Has(models.EventRegister)
	}
	d := v.device
	return v.in.Has(models.EventBootstrap) || d != nil && (!d.WaitingAt.IsZero() || d.StockState == models.Stolen)
}

// parseScreen reads what a screen sends. What the firmware does not know is left out; what is there is to be right.
func (f *registration) parseScreen() (wrong string) {
	f.way = byScreen
	claimed, known := models.ClientTypeOf(f.in.Claimed)
	stb, mac, session := f.in.Get(stbID), f.in.Get(macAddress), f.in.Get(loginSessionID)
	switch {
	case known && claimed != models.MagicScreen, !known && f.in.Claimed != "":
		return clientTypeName
	case f.in.Get(mode) != "" && f.in.Get(mode) != modeCertificate, !f.certified && !f.room.config.Screens.Uncertified:
		return mode
	case stb != "" && !stbPattern.MatchString(stb):
		return stbID
	case mac != "" && !macPattern.MatchString(mac):
		return macAddress
	case len(f.in.Get(broadbandAccount)) > maxLine:
		return broadbandAccount
	case len(session) > maxLoginSessionID:
		return loginSessionID
	}
	return ""
}

// beginScreen asks nothing of the screen: it has said everything. A serial number that is not in stock is only counted.
func (f *registration) beginScreen(ctx context.Context) (*models.Request, error) {
	if f.device == nil {
		f.room.unknownScreens.Add(1)
		f.wait(models.ResultNotProvisioned)
		return nil, nil
	}
	if lines := f.room.config.Screens.Lines; lines != nil {
		var err error
		if f.line, f.lineKnown, err = lines.Account(ctx, f.in.Source); err != nil {
			return nil, err
		}
	}
	return nil, f.authenticate(ctx)
}

// findOrder finds whose the screen is, and in f.stands what stands in the way of finding it; nil if there is no order. The accounts come before
// the device, as everywhere.
func (f *registration) findOrder(tx *store.Tx, _ bool) (a *models.Account, _ bool, err error) {
	f.stands = nil
	orders, closed, err := accounts.LockScreenOrders(tx, f.in.SerialNumber)
	if err != nil {
		return nil, false, err
	}
	if id := f.device.AccountID; !id.IsZero() {
		if a, err = accounts.Lock(tx, id); err != nil {
			return nil, false, err
		}
	}
	d, err := devices.LockByID(tx, f.device.ID)
	if err != nil {
		return nil, false, err
	}
	if !d.AccountID.IsZero() && (a == nil || a.ID != d.AccountID) { // it was bound since its Inform was read
		if a, err = accounts.Lock(tx, d.AccountID); err != nil {
			return nil, false, err
		}
	}
	other := func(o models.Account) bool { return o.ID != d.AccountID }
	named := slices.ContainsFunc(orders, other)
	switch bound := !d.AccountID.IsZero() && a != nil; {
	case d.StockState == models.Stolen:
		f.stands = &refusal{Outcome: denied(models.ResultBoundToOther), code: "security.screen_stolen"}
	case bound && named && a.State != models.AccountTerminated && a.Includes(models.MagicScreen):
		f.stands = &refusal{Outcome: denied(models.ResultBoundToOther), code: "security.screen_bound_to_other"}
	case bound && !named:
		return a, false, nil
	case len(orders) == 1: // of nobody's screen, or of one that its account has given up
		return &orders[0], false, nil
	case len(orders) > 1:
		f.stands = &refusal{Outcome: denied(models.ResultNotProvisioned), code: screenWaiting}
	case f.certified && f.lineKnown && d.StockState != models.Returned:
		open, err := accounts.LockLineOrders(tx, f.line)
		if err == nil && len(open) == 1 {
			return &open[0], false, nil
		}
		return nil, false, err
	case d.StockState == models.Returned && closed != nil:
		return closed, false, nil // who hears that it is closed
	case d.StockState == models.Returned:
		f.stands = &refusal{Outcome: denied(models.ResultBoundToOther), code: "security.screen_returned"}
	}
	return nil, false, nil
}

// judgeScreen judges a screen by its stock, its order and its line.
func (f *registration) judgeScreen(tx *store.Tx, a *models.Account, _ bool) (judged, error) {
	switch {
	case f.stands != nil:
		return judged{refusal: f.stands}, nil
	case a == nil:
		return judged{refusal: &refusal{Outcome: denied(models.ResultNotProvisioned), code: screenWaiting}}, nil
	}
	j := judged{by: modeCertificate, method: models.ByCertificate, owner: true}
	if !f.certified {
		j.by, j.method = "line", models.ByLine
	}
	if f.onLine(a) {
		return j, nil
	}
	const code = "security.line_mismatch"
	if f.room.config.Screens.LineCheck == EnforceLine && a.State != models.AccountTerminated {
		return judged{refusal: &refusal{Outcome: denied(models.ResultLineMismatch), code: code}}, nil
	}
	j.warning = code
	return j, nil
}

// onLine tells whether the screen is where its order says, as far as that is known. A certificate proves the screen, so a line that nobody knows
// of is no objection to it. Without one both have to match (i4.md B.4): enforced, the line must be known; else the claimed one is compared
// (resolutions 10).
func (f *registration) onLine(a *models.Account) bool {
	switch claimed := f.in.Get(broadbandAccount); {
	case f.room.config.Screens.LineCheck == IgnoreLine:
		return true
	case f.lineKnown:
		return f.line == a.BroadbandAccount || f.certified && a.BroadbandAccount == ""
	case f.certified:
		return true
	case f.room.config.Screens.LineCheck == EnforceLine:
		return false
	default:
		return claimed == "" || a.BroadbandAccount == "" || claimed == a.BroadbandAccount
	}
}

// noteScreen writes down why a screen was refused, and has it wait if time may help: what each of its heartbeats would repeat is told once.
func (f *registration) noteScreen(tx *store.Tx, a *models.Account, r refusal) error {
	misplaced := r.Result == models.ResultBoundToOther || r.Result == models.ResultLineMismatch
	waits := misplaced // a screen that is bound is served no more, unless it is only said to be this one
	if f.device.AccountID.IsZero() {
		waits = r.Result != models.ResultBoundToOther && r.Result != models.ResultClosed
	} else if !misplaced || f.trust < models.L1 {
		waits = !f.device.WaitingAt.IsZero()
	}
	if err := devices.SetWaiting(tx, f.device, waits); err != nil {
		return err
	}
	code := r.code
	if r.Result == models.ResultNotProvisioned {
		code = screenWaiting // for the order to be made, to be the only one, or to be activated
	}
	return f.remember(tx, a, func(s *models.Screen) error {
		if s.Noted == code && (code == screenWaiting || tx.Now.Sub(s.NotedAt) < noteAgain) {
			return nil
		}
		s.Noted, s.NotedAt = code, tx.Now
		if code == screenWaiting {
			return events.Append(tx, devices.EventOf(f.device, models.DeviceBootstrap, code, map[string]any{"result": r.Result}))
		}
		return security(tx, code, a, f.device, map[string]any{"result": r.Result})
	})
}

// noteBound writes down what belongs to a screen that is served: a line that is not its order's, and too many returns from the factory state. A
// session that is tried again is the same return.
func (f *registration) noteBound(tx *store.Tx, d *models.Device, a *models.Account, j judged) error {
	again := !d.AccountID.IsZero() && f.in.Has(models.EventBootstrap) && f.in.RetryCount == 0
	if err := devices.SetWithheld(tx, d, !f.certified && !f.room.config.Screens.Trusting && f.room.config.Screens.LineCheck != EnforceLine); err != nil {
		return err
	}
	return f.remember(tx, a, func(s *models.Screen) error {
		noted := s.Noted == j.warning && tx.Now.Sub(s.NotedAt) < noteAgain
		if s.Noted != j.warning {
			s.Noted, s.NotedAt = j.warning, tx.Now
		}
		if j.warning != "" && !noted {
			s.NotedAt = tx.Now
			if err := security(tx, j.warning, a, f.device, nil); err != nil {
				return err
			}
		}
		if !again {
			return nil
		}
		if tx.Now.Sub(s.ResetsSince) >= noteAgain {
			s.Resets, s.ResetsSince = 0, tx.Now
		}
		if s.Resets++; s.Resets == frequentResets {
			return security(tx, "security.frequent_resets", a, f.device, map[string]any{"resets": s.Resets})
		}
		return nil
	})
}

// remember changes what is remembered of the screen, and tells of a certificate that is another than before.
func (f *registration) remember(tx *store.Tx, a *models.Account, change func(*models.Screen) error) error {
	s, known, err := devices.Screen(tx, f.device.ID)
	if err != nil {
		return err
	}
	before := s
	if !known {
		if err := events.Append(tx, devices.EventOf(f.device, models.DeviceInform, "screen.seen", nil)); err != nil {
			return err
		}
	}
	if c := f.in.Certificate; f.certified && c != nil && c.Fingerprint != "" {
		if s.Fingerprint != "" && s.Fingerprint != c.Fingerprint {
			if err := security(tx, "security.certificate_changed", a, f.device, map[string]any{"fingerprint": c.Fingerprint}); err != nil {
				return err
			}
		}
		s.Fingerprint, s.Issuer = c.Fingerprint, c.Issuer
	}
	if err := change(&s); err != nil || known && s == before {
		return err
	}
	return devices.SaveScreen(tx, &s)
}

// turnAway ends the session of a screen that is at the wrong place with that; what else a refused one is told is its account's standing.
func (f *registration) turnAway(r models.Result) {
	switch r {
	case models.ResultNotProvisioned:
		f.wait(r)
	case models.ResultBoundToOther, models.ResultLineMismatch:
		f.flows = f.flows[:1]
	}
}

// wait ends the flow with the refusal and the heartbeat of a screen that waits (i4.md B.4).
func (f *registration) wait(result models.Result) {
	outcome := denied(result)
	f.then = func(context.Context) (*models.Request, error) {
		f.take = f.waits
		return &models.Request{Method: models.SetParameterValues, Outcome: &outcome, Values: []models.Value{
			{Name: configuration.PeriodicInformEnable, Value: "1"},
			{Name: configuration.PeriodicInformInterval, Value: strconv.Itoa(waitingInterval)},
		}}, nil
	}
}

// waits takes note of the heartbeat that the screen has now.
func (f *registration) waits(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil || f.trust < models.L1 || f.device.HeartbeatSeconds == waitingInterval {
		return nil
	}
	return f.room.store.InTx(ctx, func(tx *store.Tx) error {
		tx.AfterCommit(func() { f.device.HeartbeatSeconds = waitingInterval })
		return devices.SetHeartbeat(tx, f.device.ID, waitingInterval)
	})
}
