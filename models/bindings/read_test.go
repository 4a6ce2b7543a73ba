package bindings_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestBindingsAreListedByAccountAndDevice(t *testing.T) {
	each(t, func(h *house) {
		here, away := h.account("862160000001", "sh"), h.account("862160000002", "bj")
		var of []*models.Binding
		var devices []models.ID
		for i := range 3 {
			d := h.device(fmt.Sprint(i), models.PC)
			b, _ := h.bind(d, here, models.ByOneTimePassword)
			of, devices = append(of, b), append(devices, d.ID)
			h.clock.Advance(time.Second)
		}
		stray := h.device("stray", models.PC)
		elsewhere, _ := h.bind(stray, away, models.ByPassword)
		h.tx(func(tx *store.Tx) error { return bindings.Remove(tx, of[0], bindings.Replaced) })

		all := storetest.As(h.T)
		ids := func(s store.Slice[models.Binding]) (ids []models.ID) {
			for _, b := range s.Items {
				ids = append(ids, b.ID)
			}
			return ids
		}
		want := func(what string, got []models.ID, want ...*models.Binding) {
			h.Helper()
			wanted := []models.ID{}
			for _, b := range want {
				wanted = append(wanted, b.ID)
			}
			if fmt.Sprint(got) != fmt.Sprint(wanted) {
				h.Errorf("%s: %v, want %v", what, got, wanted)
			}
		}
		byAccount, err := h.ForAccounts(all, []models.ID{here.ID, away.ID, models.NewID()}, "", 2)
		if err != nil || len(byAccount) != 2 {
			h.Fatalf("%v, %v", byAccount, err)
		}
		want("first of here", ids(byAccount[here.ID]), of[0], of[1])
		want("first of away", ids(byAccount[away.ID]), elsewhere)
		if !byAccount[here.ID].HasNext || byAccount[away.ID].HasNext {
			h.Error("hasNext is wrong")
		}
		// The cursor of a first page goes on in the list of its parent, and only there.
		rest, err := h.ByAccount(all, here.ID, "", store.Page{First: 2, After: byAccount[here.ID].Cursors[1]})
		if err != nil || rest.HasNext {
			h.Errorf("%+v, %v", rest, err)
		}
		want("rest of here", ids(rest), of[2])
		if _, err := h.ByAccount(all, away.ID, "", store.Page{First: 2, After: byAccount[here.ID].Cursors[1]}); models.CodeOf(err) != models.BadUserInput {
			h.Errorf("a foreign cursor: %v", err)
		}
		pending, err := h.ForAccounts(all, []models.ID{here.ID}, models.BindingPending, 5)
		if err != nil {
			h.Fatal(err)
		}
		want("pending of here", ids(pending[here.ID]), of[1], of[2])
		byDevice, err := h.ForDevices(all, append(devices, stray.ID), models.BindingRemoved, 5)
		if err != nil || len(byDevice) != 1 {
			h.Fatalf("%v, %v", byDevice, err)
		}
		want("removed of the first device", ids(byDevice[devices[0]]), of[0])
		page, err := h.ByDevice(all, stray.ID, models.BindingPending, store.Page{First: 5})
		if err != nil {
			h.Fatal(err)
		}
		want("of the stray", ids(page), elsewhere)
		h.tx(func(tx *store.Tx) error {
			live, err := bindings.LiveOfAccount(tx, here.ID)
			want("live of here", ids(store.Slice[models.Binding]{Items: live}), of[1], of[2])
			return err
		})

		bj := storetest.In(h.T, []string{"bj"}, models.DeviceRead)
		byAccount, err = h.ForAccounts(bj, []models.ID{here.ID, away.ID}, "", 5)
		found, err2 := h.ByIDs(bj, []models.ID{of[1].ID, elsewhere.ID})
		page, err3 := h.ByAccount(bj, here.ID, "", store.Page{First: 5})
		if err != nil || err2 != nil || err3 != nil || len(byAccount) != 1 || len(found) != 1 || found[elsewhere.ID] == nil || len(page.Items) != 0 {
			h.Errorf("another region sees %v, %v, %v (%v %v %v)", byAccount, found, page.Items, err, err2, err3)
		}

		nobody := storetest.As(h.T, models.AccountRead)
		_, err = h.ForDevices(nobody, devices, "", 5)
		_, err2 = h.ByIDs(nobody, devices)
		_, err3 = h.ByDevice(nobody, stray.ID, "", store.Page{First: 5})
		for _, err := range []error{err, err2, err3} {
			if models.CodeOf(err) != models.Forbidden {
				h.Errorf("without permission: %v", err)
			}
		}
		if _, err := h.ForDevices(all, devices, "", 0); models.CodeOf(err) != models.BadUserInput {
			h.Errorf("first 0: %v", err)
		}
	})
}
