package bindings_test

import (
	"slices"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/store"
)

// replaces asks the policy and returns the devices that would lose their place.
func (h *house) replaces(p bindings.Policy, a *models.Account, device models.ID, t models.ClientType, otp bool) (ended []models.ID, refused bool) {
	h.Helper()
	h.tx(func(tx *store.Tx) error {
		found, no, err := p.Replaces(tx, a, device, t, otp)
		refused, ended = no, nil
		for _, b := range found {
			ended = append(ended, b.DeviceID)
		}
		return err
	})
	return ended, refused
}

func TestTheDevicePolicyDecidesWhoGives(t *testing.T) {
	each(t, func(h *house) {
		a := h.account("862160000001", "sh")
		pc, phone := h.device("pc", models.PC), h.device("phone", models.Mobile)
		h.bind(pc, a, models.ByOneTimePassword)
		h.bind(phone, a, models.ByOneTimePassword)
		for name, c := range map[string]struct {
			conflict   bindings.Conflict
			max, total int
			device     models.ID
			kind       models.ClientType
			otp        bool
			ended      []models.ID
			refused    bool
		}{
			"another type":                        {bindings.Reject, 1, 4, models.ID{}, models.MagicScreen, false, nil, false},
			"the same device":                     {bindings.Reject, 1, 1, pc.ID, models.PC, false, nil, false},
			"a new PC by one-time password":       {bindings.ReplaceOnOTP, 1, 4, models.ID{}, models.PC, true, []models.ID{pc.ID}, false},
			"a new PC by password":                {bindings.ReplaceOnOTP, 1, 4, models.ID{}, models.PC, false, nil, true},
			"a known PC by one-time password":     {bindings.ReplaceOnOTP, 1, 4, models.ID{9}, models.PC, true, []models.ID{pc.ID}, false},
			"replace":                             {bindings.Replace, 1, 4, models.ID{}, models.PC, false, []models.ID{pc.ID}, false},
			"reject":                              {bindings.Reject, 1, 4, models.ID{}, models.PC, true, nil, true},
			"a second place":                      {bindings.Reject, 2, 4, models.ID{}, models.PC, false, nil, false},
			"no limit of the type":                {bindings.Reject, 0, 4, models.ID{}, models.PC, false, nil, false},
			"total full":                          {bindings.Replace, 2, 2, models.ID{}, models.PC, true, nil, true},
			"total full, another type":            {bindings.Replace, 1, 2, models.ID{}, models.MagicScreen, true, nil, true},
			"total full, but the old one gives":   {bindings.ReplaceOnOTP, 1, 2, models.ID{}, models.PC, true, []models.ID{pc.ID}, false},
			"total below what is bound already":   {bindings.ReplaceOnOTP, 1, 1, models.ID{}, models.PC, true, nil, true},
			"no limit in total":                   {bindings.Reject, 0, 0, models.ID{}, models.PC, false, nil, false},
			"a generic device has no type limits": {bindings.Reject, 1, 4, models.ID{}, models.Generic, false, nil, false},
		} {
			a.MaxDevices = c.total
			p := bindings.Policy{Conflict: c.conflict, Max: map[models.ClientType]int{models.PC: c.max, models.Mobile: c.max, models.MagicScreen: c.max}}
			ended, refused := h.replaces(p, a, c.device, c.kind, c.otp)
			if !slices.Equal(ended, c.ended) || refused != c.refused {
				h.Errorf("%s: ends %v, refused %v; want %v, %v", name, ended, refused, c.ended, c.refused)
			}
		}
	})
}

func TestWhoInformedLeastRecentlyGives(t *testing.T) {
	each(t, func(h *house) {
		a := h.account("862160000001", "sh")
		var devices []*models.Device
		for _, serial := range []string{"1", "2", "3"} {
			d := h.device(serial, models.PC)
			h.bind(d, a, models.ByOneTimePassword)
			h.clock.Advance(time.Second)
			devices = append(devices, d)
		}
		p := bindings.Policy{Conflict: bindings.ReplaceOnOTP, Max: map[models.ClientType]int{models.PC: 3}}
		h.seen(devices[0], 3000)
		h.seen(devices[2], 2000)
		if ended, _ := h.replaces(p, a, models.ID{}, models.PC, true); !slices.Equal(ended, []models.ID{devices[1].ID}) {
			h.Errorf("never informed: ends %v", ended)
		}
		h.seen(devices[1], 4000)
		if ended, _ := h.replaces(p, a, models.ID{}, models.PC, true); !slices.Equal(ended, []models.ID{devices[2].ID}) {
			h.Errorf("all informed: ends %v", ended)
		}
		p.Max[models.PC] = 2
		if ended, _ := h.replaces(p, a, models.ID{}, models.PC, true); !slices.Equal(ended, []models.ID{devices[2].ID, devices[0].ID}) {
			h.Errorf("a lowered limit: ends %v", ended)
		}
	})
}
