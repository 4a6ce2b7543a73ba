package accounts

import (
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// ForMDN finds the account that a mobile number means among those that include mobile clients: the one whose own number it is, else the only
// one whose bound mobile it is (resolutions 9). A terminated account is found if no other is. Nil with several means that more than one
// account has it as bound mobile, nil alone that nobody does. It asks nobody's permission: it is for the south.
func ForMDN(tx *store.Tx, mdn models.Number) (a *models.Account, several bool, err error) {
	return forMDN(tx.DB, mdn)
}

// LockForMDN is ForMDN and holds the row until the commit.
func LockForMDN(tx *store.Tx, mdn models.Number) (a *models.Account, several bool, err error) {
	return forMDN(tx.Locked(), mdn)
}

func forMDN(q *gorm.DB, mdn models.Number) (a *models.Account, several bool, err error) {
	q = q.Session(&gorm.Session{}) // of which each statement takes a copy
	// Two statements, because each has its index and an OR has none.
	var own, bound []models.Account
	newest := "state_changed_at DESC, id DESC"
	if err := q.Where("msisdn = ?", mdn).Order(newest).Find(&own).Error; err != nil {
		return nil, false, fmt.Errorf("read the account of a mobile number: %w", err)
	}
	own = withMobile(own)
	if i := slices.IndexFunc(own, live); i >= 0 {
		return &own[i], false, nil
	}
	if err := q.Where("bound_mobile = ?", mdn).Order(newest).Find(&bound).Error; err != nil {
		return nil, false, fmt.Errorf("read the accounts of a bound mobile: %w", err)
	}
	bound = withMobile(bound)
	for _, terminated := range []bool{false, true} {
		if terminated && len(own) > 0 {
			return &own[0], false, nil
		}
		found := slices.DeleteFunc(slices.Clone(bound), func(a models.Account) bool { return live(a) == terminated })
		switch len(found) {
		case 0:
		case 1:
			return &found[0], false, nil
		default:
			return nil, true, nil
		}
	}
	return nil, false, nil
}

func withMobile(of []models.Account) []models.Account {
	return slices.DeleteFunc(of, func(a models.Account) bool { return !a.Includes(models.Mobile) })
}

func live(a models.Account) bool { return a.State != models.AccountTerminated }
