package tasks

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Backlog counts the open tasks by state. It is for measuring, so nobody's scope narrows it.
func (r *Room) Backlog(ctx context.Context) (map[models.TaskState]int64, error) {
	backlog := map[models.TaskState]int64{}
	for _, state := range openStates {
		backlog[state] = 0
	}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var rows []struct {
			State models.TaskState
			N     int64
		}
		err := tx.DB.Model(&models.Task{}).Select("state, COUNT(*) AS n").Where("state IN ?", openStates).Group("state").Scan(&rows).Error
		for _, row := range rows {
			backlog[row.State] = row.N
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count the tasks: %w", err)
	}
	return backlog, nil
}
