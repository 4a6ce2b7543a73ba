package devices

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// sweep looks at what is due by the time now, which is before this turn's beat: what the platform slept through since then is not due yet.
func (r *Room) sweep(ctx context.Context, b models.Beat, now models.Time) error {
	var outages []models.Outage
	err := r.store.View(ctx, func(tx *store.Tx) error { return tx.DB.Order("ended_at").Find(&outages).Error })
	if err != nil {
		return fmt.Errorf("read the outages: %w", err)
	}
	s := &sweep{Room: r, now: now, outages: outages}
	if done, err := s.settle(ctx, r.frozen(b, now)); err != nil || !done {
		return err
	}
	hold, err := r.freeze(ctx, &b, now)
	if err != nil || hold {
		return err
	}
	if err := s.expire(ctx); err != nil {
		return err
	}
	if !b.FrozenAt.IsZero() {
		_, err = r.freeze(ctx, &b, now) // what was held is worked off
	}
	return err
}

// sweep is one replica's work on what is due.
type sweep struct {
	*Room
	now     models.Time
	outages []models.Outage
}

// over tells whether the next beat is due, which comes first.
func (s *sweep) over() bool { return s.clock.Now().Sub(s.now) >= beatEvery }

// due is a presence row with what judges it.
type due struct {
	models.DevicePresence `gorm:"embedded"`
	ClientType            models.ClientType
	HeartbeatSeconds      int
	Reachability          models.Reachability
	ReachabilityAt        models.Time
}

func (d *due) device() *models.Device {
	return &models.Device{
		ID: d.DeviceID, ClientType: d.ClientType, HeartbeatSeconds: d.HeartbeatSeconds, Reachability: d.Reachability, ReachabilityAt: d.ReachabilityAt,
	}
}

// deferred is when the device really counts as gone: each outage since it was last heard of adds its length and one interval, in which all
// devices come back (i4.md B.6).
func (s *sweep) deferred(d *models.Device, p models.DevicePresence) (expires models.Time) {
	heard := heardOf(d, p)
	expires = s.deadline(d, heard)
	for _, o := range s.outages {
		if o.EndedAt > heard {
			expires += o.EndedAt - o.BeganAt + models.Time(s.Interval(d).Milliseconds())
		}
	}
	return expires
}

// lastOutage is when the newest outage ended; zero if there was none.
func (s *sweep) lastOutage() models.Time {
	if n := len(s.outages); n > 0 {
		return s.outages[n-1].EndedAt
	}
	return 0
}

// settle gives their deadlines to the rows that fall due within a minute and have none yet, or one from before an outage: what is left says how
// many devices would expire. While expiry is frozen no deadline is moved, since those in question passed long ago.
// done is false if there was no time for all of them.
func (s *sweep) settle(ctx context.Context, frozen bool) (done bool, err error) {
	last := s.lastOutage()
	for !s.over() {
		var rows []due
		err := s.store.View(ctx, func(tx *store.Tx) error {
			q := tx.DB.Table("device_presence AS p").Joins("JOIN devices AS d ON d.id = p.device_id").
				Select("p.*, d.client_type, d.heartbeat_seconds, d.reachability, d.reachability_at")
			if frozen || last.IsZero() {
				q = q.Where("p.expires_at = ?", soon)
			} else {
				q = q.Where("p.expires_at BETWEEN ? AND ? AND (p.expires_at = ? OR p.last_inform_at < ? AND p.deferred_to < ?)",
					soon, s.now.Add(time.Minute), soon, last, last)
			}
			return q.Order("p.expires_at, p.device_id").Limit(watchRows).Find(&rows).Error
		})
		if err != nil {
			return false, fmt.Errorf("read deadlines to settle: %w", err)
		}
		if len(rows) == 0 {
			return true, nil
		}
		var settled []models.DevicePresence
		for _, row := range rows {
			d, p := row.device(), row.DevicePresence
			switch {
			case d.Reachability == models.Online:
				p.ExpiresAt, p.DeferredTo = s.deferred(d, p), last
			case p.ExpiresAt == soon:
				if err := s.judge(ctx, p.DeviceID); err != nil {
					return false, err
				}
				continue
			default:
				p.ExpiresAt = 0
			}
			settled = append(settled, p)
		}
		if len(settled) == 0 {
			continue
		}
		if err := s.store.InTx(ctx, func(tx *store.Tx) error { return postpone(tx, settled) }); err != nil {
			return false, fmt.Errorf("settle deadlines: %w", err)
		}
	}
	return false, nil
}

// expire judges what is due, in the order of the deadlines.
func (s *sweep) expire(ctx context.Context) error {
	var at models.Time
	for after := (models.ID{}); !s.over(); {
		var rows []models.DevicePresence
		err := s.store.View(ctx, func(tx *store.Tx) error {
			return tx.DB.Select("device_id, expires_at").
				Where("expires_at BETWEEN ? AND ? AND (expires_at > ? OR device_id > ?)", max(at, soon), s.now.Add(-margin), at, after[:]).
				Order("expires_at, device_id").Limit(watchRows).Find(&rows).Error
		})
		if err != nil {
			return fmt.Errorf("read what is due: %w", err)
		}
		for _, p := range rows {
			if s.over() {
				return nil
			}
			if err := s.judge(ctx, p.DeviceID); err != nil {
				return err
			}
		}
		if len(rows) < watchRows {
			return nil
		}
		at, after = rows[len(rows)-1].ExpiresAt, rows[len(rows)-1].DeviceID
	}
	return nil
}

// judge decides about one device that is due, by what is true now.
func (s *sweep) judge(ctx context.Context, id models.ID) error {
	gone := false
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		gone = false
		d, err := LockByID(tx, id)
		if models.CodeOf(err) == models.NotFound {
			return unwatch(tx, id)
		}
		if err != nil {
			return err
		}
		var p models.DevicePresence
		if err := tx.Locked().Where("device_id = ?", id).Take(&p).Error; err != nil {
			return err
		}
		bound := s.now.Add(-margin)
		switch {
		case p.ExpiresAt.IsZero() || p.ExpiresAt > bound:
			return nil // another replica was here, or the device itself
		case d.Reachability != models.Online:
			return s.returned(tx, d, p)
		}
		if expires := s.deferred(d, p); expires > bound {
			p.ExpiresAt, p.DeferredTo = expires, s.lastOutage()
			return postpone(tx, []models.DevicePresence{p})
		}
		gone = true
		if err := SetOffline(tx, d, HeartbeatLost); err != nil {
			return err
		}
		return EndLogin(tx, d, HeartbeatLost)
	})
	if err != nil {
		return fmt.Errorf("judge the presence of device %s: %w", id, err)
	}
	if gone {
		s.watched.expired.Add(1)
	}
	return nil
}

// returned decides about a device that is watched although it is not ONLINE. If it was found gone while its late heartbeat was in a replica's
// memory, that heartbeat saw it ONLINE and made no change: it comes back now.
func (s *sweep) returned(tx *store.Tx, d *models.Device, p models.DevicePresence) error {
	if p.ExpiresAt == soon && d.Reachability == models.Offline {
		newest, err := gorm.G[models.ReachabilityChange](tx.DB).Where("device_id = ?", d.ID).Order("at DESC, id DESC").Limit(1).Find(tx.Context())
		if err != nil {
			return err
		}
		if len(newest) == 1 && newest[0].Reason == HeartbeatLost {
			return SetOnline(tx, d, p.LastInformAt)
		}
	}
	return unwatch(tx, d.ID)
}

// postpone writes the deadlines of rows, unless something was heard of their devices meanwhile.
func postpone(tx *store.Tx, rows []models.DevicePresence) error {
	const (
		mysql = " ON DUPLICATE KEY UPDATE" +
			" deferred_to = IF(expires_at > 0 AND last_inform_at = VALUES(last_inform_at), VALUES(deferred_to), deferred_to)," +
			" expires_at = IF(expires_at > 0 AND last_inform_at = VALUES(last_inform_at), VALUES(expires_at), expires_at)"
		sqlite = " ON CONFLICT (device_id) DO UPDATE SET deferred_to = excluded.deferred_to, expires_at = excluded.expires_at" +
			" WHERE expires_at > 0 AND last_inform_at = excluded.last_inform_at"
	)
	slices.SortFunc(rows, byID) // as a flush writes them
	return upsertPresence(tx, rows, mysql, sqlite)
}
