package tasks

import (
	"fmt"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const methodNotSupported = 9000 // TR-069 A.5.1

// methods is the RPC that each kind asks for.
var methods = map[models.TaskKind]models.Method{
	models.GetValues: models.GetParameterValues, models.SetValues: models.SetParameterValues, models.GetNames: models.GetParameterNames,
	models.GetAttributes: models.GetAttributesOf, models.SetAttributes: models.SetAttributesOf, models.AddObject: models.AddObjectTo,
	models.DeleteObject: models.DeleteObjectOf, models.Reboot: models.RebootDevice, models.FactoryReset: models.FactoryResetDevice,
	models.GetRPCMethods: models.ListMethods, models.ScheduleInform: models.ScheduleInformOf, models.DownloadTask: models.DownloadFile,
}

// optional are the methods that a client may do without. What D.1 demands of every client is asked for all the same: one device that lies must
// not keep others of its firmware from being read, configured and upgraded.
var optional = []models.Method{
	models.GetAttributesOf, models.SetAttributesOf, models.AddObjectTo, models.DeleteObjectOf, models.RebootDevice, models.FactoryResetDevice,
	models.ScheduleInformOf,
}

// Learn remembers that the device's firmware does not know an optional method, until its software version changes (i4.md A.9: 9000).
func Learn(tx *store.Tx, d *models.Device, method models.Method) error {
	if d.SoftwareVersion == "" || !slices.Contains(optional, method) {
		return nil
	}
	u := models.UnsupportedMethod{ProductClass: d.ProductClass, SoftwareVersion: d.SoftwareVersion, Method: method, LearnedAt: tx.Now}
	if err := tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&u).Error; err != nil {
		return fmt.Errorf("remember an unsupported method: %w", err)
	}
	return nil
}

// Lacks tells whether the device's firmware is known not to know a method.
func Lacks(tx *store.Tx, d *models.Device, method models.Method) (bool, error) {
	if !slices.Contains(optional, method) {
		return false, nil
	}
	var n int64
	err := tx.DB.Model(&models.UnsupportedMethod{}).
		Where("product_class = ? AND software_version = ? AND method = ?", d.ProductClass, d.SoftwareVersion, method).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("read the unsupported methods of %s %s: %w", d.ProductClass, d.SoftwareVersion, err)
	}
	return n > 0, nil
}

// endUnsupported fails a task at once whose method the device's firmware has been found not to have since it was queued.
func endUnsupported(tx *store.Tx, d *models.Device, t *models.Task) (ended bool, err error) {
	lacks, err := Lacks(tx, d, methods[t.Kind])
	if err != nil || !lacks {
		return false, err
	}
	why := fmt.Sprintf("devices with software version %s have answered that they do not know the method %s", d.SoftwareVersion, methods[t.Kind])
	return move(tx, d, t, models.TaskFailed, map[string]any{"fault": models.DocOf(&models.Fault{Code: methodNotSupported, Message: why})})
}
