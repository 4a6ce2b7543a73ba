package accounts_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// directory is an IMS core.
type directory struct {
	secret models.Secret
	err    error
	asked  int
}

func (d *directory) SipPassword(context.Context, string, []string) (models.Secret, error) {
	d.asked++
	return d.secret, d.err
}

type fixture struct {
	*testing.T
	ctx           context.Context
	store         *store.Store
	clock         *storetest.Clock
	room          *accounts.Room
	passwords     *passwords.Room
	configuration *configuration.Room
	devices       *devices.Room
}

func each(t *testing.T, f func(f *fixture)) {
	eachWith(t, accounts.Config{Secret: accounts.RequireSecret}, f)
}

func eachWith(t *testing.T, c accounts.Config, f func(f *fixture)) {
	c.Domain = "ims.example.net"
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		fx := &fixture{T: t, ctx: storetest.As(t), store: s, clock: clock, devices: devices.New(s, clock, devices.Config{})}
		quick := passwords.Defaults()
		quick.Iterations = 10_000
		fx.passwords = passwords.New(s, clock, quick)
		var err error
		if fx.configuration, err = configuration.New(s, profile()); err != nil {
			t.Fatal(err)
		}
		fx.room = accounts.New(s, fx.passwords, fx.configuration, c)
		f(fx)
	})
}

func profile() configuration.Config {
	var catalogue configuration.Catalogue
	for _, name := range []string{
		configuration.PeriodicInformEnable, configuration.PeriodicInformInterval, configuration.PeriodicInformTime, configuration.DirectoryNumber,
		configuration.AuthUserName, configuration.AuthPassword, configuration.PublicURI, configuration.LineEnable,
	} {
		catalogue.Parameters = append(catalogue.Parameters, configuration.Parameter{Name: name, Type: "xsd:string", Writable: true})
	}
	catalogue.Parameters = append(catalogue.Parameters, configuration.Parameter{
		Name: "video.maxBitrate", Type: "xsd:unsignedInt", Writable: true, Optional: true, Service: configuration.Video, Leaf: "MaxBitrate",
	})
	return configuration.Config{
		Catalogue: catalogue,
		Services:  map[string]configuration.Switch{configuration.Voice: {On: map[string]string{configuration.LineEnable: "Enabled"}}},
		Path:      func(name string) string { return "Device." + name },
		Check: func(name, value string) error {
			if name == "video.maxBitrate" && strings.Trim(value, "0123456789") != "" {
				return errors.New("a whole number is needed")
			}
			return nil
		},
	}
}

// input is what a BSS sends at least.
func input(key string) accounts.ProvisionInput {
	return accounts.ProvisionInput{
		IdempotencyKey: key, ExternalID: "s-" + key, Msisdn: "862162345678", SipPassword: "example-sip-secret",
		ClientTypes: []models.ClientType{models.PC}, MaxDevices: 4, Activate: true,
	}
}

func (f *fixture) provision(in accounts.ProvisionInput) *models.Account {
	f.Helper()
	result, err := f.room.Provision(f.ctx, in)
	if err != nil {
		f.Fatal(err)
	}
	return result.Account
}

func (f *fixture) modify(in accounts.ModifyInput) *models.Account {
	f.Helper()
	result, err := f.room.Modify(f.ctx, in)
	if err != nil {
		f.Fatal(err)
	}
	return result.Account
}

func (f *fixture) inTx(do func(tx *store.Tx) error) {
	f.Helper()
	if err := f.store.InTx(f.ctx, do); err != nil {
		f.Fatal(err)
	}
}

// bind gives the account a device.
func (f *fixture) bind(a *models.Account, serial string, t models.ClientType) models.ID {
	f.Helper()
	registered, err := f.devices.Register(f.ctx, devices.RegisterInput{
		IdempotencyKey: serial, OUI: "00005E", ProductClass: "IMSPC", SerialNumber: serial, ClientType: t,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.inTx(func(tx *store.Tx) error {
		d := f.device(tx, registered.DeviceID)
		if _, _, err := bindings.Bind(tx, d, a, models.ByPassword, models.ByDevice(d.ID, string(d.Key))); err != nil {
			return err
		}
		_, _, err := f.configuration.Rebuild(tx, d, a)
		return err
	})
	return registered.DeviceID
}

func (f *fixture) device(tx *store.Tx, id models.ID) *models.Device {
	f.Helper()
	var d models.Device
	if err := tx.DB.Where("id = ?", id).Take(&d).Error; err != nil {
		f.Fatal(err)
	}
	return &d
}

// events are those of the types so far, all without types named.
func (f *fixture) events(types ...models.EventType) (list []models.Event) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		all, err := gorm.G[models.Event](tx.DB).Order("n").Find(tx.Context())
		for _, e := range all {
			if len(types) == 0 || slices.Contains(types, e.Type) {
				list = append(list, e)
			}
		}
		return err
	})
	return list
}

func (f *fixture) audits(action string) (list []models.AuditEntry) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		list, err = gorm.G[models.AuditEntry](tx.DB).Where("action = ?", action).Order("n").Find(tx.Context())
		return err
	})
	return list
}

func (f *fixture) secret(a *models.Account) string {
	f.Helper()
	secret, err := f.room.SipSecret(f.ctx, a.ID)
	if err != nil {
		f.Fatal(err)
	}
	return secret.Reveal()
}

// refused wants a business error with its code and field.
func refused(t *testing.T, err error, code models.Code, field ...string) *models.Error {
	t.Helper()
	var e *models.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, not %s", err, code)
	}
	if e.Code != code || !slices.Equal(e.Field, field) {
		t.Fatalf("got %s at %v (%s), not %s at %v", e.Code, e.Field, e.Message, code, field)
	}
	if e.Message == "" {
		t.Error("the error says nothing")
	}
	return e
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func wantList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
