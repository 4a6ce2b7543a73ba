package statistics

import (
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// house is the room on one engine.
type house struct {
	*testing.T
	*Room
	store *store.Store
	clock *storetest.Clock
	count int
}

func each(t *testing.T, c Config, f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		f(&house{T: t, Room: New(s, clock, c), store: s, clock: clock})
	})
}

func (h *house) tx(f func(tx *store.Tx) error) {
	h.Helper()
	if err := h.store.InTx(h.Context(), f); err != nil {
		h.Fatal(err)
	}
}

func (h *house) account(region string) *models.Account {
	h.Helper()
	h.count++
	n := models.Number(fmt.Sprintf("8621%08d", h.count))
	a := &models.Account{ID: models.NewID(), Version: 1, ExternalID: "sub-" + string(n), State: models.AccountActive, Msisdn: n, LiveMsisdn: &n, Region: region}
	h.tx(func(tx *store.Tx) error { return gorm.G[models.Account](tx.DB).Create(tx.Context(), a) })
	return a
}

// device is an ONLINE one of the account.
func (h *house) device(a *models.Account) *models.Device {
	h.Helper()
	h.count++
	serial := fmt.Sprintf("%032x", h.count)
	d := &models.Device{
		ID: models.NewID(), Version: 1, Key: models.DeviceKeyOf("00005E", "IMSPC", serial), OUI: "00005E", ProductClass: "IMSPC", SerialNumber: serial,
		ClientType: models.PC, Reachability: models.Online, ReachabilityAt: h.clock.Now(), AccountID: a.ID, Region: a.Region,
	}
	h.tx(func(tx *store.Tx) error {
		b := &models.Binding{ID: models.NewID(), Version: 1, AccountID: a.ID, DeviceID: d.ID, LiveDeviceID: d.ID, ClientType: d.ClientType, BoundAt: tx.Now}
		if err := gorm.G[models.Binding](tx.DB).Create(tx.Context(), b); err != nil {
			return err
		}
		return gorm.G[models.Device](tx.DB).Create(tx.Context(), d)
	})
	return d
}

// inform is a report whose interval of 15 minutes ends now; values are added or, if empty, taken out.
func (h *house) inform(boot string, n int64, values map[string]string) *models.Inform {
	now := h.clock.Now()
	in := &models.Inform{Events: []models.InformEvent{{Name: models.EventStatistics}}, CurrentTime: now, Values: map[string]models.Value{}}
	all := map[string]string{
		bootID: boot, seq: fmt.Sprint(n), intervalStart: now.Add(-frequent).Std().Format(time.RFC3339), intervalEnd: now.Std().Format(time.RFC3339),
		"deviceInfo.softwareVersion": "2.0.3",
	}
	for name, value := range values {
		if all[name] = value; value == "" {
			delete(all, name)
		}
	}
	for name, value := range all {
		in.Values[name] = models.Value{Name: name, Value: value}
	}
	return in
}

// receive takes a report that is one.
func (h *house) receive(d *models.Device, in *models.Inform) {
	h.Helper()
	if wrong, err := h.Receive(h.Context(), d, in); wrong != "" || err != nil {
		h.Fatalf("wrong %q, %v", wrong, err)
	}
}

// rows are the reports of a device's BootId in the order of Seq.
func (h *house) rows(d *models.Device, boot string) (list []models.StatisticsReport) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		return tx.DB.Where("device_id = ? AND boot_id = ?", d.ID, boot).Order("seq").Find(&list).Error
	})
	return list
}

// events are the codes of the events so far.
func (h *house) events() (codes []string) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		var list []models.Event
		err := tx.DB.Order("n").Find(&list).Error
		for _, e := range list {
			code, _ := e.Payload.V["code"].(string)
			codes = append(codes, code)
			if e.AccountID.IsZero() || e.AccountExternalID == "" || e.Subject.Kind != models.KindDevice {
				h.Errorf("event %+v", e)
			}
		}
		return err
	})
	return codes
}
