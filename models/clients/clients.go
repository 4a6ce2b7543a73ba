// Package clients plays the flows of interface I4 with the soft clients, step by step: get password (i4.md B.1), authenticate (B.2, B.3), change
// the password (B.5), go offline (B.6), and the work that waits for a device's session (B.10).
//
// It owns the order of the checks and what a client is told; every rule about a noun is its room's. It refuses to know HTTP, SOAP, paths and
// numbers: a Visit speaks in the nouns of models/exchange.go, and acs/session carries it.
package clients

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// Config is how the flows are played.
type Config struct {
	Plan models.NumberPlan
	// AntiEnumeration: what an account's existence would tell is not told before a correct proof.
	AntiEnumeration bool
	// Pad is how long the answers to GETPWD and to a wrong proof take at least, so that their time tells nothing either; a tenth of it is jitter.
	Pad time.Duration
	// ChallengeTTL is how long a challenge may be answered (AU.ChallengeTTL).
	ChallengeTTL time.Duration
	// RetryAfter is what a successful GETPWD tells to wait, in seconds: the limit per number.
	RetryAfter int
	// ReportAlready: a REGISTER that changes nothing gets ALREADY_DONE instead of the whole delivery.
	ReportAlready bool
	// PlaintextChange: CHANGEPWD brings the new password itself instead of a verifier (i4.changepwd.transport). ChangedText is the SMS that
	// tells of a change.
	PlaintextChange bool
	ChangedText     string
	// MinVersion is the software version below which a client type is refused; a type left out has none.
	MinVersion map[models.ClientType]string
	Policy     bindings.Policy
	Ways       Ways
	Mobile     Mobile
	Screens    Screens
}

// Rooms are what the flows are played with.
type Rooms struct {
	Configuration *configuration.Room
	Devices       *devices.Room
	Diagnostics   *diagnostics.Room
	Packages      *packages.Room
	Passwords     *passwords.Room
	SMS           *sms.Room
	Statistics    *statistics.Room
	Tasks         *tasks.Room
}

// Room opens visits.
type Room struct {
	store  *store.Store
	clock  models.Clock
	config Config
	Rooms
	unknownScreens atomic.Int64
}

// UnknownScreens is how often magic screens that are not in stock asked for their order, since the start.
func (r *Room) UnknownScreens() int64 { return r.unknownScreens.Load() }

// New builds the room.
func New(s *store.Store, clock models.Clock, rooms Rooms, c Config) *Room {
	return &Room{store: s, clock: clock, config: c, Rooms: rooms}
}

// Security notes what the door itself saw of a device, such as the credentials of another one (i4.md A.2-3).
func (r *Room) Security(ctx context.Context, code string, d *models.Device) {
	err := r.store.InTx(models.WithActor(ctx, models.System("acs")), func(tx *store.Tx) error {
		return security(tx, code, nil, d, nil)
	})
	if err != nil {
		slog.ErrorContext(ctx, "note a security event", "code", code, "device", d.Key, "error", err)
	}
}

// flow is one thing that happens in a visit. next returns nil when the flow has nothing more to ask.
type flow interface {
	next(ctx context.Context) (*models.Request, error)
	answer(ctx context.Context, reply models.Reply) error
	// broke tells that the session ended while a request of the flow was out.
	broke(ctx context.Context) error
}

// Visit is one session of a device. Its methods are called one at a time.
type Visit struct {
	room  *Room
	in    *models.Inform
	trust models.Trust
	// certified: the client proved by its certificate that it is the device.
	certified bool
	// device is the row; nil until an unknown device has proved itself.
	device *models.Device
	// key is the ParameterKey that the device holds at this moment.
	key   string
	flows []flow
	out   bool

	// epoch is that under which this session holds the device's work; 0: not yet.
	epoch int64
	// began: the session has read what became of an older one's delivery. configured: nothing more of the configuration goes out in it.
	// renewed: it has given new HTTP credentials. newest: the device presented the newest of its credentials.
	began, configured, renewed, newest bool
}

// Arrive opens the visit of a device that sent in. d is its row, nil for an unknown one; it decides nothing that needs the empty POST. At L1
// it takes note that the device was heard of.
func (r *Room) Arrive(ctx context.Context, in *models.Inform, d *models.Device, trust models.Trust, previousCredential bool) (*Visit, error) {
	v := &Visit{room: r, in: in, device: d, key: in.ParameterKey, certified: in.Certificate != nil, newest: trust == models.L1 && !previousCredential}
	v.trust = v.believed(trust)
	if in.Has(models.EventBootstrap) {
		v.key = "" // whatever it reports: after a factory reset it is owed everything
	}
	if v.trust >= models.L1 {
		if err := r.Configuration.Restore(v.as(ctx), d, in); err != nil {
			return nil, err
		}
		if err := v.heard(v.as(ctx)); err != nil {
			return nil, err
		}
		if err := v.takeStatistics(v.as(ctx)); err != nil {
			return nil, err
		}
	}
	v.plan()
	return v, nil
}

// plan lists the flows in the order of i4.md A.5-9.
func (v *Visit) plan() {
	if v.onlyLeaves() {
		return
	}
	imsClient := v.clientType() != models.Generic
	if imsClient && v.in.Has(models.EventGetPassword) {
		v.flows = append(v.flows, &getPassword{Visit: v})
	}
	bound := v.trust >= models.L1 && !v.device.AccountID.IsZero()
	owes := imsClient && bound && v.owesProof()
	if imsClient && bound && !owes && v.in.Has(models.EventChangePassword) {
		v.flows = append(v.flows, newPasswordChange(v))
	}
	register := imsClient && v.registers()
	if register {
		v.flows = append(v.flows, newRegistration(v))
	}
	if imsClient && !register && (!bound || owes) && v.mustReauthenticate() {
		v.flows = append(v.flows, &tell{outcome: models.Outcome{Result: models.ResultReauthRequired, Delivery: models.DeliveryFailed}})
	}
	if v.trust >= models.L1 && !owes && !v.beatsOnly() {
		v.flows = append(v.flows, &service{Visit: v})
	}
}

// owesProof tells whether a bound device gets neither configuration nor tasks until it has authenticated again: its password was changed or its
// login ended. What a suspended or closed account takes from it, it is told all the same.
func (v *Visit) owesProof() bool {
	return v.device.ReauthRequired && v.device.AccountState != models.AccountSuspended && v.device.AccountState != models.AccountTerminated
}

// beatsOnly tells whether nothing but 14 HEARTBEAT was sent, which is for presence only (i4.md A.10).
func (v *Visit) beatsOnly() bool {
	return !slices.ContainsFunc(v.in.Events, func(e models.InformEvent) bool { return e.Name != models.EventHeartbeat })
}

// mustReauthenticate tells whether a device without binding, or one that owes a proof, gets Status 12: a revoked one for any event (resolutions
// 11), a registered one that nobody is bound to (resolutions 7), and a stranger for any event that needs credentials (i4.md A.2-3).
func (v *Visit) mustReauthenticate() bool {
	if v.in.Has(models.EventGetPassword) {
		return false
	}
	if v.device != nil && v.device.Revoked || v.trust >= models.L1 {
		return true
	}
	for _, e := range v.in.Events {
		if !e.L0 {
			return true
		}
	}
	return false
}

// clientType is the registered type, else what the client says (resolutions 42).
func (v *Visit) clientType() models.ClientType {
	if v.device != nil {
		return v.device.ClientType
	}
	return v.in.ClientType
}

// Next says what to ask of the device; nil when nothing is left.
func (v *Visit) Next(ctx context.Context) (*models.Request, error) {
	for len(v.flows) > 0 {
		request, err := v.flows[0].next(v.as(ctx))
		if err != nil || request != nil {
			v.out = request != nil
			return request, err
		}
		v.flows = v.flows[1:]
	}
	return nil, nil
}

// Answer takes the reply to the last Request. What it confirms of the heartbeat's interval counts from now on.
func (v *Visit) Answer(ctx context.Context, reply models.Reply) error {
	v.out = false
	before := v.interval()
	err := v.flows[0].answer(v.as(ctx), reply)
	if err == nil && before != v.interval() && v.device.Reachability == models.Online {
		v.seen()
	}
	return err
}

// interval is the heartbeat's in seconds as the device has confirmed it; 0 for none and for an unknown device.
func (v *Visit) interval() int {
	if v.device == nil {
		return 0
	}
	return v.device.HeartbeatSeconds
}

// End is called once, when the session is over; err is not nil if it broke while a request was out.
func (v *Visit) End(ctx context.Context, err error) {
	if !v.out || len(v.flows) == 0 {
		return
	}
	if e := v.flows[0].broke(v.as(ctx)); e != nil {
		slog.ErrorContext(ctx, "give back the work of a broken session", "device", v.in.Key, "error", e)
	}
}

// as names who acts in this visit: the device, or the platform for a device without row.
func (v *Visit) as(ctx context.Context) context.Context {
	actor := models.System("acs")
	if v.device != nil {
		actor = models.ByDevice(v.device.ID, string(v.device.Key))
	}
	origin := models.OriginFrom(ctx)
	origin.RemoteAddress = v.in.RemoteAddress
	return models.WithOrigin(models.WithActor(ctx, actor), origin)
}

// heard takes note of an Inform at L1. A plain heartbeat that reports nothing new costs no statement here.
func (v *Visit) heard(ctx context.Context) error {
	d, parting := v.device, v.parting()
	away := parting == leaves || parting == late && !v.opensLogin() && d.Reachability != models.Online
	if away && d.Reachability != models.Online {
		v.room.Devices.Gone(d, v.sighting())
	} else {
		v.seen()
	}
	credentials, err := v.room.Devices.Credentials(d)
	if err != nil {
		return err
	}
	confirmed := v.newest && len(credentials.Previous) > 0
	login := v.newLogin(v.in.Get(loginSessionID))
	boot, bootstrap, changed := v.in.Has(models.EventBoot), v.in.Has(models.EventBootstrap), v.in.Has(models.EventValueChange)
	if err := v.watchSIM(ctx); err != nil {
		return err
	}
	before, ran := d.ReportHash, d.SoftwareVersion
	if v.onlyReports() {
		devices.Lay(d, v.in)
	} else if err := v.room.Devices.Report(ctx, d, v.in); err != nil {
		return err
	}
	// Told once a report, not every heartbeat; a REGISTER tells it itself (resolutions 42).
	claimed, ok := models.ClientTypeOf(v.in.Claimed)
	mismatch := ok && claimed != d.ClientType && d.ReportHash != before && !v.in.Has(models.EventRegister)
	if boot || v.in.Has(models.EventMReboot) {
		if err := v.room.Tasks.Rebooted(ctx, d); err != nil {
			return err
		}
	}
	if boot {
		if err := v.room.Diagnostics.Booted(ctx, d); err != nil {
			return err
		}
	}
	if v.in.Has(models.EventDiagnostics) {
		if err := v.room.Diagnostics.Reported(ctx, d, v.in); err != nil {
			return err
		}
	}
	if boot || v.in.Has(models.EventMDownload) || d.SoftwareVersion != ran && !v.onlyReports() {
		if err := v.room.Tasks.Appeared(ctx, d, v.in); err != nil {
			return err
		}
	}
	if !confirmed && login == "" && !bootstrap && !changed && !mismatch && v.quiet(parting) {
		return nil
	}
	err = v.room.store.InTx(ctx, func(tx *store.Tx) error {
		if confirmed {
			if err := devices.ConfirmCredentials(tx, d); err != nil {
				return err
			}
			if _, err := bindings.Confirm(tx, d.ID); err != nil {
				return err
			}
		}
		if login != "" {
			if err := devices.SetLogin(tx, d, login); err != nil {
				return err
			}
		}
		if mismatch {
			if err := mistyped(tx, v); err != nil {
				return err
			}
		}
		if bootstrap {
			if err := events.Append(tx, devices.EventOf(d, models.DeviceBootstrap, "client.bootstrap", nil)); err != nil {
				return err
			}
		}
		if changed {
			if err := events.Append(tx, devices.EventOf(d, models.DeviceParameterChanged, "client.value_changed", paths(v.in.Raw))); err != nil {
				return err
			}
		}
		return v.appear(tx, parting)
	})
	if err == nil && away {
		v.room.Devices.Gone(d, v.sighting())
	}
	return err
}

// opensLogin tells whether the Inform is one of those whose login session is the current one (resolutions 16).
func (v *Visit) opensLogin() bool {
	return v.in.Has(models.EventRegister) || v.in.Has(models.EventBoot) || v.in.Has(models.EventPeriodic)
}

// newLogin returns the login session that the Inform opens (resolutions 16), empty if it is the known one or none.
func (v *Visit) newLogin(session string) string {
	if !v.opensLogin() || session == v.device.LoginSessionID || len(session) > maxLoginSessionID {
		return ""
	}
	return session
}

// seen notes the device's presence in memory.
func (v *Visit) seen() { v.room.Devices.Seen(v.device, v.sighting()) }

// sighting is what this Inform tells of the device's presence, now.
func (v *Visit) sighting() models.DevicePresence {
	now := v.room.clock.Now()
	p := models.DevicePresence{DeviceID: v.device.ID, LastInformAt: now, IPAddress: v.in.RemoteAddress, LineAt: devices.LineTold(v.in, now)}
	if v.in.Has(models.EventBoot) || v.in.Has(models.EventBootstrap) {
		p.LastBootAt = now
	}
	if !v.in.CurrentTime.IsZero() {
		skew := int64(now-v.in.CurrentTime) / 1000 // not Sub, which wraps around after 292 years
		p.ClockSkewSeconds = max(min(skew, math.MaxInt32), math.MinInt32)
	}
	return p
}

// maxPaths is how many bytes of paths an event takes of the 64 KiB of its row; as JSON they may become six times as many.
const maxPaths = 8 << 10

// paths lists what changed for an event, and how many more there were.
func paths(values []models.Value) map[string]any {
	list, size := make([]string, 0, len(values)), 0
	for i, value := range values {
		if size += len(value.Name); size > maxPaths {
			return map[string]any{"paths": list, "more": len(values) - i}
		}
		list = append(list, value.Name)
	}
	return map[string]any{"paths": list}
}

// tell is a flow of one message that expects nothing of the answer: a client that knows none of its parameters is none the worse.
type tell struct {
	outcome models.Outcome
	told    bool
}

func (f *tell) next(context.Context) (*models.Request, error) {
	if f.told {
		return nil, nil
	}
	f.told = true
	return &models.Request{Method: models.SetParameterValues, Outcome: &f.outcome}, nil
}

func (*tell) answer(context.Context, models.Reply) error { return nil }
func (*tell) broke(context.Context) error                { return nil }

// internalError is what a client hears of an error that is none of its business (Status 50). If it is known whom it concerns, the audit log has
// a failed action.
func internalError(ctx context.Context, action string, v *Visit, err error) models.Outcome {
	slog.ErrorContext(ctx, "a flow ended with an internal error", "flow", action, "device", v.in.Key, "error", err)
	err = v.room.store.InTx(ctx, func(tx *store.Tx) error {
		about, err := v.concerned(tx)
		if err != nil || about.ID.IsZero() {
			return err
		}
		return events.Audit(tx, models.AuditEntry{Action: action, Subject: about, Outcome: models.AuditFailed, ErrorCode: models.Code(models.ResultInternal)})
	})
	if err != nil {
		slog.ErrorContext(ctx, "audit a flow that went wrong", "device", v.in.Key, "error", err)
	}
	return models.Outcome{Result: models.ResultInternal, Delivery: models.DeliveryFailed, RetryAfter: internalRetry}
}

// concerned is the account of the number that the client names, else its own device; nobody for strangers.
func (v *Visit) concerned(tx *store.Tx) (about models.Subject, err error) {
	var a *models.Account
	if number, ok := v.room.config.Plan.Normalise(v.in.Get(userName)); ok {
		a, err = accounts.ForNumber(tx, number)
	} else if number, ok := v.room.config.Plan.Normalise(v.in.Get(mdn)); ok {
		a, _, err = accounts.ForMDN(tx, number)
	}
	if err != nil || a != nil {
		return models.Subject{Kind: models.KindAccount, ID: idOf(a)}, err
	}
	if v.device != nil {
		about = models.Subject{Kind: models.KindDevice, ID: v.device.ID}
	}
	return about, nil
}

const (
	internalRetry     = 60 // seconds
	maxLoginSessionID = 32 // SC.LoginSessionId is string(32)
)

// malformed is Status 40 about one parameter.
func malformed(name string) models.Outcome {
	return models.Outcome{Result: models.ResultMalformed, Delivery: models.DeliveryFailed, Detail: name}
}

// denied is a refusal without further facts.
func denied(result models.Result) models.Outcome {
	return models.Outcome{Result: result, Delivery: models.DeliveryFailed}
}

// isHex tells whether s is n hex digits of either case (resolutions 19).
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// mistyped tells that a known device claims to be of another type than it is registered as (resolutions 42).
func mistyped(tx *store.Tx, v *Visit) error {
	return security(tx, "security.client_type_mismatch", nil, v.device, map[string]any{"claimed": fmt.Sprintf("%.32s", v.in.Claimed)})
}

// security appends a SECURITY event about the account if there is one, else about the device; about neither there is none (resolutions 40).
func security(tx *store.Tx, code string, a *models.Account, d *models.Device, fields map[string]any) error {
	e := models.Event{Type: models.Security, Payload: models.DocOf(map[string]any{"code": code})}
	for name, value := range fields {
		e.Payload.V[name] = value
	}
	if d != nil {
		e.Subject = models.Subject{Kind: models.KindDevice, ID: d.ID}
		e.SubjectVersion, e.DeviceID, e.ClientType, e.Region = d.Version, d.ID, d.ClientType, d.Region
		e.Payload.V["device"], e.Payload.V["clientType"] = d.ID, d.ClientType
	}
	if a != nil {
		e.Subject = models.Subject{Kind: models.KindAccount, ID: a.ID}
		e.SubjectVersion, e.AccountID, e.AccountExternalID, e.Region = a.Version, a.ID, a.ExternalID, a.Region
		e.Payload.V["account"] = a.ID
	}
	if e.Subject.ID.IsZero() {
		return nil
	}
	if err := events.Append(tx, e); err != nil {
		return fmt.Errorf("security event %s: %w", code, err)
	}
	return nil
}
