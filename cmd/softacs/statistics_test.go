package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models/store/storetest"
)

const bucketFields = `start end complete dimensions { value } attempts answered failed dropped answerSeizureRatio averageCallSeconds setupMsP50 setupMsP95
	mosAvg mosP05 jitterMsP95 packetLossPercent registerAttempts registerFailures videoCalls conferenceCalls talkSeconds reportingDevices expectedDevices`

// around is a range that holds now, and whole days of every zone.
func around() object {
	now := time.Now().UTC()
	return object{"from": now.Add(-48 * time.Hour).Format(time.RFC3339), "to": now.Add(48 * time.Hour).Format(time.RFC3339)}
}

// totals adds up the buckets of an account's answer.
func totals(list []any) object {
	sum := object{}
	for _, b := range list {
		for name, value := range b.(map[string]any) {
			if n, ok := value.(float64); ok {
				before, _ := sum[name].(float64)
				sum[name] = before + n
			}
		}
	}
	return sum
}

func (p *platform) accountStatistics(id, bucket string) []any {
	p.t.Helper()
	d := p.query(`query($id: ID!, $range: TimeRange!, $bucket: Bucket!) { account(ref: {id: $id}) { callStatistics(range: $range, bucket: $bucket) { `+
		bucketFields+` } } }`, object{"id": id, "range": around(), "bucket": bucket})
	list, _ := d.at("account.callStatistics").([]any)
	return list
}

// talked checks the sums of an account: calls attempted, answered, and seconds talked.
func (p *platform) talked(id string, attempts, answered, seconds float64) {
	p.t.Helper()
	for _, bucket := range []string{"HOUR", "DAY", "WEEK", "MONTH"} {
		sum := totals(p.accountStatistics(id, bucket))
		if sum["attempts"] != attempts || sum["answered"] != answered || sum["talkSeconds"] != seconds {
			p.t.Errorf("%s: %v attempts, %v answered, %v s; %v, %v, %v s were expected", bucket, sum["attempts"], sum["answered"], sum["talkSeconds"],
				attempts, answered, seconds)
		}
	}
}

// reported is what the events of an account say of statistics: code, Seq and flags.
func (p *platform) reported(id string) (list []string) {
	p.t.Helper()
	page := p.query(`query($accounts: [ID!]) { events(filter: {accountIds: $accounts, types: [STATISTICS_RECEIVED]}, first: 1000) {
		nodes { payload accountExternalId subject { __typename ... on Device { id } } } } }`, object{"accounts": []string{id}})
	nodes, _ := page.at("events.nodes").([]any)
	for _, n := range nodes {
		node := object(n.(map[string]any))
		entry := fmt.Sprintf("%s %v", node.text("payload.code"), node.at("payload.seq"))
		if flags, ok := node.at("payload.flags").([]any); ok {
			entry += fmt.Sprint(" ", flags)
		}
		if node.text("subject.__typename") != "Device" || node.text("accountExternalId") == "" {
			p.t.Errorf("event %v", node)
		}
		list = append(list, entry)
	}
	return list
}

// told waits until the events of an account say exactly this of statistics.
func (p *platform) told(id string, want ...string) {
	p.t.Helper()
	var got []string
	storetest.Eventually(p.t, "the events of reports are readable", func() bool {
		got = p.reported(id)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		p.t.Errorf("events %q, %q were expected", got, want)
	}
}

const quarter = 15 * time.Minute

// send reports and expects no word about it.
func (p *platform) send(client *sim.Client, r sim.Report) {
	p.t.Helper()
	p.want(silent)(client.SendReport(p.t.Context(), r))
}

// Flow 6.1.9 as it should be, and every rule of i4.md B.9 as the wire and the north show it.
func TestStatistics(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		p.run("a report is in every bucket, and other work follows", func(t *testing.T, p *platform) {
			id, client := p.bound()
			for name, want := range map[string]string{"statistics.enable": "1", "statistics.reportInterval": "86400", "statistics.reportTime": "1999-12-31T16:00:00Z"} {
				if got := client.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			p.turn(id, "1", "VIDEO", true)
			client.Call(90 * time.Second)
			client.Call(30 * time.Second)
			for name, n := range map[string]uint32{
				"line.stats.incomingCallsReceived": 5, "line.stats.incomingCallsAnswered": 2, "line.stats.incomingCallsFailed": 1, "line.stats.outgoingCallsFailed": 2,
				"line.stats.callsDropped": 1, "line.stats.packetsLost": 60, "statistics.videoCalls": 3, "statistics.conferenceCalls": 1,
				"statistics.registerAttempts": 7, "statistics.registerFailures": 2,
			} {
				client.Count(name, n)
			}
			got := p.deliveries(client, func() (sim.Outcome, error) { return client.Statistics(t.Context(), 24*time.Hour) })
			if len(got) != 1 || !slices.Contains(got[0], "video.enable=1") {
				t.Errorf("delivered %v", got)
			}
			p.told(id, "stats.received 1")
			p.talked(id, 7, 4, 120)
			list := p.accountStatistics(id, "DAY")
			var day object
			for _, b := range list {
				if b := object(b.(map[string]any)); b["attempts"] != float64(0) {
					day = b
				}
			}
			want := object{"attempts": 7.0, "answered": 4.0, "failed": 3.0, "dropped": 1.0, "answerSeizureRatio": 4.0 / 7, "averageCallSeconds": 30.0,
				"setupMsP50": nil, "setupMsP95": nil, "packetLossPercent": 100 * 60.0 / 6060, "registerAttempts": 7.0, "registerFailures": 2.0, "videoCalls": 3.0,
				"conferenceCalls": 1.0, "talkSeconds": 120.0, "reportingDevices": 1.0, "expectedDevices": 1.0, "jitterMsP95": 9.0, "complete": false}
			for name, value := range want {
				n, number := value.(float64)
				got, _ := day[name].(float64)
				if number && math.Abs(got-n) > 1e-9 || !number && day[name] != value {
					t.Errorf("%s is %v, not %v", name, day[name], value)
				}
			}
			if mos, _ := day["mosAvg"].(float64); mos < 4 || mos > 4.41 || day["mosP05"] != mos {
				t.Errorf("MOS %v and %v", day["mosAvg"], day["mosP05"])
			}
			if midnight := day.text("start"); midnight[10:] != "T16:00:00.000Z" { // of Shanghai
				t.Errorf("the day begins at %s", midnight)
			}
			if hours := p.accountStatistics(id, "HOUR"); len(hours) < 96 || len(hours) > 97 {
				t.Errorf("%d hours in 96", len(hours))
			}
		})
		p.run("counters are cumulative", func(t *testing.T, p *platform) {
			id, client := p.bound()
			for range 3 {
				client.Call(time.Minute)
				p.want(silent)(client.Statistics(t.Context(), quarter))
			}
			p.talked(id, 3, 3, 180)
		})
		p.run("a duplicate changes nothing", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Call(time.Minute)
			r := client.NextReport(quarter)
			p.send(client, r)
			p.done(client.Retry(t.Context()))
			p.send(client, r)
			p.told(id, "stats.received 1")
			p.talked(id, 1, 1, 60)
		})
		p.run("the first of two different reports stands", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Call(time.Minute)
			r := client.NextReport(quarter)
			p.send(client, r)
			r.Values["line.stats.totalCallTime"] = "61"
			p.send(client, r)
			p.send(client, r)
			p.told(id, "stats.received 1", "stats.conflict 1 [conflict]")
			p.talked(id, 1, 1, 60)
		})
		p.run("a gap is covered by the next report", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Call(time.Minute)
			p.send(client, client.NextReport(quarter))
			client.Call(time.Minute)
			lost := client.NextReport(quarter)
			client.Call(time.Minute)
			p.send(client, client.NextReport(quarter))
			p.talked(id, 3, 3, 180)
			p.told(id, "stats.received 1", "stats.received 3 [gap]")
			p.send(client, lost) // late, but not lost: both are right now
			p.talked(id, 3, 3, 180)
			p.told(id, "stats.received 1", "stats.received 3 [gap]", "stats.received 2")
		})
		p.run("a counter of 32 bits wraps around", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Count("line.stats.packetsReceived", 1<<32-100)
			client.Count("line.stats.packetsLost", 100)
			p.send(client, client.NextReport(quarter))
			client.Count("line.stats.packetsReceived", 300)
			client.Count("line.stats.packetsLost", 100)
			p.send(client, client.NextReport(quarter))
			p.told(id, "stats.received 1", "stats.received 2 [wrap]")
			sum := totals(p.accountStatistics(id, "DAY"))
			if got, want := sum["packetLossPercent"].(float64), 100*200/float64(1<<32+200+200); math.Abs(got-want) > 1e-12 {
				t.Errorf("loss %v, not %v", got, want)
			}
		})
		p.run("counters begin anew", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Call(time.Minute)
			client.Call(time.Minute)
			p.send(client, client.NextReport(quarter))
			client.ResetCounters(true)
			client.Call(30 * time.Second)
			p.send(client, client.NextReport(quarter))
			client.ResetCounters(false) // another BootId
			client.Call(30 * time.Second)
			p.send(client, client.NextReport(quarter))
			p.told(id, "stats.received 1", "stats.received 2 [reset]", "stats.received 1")
			p.talked(id, 4, 4, 180)
		})
		p.run("gauges are samples", func(t *testing.T, p *platform) {
			id, client := p.bound()
			for _, jitter := range []uint32{30_000, 10_000} {
				client.Call(time.Minute)
				client.Sample("line.stats.averageReceiveInterarrivalJitter", jitter)
				p.send(client, client.NextReport(quarter))
			}
			for _, b := range p.accountStatistics(id, "DAY") {
				b := object(b.(map[string]any))
				if low, _ := b["mosP05"].(float64); b["attempts"] == 2.0 && (b["jitterMsP95"] != 30.0 || low >= b["mosAvg"].(float64)) {
					t.Errorf("bucket %v", b)
				}
			}
		})
		p.run("clocks", func(t *testing.T, p *platform) {
			for skew, want := range map[time.Duration]string{
				time.Minute: "stats.received 1", -3 * time.Hour: "stats.received 1", 23 * time.Hour: "stats.received 1",
				25 * time.Hour: "stats.received 1 [clock]", -400 * 24 * time.Hour: "stats.received 1 [clock]",
			} {
				id, client := p.bound()
				client.SetFaults(sim.Faults{ClockSkew: skew})
				client.Call(time.Minute)
				p.send(client, client.NextReport(quarter))
				p.told(id, want)
				p.talked(id, 1, 1, 60)
				if sum := totals(p.accountStatistics(id, "HOUR")); sum["attempts"] != 1.0 {
					t.Errorf("%v attempts within the hours", sum["attempts"])
				}
			}
		})
		p.run("the future and the past", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Call(time.Minute)
			r := client.NextReport(quarter)
			r.Start, r.End = r.Start.Add(2*time.Hour), r.End.Add(2*time.Hour)
			p.send(client, r)
			late := client.NextReport(quarter)
			late.Start, late.End = r.Start.Add(-8*24*time.Hour), r.End.Add(-8*24*time.Hour)
			p.send(client, late)
			p.told(id, "stats.received 1 [future]")
			client.Call(time.Minute)
			r = client.NextReport(quarter)
			r.Start, r.End = r.Start.Add(-6*24*time.Hour), r.End.Add(-6*24*time.Hour)
			p.send(client, r)
			p.told(id, "stats.received 1 [future]", "stats.received 3 [gap]")
		})
		p.run("what cannot be true is in no bucket", func(t *testing.T, p *platform) {
			id, client := p.bound()
			client.Count("line.stats.incomingCallsReceived", 1)
			client.Count("line.stats.incomingCallsAnswered", 2)
			p.send(client, client.NextReport(quarter))
			client.Call(time.Minute)
			p.send(client, client.NextReport(quarter))
			client.Call(100 * time.Hour)
			p.send(client, client.NextReport(quarter))
			p.told(id, "stats.received 1 [implausible]", "stats.received 2", "stats.received 3 [implausible]")
			p.talked(id, 1, 1, 60)
		})
		p.run("a report that is none", func(t *testing.T, p *platform) {
			for name, spoil := range map[string]func(r *sim.Report){
				"Device.X_CT-COM_Statistics.BootId":      func(r *sim.Report) { r.BootID = "" },
				"Device.X_CT-COM_Statistics.Seq":         func(r *sim.Report) { r.Seq = -1 },
				"Device.X_CT-COM_Statistics.IntervalEnd": func(r *sim.Report) { r.End = r.Start },
			} {
				id, client := p.bound() // each: a second one would be too many in 15 minutes
				client.Call(time.Minute)
				r := client.NextReport(quarter)
				spoil(&r)
				if o := p.want(40)(client.SendReport(t.Context(), r)); o.Result != 2 || o.Desc != "MALFORMED: "+name {
					t.Errorf("%s: %+v", name, o)
				}
				p.talked(id, 0, 0, 0)
				p.send(client, client.NextReport(quarter)) // the next one is good
				p.talked(id, 1, 1, 60)
			}
		})
		p.run("too often", func(t *testing.T, p *platform) {
			id, client := p.bound()
			for range 3 {
				client.Call(10 * time.Second)
				p.send(client, client.NextReport(time.Minute))
			}
			p.told(id, "stats.received 1")
			p.talked(id, 1, 1, 10)
			p.send(client, client.NextReport(quarter)) // not limited, and nothing is lost
			p.told(id, "stats.received 1", "stats.received 4 [gap]")
			p.talked(id, 3, 3, 30)
		})
		p.run("every answer lost", func(t *testing.T, p *platform) {
			for n := 1; n <= 3; n++ {
				id, client := p.bound()
				client.Call(time.Minute)
				r := client.NextReport(quarter)
				p.observe(client, func(e sim.Exchange) error {
					if e.N == n {
						return errLost
					}
					return nil
				})
				if _, err := client.SendReport(t.Context(), r); err == nil {
					t.Fatalf("answer %d was not lost", n)
				}
				p.observe(client, nil)
				p.done(client.Retry(t.Context()))
				p.told(id, "stats.received 1")
				p.talked(id, 1, 1, 60)
			}
		})
	})
}

// What is asked for has bounds, and a device may be asked in another time zone.
func TestStatisticsNorth(t *testing.T) {
	eachPlatform(t, nil, func(t *testing.T, p *platform) {
		_, client := p.bound()
		client.Call(time.Minute)
		p.send(client, client.NextReport(quarter))
		device := p.deviceOf(client).text("id")
		ask := func(arguments string) string {
			return p.raw(`query($id: ID!) { device(ref: {id: $id}) { callStatistics(`+arguments+`) { start end complete attempts reportingDevices expectedDevices } } }`, object{"id": device})
		}
		now := time.Now().UTC()
		day := func(n int) string { return now.AddDate(0, 0, n).Format(time.RFC3339) }
		for arguments, want := range map[string]string{
			fmt.Sprintf(`range: {from: %q, to: %q}`, day(0), day(-1)):                                  "to must be after from",
			fmt.Sprintf(`range: {from: %q, to: %q}`, day(-91), day(0)):                                 "kept for 90 days",
			fmt.Sprintf(`range: {from: %q, to: %q}, bucket: MINUTE_5`, day(-9), day(0)):                "more than 2200 buckets",
			fmt.Sprintf(`range: {from: %q, to: %q}, timeZone: "Mars/Olympus"`, day(-9), day(0)):        "Asia/Shanghai or UTC",
			fmt.Sprintf(`range: {from: %q, to: %q}, timeZone: "Local"`, day(-9), day(0)):               "Asia/Shanghai or UTC",
			fmt.Sprintf(`range: {from: %q, to: %q}, timeZone: "Europe/London"`, day(-1), day(1)):       `"attempts":1`,
			fmt.Sprintf(`range: {from: %q, to: %q}, bucket: MINUTE_5`, day(-1), day(1)):                `"attempts":1`,
			fmt.Sprintf(`range: {from: %q, to: %q}, bucket: MONTH, timeZone: "UTC"`, day(-80), day(0)): `"complete":true`,
		} {
			if got := ask(arguments); !strings.Contains(got, want) {
				t.Errorf("%s: %.300s; %s was expected", arguments, got, want)
			}
		}
	})
}
