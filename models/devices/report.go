package devices

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	maxParameters = 10_000 // a device
	maxPath       = 256    // device_parameters.path
	maxValue      = 65_535 // bytes of a TEXT
	saveRows      = 500
)

// Report keeps what an Inform of at least L1 says of the device: versions and parameters. An unchanged report costs no statement. d becomes
// what was written.
func (r *Room) Report(ctx context.Context, d *models.Device, in *models.Inform) error {
	hash := fingerprint(in)
	if hash == d.ReportHash {
		return nil
	}
	changed := *d
	changed.ReportHash = hash
	Lay(&changed, in)
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		if err := saveParameters(tx, d.ID, in.Raw, nil, false); err != nil {
			return err
		}
		if err := saveMarks(tx, d.ID, in); err != nil {
			return err
		}
		return update(tx, d.ID, map[string]any{
			"software_version": changed.SoftwareVersion, "hardware_version": changed.HardwareVersion, "os_version": changed.OSVersion,
			"model": changed.Model, "manufacturer": changed.Manufacturer, "heartbeat_seconds": changed.HeartbeatSeconds, "report_hash": hash,
		})
	})
	if err != nil {
		return fmt.Errorf("save the report of device %s: %w", d.ID, err)
	}
	*d = changed
	return nil
}

// Told tells whether in says nothing but what the last Inform said that Report has kept of d.
func Told(d *models.Device, in *models.Inform) bool { return fingerprint(in) == d.ReportHash }

// Lay lays what an Inform says of the device itself over d, in memory only: what is decided in the Inform's session is decided about the
// firmware that runs now.
func Lay(d *models.Device, in *models.Inform) {
	for name, column := range map[string]*string{
		NameSoftwareVersion: &d.SoftwareVersion, NameHardwareVersion: &d.HardwareVersion, NameOSVersion: &d.OSVersion, NameModel: &d.Model,
	} {
		if value := in.Get(name); value != "" {
			*column = clip(value, maxName)
		}
	}
	if in.Manufacturer != "" {
		d.Manufacturer = clip(in.Manufacturer, maxName)
	}
	if seconds, ok := Heartbeat(in.Get(NameHeartbeat)); ok {
		d.HeartbeatSeconds = seconds
	}
}

// Heartbeat reads an interval in seconds as a device reports it; false if it is none.
func Heartbeat(value string) (seconds int, ok bool) {
	n, err := strconv.ParseInt(value, 10, 32)
	return int(n), err == nil && n > 0
}

// fingerprint hashes what Report would write, whatever the order of the parameters; never 0, which stands for no report.
func fingerprint(in *models.Inform) int64 {
	raw := slices.Clone(in.Raw)
	slices.SortStableFunc(raw, func(a, b models.Value) int { return strings.Compare(a.Name, b.Name) })
	h := fnv.New64a()
	write := func(texts ...string) {
		for _, s := range texts {
			_, _ = h.Write([]byte(s))
			_, _ = h.Write([]byte{0})
		}
	}
	write(in.Manufacturer)
	for _, v := range raw {
		write(v.Name, v.Value, v.Type)
	}
	return int64(h.Sum64() | 1)
}

// SaveParameters keeps values and names that a device answered or confirmed; paths are raw. Secrets are left out (resolutions 33), values are
// cut to 64 KiB, and a device keeps at most 10,000 parameters.
func SaveParameters(tx *store.Tx, deviceID models.ID, values []models.Value, names []models.ParameterName) error {
	return saveParameters(tx, deviceID, values, names, true)
}

// saveParameters writes the rows that are new or changed; with refresh also those that were told again.
func saveParameters(tx *store.Tx, deviceID models.ID, values []models.Value, names []models.ParameterName, refresh bool) error {
	told := map[string]models.DeviceParameter{}
	for _, v := range values {
		if !v.Secret && keepable(v.Name) {
			told[v.Name] = models.DeviceParameter{DeviceID: deviceID, Path: v.Name, Value: cut(v.Value), Type: clip(v.Type, 32), ReportedAt: tx.Now}
		}
	}
	for _, n := range names {
		if keepable(n.Path) {
			p, ok := told[n.Path]
			if !ok {
				p = models.DeviceParameter{DeviceID: deviceID, Path: n.Path, ReportedAt: tx.Now}
			}
			p.Writable = &n.Writable
			told[n.Path] = p
		}
	}
	paths := make([]string, 0, len(told))
	for path := range told {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var rows, fresh []models.DeviceParameter
	for chunk := range slices.Chunk(paths, saveRows) {
		known, err := gorm.G[models.DeviceParameter](tx.DB).Where("device_id = ? AND path IN ?", deviceID, chunk).Find(tx.Context())
		if err != nil {
			return fmt.Errorf("read the parameters of device %s: %w", deviceID, err)
		}
		for _, before := range known {
			now, ok := told[before.Path]
			if !ok {
				continue
			}
			after := merge(before, now)
			if refresh || !same(before, after) {
				rows = append(rows, after)
			}
			delete(told, before.Path)
		}
		for _, path := range chunk {
			if p, ok := told[path]; ok {
				fresh = append(fresh, p)
			}
		}
	}
	if len(fresh) > 0 {
		var kept int64
		if err := tx.DB.Model(&models.DeviceParameter{}).Where("device_id = ?", deviceID).Count(&kept).Error; err != nil {
			return fmt.Errorf("count the parameters of device %s: %w", deviceID, err)
		}
		rows = append(rows, fresh[:min(len(fresh), max(0, maxParameters-int(kept)))]...)
	}
	for chunk := range slices.Chunk(rows, saveRows) {
		if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&chunk).Error; err != nil {
			return fmt.Errorf("save the parameters of device %s: %w", deviceID, err)
		}
	}
	return nil
}

// saveMarks keeps by what people may name the device.
func saveMarks(tx *store.Tx, deviceID models.ID, in *models.Inform) error {
	var marks []models.DeviceMark
	for kind, name := range map[string]string{"MAC": nameMAC, "STBID": nameSTBID} {
		if mark, ok := models.MarkOf(in.Get(name)); ok {
			marks = append(marks, models.DeviceMark{DeviceID: deviceID, Kind: kind, Mark: mark})
		}
	}
	if len(marks) == 0 {
		return nil
	}
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&marks).Error; err != nil {
		return fmt.Errorf("save the marks of device %s: %w", deviceID, err)
	}
	return nil
}

// merge lays what was told over what was known: a value without writability keeps the known one, a name without value the known value.
func merge(before, told models.DeviceParameter) models.DeviceParameter {
	if told.Writable == nil {
		told.Writable = before.Writable
	}
	if told.Type == "" && told.Value == "" {
		told.Type, told.Value = before.Type, before.Value
	}
	return told
}

func same(a, b models.DeviceParameter) bool {
	return a.Value == b.Value && a.Type == b.Type && (a.Writable == nil) == (b.Writable == nil) && (a.Writable == nil || *a.Writable == *b.Writable)
}

// keepable tells whether path is a parameter's, not an object's, and fits its column; MariaDB takes texts for equal that differ in spaces at
// their end only.
func keepable(path string) bool {
	return path != "" && !strings.HasSuffix(path, ".") && strings.TrimSpace(path) == path && utf8.RuneCountInString(path) <= maxPath
}

// cut shortens a value to what a row holds, at the border of a character.
func cut(value string) string {
	if len(value) <= maxValue {
		return value
	}
	end := maxValue
	for end > 0 && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}
