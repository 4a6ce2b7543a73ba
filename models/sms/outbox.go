package sms

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// waiting are the states in which a message has not ended.
var waiting = []models.SmsState{models.SmsQueued, models.SmsSubmitted}

// Outbox counts the messages that have not ended, by state. It is for measuring, so nobody's scope narrows it.
func (r *Room) Outbox(ctx context.Context) (map[models.SmsState]int64, error) {
	outbox := map[models.SmsState]int64{}
	for _, state := range waiting {
		outbox[state] = 0
	}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var rows []struct {
			State models.SmsState
			N     int64
		}
		err := tx.DB.Model(&models.SmsMessage{}).Select("state, COUNT(*) AS n").Where("state IN ?", waiting).Group("state").Scan(&rows).Error
		for _, row := range rows {
			outbox[row.State] = row.N
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count the messages: %w", err)
	}
	return outbox, nil
}
