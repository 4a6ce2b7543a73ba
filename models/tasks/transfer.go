package tasks

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	fileServerRefused = 9012
	fileCorrupted     = 9018
	fileNotAuthentic  = 9019
	// maxReports is how many transfers that nobody asked for are kept of a device.
	maxReports = 20
)

// retries is how often a transfer that ended with a fault is tried again (i4.md A.9, B.7).
func retries(code int) int {
	switch {
	case code == fileServerRefused:
		return 1
	case code == 9011, code == 9016:
		return 2
	case permanentTransfer(code):
		return 0
	}
	return len(backOff)
}

// permanentTransfer tells whether a fault will come again whenever the same is asked.
func permanentTransfer(code int) bool {
	switch code {
	case 9000, 9003, 9005, 9006, 9007, 9008, 9013, 9014, fileCorrupted, fileNotAuthentic:
		return true
	}
	return false
}

// Transferred takes the report of a transfer by its CommandKey, before it is answered. booted tells that it came with a start of the device. A
// report that came before changes nothing; one of a transfer that no task asked for is kept for whoever looks for it; one with the CommandKey
// of another device is a SECURITY event and counts for nobody (i4.md A.8, B.7).
func (r *Room) Transferred(ctx context.Context, d *models.Device, report models.Transfer, booted bool) error {
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := devices.LockByID(tx, d.ID); err != nil {
			return err
		}
		id, err := models.ParseID(report.CommandKey)
		if report.Autonomous || err != nil {
			return keepReport(tx, d, report)
		}
		var found []models.Task
		if err := tx.Locked().Where("id = ? AND kind = ?", id, models.DownloadTask).Limit(1).Find(&found).Error; err != nil {
			return err
		}
		if len(found) == 0 {
			return keepReport(tx, d, report)
		}
		t := &found[0]
		if t.DeviceID != d.ID {
			return events.Append(tx, devices.EventOf(d, models.Security, "security.foreign_command_key", map[string]any{"task": t.ID}))
		}
		dl, err := loadDownload(tx, t.ID)
		if err != nil || !slices.Contains(openStates, t.State) || dl.ReportedAttempt >= t.Attempts {
			return err
		}
		dl.ReportedAttempt = t.Attempts
		if report.Fault == nil {
			return r.transferred(tx, d, t, dl, booted)
		}
		return r.failed(tx, d, t, dl, report.Fault)
	})
	if err != nil {
		return fmt.Errorf("take the transfer %q of device %s: %w", report.CommandKey, d.ID, err)
	}
	return nil
}

// failed queues a download again after a while, as often as its fault allows.
func (r *Room) failed(tx *store.Tx, d *models.Device, t *models.Task, dl *models.DeviceDownload, f *models.Fault) error {
	dl.Failures++
	if err := saveDownload(tx, dl); err != nil {
		return err
	}
	if dl.Failures > retries(f.Code) {
		return r.giveUp(tx, d, t, f)
	}
	again := tx.Now.Add(backOff[dl.Failures-1])
	columns := map[string]any{"fault": models.DocOf(bounded(f)), "next_at": again, "expires_at": max(t.ExpiresAt, again.Add(transferTime))}
	if t.State == models.TaskPending { // its acceptance was lost
		if err := tx.DB.Model(&models.Task{}).Where("id = ? AND state = ?", t.ID, t.State).Updates(columns).Error; err != nil {
			return err
		}
	} else if _, err := move(tx, d, t, models.TaskPending, columns); err != nil {
		return err
	}
	return devices.SetWork(tx, d.ID, again)
}

// giveUp ends a download by a fault, with an alarm where it is not the device's or its user's doing (i4.md A.9).
func (r *Room) giveUp(tx *store.Tx, d *models.Device, t *models.Task, f *models.Fault) error {
	ok, err := move(tx, d, t, models.TaskFailed, map[string]any{"fault": models.DocOf(bounded(f))})
	if err != nil || !ok {
		return err
	}
	fields := map[string]any{"task": t.ID, "package": t.Shown.V.PackageID, "fault": f.Code}
	switch f.Code {
	case fileServerRefused, fileCorrupted:
		return events.Append(tx, devices.EventOf(d, models.AlarmRaised, "alarm.raised", fields))
	case fileNotAuthentic:
		return events.Append(tx, devices.EventOf(d, models.Security, "security.package_rejected", fields))
	}
	return nil
}

// Appeared reads from an Inform what became of a download: M Download proves that it was accepted though the answer was lost, the version
// that it is done though no TransferComplete came, and starts without the version that it did not help (i4.md B.7). Call it when the device
// has started, brings M Download, or reports another version than before.
func (r *Room) Appeared(ctx context.Context, d *models.Device, in *models.Inform) error {
	var open []models.Task
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		open, err = openDownloads(tx.DB, d.ID, tx.Now)
		return err
	})
	if err == nil && len(open) > 0 {
		err = r.store.InTx(ctx, func(tx *store.Tx) error {
			open, err := openDownloads(tx.Locked(), d.ID, tx.Now)
			for i := range open {
				if err == nil && open[i].Attempts > 0 {
					err = r.appeared(tx, d, &open[i], in)
				}
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("look after the downloads of device %s: %w", d.ID, err)
	}
	return nil
}

func (r *Room) appeared(tx *store.Tx, d *models.Device, t *models.Task, in *models.Inform) error {
	dl, err := loadDownload(tx, t.ID)
	if err != nil {
		return err
	}
	announced := slices.ContainsFunc(in.Events, func(e models.InformEvent) bool {
		return e.Name == models.EventMDownload && e.CommandKey == t.ID.String()
	})
	reported := dl.ReportedAttempt >= t.Attempts
	switch {
	case announced && !reported && t.State != models.TaskAcknowledged:
		return r.accepted(tx, d, t, dl)
	case (announced || in.Has(models.EventTransferComplete)) && !reported:
		return nil // its TransferComplete follows in this session
	case runs(d, dl):
		return succeed(tx, d, t)
	case dl.TransferredAt.IsZero() || !in.Has(models.EventBoot) || in.RetryCount > 0: // a repeated Inform is no further start
		return nil
	}
	if dl.Boots++; dl.Boots < mismatches {
		return saveDownload(tx, dl)
	}
	if err := saveDownload(tx, dl); err != nil {
		return err
	}
	_, err = move(tx, d, t, models.TaskFailed, map[string]any{
		"result": models.DocOf(map[string]any{"state": versionMismatch, "softwareVersion": d.SoftwareVersion}),
		"fault":  models.DocOf(&models.Fault{Code: 8002, Message: "the transfer succeeded, and the device started twice without the version of the package"}),
	})
	return err
}

// keepReport keeps the newest reports of a device.
func keepReport(tx *store.Tx, d *models.Device, t models.Transfer) error {
	short := func(s string, n int) string {
		if runes := []rune(s); len(runes) > n {
			return string(runes[:n])
		}
		return s
	}
	report := models.TransferReport{
		ID: models.NewID(), DeviceID: d.ID, CommandKey: short(t.CommandKey, 64), Autonomous: t.Autonomous, FileType: short(t.FileType, 64), URL: short(t.URL, 1024),
		StartedAt: t.StartedAt, EndedAt: t.EndedAt, ReceivedAt: tx.Now,
	}
	if t.Fault != nil {
		report.FaultCode, report.FaultMessage = t.Fault.Code, bounded(t.Fault).Message
	}
	if err := gorm.G[models.TransferReport](tx.DB).Create(tx.Context(), &report); err != nil {
		return fmt.Errorf("keep a transfer: %w", err)
	}
	old, err := gorm.G[models.TransferReport](tx.DB).Where("device_id = ?", d.ID).Order("id DESC").Offset(maxReports).Limit(maxReports).Find(tx.Context())
	if err != nil || len(old) == 0 {
		return err
	}
	return tx.DB.Delete(&old).Error
}

// Reports returns the transfers of a device that no task asked for, the newest first.
func (r *Room) Reports(ctx context.Context, deviceID models.ID) (list []models.TransferReport, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = gorm.G[models.TransferReport](tx.DB).Where("device_id = ?", deviceID).Order("id DESC").Find(ctx)
		return err
	})
	return list, err
}
