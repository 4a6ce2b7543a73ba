package devices_test

import (
	"slices"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// Every move in every state: what the table has, and nothing else.
func TestStock(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room := devices.New(s, clock, devices.Config{})
		result, err := room.Register(storetest.As(t), devices.RegisterInput{
			IdempotencyKey: "1", OUI: "00005E", ProductClass: "IMSScreen", SerialNumber: "MS1", ClientType: models.MagicScreen,
		})
		if err != nil {
			t.Fatal(err)
		}
		states := []models.StockState{models.Stock, models.Allocated, models.Active, models.Returned, models.Stolen}
		for move, m := range models.StockMoves {
			for _, from := range states {
				var now models.StockState
				err := s.InTx(t.Context(), func(tx *store.Tx) error {
					q := tx.DB.Model(&models.Device{}).Where("id = ?", result.DeviceID)
					if err := q.Updates(map[string]any{"stock_state": from, "waiting_at": tx.Now}).Error; err != nil {
						return err
					}
					if err := devices.MoveStock(tx, result.DeviceID, move); err != nil {
						return err
					}
					d, err := devices.LockByID(tx, result.DeviceID)
					if err != nil {
						return err
					}
					now = d.StockState
					return nil
				})
				want := from
				if slices.Contains(m.From, from) {
					want = m.To
				}
				if err != nil || now != want {
					t.Errorf("%s of a screen that is %s: %s, %v", move, from, now, err)
				}
			}
		}
	})
}

// An order means the screens of its serial number that nobody has, and no other kind of device.
func TestOrders(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room := devices.New(s, clock, devices.Config{})
		ids := map[models.ClientType]models.ID{}
		for _, kind := range []models.ClientType{models.MagicScreen, models.PC} {
			result, err := room.Register(storetest.As(t), devices.RegisterInput{
				IdempotencyKey: string(kind), OUI: "00005E", ProductClass: string(kind), SerialNumber: "MS1", ClientType: kind,
			})
			if err != nil {
				t.Fatal(err)
			}
			ids[kind] = result.DeviceID
		}
		step := func(act func(*store.Tx, string) error, serial string, want models.StockState) {
			t.Helper()
			err := s.InTx(t.Context(), func(tx *store.Tx) error {
				if err := act(tx, serial); err != nil {
					return err
				}
				for kind, id := range ids {
					d, err := devices.LockByID(tx, id)
					if err != nil {
						return err
					}
					if kind == models.MagicScreen && d.StockState != want || kind == models.PC && d.StockState != "" {
						t.Errorf("the %s is %q", kind, d.StockState)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		step(devices.Order, "MS2", models.Stock)
		step(devices.Order, "MS1", models.Allocated)
		step(devices.Withdraw, "MS1", models.Stock)
		step(devices.Order, "MS1", models.Allocated)
		step(func(tx *store.Tx, _ string) error {
			return devices.SetAccount(tx, ids[models.MagicScreen], &models.Account{ID: models.NewID()})
		}, "", models.Allocated)
		step(devices.Withdraw, "MS1", models.Allocated)
	})
}
