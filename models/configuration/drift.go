package configuration

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Drift is how the platform sees to it that devices keep what they confirmed (i4.md B.10).
type Drift struct {
	// Interval is how often some of a device's values are read back, at a time of its own within it; 0: never.
	Interval time.Duration
	// Sample is how many; the next ones follow the next time.
	Sample int
	// PerDay is how many drifts of a device are put right in a day (UTC); then there is an alarm, and nothing more is done until the next day.
	PerDay int
}

// next is the device's next time to be read, zero if there is none.
func (c Drift) next(key models.DeviceKey, now models.Time) models.Time {
	interval := models.Time(c.Interval.Milliseconds())
	if interval <= 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	phase := models.Time(h.Sum64() % uint64(interval))
	return now - (now-phase)%interval + interval
}

// Sample returns the request that reads some values back from a device, nil if it is not time for that. The next sample is a whole interval later, whatever comes of this one.
func (r *Room) Sample(tx *store.Tx, d *models.Device, epoch int64, key string) (*models.Request, error) {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil || c.State != models.ConfigurationApplied || c.SampleAt.IsZero() || c.SampleAt > tx.Now || !holds(c.Configuration, key) {
		return nil, err
	}
	applied, err := readValues(tx, "applied", c.DeviceID, c.Applied)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(r.ordered(applied), func(name string) bool { return !r.watched(name) })
	if c.SampleAt = r.config.Drift.next(d.Key, tx.Now); !c.SampleAt.IsZero() && len(names) > r.config.Drift.Sample {
		turn := int(int64(c.SampleAt) / r.config.Drift.Interval.Milliseconds() % int64(len(names)))
		first := turn * r.config.Drift.Sample % len(names)
		names = append(names[first:], names[:first]...)[:r.config.Drift.Sample]
	}
	err = tx.DB.Model(&models.Configuration{}).Where("device_id = ?", d.ID).Update("sample_at", c.SampleAt).Error
	if err != nil {
		return nil, fmt.Errorf("note the sample of device %s: %w", d.ID, err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	objects, err := Moved(tx, d.ID)
	return &models.Request{Method: models.GetParameterValues, Names: names, Moved: objects}, err
}

// watched tells whether a value may be compared: secrets read back empty, and some parameters are the user's own.
func (r *Room) watched(name string) bool {
	if isPath(name) {
		return !r.config.IsSecret(name)
	}
	p, known := r.parameter(name)
	return known && p.Writable && !p.Secret && !p.Local
}

// Drifted compares what a device told with what it confirmed. A difference becomes a new version that brings just that, with an event; after
// PerDay of them in a day an alarm instead, once, which a sample without difference clears. key is the ParameterKey that the device holds: while
// it is not that of the confirmed version, nothing is known of what it should hold.
func (r *Room) Drifted(tx *store.Tx, d *models.Device, epoch int64, key string, told []models.Value, sampled bool) error {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil || c.State != models.ConfigurationApplied || !holds(c.Configuration, key) {
		return err
	}
	applied, err := readValues(tx, "applied", c.DeviceID, c.Applied)
	if err != nil {
		return err
	}
	var paths []string
	for _, v := range told {
		confirmed, set := applied[v.Name]
		if set && r.watched(v.Name) && r.canonical(v.Name, v.Value) != r.canonical(v.Name, confirmed) {
			delete(applied, v.Name)
			paths = append(paths, r.config.Path(v.Name))
		}
	}
	if len(paths) == 0 {
		if !sampled || !c.Drifting {
			return nil
		}
		c.Drifting = false
		return c.drifting(tx, models.AlarmCleared, nil)
	}
	slices.Sort(paths)
	if day := int64(tx.Now) / (24 * time.Hour).Milliseconds(); c.DriftDay != day {
		c.DriftDay, c.Drifts = day, 0
	}
	if c.Drifts >= r.config.Drift.PerDay {
		if c.Drifting {
			return nil
		}
		c.Drifting = true
		return c.drifting(tx, models.AlarmRaised, map[string]any{"paths": paths})
	}
	c.Drifts++
	if c.Applied, err = tx.SealJSON("configurations", "applied", d.ID, applied); err != nil {
		return err
	}
	if err := c.issue(tx, d); err != nil {
		return err
	}
	payload := map[string]any{"state": c.State, "key": models.ParameterKey(c.DesiredVersion), "paths": paths}
	return events.Append(tx, devices.EventOf(c.device, models.ConfigurationChanged, "config.drift", payload))
}

// drifting tells that a device changes back what it is given, or no more.
func (c *current) drifting(tx *store.Tx, t models.EventType, fields map[string]any) error {
	err := tx.DB.Model(&models.Configuration{}).Where("device_id = ?", c.DeviceID).Updates(map[string]any{
		"drifting": c.Drifting, "drift_day": c.DriftDay, "drifts": c.Drifts,
	}).Error
	if err != nil {
		return fmt.Errorf("note the drift of device %s: %w", c.DeviceID, err)
	}
	return c.alarm(tx, t, "config.drift", fields)
}

func (r *Room) canonical(name, value string) string {
	if isPath(name) {
		return value
	}
	return r.config.Canonical(name, value)
}
