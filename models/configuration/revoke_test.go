package configuration_test

import (
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
)

// stand gives the account another state and lets a session of the device ask for what follows.
func (f *fixture) stand(state models.AccountState, key string) *configuration.Delivery {
	f.Helper()
	f.account.State = state
	f.rebuild()
	f.session()
	return f.take(key)
}

func (f *fixture) answered() (answered bool) {
	f.Helper()
	f.inTx(func(tx *store.Tx) (err error) {
		answered, err = f.room.Answered(tx, f.device.ID)
		return err
	})
	return answered
}

func pairs(delivery *configuration.Delivery) (list []string) {
	for _, v := range delivery.Values {
		list = append(list, v.Name+"="+v.Value)
	}
	return list
}

func TestARevocationAndItsEnd(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		off := f.stand(models.AccountSuspended, "cfg-000000001")
		wantList(f.T, "delivered", pairs(off), configuration.AuthPassword+"=", configuration.LineEnable+"=Disabled")
		want(f.T, "revokes", off.Revokes, true)
		want(f.T, "returns", off.Returns, false)
		want(f.T, "answered", f.answered(), false)
		f.applied(off, 0)
		want(f.T, "answered", f.answered(), true)
		if _, changed := f.rebuild(); changed {
			f.Error("the same state is a new version")
		}

		closed := f.stand(models.AccountTerminated, "cfg-000000002")
		wantList(f.T, "delivered", pairs(closed), configuration.AuthPassword+"=", configuration.LineEnable+"=Disabled")
		want(f.T, "the version", closed.Version, 3)
		want(f.T, "revokes", closed.Revokes, true)
		f.applied(closed, 1)
		f.state(models.ConfigurationCommitted)
		want(f.T, "answered", f.answered(), true)
		want(f.T, "confirmed by its start", f.inform("cfg-000000003", models.EventBoot), true) // it brought nothing new that a device tells

		on := f.stand(models.AccountActive, "cfg-000000003")
		wantList(f.T, "delivered", pairs(on), configuration.AuthPassword+"=example-sip-secret", configuration.LineEnable+"=Enabled")
		want(f.T, "returns", on.Returns, true)
		want(f.T, "revokes", on.Revokes, false)
	})
}

// A device that lost its answer may hold anything: it is sent everything, and told that its line is back.
func TestTheLineComesBackAfterALostAnswer(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.stand(models.AccountSuspended, "cfg-000000001")
		f.account.State = models.AccountActive
		f.rebuild()
		want(f.T, "confirmed", f.inform("cfg-000000002", models.EventPeriodic), false)
		on := f.take("cfg-000000002")
		want(f.T, "everything", on.Full, true)
		want(f.T, "returns", on.Returns, true)
	})
}

// A client type that is taken away keeps its secret; what is suspended besides loses it.
func TestATypeTakenAwayIsNoRevocation(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		f.account.ClientTypes = models.DocOf([]models.ClientType{models.Mobile})
		off := f.stand(models.AccountActive, "cfg-000000001")
		wantList(f.T, "delivered", pairs(off), configuration.LineEnable+"=Disabled")
		want(f.T, "revokes", off.Revokes, false)
		f.applied(off, 0)
		both := f.stand(models.AccountSuspended, "cfg-000000002")
		wantList(f.T, "delivered", pairs(both), configuration.AuthPassword+"=", configuration.LineEnable+"=Disabled")
		f.applied(both, 0)
		back := f.stand(models.AccountActive, "cfg-000000003")
		want(f.T, "returns", back.Returns, false)
		f.applied(back, 0)
		f.account.ClientTypes = models.DocOf([]models.ClientType{models.PC})
		on := f.stand(models.AccountActive, "cfg-000000004")
		wantList(f.T, "delivered", pairs(on), configuration.AuthPassword+"=example-sip-secret", configuration.LineEnable+"=Enabled")
		want(f.T, "returns", on.Returns, true)
	})
}

// Faults that fail any other version do not end a revocation: it comes again, three times at once and then every hour.
func TestARevocationIsNeverGivenUp(t *testing.T) {
	each(t, func(f *fixture) {
		f.settle()
		off := f.stand(models.AccountSuspended, "cfg-000000001")
		for i, fault := range []models.Fault{{Code: 9003}, offence(9007, configuration.AuthPassword), offence(9008, configuration.LineEnable)} {
			if retry := f.refused(off, fault); retry != nil {
				f.Errorf("%d: %v goes out in the same session", i, names(retry))
			}
			f.state(models.ConfigurationPending)
			f.session()
			if off = f.take("cfg-000000001"); (off == nil) != (i == 2) {
				f.Fatalf("after %d refusals it is owed %v", i+1, off)
			}
		}
		f.clock.Advance(time.Hour)
		f.session()
		if off = f.take("cfg-000000001"); off == nil || !off.Revokes {
			f.Fatalf("an hour later it is owed %v", off)
		}
		f.applied(off, 0)
		f.state(models.ConfigurationApplied)
		wantList(f.T, "events", f.codes(), "config.pending", "config.applied", "config.pending", "config.applied")
	})
}
