package devices

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func input(serial string) RegisterInput {
	return RegisterInput{IdempotencyKey: "key " + serial, OUI: "00aabb", ProductClass: "IMSPC", SerialNumber: serial, ClientType: models.PC}
}

func mustRegister(t *testing.T, r *Room, in RegisterInput) models.ID {
	t.Helper()
	result, err := r.Register(storetest.As(t), in)
	if err != nil {
		t.Fatal(err)
	}
	return result.DeviceID
}

func inTx(t *testing.T, s *store.Store, f func(tx *store.Tx) error) {
	t.Helper()
	if err := s.InTx(storetest.As(t), f); err != nil {
		t.Fatal(err)
	}
}

func lookup(t *testing.T, r *Room, serial string) *models.Device {
	t.Helper()
	d, err := r.Lookup(t.Context(), models.DeviceKeyOf("00AABB", "IMSPC", serial))
	if err != nil || d == nil {
		t.Fatal(d, err)
	}
	return d
}

// field checks the code of err and, if it has one, the field that it is about.
func field(t *testing.T, err error, code models.Code, path string) {
	t.Helper()
	var coded *models.Error
	if !errors.As(err, &coded) || coded.Code != code || path != "" && strings.Join(coded.Field, ".") != path {
		t.Errorf("got %v, want %s at %s", err, code, path)
	}
}

func TestRegister(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		ctx := storetest.As(t)
		in := input("SN 1%")
		in.Manufacturer, in.Model, in.Tags = "softacs", "M1", []string{"a", "b", "a"}
		first, err := r.Register(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if len(first.AcsPassword.Reveal()) != 26 || first.AcsUsername != "00AABB-IMSPC-SN%201%25" || first.Replayed {
			t.Errorf("generated credentials: %+v", first)
		}
		again, err := r.Register(ctx, in)
		if err != nil || !again.Replayed || again.DeviceID != first.DeviceID || again.AcsPassword.Reveal() != first.AcsPassword.Reveal() {
			t.Errorf("a replay gives %+v, %v", again, err)
		}
		changed := in
		changed.Model = "M2"
		_, err = r.Register(ctx, changed)
		field(t, err, models.IdempotencyKeyReused, "input.idempotencyKey")
		other := in
		other.IdempotencyKey = "another"
		_, err = r.Register(ctx, other)
		field(t, err, models.AlreadyExists, "input.identity")
		var coded *models.Error
		if errors.As(err, &coded); coded.Existing != (models.Subject{Kind: models.KindDevice, ID: first.DeviceID}) {
			t.Errorf("the existing device is not named: %+v", coded)
		}

		d, err := r.ByRef(ctx, Ref{Identity: &Identity{OUI: "00aabb", ProductClass: "IMSPC", SerialNumber: "SN 1%"}})
		if err != nil || d == nil || d.OUI != "00AABB" || !d.Registered || d.Reachability != models.NeverSeen || !slices.Equal(d.Tags.V, []string{"a", "b"}) {
			t.Fatalf("the device is %+v, %v", d, err)
		}
		kept, err := r.Credentials(d)
		if err != nil || kept.Current != HA1Of(first.AcsUsername, first.AcsPassword) {
			t.Errorf("the credentials do not verify: %v", err)
		}
		var types []models.EventType
		inTx(t, s, func(tx *store.Tx) error { return tx.DB.Model(&models.Event{}).Pluck("type", &types).Error })
		if !slices.Equal(types, []models.EventType{models.DeviceRegistered}) {
			t.Errorf("events: %v", types)
		}

		own := input("2")
		name, password := "cpe-2", models.Secret("its own password")
		own.ClientType, own.AcsUsername, own.AcsPassword = models.MagicScreen, &name, &password
		result, err := r.Register(ctx, own)
		if err != nil || !result.AcsPassword.IsZero() || result.AcsUsername != "" {
			t.Errorf("given credentials come back: %+v %v", result, err)
		}
		if d := lookup(t, r, "2"); d.StockState != models.Stock || d.HTTPUsername != "cpe-2" {
			t.Errorf("the screen is %+v", d)
		}
		password = "another password"
		_, err = r.Register(ctx, own)
		field(t, err, models.IdempotencyKeyReused, "input.idempotencyKey")
	})
}

func TestRegisterRefuses(t *testing.T) {
	r := New(storetest.Open(t, storetest.SQLite(t), models.SystemClock{}), models.SystemClock{}, Config{})
	text := func(s string) *string { return &s }
	secret := func(s string) *models.Secret { return (*models.Secret)(&s) }
	for name, c := range map[string]struct {
		change func(in *RegisterInput)
		code   models.Code
		field  string
	}{
		"no key":            {func(in *RegisterInput) { in.IdempotencyKey = "" }, models.Required, "input.idempotencyKey"},
		"short oui":         {func(in *RegisterInput) { in.OUI = "00AAB" }, models.Invalid, "input.identity.oui"},
		"oui not hex":       {func(in *RegisterInput) { in.OUI = "00AABG" }, models.Invalid, "input.identity.oui"},
		"no product class":  {func(in *RegisterInput) { in.ProductClass = "" }, models.Required, "input.identity.productClass"},
		"no serial number":  {func(in *RegisterInput) { in.SerialNumber = "" }, models.Required, "input.identity.serialNumber"},
		"long serial":       {func(in *RegisterInput) { in.SerialNumber = strings.Repeat("x", 65) }, models.TooLong, "input.identity.serialNumber"},
		"long when encoded": {func(in *RegisterInput) { in.SerialNumber = strings.Repeat("魔", 64) }, models.TooLong, "input.identity"},
		"control character": {func(in *RegisterInput) { in.SerialNumber = "a\nb" }, models.Invalid, "input.identity.serialNumber"},
		"client type":       {func(in *RegisterInput) { in.ClientType = "TOASTER" }, models.Invalid, "input.clientType"},
		"manufacturer":      {func(in *RegisterInput) { in.Manufacturer = strings.Repeat("x", 65) }, models.TooLong, "input.manufacturer"},
		"model":             {func(in *RegisterInput) { in.Model = "\x00" }, models.Invalid, "input.model"},
		"empty username":    {func(in *RegisterInput) { in.AcsUsername = text("") }, models.Invalid, "input.acsUsername"},
		"username colon":    {func(in *RegisterInput) { in.AcsUsername = text("a:b") }, models.Invalid, "input.acsUsername"},
		"username quote":    {func(in *RegisterInput) { in.AcsUsername = text(`a"b`) }, models.Invalid, "input.acsUsername"},
		"long username":     {func(in *RegisterInput) { in.AcsUsername = text(strings.Repeat("x", 257)) }, models.TooLong, "input.acsUsername"},
		"short password":    {func(in *RegisterInput) { in.AcsPassword = secret("1234567") }, models.Invalid, "input.acsPassword"},
		"long password":     {func(in *RegisterInput) { in.AcsPassword = secret(strings.Repeat("x", 129)) }, models.TooLong, "input.acsPassword"},
		"many tags":         {func(in *RegisterInput) { in.Tags = make([]string, 21) }, models.TooLong, "input.tags"},
		"empty tag":         {func(in *RegisterInput) { in.Tags = []string{"a", ""} }, models.Invalid, "input.tags.1"},
		"long tag":          {func(in *RegisterInput) { in.Tags = []string{strings.Repeat("x", 65)} }, models.TooLong, "input.tags.0"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input("1")
			c.change(&in)
			_, err := r.Register(storetest.As(t), in)
			field(t, err, c.code, c.field)
		})
	}
	_, err := r.Register(storetest.As(t, models.DeviceRead), input("1"))
	field(t, err, models.Forbidden, "")
	_, err = r.Register(storetest.In(t, []string{"east"}), input("1"))
	field(t, err, models.PolicyDenied, "input.identity")
}

func TestLookupIsOneStatement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		account := &models.Account{ID: models.NewID(), State: models.AccountActive, Region: "east"}
		inTx(t, s, func(tx *store.Tx) error {
			if err := SetAccount(tx, id, account); err != nil {
				return err
			}
			if err := SetDesired(tx, id, 7); err != nil {
				return err
			}
			if err := SetConfirmed(tx, id, 6); err != nil {
				return err
			}
			return SetHeartbeat(tx, id, 300)
		})
		ctx, n := store.CountStatements(t.Context())
		d, err := r.Lookup(ctx, models.DeviceKeyOf("00aabb", "IMSPC", "1"))
		if err != nil || n.Load() != 1 {
			t.Fatalf("%d statements, %v", n.Load(), err)
		}
		read, err := r.ByRef(storetest.As(t), Ref{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if d.AccountID != account.ID || d.AccountState != models.AccountActive || d.Region != "east" || d.DesiredVersion != 7 || d.ConfirmedVersion != 6 ||
			d.HeartbeatSeconds != 300 || d.Version != 1 || d.ID != read.ID || d.ReportHash != read.ReportHash || d.Key != read.Key {
			t.Errorf("the look-up gives %+v", d)
		}
		if _, err := r.Credentials(d); err != nil {
			t.Error(err)
		}
		if unknown, err := r.Lookup(t.Context(), "00AABB-X-Y"); unknown != nil || err != nil {
			t.Errorf("an unknown key gives %v, %v", unknown, err)
		}
		inTx(t, s, func(tx *store.Tx) error { return SetAccount(tx, id, nil) })
		if d := lookup(t, r, "1"); !d.AccountID.IsZero() || d.Region != "" || d.AccountState != "" {
			t.Errorf("the account stays: %+v", d)
		}
	})
}

func inform(serial string, values ...models.Value) *models.Inform {
	in := &models.Inform{Key: models.DeviceKeyOf("00AABB", "IMSPC", serial), OUI: "00aabb", ProductClass: "IMSPC", SerialNumber: serial,
		Manufacturer: "softacs", ClientType: models.PC, Values: map[string]models.Value{}, Raw: values}
	return in
}

func TestCredentials(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		var d *models.Device
		var passwords []models.Secret
		rotate := func() {
			inTx(t, s, func(tx *store.Tx) (err error) {
				var password models.Secret
				password, err = RotateCredentials(tx, d)
				passwords = append(passwords, password)
				return err
			})
		}
		inTx(t, s, func(tx *store.Tx) (err error) {
			d, err = Create(tx, inform("1"), &models.Account{ID: models.ID{9}, State: models.AccountActive, Region: "east"})
			return err
		})
		rotate()
		stale := *d
		for range 4 {
			rotate()
		}
		kept, err := r.Credentials(lookup(t, r, "1"))
		if err != nil || kept.Current != HA1Of(string(d.Key), passwords[4]) || len(kept.Previous) != 3 || kept.Previous[0] != HA1Of(string(d.Key), passwords[3]) {
			t.Errorf("after five rotations: %+v %v", kept, err)
		}
		// A session that began before the rotation used the old password: it confirms nothing.
		inTx(t, s, func(tx *store.Tx) error { return ConfirmCredentials(tx, &stale) })
		if kept, _ := r.Credentials(lookup(t, r, "1")); len(kept.Previous) != 3 {
			t.Error("an old password confirmed the new one")
		}
		inTx(t, s, func(tx *store.Tx) error { return ConfirmCredentials(tx, d) })
		if kept, _ := r.Credentials(lookup(t, r, "1")); len(kept.Previous) != 0 || kept.Current != HA1Of(string(d.Key), passwords[4]) {
			t.Errorf("after the confirmation: %+v", kept)
		}
		inTx(t, s, func(tx *store.Tx) error { return Revoke(tx, d.ID) })
		if d := lookup(t, r, "1"); !d.Revoked {
			t.Error("not revoked")
		}
		rotate()
		if lookup(t, r, "1").Revoked {
			t.Error("new credentials leave the device revoked")
		}
		id := mustRegister(t, r, input("2"))
		inTx(t, s, func(tx *store.Tx) error { return Revoke(tx, id) })
		if lookup(t, r, "2").Revoked {
			t.Error("a registered device lost its credentials")
		}
	})
}

func TestCreateTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ids := make([]models.ID, 4)
		var group sync.WaitGroup
		ctx := storetest.As(t)
		for i := range ids {
			group.Go(func() {
				err := s.InTx(ctx, func(tx *store.Tx) error {
					d, err := Create(tx, inform("1"), &models.Account{ID: models.ID{9}, State: models.AccountActive, Region: "east"})
					if err == nil {
						ids[i] = d.ID
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("several devices for one key: %v", ids)
			}
		}
		var events int64
		inTx(t, s, func(tx *store.Tx) error { return tx.DB.Model(&models.Event{}).Count(&events).Error })
		if events != 1 {
			t.Errorf("%d events", events)
		}
	})
}

func TestOnline(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		mustRegister(t, r, input("1"))
		d := lookup(t, r, "1")
		for range 2 {
			inTx(t, s, func(tx *store.Tx) error { return SetOnline(tx, d, tx.Now) })
		}
		inTx(t, s, func(tx *store.Tx) error {
			found, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.DeviceReachabilityChanged).Find(tx.Context())
			if err != nil || len(found) != 1 || found[0].Payload.V["code"] != "client.online" || found[0].Payload.V["previousState"] != "NEVER_SEEN" {
				t.Errorf("events %+v, %v", found, err)
			}
			return nil
		})
		seen := clock.Now()
		p := models.DevicePresence{LastInformAt: seen}
		d = lookup(t, r, "1")
		for _, c := range []struct {
			after time.Duration
			want  models.Reachability
		}{{0, models.Online}, {660 * time.Second, models.Online}, {time.Millisecond, models.Stale}} {
			clock.Advance(c.after)
			if got := r.Reachability(d, p); got != c.want {
				t.Errorf("%s later: %s", c.after, got)
			}
		}
		if r.NextInformDue(d, p) != seen.Add(600*time.Second) {
			t.Error("the next heartbeat is due at another time")
		}
	})
}

func TestWork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		id := mustRegister(t, r, input("1"))
		work := func(want models.Time) {
			t.Helper()
			if got := lookup(t, r, "1").WorkAt; got != want {
				t.Errorf("work at %v, want %v", got, want)
			}
		}
		for _, c := range []struct{ set, want models.Time }{{0, 0}, {50, 50}, {70, 50}, {30, 30}} {
			inTx(t, s, func(tx *store.Tx) error { return SetWork(tx, id, c.set) })
			work(c.want)
		}
		// Sessions that take the work at the same time get epochs of their own.
		epochs := make([]int64, 4)
		var group sync.WaitGroup
		ctx := storetest.As(t)
		for i := range epochs {
			group.Go(func() {
				err := s.InTx(ctx, func(tx *store.Tx) (err error) {
					epochs[i], err = TakeWork(tx, &models.Device{ID: id})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		slices.Sort(epochs)
		if !slices.Equal(epochs, []int64{1, 2, 3, 4}) {
			t.Errorf("epochs %v", epochs)
		}
		inTx(t, s, func(tx *store.Tx) error {
			if held, err := ClearWork(tx, id, 3); held || err != nil {
				t.Errorf("an overtaken session cleared the work: %v", err)
			}
			if held, err := Hold(tx, id, 3); held || err != nil {
				t.Errorf("an overtaken session holds the work: %v", err)
			}
			return nil
		})
		work(30)
		inTx(t, s, func(tx *store.Tx) error {
			if held, err := ClearWork(tx, id, 4); !held || err != nil {
				t.Errorf("the session that holds the work may not clear it: %v", err)
			}
			return nil
		})
		work(0)
	})
}

// MySQL ran a transaction again after a deadlock: the login was not written, and the device came online from a state that it never had.
func TestATransactionThatRunsAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		mustRegister(t, r, input("1"))
		d := lookup(t, r, "1")
		change := func(tx *store.Tx) error { return errors.Join(SetLogin(tx, d, "first"), SetOnline(tx, d, tx.Now)) }
		deadlock := errors.New("deadlock")
		err := s.InTx(storetest.As(t), func(tx *store.Tx) error { return errors.Join(change(tx), deadlock) })
		if !errors.Is(err, deadlock) {
			t.Fatal(err)
		}
		inTx(t, s, change)
		if found := lookup(t, r, "1"); found.LoginSessionID != "first" || d.LoginSessionID != "first" || d.Reachability != models.Online {
			t.Errorf("stored %+v, in memory %+v", found, d)
		}
		inTx(t, s, func(tx *store.Tx) error {
			found, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.DeviceReachabilityChanged).Find(tx.Context())
			if err != nil || len(found) != 1 || found[0].Payload.V["previousState"] != "NEVER_SEEN" {
				t.Errorf("events %+v, %v", found, err)
			}
			return nil
		})
	})
}

func TestLogin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := New(s, clock, Config{})
		mustRegister(t, r, input("1"))
		d := lookup(t, r, "1")
		at := clock.Now()
		inTx(t, s, func(tx *store.Tx) error { return SetLogin(tx, d, "first") })
		clock.Advance(time.Minute)
		inTx(t, s, func(tx *store.Tx) error {
			if err := SetReauth(tx, d.ID, true); err != nil {
				return err
			}
			return SetLogin(tx, d, "first")
		})
		if d := lookup(t, r, "1"); d.LoginSessionID != "first" || d.LoginAt != at || !d.ReauthRequired {
			t.Errorf("%+v", d)
		}
	})
}
