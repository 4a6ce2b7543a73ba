package tasks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// publish makes a READY package of that version.
func (b *bench) publish(in packages.StartInput) *models.Package {
	b.Helper()
	ctx, content := storetest.As(b.T), "image of "+in.SoftwareVersion
	sum := sha256.Sum256([]byte(content))
	in.IdempotencyKey, in.Name, in.Size, in.Sha256 = "p"+in.SoftwareVersion+in.FileType, "image.bin", int64(len(content)), hex.EncodeToString(sum[:])
	if in.ClientType == "" {
		in.ClientType = models.Generic
	}
	if in.FileType == "" {
		in.FileType = models.FirmwareImage
	}
	p, _, err := b.packages.Start(ctx, in)
	if err == nil {
		err = b.packages.Put(ctx, p.ID, b.packages.UploadToken(p.ID), -1, strings.NewReader(content))
	}
	if err == nil {
		p, _, err = b.packages.Complete(ctx, packages.ActionInput{ID: p.ID})
	}
	if err != nil || p.State != models.PackageReady {
		b.Fatal(p, err)
	}
	return p
}

// download queues a download of a package.
func (b *bench) download(p *models.Package) models.ID {
	b.Helper()
	id, err := b.tryDownload(p.ID)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) tryDownload(id models.ID) (models.ID, error) {
	in := b.input(models.DownloadTask)
	in.PackageID = &id
	task, _, err := b.room.Create(storetest.As(b.T), in)
	return task, err
}

// accepted sends a download and lets the device accept it.
func (b *bench) accepted(id models.ID) {
	b.Helper()
	epoch := b.session()
	task, request := b.next(epoch)
	if task == nil || task.ID != id || request.Method != models.DownloadFile || request.CommandKey != id.String() {
		b.Fatalf("%+v", request)
	}
	b.answer(task, epoch, models.Reply{Status: 1})
	b.is(id, models.TaskAcknowledged)
}

// report brings a TransferComplete; code 0 is success.
func (b *bench) report(key string, code int, booted bool) {
	b.Helper()
	t := models.Transfer{CommandKey: key}
	if code != 0 {
		t.Fault = &models.Fault{Code: code, Message: "it went wrong"}
	}
	if err := b.room.Transferred(b.Context(), b.read(b.device.ID), t, booted); err != nil {
		b.Fatal(err)
	}
}

// informs is an Inform with a version.
func (b *bench) informs(version string, retry int, list ...models.InformEvent) {
	b.Helper()
	d := b.read(b.device.ID)
	d.SoftwareVersion = version
	in := &models.Inform{Events: list, RetryCount: retry, Values: map[string]models.Value{"deviceInfo.softwareVersion": {Value: version}},
		Raw: []models.Value{{Name: "Device.DeviceInfo.SoftwareVersion", Value: version}}}
	if err := b.devices.Report(b.Context(), d, in); err != nil {
		b.Fatal(err)
	}
	if err := b.room.Appeared(b.Context(), d, in); err != nil {
		b.Fatal(err)
	}
}

var boot = models.InformEvent{Name: models.EventBoot}

func TestDownloadSucceedsWithItsVersionOnly(t *testing.T) {
	each(t, func(b *bench) {
		id := b.download(b.publish(packages.StartInput{SoftwareVersion: "2.1"}))
		b.accepted(id)
		b.report(id.String(), 0, true)
		b.is(id, models.TaskAcknowledged)
		b.report(id.String(), 9010, true) // whatever is reported again
		b.informs("2.0", 1, boot)         // the same start, told again
		b.is(id, models.TaskAcknowledged)
		b.informs("2.1.0", 0, boot)
		b.is(id, models.TaskSucceeded)
		b.report(id.String(), 9010, false)
		if got := b.is(id, models.TaskSucceeded).Result.V["softwareVersion"]; got != "2.1.0" {
			b.Errorf("result %v", got)
		}
	})
}

func TestDownloadEnds(t *testing.T) {
	each(t, func(b *bench) {
		p := b.publish(packages.StartInput{SoftwareVersion: "2.1"})
		ends := func(name string, state models.TaskState, f func(id models.ID)) {
			id := b.download(p)
			f(id)
			b.is(id, state)
			if state == models.TaskSucceeded {
				b.informs("2.0", 0)
			}
			if b.Failed() {
				b.Fatal(name)
			}
		}
		ends("two starts without the version", models.TaskFailed, func(id models.ID) {
			b.accepted(id)
			b.report(id.String(), 0, true)
			b.informs("2.0", 0, boot)
			if got := b.is(id, models.TaskFailed); got.Result.V["state"] != versionMismatch {
				b.Errorf("%+v", got.Result)
			}
		})
		ends("the version without TransferComplete", models.TaskSucceeded, func(id models.ID) {
			b.accepted(id)
			b.informs("2.1", 0, boot)
		})
		ends("Status 0, then the version", models.TaskSucceeded, func(id models.ID) {
			epoch := b.session()
			task, _ := b.next(epoch)
			b.answer(task, epoch, models.Reply{Status: 0})
			b.is(id, models.TaskAcknowledged)
			b.informs("2.1", 0, boot)
		})
		ends("the answer was lost, M Download proves it", models.TaskSucceeded, func(id models.ID) {
			task, _ := b.next(b.session())
			if err := b.room.Lost(b.Context(), b.device, task); err != nil {
				b.Fatal(err)
			}
			b.is(id, models.TaskPending)
			b.informs("2.1", 0, boot, models.InformEvent{Name: models.EventMDownload, CommandKey: id.String()}, models.InformEvent{Name: models.EventTransferComplete})
			b.is(id, models.TaskAcknowledged)
			b.report(id.String(), 0, true)
		})
		ends("nothing comes in time", models.TaskExpired, func(id models.ID) {
			b.accepted(id)
			b.clock.Advance(transferTime + time.Second)
			if _, err := b.room.ExpireDue(b.Context()); err != nil {
				b.Fatal(err)
			}
			if got := b.is(id, models.TaskExpired); got.Result.V["state"] != timedOut {
				b.Errorf("%+v", got.Result)
			}
			b.report(id.String(), 0, false)
		})
		ends("the device runs it by then", models.TaskSucceeded, func(models.ID) {
			b.informs("2.1", 0)
			b.device = b.read(b.device.ID)
			if task, _ := b.next(b.session()); task != nil {
				b.Errorf("%+v was sent", task)
			}
		})
	})
}

func TestTransferFaults(t *testing.T) {
	each(t, func(b *bench) {
		p := b.publish(packages.StartInput{SoftwareVersion: "2.1"})
		for _, x := range []struct {
			code  int
			waits []time.Duration
		}{
			{9001, backOff}, {9002, backOff}, {9010, backOff}, {9012, backOff[:1]}, {9015, backOff}, {9016, backOff[:2]}, {9017, backOff}, {9013, nil},
			{9018, nil}, {9019, nil}, {9020, backOff}, {9800, backOff},
		} {
			id := b.download(p)
			for _, wait := range x.waits {
				b.accepted(id)
				b.report(id.String(), x.code, false)
				b.report(id.String(), x.code, false) // told twice, counted once
				task := b.is(id, models.TaskPending)
				if task.NextAt != b.clock.Now().Add(wait) || task.Fault.V.Code != x.code || b.due() != task.NextAt {
					b.Fatalf("%d: next at %v, %+v", x.code, task.NextAt, task.Fault.V)
				}
				b.clock.Advance(wait)
			}
			b.accepted(id)
			b.report(id.String(), x.code, false)
			if got := b.is(id, models.TaskFailed); got.Fault.V.Code != x.code || got.Attempts != len(x.waits)+1 {
				b.Errorf("%d: %+v after %d attempts", x.code, got.Fault.V, got.Attempts)
			}
		}
		if got := b.logged(models.AlarmRaised, models.Security); !slices.Equal(got, []string{"alarm.raised", "alarm.raised", "security.package_rejected"}) {
			b.Errorf("events %v", got)
		}
	})
}

// logged are those of the events of these types, in order.
func (b *bench) logged(types ...models.EventType) (list []string) {
	b.Helper()
	var rows []models.Event
	err := b.store.View(b.Context(), func(tx *store.Tx) error { return tx.DB.Where("type IN ?", types).Order("n").Find(&rows).Error })
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range rows {
		code, _ := e.Payload.V["code"].(string)
		list = append(list, code)
	}
	return list
}

func TestRefusedDownload(t *testing.T) {
	each(t, func(b *bench) {
		p := b.publish(packages.StartInput{SoftwareVersion: "2.1"})
		id := b.download(p)
		for try := 1; try <= tries; try++ { // at the next sessions, three in all (resolutions 36)
			epoch := b.session()
			task, _ := b.next(epoch)
			b.answer(task, epoch, models.Reply{Fault: &models.Fault{Code: 9001}})
			if again, _ := b.next(epoch); again != nil {
				b.Error("tried again in the same session")
			}
		}
		b.is(id, models.TaskFailed)
		id = b.download(p)
		epoch := b.session()
		task, _ := b.next(epoch)
		b.answer(task, epoch, models.Reply{Fault: &models.Fault{Code: 9000}})
		b.is(id, models.TaskFailed)
	})
}

func TestStrangeTransfers(t *testing.T) {
	each(t, func(b *bench) {
		id := b.download(b.publish(packages.StartInput{SoftwareVersion: "2.1"}))
		b.report(id.String(), 0, false) // nobody asked the device yet
		b.is(id, models.TaskPending)
		b.accepted(id)
		other := b.other()
		if err := b.room.Transferred(b.Context(), other, models.Transfer{CommandKey: id.String()}, false); err != nil {
			b.Fatal(err)
		}
		b.is(id, models.TaskAcknowledged)
		if got := b.logged(models.Security); !slices.Equal(got, []string{"security.foreign_command_key"}) {
			b.Errorf("events %v", got)
		}
		b.report("upg-20120110-000137-7f3c0a9e", 9010, false)
		b.report(models.NewID().String(), 0, false)
		for range maxReports + 5 {
			t := models.Transfer{Autonomous: true, CommandKey: id.String(), FileType: models.FirmwareImage, URL: strings.Repeat("u", 2000)}
			if err := b.room.Transferred(b.Context(), b.device, t, false); err != nil {
				b.Fatal(err)
			}
		}
		b.is(id, models.TaskAcknowledged)
		reports, err := b.room.Reports(b.Context(), b.device.ID)
		if err != nil || len(reports) != maxReports || !reports[0].Autonomous || len(reports[0].URL) != 1024 {
			b.Errorf("%d reports, %v", len(reports), err)
		}
	})
}

func TestDownloadArguments(t *testing.T) {
	each(t, func(b *bench) {
		b.informs("2.0", 0)
		refused := func(name string, id models.ID, code models.Code, field string) {
			b.Helper()
			_, err := b.tryDownload(id)
			b.wants(name, err, code, field)
		}
		refused("no package", models.NewID(), models.NotFound, "packageId")
		refused("another client type", b.publish(packages.StartInput{SoftwareVersion: "2.1", ClientType: models.PC}).ID, models.PolicyDenied, "packageId")
		refused("another model", b.publish(packages.StartInput{SoftwareVersion: "2.2", Models: []string{"X"}}).ID, models.PolicyDenied, "packageId")
		refused("a downgrade", b.publish(packages.StartInput{SoftwareVersion: "1.9"}).ID, models.PolicyDenied, "packageId")
		refused("too old a version", b.publish(packages.StartInput{SoftwareVersion: "2.3", MinFromVersion: "2.1"}).ID, models.PolicyDenied, "packageId")
		p := b.publish(packages.StartInput{SoftwareVersion: "2.4", Models: []string{"X", "CPE"}})
		id := b.download(p)
		refused("a second one", p.ID, models.StateConflict, "kind")
		if _, _, err := b.packages.Retire(storetest.As(b.T), packages.ActionInput{ID: p.ID}); err != nil {
			b.Fatal(err)
		}
		if task, _ := b.next(b.session()); task != nil {
			b.Errorf("%+v was sent", task)
		}
		if got := b.is(id, models.TaskFailed).Fault.V; got.Code != 8002 {
			b.Errorf("%+v", got)
		}
		refused("a retired package", p.ID, models.StateConflict, "packageId")

		in := b.input(models.DownloadTask)
		_, _, err := b.room.Create(storetest.As(b.T), in)
		b.wants("no argument", err, models.Required, "packageId")
		in = b.input(models.Reboot)
		in.PackageID = &p.ID
		_, _, err = b.room.Create(storetest.As(b.T), in)
		b.wants("a strange argument", err, models.Invalid, "packageId")
		in = b.input(models.Reboot)
		in.DelaySeconds = 5
		_, _, err = b.room.Create(storetest.As(b.T), in)
		b.wants("a strange delay", err, models.Invalid, "delaySeconds")
	})
}

func TestFileWithoutVersion(t *testing.T) {
	each(t, func(b *bench) {
		id := b.download(b.publish(packages.StartInput{SoftwareVersion: "settings 7", FileType: "3 Vendor Configuration File"}))
		b.accepted(id)
		b.report(id.String(), 0, false)
		b.is(id, models.TaskSucceeded)
	})
}

// other is another device.
func (b *bench) other() *models.Device {
	b.Helper()
	result, err := b.devices.Register(storetest.As(b.T), devices.RegisterInput{
		IdempotencyKey: "other", OUI: "00AABB", ProductClass: "CPE", SerialNumber: "2", ClientType: models.Generic,
	})
	if err != nil {
		b.Fatal(err)
	}
	return b.read(result.DeviceID)
}

// wants checks a refusal.
func (b *bench) wants(name string, err error, code models.Code, field string) {
	b.Helper()
	var e *models.Error
	if !errors.As(err, &e) || e.Code != code || !slices.Equal(e.Field, []string{"input", field}) {
		b.Errorf("%s: %v", name, err)
	}
}

func TestOffer(t *testing.T) {
	each(t, func(b *bench) {
		p := b.publish(packages.StartInput{SoftwareVersion: "2.1"})
		for _, want := range []bool{true, false} {
			if queued, err := b.room.Offer(b.Context(), b.device, p, models.UpgradeMandatory); err != nil || queued != want {
				b.Errorf("queued: %v, %v", queued, err)
			}
		}
	})
}
