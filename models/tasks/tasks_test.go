package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// bench is a room with one device.
type bench struct {
	*testing.T
	store    *store.Store
	clock    *storetest.Clock
	room     *Room
	devices  *devices.Room
	device   *models.Device
	packages *packages.Room
	keys     int
}

func each(t *testing.T, f func(b *bench)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { f(newBench(t, s, clock)) })
}

func newBench(t *testing.T, s *store.Store, clock *storetest.Clock) *bench {
	t.Helper()
	b := &bench{T: t, store: s, clock: clock, devices: devices.New(s, clock, devices.Config{})}
	var err error
	b.packages, err = packages.New(s, clock, packages.Config{Dir: t.TempDir(), MaxBytes: 1 << 20, Origin: func() string { return "https://acs.example.net" }, LinkTTL: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	b.room = New(s, clock, Config{
		Packages: b.packages,
		Denied:   []string{"Device.ManagementServer.URL", "Device.X_CT-COM_UserInfo."},
		IsSecret: func(path string) bool { return strings.HasSuffix(path, "Password") },
	})
	result, err := b.devices.Register(storetest.As(t), devices.RegisterInput{
		IdempotencyKey: "device", OUI: "00AABB", ProductClass: "CPE", SerialNumber: "1", ClientType: models.Generic,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.device = b.read(result.DeviceID)
	return b
}

func (b *bench) read(id models.ID) *models.Device {
	b.Helper()
	d, err := b.devices.ByRef(storetest.As(b.T), devices.Ref{ID: id})
	if err != nil || d == nil {
		b.Fatal(d, err)
	}
	return d
}

func (b *bench) input(kind models.TaskKind) CreateInput {
	b.keys++
	in := CreateInput{IdempotencyKey: fmt.Sprint("key ", b.keys), Device: devices.Ref{ID: b.device.ID}, Kind: kind, NextLevel: true, ExpiresInSeconds: 86_400}
	object := "Device."
	switch kind {
	case models.GetValues:
		in.Paths = []string{"Device.A", "Device.B."}
	case models.SetValues:
		in.Values = []models.Value{{Name: "Device.A", Value: "5", Type: "xsd:unsignedInt"}, {Name: "Device.Password", Value: "hush", Type: "xsd:string"}}
	case models.GetNames:
		in.ObjectPath = &object
	}
	return in
}

func (b *bench) create(kind models.TaskKind) models.ID {
	b.Helper()
	id, _, err := b.room.Create(storetest.As(b.T), b.input(kind))
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) session() (epoch int64) {
	b.Helper()
	err := b.store.InTx(storetest.As(b.T), func(tx *store.Tx) (err error) {
		epoch, err = devices.TakeWork(tx, b.device)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return epoch
}

func (b *bench) next(epoch int64) (*models.Task, *models.Request) {
	b.Helper()
	task, request, err := b.room.Next(b.Context(), b.device, epoch)
	if err != nil {
		b.Fatal(err)
	}
	return task, request
}

// send begins a session and takes the next task in it.
func (b *bench) send() (*models.Task, *models.Request, int64) {
	b.Helper()
	epoch := b.session()
	task, request := b.next(epoch)
	if task == nil {
		b.Fatal("there is no task")
	}
	return task, request, epoch
}

func (b *bench) answer(task *models.Task, epoch int64, reply models.Reply) {
	b.Helper()
	if err := b.room.Answered(b.Context(), b.device, task, epoch, reply); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(id models.ID, state models.TaskState) *models.Task {
	b.Helper()
	found, err := b.room.ByIDs(storetest.As(b.T), []models.ID{id})
	if err != nil || found[id] == nil {
		b.Fatal("the task is gone", err)
	}
	if found[id].State != state {
		b.Fatalf("the task is %s, not %s", found[id].State, state)
	}
	return found[id]
}

func (b *bench) due() (at models.Time) {
	b.Helper()
	err := b.store.View(b.Context(), func(tx *store.Tx) (err error) { at, err = Due(tx, b.device.ID); return err })
	if err != nil {
		b.Fatal(err)
	}
	return at
}

// codes are the codes of the task's events, in order.
func (b *bench) codes(id models.ID) (codes []string) {
	b.Helper()
	err := b.store.View(b.Context(), func(tx *store.Tx) error {
		found, err := gorm.G[models.Event](tx.DB).Where("subject_id = ?", id).Order("n").Find(tx.Context())
		for _, e := range found {
			codes = append(codes, fmt.Sprint(e.Payload.V["code"]))
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return codes
}

func fault(code int) models.Reply {
	return models.Reply{Fault: &models.Fault{Code: code, Message: "no"}}
}

func field(t *testing.T, err error, code models.Code, path string) {
	t.Helper()
	var coded *models.Error
	if !errors.As(err, &coded) || coded.Code != code || path != "" && strings.Join(coded.Field, ".") != path {
		t.Errorf("got %v, want %s at %s", err, code, path)
	}
}

func TestCreate(t *testing.T) {
	each(t, func(b *bench) {
		in := b.input(models.SetValues)
		id, replayed, err := b.room.Create(storetest.As(b.T), in)
		if err != nil || replayed {
			b.Fatal(err)
		}
		again, replayed, err := b.room.Create(storetest.As(b.T), in)
		if err != nil || !replayed || again != id {
			b.Errorf("a replay gives %s, %v, %v", again, replayed, err)
		}
		in.Values[1].Value = "other"
		_, _, err = b.room.Create(storetest.As(b.T), in)
		field(b.T, err, models.IdempotencyKeyReused, "input.idempotencyKey")
		if got := b.read(b.device.ID); got.WorkAt != b.clock.Now() || b.due() != b.clock.Now() {
			b.Errorf("work at %v", got.WorkAt)
		}
		task := b.is(id, models.TaskPending)
		if v := task.Shown.V.Values; v[0].Value != "5" || v[1].Value != "[redacted]" {
			b.Errorf("shown %+v", v)
		}
		if task.ExpiresAt != task.CreatedAt.Add(24*time.Hour) || task.CreatedByName != "bss" || task.CreatedByKind != models.APIClientActor {
			b.Errorf("the task is %+v", task)
		}
		if codes := b.codes(id); !slices.Equal(codes, []string{"task.pending"}) {
			b.Errorf("events %v", codes)
		}

		nobody := b.input(models.Reboot)
		nobody.Device = devices.Ref{ID: models.NewID()}
		_, _, err = b.room.Create(storetest.As(b.T), nobody)
		field(b.T, err, models.NotFound, "input.device")
		_, _, err = b.room.Create(storetest.In(b.T, []string{"east"}), b.input(models.Reboot))
		field(b.T, err, models.NotFound, "input.device")
		_, _, err = b.room.Create(storetest.As(b.T, models.DeviceRead), b.input(models.Reboot))
		field(b.T, err, models.Forbidden, "")
		if hidden, err := b.room.ByIDs(storetest.In(b.T, []string{"east"}), []models.ID{id}); err != nil || len(hidden) != 0 {
			b.Errorf("out of scope: %v, %v", hidden, err)
		}
	})
}

func TestQuota(t *testing.T) {
	each(t, func(b *bench) {
		for range maxOpen {
			b.create(models.Reboot)
		}
		_, _, err := b.room.Create(storetest.As(b.T), b.input(models.Reboot))
		field(b.T, err, models.QuotaExceeded, "input.device")
		b.clock.Advance(24 * time.Hour)
		b.create(models.Reboot) // those of yesterday have expired
	})
}

func TestArguments(t *testing.T) {
	r := New(nil, models.SystemClock{}, Config{Denied: []string{"Device.ManagementServer.URL", "Device.X_CT-COM_UserInfo."}})
	text := func(s string) *string { return &s }
	set := func(path, value, kind string) CreateInput {
		return CreateInput{Kind: models.SetValues, Values: []models.Value{{Name: path, Value: value, Type: kind}}}
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("Device.P", i)
	}
	for name, c := range map[string]struct {
		in    CreateInput
		code  models.Code
		field string
	}{
		"kind":                {CreateInput{Kind: "DANCE"}, models.Invalid, "input.kind"},
		"no paths":            {CreateInput{Kind: models.GetValues}, models.Required, "input.paths"},
		"empty paths":         {CreateInput{Kind: models.GetValues, Paths: []string{}}, models.Required, "input.paths"},
		"many paths":          {CreateInput{Kind: models.GetValues, Paths: many}, models.TooLong, "input.paths"},
		"no path":             {CreateInput{Kind: models.GetValues, Paths: []string{"Device.A", ""}}, models.Required, "input.paths.1"},
		"logical name":        {CreateInput{Kind: models.GetValues, Paths: []string{"line.enable"}}, models.Invalid, "input.paths.0"},
		"double dot":          {CreateInput{Kind: models.GetValues, Paths: []string{"Device..A"}}, models.Invalid, "input.paths.0"},
		"long path":           {CreateInput{Kind: models.GetValues, Paths: []string{"Device." + strings.Repeat("x", 250)}}, models.TooLong, "input.paths.0"},
		"same path":           {CreateInput{Kind: models.GetValues, Paths: []string{"Device.A", "Device.A"}}, models.Invalid, "input.paths.1"},
		"values for get":      {CreateInput{Kind: models.GetValues, Paths: []string{"Device.A"}, Values: []models.Value{}}, models.Invalid, "input.values"},
		"object for get":      {CreateInput{Kind: models.GetValues, Paths: []string{"Device.A"}, ObjectPath: text("Device.")}, models.Invalid, "input.objectPath"},
		"paths for reboot":    {CreateInput{Kind: models.Reboot, Paths: []string{"Device.A"}}, models.Invalid, "input.paths"},
		"no values":           {CreateInput{Kind: models.SetValues}, models.Required, "input.values"},
		"object to set":       {set("Device.A.", "1", "xsd:string"), models.Invalid, "input.values.0.path"},
		"denied":              {set("Device.ManagementServer.URL", "x", "xsd:string"), models.PolicyDenied, "input.values.0.path"},
		"denied in capitals":  {set("DEVICE.ManagementServer.Url", "x", "xsd:string"), models.PolicyDenied, "input.values.0.path"},
		"denied below":        {set("Device.X_CT-COM_UserInfo.Auth.Proof", "x", "xsd:string"), models.PolicyDenied, "input.values.0.path"},
		"type":                {set("Device.A", "1", "string"), models.Invalid, "input.values.0.type"},
		"boolean":             {set("Device.A", "yes", "xsd:boolean"), models.Invalid, "input.values.0.value"},
		"int":                 {set("Device.A", "2147483648", "xsd:int"), models.Invalid, "input.values.0.value"},
		"unsignedInt":         {set("Device.A", "-1", "xsd:unsignedInt"), models.Invalid, "input.values.0.value"},
		"long":                {set("Device.A", "1.5", "xsd:long"), models.Invalid, "input.values.0.value"},
		"dateTime":            {set("Device.A", "yesterday", "xsd:dateTime"), models.Invalid, "input.values.0.value"},
		"base64":              {set("Device.A", "a", "xsd:base64"), models.Invalid, "input.values.0.value"},
		"hexBinary":           {set("Device.A", "abc", "xsd:hexBinary"), models.Invalid, "input.values.0.value"},
		"no XML":              {set("Device.A", "a\x00", "xsd:string"), models.Invalid, "input.values.0.value"},
		"too large":           {set("Device.A", strings.Repeat("&", 6<<10), "xsd:string"), models.TooLong, "input.values"},
		"no object":           {CreateInput{Kind: models.GetNames}, models.Required, "input.objectPath"},
		"next level of value": {CreateInput{Kind: models.GetNames, ObjectPath: text("Device.A"), NextLevel: true}, models.Invalid, "input.objectPath"},
		"object":              {CreateInput{Kind: models.GetNames, ObjectPath: text("a b")}, models.Invalid, "input.objectPath"},
		"expires early":       {CreateInput{Kind: models.Reboot, ExpiresInSeconds: 59}, models.Invalid, "input.expiresInSeconds"},
		"expires late":        {CreateInput{Kind: models.Reboot, ExpiresInSeconds: 2_592_001}, models.Invalid, "input.expiresInSeconds"},
	} {
		_, err := r.check(c.in)
		if err == nil {
			t.Errorf("%s is allowed", name)
			continue
		}
		t.Run(name, func(t *testing.T) { field(t, err, c.code, c.field) })
	}
	for name, in := range map[string]CreateInput{
		"whole tree": {Kind: models.GetNames, ObjectPath: text(""), NextLevel: true},
		"one name":   {Kind: models.GetNames, ObjectPath: text("Device.A")},
		"object":     {Kind: models.GetValues, Paths: []string{"Device.Services.VoiceService.1.X_CT-COM_A."}},
		"unknown":    set("Device.A", "0001-01-01T00:00:00Z", "xsd:dateTime"),
		"local time": set("Device.A", "2026-01-05T10:00:00", "xsd:dateTime"),
		"empty":      set("Device.A", "", "xsd:string"),
		"beside it":  set("Device.ManagementServer.URLs", "", "xsd:string"),
	} {
		in.ExpiresInSeconds = minExpiry
		if _, err := r.check(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
