package configuration_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

var paths = map[string]string{
	"video.enable":     "Device.VP.X_CT-COM_Video.Enable",
	"video.codecList":  "Device.VP.X_CT-COM_Video.CodecList",
	"video.maxBitrate": "Device.VP.X_CT-COM_Video.MaxBitrate",
}

func path(name string) string {
	if p := paths[name]; p != "" {
		return p
	}
	return "Device." + name
}

func config() configuration.Config {
	mandatory := func(name, t string) configuration.Parameter {
		return configuration.Parameter{Name: name, Type: t, Writable: true}
	}
	optional := func(name, t, service, leaf string) configuration.Parameter {
		return configuration.Parameter{Name: name, Type: t, Writable: true, Optional: true, Service: service, Leaf: leaf}
	}
	secret := mandatory(configuration.AuthPassword, "xsd:string")
	secret.Secret = true
	return configuration.Config{
		Catalogue: configuration.Catalogue{Parameters: []configuration.Parameter{
			mandatory(configuration.PeriodicInformEnable, "xsd:boolean"),
			mandatory(configuration.PeriodicInformInterval, "xsd:unsignedInt"),
			optional(configuration.PeriodicInformTime, "xsd:dateTime", "", ""),
			mandatory("sip.outboundProxy", "xsd:string"),
			mandatory(configuration.DirectoryNumber, "xsd:string"),
			mandatory(configuration.AuthUserName, "xsd:string"),
			secret,
			mandatory(configuration.PublicURI, "xsd:string"),
			optional("line.features.callerIDEnable", "xsd:boolean", configuration.CallerID, "CallerIDEnable"),
			optional("line.features.callWaitingEnable", "xsd:boolean", configuration.CallWaiting, "CallWaitingEnable"),
			optional("video.enable", "xsd:boolean", configuration.Video, "Enable"),
			optional("video.codecList", "xsd:string", configuration.Video, "CodecList"),
			optional("video.maxBitrate", "xsd:unsignedInt", configuration.Video, "MaxBitrate"),
			mandatory(configuration.LineEnable, "xsd:string"),
			mandatory("voice.enable", "xsd:string"),
			{Name: "line.status", Type: "xsd:string"},
		}},
		Defaults: map[models.ClientType]map[string]string{models.PC: {
			configuration.PeriodicInformEnable: "1", configuration.PeriodicInformInterval: "600", "sip.outboundProxy": "pcscf1.ims.example.net",
		}},
		Areas: map[string]map[string]string{"north": {"sip.outboundProxy": "pcscf.north.example.net"}},
		Services: map[string]configuration.Switch{
			configuration.Voice: {On: map[string]string{configuration.LineEnable: "Enabled", "voice.enable": "Enabled"},
				Off: map[string]string{configuration.LineEnable: "Disabled", "voice.enable": "Disabled"}},
			configuration.Video:       {On: map[string]string{"video.enable": "1", "video.codecList": "H264,H263"}, Off: map[string]string{"video.enable": "0"}},
			configuration.CallWaiting: {On: map[string]string{"line.features.callWaitingEnable": "1"}, Off: map[string]string{"line.features.callWaitingEnable": "0"}},
			configuration.CallerID:    {On: map[string]string{"line.features.callerIDEnable": "1"}, Off: map[string]string{"line.features.callerIDEnable": "0"}},
		},
		Path: path, IsSecret: func(string) bool { return false }, Canonical: func(_, value string) string { return value },
		Check: func(name, value string) error {
			if name == "video.maxBitrate" {
				if _, err := strconv.ParseUint(value, 10, 32); err != nil {
					return errors.New("a whole number is needed")
				}
			}
			return nil
		},
	}
}

// fixture is one bound PC client and what a session does with it.
type fixture struct {
	*testing.T
	store   *store.Store
	clock   *storetest.Clock
	room    *configuration.Room
	account *models.Account
	device  *models.Device
	epoch   int64
}

func each(t *testing.T, f func(f *fixture)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room, err := configuration.New(s, config())
		if err != nil {
			t.Fatal(err)
		}
		fx := &fixture{T: t, store: s, clock: clock, room: room}
		number := models.Number("862162345678")
		fx.account = &models.Account{
			ID: models.NewID(), Version: 1, ExternalID: "s-1", State: models.AccountActive, Msisdn: number, LiveMsisdn: &number,
			IMPI: "+862162345678@ims.example.net", IMPU: models.DocOf([]string{"sip:+862162345678@ims.example.net", "tel:+862162345678"}),
			SipSecretSource: models.SecretFromBSS, ClientTypes: models.DocOf([]models.ClientType{models.PC}), MaxDevices: 4,
		}
		fx.device = fx.newDevice(models.PC, "a1")
		fx.inTx(func(tx *store.Tx) error {
			sealed, err := tx.Seal("accounts", "sip_password", fx.account.ID, []byte("example-sip-secret"))
			if err != nil {
				return err
			}
			fx.account.SipPassword = sealed
			return gorm.G[models.Account](tx.DB).Create(tx.Context(), fx.account)
		})
		f(fx)
	})
}

func (f *fixture) newDevice(clientType models.ClientType, serial string) *models.Device {
	d := &models.Device{
		ID: models.NewID(), Version: 1, Key: models.DeviceKeyOf("00005E", "IMSPC", serial), OUI: "00005E", ProductClass: "IMSPC",
		SerialNumber: serial, ClientType: clientType, SoftwareVersion: "1.0.0", AccountID: f.account.ID, CreatedAt: f.clock.Now(),
	}
	f.inTx(func(tx *store.Tx) error { return gorm.G[models.Device](tx.DB).Create(tx.Context(), d) })
	return d
}

func (f *fixture) inTx(do func(tx *store.Tx) error) {
	f.Helper()
	if err := f.store.InTx(storetest.As(f.T), do); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) rebuild() (version int64, changed bool) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		version, changed, err = f.room.Rebuild(tx, f.device, f.account)
		return err
	})
	return version, changed
}

// session begins a session: the device's row is read anew and its work taken.
func (f *fixture) session() {
	f.Helper()
	f.epoch++
	f.inTx(func(tx *store.Tx) error {
		if err := tx.DB.Model(&models.Device{}).Where("id = ?", f.device.ID).Update("session_epoch", f.epoch).Error; err != nil {
			return err
		}
		id := f.device.ID
		f.device = &models.Device{}
		return tx.DB.Where("id = ?", id).Take(f.device).Error
	})
}

// inform begins a session with an Inform and tells whether it confirmed a delivery.
func (f *fixture) inform(key string, events ...models.EventName) (confirmed bool) {
	f.Helper()
	confirmed, _ = f.doubt(key, events...)
	return confirmed
}

// doubt is inform, with what the device is asked because its key does not say enough.
func (f *fixture) doubt(key string, events ...models.EventName) (confirmed bool, probes []string) {
	f.Helper()
	f.session()
	in := &models.Inform{ParameterKey: key}
	for _, name := range events {
		in.Events = append(in.Events, models.InformEvent{Name: name})
	}
	f.inTx(func(tx *store.Tx) (err error) {
		var probe *models.Request
		if confirmed, probe, err = f.room.Confirm(tx, f.device, f.epoch, in); probe != nil {
			probes = probe.Names
		}
		return err
	})
	return confirmed, probes
}

// probed answers what was asked, by name and value one after the other.
func (f *fixture) probed(told ...string) (applied bool) {
	f.Helper()
	var reply models.Reply
	for i := 0; i < len(told); i += 2 {
		reply.Values = append(reply.Values, models.Value{Name: told[i], Value: told[i+1]})
	}
	f.inTx(func(tx *store.Tx) (err error) {
		applied, err = f.room.Probed(tx, f.device, f.epoch, reply)
		return err
	})
	return applied
}

// take asks for what is pending and sends it.
func (f *fixture) take(key string) (delivery *configuration.Delivery) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		if delivery, err = f.room.Pending(tx, f.device, key); err != nil || delivery == nil {
			return err
		}
		return f.room.Sent(tx, f.device, f.epoch, delivery)
	})
	return delivery
}

func (f *fixture) applied(delivery *configuration.Delivery, status int) {
	f.Helper()
	f.inTx(func(tx *store.Tx) error { return f.room.Applied(tx, f.device, f.epoch, delivery, status) })
}

func (f *fixture) refused(delivery *configuration.Delivery, fault models.Fault) (retry *configuration.Delivery) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		retry, err = f.room.Refused(tx, f.device, f.epoch, delivery, fault)
		return err
	})
	return retry
}

// settle brings the device to version 1, applied.
func (f *fixture) settle() {
	f.Helper()
	f.rebuild()
	f.session()
	f.applied(f.take(""), 0)
}

func (f *fixture) view() configuration.View {
	f.Helper()
	views, err := f.room.Get(storetest.As(f.T), []models.ID{f.device.ID})
	if err != nil {
		f.Fatal(err)
	}
	return views[f.device.ID]
}

func (f *fixture) state(want models.ConfigurationState) {
	f.Helper()
	if got := f.view().State; got != want {
		f.Errorf("the state is %s, not %s", got, want)
	}
}

// codes are the codes of all events about configurations so far.
func (f *fixture) codes() (codes []string) {
	f.Helper()
	f.inTx(func(tx *store.Tx) error {
		list, err := gorm.G[models.Event](tx.DB).Where("type = ?", models.ConfigurationChanged).Order("n").Find(tx.Context())
		for _, e := range list {
			if e.AccountExternalID != f.account.ExternalID || e.DeviceID != f.device.ID {
				f.Errorf("event %s names account %q and device %s", e.ID, e.AccountExternalID, e.DeviceID)
			}
			codes = append(codes, e.Payload.V["code"].(string))
		}
		return err
	})
	return codes
}

func names(delivery *configuration.Delivery) (list []string) {
	for _, v := range delivery.Values {
		list = append(list, v.Name)
	}
	return list
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
