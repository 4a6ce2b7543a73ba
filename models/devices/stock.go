package devices

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// MoveStock moves the magic screen along the state table; what is no move of its state, and what is no magic screen, changes nothing. A screen
// that is confirmed, taken or put back waits no longer.
func MoveStock(tx *store.Tx, deviceID models.ID, m models.StockMove) error {
	return moveStock(tx, tx.DB.Where("id = ?", deviceID), m)
}

// Order tells the screens of that serial number that an account names it, Withdraw that it does so no more: what is bound stays as it is.
func Order(tx *store.Tx, serial string) error { return moveUnbound(tx, serial, models.OrderScreen) }

// Withdraw undoes Order.
func Withdraw(tx *store.Tx, serial string) error {
	return moveUnbound(tx, serial, models.WithdrawScreen)
}

func moveUnbound(tx *store.Tx, serial string, m models.StockMove) error {
	return moveStock(tx, tx.DB.Where("serial_number = ? AND account_id IS NULL", serial), m)
}

func moveStock(tx *store.Tx, of *gorm.DB, m models.StockMove) error {
	columns := map[string]any{"stock_state": models.StockMoves[m].To, "updated_at": tx.Now}
	switch m {
	case models.OrderScreen, models.WithdrawScreen, models.BindScreen: // it waits until it has everything
	default:
		columns["waiting_at"] = models.Time(0)
	}
	err := of.Model(&models.Device{}).Where("client_type = ? AND stock_state IN ?", models.MagicScreen, models.StockMoves[m].From).Updates(columns).Error
	if err != nil {
		return fmt.Errorf("move the stock of a screen (%s): %w", m, err)
	}
	return nil
}

// SetWaiting remembers since when the screen waits for what it needs, if it did not wait yet; false for waiting ends it.
func SetWaiting(tx *store.Tx, d *models.Device, waiting bool) error {
	var since models.Time
	if waiting {
		since = tx.Now
	}
	if d.WaitingAt.IsZero() == since.IsZero() {
		return nil
	}
	if err := update(tx, d.ID, map[string]any{"waiting_at": since}); err != nil {
		return fmt.Errorf("have screen %s wait: %w", d.ID, err)
	}
	tx.AfterCommit(func() { d.WaitingAt = since }) // not now: the transaction may run again
	return nil
}

// SetWithheld tells whether the SIP secret is kept from the screen.
func SetWithheld(tx *store.Tx, d *models.Device, withheld bool) error {
	if d.SecretWithheld == withheld {
		return nil
	}
	if err := update(tx, d.ID, map[string]any{"secret_withheld": withheld}); err != nil {
		return fmt.Errorf("withhold the secret of screen %s: %w", d.ID, err)
	}
	d.SecretWithheld = withheld
	return nil
}

// Screen reads what is remembered of a screen; known is false, and only DeviceID set, if it has never asked for its order. Its device's row must
// be locked.
func Screen(tx *store.Tx, deviceID models.ID) (s models.Screen, known bool, err error) {
	rows, err := gorm.G[models.Screen](tx.DB).Where("device_id = ?", deviceID).Limit(1).Find(tx.Context())
	if err != nil {
		return s, false, fmt.Errorf("read screen %s: %w", deviceID, err)
	}
	if len(rows) == 0 {
		return models.Screen{DeviceID: deviceID}, false, nil
	}
	return rows[0], true, nil
}

// SaveScreen remembers s.
func SaveScreen(tx *store.Tx, s *models.Screen) error {
	s.Issuer = clip(s.Issuer, 255)
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(s).Error; err != nil {
		return fmt.Errorf("remember screen %s: %w", s.DeviceID, err)
	}
	return nil
}
