package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/docs/events/eventstest"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/store/storetest"
)

// platform is the whole program, served on free ports, as its users see it: the BSS through GraphQL, clients through the ACS, people through SMS.
type platform struct {
	t      *testing.T
	app    *app
	stop   func() error // ends it; again: the same answer
	north  string
	south  string
	portal string // URL of the token portal
	token  string
	sms    string   // the file that SMS are appended to
	tap    *wiretap // what its clients sent and got
}

// eachPlatform runs f on both databases.
func eachPlatform(t *testing.T, change func(*Config), f func(t *testing.T, p *platform)) {
	t.Helper()
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			f(t, startPlatform(t, labConfig(t, database(t), change)))
		})
	}
}

// run is t.Run with the platform reporting to the subtest.
func (p *platform) run(name string, f func(t *testing.T, p *platform)) {
	p.t.Run(name, func(t *testing.T) {
		q := *p
		q.t = t
		f(t, &q)
	})
}

func init() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the platform's own lines say nothing that a test does not
	passwordCost = operators.Config{Memory: 64, Passes: 1}
}

// labConfig is lab mode on free ports, without waiting where waiting proves nothing.
func labConfig(t *testing.T, database models.Secret, change func(*Config)) Config {
	t.Helper()
	c := defaultConfig()
	c.Lab = true
	c.Database = database
	c.North.Addr, c.South.Addr, c.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Portal.Addr = "127.0.0.1:0"
	c.SecretKeys = filepath.Join(t.TempDir(), "keys")
	if err := makeKeys(c.SecretKeys); err != nil {
		t.Fatal(err)
	}
	c.SMS = models.Secret("file:" + filepath.Join(t.TempDir(), "sms.jsonl"))
	c.Bootstrap.APIClient = "bss:a-secret-for-the-tests"
	c.Bootstrap.AdminPassword = "Correct-Horse-7"
	c.Packages.Dir = t.TempDir()
	c.I4.Auth.Iterations = 10_000
	c.I4.GetPwd.Pad = 1
	c.I4.Limits.HeartbeatSeconds = 0
	c.I4.Session.Timeout = 5 // sessions whose client lost an answer hold up the end of a test no longer
	if change != nil {
		change(&c)
	}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	return c
}

func startPlatform(t *testing.T, c Config) *platform {
	t.Helper()
	return startPlatformAt(t, c, models.SystemClock{})
}

func startPlatformAt(t *testing.T, c Config, clock models.Clock) *platform {
	t.Helper()
	a, err := start(t.Context(), c, clock)
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, app: a, stop: stopped(t, a), north: "http://" + a.northAddr.Addr().String(), south: "http://" + a.southAddr.Addr().String() + "/acs",
		portal: "http://" + a.portalAddr.Addr().String() + server.PortalPath,
		sms:    strings.TrimPrefix(c.SMS.Reveal(), "file:"), tap: newWiretap(t)}
	p.token = p.accessToken("bss", "a-secret-for-the-tests")
	return p
}

// stopped stops the platform when the returned function is called, at the latest with the test; every event that it emitted is then held
// against the schema of its type.
func stopped(t *testing.T, a *app) (stop func() error) {
	ctx := context.WithoutCancel(t.Context())
	stop = sync.OnceValue(func() error {
		eventstest.Check(ctx, t, a.store, false)
		return a.stop(ctx)
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

func (p *platform) accessToken(id, secret string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.north+"/oauth/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || body.AccessToken == "" {
		p.t.Fatalf("no token: HTTP %d, %v", answer.StatusCode, err)
	}
	return body.AccessToken
}

// object is a JSON object with shorthands.
type object map[string]any

// at follows keys and list indexes, as in "edges.0.node"; nil if there is nothing.
func (o object) at(path string) any {
	var v any = map[string]any(o)
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (o object) text(path string) string {
	s, _ := o.at(path).(string)
	return s
}

// query runs an operation and returns its data; an error of the protocol ends the test.
func (p *platform) query(document string, variables object) object {
	p.t.Helper()
	var result struct {
		Data   object
		Errors []object
	}
	raw := p.raw(document, variables)
	if err := json.Unmarshal([]byte(raw), &result); err != nil || len(result.Errors) > 0 {
		p.t.Fatalf("%s\n%s", document, raw)
	}
	return result.Data
}

// raw runs an operation and returns the body of the answer.
func (p *platform) raw(document string, variables object) string {
	p.t.Helper()
	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.north+"/graphql", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(raw)
}

// mutate runs a mutation with one input and fails the test on a userError.
func (p *platform) mutate(name, selection string, input object) object {
	p.t.Helper()
	inputType := strings.ToUpper(name[:1]) + name[1:] + "Input"
	switch name {
	case "redeliverConfiguration":
		inputType = "RedeliverInput"
	case "activateAccount", "resumeAccount", "terminateAccount", "unlockAccount", "endLogins":
		inputType = "AccountActionInput"
	case "rotateApiClientSecret":
		inputType = "TargetActionInput"
	case "cancelDeviceTask":
		inputType = "TargetActionInput"
	case "startDeviceTrace":
		inputType = "TraceInput"
	}
	data := p.query(fmt.Sprintf("mutation($input: %s!) { %s(input: $input) { %s replayed userErrors { code message field } } }", inputType, name, selection), object{"input": input})
	payload, _ := data[name].(map[string]any)
	if list, _ := payload["userErrors"].([]any); len(list) > 0 {
		p.t.Fatalf("%s: %v", name, list)
	}
	return payload
}

var number = struct{ next chan int }{make(chan int, 1)}

func init() { number.next <- 0 }

// provision makes an account with a number of its own and returns its id, number and mobile.
func (p *platform) provision(more object) (id, msisdn, mobile string) {
	p.t.Helper()
	n := <-number.next
	number.next <- n + 1
	msisdn, mobile = fmt.Sprintf("+8621%08d", 60000000+n), fmt.Sprintf("+86138%08d", n)
	input := object{"idempotencyKey": msisdn, "externalId": "sub" + msisdn, "msisdn": msisdn, "boundMobile": mobile, "region": "pudong"}
	for k, v := range more {
		input[k] = v
	}
	return p.mutate("provisionAccount", "account { id state }", input).text("account.id"), msisdn, mobile
}

type message struct{ To, Text, Purpose string }

// messages are the SMS that a mobile got so far.
func (p *platform) messages(mobile string) (list []message) {
	p.t.Helper()
	f, err := os.Open(p.sms)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			p.t.Fatal(err)
		}
		if m.To == mobile {
			list = append(list, m)
		}
	}
	return list
}

var code = regexp.MustCompile(`[2-9A-HJKMNP-Z]{8,}`)

// password waits for the nth SMS of a mobile and reads the code in it, as its owner would.
func (p *platform) password(mobile string, nth int) models.Secret {
	p.t.Helper()
	storetest.Eventually(p.t, "an SMS arrives", func() bool { return len(p.messages(mobile)) >= nth })
	return models.Secret(code.FindString(p.messages(mobile)[nth-1].Text))
}

// client makes a simulated PC client of the account.
func (p *platform) client(msisdn string, change func(*sim.Config)) *sim.Client {
	p.t.Helper()
	c := sim.Config{URL: p.south, Identity: sim.NewIdentity(), Number: "0" + strings.TrimPrefix(msisdn, "+86"), Profile: profile}
	if change != nil {
		change(&c)
	}
	c.HTTP = p.tap.on(c.HTTP)
	// The observer is set later, by observe; the client keeps asking for it.
	watch := new(atomic.Pointer[func(sim.Exchange) error])
	c.OnExchange = func(e sim.Exchange) error {
		if f := watch.Load(); f != nil {
			return (*f)(e)
		}
		return nil
	}
	client, err := sim.New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	watched.Store(client, watch)
	return client
}

// watched finds the observer of each client.
var watched sync.Map

// observe lets f see every exchange of a client from now on, and lose its answer; nil ends it.
func (p *platform) observe(client *sim.Client, f func(sim.Exchange) error) {
	watch, _ := watched.Load(client)
	pointer, _ := watch.(*atomic.Pointer[func(sim.Exchange) error])
	if f == nil {
		pointer.Store(nil)
		return
	}
	pointer.Store(&f)
}

// profile is the embedded one.
var profile = func() *i4.Profile {
	p, err := i4.Load(nil)
	if err != nil {
		panic(err)
	}
	return p
}()

// login takes a client through 6.1.1 and 6.1.2.
func (p *platform) login(client *sim.Client, mobile string) {
	p.t.Helper()
	before := len(p.messages(mobile))
	p.want(0)(client.GetPassword(p.t.Context()))
	p.want(0)(client.Register(p.t.Context(), p.password(mobile, before+1)))
}

// want returns a check of an outcome's status.
func (p *platform) want(status int) func(sim.Outcome, error) sim.Outcome {
	p.t.Helper()
	return func(o sim.Outcome, err error) sim.Outcome {
		p.t.Helper()
		if err != nil || o.Status != status {
			p.t.Fatalf("outcome %+v, %v; status %d was expected", o, err, status)
		}
		return o
	}
}

// done checks a session that tells the client nothing.
func (p *platform) done(_ sim.Outcome, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// deviceOf reads a device by its key's serial number.
func (p *platform) deviceOf(client *sim.Client) object {
	p.t.Helper()
	serial := string(client.Key())[strings.LastIndex(string(client.Key()), "-")+1:]
	d := p.query(`query($serial: String!) { device(ref: {identity: {oui: "00005E", productClass: "IMSPC", serialNumber: $serial}}) {
		id clientType softwareVersion reachability lastInformAt nextInformDueAt login { sessionId }
		configuration { desiredKey appliedKey state failure unsupportedPaths }
		bindings { nodes { id state method confirmedAt account { id } } }
	} }`, object{"serial": serial})
	device, _ := d["device"].(map[string]any)
	return device
}

// eventsOf reads the codes of all events of an account or its devices, in order.
func (p *platform) eventsOf(accountID string) (codes []string) {
	p.t.Helper()
	after := ""
	for {
		page := p.query(`query($after: String, $accounts: [ID!]) { events(after: $after, filter: {accountIds: $accounts}, first: 1000) {
			nodes { type payload } pageInfo { hasNextPage endCursor } } }`, object{"after": after, "accounts": []string{accountID}})
		nodes, _ := page.at("events.nodes").([]any)
		for _, n := range nodes {
			node := object(n.(map[string]any))
			entry := node.text("type") + " " + node.text("payload.code")
			if state := node.text("payload.state"); state != "" {
				entry += " " + state
			}
			codes = append(codes, entry)
		}
		if more, _ := page.at("events.pageInfo.hasNextPage").(bool); !more {
			return codes
		}
		after = page.text("events.pageInfo.endCursor")
	}
}
