package devices

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Missed heartbeats are found by deadline: device_presence.expires_at is written with each flush and indexed, and tells when to look at a device,
// never that it is gone. That is judged in the device's transaction by what is true then (docs/adr/0007-presence-deadlines.md).

const (
	// turnEvery is how often a replica looks whether it is somebody's turn; beatEvery how often it is, whoever takes it.
	turnEvery = 2 * time.Second
	beatEvery = 10 * time.Second
	// outageAfter is the silence of all replicas after which devices are given time to come back; less is within every grace.
	outageAfter = 3 * beatEvery
	// margin is for heartbeats that another replica has in memory: they are flushed within a second.
	margin    = 2 * time.Second
	watchRows = 500
	beatName  = "presence"
)

// Guard is when so many devices seem gone at once that it is rather the platform that does not hear them (i4.md B.6).
type Guard struct {
	// Percent of the watched devices, and Minimum of them at least, that would expire within one minute freeze expiry; Percent 0: never.
	Percent, Minimum int
	// Freeze is how long at most.
	Freeze time.Duration
}

// watched is what a replica remembers of its turns.
type watched struct {
	mu      sync.Mutex
	last    models.Time // when it last reached the database
	expired atomic.Uint64
	frozen  atomic.Bool
}

// WatchStats are counters for the operator: the devices that this process found gone, and whether expiry is frozen.
type WatchStats struct {
	Expired uint64
	Frozen  bool
}

// WatchStats reads the counters.
func (r *Room) WatchStats() WatchStats {
	return WatchStats{Expired: r.watched.expired.Load(), Frozen: r.watched.frozen.Load()}
}

// Watch finds devices whose heartbeats are missed and makes them OFFLINE, until ctx ends. Replicas share the work.
func (r *Room) Watch(ctx context.Context) {
	adopted := false
	r.store.Loop(ctx, "presence", turnEvery, func(ctx context.Context) {
		if !adopted {
			err := r.adopt(ctx)
			if adopted = err == nil; !adopted && ctx.Err() == nil {
				slog.ErrorContext(ctx, "watch the devices that are online", "error", err)
			}
		}
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "look for missed heartbeats", "error", err)
		}
	})
}

// adopt has every ONLINE device looked at that is not watched: it came online under a version of the program that watched none.
func (r *Room) adopt(ctx context.Context) error {
	for after := (models.ID{}); ; {
		var found []models.ID
		err := r.store.View(ctx, func(tx *store.Tx) error {
			return tx.DB.Table("device_presence AS p").Joins("JOIN devices AS d ON d.id = p.device_id").
				Where("p.expires_at = 0 AND p.device_id > ? AND d.reachability = ?", after[:], models.Online).
				Order("p.device_id").Limit(watchRows).Pluck("p.device_id", &found).Error
		})
		if err != nil || len(found) == 0 {
			return err
		}
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			return tx.DB.Model(&models.DevicePresence{}).Where("device_id IN ? AND expires_at = 0", found).Update("expires_at", soon).Error
		})
		if err != nil {
			return err
		}
		after = found[len(found)-1]
	}
}

// beat is the platform's sign of life with the earliest deadline; it is read every turn, in one statement whatever the number of devices.
type beat struct {
	models.Beat
	Due models.Time
}

// turn takes the next beat if it is time and no other replica was faster, and then looks at what is due.
func (r *Room) turn(ctx context.Context) error {
	w := &r.watched
	w.mu.Lock()
	defer w.mu.Unlock()
	now := r.clock.Now()
	var b beat
	err := r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Raw("SELECT name, at, frozen_at, (SELECT expires_at FROM device_presence WHERE expires_at > 0 ORDER BY expires_at LIMIT 1) AS due"+
			" FROM beats WHERE name = ?", beatName).Scan(&b).Error
	})
	if err != nil {
		return fmt.Errorf("read the beat: %w", err)
	}
	w.frozen.Store(r.frozen(b.Beat, now))
	since := now.Sub(b.At)
	if !b.At.IsZero() && since > -margin && since < beatEvery { // a beat a little ahead is that of another clock
		w.last = now
		return nil
	}
	taken, err := r.beat(ctx, b.Beat, now)
	if err != nil {
		return err
	}
	w.last = now
	if nothing := b.Due.IsZero() || b.Due > now.Add(-margin); !taken || nothing && b.FrozenAt.IsZero() {
		return nil
	}
	return r.sweep(ctx, b.Beat, now)
}

// beat writes the sign of life; false if another replica did. A gap in it is an outage: the platform was down, the database away, or the clock
// was set forward. A replica that reached the database all the time knows better than the clock of another.
func (r *Room) beat(ctx context.Context, b models.Beat, now models.Time) (taken bool, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		q := tx.DB.Model(&models.Beat{}).Where("name = ? AND at = ?", beatName, b.At).Update("at", now)
		if b.At.IsZero() {
			q = tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&models.Beat{Name: beatName, At: now})
		}
		if taken = q.Error == nil && q.RowsAffected == 1; !taken {
			return q.Error
		}
		began := max(b.At, r.watched.last)
		switch {
		case b.At > now:
			// The clock was set back: an outage in the future would be made good to every device until then.
			return tx.DB.Where("ended_at > ?", now).Delete(&models.Outage{}).Error
		case !began.IsZero() && now.Sub(began) > outageAfter:
			return tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&models.Outage{EndedAt: now, BeganAt: began}).Error
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("write the beat: %w", err)
	}
	return taken, nil
}

// frozen tells whether expiry is frozen: not for longer than the guard allows, whatever is due then.
func (r *Room) frozen(b models.Beat, now models.Time) bool {
	return !b.FrozenAt.IsZero() && now.Sub(b.FrozenAt) < r.guard.Freeze
}

// freeze guards expiry: it freezes it with an alarm if too many devices would expire within a minute, and ends the alarm when that is over. It
// tells whether nothing may expire now. What it costs is in proportion to what would expire.
func (r *Room) freeze(ctx context.Context, b *models.Beat, now models.Time) (hold bool, err error) {
	var due, watched int64
	err = r.store.View(ctx, func(tx *store.Tx) error {
		rows := func() *gorm.DB { return tx.DB.Model(&models.DevicePresence{}) }
		err := rows().Where("expires_at > ? AND expires_at <= ?", soon, now.Add(time.Minute)).Count(&due).Error
		if err != nil || r.guard.Percent == 0 || due < int64(r.guard.Minimum) {
			return err
		}
		// So many watched devices are enough that what is due is no more than the share; more need not be counted.
		watched, _, err = store.CountTo(tx, rows().Where("expires_at > 0"), int(due*100/int64(r.guard.Percent))+1)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("count what would expire: %w", err)
	}
	mass := watched*int64(r.guard.Percent) < due*100 && watched > 0
	if mass == !b.FrozenAt.IsZero() {
		return r.frozen(*b, now), nil
	}
	at, fields := now, map[string]any{"due": due, "watched": watched, "percent": r.guard.Percent}
	if !mass {
		at, fields = 0, map[string]any{"due": due, "frozenSeconds": int64(min(now.Sub(b.FrozenAt), r.guard.Freeze).Seconds())}
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		done := tx.DB.Model(&models.Beat{}).Where("name = ? AND frozen_at = ?", beatName, b.FrozenAt).Update("frozen_at", at)
		if done.Error != nil || done.RowsAffected == 0 { // another replica tells it
			return done.Error
		}
		return events.Alarm(tx, mass, "presence.mass_expiry_suspected", fields)
	})
	if err != nil {
		return false, fmt.Errorf("guard against mass expiry: %w", err)
	}
	b.FrozenAt = at
	r.watched.frozen.Store(mass)
	if mass {
		slog.WarnContext(ctx, "many devices would expire at once: expiry is frozen", "due", due, "watched", watched)
	} else {
		slog.InfoContext(ctx, "expiry goes on", "due", due)
	}
	return mass, nil
}
