package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// Next takes the oldest task that is due and returns it with the request to send; nil if there is none or the session was overtaken.
// Call it only while no request is out: what is still marked as sent then was lost with an older session, and is queued again first.
// A task that the device refused in this session waits for another one.
func (r *Room) Next(ctx context.Context, d *models.Device, epoch int64) (task *models.Task, request *models.Request, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		task, request = nil, nil
		held, err := devices.Hold(tx, d.ID, epoch)
		if err != nil || !held {
			return err
		}
		orphans, err := gorm.G[models.Task](tx.DB).Where("state = ? AND device_id = ? AND "+sendable, models.TaskSent, d.ID).Find(tx.Context())
		if err != nil {
			return err
		}
		for i := range orphans {
			if err := r.requeue(tx, d, &orphans[i]); err != nil {
				return err
			}
		}
		t, err := r.due(tx, d, epoch)
		if err != nil || t == nil {
			return err
		}
		ok, err := move(tx, d, t, models.TaskSent, map[string]any{"attempts": t.Attempts + 1, "sent_at": tx.Now, "sent_epoch": epoch})
		if err != nil || !ok {
			return err
		}
		t.Attempts, t.SentAt, t.SentEpoch = t.Attempts+1, tx.Now, epoch
		if err := r.steps(tx, d, t); err != nil {
			return err
		}
		task, request = t, &t.Steps[0]
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("take the next task of device %s: %w", d.ID, err)
	}
	return task, request, nil
}

// due is the oldest task that may be sent in the session, nil for none. Downloads that are pointless by now are ended on the way.
func (r *Room) due(tx *store.Tx, d *models.Device, epoch int64) (*models.Task, error) {
	due, err := gorm.G[models.Task](tx.DB).
		Where("state = ? AND device_id = ? AND next_at <= ? AND expires_at > ? AND sent_epoch <> ? AND "+sendable, models.TaskPending, d.ID, tx.Now, tx.Now, epoch).
		Order("id").Find(tx.Context())
	if err != nil {
		return nil, err
	}
	for i := range due {
		ended, err := endUnsupported(tx, d, &due[i])
		if err == nil && !ended && due[i].Kind == models.DownloadTask {
			ended, err = r.endPointless(tx, d, &due[i])
		}
		if err != nil {
			return nil, err
		}
		if !ended {
			return &due[i], nil
		}
	}
	return nil, nil
}

// steps fills in what the device is asked.
func (r *Room) steps(tx *store.Tx, d *models.Device, t *models.Task) error {
	var a models.TaskRequest
	if err := tx.UnsealJSON("tasks", "request", t.ID, t.Request, &a); err != nil {
		return err
	}
	var one models.Request
	switch t.Kind {
	case models.GetValues:
		one = models.Request{Method: models.GetParameterValues, Names: a.Paths}
	case models.SetValues:
		one = models.Request{Method: models.SetParameterValues, Values: r.marked(a.Values)}
	case models.GetNames:
		one = models.Request{Method: models.GetParameterNames, Path: a.ObjectPath, NextLevel: a.NextLevel}
	case models.Reboot:
		one = models.Request{Method: models.RebootDevice, CommandKey: t.ID.String()}
	case models.DownloadTask:
		return r.downloadSteps(tx, d, t, a)
	default:
		one = models.Request{
			Method: methods[t.Kind], Names: a.Paths, Path: a.ObjectPath, DelaySeconds: a.DelaySeconds, CommandKey: t.ID.String(),
		}
		if a.Notification != nil {
			one.Notification = *a.Notification
		}
		if one.Method == "" {
			return fmt.Errorf("task %s is of the unknown kind %s", t.ID, t.Kind)
		}
	}
	t.Steps = []models.Request{one}
	return nil
}

// marked says of each value whether it is a secret.
func (r *Room) marked(values []models.Value) []models.Value {
	values = slices.Clone(values)
	for i := range values {
		values[i].Secret = values[i].Secret || r.config.IsSecret(values[i].Name)
	}
	return values
}

// move brings t to a state by a conditional update that names the state and the try it was in; false if it is no longer there.
func move(tx *store.Tx, d *models.Device, t *models.Task, to models.TaskState, columns map[string]any) (bool, error) {
	if !slices.Contains(models.TaskTransitions[t.State], to) {
		return false, fmt.Errorf("task %s cannot go from %s to %s", t.ID, t.State, to)
	}
	columns["state"] = to
	if len(models.TaskTransitions[to]) == 0 {
		columns["completed_at"] = tx.Now
	}
	done := tx.DB.Model(&models.Task{}).Where("id = ? AND state = ? AND attempts = ?", t.ID, t.State, t.Attempts).Updates(columns)
	if done.Error != nil || done.RowsAffected == 0 {
		return false, done.Error
	}
	t.State = to
	return true, tell(tx, d, t)
}

// Answered takes the device's answer to t: a result ends it, a promise acknowledges it, a fault ends it or, if it may pass, queues it for
// another session until the third try (i4.md A.9, resolutions 23 and 36). The answer of an overtaken session changes nothing. What is left of
// t.Steps afterwards is to be sent next.
func (r *Room) Answered(ctx context.Context, d *models.Device, t *models.Task, epoch int64, reply models.Reply) error {
	before := *t
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		*t = before
		held, err := devices.Hold(tx, d.ID, epoch)
		if err != nil || !held {
			t.Steps = nil
			return err
		}
		if t.Kind == models.DownloadTask {
			return r.downloadAnswered(tx, d, t, reply)
		}
		t.Steps = nil
		if reply.Fault != nil {
			if done, err := goneAlready(tx, d, t, reply.Fault); err != nil || done {
				return err
			}
			if reply.Fault.Code == methodNotSupported {
				if err := Learn(tx, d, methods[t.Kind]); err != nil {
					return err
				}
			}
			return refused(tx, d, t, reply.Fault)
		}
		if t.Kind == models.Reboot {
			_, err := move(tx, d, t, models.TaskAcknowledged, map[string]any{"fault": models.Doc[*models.Fault]{}})
			return err
		}
		return r.succeeded(tx, d, t, reply)
	})
	if err != nil {
		return fmt.Errorf("take the answer to task %s: %w", t.ID, err)
	}
	return nil
}

func refused(tx *store.Tx, d *models.Device, t *models.Task, f *models.Fault) error {
	to, columns := models.TaskFailed, map[string]any{"fault": models.DocOf(bounded(f))}
	if f.Passing() && t.Attempts < tries {
		to = models.TaskPending
		columns["next_at"] = tx.Now
	}
	ok, err := move(tx, d, t, to, columns)
	if err != nil || !ok || to != models.TaskPending {
		return err
	}
	return devices.SetWork(tx, d.ID, tx.Now)
}

const (
	maxFaultText = 1024      // characters
	maxFault     = 48 * 1024 // bytes of JSON, of the 64 KiB of tasks.fault
)

// bounded cuts what a device may write at will to what a row is for.
func bounded(f *models.Fault) *models.Fault {
	cut := func(s string) string {
		if utf8.RuneCountInString(s) <= maxFaultText {
			return s
		}
		return string([]rune(s)[:maxFaultText])
	}
	kept, size := &models.Fault{Code: f.Code, Message: cut(f.Message)}, 0
	for _, p := range f.Parameters {
		line := models.ParameterFault{Path: cut(p.Path), Name: p.Name, Code: p.Code, Message: cut(p.Message)}
		text, err := json.Marshal(line)
		if size += len(text); err != nil || size > maxFault {
			break
		}
		kept.Parameters = append(kept.Parameters, line)
	}
	return kept
}

func (r *Room) succeeded(tx *store.Tx, d *models.Device, t *models.Task, reply models.Reply) error {
	var values []models.Value
	result := map[string]any{}
	switch t.Kind {
	case models.GetValues:
		values = r.marked(reply.Raw)
		result["values"] = append([]models.Value{}, r.redact(reply.Raw)...)
	case models.GetNames:
		result["names"] = append([]models.ParameterName{}, reply.Names...)
	case models.SetValues:
		result["status"] = reply.Status
		if reply.Status == 0 { // 1: committed, not yet applied (TR-069 A.3.2.1)
			var a models.TaskRequest
			if err := tx.UnsealJSON("tasks", "request", t.ID, t.Request, &a); err != nil {
				return err
			}
			values = r.marked(a.Values)
		}
	default:
		var err error
		if result, err = r.answer(tx, d, t, reply); err != nil {
			return err
		}
	}
	ok, err := move(tx, d, t, models.TaskSucceeded, map[string]any{"result": models.DocOf(result), "fault": models.Doc[*models.Fault]{}})
	if err != nil || !ok {
		return err
	}
	t.Result = models.DocOf(result)
	if err := devices.SaveParameters(tx, d.ID, values, reply.Names); err != nil {
		return err
	}
	for _, v := range reply.Values {
		if seconds, ok := devices.Heartbeat(v.Value); ok && v.Name == devices.NameHeartbeat {
			return devices.SetHeartbeat(tx, d.ID, seconds)
		}
	}
	return nil
}

// Rebooted ends the reboots that were sent or acknowledged: the device says that it has started. Call it at `1 BOOT` and `M Reboot` before
// Next, which sends a reboot again whose answer was lost if the device has not started since (i4.md A.5-7).
func (r *Room) Rebooted(ctx context.Context, d *models.Device) error {
	const waiting = "state IN ? AND device_id = ? AND kind = ?"
	states := []models.TaskState{models.TaskSent, models.TaskAcknowledged}
	var n int64
	err := r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Model(&models.Task{}).Where(waiting, states, d.ID, models.Reboot).Count(&n).Error
	})
	if err == nil && n > 0 {
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			var tasks []models.Task
			if err := tx.Locked().Where(waiting, states, d.ID, models.Reboot).Find(&tasks).Error; err != nil {
				return err
			}
			for i := range tasks {
				columns := map[string]any{"result": models.DocOf(map[string]any{}), "fault": models.Doc[*models.Fault]{}}
				if _, err := move(tx, d, &tasks[i], models.TaskSucceeded, columns); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("end the reboots of device %s: %w", d.ID, err)
	}
	return nil
}

// Lost tells that the session ended while t was out: it is queued again, and fails if that was its third try, or if it must not be asked for
// twice. Nobody knows whether a reboot happened, so it stays sent until the next session shows it.
func (r *Room) Lost(ctx context.Context, d *models.Device, t *models.Task) error {
	before := *t
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		*t = before
		if t.Kind != models.Reboot {
			if err := r.requeue(tx, d, t); err != nil {
				return err
			}
		}
		return devices.SetWork(tx, d.ID, tx.Now)
	})
	if err != nil {
		return fmt.Errorf("give back task %s: %w", t.ID, err)
	}
	return nil
}

// unanswered is the fault of a task whose every session broke off: the platform's own (TR-069 A.5: 8002, internal error).
var unanswered = &models.Fault{Code: 8002, Message: "three sessions ended before the device answered"}

func (r *Room) requeue(tx *store.Tx, d *models.Device, t *models.Task) error {
	to, columns := models.TaskPending, map[string]any{"next_at": tx.Now}
	switch {
	case t.ExpiresAt <= tx.Now:
		to = models.TaskExpired
	case once[t.Kind]:
		to, columns = models.TaskFailed, map[string]any{"fault": models.DocOf(unknownEnd)}
	case t.Attempts >= tries:
		to, columns = models.TaskFailed, map[string]any{"fault": models.DocOf(unanswered)}
	}
	_, err := move(tx, d, t, to, columns)
	return err
}

// Due is when the device's next task wants a session; zero if none does. Use it with devices.ClearWork.
func Due(tx *store.Tx, deviceID models.ID) (at models.Time, err error) {
	var next *int64
	err = tx.DB.Model(&models.Task{}).Select("MIN(next_at)").
		Where("state IN ? AND device_id = ? AND expires_at > ? AND "+sendable, []models.TaskState{models.TaskPending, models.TaskSent}, deviceID, tx.Now).Scan(&next).Error
	if err != nil {
		return 0, fmt.Errorf("read the next task of device %s: %w", deviceID, err)
	}
	if next != nil {
		at = models.Time(*next)
	}
	return at, nil
}
