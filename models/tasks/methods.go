package tasks

import (
	"fmt"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const methodNotSupported = 9000 // TR-069 A.5.1

// methods are the RPCs of the kinds of task.
var methods = map[models.TaskKind]models.Method{
	models.GetValues: models.GetParameterValues, models.SetValues: models.SetParameterValues, models.GetNames: models.GetParameterNames,
	models.Reboot: models.RebootDevice, models.DownloadTask: models.DownloadFile,
}

// Learn remembers that the device's firmware does not know a method, until its software version changes (i4.md A.9).
func Learn(tx *store.Tx, d *models.Device, method models.Method) error {
	u := models.UnsupportedMethod{ProductClass: d.ProductClass, SoftwareVersion: d.SoftwareVersion, Method: method, LearnedAt: tx.Now}
	if err := tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&u).Error; err != nil {
		return fmt.Errorf("remember an unsupported method: %w", err)
	}
	return nil
}

// Lacks tells whether the device's firmware is known not to know a method.
func Lacks(tx *store.Tx, d *models.Device, method models.Method) (bool, error) {
	var n int64
	err := tx.DB.Model(&models.UnsupportedMethod{}).
		Where("product_class = ? AND software_version = ? AND method = ?", d.ProductClass, d.SoftwareVersion, method).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("read the unsupported methods of %s %s: %w", d.ProductClass, d.SoftwareVersion, err)
	}
	return n > 0, nil
}
