package tasks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// FuzzGetValues takes what a device answers to GetParameterValues from the wire to the rows: whatever it is, the task ends or waits for its next
// try, and no secret is in what is shown of it.
func FuzzGetValues(f *testing.F) {
	profile, err := i4.Load(nil)
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../acs/cwmp/testdata/*response.xml")
	if err != nil || len(examples) == 0 {
		f.Fatal(examples, err)
	}
	for _, name := range append(examples, "../../acs/cwmp/testdata/26-cpe-fault-spv-9003.xml") {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	answer := func(lines string) []byte {
		return []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><e:Body>` +
			`<cwmp:GetParameterValuesResponse><ParameterList>` + lines + `</ParameterList></cwmp:GetParameterValuesResponse></e:Body></e:Envelope>`)
	}
	line := func(name, value string) string {
		return "<ParameterValueStruct><Name>" + name + "</Name><Value>" + value + "</Value></ParameterValueStruct>"
	}
	f.Add(answer(""))
	f.Add(answer(line("", "") + line("Device.A", "1") + line("Device.A", "2") + line("Device.Password", "hush-hush") + line("设备.A", "值")))
	f.Add(answer(line("Device."+strings.Repeat("A", 300), strings.Repeat("x", 70_000)) + line("Device.ManagementServer.PeriodicInformInterval", "-1")))
	f.Add(answer(line("Device.ManagementServer.PeriodicInformInterval", "99999999999999999999") + line("Device.ManagementServer.Password", "hush-hush")))
	f.Fuzz(func(t *testing.T, body []byte) {
		envelope, err := cwmp.Decode(body, "")
		if err != nil || !i4.Answers(envelope.Body, models.GetParameterValues) {
			return
		}
		reply, err := profile.Reply(envelope.Body)
		if err != nil {
			t.Fatal(err)
		}
		clock := storetest.NewClock()
		b := newBench(t, storetest.Open(t, storetest.SQLite(t), clock), clock)
		b.room.config.IsSecret = profile.IsSecret
		id := b.create(models.GetValues)
		task, _, epoch := b.send()
		b.answer(task, epoch, reply)
		found, err := b.room.ByIDs(storetest.As(t), []models.ID{id})
		if err != nil || found[id] == nil {
			t.Fatal("the task is gone", err)
		}
		switch state := found[id].State; {
		case reply.Fault == nil && state != models.TaskSucceeded, reply.Fault != nil && state != models.TaskFailed && state != models.TaskPending:
			t.Fatalf("the task is %s", state)
		}
		shown, err := json.Marshal(found[id].Result.V)
		if err != nil {
			t.Fatal(err)
		}
		var result struct{ Values []models.Value }
		if err := json.Unmarshal(shown, &result); err != nil {
			t.Fatal(err)
		}
		page, err := b.devices.Parameters(storetest.As(t), b.device.ID, "", store.Page{First: 200})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range result.Values {
			if profile.IsSecret(v.Name) && v.Value != "" && v.Value != i4.Redacted {
				t.Fatalf("the result tells %s", v.Name)
			}
		}
		for _, row := range page.Items {
			if profile.IsSecret(row.Path) && strings.Contains(string(body), row.Value) && row.Value != "" && row.Value != i4.Redacted {
				t.Fatalf("the device's parameters tell %s", row.Path)
			}
		}
	})
}
