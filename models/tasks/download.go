package tasks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/store"
)

// The states of i4.md B.7 that a task has no state of its own for; they stand in its result.
const (
	timedOut        = "TIMEOUT"
	versionMismatch = "VERSION_MISMATCH"
)

const (
	// transferTime is how long a transfer, or the start of what it brought, may take beyond its delay; userTime where the user decides.
	transferTime = 24 * time.Hour
	userTime     = 7 * 24 * time.Hour
	// mismatches is how many starts without the version end a task.
	mismatches = 2
)

// backOff is how long a failed transfer waits, by its number (i4.md B.7).
var backOff = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}

// admitDownload checks a new download: a package that is READY and fits, and no other one of the device.
func (r *Room) admitDownload(tx *store.Tx, d *models.Device, packageID models.ID) error {
	field := []string{"input", "packageId"}
	p, err := packages.Load(tx, packageID)
	if models.CodeOf(err) == models.NotFound {
		return models.E(models.NotFound, "there is no such package", field...)
	}
	if err != nil {
		return err
	}
	if p.State != models.PackageReady {
		e := models.E(models.StateConflict, "the package is not ready", field...)
		e.CurrentState = string(p.State)
		return e
	}
	if why := packages.Fits(p, d, false); why != "" {
		return models.E(models.PolicyDenied, why, field...)
	}
	open, err := openDownloads(tx.DB, d.ID, tx.Now)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		e := models.E(models.StateConflict, "the device has a download already", "input", "kind")
		e.CurrentState = string(open[0].State)
		return e
	}
	return nil
}

func openDownloads(q *gorm.DB, deviceID models.ID, now models.Time) (list []models.Task, err error) {
	err = q.Where("device_id = ? AND kind = ? AND state IN ? AND expires_at > ?", deviceID, models.DownloadTask, openStates, now).Order("id").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("read the downloads of device %s: %w", deviceID, err)
	}
	return list, nil
}

// Offer queues the download of a package that the platform itself chose, unless the device has one already. It reports whether it did.
func (r *Room) Offer(ctx context.Context, d *models.Device, p *models.Package, mode models.UpgradeMode) (queued bool, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		queued = false
		held, err := devices.LockByID(tx, d.ID)
		if err != nil {
			return err
		}
		if open, err := openDownloads(tx.DB, d.ID, tx.Now); err != nil || len(open) > 0 {
			return err
		}
		queued = true
		return r.insert(tx, held, models.NewID(), models.DownloadTask, models.TaskRequest{PackageID: p.ID, Mode: mode}, transferTime)
	})
	if err != nil {
		return false, fmt.Errorf("offer package %s to device %s: %w", p.ID, d.ID, err)
	}
	return queued, nil
}

func (r *Room) insertDownload(tx *store.Tx, t *models.Task, request models.TaskRequest) error {
	p, err := packages.Load(tx, request.PackageID)
	if err != nil {
		return err
	}
	dl := models.DeviceDownload{TaskID: t.ID, DeviceID: t.DeviceID, PackageID: p.ID, CreatedAt: tx.Now}
	if p.FileType == models.FirmwareImage {
		dl.TargetVersion = p.SoftwareVersion
	}
	if err := gorm.G[models.DeviceDownload](tx.DB).Create(tx.Context(), &dl); err != nil {
		return fmt.Errorf("insert a download: %w", err)
	}
	return nil
}

func loadDownload(tx *store.Tx, id models.ID) (*models.DeviceDownload, error) {
	dl, err := gorm.G[models.DeviceDownload](tx.DB).Where("task_id = ?", id).Take(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read download %s: %w", id, err)
	}
	return &dl, nil
}

func saveDownload(tx *store.Tx, dl *models.DeviceDownload) error {
	err := tx.DB.Model(&models.DeviceDownload{}).Where("task_id = ?", dl.TaskID).Updates(map[string]any{
		"notified": dl.Notified, "delay_seconds": dl.DelaySeconds, "transferred_at": dl.TransferredAt, "boots": dl.Boots, "failures": dl.Failures,
		"reported_attempt": dl.ReportedAttempt,
	}).Error
	if err != nil {
		return fmt.Errorf("save download %s: %w", dl.TaskID, err)
	}
	return nil
}

// runs tells whether the device runs what the download is to bring.
func runs(d *models.Device, dl *models.DeviceDownload) bool {
	return dl.TargetVersion != "" && models.SameVersion(d.SoftwareVersion, dl.TargetVersion)
}

// endPointless ends a waiting download whose version the device runs by now, or whose package is not for it any more.
func (r *Room) endPointless(tx *store.Tx, d *models.Device, t *models.Task) (ended bool, err error) {
	dl, err := loadDownload(tx, t.ID)
	if err != nil {
		return false, err
	}
	if runs(d, dl) {
		return true, succeed(tx, d, t)
	}
	p, err := packages.Load(tx, dl.PackageID)
	if err != nil {
		return false, err
	}
	why := packages.Fits(p, d, false)
	if p.State != models.PackageReady {
		why = "the package is " + string(p.State)
	}
	if why == "" {
		return false, nil
	}
	_, err = move(tx, d, t, models.TaskFailed, map[string]any{"fault": models.DocOf(&models.Fault{Code: 8002, Message: why})})
	return true, err
}

func succeed(tx *store.Tx, d *models.Device, t *models.Task) error {
	_, err := move(tx, d, t, models.TaskSucceeded, map[string]any{
		"result": models.DocOf(map[string]any{"softwareVersion": d.SoftwareVersion}), "fault": models.Doc[*models.Fault]{},
	})
	return err
}

// downloadSteps are the requests of a download; its link is signed anew for every try.
func (r *Room) downloadSteps(tx *store.Tx, d *models.Device, t *models.Task, a models.TaskRequest) error {
	p, err := packages.Load(tx, a.PackageID)
	if err != nil {
		return err
	}
	dl, err := loadDownload(tx, t.ID)
	if err != nil {
		return err
	}
	dl.DelaySeconds = a.DelaySeconds
	if n := int(r.config.Spread.Seconds()); n > 0 {
		dl.DelaySeconds += rand.IntN(n + 1)
	}
	dl.Notified = r.config.Packages.NotifyOnly(d.ClientType, p)
	t.Steps = r.config.Packages.Requests(p, packages.Offer{
		Device: d.Key, ClientType: d.ClientType, CommandKey: t.ID.String(), Mode: a.Mode, DelaySeconds: dl.DelaySeconds,
	}, tx.Now)
	return saveDownload(tx, dl)
}

// downloadAnswered takes the answer to one step of a download.
func (r *Room) downloadAnswered(tx *store.Tx, d *models.Device, t *models.Task, reply models.Reply) error {
	asked := t.Steps[0]
	if reply.Fault != nil && asked.Method == models.SetParameterValues {
		if retry, ok := packages.Without(t.Steps, reply.Fault); ok {
			t.Steps = retry
			return nil
		}
	}
	left := slices.Clone(t.Steps[1:])
	t.Steps = nil
	switch {
	case reply.Fault != nil && asked.Method == models.DownloadFile && permanentTransfer(reply.Fault.Code):
		return r.giveUp(tx, d, t, reply.Fault)
	case reply.Fault != nil && asked.Method == models.DownloadFile && t.Attempts < tries:
		if _, err := move(tx, d, t, models.TaskPending, map[string]any{"fault": models.DocOf(bounded(reply.Fault)), "next_at": tx.Now}); err != nil {
			return err
		}
		return devices.SetWork(tx, d.ID, tx.Now)
	case reply.Fault != nil && asked.Method == models.DownloadFile:
		return r.giveUp(tx, d, t, reply.Fault)
	case reply.Fault != nil:
		return refused(tx, d, t, reply.Fault)
	case len(left) > 0:
		t.Steps = left
		return nil
	}
	dl, err := loadDownload(tx, t.ID)
	if err != nil {
		return err
	}
	if asked.Method == models.DownloadFile && reply.Status == 0 { // done and applied, so no TransferComplete is owed (TR-069 A.3.2.8)
		dl.ReportedAttempt = t.Attempts
		return r.transferred(tx, d, t, dl, false)
	}
	return r.accepted(tx, d, t, dl)
}

// patience is how long the platform waits for a device that has accepted, or has the file.
func patience(t *models.Task, dl *models.DeviceDownload) time.Duration {
	if dl.Notified || t.Shown.V.Mode == models.UpgradeOptional {
		return userTime
	}
	return transferTime
}

// accepted acknowledges a download: from now on its own time counts.
func (r *Room) accepted(tx *store.Tx, d *models.Device, t *models.Task, dl *models.DeviceDownload) error {
	if err := saveDownload(tx, dl); err != nil {
		return err
	}
	until := tx.Now.Add(time.Duration(dl.DelaySeconds)*time.Second + patience(t, dl))
	if t.State == models.TaskAcknowledged {
		return tx.DB.Model(&models.Task{}).Where("id = ? AND state = ?", t.ID, t.State).Update("expires_at", until).Error
	}
	_, err := move(tx, d, t, models.TaskAcknowledged, map[string]any{"expires_at": until, "fault": models.Doc[*models.Fault]{}})
	return err
}

// transferred takes note that the device has the file: that is all for a file without version, and the version has to be reported for any
// other (i4.md B.7).
func (r *Room) transferred(tx *store.Tx, d *models.Device, t *models.Task, dl *models.DeviceDownload, booted bool) error {
	if dl.TargetVersion == "" || runs(d, dl) {
		if err := saveDownload(tx, dl); err != nil {
			return err
		}
		return succeed(tx, d, t)
	}
	dl.TransferredAt, dl.Boots, dl.DelaySeconds = tx.Now, 0, 0
	if booted {
		dl.Boots = 1
	}
	return r.accepted(tx, d, t, dl)
}
