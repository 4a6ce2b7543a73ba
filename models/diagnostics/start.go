package diagnostics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const runDiagnostic = "runDiagnostic"

// StartInput is the input of runDiagnostic. Nil means left out; which kind takes what says its comment in the schema.
type StartInput struct {
	IdempotencyKey string
	Device         devices.Ref
	Kind           models.DiagnosticKind
	Host, Server   *string
	Bytes          *int64
	Count          *int
	TimeoutSeconds int
}

// started is what the record of a runDiagnostic keeps.
type started struct{ Diagnostic models.ID }

// Start queues a diagnostic for a device in which the actor holds DIAG_RUN; another device is NOT_FOUND. A host outside the allowed targets is
// POLICY_DENIED, a kind that the device does not have UNSUPPORTED_BY_DEVICE, a ninth that waits QUOTA_EXCEEDED, too many in an hour LIMIT_BY_POLICY
// with the time until the next one. replayed tells that the idempotency key was used before.
func (r *Room) Start(ctx context.Context, in StartInput) (id models.ID, replayed bool, err error) {
	if err := models.Need(ctx, models.DiagRun); err != nil {
		return id, false, err
	}
	inputs, hosts, err := r.check(in)
	if err != nil {
		return id, false, err
	}
	key := in.IdempotencyKey
	in.IdempotencyKey = ""
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		did, again, err := events.Repeat(tx, runDiagnostic, key, in, func() (started, error) {
			s := started{Diagnostic: models.NewID()}
			return s, r.queue(tx, s.Diagnostic, in, inputs, hosts)
		})
		id, replayed = did.Diagnostic, again
		return err
	})
	if err != nil {
		return models.ID{}, false, fmt.Errorf("queue a diagnostic: %w", err)
	}
	return id, replayed, nil
}

// target is a host that a test points its device at, and the field that named it.
type target struct{ host, field string }

func (r *Room) queue(tx *store.Tx, id models.ID, in StartInput, inputs models.DiagnosticInputs, hosts []target) error {
	d, err := devices.LockByRef(tx, in.Device, models.DiagRun)
	if models.CodeOf(err) == models.NotFound {
		return models.E(models.NotFound, "there is no such device", "input", "device")
	}
	if err != nil {
		return err
	}
	for _, t := range hosts {
		if err := r.config.Targets.allow(tx, d.ID, t.host, t.field); err != nil {
			return err
		}
	}
	what := tests[in.Kind]
	unknown, err := configuration.Unknown(tx, d, what.object)
	if err != nil {
		return err
	}
	if unknown || what.ours && d.ClientType == models.Generic {
		return models.E(models.UnsupportedByDevice, "the device does not have this test", "input", "kind")
	}
	if err := r.room(tx, d); err != nil {
		return err
	}
	actor := models.ActorFrom(tx.Context())
	t := models.Diagnostic{
		ID: id, DeviceID: d.ID, Kind: in.Kind, State: models.TaskPending, TaskID: id.String(), Inputs: models.DocOf(inputs), DueAt: tx.Now, CreatedAt: tx.Now,
		ExpiresAt: tx.Now.Add(life), CreatedByKind: actor.Kind, CreatedByID: actor.ID, CreatedByName: actor.Name, Dropped: lacking(d),
	}
	if err := gorm.G[models.Diagnostic](tx.DB).Create(tx.Context(), &t); err != nil {
		return fmt.Errorf("insert a diagnostic: %w", err)
	}
	if err := devices.SetWork(tx, d.ID, tx.Now); err != nil {
		return err
	}
	if err := tell(tx, d, &t); err != nil {
		return err
	}
	return events.Audit(tx, models.AuditEntry{
		Action: runDiagnostic, Subject: models.Subject{Kind: models.KindDiagnostic, ID: id},
		Changes: models.DocOf(map[string]any{"device": []any{nil, d.ID}, "kind": []any{nil, in.Kind}, "host": []any{nil, inputs.Host}}),
	})
}

// lacking are the inputs that the device cannot have: one of another maker's knows no DG.* (resolutions 43).
func lacking(d *models.Device) (names models.Doc[[]string]) {
	if d.ClientType == models.Generic {
		names.V = []string{nameTaskID}
	}
	return names
}

// room refuses a diagnostic for which there is none: too many wait, or too many were asked for within an hour (resolutions 12).
func (r *Room) room(tx *store.Tx, d *models.Device) error {
	rows, err := open(tx, d.ID)
	if err != nil {
		return err
	}
	waiting := 0
	for _, t := range rows {
		if !t.Unsolicited {
			waiting++
		}
	}
	if waiting >= maxOpen {
		return models.E(models.QuotaExceeded, fmt.Sprintf("%d diagnostics of the device are waiting already", maxOpen), "input", "device")
	}
	recent, err := r.recent(tx, d.ID, false)
	if err != nil || len(recent) < r.config.PerHour || r.config.PerHour <= 0 {
		return err
	}
	e := models.E(models.LimitByPolicy, fmt.Sprintf("a device runs at most %d diagnostics in an hour", r.config.PerHour), "input", "device")
	e.RetryAfterSeconds = int(recent[len(recent)-r.config.PerHour].Add(time.Hour).Sub(tx.Now).Seconds()) + 1
	return e
}

// recent are the times of the last hour at which diagnostics of a device came, in order.
func (r *Room) recent(tx *store.Tx, deviceID models.ID, unsolicited bool) (times []models.Time, err error) {
	err = tx.DB.Model(&models.Diagnostic{}).Where("device_id = ? AND created_at > ? AND unsolicited = ?", deviceID, tx.Now.Add(-time.Hour), unsolicited).
		Order("created_at").Pluck("created_at", &times).Error
	if err != nil {
		return nil, fmt.Errorf("count the diagnostics of device %s: %w", deviceID, err)
	}
	return times, nil
}

// check returns the inputs that the arguments make, and the hosts in them.
func (r *Room) check(in StartInput) (out models.DiagnosticInputs, hosts []target, err error) {
	what, ok := tests[in.Kind]
	if !ok {
		return out, nil, models.E(models.Invalid, "there is no such kind of diagnostic", "input", "kind")
	}
	for _, argument := range []struct {
		name                string
		takes, needs, given bool
	}{
		{"host", true, !what.hostOptional, in.Host != nil && *in.Host != ""}, {"server", what.server, false, in.Server != nil},
		{"bytes", what.maxBytes > 0, false, in.Bytes != nil}, {"count", what.maxCount > 0, false, in.Count != nil},
	} {
		switch {
		case argument.needs && !argument.given:
			return out, nil, models.E(models.Required, string(in.Kind)+" needs "+argument.name, "input", argument.name)
		case argument.given && !argument.takes:
			return out, nil, models.E(models.Invalid, string(in.Kind)+" takes no "+argument.name, "input", argument.name)
		}
	}
	out.Bytes, out.Count, out.TimeoutSeconds = what.bytes, what.count, in.TimeoutSeconds
	if most := int(r.config.Timeout.Seconds()); in.TimeoutSeconds < 1 || in.TimeoutSeconds > most {
		return out, nil, models.E(models.Invalid, fmt.Sprintf("a test may take 1 to %d seconds", most), "input", "timeoutSeconds")
	}
	if in.Bytes != nil {
		if out.Bytes = *in.Bytes; out.Bytes < 1 || out.Bytes > what.maxBytes {
			return out, nil, models.E(models.Invalid, fmt.Sprintf("1 to %d bytes are allowed", what.maxBytes), "input", "bytes")
		}
	}
	if in.Count != nil {
		if out.Count = *in.Count; out.Count < 1 || out.Count > what.maxCount {
			return out, nil, models.E(models.Invalid, fmt.Sprintf("1 to %d tries are allowed", what.maxCount), "input", "count")
		}
	}
	if in.Host != nil && *in.Host != "" {
		host := ""
		switch {
		case what.url:
			out.Host, host, err = canonicalURL(*in.Host)
		case in.Kind == models.MediaLoopback:
			out.Host, out.Port, err = canonicalEcho(*in.Host)
			host = out.Host
		default:
			out.Host, err = canonicalHost(*in.Host)
			host = out.Host
		}
		if err != nil {
			return out, nil, about(err, "host")
		}
		hosts = append(hosts, target{host, "host"})
	}
	if in.Server != nil && *in.Server != "" {
		if out.Server, err = canonicalHost(*in.Server); err != nil {
			return out, nil, about(err, "server")
		}
		hosts = append(hosts, target{out.Server, "server"})
	}
	return out, hosts, nil
}

// about says which field an error is about.
func about(err error, field string) error {
	var coded *models.Error
	if errors.As(err, &coded) {
		return models.E(coded.Code, coded.Message, "input", field)
	}
	return err
}
