package accounts_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// five provisions s-0 … s-4, a minute apart, in the regions north and south in turn, the numbers falling.
func (f *fixture) five() (list []*models.Account) {
	f.Helper()
	for i := range 5 {
		in := input(strconv.Itoa(i))
		in.Msisdn = models.Number("86216234567" + strconv.Itoa(9-i))
		in.Region = []string{"north", "south"}[i%2]
		in.DisplayName = "Name_" + strconv.Itoa(i) + "%"
		in.Activate = i < 4
		list = append(list, f.provision(in))
		f.clock.Advance(time.Minute)
	}
	return list
}

func ids(list []models.Account) (names []string) {
	for _, a := range list {
		names = append(names, a.ExternalID)
	}
	return names
}

func TestAnAccountIsFoundByEachOfItsNames(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.five()[1]
		for _, ref := range []accounts.Ref{{ID: a.ID}, {ExternalID: "s-1"}, {Msisdn: a.Msisdn}, {IMPU: a.IMPU.V[1]}} {
			got, err := f.room.ByRef(f.ctx, ref)
			if err != nil || got == nil || got.ID != a.ID {
				f.Errorf("%+v names %v, %v", ref, got, err)
			}
			got, err = f.room.ByRef(storetest.In(f.T, []string{"north"}, models.AccountRead), ref)
			if err != nil || got != nil {
				f.Errorf("another region finds %v, %v", got, err)
			}
		}
		if got, err := f.room.ByRef(f.ctx, accounts.Ref{}); err != nil || got != nil {
			f.Errorf("nothing names %v, %v", got, err)
		}
		_, err := f.room.ByRef(storetest.As(f.T, models.DeviceRead), accounts.Ref{ID: a.ID})
		refused(f.T, err, models.Forbidden)
	})
}

func TestListsAreFilteredSortedAndPaged(t *testing.T) {
	each(t, func(f *fixture) {
		start := f.clock.Now()
		f.five()
		for name, c := range map[string]struct {
			filter     accounts.Filter
			sort       accounts.Sort
			descending bool
			want       []string
		}{
			"all":             {accounts.Filter{}, accounts.ByCreation, false, []string{"s-0", "s-1", "s-2", "s-3", "s-4"}},
			"newest first":    {accounts.Filter{}, accounts.ByChange, true, []string{"s-4", "s-3", "s-2", "s-1", "s-0"}},
			"by number":       {accounts.Filter{}, accounts.ByMsisdn, false, []string{"s-4", "s-3", "s-2", "s-1", "s-0"}},
			"state":           {accounts.Filter{States: []models.AccountState{models.AccountPending}}, accounts.ByCreation, false, []string{"s-4"}},
			"region":          {accounts.Filter{Region: "south"}, accounts.ByCreation, false, []string{"s-1", "s-3"}},
			"number":          {accounts.Filter{MsisdnPrefix: "+862162345678"}, accounts.ByCreation, false, []string{"s-1"}},
			"text in a name":  {accounts.Filter{Text: "NAME_2%"}, accounts.ByCreation, false, []string{"s-2"}},
			"text is literal": {accounts.Filter{Text: "name%2"}, accounts.ByCreation, false, nil},
			"text is number":  {accounts.Filter{Text: "+862162345675"}, accounts.ByCreation, false, []string{"s-4"}},
			"text is id":      {accounts.Filter{Text: "S-3"}, accounts.ByCreation, false, []string{"s-3"}},
			"updated": {accounts.Filter{UpdatedFrom: start.Add(time.Minute), UpdatedTo: start.Add(3 * time.Minute)}, accounts.ByCreation, false,
				[]string{"s-1", "s-2"}},
		} {
			f.Run(name, func(t *testing.T) {
				list, err := f.room.List(f.ctx, c.filter, c.sort, c.descending, store.Page{First: 10})
				if err != nil {
					t.Fatal(err)
				}
				wantList(t, "accounts", ids(list.Items), c.want...)
				total, err := f.room.Count(f.ctx, c.filter)
				if err != nil || *total != int64(len(c.want)) {
					t.Errorf("the total is %v, %v", total, err)
				}
			})
		}
		page, err := f.room.List(f.ctx, accounts.Filter{}, accounts.ByMsisdn, false, store.Page{First: 2})
		if err != nil || !page.HasNext {
			f.Fatalf("%+v, %v", page, err)
		}
		rest, err := f.room.List(f.ctx, accounts.Filter{}, accounts.ByMsisdn, false, store.Page{First: 10, After: page.Cursors[1]})
		if err != nil {
			f.Fatal(err)
		}
		wantList(f.T, "the rest", ids(rest.Items), "s-2", "s-1", "s-0")
		_, err = f.room.List(f.ctx, accounts.Filter{}, accounts.ByCreation, false, store.Page{First: 2, After: page.Cursors[1]})
		refused(f.T, err, models.BadUserInput, "after")
		_, err = f.room.List(f.ctx, accounts.Filter{MsisdnPrefix: "86%"}, accounts.ByCreation, false, store.Page{First: 2})
		refused(f.T, err, models.BadUserInput, "filter", "msisdnPrefix")
		_, err = f.room.List(f.ctx, accounts.Filter{}, "NAME", false, store.Page{First: 2})
		refused(f.T, err, models.BadUserInput, "sort")
	})
}

func TestListsStayInScope(t *testing.T) {
	each(t, func(f *fixture) {
		list := f.five()
		south := storetest.In(f.T, []string{"south"}, models.AccountRead)
		page, err := f.room.List(south, accounts.Filter{}, accounts.ByCreation, false, store.Page{First: 10})
		if err != nil {
			f.Fatal(err)
		}
		wantList(f.T, "accounts", ids(page.Items), "s-1", "s-3")
		total, err := f.room.Count(south, accounts.Filter{})
		if err != nil || *total != 2 {
			f.Errorf("the total is %v, %v", total, err)
		}
		found, err := f.room.ByIDs(south, []models.ID{list[0].ID, list[1].ID, models.NewID()})
		if err != nil || len(found) != 1 || found[list[1].ID] == nil {
			f.Errorf("by ids: %v, %v", found, err)
		}
		for _, read := range []func() error{
			func() error { _, err := f.room.ByIDs(storetest.As(f.T, models.DeviceRead), nil); return err },
			func() error {
				_, err := f.room.Count(storetest.As(f.T, models.DeviceRead), accounts.Filter{})
				return err
			},
		} {
			refused(f.T, read(), models.Forbidden)
		}
	})
}

func TestEachLookAtASecretIsAudited(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.five()[1]
		want(f.T, "the secret", f.secret(a), "example-sip-secret")
		rows := f.audits("readSipPassword")
		if len(rows) != 1 || rows[0].Outcome != models.AuditDisclosed || rows[0].Subject.ID != a.ID {
			f.Errorf("audit rows are %+v", rows)
		}
		secret, err := f.room.SipSecret(storetest.In(f.T, []string{"north"}, models.SecretRead), a.ID)
		if err != nil || !secret.IsZero() {
			f.Errorf("another region reads it, %v", err)
		}
		_, err = f.room.SipSecret(storetest.As(f.T, models.AccountRead), a.ID)
		refused(f.T, err, models.Forbidden)
		want(f.T, "audit rows", len(f.audits("readSipPassword")), 1)
	})
}
