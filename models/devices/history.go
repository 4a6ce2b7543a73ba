package devices

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const historyKept = 90 * 24 * time.Hour

// History returns a page of the changes of reachability of a device in scope, newest first.
func (r *Room) History(ctx context.Context, deviceID models.ID, p store.Page) (page store.Slice[models.ReachabilityChange], err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := ofDevice(tx, tx.DB.Model(&models.ReachabilityChange{}), deviceID)
		k := store.Keyset{Listing: "presence of " + deviceID.String(), Column: "at", Desc: true}
		page, err = store.List(tx, q, k, p, func(c *models.ReachabilityChange) (any, models.ID) { return c.At, c.ID })
		return err
	})
	return page, err
}

// ofDevice limits rows about devices to those of one, if the actor may read it.
func ofDevice(tx *store.Tx, q *gorm.DB, deviceID models.ID) *gorm.DB {
	q = q.Where("device_id = ?", deviceID)
	if scope := models.ActorFrom(tx.Context()).Scope(models.DeviceRead); !scope.All {
		q = q.Where("EXISTS (?)", store.InScope(tx.DB.Table("devices").Select("1").Where("id = ?", deviceID), "region", scope))
	}
	return q
}

// Clean deletes the presence history and the outages of more than 90 days ago, at most 1,000 rows a statement.
func (r *Room) Clean(ctx context.Context) error {
	if err := r.store.DeleteOld(ctx, &models.ReachabilityChange{}, "at < ?", historyKept); err != nil {
		return fmt.Errorf("clean up the presence history: %w", err)
	}
	if err := r.store.DeleteOld(ctx, &models.Outage{}, "ended_at < ?", historyKept); err != nil {
		return fmt.Errorf("clean up old outages: %w", err)
	}
	return nil
}
