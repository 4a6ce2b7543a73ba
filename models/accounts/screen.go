package accounts

import (
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// The order of a magic screen is the account itself: its client types have MAGIC_SCREEN, and it names a serial number, a broadband account or
// both (i4.md B.4, resolutions 10).

// Lock reads an account by its id and holds its row until the commit; nil if there is none. It asks nobody's permission: it is for the south.
func Lock(tx *store.Tx, id models.ID) (*models.Account, error) {
	return first(tx.Locked().Where("id = ?", id))
}

// LockScreenOrders finds the orders that name a serial number and holds their rows until the commit. closed is the newest terminated account
// that had named it; nil if there is none. It asks nobody's permission: it is for the south.
func LockScreenOrders(tx *store.Tx, serial string) (orders []models.Account, closed *models.Account, err error) {
	return screenOrders(tx.Locked(), serial)
}

func screenOrders(q *gorm.DB, serial string) (orders []models.Account, closed *models.Account, err error) {
	var rows []models.Account
	if err := q.Where("screen_serial = ?", serial).Order("state_changed_at DESC, id DESC").Find(&rows).Error; err != nil {
		return nil, nil, fmt.Errorf("read the orders of a screen: %w", err)
	}
	for i, a := range rows {
		switch {
		case orderedSerial(&a) != "":
			orders = append(orders, a)
		case a.State == models.AccountTerminated && a.Includes(models.MagicScreen) && closed == nil:
			closed = &rows[i]
		}
	}
	return orders, closed, nil
}

// LockLineOrders finds the orders of a line that name no serial number, because any screen on the line is meant, and that no screen has found
// yet. It holds their rows until the commit and asks nobody's permission: it is for the south.
func LockLineOrders(tx *store.Tx, line string) (open []models.Account, err error) {
	if line == "" {
		return nil, nil
	}
	var rows []models.Account
	if err := tx.Locked().Where("broadband_account = ? AND screen_serial = ''", line).Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the orders of a line: %w", err)
	}
	for _, a := range rows {
		if a.State == models.AccountTerminated || !a.Includes(models.MagicScreen) {
			continue
		}
		live, err := bindings.LiveOfAccount(tx, a.ID)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(live, func(b models.Binding) bool { return b.ClientType == models.MagicScreen }) {
			open = append(open, a)
		}
	}
	return open, nil
}

// orderedSerial is the serial number that an account orders a screen by; empty if it does not, or no more.
func orderedSerial(a *models.Account) string {
	if a.State == models.AccountTerminated || !a.Includes(models.MagicScreen) {
		return ""
	}
	return a.ScreenSerial
}

// swap brings a changed order to the screens: the one that the account had goes first, then the new one is allocated (i4.md B.4). An account
// that may not have a screen any more keeps the one it has, which is told so (resolutions 75).
func (r *Room) swap(tx *store.Tx, before, a *models.Account) error {
	was, is := orderedSerial(before), orderedSerial(a)
	if before.ScreenSerial != a.ScreenSerial {
		if err := r.replaceScreens(tx, before, a); err != nil {
			return err
		}
	}
	if was == is {
		return nil
	}
	if was != "" {
		others, _, err := screenOrders(tx.DB, was)
		if err != nil {
			return err
		}
		if len(others) == 0 {
			if err := devices.Withdraw(tx, was); err != nil {
				return err
			}
		}
	}
	if is != "" {
		return devices.Order(tx, is)
	}
	return nil
}

// replaceScreens ends the bindings of the screens that the order does not mean any more.
func (r *Room) replaceScreens(tx *store.Tx, before, a *models.Account) error {
	live, err := bindings.LiveOfAccount(tx, a.ID)
	if err != nil {
		return err
	}
	for i := range live {
		if live[i].ClientType != models.MagicScreen {
			continue
		}
		d, err := devices.LockByID(tx, live[i].DeviceID)
		if err != nil {
			return err
		}
		if a.ScreenSerial == d.SerialNumber || a.ScreenSerial == "" && before.ScreenSerial != d.SerialNumber {
			continue
		}
		if err := bindings.Release(tx, r.configuration, &live[i], bindings.Swapped); err != nil {
			return err
		}
	}
	return nil
}
