package bindings_test

import (
	"fmt"
	"slices"
	"testing"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// house is the room on one engine.
type house struct {
	*testing.T
	*bindings.Room
	store *store.Store
	clock *storetest.Clock
}

func each(t *testing.T, f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f(&house{T: t, Room: bindings.New(s, nil), store: s, clock: clock})
	})
}

func (h *house) tx(f func(tx *store.Tx) error) {
	h.Helper()
	if err := h.store.InTx(h.Context(), f); err != nil {
		h.Fatal(err)
	}
}

func (h *house) account(n models.Number, region string) *models.Account {
	h.Helper()
	a := &models.Account{
		ID: models.NewID(), Version: 1, ExternalID: "sub-" + string(n), State: models.AccountActive, Msisdn: n, LiveMsisdn: &n, Region: region, MaxDevices: 4,
	}
	h.tx(func(tx *store.Tx) error { return gorm.G[models.Account](tx.DB).Create(tx.Context(), a) })
	return a
}

func (h *house) device(serial string, t models.ClientType) *models.Device {
	h.Helper()
	d := &models.Device{
		ID: models.NewID(), Version: 1, Key: models.DeviceKeyOf("00005E", "IMSPC", serial), OUI: "00005E", ProductClass: "IMSPC", SerialNumber: serial, ClientType: t,
		Reachability: models.NeverSeen,
	}
	h.tx(func(tx *store.Tx) error { return gorm.G[models.Device](tx.DB).Create(tx.Context(), d) })
	return d
}

// seen says when the device informed last.
func (h *house) seen(d *models.Device, at models.Time) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		return gorm.G[models.DevicePresence](tx.DB).Create(tx.Context(), &models.DevicePresence{DeviceID: d.ID, LastInformAt: at})
	})
}

func (h *house) bind(d *models.Device, a *models.Account, method models.BindingMethod) (b *models.Binding, created bool) {
	h.Helper()
	h.tx(func(tx *store.Tx) (err error) {
		b, created, err = bindings.Bind(tx, d, a, method, models.ByDevice(d.ID, string(d.Key)))
		return err
	})
	return b, created
}

func (h *house) confirm(d *models.Device) (b *models.Binding) {
	h.Helper()
	h.tx(func(tx *store.Tx) (err error) {
		b, err = bindings.Confirm(tx, d.ID)
		return err
	})
	return b
}

func (h *house) get(id models.ID) *models.Binding {
	h.Helper()
	found, err := h.ByIDs(storetest.As(h.T), []models.ID{id})
	if err != nil || found[id] == nil {
		h.Fatalf("read binding %s: %v, %v", id, found, err)
	}
	return found[id]
}

func (h *house) reload(d *models.Device) (now models.Device) {
	h.Helper()
	h.tx(func(tx *store.Tx) (err error) {
		now, err = gorm.G[models.Device](tx.DB).Where("id = ?", d.ID).Take(tx.Context())
		return err
	})
	return now
}

// history is what the log says: code and state of each event, in order.
func (h *house) history() (seen []string) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		rows, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.BindingChanged).Order("n").Find(tx.Context())
		for _, e := range rows {
			seen = append(seen, fmt.Sprint(e.Payload.V["code"], " ", e.Payload.V["state"]))
		}
		return err
	})
	return seen
}

func (h *house) wantHistory(want ...string) {
	h.Helper()
	if got := h.history(); !slices.Equal(got, want) {
		h.Errorf("events %q, want %q", got, want)
	}
}
