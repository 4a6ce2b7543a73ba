package tasks

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// overdue selects open tasks whose time is over; one that was sent has until its session must have ended. Its arguments are those of late.
const overdue = "(state IN ? AND expires_at <= ? OR state = ? AND expires_at <= ? AND sent_at <= ?)"

func late(now models.Time) []any {
	return []any{[]models.TaskState{models.TaskPending, models.TaskAcknowledged}, now, models.TaskSent, now, now.Add(-sessionTime)}
}

// expired is overdue in Go.
func expired(t *models.Task, now models.Time) bool {
	switch t.State {
	case models.TaskPending, models.TaskAcknowledged:
		return t.ExpiresAt <= now
	case models.TaskSent:
		return t.ExpiresAt <= now && t.SentAt <= now.Add(-sessionTime)
	}
	return false
}

// ByDevice returns a page of the tasks of a device in scope, the newest first; a nil state is any.
func (r *Room) ByDevice(ctx context.Context, deviceID models.ID, state *models.TaskState, p store.Page) (store.Slice[models.Task], error) {
	return r.list(ctx, "device_id", deviceID, state, p)
}

// ByConfigTask is ByDevice for the tasks that mirror what a config task issued, of all devices in scope.
func (r *Room) ByConfigTask(ctx context.Context, id models.ID, state *models.TaskState, p store.Page) (store.Slice[models.Task], error) {
	return r.list(ctx, "config_task_id", id, state, p)
}

func (r *Room) list(ctx context.Context, column string, id models.ID, state *models.TaskState, p store.Page) (page store.Slice[models.Task], err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := inScope(tx).Where(column+" = ?", id)
		listing := "tasks by " + column + " " + id.String()
		if state != nil {
			listing += " in " + string(*state)
			switch *state {
			case models.TaskExpired:
				q = q.Where("(state = ? OR "+overdue+")", append([]any{models.TaskExpired}, late(tx.Now)...)...)
			default:
				q = q.Where("state = ? AND NOT "+overdue, append([]any{*state}, late(tx.Now)...)...)
			}
		}
		k := store.Keyset{Listing: listing, Column: "created_at", Desc: true}
		page, err = store.List(tx, q, k, p, func(t *models.Task) (any, models.ID) { return t.CreatedAt, t.ID })
		for i := range page.Items {
			show(&page.Items[i], tx.Now)
		}
		return err
	})
	return page, err
}

// ByIDs returns those of the tasks that exist and whose device is in scope.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Task, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = store.ByID(inScope(tx), ids, func(t *models.Task) models.ID { return t.ID })
		for _, t := range found {
			show(t, tx.Now)
		}
		return err
	})
	return found, err
}

// inScope selects the tasks of the devices that the actor may read.
func inScope(tx *store.Tx) *gorm.DB {
	q := tx.DB.Model(&models.Task{})
	scope := models.ActorFrom(tx.Context()).Scope(models.DeviceRead)
	if scope.All {
		return q
	}
	return q.Where("EXISTS (?)", store.InScope(tx.DB.Table("devices").Select("1").Where("devices.id = tasks.device_id"), "devices.region", scope))
}

// show makes a task whose time is over look expired before ExpireDue has come by.
func show(t *models.Task, now models.Time) {
	if expired(t, now) {
		t.State, t.CompletedAt = models.TaskExpired, t.ExpiresAt
	}
}

const expireChunk = 200

// ExpireDue ends the open tasks whose time is over and returns how many it ended.
func (r *Room) ExpireDue(ctx context.Context) (n int, err error) {
	for {
		var due []models.Task
		err := r.store.View(ctx, func(tx *store.Tx) (err error) {
			due, err = gorm.G[models.Task](tx.DB).Where(overdue, late(tx.Now)...).Order("id").Limit(expireChunk).Find(ctx)
			return err
		})
		if err == nil && len(due) > 0 {
			err = r.store.InTx(ctx, func(tx *store.Tx) error { return expire(tx, due) })
		}
		if err != nil {
			return n, fmt.Errorf("expire tasks: %w", err)
		}
		n += len(due)
		if len(due) < expireChunk {
			return n, nil
		}
	}
}

func expire(tx *store.Tx, due []models.Task) error {
	ids := make([]models.ID, len(due))
	for i := range due {
		ids[i] = due[i].DeviceID
	}
	rows, err := gorm.G[models.Device](tx.DB).Where("id IN ?", ids).Find(tx.Context())
	if err != nil {
		return err
	}
	byID := map[models.ID]*models.Device{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	for _, t := range due {
		d := byID[t.DeviceID]
		if d == nil {
			d = &models.Device{ID: t.DeviceID}
		}
		columns := map[string]any{}
		if t.Kind == models.DownloadTask && t.State == models.TaskAcknowledged {
			columns["result"] = models.DocOf(map[string]any{"state": timedOut})
		}
		if _, err := move(tx, d, &t, models.TaskExpired, columns); err != nil {
			return err
		}
	}
	return nil
}
