package configuration_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// client is a soft client as far as it keeps parameters.
type client struct {
	values map[string]string
	key    string
	// committed is what a SetParameterValues answered with status 1 brings at the next start.
	committed *configuration.Delivery
}

func (c *client) apply(delivery *configuration.Delivery) {
	for _, v := range delivery.Values {
		c.values[v.Name] = v.Value
	}
	c.key = models.ParameterKey(delivery.Version)
}

// play lets the client speak once: with events, and with what becomes of each delivery. A session that does not break off ends by writing down
// when there is work again.
func (f *fixture) play(c *client, fate string, events ...models.EventName) {
	if f.deliver(c, fate, events) {
		return
	}
	f.inTx(func(tx *store.Tx) error {
		if _, err := devices.ClearWork(tx, f.device.ID, f.epoch); err != nil {
			return err
		}
		at, err := f.room.NextWork(tx, f.device.ID)
		if err != nil {
			return err
		}
		return devices.SetWork(tx, f.device.ID, at)
	})
}

func (f *fixture) deliver(c *client, fate string, events []models.EventName) (broke bool) {
	in := &models.Inform{ParameterKey: c.key}
	for _, name := range events {
		in.Events = append(in.Events, models.InformEvent{Name: name})
	}
	f.session()
	if !configuration.Due(f.device, in, f.clock.Now()) {
		return false
	}
	f.inTx(func(tx *store.Tx) error {
		_, probe, err := f.room.Confirm(tx, f.device, f.epoch, in)
		if err != nil || probe == nil {
			return err
		}
		var reply models.Reply
		for _, name := range probe.Names {
			reply.Values = append(reply.Values, models.Value{Name: name, Value: c.values[name]})
		}
		_, err = f.room.Probed(tx, f.device, f.epoch, reply)
		return err
	})
	key := c.key
	if in.Has(models.EventBootstrap) {
		key = ""
	}
	for {
		delivery := f.take(key)
		if delivery == nil {
			return false
		}
		switch fate {
		case "request lost":
			return true
		case "answer lost":
			c.apply(delivery)
			return true
		case "refused":
			f.refused(delivery, models.Fault{Code: 9002})
			return false
		case "committed":
			c.committed = delivery
			f.applied(delivery, 1)
			return false
		}
		c.apply(delivery)
		f.applied(delivery, 0)
		key = c.key
	}
}

// peace lets the device speak undisturbed and wants it to have all that is desired.
func (f *fixture) peace(t *rapid.T, c *client) {
	f.clock.Advance(time.Hour)
	if c.committed != nil {
		c.apply(c.committed)
		c.committed = nil
		f.play(c, "fine", models.EventBoot)
	}
	f.play(c, "fine", models.EventPeriodic)
	f.inTx(func(tx *store.Tx) error {
		everything, err := f.room.Everything(tx, f.device, c.key)
		if err != nil {
			return err
		}
		if c.key != models.ParameterKey(everything.Version) {
			t.Errorf("the device holds %q, desired is version %d", c.key, everything.Version)
		}
		for _, v := range everything.Values {
			if c.values[v.Name] != v.Value {
				t.Errorf("%s is %q, desired is %q", v.Name, c.values[v.Name], v.Value)
			}
		}
		return nil
	})
	f.state(models.ConfigurationApplied)
}

// TestADeviceAlwaysEndsWithWhatIsDesired plays any mix of changes, sessions, losses, restarts and resets, and then lets the device speak in peace.
func TestADeviceAlwaysEndsWithWhatIsDesired(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = flag.Set("rapid.checks", "25") // each is some thirty sessions on a real database
	}
	each(t, func(f *fixture) {
		account := *f.account
		serial := 0
		rapid.Check(f.T, func(t *rapid.T) {
			serial++
			*f.account = account
			f.epoch = 0
			f.device = f.newDevice(models.PC, fmt.Sprintf("m%d", serial))
			f.rebuild()
			c := &client{values: map[string]string{}}
			fates := rapid.SampledFrom([]string{"fine", "request lost", "answer lost", "refused", "committed"})
			t.Repeat(map[string]func(*rapid.T){
				"region": func(t *rapid.T) {
					f.account.Region = rapid.SampledFrom([]string{"", "north"}).Draw(t, "region")
					f.rebuild()
				},
				"video": func(t *rapid.T) {
					rate := rapid.SampledFrom([]string{"256", "512"}).Draw(t, "rate")
					on := rapid.Bool().Draw(t, "on")
					f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: on, Parameters: map[string]string{"MaxBitrate": rate}}})
					f.rebuild()
				},
				"type": func(t *rapid.T) {
					f.account.ClientTypes = models.DocOf([]models.ClientType{rapid.SampledFrom([]models.ClientType{models.PC, models.Mobile}).Draw(t, "type")})
					f.rebuild()
				},
				"state": func(t *rapid.T) {
					f.account.State = rapid.SampledFrom([]models.AccountState{models.AccountActive, models.AccountSuspended, models.AccountTerminated}).Draw(t, "state")
					f.rebuild()
				},
				"heartbeat": func(t *rapid.T) { f.play(c, fates.Draw(t, "fate"), models.EventPeriodic) },
				"start": func(t *rapid.T) {
					if c.committed != nil && rapid.Bool().Draw(t, "it was kept") {
						c.apply(c.committed)
					}
					c.committed = nil
					f.play(c, fates.Draw(t, "fate"), models.EventBoot)
				},
				"peace": func(t *rapid.T) { f.peace(t, c) },
				"reset": func(t *rapid.T) {
					*c = client{values: map[string]string{}}
					f.play(c, fates.Draw(t, "fate"), models.EventBootstrap)
				},
			})
			f.peace(t, c)
		})
	})
}
