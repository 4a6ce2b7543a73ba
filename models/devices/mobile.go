package devices

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Identify remembers which subscriber a mobile client was identified as, and by which SIM card; an empty imsi is one that the client did not
// tell, an empty mdn one that nobody vouched for (i4.md B.3).
func Identify(tx *store.Tx, deviceID models.ID, mdn models.Number, imsi string, method models.BindingMethod) error {
	row := models.MobileIdentity{DeviceID: deviceID, MDN: mdn, Method: method, IdentifiedAt: tx.Now}
	if imsi != "" {
		var err error
		if row.IMSI, err = tx.Seal("mobile_identities", "imsi", deviceID, []byte(imsi)); err != nil {
			return err
		}
	}
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("remember the identity of mobile client %s: %w", deviceID, err)
	}
	return nil
}

// SIM returns the IMSI by which the device was identified; empty if it told none, known is false if it was never identified.
func SIM(tx *store.Tx, deviceID models.ID) (imsi string, known bool, err error) {
	rows, err := gorm.G[models.MobileIdentity](tx.DB).Where("device_id = ?", deviceID).Limit(1).Find(tx.Context())
	if err != nil {
		return "", false, fmt.Errorf("read the identity of mobile client %s: %w", deviceID, err)
	}
	if len(rows) == 0 {
		return "", false, nil
	}
	if len(rows[0].IMSI) == 0 {
		return "", true, nil
	}
	plain, err := tx.Unseal("mobile_identities", "imsi", deviceID, rows[0].IMSI)
	return string(plain), true, err
}

// SetSIM remembers the IMSI of a device that was identified without one.
func SetSIM(tx *store.Tx, deviceID models.ID, imsi string) error {
	sealed, err := tx.Seal("mobile_identities", "imsi", deviceID, []byte(imsi))
	if err != nil {
		return err
	}
	if err := tx.DB.Model(&models.MobileIdentity{}).Where("device_id = ?", deviceID).Update("imsi", sealed).Error; err != nil {
		return fmt.Errorf("remember the SIM card of mobile client %s: %w", deviceID, err)
	}
	return nil
}

// SetLegacyAuth flags a device whose last REGISTER sent its password in clear (i4.md C.2.5).
func SetLegacyAuth(tx *store.Tx, d *models.Device, legacy bool) error {
	if d.LegacyAuth == legacy {
		return nil
	}
	if err := update(tx, d.ID, map[string]any{"legacy_auth": legacy}); err != nil {
		return fmt.Errorf("flag the authentication of device %s: %w", d.ID, err)
	}
	d.LegacyAuth = legacy
	return nil
}
