// Package statistics keeps what soft clients report of their calls (i4.md B.9): the reports as they came, what each interval added, and the
// buckets that the north asks for.
//
// It owns the tables statistics_reports, statistics_refusals and fixed_settings, the chain of reports of a device's BootId, what is believed of a client's counters and of its clock, and the quality that is estimated
// from samples. Values are what clients claim: nothing here may be used for billing, and no numbers of callers are known. The package refuses to
// know the wire, and which devices ought to report.
package statistics

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Config is how reports are taken and shown.
type Config struct {
	// Spacing is the least time between two reports of a device whose intervals are shorter than 15 minutes; 0: any (resolutions 12).
	Spacing time.Duration
	// Zone is where the days of reports begin and end; nil: UTC.
	Zone *time.Location
	// Watch looks for devices that stop reporting.
	Watch bool
}

// Room takes reports and answers with buckets.
type Room struct {
	store  *store.Store
	clock  models.Clock
	config Config
	// started is when this process began; for an hour it may be that devices could not report because of it.
	started models.Time
	counts  [len(outcomes)]atomic.Uint64
}

// New builds the room on s.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return &Room{store: s, clock: clock, config: c, started: clock.Now()}
}

// Outcome is what became of a report.
type Outcome string

// The outcomes.
const (
	Received    Outcome = "received"
	Duplicate   Outcome = "duplicate"
	Conflicting Outcome = "conflict"
	TooOften    Outcome = "too_often" // dropped by the limit
	TooLate     Outcome = "too_late"  // dropped: its interval ended more than 7 days ago
	Refused     Outcome = "refused"   // Status 40
	Missing     Outcome = "missing"   // none came
)

var outcomes = [...]Outcome{Received, Duplicate, Conflicting, TooOften, TooLate, Refused, Missing}

// Stats counts the reports of this process by outcome.
func (r *Room) Stats() map[Outcome]uint64 {
	stats := map[Outcome]uint64{}
	for i, o := range outcomes {
		stats[o] = r.counts[i].Load()
	}
	return stats
}

func (r *Room) count(o Outcome) {
	for i, known := range outcomes {
		if known == o {
			r.counts[i].Add(1)
		}
	}
}

const zoneSetting = "reporting.timeZone"

// FixZone makes the time zone that of the database, for ever: with another one the days of older buckets would begin elsewhere (resolutions 27).
// The error names the zone that the database has.
func (r *Room) FixZone(ctx context.Context) error {
	name := r.config.Zone.String()
	var fixed models.FixedSetting
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&models.FixedSetting{Name: zoneSetting, Value: name}).Error; err != nil {
			return err
		}
		return tx.DB.Where("name = ?", zoneSetting).Take(&fixed).Error
	})
	switch {
	case err != nil:
		return fmt.Errorf("fix %s: %w", zoneSetting, err)
	case fixed.Value != name:
		return fmt.Errorf("%s: this database was begun with %s, and it is kept; set it to that instead of %s", zoneSetting, fixed.Value, name)
	}
	return nil
}
