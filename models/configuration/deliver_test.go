package configuration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestFirstDeliveryBringsEverythingInOrder(t *testing.T) {
	each(t, func(f *fixture) {
		version, changed := f.rebuild()
		want(f.T, "the version", version, 1)
		want(f.T, "changed", changed, true)
		f.state(models.ConfigurationPending)
		f.session()
		if f.device.DesiredVersion != 1 || f.device.WorkAt != f.clock.Now() {
			f.Errorf("the device's row has version %d and work at %s", f.device.DesiredVersion, f.device.WorkAt)
		}
		delivery := f.take("")
		wantList(f.T, "delivered", names(delivery), configuration.PeriodicInformEnable, configuration.PeriodicInformInterval,
			configuration.PeriodicInformTime, "sip.outboundProxy", configuration.DirectoryNumber, configuration.AuthUserName,
			configuration.AuthPassword, configuration.PublicURI, "line.features.callerIDEnable", "line.features.callWaitingEnable", "video.enable",
			configuration.LineEnable, "voice.enable")
		for _, v := range delivery.Values {
			switch v.Name {
			case configuration.DirectoryNumber:
				want(f.T, "the number", v.Value, "+862162345678")
			case configuration.AuthPassword:
				want(f.T, "the secret", v.Value, "example-sip-secret")
				want(f.T, "secret", v.Secret, true)
			case configuration.PublicURI:
				want(f.T, "the URI", v.Value, "sip:+862162345678@ims.example.net")
			case configuration.PeriodicInformTime:
				at, err := time.Parse(time.RFC3339, v.Value)
				if phase := at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil || phase < 0 || phase >= 600*time.Second {
					f.Errorf("the phase is %s", v.Value)
				}
			}
		}
		f.state(models.ConfigurationSent)
		f.applied(delivery, 0)
		v := f.view()
		want(f.T, "the applied key", v.AppliedKey, "cfg-000000001")
		want(f.T, "the desired key", v.DesiredKey, "cfg-000000001")
		want(f.T, "the state", v.State, models.ConfigurationApplied)
		f.session()
		want(f.T, "the confirmed version", f.device.ConfirmedVersion, 1)
		want(f.T, "the heartbeat", f.device.HeartbeatSeconds, 600)
		wantList(f.T, "events", f.codes(), "config.pending", "config.applied")
		f.inTx(func(tx *store.Tx) error {
			var shown []models.DeviceParameter
			if err := tx.DB.Where("device_id = ?", f.device.ID).Find(&shown).Error; err != nil {
				return err
			}
			want(f.T, "shown parameters", len(shown), len(delivery.Values)-1)
			for _, p := range shown {
				if p.Path == path(configuration.AuthPassword) {
					f.Error("a secret is shown")
				}
			}
			return nil
		})
	})
}

func TestUnchangedContentMakesNoVersion(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		version, changed := f.rebuild()
		want(f.T, "the version", version, 1)
		want(f.T, "changed", changed, false)
		f.session()
		if delivery := f.take("cfg-000000001"); delivery != nil {
			f.Errorf("%v is owed", names(delivery))
		}
		wantList(f.T, "events", f.codes(), "config.pending", "config.applied")
	})
}

func TestOnlyTheDifferenceIsDelivered(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: true}})
		f.rebuild()
		f.account.Region = "north"
		version, _ := f.rebuild() // both changes go out as one
		want(f.T, "the version", version, 3)
		f.session()
		delivery := f.take("cfg-000000001")
		want(f.T, "full", delivery.Full, false)
		want(f.T, "the version", delivery.Version, 3)
		wantList(f.T, "delivered", names(delivery), "sip.outboundProxy", "video.enable", "video.codecList")
		f.applied(delivery, 0)

		// A value that nothing sets any more stays with the device and is not sent again.
		f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video}})
		f.rebuild()
		f.session()
		delivery = f.take("cfg-000000003")
		wantList(f.T, "delivered", names(delivery), "video.enable")
		f.applied(delivery, 0)
		f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: true}})
		f.rebuild()
		f.session()
		wantList(f.T, "delivered", names(f.take("cfg-000000004")), "video.enable")
	})
}

func TestContentThatCameBackStillMovesTheKey(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.account.Region = ""
		f.rebuild()
		f.session()
		delivery := f.take("cfg-000000001")
		wantList(f.T, "delivered", names(delivery), "voice.enable")
		want(f.T, "the version", delivery.Version, 3)
	})
}

func TestAKeyThatIsNotTheConfirmedOneBringsEverything(t *testing.T) {
	for name, key := range map[string]string{"empty": "", "foreign": "factory", "never issued": "cfg-000000977", "older": "cfg-000000001"} {
		t.Run(name, func(t *testing.T) {
			each(t, func(f *fixture) {
				f.settle()
				f.account.Region = "north"
				f.rebuild()
				f.session()
				f.applied(f.take("cfg-000000001"), 0)
				if !configuration.Due(f.device, &models.Inform{ParameterKey: key}, f.clock.Now()) {
					f.Error("the session would not look")
				}
				delivery := f.take(key)
				want(f.T, "full", delivery.Full, true)
				want(f.T, "values", len(delivery.Values), 13)
				want(f.T, "the version", delivery.Version, 2)
				f.applied(delivery, 0)
				if again := f.take("cfg-000000002"); again != nil {
					f.Errorf("%v is owed again", names(again))
				}
			})
		})
	}
}

func TestALostAnswerIsSettledByTheNextKey(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		f.take("cfg-000000001")
		want(f.T, "confirmed by the old key", f.inform("cfg-000000001", models.EventPeriodic), false)
		f.state(models.ConfigurationPending)
		wantList(f.T, "sent again", names(f.take("cfg-000000001")), "sip.outboundProxy")
		want(f.T, "confirmed by the new key", f.inform("cfg-000000002", models.EventPeriodic), true)
		f.state(models.ConfigurationApplied)
		want(f.T, "the confirmed version", f.device.ConfirmedVersion, 2)
		wantList(f.T, "events", f.codes(), "config.pending", "config.applied", "config.pending", "config.applied")
	})
}

func TestALostAnswerOfAnOvertakenVersionBringsEverything(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		f.take("cfg-000000001")
		f.account.Region = ""
		f.rebuild()
		want(f.T, "confirmed", f.inform("cfg-000000002", models.EventPeriodic), false)
		delivery := f.take("cfg-000000002") // the values of version 2 are not known any more, those of version 1 are gone
		want(f.T, "full", delivery.Full, true)
		want(f.T, "the version", delivery.Version, 3)
	})
}

func TestACommittedVersionWaitsForTheBoot(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		f.applied(f.take("cfg-000000001"), 1)
		f.state(models.ConfigurationCommitted)
		for _, key := range []string{"cfg-000000001", "cfg-000000002"} {
			want(f.T, "confirmed by a heartbeat", f.inform(key, models.EventPeriodic), false)
			if delivery := f.take(key); delivery != nil {
				f.Errorf("%v is owed before the BOOT", names(delivery))
			}
		}
		for _, event := range []models.EventName{models.EventBoot, models.EventPeriodic} { // until it is answered
			confirmed, probes := f.doubt("cfg-000000002", event)
			want(f.T, "confirmed by the BOOT alone", confirmed, false)
			wantList(f.T, "asked", probes, "sip.outboundProxy")
			f.nextWork(f.clock.Now())
		}
		want(f.T, "confirmed by what it tells", f.probed("sip.outboundProxy", "pcscf.north.example.net", "voice.enable", "Disabled"), true)
		f.state(models.ConfigurationApplied)
		f.nextWork(0)
	})
}

func TestAClientThatDoesNotTellIsBelievedItsKey(t *testing.T) {
	each(t, func(f *fixture) {
		f.rebuild()
		f.session()
		f.applied(f.take(""), 1)
		_, probes := f.doubt("cfg-000000001", models.EventBoot)
		wantList(f.T, "asked", probes, "voice.enable", configuration.LineEnable)
		want(f.T, "confirmed", f.probed(), true)
		f.state(models.ConfigurationApplied)
	})
}

func TestACommittedVersionThatTookNoEffectComesAgain(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		for try := 1; try <= 4; try++ {
			delivery := f.take("cfg-000000001")
			if delivery == nil {
				f.Fatalf("try %d: nothing is owed", try)
			}
			wantList(f.T, "sent", names(delivery), "sip.outboundProxy")
			f.applied(delivery, 1)
			f.doubt("cfg-000000002", models.EventBoot)
			want(f.T, "confirmed", f.probed("sip.outboundProxy", "pcscf1.ims.example.net"), false)
			want(f.T, "the failure", f.view().Failure, "Device.sip.outboundProxy: not as it was set")
			if try < 3 {
				f.nextWork(f.clock.Now())
				continue
			}
			f.nextWork(f.clock.Now().Add(time.Hour))
			f.clock.Advance(time.Hour)
		}

		// Its key was there before: it tells nothing of a delivery whose answer is lost.
		f.take("cfg-000000001")
		_, probes := f.doubt("cfg-000000002", models.EventPeriodic)
		wantList(f.T, "asked", probes, "sip.outboundProxy")
		want(f.T, "confirmed", f.probed("sip.outboundProxy", "pcscf.north.example.net"), true)
		f.state(models.ConfigurationApplied)
	})
}

func TestOptionalParametersThatTakeNoEffectAreGivenUp(t *testing.T) {
	each(t, func(f *fixture) {
		delivery := f.withVideo()
		for try := 1; try <= 4; try++ {
			if try > 1 {
				delivery = f.take("cfg-000000001")
			}
			f.applied(delivery, 1)
			_, probes := f.doubt("cfg-000000002", models.EventBoot)
			wantList(f.T, "asked", probes, "video.maxBitrate", "video.codecList")
			want(f.T, "given up", f.probed("video.maxBitrate", "512", "video.codecList", "-"), try == 4)
			if try == 3 {
				f.clock.Advance(time.Hour)
			}
		}
		f.state(models.ConfigurationApplied)
		f.account.Region = "north"
		f.rebuild()
		wantList(f.T, "with the next version", names(f.take("cfg-000000002")), "sip.outboundProxy", "video.codecList")
	})
}

func TestABootWithTheOldKeyBringsACommittedVersionAgain(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		f.applied(f.take("cfg-000000001"), 1)
		want(f.T, "confirmed", f.inform("cfg-000000001", models.EventBoot), false)
		wantList(f.T, "sent again", names(f.take("cfg-000000001")), "sip.outboundProxy")
	})
}

func TestAnOvertakenSessionChangesNothing(t *testing.T) {
	each(t, func(f *fixture) {
		f.rebuild()
		f.session()
		delivery := f.take("")
		old := f.epoch
		f.session()
		for what, tell := range map[string]func(tx *store.Tx) error{
			"sent":    func(tx *store.Tx) error { return f.room.Sent(tx, f.device, old, delivery) },
			"applied": func(tx *store.Tx) error { return f.room.Applied(tx, f.device, old, delivery, 0) },
			"refused": func(tx *store.Tx) error {
				_, err := f.room.Refused(tx, f.device, old, delivery, models.Fault{Code: 9002})
				return err
			},
			"confirm": func(tx *store.Tx) error {
				_, _, err := f.room.Confirm(tx, f.device, old, &models.Inform{ParameterKey: "cfg-000000001"})
				return err
			},
		} {
			if err := f.store.InTx(storetest.As(f.T), tell); !errors.Is(err, configuration.ErrOvertaken) {
				f.Errorf("%s: %v", what, err)
			}
		}
		f.state(models.ConfigurationSent)
	})
}

func TestAChangeWhileADeliveryIsOutWaits(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		delivery := f.take("cfg-000000001")
		f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: true}})
		f.rebuild()
		f.applied(delivery, 0)
		f.state(models.ConfigurationPending)
		want(f.T, "the applied key", f.view().AppliedKey, "cfg-000000002")
		wantList(f.T, "delivered", names(f.take("cfg-000000002")), "video.enable", "video.codecList")
	})
}

func TestATypeOutsideTheSubscriptionIsSwitchedOff(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.ClientTypes = models.DocOf([]models.ClientType{models.Mobile})
		f.rebuild()
		f.session()
		delivery := f.take("cfg-000000001")
		wantList(f.T, "delivered", names(delivery), configuration.LineEnable)
		want(f.T, "the line", delivery.Values[0].Value, "Disabled")
		f.applied(delivery, 0)
		f.session()
		full := f.take("") // even a device that lost everything gets no secret
		wantList(f.T, "delivered", names(full), configuration.PeriodicInformEnable, configuration.PeriodicInformInterval,
			configuration.PeriodicInformTime, configuration.LineEnable)
	})
}

func TestTheEndOfABindingEndsTheConfiguration(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.inTx(func(tx *store.Tx) error {
			_, _, err := f.room.Rebuild(tx, f.device, nil)
			return err
		})
		v := f.view()
		want(f.T, "the state", v.State, models.ConfigurationNone)
		want(f.T, "the desired key", v.DesiredKey, "")
		f.session()
		want(f.T, "the version in the device's row", f.device.DesiredVersion, 0)
		if f.take("") != nil {
			f.Error("something is owed")
		}
		version, _ := f.rebuild()
		want(f.T, "the next version", version, 2)
	})
}

func TestAGenericDeviceHasNoConfiguration(t *testing.T) {
	each(t, func(f *fixture) {
		f.device = f.newDevice(models.Generic, "g1")
		if version, changed := f.rebuild(); version != 0 || changed {
			f.Errorf("it got version %d", version)
		}
		v := f.view()
		want(f.T, "the state", v.State, models.ConfigurationNone)
		want(f.T, "changed at", v.ChangedAt, f.clock.Now())
	})
}

func TestViewsStayInScope(t *testing.T) {
	each(t, func(f *fixture) {
		f.rebuild()
		views, err := f.room.Get(storetest.In(f.T, []string{"south"}, models.DeviceRead), []models.ID{f.device.ID})
		if err != nil || len(views) != 0 {
			f.Errorf("another region sees %v, %v", views, err)
		}
		if _, err := f.room.Get(storetest.As(f.T, models.AccountRead), nil); models.CodeOf(err) != models.Forbidden {
			f.Errorf("without DEVICE_READ: %v", err)
		}
	})
}
