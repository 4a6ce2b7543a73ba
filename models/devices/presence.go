package devices

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	flushEvery = 500 * time.Millisecond
	flushRows  = 500
)

// presence collects what was seen of devices until the next flush; one entry a device, however often it was seen.
type presence struct {
	mu      sync.Mutex
	waiting map[models.ID]models.DevicePresence
	dropped int
	limit   int
	full    chan struct{} // told when the map is half full

	flushing sync.Mutex
}

// Seen notes that the device was heard of and when it counts as gone if it is not again, by the interval that d has confirmed. It touches
// memory only; Run writes it within a second. A zero LastBootAt leaves the known one.
func (r *Room) Seen(d *models.Device, seen models.DevicePresence) {
	seen.ExpiresAt = r.deadline(d, seen.LastInformAt)
	r.note(d.ID, seen)
}

// Gone is Seen for a device that is not ONLINE after what was heard of it: its next heartbeat is not waited for.
func (r *Room) Gone(d *models.Device, seen models.DevicePresence) {
	seen.ExpiresAt = 0
	r.note(d.ID, seen)
}

func (r *Room) note(id models.ID, seen models.DevicePresence) {
	seen.DeviceID, seen.DeferredTo = id, 0
	seen.IPAddress = clip(seen.IPAddress, 45)
	p := &r.presence
	p.mu.Lock()
	p.add(seen)
	half := len(p.waiting) > p.limit/2
	p.mu.Unlock()
	if half {
		select {
		case p.full <- struct{}{}:
		default:
		}
	}
}

// add merges one sighting, only ever forward in time. The caller holds mu.
func (p *presence) add(seen models.DevicePresence) {
	if p.waiting == nil {
		p.waiting = map[models.ID]models.DevicePresence{}
	}
	known, ok := p.waiting[seen.DeviceID]
	if !ok && len(p.waiting) >= p.limit {
		p.dropped++ // only while the database does not answer: the device will be seen again
		return
	}
	boot, line := max(seen.LastBootAt, known.LastBootAt), max(seen.LineAt, known.LineAt)
	if known.LastInformAt > seen.LastInformAt {
		seen = known
	}
	seen.LastBootAt, seen.LineAt = boot, line
	p.waiting[seen.DeviceID] = seen
}

// Run flushes presence within a second of Seen, until ctx ends; then once more.
func (r *Room) Run(ctx context.Context) {
	for ctx.Err() == nil {
		waiting, cancel := context.WithCancel(ctx)
		go func() {
			defer cancel()
			_ = r.clock.Wait(waiting, flushEvery)
		}()
		select {
		case <-r.presence.full:
		case <-waiting.Done():
		}
		cancel()
		if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "flush presence", "error", err)
		}
	}
	if err := r.Flush(context.WithoutCancel(ctx)); err != nil {
		slog.ErrorContext(ctx, "flush presence at the end", "error", err)
	}
}

// Flush writes what was seen. Rows that cannot be written stay for the next flush.
func (r *Room) Flush(ctx context.Context) error {
	p := &r.presence
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.mu.Lock()
	taken, dropped := p.waiting, p.dropped
	p.waiting, p.dropped = nil, 0
	p.mu.Unlock()
	if dropped > 0 {
		slog.WarnContext(ctx, "presence of devices was not kept", "sightings", dropped)
	}
	// One order for all replicas, so that two flushes of the same rows do not deadlock.
	rows := slices.SortedFunc(maps.Values(taken), byID)
	for len(rows) > 0 {
		n := min(len(rows), flushRows)
		if err := r.store.InTx(ctx, func(tx *store.Tx) error { return savePresence(tx, rows[:n]) }); err != nil {
			p.mu.Lock()
			for _, row := range rows {
				p.add(row)
			}
			p.mu.Unlock()
			return fmt.Errorf("save the presence of %d devices: %w", len(rows), err)
		}
		rows = rows[n:]
	}
	return nil
}

func byID(a, b models.DevicePresence) int { return bytes.Compare(a.DeviceID[:], b.DeviceID[:]) }

// The newest sighting wins in the database too: another replica may have flushed a later one. A row that is not watched is not simply watched
// again: a heartbeat may have been on its way while its device was found gone, so the watch has to look at it. last_inform_at comes last
// because MySQL assigns from left to right and later assignments see it.
const (
	presenceInsert = "INSERT INTO device_presence (device_id, last_inform_at, last_boot_at, ip_address, clock_skew_seconds, expires_at, deferred_to, line_at) VALUES "
	presenceRow    = "(?, ?, ?, ?, ?, ?, ?, ?)"
	presenceMySQL  = " ON DUPLICATE KEY UPDATE ip_address = IF(VALUES(last_inform_at) >= last_inform_at, VALUES(ip_address), ip_address)," +
		" clock_skew_seconds = IF(VALUES(last_inform_at) >= last_inform_at, VALUES(clock_skew_seconds), clock_skew_seconds)," +
		" deferred_to = IF(VALUES(last_inform_at) >= last_inform_at, VALUES(deferred_to), deferred_to)," +
		" expires_at = IF(VALUES(last_inform_at) >= last_inform_at, IF(expires_at = 0, LEAST(VALUES(expires_at), 1), VALUES(expires_at)), expires_at)," +
		" line_at = GREATEST(line_at, VALUES(line_at)), last_boot_at = GREATEST(last_boot_at, VALUES(last_boot_at)), last_inform_at = GREATEST(last_inform_at, VALUES(last_inform_at))"
	presenceSQLite = " ON CONFLICT (device_id) DO UPDATE SET" +
		" ip_address = CASE WHEN excluded.last_inform_at >= last_inform_at THEN excluded.ip_address ELSE ip_address END," +
		" clock_skew_seconds = CASE WHEN excluded.last_inform_at >= last_inform_at THEN excluded.clock_skew_seconds ELSE clock_skew_seconds END," +
		" deferred_to = CASE WHEN excluded.last_inform_at >= last_inform_at THEN excluded.deferred_to ELSE deferred_to END," +
		" expires_at = CASE WHEN excluded.last_inform_at < last_inform_at THEN expires_at" +
		" WHEN expires_at = 0 THEN MIN(excluded.expires_at, 1) ELSE excluded.expires_at END," +
		" line_at = MAX(line_at, excluded.line_at), last_boot_at = MAX(last_boot_at, excluded.last_boot_at), last_inform_at = MAX(last_inform_at, excluded.last_inform_at)"
)

func savePresence(tx *store.Tx, rows []models.DevicePresence) error {
	return upsertPresence(tx, rows, presenceMySQL, presenceSQLite)
}

// upsertPresence inserts rows, and does to those that exist what the tail of the engine says.
func upsertPresence(tx *store.Tx, rows []models.DevicePresence, mysql, sqlite string) error {
	args := make([]any, 0, 8*len(rows))
	for _, p := range rows {
		args = append(args, p.DeviceID, p.LastInformAt, p.LastBootAt, p.IPAddress, p.ClockSkewSeconds, p.ExpiresAt, p.DeferredTo, p.LineAt)
	}
	tail := mysql
	if tx.DB.Name() == "sqlite" {
		tail = sqlite
	}
	return tx.DB.Exec(presenceInsert+strings.Repeat(presenceRow+", ", len(rows)-1)+presenceRow+tail, args...).Error
}

// PresenceByIDs returns the flushed presence of the devices that have one.
func (r *Room) PresenceByIDs(ctx context.Context, ids []models.ID) (map[models.ID]models.DevicePresence, error) {
	found := make(map[models.ID]models.DevicePresence, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		rows, err := gorm.G[models.DevicePresence](tx.DB).Where("device_id IN ?", ids).Find(ctx)
		for _, p := range rows {
			found[p.DeviceID] = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the presence of devices: %w", err)
	}
	return found, nil
}

// Interval is how often the device sends a heartbeat: what it last confirmed, else its type's default.
func (r *Room) Interval(d *models.Device) time.Duration {
	if d.HeartbeatSeconds > 0 {
		return time.Duration(d.HeartbeatSeconds) * time.Second
	}
	return r.heartbeat[d.ClientType].Interval
}

// deadline is when a device counts as gone that was heard of at that time (i4.md B.6).
func (r *Room) deadline(d *models.Device, heard models.Time) models.Time {
	rhythm := r.heartbeat[d.ClientType]
	// In milliseconds: an interval that a device made up, times the missed ones, may be more than a Duration holds.
	return heard.Add(rhythm.Grace) + models.Time(int64(rhythm.Missed)*r.Interval(d).Milliseconds())
}

// NextInformDue is when the next heartbeat is expected; zero if the device was never seen.
func (r *Room) NextInformDue(d *models.Device, p models.DevicePresence) models.Time {
	if p.LastInformAt.IsZero() {
		return 0
	}
	return p.LastInformAt.Add(r.Interval(d))
}

// heardOf is when the device was last heard of, as far as it is written; it came ONLINE by a message that may not be flushed yet.
func heardOf(d *models.Device, p models.DevicePresence) models.Time {
	if d.Reachability == models.Online {
		return max(p.LastInformAt, d.ReachabilityAt)
	}
	return p.LastInformAt
}

// Reachability is the stored one, or STALE for an ONLINE device whose heartbeat is late (resolutions 21, i4.md B.6).
func (r *Room) Reachability(d *models.Device, p models.DevicePresence) models.Reachability {
	heard := heardOf(d, p)
	if d.Reachability == models.Online && !heard.IsZero() && r.clock.Now() > heard.Add(r.Interval(d)+r.heartbeat[d.ClientType].Grace) {
		return models.Stale
	}
	return d.Reachability
}
