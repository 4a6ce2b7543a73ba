package configtasks

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Progress counts the devices of a config task.
type Progress struct {
	Total, Pending, InFlight, Succeeded, Failed, Skipped, Cancelled int64
}

// FailureRate is failed / (succeeded + failed).
func (p Progress) FailureRate() float64 {
	if p.Succeeded+p.Failed == 0 {
		return 0
	}
	return float64(p.Failed) / float64(p.Succeeded+p.Failed)
}

// visible selects the tasks that the actor may see: all to whoever reads devices in all regions, else those of their own making.
func visible(tx *store.Tx) *gorm.DB {
	q, actor := tx.DB.Model(&models.ConfigTask{}), models.ActorFrom(tx.Context())
	if actor.Scope(models.DeviceRead).All {
		return q
	}
	return q.Where("created_by_id = ?", actor.ID)
}

// List returns a page of config tasks, the newest first; no states are all. It needs DEVICE_READ.
func (r *Room) List(ctx context.Context, states []models.JobState, p store.Page) (page store.Slice[models.ConfigTask], err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return page, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q, listing := visible(tx), "config tasks"
		if len(states) > 0 {
			q, listing = q.Where("state IN ?", states), listing+fmt.Sprint(" in ", states)
		}
		page, err = store.List(tx, q, store.Keyset{Listing: listing, Column: "created_at", Desc: true}, p,
			func(t *models.ConfigTask) (any, models.ID) { return t.CreatedAt, t.ID })
		return err
	})
	return page, err
}

// ByIDs returns those of the config tasks that exist and that the actor may see. It needs DEVICE_READ.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.ConfigTask, err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(visible(tx), ids, func(t *models.ConfigTask) models.ID { return t.ID })
		return err
	})
	return found, err
}

// Progress counts the devices of each of the tasks, exactly, by two statements.
func (r *Room) Progress(ctx context.Context, ids []models.ID) (progress map[models.ID]Progress, err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		progress, err = progressOf(tx, ids)
		return err
	})
	return progress, err
}

func progressOf(tx *store.Tx, ids []models.ID) (map[models.ID]Progress, error) {
	type count struct {
		ConfigTaskID models.ID
		State        string
		N            int64
	}
	var targets, mirrors []count
	const columns = "config_task_id, state, COUNT(*) AS n"
	if err := tx.DB.Model(&models.ConfigTarget{}).Select(columns).Where("config_task_id IN ?", ids).Group("config_task_id, state").Scan(&targets).Error; err != nil {
		return nil, fmt.Errorf("count the targets of config tasks: %w", err)
	}
	if err := tx.DB.Model(&models.Task{}).Select(columns).Where("config_task_id IN ?", ids).Group("config_task_id, state").Scan(&mirrors).Error; err != nil {
		return nil, fmt.Errorf("count the mirrors of config tasks: %w", err)
	}
	progress := map[models.ID]Progress{}
	for _, c := range targets {
		p := progress[c.ConfigTaskID]
		p.Total += c.N
		switch models.TargetState(c.State) {
		case models.TargetWaiting:
			p.Pending += c.N
		case models.TargetSkipped:
			p.Skipped += c.N
		case models.TargetFailed:
			p.Failed += c.N
		case models.TargetCancelled:
			p.Cancelled += c.N
		}
		progress[c.ConfigTaskID] = p
	}
	for _, c := range mirrors {
		p := progress[c.ConfigTaskID]
		switch models.TaskState(c.State) {
		case models.TaskSucceeded:
			p.Succeeded += c.N
		case models.TaskFailed, models.TaskExpired:
			p.Failed += c.N
		case models.TaskCancelled:
			p.Cancelled += c.N
		default:
			p.InFlight += c.N
		}
		progress[c.ConfigTaskID] = p
	}
	return progress, nil
}
