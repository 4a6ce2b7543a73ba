package diagnostics

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// Begin takes the oldest diagnostic that waits, with the request that starts it; nil if there is none, one runs, or the session was overtaken. One
// that the device refused in this session waits for another one, and those behind it too.
func (r *Room) Begin(ctx context.Context, d *models.Device, epoch int64) (t *models.Diagnostic, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		t = nil
		held, err := devices.Hold(tx, d.ID, epoch)
		if err != nil || !held {
			return err
		}
		rows, err := open(tx, d.ID)
		if err != nil {
			return err
		}
		for i := range rows {
			if row := &rows[i]; row.State == models.TaskPending {
				if t == nil {
					t = row
				}
			} else if !row.Unsolicited {
				t = nil
				return nil
			}
		}
		if t == nil || t.SentEpoch == epoch {
			t = nil
			return nil
		}
		// Whether it arrived is not known before it is answered, not even if nobody hears of the session again.
		columns := map[string]any{
			"attempts": t.Attempts + 1, "sent_at": tx.Now, "sent_epoch": epoch, "due_at": tx.Now, "unanswered": true, "readings": 0, "expires_at": tx.Now.Add(life),
		}
		ok, err := move(tx, d, t, models.TaskSent, columns)
		if err != nil || !ok {
			t = nil
			return err
		}
		t.Attempts, t.SentAt, t.SentEpoch, t.DueAt, t.Unanswered, t.Readings = t.Attempts+1, tx.Now, epoch, tx.Now, true, 0
		t.Steps = []models.Request{request(t)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("begin a diagnostic of device %s: %w", d.ID, err)
	}
	return t, nil
}

// Read takes a diagnostic whose result is there, or of which nobody knows how it stands, with the request that tells; nil if there is none. Each is
// asked about once in a session. Call it in the transaction in which the session holds the device's work as epoch.
func (r *Room) Read(tx *store.Tx, d *models.Device, epoch int64) (*models.Diagnostic, error) {
	held, err := devices.Hold(tx, d.ID, epoch)
	if err != nil || !held {
		return nil, err
	}
	rows, err := open(tx, d.ID)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		t := &rows[i]
		if t.State == models.TaskPending || t.DueAt > tx.Now || t.ReadEpoch == epoch {
			continue
		}
		if t.Readings >= tries {
			if err := giveUp(tx, d, t); err != nil {
				return nil, err
			}
			continue
		}
		if err := set(tx, t, map[string]any{"readings": t.Readings + 1, "read_epoch": epoch}); err != nil {
			return nil, fmt.Errorf("read diagnostic %s: %w", t.ID, err)
		}
		t.Readings, t.ReadEpoch = t.Readings+1, epoch
		t.Steps = []models.Request{reading(t, t.Unsolicited)}
		return t, nil
	}
	return nil, nil
}

// giveUp ends a diagnostic whose result was asked for in vain.
func giveUp(tx *store.Tx, d *models.Device, t *models.Diagnostic) error {
	if t.State == models.TaskSent {
		_, err := move(tx, d, t, models.TaskExpired, map[string]any{})
		return err
	}
	return fail(tx, d, t, own("three sessions ended before the device told the result"))
}

// Lost tells that the session ended while the request of t was out: whether inputs arrived, and what the result is, the next one asks.
func (r *Room) Lost(ctx context.Context, d *models.Device) error {
	return r.store.InTx(ctx, func(tx *store.Tx) error { return devices.SetWork(tx, d.ID, tx.Now) })
}

// Answered takes the device's answer to the request of t. The answer of an overtaken session changes nothing. What is left of t.Steps afterwards
// is to be sent next.
func (r *Room) Answered(ctx context.Context, d *models.Device, t *models.Diagnostic, epoch int64, reply models.Reply) error {
	before := *t
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		*t = before
		asked := t.Steps[0]
		t.Steps = nil
		held, err := devices.Hold(tx, d.ID, epoch)
		switch {
		case err != nil || !held:
			return err
		case asked.Method == models.SetParameterValues && reply.Fault != nil:
			return r.refused(tx, d, t, reply.Fault)
		case asked.Method == models.SetParameterValues:
			return set(tx, t, map[string]any{"unanswered": false, "due_at": tx.Now.Add(r.config.Timeout), "fault": models.Doc[*models.Fault]{}})
		case reply.Fault != nil:
			return r.unread(tx, d, t, asked, reply.Fault)
		}
		return r.told(tx, d, t, reply.Values)
	})
	if err != nil {
		return fmt.Errorf("take the answer to diagnostic %s: %w", t.ID, err)
	}
	return nil
}

const (
	unknownName = 9005
	readOnly    = 9008
)

// refused takes a fault for the inputs. Inputs that the device does not know and that the test can do without are left out at once; a test that it
// does not know is remembered of its firmware.
func (r *Room) refused(tx *store.Tx, d *models.Device, t *models.Diagnostic, f *models.Fault) error {
	if names := droppable(t, f); len(names) > 0 {
		t.Dropped.V = append(slices.Clone(t.Dropped.V), names...)
		t.Steps = []models.Request{request(t)}
		return set(tx, t, map[string]any{"dropped": t.Dropped})
	}
	if f.Passing() && t.Attempts < tries {
		return again(tx, d, t, map[string]any{"fault": models.DocOf(bounded(f))})
	}
	if unknown(f) {
		if err := configuration.Learn(tx, d, tests[t.Kind].object); err != nil {
			return err
		}
	}
	return fail(tx, d, t, f)
}

// droppable are the inputs that a fault names, if the test can do without each of them.
func droppable(t *models.Diagnostic, f *models.Fault) (names []string) {
	sent := request(t).Values
	for _, p := range f.Parameters {
		there := slices.ContainsFunc(sent, func(v models.Value) bool { return v.Name == p.Name })
		if p.Code != unknownName && p.Code != readOnly || !there || vital(t.Kind, p.Name) {
			return nil
		}
		names = append(names, p.Name)
	}
	return names
}

// unknown tells whether a fault says that the device does not have the test.
func unknown(f *models.Fault) bool {
	return f.Code == unknownName || slices.ContainsFunc(f.Parameters, func(p models.ParameterFault) bool { return p.Code == unknownName })
}

// again queues a diagnostic for another session.
func again(tx *store.Tx, d *models.Device, t *models.Diagnostic, columns map[string]any) error {
	columns["due_at"] = tx.Now
	if _, err := move(tx, d, t, models.TaskPending, columns); err != nil {
		return err
	}
	return devices.SetWork(tx, d.ID, tx.Now)
}

// unread takes a fault for the request of a result. A device that lacks one of the parameters is asked for the whole object.
func (r *Room) unread(tx *store.Tx, d *models.Device, t *models.Diagnostic, asked models.Request, f *models.Fault) error {
	whole := slices.Contains(asked.Names, tests[t.Kind].object)
	switch {
	case f.Code == unknownName && !whole:
		t.Steps = []models.Request{reading(t, true)}
		return nil
	case f.Code == unknownName && !dropped(t, nameTaskID):
		t.Dropped.V = append(slices.Clone(t.Dropped.V), nameTaskID)
		t.Steps = []models.Request{reading(t, true)}
		return set(tx, t, map[string]any{"dropped": t.Dropped})
	case f.Passing() && t.Readings < tries:
		if err := set(tx, t, map[string]any{"fault": models.DocOf(bounded(f))}); err != nil {
			return err
		}
		return devices.SetWork(tx, d.ID, tx.Now)
	}
	return fail(tx, d, t, f)
}

// told takes what a device says of a test.
func (r *Room) told(tx *store.Tx, d *models.Device, t *models.Diagnostic, values []models.Value) error {
	what := tests[t.Kind]
	a := answerOf(what.object, values)
	state, taskID := a[stateLeaf[1:]], valueOf(values, nameTaskID)
	foreign := taskID != "" && taskID != t.TaskID
	switch {
	case t.Unsolicited && !ended(state):
		return fail(tx, d, t, own("the result was gone when it was to be read"))
	case t.Unsolicited:
	case t.State == models.TaskSent && t.Unanswered && taskID != t.TaskID && (foreign || state != requested):
		// The request was lost, not its answer: what the device has is of another test.
		if t.Attempts >= tries {
			return fail(tx, d, t, own("three sessions ended before the device answered"))
		}
		return again(tx, d, t, map[string]any{})
	case foreign:
		if ended(state) {
			if err := r.keep(tx, d, t.Kind, taskID, values); err != nil {
				return err
			}
		}
		return lost(tx, d, t)
	case state == none || state == "":
		return lost(tx, d, t)
	case !ended(state):
		return r.running(tx, d, t)
	}
	return finish(tx, d, t, a, state)
}

func valueOf(values []models.Value, name string) string {
	if i := slices.IndexFunc(values, func(v models.Value) bool { return v.Name == name }); i >= 0 {
		return values[i].Value
	}
	return ""
}

// running: the device has it and is not done. After its time that is the end (i4.md B.8: EXPIRED).
func (r *Room) running(tx *store.Tx, d *models.Device, t *models.Diagnostic) error {
	until := t.SentAt.Add(r.config.Timeout)
	if until <= tx.Now {
		_, err := move(tx, d, t, models.TaskExpired, map[string]any{})
		return err
	}
	return set(tx, t, map[string]any{"unanswered": false, "due_at": until, "readings": 0})
}

// lost: the device does not know of it any more, as after a restart; it is run once more (i4.md B.8: LOST).
func lost(tx *store.Tx, d *models.Device, t *models.Diagnostic) error {
	if t.Restarts > 0 {
		return fail(tx, d, t, own("the device lost the test twice"))
	}
	return again(tx, d, t, map[string]any{"restarts": t.Restarts + 1, "attempts": 0})
}

// finish ends a diagnostic by its result, or by the error that the device names.
func finish(tx *store.Tx, d *models.Device, t *models.Diagnostic, a answer, state string) error {
	if !complete(state) {
		_, err := move(tx, d, t, models.TaskFailed, map[string]any{"error_state": clip(state, 64), "fault": models.Doc[*models.Fault]{}})
		return err
	}
	result, err := tests[t.Kind].decode(t.Inputs.V, a)
	if err != nil {
		return fail(tx, d, t, own(err.Error()))
	}
	_, err = move(tx, d, t, models.TaskSucceeded, map[string]any{"result": models.DocOf(result), "fault": models.Doc[*models.Fault]{}})
	return err
}

func dropped(t *models.Diagnostic, name string) bool { return slices.Contains(t.Dropped.V, name) }

func without(values []models.Value, names []string) []models.Value {
	return slices.DeleteFunc(values, func(v models.Value) bool { return slices.Contains(names, v.Name) })
}

// insert writes a result that nobody asked for.
func insert(tx *store.Tx, d *models.Device, t *models.Diagnostic) error {
	if err := gorm.G[models.Diagnostic](tx.DB).Create(tx.Context(), t); err != nil {
		return fmt.Errorf("keep an unsolicited result: %w", err)
	}
	return tell(tx, d, t)
}
