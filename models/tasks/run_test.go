package tasks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestAnswers(t *testing.T) {
	each(t, func(b *bench) {
		get, set, names := b.create(models.GetValues), b.create(models.SetValues), b.create(models.GetNames)
		epoch := b.session()

		task, request := b.next(epoch)
		if task.ID != get || request.Method != models.GetParameterValues || !slices.Equal(request.Names, []string{"Device.A", "Device.B."}) || request.Version != 0 {
			b.Fatalf("%+v", request)
		}
		b.is(get, models.TaskSent)
		b.answer(task, epoch, models.Reply{
			Raw:    []models.Value{{Name: "Device.A", Value: "1", Type: "xsd:int"}, {Name: "Device.Password", Value: "hush", Type: "xsd:string"}},
			Values: []models.Value{{Name: devices.NameHeartbeat, Value: "300"}},
		})
		got := b.is(get, models.TaskSucceeded)
		text, _ := json.Marshal(got.Result)
		if string(text) != `{"values":[{"path":"Device.A","type":"xsd:int","value":"1"},{"path":"Device.Password","type":"xsd:string","value":"[redacted]"}]}` {
			b.Errorf("result %s", text)
		}
		if got.CompletedAt != b.clock.Now() || b.read(b.device.ID).HeartbeatSeconds != 300 {
			b.Errorf("completed at %v", got.CompletedAt)
		}

		task, request = b.next(epoch)
		if task.ID != set || request.Method != models.SetParameterValues || request.Values[1].Value != "hush" || !request.Values[1].Secret {
			b.Fatalf("%+v", request)
		}
		b.answer(task, epoch, models.Reply{Status: 0})
		if r := b.is(set, models.TaskSucceeded).Result.V["status"]; r != float64(0) {
			b.Errorf("status %v", r)
		}

		task, request = b.next(epoch)
		if task.ID != names || request.Method != models.GetParameterNames || request.Path != "Device." || !request.NextLevel {
			b.Fatalf("%+v", request)
		}
		b.answer(task, epoch, models.Reply{Names: []models.ParameterName{{Path: "Device.A", Writable: true}, {Path: "Device.B."}}})
		text, _ = json.Marshal(b.is(names, models.TaskSucceeded).Result)
		if string(text) != `{"names":[{"path":"Device.A","writable":true},{"path":"Device.B.","writable":false}]}` {
			b.Errorf("result %s", text)
		}
		if task, _ := b.next(epoch); task != nil || b.due() != 0 {
			b.Error("there is more to do")
		}
		page, err := b.devices.Parameters(storetest.As(b.T), b.device.ID, "", store.Page{First: 10})
		if err != nil || len(page.Items) != 1 || page.Items[0].Value != "5" || !*page.Items[0].Writable {
			b.Errorf("parameters %+v %v", page.Items, err)
		}
		if codes := b.codes(set); !slices.Equal(codes, []string{"task.pending", "task.sent", "task.succeeded"}) {
			b.Errorf("events %v", codes)
		}
	})
}

func TestFaults(t *testing.T) {
	each(t, func(b *bench) {
		denied := b.create(models.SetValues)
		behind := b.create(models.GetNames)
		for try := 1; try <= tries; try++ {
			task, _, epoch := b.send()
			if task.ID != denied || task.Attempts != try {
				b.Fatalf("try %d sends %+v", try, task)
			}
			b.answer(task, epoch, fault(9001))
			if try == tries {
				break
			}
			if got := b.is(denied, models.TaskPending); got.Fault.V == nil || got.Fault.V.Code != 9001 || b.due() == 0 {
				b.Errorf("fault %+v", got.Fault.V)
			}
			// Not again in this session, but the work behind it goes on.
			if task, _ := b.next(epoch); try == 1 && (task == nil || task.ID != behind) {
				b.Fatalf("next is %+v", task)
			} else if try == 1 {
				b.answer(task, epoch, models.Reply{})
			} else if task != nil {
				b.Fatalf("next is %+v", task)
			}
		}
		if got := b.is(denied, models.TaskFailed); got.Attempts != tries || got.CompletedAt.IsZero() {
			b.Errorf("%+v", got)
		}

		for _, code := range []int{9000, 9003, 9005, 9007, 9008, 9100} {
			id := b.create(models.GetValues)
			task, _, epoch := b.send()
			reply := fault(code)
			reply.Fault.Message = strings.Repeat("<", 5000)
			reply.Fault.Parameters = slices.Repeat([]models.ParameterFault{{Path: "Device.A", Code: 9005, Message: strings.Repeat("<", 5000)}}, 500)
			b.answer(task, epoch, reply)
			if got := b.is(id, models.TaskFailed); got.Fault.V.Code != code || len(got.Fault.V.Message) != maxFaultText || len(got.Fault.V.Parameters) != 7 {
				b.Errorf("after %d: %+v", code, got.Fault.V)
			}
		}
		for _, code := range []int{9002, 9004, 9022, 9032, 9800, 9899} {
			id := b.create(models.GetValues)
			task, _, epoch := b.send()
			b.answer(task, epoch, fault(code))
			b.is(id, models.TaskPending)
			task, _, epoch = b.send()
			b.answer(task, epoch, models.Reply{})
			if got := b.is(id, models.TaskSucceeded); got.Fault.V != nil {
				b.Errorf("the fault stays: %+v", got.Fault.V)
			}
		}
	})
}

func TestReboot(t *testing.T) {
	each(t, func(b *bench) {
		rebooted := func() {
			b.Helper()
			if err := b.room.Rebooted(b.Context(), b.device); err != nil {
				b.Fatal(err)
			}
		}
		id := b.create(models.Reboot)
		rebooted() // a boot before it was sent is another one
		b.is(id, models.TaskPending)
		task, request, epoch := b.send()
		if request.Method != models.RebootDevice || request.CommandKey != id.String() {
			b.Fatalf("%+v", request)
		}
		b.answer(task, epoch, models.Reply{})
		b.is(id, models.TaskAcknowledged)
		if task, _ := b.next(epoch); task != nil || b.due() != 0 {
			b.Error("it is sent again")
		}
		rebooted()
		b.is(id, models.TaskSucceeded)

		// The answer was lost, the device has started: done. It has not: once more.
		lost := func(task *models.Task) {
			b.Helper()
			if err := b.room.Lost(b.Context(), b.device, task); err != nil {
				b.Fatal(err)
			}
		}
		id = b.create(models.Reboot)
		task, _, _ = b.send()
		lost(task)
		if b.is(id, models.TaskSent); b.due() == 0 {
			b.Error("nobody looks after it")
		}
		rebooted()
		b.is(id, models.TaskSucceeded)
		id = b.create(models.Reboot)
		task, _, _ = b.send()
		lost(task)
		task, _, epoch = b.send()
		if task.ID != id || task.Attempts != 2 {
			b.Errorf("%+v", task)
		}
		b.answer(task, epoch, models.Reply{})
		b.is(id, models.TaskAcknowledged)
		b.clock.Advance(24 * time.Hour)
		b.is(id, models.TaskExpired)
	})
}

func TestLost(t *testing.T) {
	each(t, func(b *bench) {
		id := b.create(models.GetValues)
		for try := 1; try <= tries; try++ {
			b.is(id, models.TaskPending)
			task, _, _ := b.send()
			stale := *task
			if err := b.room.Lost(b.Context(), b.device, task); err != nil {
				b.Fatal(err)
			}
			// The end of a session may be told twice, and late.
			if err := b.room.Lost(b.Context(), b.device, &stale); err != nil {
				b.Fatal(err)
			}
		}
		if got := b.is(id, models.TaskFailed); got.Fault.V == nil {
			b.Error("failed without a reason")
		}

		// The replica died: nobody says Lost. The next session finds it.
		id = b.create(models.GetValues)
		old, _, oldEpoch := b.send()
		task, _, epoch := b.send()
		if task.ID != id || task.Attempts != 2 {
			b.Fatalf("%+v", task)
		}
		// The overtaken session comes back to life.
		b.answer(old, oldEpoch, fault(9005))
		if again, _ := b.next(oldEpoch); again != nil {
			b.Error("an overtaken session gets work")
		}
		if err := b.room.Lost(b.Context(), b.device, old); err != nil {
			b.Fatal(err)
		}
		b.is(id, models.TaskSent)
		b.answer(task, epoch, models.Reply{})
		b.is(id, models.TaskSucceeded)
	})
}

func TestExpiry(t *testing.T) {
	each(t, func(b *bench) {
		in := b.input(models.GetValues)
		in.ExpiresInSeconds = 60
		pending, _, err := b.room.Create(storetest.As(b.T), in)
		if err != nil {
			b.Fatal(err)
		}
		in = b.input(models.GetNames)
		in.ExpiresInSeconds = 60
		sent, _, err := b.room.Create(storetest.As(b.T), in)
		if err != nil {
			b.Fatal(err)
		}
		later := b.create(models.GetValues)
		task, _, epoch := b.send()
		b.answer(task, epoch, fault(9002)) // pending waits for the next session
		if task, _ := b.next(epoch); task == nil || task.ID != sent {
			b.Fatal("the second task is not sent")
		}
		b.clock.Advance(time.Minute)
		b.is(pending, models.TaskExpired)
		b.is(sent, models.TaskSent)
		count := func(state models.TaskState) int {
			page, err := b.room.ByDevice(storetest.As(b.T), b.device.ID, &state, store.Page{First: 10})
			if err != nil {
				b.Fatal(err)
			}
			return len(page.Items)
		}
		if count(models.TaskPending) != 1 || count(models.TaskExpired) != 1 || count(models.TaskSent) != 1 {
			b.Error("the states are listed as they are stored")
		}
		expire := func(want int) {
			b.Helper()
			if n, err := b.room.ExpireDue(b.Context()); n != want || err != nil {
				b.Errorf("%d expired, %v", n, err)
			}
		}
		expire(1)
		expire(0)
		b.clock.Advance(sessionTime)
		expire(1)
		b.is(sent, models.TaskExpired)
		b.is(later, models.TaskPending)
		if codes := b.codes(pending); !slices.Equal(codes, []string{"task.pending", "task.sent", "task.pending", "task.expired"}) {
			b.Errorf("events %v", codes)
		}
		if got := b.is(pending, models.TaskExpired); got.CompletedAt.IsZero() {
			b.Error("no time of the end")
		}
		page, err := b.room.ByDevice(storetest.As(b.T), b.device.ID, nil, store.Page{First: 2})
		if err != nil || len(page.Items) != 2 || page.Items[0].ID != later || !page.HasNext {
			b.Errorf("%+v %v", page, err)
		}
		if page, err := b.room.ByDevice(storetest.In(b.T, []string{"east"}), b.device.ID, nil, store.Page{First: 2}); err != nil || len(page.Items) != 0 {
			b.Errorf("out of scope: %+v %v", page, err)
		}
	})
}

// TestSessionsRace lets sessions of one device take work at the same time: every sending belongs to the session that is the newest then.
func TestSessionsRace(t *testing.T) {
	each(t, func(b *bench) {
		for range 5 {
			b.create(models.GetNames)
		}
		var mu sync.Mutex
		sent := map[string]int64{} // by task and try
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				d := *b.device
				var epoch int64
				err := b.store.InTx(b.Context(), func(tx *store.Tx) (err error) { epoch, err = devices.TakeWork(tx, &d); return err })
				for err == nil {
					var task *models.Task
					task, _, err = b.room.Next(b.Context(), &d, epoch)
					if task == nil {
						break
					}
					mu.Lock()
					key := fmt.Sprint(task.ID, task.Attempts)
					if other, twice := sent[key]; twice {
						b.Errorf("sessions %d and %d both hold try %d of a task", other, epoch, task.Attempts)
					}
					sent[key] = epoch
					mu.Unlock()
					err = b.room.Answered(b.Context(), &d, task, epoch, models.Reply{})
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
		epoch := b.session()
		for task, _ := b.next(epoch); task != nil; task, _ = b.next(epoch) {
			b.answer(task, epoch, models.Reply{})
		}
		states := map[models.TaskState]int{}
		page, err := b.room.ByDevice(storetest.As(b.T), b.device.ID, nil, store.Page{First: 100})
		if err != nil {
			b.Fatal(err)
		}
		for _, task := range page.Items {
			states[task.State]++
		}
		if states[models.TaskSucceeded]+states[models.TaskFailed] != 5 || states[models.TaskSucceeded] == 0 {
			b.Errorf("states %v", states)
		}
	})
}

// A device answered GetParameterAttributes with the path of an object, and everything below it was taken to have that notification.
func TestObjectsHaveNoAttributes(t *testing.T) {
	each(t, func(b *bench) {
		b.create(models.GetValues)
		task, _, epoch := b.send()
		b.answer(task, epoch, models.Reply{Raw: []models.Value{{Name: "Device.A", Value: "1"}, {Name: "Device.B", Value: "1"}}})
		in := b.input(models.GetValues)
		in.Kind = models.GetAttributes
		id, _, err := b.room.Create(storetest.As(b.T), in)
		if err != nil {
			b.Fatal(err)
		}
		task, _, epoch = b.send()
		b.answer(task, epoch, models.Reply{Attributes: []models.ParameterAttribute{{Path: "Device.", Notification: 2}, {Path: "Device.B", Notification: 1}}})
		if text, _ := json.Marshal(b.is(id, models.TaskSucceeded).Result); strings.Contains(string(text), `"Device."`) {
			b.Errorf("result %s", text)
		}
		page, err := b.devices.Parameters(storetest.As(b.T), b.device.ID, "", store.Page{First: 10})
		if err != nil || len(page.Items) != 2 || page.Items[0].Notification != nil || page.Items[1].Notification == nil || *page.Items[1].Notification != 1 {
			b.Errorf("%+v, %v", page.Items, err)
		}
	})
}
