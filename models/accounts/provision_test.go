package accounts_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestProvisionDerivesWhatIsLeftOut(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		want(f.T, "the state", a.State, models.AccountActive)
		want(f.T, "the version", a.Version, 1)
		want(f.T, "the private identity", a.IMPI, "+862162345678@ims.example.net")
		wantList(f.T, "the public identities", a.IMPU.V, "sip:+862162345678@ims.example.net", "tel:+862162345678")
		want(f.T, "the source of the secret", a.SipSecretSource, models.SecretFromBSS)
		want(f.T, "the secret", f.secret(a), "example-sip-secret")

		list := f.events()
		if len(list) != 1 || list[0].Type != models.AccountCreated || list[0].Subject.ID != a.ID || list[0].AccountExternalID != "s-1" {
			f.Fatalf("events are %+v", list)
		}
		payload := list[0].Payload.V
		want[any](f.T, "the code", payload["code"], "account.created")
		want[any](f.T, "the source in the event", payload["sipSecretSource"], "BSS")

		rows := f.audits("provisionAccount")
		if len(rows) != 1 || rows[0].Subject.ID != a.ID {
			f.Fatalf("audit rows are %+v", rows)
		}
		text, err := json.Marshal(rows[0].Changes)
		if err != nil || strings.Contains(string(text), "62345678") || strings.Contains(string(text), "example-sip-secret") {
			f.Errorf("the audit row tells too much: %s, %v", text, err)
		}
	})
}

func TestProvisionKeepsEveryField(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.DisplayName, in.Region, in.IMPI, in.IMPU = "张三 (Zhang)", "shanghai", "zhang@ims.example.net", []string{"sip:zhang@ims.example.net"}
		in.BoundMobile, in.IMSI, in.BroadbandAccount, in.ScreenSerial = "8613812340001", "460010123456789", "ad123", "MS-1"
		in.ClientTypes = []models.ClientType{models.PC, models.Mobile, models.MagicScreen}
		in.Services = []accounts.ServiceInput{{Code: "VIDEO", Enabled: true, Parameters: map[string]any{"MaxBitrate": json.Number("512")}}}
		in.MaxDevices, in.Activate = 7, false
		a, err := f.room.ByRef(f.ctx, accounts.Ref{ID: f.provision(in).ID})
		if err != nil {
			f.Fatal(err)
		}
		subscriber, err := f.room.IMSI(f.ctx, a)
		if err != nil {
			f.Fatal(err)
		}
		masked, err := f.room.IMSI(storetest.As(f.T, models.AccountRead), a)
		if err != nil {
			f.Fatal(err)
		}
		want(f.T, "IMSI", subscriber, in.IMSI)
		want(f.T, "masked IMSI", masked, "460****")
		want(f.T, "state", a.State, models.AccountPending)
		want(f.T, "name", a.DisplayName, in.DisplayName)
		want(f.T, "region", a.Region, in.Region)
		want(f.T, "private identity", a.IMPI, in.IMPI)
		wantList(f.T, "public identities", a.IMPU.V, in.IMPU...)
		want(f.T, "mobile", a.BoundMobile, in.BoundMobile)
		want(f.T, "line", a.BroadbandAccount, in.BroadbandAccount)
		want(f.T, "screen", a.ScreenSerial, in.ScreenSerial)
		want(f.T, "types", len(a.ClientTypes.V), 3)
		want(f.T, "service parameter", a.Services.V[0].Parameters["MaxBitrate"], "512")
		want(f.T, "devices", a.MaxDevices, 7)
	})
}

func TestProvisionRefusesBadFields(t *testing.T) {
	each(t, func(f *fixture) {
		long := func(n int) string { return strings.Repeat("x", n) }
		for name, c := range map[string]struct {
			change func(in *accounts.ProvisionInput)
			code   models.Code
			field  []string
		}{
			"no key":              {func(in *accounts.ProvisionInput) { in.IdempotencyKey = "" }, models.Required, []string{"idempotencyKey"}},
			"long key":            {func(in *accounts.ProvisionInput) { in.IdempotencyKey = long(129) }, models.TooLong, []string{"idempotencyKey"}},
			"no external id":      {func(in *accounts.ProvisionInput) { in.ExternalID = "" }, models.Required, []string{"externalId"}},
			"long external id":    {func(in *accounts.ProvisionInput) { in.ExternalID = long(129) }, models.TooLong, []string{"externalId"}},
			"spaced external id":  {func(in *accounts.ProvisionInput) { in.ExternalID = "s-1 " }, models.Invalid, []string{"externalId"}},
			"no number":           {func(in *accounts.ProvisionInput) { in.Msisdn = "" }, models.Required, []string{"msisdn"}},
			"short number":        {func(in *accounts.ProvisionInput) { in.Msisdn = "1234567" }, models.Invalid, []string{"msisdn"}},
			"NUL":                 {func(in *accounts.ProvisionInput) { in.DisplayName = "a\x00b" }, models.Invalid, []string{"displayName"}},
			"wrong UTF-8":         {func(in *accounts.ProvisionInput) { in.DisplayName = "a\xffb" }, models.Invalid, []string{"displayName"}},
			"turned text":         {func(in *accounts.ProvisionInput) { in.DisplayName = "a\u202eb" }, models.Invalid, []string{"displayName"}},
			"long name":           {func(in *accounts.ProvisionInput) { in.DisplayName = long(256) }, models.TooLong, []string{"displayName"}},
			"long region":         {func(in *accounts.ProvisionInput) { in.Region = long(65) }, models.TooLong, []string{"region"}},
			"identity":            {func(in *accounts.ProvisionInput) { in.IMPI = "zhang" }, models.Invalid, []string{"impi"}},
			"long identity":       {func(in *accounts.ProvisionInput) { in.IMPI = long(128) + "@x" }, models.TooLong, []string{"impi"}},
			"no public identity":  {func(in *accounts.ProvisionInput) { in.IMPU = []string{} }, models.Invalid, []string{"impu"}},
			"public identity":     {func(in *accounts.ProvisionInput) { in.IMPU = []string{"sip:a@b", "mailto:a@b"} }, models.Invalid, []string{"impu", "1"}},
			"identity twice":      {func(in *accounts.ProvisionInput) { in.IMPU = []string{"sip:a@b", "sip:a@b"} }, models.Invalid, []string{"impu", "1"}},
			"tel":                 {func(in *accounts.ProvisionInput) { in.IMPU = []string{"tel:021"} }, models.Invalid, []string{"impu", "0"}},
			"no secret":           {func(in *accounts.ProvisionInput) { in.SipPassword = "" }, models.SecretRequired, []string{"sipPassword"}},
			"long secret":         {func(in *accounts.ProvisionInput) { in.SipPassword = models.Secret(long(129)) }, models.TooLong, []string{"sipPassword"}},
			"mobile":              {func(in *accounts.ProvisionInput) { in.BoundMobile = "0138" }, models.Invalid, []string{"boundMobile"}},
			"IMSI":                {func(in *accounts.ProvisionInput) { in.IMSI = "12345" }, models.Invalid, []string{"imsi"}},
			"long line":           {func(in *accounts.ProvisionInput) { in.BroadbandAccount = long(65) }, models.TooLong, []string{"broadbandAccount"}},
			"long screen":         {func(in *accounts.ProvisionInput) { in.ScreenSerial = long(65) }, models.TooLong, []string{"screenSerial"}},
			"no type":             {func(in *accounts.ProvisionInput) { in.ClientTypes = nil }, models.Required, []string{"clientTypes"}},
			"generic":             {func(in *accounts.ProvisionInput) { in.ClientTypes = []models.ClientType{models.Generic} }, models.Invalid, []string{"clientTypes", "0"}},
			"type twice":          {func(in *accounts.ProvisionInput) { in.ClientTypes = []models.ClientType{models.PC, models.PC} }, models.Invalid, []string{"clientTypes", "1"}},
			"no devices":          {func(in *accounts.ProvisionInput) { in.MaxDevices = 0 }, models.Invalid, []string{"maxDevices"}},
			"many devices":        {func(in *accounts.ProvisionInput) { in.MaxDevices = 101 }, models.Invalid, []string{"maxDevices"}},
			"short password":      {func(in *accounts.ProvisionInput) { in.InitialPassword = "short" }, models.Invalid, []string{"initialPassword"}},
			"service":             {func(in *accounts.ProvisionInput) { in.Services = []accounts.ServiceInput{{Code: "FAX"}} }, models.Invalid, []string{"services", "0", "code"}},
			"leaf":                {parameter("Colour", "red"), models.Invalid, []string{"services", "0", "parameters", "Colour"}},
			"leaf of wrong type":  {parameter("MaxBitrate", "fast"), models.Invalid, []string{"services", "0", "parameters", "MaxBitrate"}},
			"leaf with an object": {parameter("MaxBitrate", map[string]any{}), models.Invalid, []string{"services", "0", "parameters", "MaxBitrate"}},
		} {
			f.Run(name, func(t *testing.T) {
				in := input("1")
				c.change(&in)
				_, err := f.room.Provision(f.ctx, in)
				refused(t, err, c.code, append([]string{"input"}, c.field...)...)
			})
		}
		want(f.T, "events of refusals", len(f.events()), 0)
		f.provision(input("1")) // and none of them was recorded
	})
}

func parameter(leaf string, value any) func(in *accounts.ProvisionInput) {
	return func(in *accounts.ProvisionInput) {
		in.Services = []accounts.ServiceInput{{Code: "VIDEO", Parameters: map[string]any{leaf: value}}}
	}
}

func TestWhatAnotherAccountHasIsTaken(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		other := func(change func(in *accounts.ProvisionInput)) accounts.ProvisionInput {
			in := input("2")
			in.Msisdn = "862162345679"
			change(&in)
			return in
		}
		for field, in := range map[string]accounts.ProvisionInput{
			"externalId": other(func(in *accounts.ProvisionInput) { in.ExternalID = "s-1" }),
			"msisdn":     other(func(in *accounts.ProvisionInput) { in.Msisdn = a.Msisdn; in.IMPU = []string{"sip:x@y"} }),
			"impu":       other(func(in *accounts.ProvisionInput) { in.IMPU = []string{"sip:x@y", "tel:+862162345678"} }),
		} {
			_, err := f.room.Provision(f.ctx, in)
			e := refused(f.T, err, models.AlreadyExists, "input", field)
			want(f.T, "the existing account", e.Existing.ID, a.ID)
			want(f.T, "its external id", e.ExistingExternalID, "s-1")
			in.Region = "south"
			_, err = f.room.Provision(storetest.In(f.T, []string{"south"}, models.AccountWrite), in)
			if e := refused(f.T, err, models.AlreadyExists, "input", field); !e.Existing.ID.IsZero() || e.ExistingExternalID != "" {
				f.Errorf("%s: another region is told of %+v", field, e)
			}
		}
		f.provision(other(func(*accounts.ProvisionInput) {})) // nothing of the refusals stays, their key neither
	})
}

func TestAnEqualAccountIsAcceptedIfAskedFor(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		again := func(key string, change func(in *accounts.ProvisionInput)) (accounts.Result, error) {
			in := input("1")
			in.IdempotencyKey, in.AcceptIfSame = key, true
			change(&in)
			return f.room.Provision(f.ctx, in)
		}
		result, err := again("2", func(*accounts.ProvisionInput) {})
		if err != nil || result.Account.ID != a.ID || result.Replayed {
			f.Errorf("got %+v, %v", result, err)
		}
		for what, change := range map[string]func(in *accounts.ProvisionInput){
			"secret":  func(in *accounts.ProvisionInput) { in.SipPassword = "other" },
			"name":    func(in *accounts.ProvisionInput) { in.DisplayName = "other" },
			"types":   func(in *accounts.ProvisionInput) { in.ClientTypes = []models.ClientType{models.Mobile} },
			"service": func(in *accounts.ProvisionInput) { in.Services = []accounts.ServiceInput{{Code: "VIDEO"}} },
			"state":   func(in *accounts.ProvisionInput) { in.Activate = false },
			"number":  func(in *accounts.ProvisionInput) { in.Msisdn = "862162345679" },
		} {
			_, err := again(what, change)
			refused(f.T, err, models.AlreadyExists, "input", "externalId")
		}
		want(f.T, "events", len(f.events()), 1)
	})
}

func TestARepeatedKeyIsAReplay(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		f.modify(accounts.ModifyInput{IdempotencyKey: "m", Account: accounts.Ref{ID: a.ID}, MaxDevices: accounts.Some(5)})
		result, err := f.room.Provision(f.ctx, input("1"))
		if err != nil || !result.Replayed || result.Account.ID != a.ID || result.Account.MaxDevices != 5 {
			f.Errorf("got %+v, %v", result, err)
		}
		for _, change := range map[string]func(in *accounts.ProvisionInput){
			"a field":        func(in *accounts.ProvisionInput) { in.MaxDevices = 9 },
			"a secret":       func(in *accounts.ProvisionInput) { in.SipPassword = "other" },
			"first password": func(in *accounts.ProvisionInput) { in.InitialPassword = "correct horse" },
		} {
			in := input("1")
			change(&in)
			_, err := f.room.Provision(f.ctx, in)
			refused(f.T, err, models.IdempotencyKeyReused, "input", "idempotencyKey")
		}
	})
}

func TestParallelDuplicatesHaveOneEffect(t *testing.T) {
	each(t, func(f *fixture) {
		const posts = 50
		var (
			group   sync.WaitGroup
			results [posts]accounts.Result
			errs    [posts]error
		)
		for i := range posts {
			group.Go(func() {
				in := input("1")
				in.InitialPassword = "correct horse"
				results[i], errs[i] = f.room.Provision(f.ctx, in)
			})
		}
		group.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			f.Fatal(err)
		}
		firsts := 0
		for _, r := range results {
			if !r.Replayed {
				firsts++
			}
			want(f.T, "the account", r.Account.ID, results[0].Account.ID)
		}
		want(f.T, "first answers", firsts, 1)
		want(f.T, "events", len(f.events()), 1)
		total, err := f.room.Count(f.ctx, accounts.Filter{})
		if err != nil || *total != 1 {
			f.Errorf("there are %v accounts, %v", total, err)
		}
	})
}

func TestParallelProvisioningOfOneNumberHasOneWinner(t *testing.T) {
	each(t, func(f *fixture) {
		const posts = 20
		var group sync.WaitGroup
		var errs [posts]error
		for i := range posts {
			group.Go(func() {
				in := input(string(rune('a' + i)))
				_, errs[i] = f.room.Provision(f.ctx, in)
			})
		}
		group.Wait()
		winners := 0
		for _, err := range errs {
			if err == nil {
				winners++
				continue
			}
			refused(f.T, err, models.AlreadyExists, "input", "msisdn")
		}
		want(f.T, "winners", winners, 1)
	})
}

func TestAFirstPasswordIsStoredAsAVerifier(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.InitialPassword = "correct horse"
		a := f.provision(in)
		states, err := f.passwords.States(f.ctx, []models.ID{a.ID})
		if err != nil {
			f.Fatal(err)
		}
		want(f.T, "the password state", states[a.ID].Password, models.PasswordSet)
	})
}

func TestSecretsAreMadeAsThePolicySays(t *testing.T) {
	without := func(key string) accounts.ProvisionInput {
		in := input(key)
		in.SipPassword = ""
		return in
	}
	t.Run("generate", func(t *testing.T) {
		eachWith(t, accounts.Config{Secret: accounts.GenerateSecret}, func(f *fixture) {
			a := f.provision(without("1"))
			want(f.T, "source", a.SipSecretSource, models.SecretGenerated)
			secret := f.secret(a)
			if len(secret) != 24 || strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
				f.Errorf("the secret is %q", secret)
			}
			want[any](f.T, "the event's source", f.events()[0].Payload.V["sipSecretSource"], "GENERATED")
			if again, err := f.room.Provision(f.ctx, without("1")); err != nil || !again.Replayed || f.secret(again.Account) != secret {
				f.Errorf("a replay has another secret, %v", err)
			}
		})
	})
	t.Run("adapter", func(t *testing.T) {
		eachWith(t, accounts.Config{Secret: accounts.AskDirectory}, func(f *fixture) {
			core := &directory{secret: "from the core"}
			f.room = accounts.New(f.store, f.passwords, f.configuration, accounts.Config{
				Domain: "ims.example.net", Secret: accounts.AskDirectory, Directory: core,
			})
			a := f.provision(without("1"))
			want(f.T, "source", a.SipSecretSource, models.SecretFromAdapter)
			want(f.T, "secret", f.secret(a), "from the core")
			f.provision(without("1"))
			want(f.T, "questions with a replay", core.asked, 1)

			// A PENDING account is asked for when it is activated; a core that cannot be asked stops the activation whole.
			later := without("2")
			later.Msisdn, later.Activate = "862162345679", false
			b := f.provision(later)
			want(f.T, "source", b.SipSecretSource, models.SecretNone)
			core.err = errors.New("no answer")
			activate := accounts.ActionInput{IdempotencyKey: "a", Account: accounts.Ref{ID: b.ID}}
			_, err := f.room.Activate(f.ctx, activate)
			if e := refused(f.T, err, models.DependencyFailed, "input", "sipPassword"); !e.Retryable() {
				f.Error("it cannot be tried again")
			}
			core.err = nil
			result, err := f.room.Activate(f.ctx, activate)
			if err != nil {
				f.Fatal(err)
			}
			want(f.T, "source", result.Account.SipSecretSource, models.SecretFromAdapter)
			want(f.T, "secret", f.secret(b), "from the core")

			core.secret = ""
			none := without("3")
			none.Msisdn = "862162345680"
			want(f.T, "source without a secret", f.provision(none).SipSecretSource, models.SecretNone)
		})
	})
}

func TestProvisioningStaysInTheActorsRegions(t *testing.T) {
	each(t, func(f *fixture) {
		ctx := storetest.In(f.T, []string{"north"}, models.AccountWrite)
		in := input("1")
		for _, region := range []string{"", "south"} {
			in.Region = region
			_, err := f.room.Provision(ctx, in)
			refused(f.T, err, models.PolicyDenied, "input", "region")
		}
		in.Region = "north"
		if _, err := f.room.Provision(ctx, in); err != nil {
			f.Error(err)
		}
		_, err := f.room.Provision(storetest.As(f.T, models.AccountRead), in)
		refused(f.T, err, models.Forbidden)
	})
}

func TestANumberMeansItsLiveAccount(t *testing.T) {
	each(t, func(f *fixture) {
		old := f.provision(input("1"))
		f.inTx(func(tx *store.Tx) error { // as terminating does, which is none of this room's mutations yet
			return errors.Join(
				tx.DB.Model(&models.Account{}).Where("id = ?", old.ID).Updates(map[string]any{"state": models.AccountTerminated, "live_msisdn": nil}).Error,
				tx.DB.Where("account_id = ?", old.ID).Delete(&models.AccountIMPU{}).Error)
		})
		f.inTx(func(tx *store.Tx) error {
			a, err := accounts.ForNumber(tx, old.Msisdn)
			want(f.T, "the last account of the number", a.ID, old.ID)
			return err
		})
		live := f.provision(input("2"))
		f.inTx(func(tx *store.Tx) error {
			a, err := accounts.LockForNumber(tx, live.Msisdn)
			want(f.T, "the account of the number", a.ID, live.ID)
			if none, err := accounts.ForNumber(tx, "8613800000000"); none != nil || err != nil {
				f.Errorf("an unknown number means %v, %v", none, err)
			}
			return err
		})
	})
}
