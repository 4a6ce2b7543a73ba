package statistics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// maxReports is how many reports one answer is made of.
const maxReports = 100_000

// OfAccount adds up what the devices of an account reported while they were bound to it. BAD_USER_INPUT says what is wrong with the range; without
// STATS_READ in the account's region it is FORBIDDEN.
func (r *Room) OfAccount(ctx context.Context, a *models.Account, asked Range, w Width) ([]Bucket, error) {
	list, err := r.total(ctx, a.Region, asked, w, r.config.Zone, "account_id", a.ID)
	if err != nil || len(list) == 0 {
		return list, err
	}
	var bound []models.Binding
	err = r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Select("device_id, bound_at, unbound_at").
			Where("account_id = ? AND bound_at < ? AND (unbound_at = 0 OR unbound_at > ?)", a.ID, list[len(list)-1].End, list[0].Start).Find(&bound).Error
	})
	if err != nil {
		return nil, fmt.Errorf("read the bindings of account %s: %w", a.ID, err)
	}
	for i := range list {
		expected := map[models.ID]bool{}
		for _, b := range bound {
			if b.BoundAt < list[i].End && (b.UnboundAt.IsZero() || b.UnboundAt > list[i].Start) {
				expected[b.DeviceID] = true
			}
		}
		list[i].ExpectedDevices = int64(len(expected))
	}
	return list, nil
}

// OfDevice adds up what a device reported. zone names the time zone of days, weeks and months; empty: that of the platform. Errors as OfAccount.
func (r *Room) OfDevice(ctx context.Context, d *models.Device, asked Range, w Width, zone string) ([]Bucket, error) {
	location := r.config.Zone
	if zone != "" {
		var err error
		if location, err = LoadZone(zone); err != nil {
			return nil, models.E(models.BadUserInput, err.Error(), "timeZone")
		}
	}
	list, err := r.total(ctx, d.Region, asked, w, location, "device_id", d.ID)
	for i := range list {
		if list[i].End > d.CreatedAt {
			list[i].ExpectedDevices = 1
		}
	}
	return list, err
}

// LoadZone finds a time zone by its name in the IANA database. The error is a sentence.
func LoadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("a time zone such as Asia/Shanghai or UTC is expected, not %.64q", name)
	}
	return zone, nil
}

// total adds up the reports of one account or device; column says whose id it is.
func (r *Room) total(ctx context.Context, region string, asked Range, w Width, zone *time.Location, column string, id models.ID) ([]Bucket, error) {
	if !models.ActorFrom(ctx).Scope(models.StatsRead).Covers(region) {
		return nil, models.E(models.Forbidden, "permission STATS_READ is needed in this region")
	}
	list, err := buckets(asked, w, zone, r.clock.Now())
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var rows []models.StatisticsReport
	err = r.store.View(ctx, func(tx *store.Tx) error {
		return tx.DB.Select("device_id, ended_at, flags, counters, deltas, gauges").Where(column+" = ?", id).
			Where("ended_at >= ? AND ended_at < ?", list[0].Start.Add(time.Second), list[len(list)-1].End.Add(time.Second)).
			Limit(maxReports + 1).Find(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	if len(rows) > maxReports {
		return nil, models.E(models.BadUserInput, fmt.Sprintf("the range has more than %d reports", maxReports), "range")
	}
	for i := range rows {
		at := rows[i].EndedAt.Add(-time.Second) // the second before the interval's end says where it belongs (resolutions 27)
		n, exact := slices.BinarySearchFunc(list, at, func(b Bucket, at models.Time) int { return int(b.Start - at) })
		if !exact {
			n--
		}
		list[n].add(&rows[i])
	}
	for i := range list {
		list[i].close()
	}
	return list, nil
}
