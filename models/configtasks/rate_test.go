package configtasks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configtasks"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/models/tasks"
)

// However many replicas there are, and after a time without any, a task begins no more devices than its rate allows, and each of them once.
func TestTheRateHolds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx := storetest.As(t)
		d, work := devices.New(s, clock, devices.Config{}), tasks.New(s, clock, tasks.Config{})
		var replicas []*configtasks.Room
		for range 2 { // the configuration is never asked: these devices have none
			replicas = append(replicas, configtasks.New(s, clock, d, work, configured(t, s, work)))
		}
		for i := range 40 {
			_, err := d.Register(ctx, devices.RegisterInput{IdempotencyKey: fmt.Sprint(i), OUI: "00005E", ProductClass: "Plain", SerialNumber: fmt.Sprint(i), ClientType: models.Generic})
			if err != nil {
				t.Fatal(err)
			}
		}
		task, _, err := replicas[0].Create(ctx, configtasks.CreateInput{IdempotencyKey: "1", Name: "slow", PerMinute: 60,
			Values: []models.Value{{Name: "Device.X_EXAMPLE.A", Value: "1", Type: "xsd:string"}}})
		if err != nil || task.Matched != 40 {
			t.Fatalf("%+v, %v", task, err)
		}
		long := configtasks.CreateInput{IdempotencyKey: "2", Name: "long", PerMinute: 60, Given: map[string]any{"text": strings.Repeat("x", 70_000)},
			Values: []models.Value{{Name: "Device.X_EXAMPLE.A", Value: "1", Type: "xsd:string"}}}
		if _, _, err := replicas[0].Create(ctx, long); models.CodeOf(err) != models.TooLong { // no TEXT of MySQL holds it
			t.Errorf("a long filter: %v", err)
		}
		begun := func() (n int64) {
			progress, err := replicas[0].Progress(ctx, []models.ID{task.ID})
			if err != nil {
				t.Fatal(err)
			}
			return progress[task.ID].Total - progress[task.ID].Pending
		}
		tick := func() {
			failed := make(chan error)
			for _, r := range replicas {
				go func() { failed <- r.Tick(ctx) }()
			}
			for range replicas {
				if err := <-failed; err != nil {
					t.Error(err)
				}
			}
		}
		for _, step := range []struct {
			wait time.Duration
			want int64
		}{{0, 1}, {0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Second, 3}, {time.Hour, 5}, {time.Second, 6}} {
			clock.Advance(step.wait)
			tick()
			tick()
			if got := begun(); got > step.want {
				t.Errorf("after %s more %d have begun, not %d", step.wait, got, step.want)
			}
		}
		for range 40 {
			clock.Advance(time.Second)
			tick()
		}
		clock.Advance(2 * time.Second)
		tick()
		found, err := replicas[1].ByIDs(ctx, []models.ID{task.ID})
		if err != nil || found[task.ID].State != models.JobCompleted || begun() != 40 {
			t.Errorf("%+v, %d begun, %v", found[task.ID], begun(), err)
		}
	})
}

// configured is a room with the least profile that there may be.
func configured(t *testing.T, s *store.Store, work *tasks.Room) *configuration.Room {
	t.Helper()
	var c configuration.Catalogue
	for _, name := range []string{configuration.PeriodicInformEnable, configuration.PeriodicInformInterval, configuration.PeriodicInformTime, configuration.LineEnable,
		configuration.DirectoryNumber, configuration.AuthUserName, configuration.AuthPassword, configuration.PublicURI} {
		c.Parameters = append(c.Parameters, configuration.Parameter{Name: name, Type: "xsd:string", Writable: true})
	}
	room, err := configuration.New(s, configuration.Config{Catalogue: c, Tasks: work, Name: func(path string) string { return path }})
	if err != nil {
		t.Fatal(err)
	}
	return room
}
