package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

const (
	voiceProfile = "Device.Services.VoiceService.1.VoiceProfile.1."
	line         = voiceProfile + "Line."
)

// asks runs a session and returns what the client was asked beside its UI.*: a method and what it is about, and the ParameterKey that goes along.
func (p *platform) asks(client *sim.Client, session func() (sim.Outcome, error)) (list []string, err error) {
	p.t.Helper()
	p.observe(client, func(e sim.Exchange) error {
		switch m := e.Got.(type) {
		case *cwmp.SetParameterValues:
			list = append(list, fmt.Sprint("set ", m.Parameters[0].Name, " ", m.ParameterKey))
		case *cwmp.GetParameterNames:
			list = append(list, "names "+m.ParameterPath)
		case *cwmp.AddObject:
			list = append(list, fmt.Sprint("add ", m.ObjectName, " ", m.ParameterKey))
		}
		return nil
	})
	defer p.observe(client, nil)
	_, err = session()
	return list, err
}

func wantAsked(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("asked %v\n%s\ninstead of\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Objects that a client does not have are added, once, whatever number they get and whatever is lost (i4.md B.10).
func TestMissingObjects(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		second := func(id, key string, client *sim.Client, value string) string {
			task := p.push(key+id, of(p.deviceOf(client).text("id")), 600, object{"path": line + "2.Enable", "value": value})
			p.progressed(task.text("id"), "RUNNING 1/0/1/0/0/0/0")
			return task.text("id")
		}
		p.run("a second line", func(t *testing.T, p *platform) {
			id, client := p.bound()
			second(id, "a", client, "Quiescent")
			got, err := p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "names "+line, "add "+line+" cfg-000000001", "set "+line+"2.Enable cfg-000000002")
			second(id, "b", client, "Enabled")
			got, err = p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "set "+line+"2.Enable cfg-000000003")
			p.configured(client, "APPLIED", "cfg-000000003")
		})
		p.run("under another number, and gone again", func(t *testing.T, p *platform) {
			id, client := p.bound()
			second(id, "a", client, "Quiescent")
			client.SetFaults(sim.Faults{Instance: 5})
			got, err := p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "names "+line, "add "+line+" cfg-000000001", "set "+line+"5.Enable cfg-000000002")
			second(id, "b", client, "Enabled")
			got, err = p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "set "+line+"5.Enable cfg-000000003")
			client.Remove(line + "5.")
			client.SetFaults(sim.Faults{})
			second(id, "c", client, "Disabled")
			got, err = p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "set "+line+"5.Enable cfg-000000004", "names Device.Services.VoiceService.",
				"names Device.Services.VoiceService.1.VoiceProfile.", "names "+line, "add "+line+" cfg-000000003", "set "+line+"2.Enable cfg-000000004")
			p.configured(client, "APPLIED", "cfg-000000004")
		})
		for _, lost := range []string{"GetParameterNamesResponse", "AddObjectResponse", "SetParameterValuesResponse"} {
			p.run("lost "+lost, func(t *testing.T, p *platform) {
				id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
				loss := &drop{}
				client := p.client(msisdn, func(c *sim.Config) { c.HTTP = &http.Client{Transport: loss} })
				p.want(0)(client.Register(t.Context(), longTerm))
				task := second(id, "a", client, "Quiescent")
				client.SetFaults(sim.Faults{Instance: 4})
				loss.text = lost
				if _, err := client.Heartbeat(t.Context()); err == nil {
					t.Fatal("nothing was lost")
				}
				p.done(client.Retry(t.Context()))
				if client.Get(line+"4.Enable") != "Quiescent" || client.Get(line+"5.Enable") != "" {
					t.Errorf("the lines are %q and %q", client.Get(line+"4.Enable"), client.Get(line+"5.Enable"))
				}
				p.configured(client, "APPLIED", "cfg-000000002")
				p.progressed(task, "COMPLETED 1/0/0/1/0/0/0")
			})
		}
		for _, missing := range []string{line + "1.", voiceProfile} {
			p.run("REGISTER of a client without "+missing, func(t *testing.T, p *platform) {
				_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
				client := p.client(msisdn, func(c *sim.Config) { c.Missing = []string{missing} })
				p.want(0)(client.Register(t.Context(), longTerm))
				if client.Get("line.status") != "Up" || client.Get("line.directoryNumber") != msisdn {
					t.Errorf("the line is %s", client.Get("line.status"))
				}
				p.configured(client, "APPLIED", "cfg-000000001")
			})
		}
		p.run("REGISTER without a line, and its answer lost", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			loss := &drop{text: "AddObjectResponse"}
			client := p.client(msisdn, func(c *sim.Config) { c.Missing, c.HTTP = []string{line + "1."}, &http.Client{Transport: loss} })
			client.SetFaults(sim.Faults{Instance: 3})
			if _, err := client.Register(t.Context(), longTerm); err == nil {
				t.Fatal("nothing was lost")
			}
			p.want(0)(client.Retry(t.Context()))
			if client.Get(line+"3.DirectoryNumber") != msisdn || client.Get(line+"4.DirectoryNumber") != "" || client.Get("line.directoryNumber") != "" {
				t.Errorf("the numbers are %q and %q", client.Get(line+"3.DirectoryNumber"), client.Get(line+"4.DirectoryNumber"))
			}
			p.configured(client, "APPLIED", "cfg-000000001")
		})
		p.run("what is told of an object under another number", func(t *testing.T, p *platform) {
			_, msisdn, _ := p.provision(object{"initialPassword": longTerm})
			client := p.client(msisdn, func(c *sim.Config) { c.Missing = []string{line + "1."} })
			client.SetFaults(sim.Faults{Instance: 3})
			p.want(0)(client.Register(t.Context(), longTerm))
			tells := func(event models.EventName, leaf, value string) (sim.Outcome, error) {
				client.Set(line+"3."+leaf, value)
				return client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(event)}},
					[]cwmp.ParameterValue{{Name: line + "3." + leaf, Value: value, Type: "xsd:string"}})
			}
			p.done(tells(models.EventPeriodic, "Status", "Error"))
			d := p.query(`query($id: ID!) { device(ref: {id: $id}) { registrations { lineIndex status } parameters(pathPrefix: "`+line+`") { nodes { path value } } } }`,
				object{"id": p.deviceOf(client).text("id")})
			if got := fmt.Sprint(d.at("device.registrations")); got != "[map[lineIndex:1 status:ERROR]]" {
				t.Error(got)
			}
			if got := fmt.Sprint(d.at("device.parameters.nodes")); !strings.Contains(got, "map[path:"+line+"1.Status value:Error]") || strings.Contains(got, line+"3.") {
				t.Error(got)
			}
			client.SetFaults(sim.Faults{})
			got := p.deliveries(client, func() (sim.Outcome, error) { return tells(models.EventValueChange, "SIP.AuthPassword", "other") })
			if got != nil {
				t.Errorf("a secret was read: %v", got)
			}
			got = p.deliveries(client, func() (sim.Outcome, error) { return tells(models.EventValueChange, "Enable", "Disabled") })
			if len(got) != 1 || !slices.Equal(got[0], []string{line + "3.Enable=Enabled"}) {
				t.Errorf("delivered %v", got)
			}
		})
		p.run("a mobile client without a line", func(t *testing.T, p *platform) {
			mdn := "+8613900000077"
			_, _, _ = p.provision(object{"boundMobile": mdn, "clientTypes": []string{"MOBILE"}})
			client := p.phone(mdn, func(c *sim.Config) { c.Missing = []string{line + "1."} })
			p.loginBySMS(client, mdn)
			if client.Get("line.status") != "Up" {
				t.Errorf("the line is %s", client.Get("line.status"))
			}
		})
		p.run("a client that adds nothing", func(t *testing.T, p *platform) {
			id, client := p.bound()
			task := second(id, "a", client, "Quiescent")
			client.SetFaults(sim.Faults{Methods: map[string]int{"AddObject": 9000}})
			got, err := p.asks(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			wantAsked(t, got, err, "names "+line, "add "+line+" cfg-000000001", "set "+line+"2.Enable cfg-000000002",
				"names Device.Services.VoiceService.", "names Device.Services.VoiceService.1.VoiceProfile.", "names "+line,
				"set Device.Services.VoiceService.1.VoiceProfile.1.Enable cfg-000000002")
			p.configured(client, "APPLIED", "cfg-000000002")
			p.progressed(task, "COMPLETED_WITH_FAILURES 1/0/0/0/1/0/0")
			if got := p.mirrors(task); !slices.Equal(got, []string{"SET_VALUES FAILED " + line + "2.Enable"}) {
				t.Errorf("mirrors %q", got)
			}
		})
	})
}

// A configuration that does not fit into 32 KiB or 200 parameters goes out in parts: only the last brings the new key (i4.md B.10, H10).
func TestSplitConfiguration(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		const table = "Device.X_EXAMPLE_Table."
		big := func(p *platform, id string, client *sim.Client, size int) {
			for part := range 4 { // 60 values each, so that together they are more than one message takes
				var values []object
				for i := range 60 {
					path := fmt.Sprintf("%sPart%d.Entry%d", table, part, i)
					client.Set(path, "-")
					values = append(values, object{"path": path, "value": strings.Repeat("v", size)})
				}
				task := p.push(fmt.Sprint(part, id), of(p.deviceOf(client).text("id")), 6000, values...)
				p.progressed(task.text("id"), "RUNNING 1/0/1/0/0/0/0")
			}
		}
		keys := func(p *platform, client *sim.Client, session func() (sim.Outcome, error), lose int) (list []string) {
			p.observe(client, func(e sim.Exchange) error {
				set, ok := e.Got.(*cwmp.SetParameterValues)
				if !ok {
					return nil
				}
				size := 0
				for _, v := range set.Parameters {
					size += len(v.Name) + len(v.Value)
				}
				if size > 32<<10 || len(set.Parameters) > 200 {
					p.t.Errorf("%d bytes in %d parameters", size, len(set.Parameters))
				}
				if list = append(list, set.ParameterKey); len(list) == lose {
					return errLost
				}
				return nil
			})
			defer p.observe(client, nil)
			if _, err := session(); (err != nil) != (lose > 0) {
				p.t.Fatal(err)
			}
			return list
		}
		for skip, want := range [][]string{{"cfg-000000001", "cfg-000000005"}, nil} {
			p.run(fmt.Sprint("the answer to part ", skip+1, " of 2 is lost"), func(t *testing.T, p *platform) {
				id, msisdn, _ := p.provision(object{"initialPassword": longTerm})
				loss := &drop{}
				client := p.client(msisdn, func(c *sim.Config) { c.HTTP = &http.Client{Transport: loss} })
				p.want(0)(client.Register(t.Context(), longTerm))
				big(p, id, client, 1)
				loss.text, loss.skip = "SetParameterValuesResponse", skip
				if _, err := client.Heartbeat(t.Context()); err == nil {
					t.Fatal("nothing was lost")
				}
				if got := keys(p, client, func() (sim.Outcome, error) { return client.Retry(t.Context()) }, 0); !slices.Equal(got, want) {
					t.Errorf("keys %q, not %q", got, want)
				}
				p.configured(client, "APPLIED", "cfg-000000005")
			})
		}
		for name, size := range map[string]int{"more than 200 parameters": 1, "more than 32 KiB": 250} {
			p.run(name, func(t *testing.T, p *platform) {
				id, client := p.bound()
				big(p, id, client, size)
				got := keys(p, client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }, 2)
				if len(got) != 2 || got[0] != "cfg-000000001" {
					t.Fatalf("keys %q", got)
				}
				if key := client.Get("managementServer.parameterKey"); key != "cfg-000000001" {
					t.Errorf("half a configuration is %s", key)
				}
				client.SetFaults(sim.Faults{Parameters: map[string]int{table + "Part3.Entry59": 9007}})
				got = keys(p, client, func() (sim.Outcome, error) { return client.Retry(t.Context()) }, 0)
				if n := len(got); n < 4 || got[n-1] != "cfg-000000005" || got[0] != "cfg-000000001" {
					t.Fatalf("keys %q", got)
				}
				p.configured(client, "APPLIED", "cfg-000000005")
				if value := client.Get(table + "Part0.Entry0"); len(value) != size {
					t.Errorf("the client has %q", value)
				}
			})
		}
	})
}
