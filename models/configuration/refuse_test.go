package configuration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
)

func offence(code int, list ...string) models.Fault {
	fault := models.Fault{Code: 9003, Message: "Invalid arguments"}
	for _, name := range list {
		fault.Parameters = append(fault.Parameters, models.ParameterFault{Path: path(name), Name: name, Code: code})
	}
	return fault
}

// withVideo leaves a device with version 2 in its hands: video with a bit rate.
func (f *fixture) withVideo() *configuration.Delivery {
	f.Helper()
	f.settle()
	f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: true, Parameters: map[string]string{"MaxBitrate": "512"}}})
	f.rebuild()
	f.session()
	return f.take("cfg-000000001")
}

func TestAnUnsupportedOptionalParameterIsDroppedAndRemembered(t *testing.T) {
	each(t, func(f *fixture) {
		delivery := f.withVideo()
		retry := f.refused(delivery, offence(9005, "video.codecList"))
		wantList(f.T, "repeated", names(retry), "video.enable", "video.maxBitrate")
		wantList(f.T, "dropped", retry.Dropped, "video.codecList")
		f.applied(retry, 0)
		f.state(models.ConfigurationApplied)
		wantList(f.T, "unsupported", f.view().UnsupportedPaths, path("video.codecList"))

		other := f.newDevice(models.PC, "a2")
		f.device = other
		f.rebuild()
		f.session()
		for _, name := range names(f.take("")) {
			if name == "video.codecList" {
				f.Error("another device of that firmware is sent it")
			}
		}
	})
}

func TestADeliveryOfNothingButOffendersStillCarriesItsKey(t *testing.T) {
	each(t, func(f *fixture) {
		delivery := f.withVideo()
		retry := f.refused(delivery, offence(9008, names(delivery)...))
		wantList(f.T, "repeated", names(retry), "voice.enable")
		f.applied(retry, 0)
		f.state(models.ConfigurationApplied)
	})
}

func TestAnOffenderOfTheSendersOwnIsNamed(t *testing.T) {
	each(t, func(f *fixture) {
		delivery := f.withVideo()
		retry := f.refused(delivery, offence(9005, "line.features.callerIDEnable"))
		wantList(f.T, "repeated", names(retry), names(delivery)...)
		wantList(f.T, "dropped", retry.Dropped, "line.features.callerIDEnable")
	})
}

func TestAVendorParameterOfAnotherTypeIsRepeatedAsAString(t *testing.T) {
	each(t, func(f *fixture) {
		retry := f.refused(f.withVideo(), offence(9006, "video.maxBitrate"))
		wantList(f.T, "repeated", names(retry), "video.enable", "video.codecList", "video.maxBitrate")
		want(f.T, "the type", retry.Values[2].Type, "xsd:string")
	})
}

func TestASecondRefusalOfOptionalParametersWaitsForTheNextSession(t *testing.T) {
	each(t, func(f *fixture) {
		retry := f.refused(f.withVideo(), offence(9008, "video.codecList"))
		if again := f.refused(retry, offence(9005, "video.enable")); again != nil {
			f.Errorf("%v is repeated a second time", names(again))
		}
		f.state(models.ConfigurationPending)
	})
}

func TestAMandatoryOffenderFailsTheVersionUntilContentOrFirmwareChanges(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.Region = "north"
		f.rebuild()
		f.session()
		if f.refused(f.take("cfg-000000001"), offence(9007, "sip.outboundProxy")) != nil {
			f.Error("a mandatory offender was dropped")
		}
		v := f.view()
		want(f.T, "the state", v.State, models.ConfigurationFailed)
		want(f.T, "the failure", v.Failure, "Device.sip.outboundProxy: fault 9007")
		wantList(f.T, "events", f.codes(), "config.pending", "config.applied", "config.pending", "config.failed")
		f.clock.Advance(48 * time.Hour)
		f.session()
		if f.take("cfg-000000001") != nil || f.take("") != nil {
			f.Error("it is tried again")
		}
		f.nextWork(0)

		f.device.SoftwareVersion = "1.0.1"
		f.refused(f.take("cfg-000000001"), offence(9007, "sip.outboundProxy"))
		f.state(models.ConfigurationFailed)
		f.account.Services = models.DocOf([]models.ServiceFeature{{Code: configuration.Video, Enabled: true}})
		f.rebuild()
		want(f.T, "the failure", f.view().Failure, "")
		want(f.T, "the version", f.take("cfg-000000001").Version, 3)
	})
}

func TestRegistrationBringsAFailedVersionAgain(t *testing.T) {
	each(t, func(f *fixture) {
		f.rebuild()
		f.session()
		f.refused(f.take(""), offence(9005, configuration.LineEnable))
		f.state(models.ConfigurationFailed)
		f.inTx(func(tx *store.Tx) error {
			delivery, err := f.room.Everything(tx, f.device, "")
			if err != nil {
				return err
			}
			if err := f.room.Sent(tx, f.device, f.epoch, delivery); err != nil {
				return err
			}
			return f.room.Applied(tx, f.device, f.epoch, delivery, 0)
		})
		f.state(models.ConfigurationApplied)
	})
}

func TestAWholeRefusalIsTriedThreeTimesThenHourly(t *testing.T) {
	for _, code := range []int{9001, 9002, 9004, 9025, 9801} {
		each(t, func(f *fixture) {
			f.settle()
			f.account.Region = "north"
			f.rebuild()
			for try := 1; try <= 4; try++ {
				f.session()
				delivery := f.take("cfg-000000001")
				if delivery == nil {
					f.Fatalf("try %d: nothing is owed", try)
				}
				if f.refused(delivery, models.Fault{Code: code}) != nil {
					f.Errorf("try %d: it is repeated in the session", try)
				}
				f.state(models.ConfigurationPending)
				if try < 3 {
					f.nextWork(f.clock.Now())
					continue
				}
				f.nextWork(f.clock.Now().Add(time.Hour))
				f.clock.Advance(time.Hour - time.Second)
				if f.take("cfg-000000001") != nil {
					f.Errorf("try %d: it is tried before the hour", try)
				}
				f.clock.Advance(time.Second)
			}
			wantList(f.T, "events", f.codes(), "config.pending", "config.applied", "config.pending")
		})
	}
}

func TestAPermanentFaultWithoutParametersFails(t *testing.T) {
	for _, code := range []int{9000, 9003, 9005, 9006, 9007, 9008} {
		each(t, func(f *fixture) {
			f.refused(f.withVideo(), models.Fault{Code: code})
			f.state(models.ConfigurationFailed)
		})
	}
}

func TestARefusalOfAnOvertakenVersionLeavesTheNewerOne(t *testing.T) {
	each(t, func(f *fixture) {
		delivery := f.withVideo()
		f.account.Region = "north"
		f.rebuild()
		f.refused(delivery, offence(9007, "sip.outboundProxy"))
		f.state(models.ConfigurationPending)
		want(f.T, "the failure", f.view().Failure, "")
	})
}

func (f *fixture) nextWork(want models.Time) {
	f.Helper()
	f.inTx(func(tx *store.Tx) error {
		at, err := f.room.NextWork(tx, f.device.ID)
		if at != want {
			f.Errorf("next work is at %q, not %q", at, want)
		}
		return err
	})
}

func TestServicesAreChecked(t *testing.T) {
	room, err := configuration.New(nil, config())
	if err != nil {
		t.Fatal(err)
	}
	video := func(parameters map[string]string) []models.ServiceFeature {
		return []models.ServiceFeature{{Code: configuration.Voice, Enabled: true}, {Code: configuration.Video, Parameters: parameters}}
	}
	for name, c := range map[string]struct {
		services []models.ServiceFeature
		field    []string
	}{
		"fine":               {services: video(map[string]string{"MaxBitrate": "512"})},
		"a shared object":    {services: []models.ServiceFeature{{Code: configuration.CallForward, Parameters: map[string]string{"CallerIDEnable": "1"}}}},
		"an unknown code":    {[]models.ServiceFeature{{Code: "FAX"}}, []string{"input", "services", "0", "code"}},
		"a code named twice": {[]models.ServiceFeature{{Code: configuration.Voice}, {Code: configuration.Voice}}, []string{"input", "services", "1", "code"}},
		"an unknown leaf":    {video(map[string]string{"Colour": "1"}), []string{"input", "services", "1", "parameters", "Colour"}},
		"another service's":  {video(map[string]string{"CallerIDEnable": "1"}), []string{"input", "services", "1", "parameters", "CallerIDEnable"}},
		"a wrong value":      {video(map[string]string{"MaxBitrate": "fast"}), []string{"input", "services", "1", "parameters", "MaxBitrate"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := room.CheckServices(c.services)
			if c.field == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			coded, _ := err.(*models.Error)
			if coded == nil || coded.Code != models.Invalid {
				t.Fatalf("got %v", err)
			}
			wantList(t, "field", coded.Field, c.field...)
		})
	}
}

func TestLayersThatNameUnknownParametersAreRefused(t *testing.T) {
	c := config()
	c.Areas["north"]["line.status"] = "Up"
	c.Services["FAX"] = configuration.Switch{}
	c.Defaults[models.PC]["video.maxBitrate"] = "fast"
	_, err := configuration.New(nil, c)
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, line := range []string{
		"i4.areas.north: the profile has no writable parameter line.status", "i4.services: there is no service FAX",
		"i4.defaults.PC: video.maxBitrate: a whole number is needed",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("%q is not in %q", line, err)
		}
	}
}

func TestTheStateTableKnowsEveryState(t *testing.T) {
	for from, list := range configuration.Transitions {
		for _, to := range list {
			if _, known := configuration.Transitions[to]; !known {
				t.Errorf("%s leads to %s, which the table does not know", from, to)
			}
		}
	}
}
