package configtasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

const (
	tickEvery = time.Second
	// burst is what of its rate a task may make up for in one tick.
	burst = time.Second
	// watchEvery is how often a task that has begun all its devices is asked whether they are done.
	watchEvery = 2 * time.Second
	// most is how many devices one claim begins.
	most = 100
)

// Run begins devices of the running tasks, each at its rate, until ctx ends.
func (r *Room) Run(ctx context.Context) {
	for r.clock.Wait(ctx, tickEvery) == nil {
		if err := r.Tick(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "begin the devices of config tasks", "error", err)
		}
	}
}

// Tick begins the devices whose time has come and ends the tasks that are done. Any number of replicas may do so at once.
func (r *Room) Tick(ctx context.Context) error {
	var due []models.ConfigTask
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = gorm.G[models.ConfigTask](tx.DB).Where("state = ? AND next_at <= ?", models.JobRunning, tx.Now).Order("next_at, id").Limit(most).Find(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the config tasks that are due: %w", err)
	}
	var errs []error
	for i := range due {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, r.advance(ctx, &due[i]))
	}
	return errors.Join(errs...)
}

// advance claims what may begin now, and begins it: a crash in between makes the task slower, never faster.
func (r *Room) advance(ctx context.Context, task *models.ConfigTask) error {
	var ids []models.ID
	err := r.store.InTx(ctx, func(tx *store.Tx) (err error) {
		ids, err = claim(tx, task)
		return err
	})
	if err != nil {
		return fmt.Errorf("claim devices of config task %s: %w", task.ID, err)
	}
	begins := models.WithActor(ctx, models.Actor{Kind: task.CreatedByKind, ID: task.CreatedByID, Name: task.CreatedByName})
	for _, id := range ids {
		err := r.store.InTx(begins, func(tx *store.Tx) error { return r.begin(tx, task, id) })
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.ErrorContext(ctx, "begin a device of a config task", "task", task.ID, "device", id, "error", err)
		// One device that cannot be begun must not hold up the others.
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			_, err := move(tx, task.ID, id, models.TargetFailed)
			return err
		})
		if err != nil {
			return fmt.Errorf("give up device %s of config task %s: %w", id, task.ID, err)
		}
	}
	return nil
}

// claim moves the task's next_at over the devices that may begin now and returns them; none if another replica was first. A task without waiting
// devices is looked at for its end.
func claim(tx *store.Tx, task *models.ConfigTask) (ids []models.ID, err error) {
	step := time.Minute / time.Duration(task.PerMinute)
	from := max(task.NextAt, tx.Now.Add(-burst))
	n := min(int(tx.Now.Sub(from)/step)+1, most)
	err = tx.DB.Model(&models.ConfigTarget{}).Where("config_task_id = ? AND state = ?", task.ID, models.TargetWaiting).
		Order("device_id").Limit(n).Pluck("device_id", &ids).Error
	if err != nil {
		return nil, err
	}
	next := from.Add(time.Duration(len(ids))*step + time.Millisecond - 1) // whole milliseconds, never fewer
	if len(ids) == 0 {
		if next, err = finish(tx, task); err != nil || next.IsZero() {
			return nil, err
		}
	}
	done := tx.DB.Model(&models.ConfigTask{}).Where("id = ? AND state = ? AND next_at = ?", task.ID, models.JobRunning, task.NextAt).Update("next_at", next)
	if done.Error != nil || done.RowsAffected == 0 {
		return nil, done.Error
	}
	return ids, nil
}

var open = []models.TaskState{models.TaskPending, models.TaskSent, models.TaskAcknowledged}

// finish ends a task whose devices are all done, or tells when to look again.
func finish(tx *store.Tx, task *models.ConfigTask) (next models.Time, err error) {
	var running []models.ID
	q := tx.DB.Model(&models.Task{}).Where("config_task_id = ? AND state IN ?", task.ID, open).Limit(1)
	if err := q.Pluck("id", &running).Error; err != nil {
		return 0, err
	}
	if len(running) > 0 {
		return tx.Now.Add(watchEvery), nil
	}
	progress, err := progressOf(tx, []models.ID{task.ID})
	if err != nil {
		return 0, err
	}
	to := models.JobCompleted
	if p := progress[task.ID]; p.Failed+p.Cancelled > 0 {
		to = models.JobCompletedWithFailures
	}
	_, err = end(tx, task, to)
	return 0, err
}

// begin writes one device's layer. A device that another replica has begun, or a task that was cancelled meanwhile, is left alone.
func (r *Room) begin(tx *store.Tx, task *models.ConfigTask, id models.ID) error {
	moved, err := move(tx, task.ID, id, models.TargetBegun)
	if err != nil || !moved {
		return err
	}
	d, err := devices.LockByID(tx, id)
	if models.CodeOf(err) == models.NotFound {
		_, err = skip(tx, task.ID, id)
		return err
	}
	if err != nil {
		return err
	}
	var values []models.Value
	if err := tx.UnsealJSON("config_tasks", "layer", task.ID, task.Layer, &values); err != nil {
		return err
	}
	begun := false
	if !d.AccountID.IsZero() && d.ClientType != models.Generic {
		a, err := accounts.Load(tx, d.AccountID)
		if err != nil {
			return err
		}
		if a != nil {
			if begun, err = r.configuration.Override(tx, d, a, task.ID, values); err != nil {
				return err
			}
		}
	}
	if !begun {
		_, err = skip(tx, task.ID, id)
	}
	return err
}

// move brings a waiting target to a state; false if it waits no more.
func move(tx *store.Tx, task, device models.ID, to models.TargetState) (bool, error) {
	return change(tx, task, device, models.TargetWaiting, to)
}

// skip leaves out a device that has no configuration (resolutions 48).
func skip(tx *store.Tx, task, device models.ID) (bool, error) {
	return change(tx, task, device, models.TargetBegun, models.TargetSkipped)
}

func change(tx *store.Tx, task, device models.ID, from, to models.TargetState) (bool, error) {
	done := tx.DB.Model(&models.ConfigTarget{}).Where("config_task_id = ? AND device_id = ? AND state = ?", task, device, from).Update("state", to)
	if done.Error != nil {
		return false, fmt.Errorf("move device %s of config task %s: %w", device, task, done.Error)
	}
	return done.RowsAffected == 1, nil
}
