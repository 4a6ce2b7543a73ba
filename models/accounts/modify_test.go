package accounts_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestModifyTellsAbsentFromNullFromValue(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.DisplayName, in.BoundMobile, in.IMSI, in.IMPI = "Zhang", "8613812340001", "460010123456789", "zhang@ims.example.net"
		a := f.provision(in)
		b := f.modify(accounts.ModifyInput{
			IdempotencyKey: "m", Account: accounts.Ref{ExternalID: "s-1"}, ExpectedVersion: 1,
			DisplayName: accounts.Null[string](), BoundMobile: accounts.Some[models.Number]("8613812340002"), IMPI: accounts.Null[string](),
			IMSI: accounts.Null[string](), SipPassword: accounts.Some[models.Secret]("another secret"),
			IMPU: accounts.Some([]string{"sip:zhang@ims.example.net"}), Region: accounts.Some("north"), MaxDevices: accounts.Some(2),
			Services: accounts.Some([]accounts.ServiceInput{{Code: "VIDEO", Enabled: true}}),
		})
		want(f.T, "version", b.Version, 2)
		want(f.T, "name", b.DisplayName, "")
		want(f.T, "mobile", b.BoundMobile, "8613812340002")
		want(f.T, "private identity", b.IMPI, "+862162345678@ims.example.net")
		want(f.T, "secret", f.secret(b), "another secret")
		want(f.T, "types", len(b.ClientTypes.V), 1)
		if b.IMSI != nil {
			f.Error("the IMSI is still there")
		}
		if got, err := f.room.ByRef(f.ctx, accounts.Ref{IMPU: "sip:zhang@ims.example.net"}); err != nil || got == nil || got.ID != a.ID {
			f.Errorf("the new identity names %v, %v", got, err)
		}
		if got, err := f.room.ByRef(f.ctx, accounts.Ref{IMPU: "tel:+862162345678"}); err != nil || got != nil {
			f.Errorf("the old identity names %v, %v", got, err)
		}
		list := f.events(models.AccountChanged)
		if len(list) != 1 || list[0].SubjectVersion != 2 || list[0].Region != "north" {
			f.Fatalf("events are %+v", list)
		}
		text, err := json.Marshal([]any{list[0].Payload, f.audits("modifyAccount")[0].Changes})
		if err != nil {
			f.Fatal(err)
		}
		for _, field := range []string{"impi", "impu", "displayName", "region", "boundMobile", "services", "maxDevices", "sipPassword", "imsi"} {
			if strings.Count(string(text), `"`+field+`"`) != 2 {
				f.Errorf("%s is not named by event and audit row: %s", field, text)
			}
		}
		for _, value := range []string{"Zhang", "zhang", "1381234", "secret\"", "46001"} {
			if strings.Contains(string(text), value) {
				f.Errorf("%q is in %s", value, text)
			}
		}
	})
}

func TestAChangeOfNothingMakesNoVersion(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		same := accounts.ModifyInput{
			IdempotencyKey: "m", Account: accounts.Ref{Msisdn: a.Msisdn}, MaxDevices: accounts.Some(4), DisplayName: accounts.Null[string](),
			SipPassword: accounts.Some[models.Secret]("example-sip-secret"), IMPI: accounts.Null[string](), IMPU: accounts.Null[[]string](),
			Services: accounts.Null[[]accounts.ServiceInput](), IMSI: accounts.Null[string](),
		}
		want(f.T, "version", f.modify(same).Version, 1)
		want(f.T, "events", len(f.events()), 1)
		want(f.T, "audit rows", len(f.audits("modifyAccount")), 0)
		result, err := f.room.Modify(f.ctx, same)
		if err != nil || !result.Replayed {
			f.Errorf("it was not recorded: %+v, %v", result, err)
		}
	})
}

func TestModifyRefuses(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		in := input("2")
		in.Msisdn = "862162345679"
		f.provision(in)
		for name, c := range map[string]struct {
			in    accounts.ModifyInput
			code  models.Code
			field string
		}{
			"an old version":    {accounts.ModifyInput{ExpectedVersion: 7}, models.VersionConflict, "expectedVersion"},
			"no types":          {accounts.ModifyInput{ClientTypes: accounts.Null[[]models.ClientType]()}, models.Required, "clientTypes"},
			"no devices":        {accounts.ModifyInput{MaxDevices: accounts.Null[int]()}, models.Invalid, "maxDevices"},
			"no secret":         {accounts.ModifyInput{SipPassword: accounts.Null[models.Secret]()}, models.SecretRequired, "sipPassword"},
			"a wrong IMSI":      {accounts.ModifyInput{IMSI: accounts.Some("x")}, models.Invalid, "imsi"},
			"a taken identity":  {accounts.ModifyInput{IMPU: accounts.Some([]string{"tel:+862162345679"})}, models.AlreadyExists, "impu"},
			"an unknown number": {accounts.ModifyInput{Account: accounts.Ref{Msisdn: "8613800000000"}}, models.NotFound, "account"},
		} {
			f.Run(name, func(t *testing.T) {
				c.in.IdempotencyKey = name
				if c.in.Account == (accounts.Ref{}) {
					c.in.Account = accounts.Ref{ID: a.ID}
				}
				_, err := f.room.Modify(f.ctx, c.in)
				e := refused(t, err, c.code, "input", c.field)
				if c.code == models.VersionConflict {
					want(t, "the current version", e.CurrentVersion, 1)
				}
			})
		}
		_, err := f.room.Modify(f.ctx, accounts.ModifyInput{IdempotencyKey: "none"})
		refused(f.T, err, models.NotFound, "input", "account")
		now, err := f.room.ByRef(f.ctx, accounts.Ref{ID: a.ID})
		if err != nil || now.Version != 1 || len(f.events()) != 2 {
			f.Errorf("a refusal left version %d, %v", now.Version, err)
		}
		f.inTx(func(tx *store.Tx) error {
			return tx.DB.Model(&models.Account{}).Where("id = ?", a.ID).Update("state", models.AccountTerminated).Error
		})
		_, err = f.room.Modify(f.ctx, accounts.ModifyInput{IdempotencyKey: "t", Account: accounts.Ref{ID: a.ID}})
		e := refused(f.T, err, models.StateConflict, "input", "account")
		want(f.T, "the state", e.CurrentState, "TERMINATED")
		want(f.T, "allowed actions", len(e.AllowedActions), 0)
	})
}

func TestChangesStayInTheActorsRegions(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Region = "north"
		a := f.provision(in)
		move := func(to string) accounts.ModifyInput {
			return accounts.ModifyInput{IdempotencyKey: "to-" + to, Account: accounts.Ref{ID: a.ID}, Region: accounts.Some(to)}
		}
		_, err := f.room.Modify(storetest.In(f.T, []string{"south"}, models.AccountWrite), move("south"))
		refused(f.T, err, models.NotFound, "input", "account")
		_, err = f.room.Activate(storetest.In(f.T, []string{"south"}, models.AccountWrite), accounts.ActionInput{IdempotencyKey: "a", Account: accounts.Ref{ID: a.ID}})
		refused(f.T, err, models.NotFound, "input", "account")
		north := storetest.In(f.T, []string{"north"}, models.AccountWrite)
		for _, region := range []string{"south", ""} {
			_, err = f.room.Modify(north, move(region))
			refused(f.T, err, models.PolicyDenied, "input", "region")
		}
		both := storetest.In(f.T, []string{"north", "south"}, models.AccountWrite)
		if _, err := f.room.Modify(both, move("south")); err != nil {
			f.Error(err)
		}
		_, err = f.room.Modify(storetest.As(f.T, models.AccountRead), move("south"))
		refused(f.T, err, models.Forbidden)
		// The replay of a move out of one's own regions tells nothing of the account.
		result, err := f.room.Modify(north, move("south"))
		if err != nil || !result.Replayed || result.Account != nil {
			f.Errorf("got %+v, %v", result, err)
		}
	})
}

func TestModifyReachesTheDevices(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.ClientTypes = []models.ClientType{models.PC, models.Mobile}
		a := f.provision(in)
		pc, mobile := f.bind(a, "a1", models.PC), f.bind(a, "a2", models.Mobile)
		versions := func(wantPC, wantMobile int64) {
			f.Helper()
			f.inTx(func(tx *store.Tx) error {
				want(f.T, "the PC's version", f.device(tx, pc).DesiredVersion, wantPC)
				want(f.T, "the mobile's version", f.device(tx, mobile).DesiredVersion, wantMobile)
				return nil
			})
		}
		versions(1, 1)
		ref := accounts.Ref{ID: a.ID}
		f.modify(accounts.ModifyInput{IdempotencyKey: "1", Account: ref, SipPassword: accounts.Some[models.Secret]("another secret")})
		versions(2, 2)
		f.modify(accounts.ModifyInput{IdempotencyKey: "2", Account: ref, ClientTypes: accounts.Some([]models.ClientType{models.PC})})
		versions(2, 3)
		f.modify(accounts.ModifyInput{IdempotencyKey: "3", Account: ref, DisplayName: accounts.Some("Zhang"), Region: accounts.Some("north")})
		versions(2, 3)
		f.inTx(func(tx *store.Tx) error {
			want(f.T, "the PC's region", f.device(tx, pc).Region, "north")
			delivery, err := f.configuration.Everything(tx, f.device(tx, mobile), "")
			if err != nil {
				return err
			}
			off := slices.ContainsFunc(delivery.Values, func(v models.Value) bool {
				return v.Name == configuration.LineEnable && v.Value == "Disabled"
			})
			want(f.T, "the line of a type outside the subscription is off", off, true)
			return nil
		})
		var order []models.EventType
		for _, e := range f.events(models.AccountChanged, models.ConfigurationChanged) {
			order = append(order, e.Type)
		}
		expected := []models.EventType{
			models.ConfigurationChanged, models.ConfigurationChanged, // the bindings
			models.AccountChanged, models.ConfigurationChanged, models.ConfigurationChanged,
			models.AccountChanged, models.ConfigurationChanged,
			models.AccountChanged,
		}
		if !slices.Equal(order, expected) {
			f.Errorf("events are %v", order)
		}
	})
}

func TestActivation(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Activate = false
		a := f.provision(in)
		activate := accounts.ActionInput{IdempotencyKey: "a", Account: accounts.Ref{IMPU: "tel:+862162345678"}, ExpectedVersion: 1, Note: "contract signed"}
		result, err := f.room.Activate(f.ctx, activate)
		if err != nil {
			f.Fatal(err)
		}
		want(f.T, "the state", result.Account.State, models.AccountActive)
		want(f.T, "the reason", result.Account.StateReason, "contract signed")
		want(f.T, "the version", result.Account.Version, 2)
		list := f.events(models.AccountStateChanged)
		if len(list) != 1 || list[0].Payload.V["previousState"] != "PENDING" || list[0].Payload.V["state"] != "ACTIVE" {
			f.Errorf("events are %+v", list)
		}
		result, err = f.room.Activate(f.ctx, activate)
		if err != nil || !result.Replayed || result.Account.ID != a.ID {
			f.Errorf("a replay: %+v, %v", result, err)
		}
		activate.IdempotencyKey, activate.ExpectedVersion = "b", 0
		_, err = f.room.Activate(f.ctx, activate)
		e := refused(f.T, err, models.StateConflict, "input", "account")
		want(f.T, "the current state", e.CurrentState, "ACTIVE")
		wantList(f.T, "allowed actions", e.AllowedActions, "endLogins", "modifyAccount", "resetAccountPassword", "sendNotice", "suspendAccount", "terminateAccount", "unlockAccount")
		activate.Note = strings.Repeat("x", 256)
		_, err = f.room.Activate(f.ctx, activate)
		refused(f.T, err, models.TooLong, "input", "note")
		_, err = f.room.Activate(storetest.As(f.T, models.AccountCare), activate)
		refused(f.T, err, models.Forbidden)
	})
}
