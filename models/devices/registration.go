package devices

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Logical names of what a client tells of its line and of the last answer to its SIP registration (resolutions 54).
const (
	NameLineStatus         = "line.status"
	nameLastRegisterCode   = "softClient.lastRegister.code"
	nameLastRegisterReason = "softClient.lastRegister.reason"
	nameLastRegisterTime   = "softClient.lastRegister.time"
)

const (
	firstLine    = 1   // the line that the names above are of
	maxSIPStatus = 999 // RFC 3261 7.2: three digits
	maxReason    = 128
)

var lineStatuses = map[string]models.LineStatus{
	"up": models.LineUp, "initializing": models.LineInitializing, "registering": models.LineRegistering, "unregistering": models.LineUnregistering,
	"error": models.LineError, "testing": models.LineTesting, "quiescent": models.LineQuiescent, "disabled": models.LineDisabled,
}

// lineOf lays what an Inform tells of the line over what was known. A line that is up without a cause has none; a client need not tell causes.
func lineOf(known models.LineRegistration, in *models.Inform, now models.Time) models.LineRegistration {
	line := known
	if told, ok := in.Values[NameLineStatus]; ok {
		if line.Status, ok = lineStatuses[strings.ToLower(strings.TrimSpace(told.Value))]; !ok {
			line.Status = models.LineUnknown
		}
	}
	if line.Status == "" {
		line.Status = models.LineUnknown
	}
	if line.Status != known.Status {
		line.Since = now
	}
	switch _, told := in.Values[nameLastRegisterCode]; {
	case told:
		line.SipStatus, line.Reason, line.AnsweredAt = sipStatus(in), "", 0
		if line.SipStatus != 0 {
			line.Reason = printable(in.Get(nameLastRegisterReason))
			if at, err := time.Parse(time.RFC3339, in.Get(nameLastRegisterTime)); err == nil && at.After(time.Unix(0, 0)) {
				line.AnsweredAt = models.TimeOf(at)
			}
		}
	case line.Status == models.LineUp:
		line.SipStatus, line.Reason, line.AnsweredAt = 0, "", 0
	}
	return line
}

func sipStatus(in *models.Inform) int {
	code, err := strconv.Atoi(strings.TrimSpace(in.Get(nameLastRegisterCode)))
	if err != nil || code < 0 || code > maxSIPStatus {
		return 0
	}
	return code
}

// printable is a client's text without what no screen shows, cut to what a row holds.
func printable(s string) string {
	return clip(strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, s)), maxReason)
}

// RegistrationRefused tells whether an Inform says that the line is not up because its registration was refused.
func RegistrationRefused(in *models.Inform) bool {
	line := lineOf(models.LineRegistration{}, in, 0)
	return line.Refused()
}

// tellsLine tells whether an Inform says anything of the line.
func tellsLine(in *models.Inform) bool {
	_, status := in.Values[NameLineStatus]
	_, cause := in.Values[nameLastRegisterCode]
	return status || cause
}

// saveLine keeps what an Inform tells of the line, if that is new.
func saveLine(tx *store.Tx, d *models.Device, in *models.Inform) error {
	if !tellsLine(in) {
		return nil
	}
	var rows []models.LineRegistration
	if err := tx.DB.Where("device_id = ? AND line_index = ?", d.ID, firstLine).Limit(1).Find(&rows).Error; err != nil {
		return fmt.Errorf("read the line of device %s: %w", d.ID, err)
	}
	known := models.LineRegistration{DeviceID: d.ID, LineIndex: firstLine}
	if len(rows) == 1 {
		known = rows[0]
	}
	line := lineOf(known, in, tx.Now)
	if line == known {
		return nil
	}
	line.ReportedAt = tx.Now
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&line).Error; err != nil {
		return fmt.Errorf("save the line of device %s: %w", d.ID, err)
	}
	return nil
}

// Lines returns what those of the devices that the actor may read told of their lines, by device. ReportedAt is when they last told it, changed or
// not.
func (r *Room) Lines(ctx context.Context, ids []models.ID) (map[models.ID][]*models.LineRegistration, error) {
	lines := map[models.ID][]*models.LineRegistration{}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		var rows []struct {
			models.LineRegistration `gorm:"embedded"`
			LineAt                  models.Time
			OwnerID                 models.ID
			OwnerRegion             string
		}
		q := tx.DB.Table("line_registrations").Select("line_registrations.*, device_presence.line_at, devices.account_id AS owner_id, devices.region AS owner_region").
			Joins("JOIN devices ON devices.id = line_registrations.device_id").
			Joins("JOIN device_presence ON device_presence.device_id = line_registrations.device_id").
			Where("line_registrations.device_id IN ?", ids).Order("line_registrations.line_index")
		if err := store.InScope(q, "devices.region", models.ActorFrom(ctx).Scope(models.DeviceRead)).Scan(&rows).Error; err != nil {
			return fmt.Errorf("read the lines of devices: %w", err)
		}
		for _, row := range rows {
			line := row.LineRegistration
			line.ReportedAt, line.AccountID, line.Region = max(line.ReportedAt, row.LineAt), row.OwnerID, row.OwnerRegion
			lines[line.DeviceID] = append(lines[line.DeviceID], &line)
		}
		return nil
	})
	return lines, err
}

// LineTold is when an Inform told of the line, for the presence of the device; zero if it did not.
func LineTold(in *models.Inform, at models.Time) models.Time {
	if !tellsLine(in) {
		return 0
	}
	return at
}
