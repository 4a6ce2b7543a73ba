package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

const (
	taskID     = "diag.taskId"
	testState  = ".diagnosticsState"
	requested  = "Requested"
	routersFar = 3 // hops to every host
)

// tests are the objects of the tests that a client can run, each with what it finds.
var tests = map[string]func(c *Client) map[string]string{
	"diag.ping": func(c *Client) map[string]string {
		return map[string]string{
			"successCount": c.store.get("diag.ping.numberOfRepetitions"), "failureCount": "0",
			"averageResponseTime": "31", "minimumResponseTime": "27", "maximumResponseTime": "39",
		}
	},
	"diag.traceroute": func(c *Client) map[string]string {
		found := map[string]string{}
		for n := 1; n <= routersFar; n++ {
			hop := "hops." + strconv.Itoa(n) + "."
			found[hop+"host"], found[hop+"hostAddress"], found[hop+"errorCode"] = "", fmt.Sprintf("192.0.2.%d", n), "0"
			found[hop+"rtTimes"] = fmt.Sprintf("%d,%d,%d", 5*n, 5*n+1, 5*n+2)
		}
		return found
	},
	"diag.download": func(c *Client) map[string]string {
		return c.transferred(map[string]string{"testBytesReceived": "10000000"})
	},
	"diag.upload": func(c *Client) map[string]string {
		return c.transferred(map[string]string{"totalBytesSent": c.store.get("diag.upload.testFileLength")})
	},
	"diag.lookup": func(*Client) map[string]string {
		return map[string]string{
			"successCount": "1", "results.1.status": "Success", "results.1.answerType": "Authoritative", "results.1.ipAddresses": "192.0.2.10,2001:db8::10",
		}
	},
	"diag.registration": func(c *Client) map[string]string {
		return map[string]string{"responseCode": "200", "responseTime": "84", "serverUsed": c.store.get("sip.outboundProxy"), "expires": "3600", "natType": "PortRestricted"}
	},
	"diag.echo": func(*Client) map[string]string {
		return map[string]string{"packetsSent": "500", "packetsReceived": "495", "jitter": "4", "rtt": "38"}
	},
}

// transferred is a transfer that ended now and took two seconds.
func (c *Client) transferred(found map[string]string) map[string]string {
	const micro = "2006-01-02T15:04:05.000000Z"
	over := c.config.Now().UTC()
	found["bomTime"], found["eomTime"] = over.Add(-2*time.Second).Format(micro), over.Format(micro)
	return found
}

// Diagnose runs the tests that the platform asked for in the sessions before, without waiting as long as a real one takes. The next session brings
// `8 DIAGNOSTICS COMPLETE`. It returns how many tests there were. A client on which nobody calls it never answers.
func (c *Client) Diagnose() (n int) {
	c.busy.Lock()
	defer c.busy.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for object, run := range tests {
		if c.store.get(object+testState) != requested {
			continue
		}
		n++
		state := c.faults.TestState
		if state == "" {
			state = "Complete"
			if object == "diag.download" || object == "diag.upload" {
				state = "Completed"
			}
			for leaf, value := range run(c) {
				c.store.put(object+"."+leaf, value)
			}
		}
		c.store.set(object+testState, state)
		c.tested = append(c.tested, object+testState)
	}
	if n > 0 {
		if c.faults.TestTaskID != "" {
			c.store.set(taskID, c.faults.TestTaskID)
		}
		c.events = append(c.events, c.event(models.EventDiagnostics)...)
	}
	return n
}

// LoseTests is what a restart does to tests and results: all are gone, and nobody is told.
func (c *Client) LoseTests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for object := range tests {
		c.store.set(object+testState, "None")
	}
	c.tested, c.events = nil, nil
}

// ended are the parameters that an `8 DIAGNOSTICS COMPLETE` brings (i4.md D.4).
func (d *dialogue) ended() (list []cwmp.ParameterValue) {
	if len(d.tested) == 0 {
		return nil
	}
	for _, name := range append([]string{taskID}, d.tested...) {
		if d.store.rows[d.store.path(name)] != nil {
			list = append(list, d.value(name, d.store.get(name)))
		}
	}
	return list
}

// ofTest tells whether a parameter belongs to the tests that any device may have.
func ofTest(name, path string) bool {
	return strings.HasPrefix(name, "diag.") && !strings.Contains(path, ".X_")
}
