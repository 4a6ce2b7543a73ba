package bindings

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Conflict is what happens when an account has as many devices of a type as it may (`i4.device.conflict`).
type Conflict string

// The policies of i4.md B.2.
const (
	ReplaceOnOTP Conflict = "replace-on-otp" // only a one-time password, so only the owner of the mobile, may take over
	Replace      Conflict = "replace"
	Reject       Conflict = "reject"
)

// Policy says how many devices an account may have and what happens beyond. A type without a number, or 0, is not limited.
type Policy struct {
	Conflict Conflict
	Max      map[models.ClientType]int
}

// DefaultPolicy is that of i4.md B.2.
func DefaultPolicy() Policy {
	return Policy{Conflict: ReplaceOnOTP, Max: map[models.ClientType]int{models.PC: 1, models.Mobile: 1, models.MagicScreen: 1}}
}

// Replaces returns the bindings that a proof for the device would end, the one that informed least recently first; refused means Status 16.
// The zero device is one that has no row yet. Account.MaxDevices counts all types and never ends a binding of another type (resolutions 25, 75).
func (p Policy) Replaces(tx *store.Tx, a *models.Account, device models.ID, t models.ClientType, otp bool) (ended []models.Binding, refused bool, err error) {
	live, err := LiveOfAccount(tx, a.ID)
	if err != nil {
		return nil, false, err
	}
	var same []models.Binding
	for _, b := range live {
		if b.DeviceID == device {
			return nil, false, nil // its place is its own already
		}
		if b.ClientType == t {
			same = append(same, b)
		}
	}
	if limit := p.Max[t]; limit > 0 && len(same) >= limit {
		if p.Conflict == Reject || p.Conflict == ReplaceOnOTP && !otp {
			return nil, true, nil
		}
		if ended, err = leastRecent(tx, same, len(same)-limit+1); err != nil {
			return nil, false, err
		}
	}
	if a.MaxDevices > 0 && len(live)-len(ended) >= a.MaxDevices {
		return nil, true, nil
	}
	return ended, false, nil
}

// leastRecent returns the n bindings whose devices informed least recently; never comes before anything.
func leastRecent(tx *store.Tx, of []models.Binding, n int) ([]models.Binding, error) {
	ids := make([]models.ID, len(of))
	for i, b := range of {
		ids[i] = b.DeviceID
	}
	var seen []models.DevicePresence
	if err := tx.DB.Where("device_id IN ?", ids).Find(&seen).Error; err != nil {
		return nil, fmt.Errorf("read when devices informed: %w", err)
	}
	at := make(map[models.ID]models.Time, len(seen))
	for _, p := range seen {
		at[p.DeviceID] = p.LastInformAt
	}
	slices.SortStableFunc(of, func(a, b models.Binding) int { return cmp.Compare(at[a.DeviceID], at[b.DeviceID]) })
	return of[:n], nil
}
