package accounts_test

import (
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/store"
)

// Which account a mobile number means (resolutions 9): among those with mobile clients its own, else the only one that it is bound to, the
// living before the dead.
func TestAccountOfAMobileNumber(t *testing.T) {
	const mdn = "8613800138000"
	type account struct {
		own, bound, pcOnly, closed bool
	}
	for name, c := range map[string]struct {
		accounts []account
		want     int // index, -1 for none
		several  bool
	}{
		"nobody":                        {nil, -1, false},
		"its own":                       {[]account{{own: true}}, 0, false},
		"bound to it":                   {[]account{{bound: true}}, 0, false},
		"its own before a bound one":    {[]account{{bound: true}, {own: true}, {bound: true}}, 1, false},
		"two bound ones":                {[]account{{bound: true}, {bound: true}}, -1, true},
		"only one with mobile clients":  {[]account{{bound: true, pcOnly: true}, {bound: true}}, 1, false},
		"its own has no mobile clients": {[]account{{own: true, pcOnly: true}}, -1, false},
		"its own is closed":             {[]account{{own: true, closed: true}}, 0, false},
		"a newer one has the number":    {[]account{{own: true, closed: true}, {own: true}}, 1, false},
		"a living one is bound":         {[]account{{own: true, closed: true}, {bound: true, closed: true}, {bound: true}}, 2, false},
		"the one bound one is closed":   {[]account{{bound: true, closed: true}}, 0, false},
		"closed before, bound to two":   {[]account{{own: true, closed: true}, {bound: true}, {bound: true}}, -1, true},
		"two closed ones of its own":    {[]account{{own: true, closed: true}, {own: true, closed: true}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(f *fixture) {
				var list []*models.Account
				for i, x := range c.accounts {
					in := input(string(rune('0' + i)))
					in.Msisdn, in.ClientTypes = models.Number("86216234567"+string(rune('0'+i))), []models.ClientType{models.PC, models.Mobile}
					if x.own {
						in.Msisdn = mdn
					}
					if x.bound {
						in.BoundMobile = mdn
					}
					if x.pcOnly {
						in.ClientTypes = in.ClientTypes[:1]
					}
					a := f.provision(in)
					list = append(list, a)
					f.clock.Advance(time.Minute)
					if x.closed {
						if _, err := f.room.Terminate(f.ctx, accounts.ActionInput{IdempotencyKey: "t" + in.ExternalID, Account: accounts.Ref{ID: a.ID}}); err != nil {
							f.Fatal(err)
						}
					}
				}
				f.inTx(func(tx *store.Tx) error {
					for name, find := range map[string]func(*store.Tx, models.Number) (*models.Account, bool, error){"read": accounts.ForMDN, "locked": accounts.LockForMDN} {
						a, several, err := find(tx, mdn)
						if err != nil {
							return err
						}
						if several != c.several || (a == nil) != (c.want < 0) || a != nil && a.ID != list[c.want].ID {
							f.Errorf("%s: %v, several %v", name, a, several)
						}
					}
					return nil
				})
			})
		})
	}
}
