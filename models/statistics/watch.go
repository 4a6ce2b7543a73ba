package statistics

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	kept       = 90 * 24 * time.Hour
	watchEvery = time.Minute
	watchRows  = 500
	// grace is what a report may be late beyond two intervals, and how long devices have to report to a platform that was down.
	grace = time.Hour
)

// patience is how long after a report the next one is missed: two intervals and an hour (i4.md B.9, Events).
func patience(row *models.StatisticsReport) time.Duration {
	interval := min(row.EndedAt-row.StartedAt, models.Time(acceptable.Milliseconds())) // not Sub, which wraps around after 292 years
	return 2*max(time.Duration(interval)*time.Millisecond, frequent) + grace
}

// Watch tells of devices that were ONLINE and stopped reporting, once each time, until ctx ends. A device that never reported is not missed.
// Replicas share the work.
func (r *Room) Watch(ctx context.Context) {
	if !r.config.Watch {
		return
	}
	r.store.Loop(ctx, "statistics", watchEvery, func(ctx context.Context) {
		if r.clock.Now().Sub(r.started) < grace {
			return
		}
		if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "look for missing statistics", "error", err)
		}
	})
}

// waiting is a report that is due to be followed, with what decides whether it was.
type waiting struct {
	models.StatisticsReport `gorm:"embedded"`
	Followed                bool
	Reachability            models.Reachability
	ReachabilityAt          models.Time
}

// sweep looks at what is due, by the index of deadlines; every report is looked at once, or again when its device was not online all the time.
func (r *Room) sweep(ctx context.Context) error {
	for now := r.clock.Now(); ; {
		var rows []waiting
		err := r.store.View(ctx, func(tx *store.Tx) error {
			return tx.DB.Table("statistics_reports AS s").Joins("JOIN devices AS d ON d.id = s.device_id").
				Select("s.device_id, s.boot_id, s.seq, s.received_at, s.started_at, s.ended_at, s.due_at, d.reachability, d.reachability_at, "+
					"EXISTS (SELECT 1 FROM statistics_reports n WHERE n.device_id = s.device_id AND n.received_at > s.received_at) AS followed").
				Where("s.due_at BETWEEN 1 AND ?", now).Order("s.due_at").Limit(watchRows).Find(&rows).Error
		})
		if err != nil {
			return fmt.Errorf("read what is due: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		var settled [][]any
		for _, w := range rows {
			if w.Followed {
				settled = append(settled, []any{w.DeviceID, w.BootID, w.Seq})
				continue
			}
			if err := r.judge(ctx, &w, now); err != nil {
				return err
			}
		}
		if len(settled) == 0 {
			continue
		}
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			return tx.DB.Model(&models.StatisticsReport{}).Where("(device_id, boot_id, seq) IN ?", settled).Update("due_at", 0).Error
		})
		if err != nil {
			return fmt.Errorf("settle what was followed: %w", err)
		}
	}
}

// judge tells of a report that is missing, or looks again when the device has been ONLINE long enough.
func (r *Room) judge(ctx context.Context, w *waiting, now models.Time) error {
	var next models.Time
	if w.Reachability != models.Online {
		next = now.Add(patience(&w.StatisticsReport))
	} else if due := max(w.ReceivedAt, w.ReachabilityAt).Add(patience(&w.StatisticsReport)); due > now {
		next = due
	}
	missed := false
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		missed = false
		// Whoever changes the deadline tells of it.
		done := only(tx, &w.StatisticsReport).Where("due_at = ?", w.DueAt).Update("due_at", next)
		if done.Error != nil || done.RowsAffected == 0 || !next.IsZero() {
			return done.Error
		}
		d, err := gorm.G[models.Device](tx.DB).Where("id = ?", w.DeviceID).Take(ctx)
		if err != nil || d.AccountID.IsZero() {
			return err
		}
		missed = true
		return events.Append(tx, devices.EventOf(&d, models.StatisticsReceived, "stats.missing", map[string]any{
			"bootId": w.BootID, "seq": w.Seq, "lastReceivedAt": w.ReceivedAt,
		}))
	})
	if err != nil {
		return fmt.Errorf("tell of missing statistics of device %s: %w", w.DeviceID, err)
	}
	if missed {
		r.count(Missing)
	}
	return nil
}

// Clean deletes the reports that were received more than 90 days ago, at most 1,000 rows a statement.
func (r *Room) Clean(ctx context.Context) error {
	for _, row := range []any{&models.StatisticsReport{}, &models.StatisticsRefusal{}} {
		if err := r.store.DeleteOld(ctx, row, "received_at < ?", kept); err != nil {
			return fmt.Errorf("clean up old statistics: %w", err)
		}
	}
	return nil
}
