package clients_test

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/models/tasks"
)

var profile = func() *i4.Profile {
	p, err := i4.Load(nil)
	if err != nil {
		panic(err)
	}
	return p
}()

const (
	password = models.Secret("Blue-Kite-42!")
	mobile   = models.Number("8613800138000")
)

// house is the room with all that it plays with, on one engine.
type house struct {
	*testing.T
	*clients.Room
	store    *store.Store
	clock    *storetest.Clock
	accounts *accounts.Room
	count    atomic.Int64
}

// nowhere is a way to send SMS whose messages stay in the outbox, where the test reads them.
type nowhere struct{}

func (nowhere) Send(context.Context, sms.Outgoing) (sms.Receipt, error) { return sms.Receipt{}, nil }

func each(t *testing.T, change func(*clients.Config), f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		h := &house{T: t, store: s, clock: clock}
		configurationRoom, err := configuration.New(s, desired())
		if err != nil {
			t.Fatal(err)
		}
		quick := passwords.Defaults()
		quick.Iterations = 10_000
		passwordRoom := passwords.New(s, clock, quick)
		c := clients.Config{Plan: models.NumberPlan{Country: "86", Area: "21"}, AntiEnumeration: true, ChallengeTTL: 60e9, RetryAfter: 60, Policy: bindings.DefaultPolicy(), Ways: clients.Ways{Challenge: true}}
		if change != nil {
			change(&c)
		}
		h.accounts = accounts.New(s, passwordRoom, configurationRoom, accounts.Config{Domain: "ims.example.net", Secret: accounts.GenerateSecret})
		h.Room = clients.New(s, clock, clients.Rooms{
			Configuration: configurationRoom, Devices: devices.New(s, clock, devices.Config{}), Passwords: passwordRoom,
			SMS: sms.New(s, clock, nowhere{}), Diagnostics: diagnostics.New(s, clock, diagnostics.Config{}), Statistics: statistics.New(s, clock, statistics.Config{}), Tasks: tasks.New(s, clock, tasks.Config{}),
		}, c)
		f(h)
	})
}

// desired is the configuration of PC clients by the embedded profile.
func desired() configuration.Config {
	c := configuration.Config{
		Defaults: map[models.ClientType]map[string]string{
			models.PC: profile.Defaults(models.PC, "ims.example.net"), models.Mobile: profile.Defaults(models.Mobile, "ims.example.net"),
			models.MagicScreen: profile.Defaults(models.MagicScreen, "ims.example.net"),
		},
		Services: map[string]configuration.Switch{},
		Path: func(name string) string {
			path, _ := profile.Path(name)
			return cmp.Or(path, name)
		},
		Name: profile.Name, IsSecret: profile.IsSecret, Canonical: func(_, value string) string { return value },
		Check: func(string, string) error { return nil },
	}
	for code, s := range profile.Services("ims.example.net") {
		c.Services[code] = configuration.Switch(s)
	}
	for _, x := range profile.Catalogue() {
		c.Catalogue.Parameters = append(c.Catalogue.Parameters, configuration.Parameter{
			Name: x.Name, Type: x.Type, Writable: x.Writable, Secret: x.Secret, Optional: x.Optional, Service: x.Service, Leaf: x.Leaf,
		})
	}
	return c
}

// provision makes an account with a number of its own.
func (h *house) provision() *models.Account {
	h.Helper()
	n := models.Number(fmt.Sprintf("8621%08d", 60000000+h.count.Add(1)))
	result, err := h.accounts.Provision(storetest.As(h.T), accounts.ProvisionInput{
		IdempotencyKey: string(n), ExternalID: "sub-" + string(n), Msisdn: n, BoundMobile: mobile, ClientTypes: []models.ClientType{models.PC},
		MaxDevices: 4, Activate: true, InitialPassword: password,
	})
	if err != nil {
		h.Fatal(err)
	}
	return result.Account
}

// hex32 is a text of 32 hex digits that was not used before.
func (h *house) hex32() string { return fmt.Sprintf("%032x", h.count.Add(1)) }

// client is a PC client as the room sees it; held is its parameter store.
type client struct {
	*house
	serial string
	number models.Number
	held   map[string]string
}

func (h *house) client(a *models.Account) *client {
	c := &client{house: h, serial: h.hex32(), number: "862199999999", held: map[string]string{"softClient.loginSessionId": h.hex32()}}
	if a != nil {
		c.number = a.Msisdn
	}
	return c
}

func (c *client) key() models.DeviceKey { return models.DeviceKeyOf("00005E", "IMSPC", c.serial) }

func (c *client) inform(event models.EventName, values map[string]string) *models.Inform {
	in := &models.Inform{
		Key: c.key(), OUI: "00005E", ProductClass: "IMSPC", SerialNumber: c.serial, ClientType: models.PC, Claimed: "PC",
		Events: []models.InformEvent{{Name: event, L0: event == models.EventGetPassword || event == models.EventRegister}},
		Values: map[string]models.Value{}, ParameterKey: c.held["managementServer.parameterKey"], RemoteAddress: "192.0.2.1",
	}
	for name, value := range values {
		path, _ := profile.Path(name)
		in.Values[name] = models.Value{Name: name, Value: value}
		in.Raw = append(in.Raw, models.Value{Name: path, Value: value, Type: "xsd:string"})
	}
	return in
}

// arrive sends an Inform as the door does: one look-up, then the visit.
func (c *client) arrive(ctx context.Context, in *models.Inform, trust models.Trust) *clients.Visit {
	c.Helper()
	d, err := c.Devices.Lookup(ctx, in.Key)
	if err != nil {
		c.Fatal(err)
	}
	v, err := c.Arrive(ctx, in, d, trust, false)
	if err != nil {
		c.Fatal(err)
	}
	return v
}

// play answers everything that the visit asks and returns its last outcome.
func (c *client) play(ctx context.Context, v *clients.Visit, in *models.Inform) (last models.Outcome) {
	c.Helper()
	for {
		r, err := v.Next(ctx)
		if err != nil {
			c.Fatal(err)
		}
		if r == nil {
			v.End(ctx, nil)
			return last
		}
		reply := models.Reply{}
		switch r.Method {
		case models.SetParameterValues:
			for _, value := range r.Values {
				c.held[value.Name] = value.Value
			}
			if r.Version > 0 {
				c.held["managementServer.parameterKey"] = models.ParameterKey(r.Version)
			}
			if r.Outcome != nil {
				last = *r.Outcome
			}
		case models.GetParameterValues:
			reply.Values = c.prove(in)
		}
		if err := v.Answer(ctx, reply); err != nil {
			c.Fatal(err)
		}
	}
}

// prove answers a challenge with the long-term password.
func (c *client) prove(in *models.Inform) []models.Value {
	var salt []byte
	var rounds int
	if _, err := fmt.Sscanf(c.held["auth.salt"]+" "+c.held["auth.iterations"], "%x %d", &salt, &rounds); err != nil {
		c.Fatal(err)
	}
	keys, err := models.DeriveProofKeys(password, salt, rounds)
	if err != nil {
		c.Fatal(err)
	}
	m := models.AuthMessage{
		Purpose: models.ToRegister, Number: c.number, DeviceKey: c.key(), ClientType: models.PC, ClientNonce: in.Get("auth.clientNonce"),
		ServerNonce: c.held["auth.serverNonce"], Timestamp: "2026-01-05T02:00:00Z",
	}
	return []models.Value{
		{Name: "auth.proof", Value: keys.Proof(m)}, {Name: "auth.timestamp", Value: m.Timestamp}, {Name: "auth.clientNonce", Value: m.ClientNonce},
	}
}

// register takes the client through 6.1.2.
func (c *client) register() models.Outcome {
	c.Helper()
	in := c.inform(models.EventRegister, map[string]string{
		"ui.userName": c.number.E164(), "auth.mode": "challenge", "auth.algorithm": models.ProofAlgorithm, "auth.purpose": "register",
		"auth.clientNonce": c.hex32(), "softClient.loginSessionId": c.held["softClient.loginSessionId"], "softClient.clientType": "PC",
	})
	return c.play(c.Context(), c.arrive(c.Context(), in, models.L0), in)
}

// getPassword is the Inform of a GETPWD.
func (c *client) getPassword() *models.Inform {
	return c.inform(models.EventGetPassword, map[string]string{"ui.userName": c.number.E164(), "ui.requestId": c.hex32(), "softClient.clientType": "PC"})
}

// heartbeat is a plain 2 PERIODIC.
func (c *client) heartbeat() *models.Inform {
	return c.inform(models.EventPeriodic, map[string]string{
		"softClient.loginSessionId": c.held["softClient.loginSessionId"], "softClient.onlineStatus": "Online", "deviceInfo.softwareVersion": "2.0.3",
		"managementServer.parameterKey": c.held["managementServer.parameterKey"], "ui.userName": c.number.E164(),
	})
}

// sent lists whom the SMS in the outbox are for.
func (h *house) sent() (to []models.Number) {
	h.Helper()
	err := h.store.View(h.Context(), func(tx *store.Tx) error {
		return tx.DB.Model(&models.SmsMessage{}).Order("id").Pluck("recipient", &to).Error
	})
	if err != nil {
		h.Fatal(err)
	}
	return to
}
