package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// benchLoadCommand is the load generator of the bench: it does what its parent asks for, one line of JSON after the other.
type benchLoadCommand struct{}

type loadRequest struct {
	Setup             *loadSetup
	Scenario          string
	Prepare           bool    // make the scenario ready
	Subscribe, Events int     // open so many subscriptions, make so many events
	Hook              bool    // receive what a webhook delivers
	Floor             string  // URL of the floor; empty: the platform
	Seconds           float64 // 0: what was prepared, once
	Workers           int
}

type loadSetup struct {
	North, South, SMSFile string
	Clients, Workers      int
}

type loadAnswer struct {
	Latencies   []time.Duration
	Transcripts map[string]transcript // of the setup
	Hooked      hooked
}

// load is its state.
type load struct {
	loadSetup
	profile     *i4.Profile
	bss         *bss
	first       int // of the numbers of this run
	count       atomic.Int64
	clients     chan *benchClientState
	people      chan *customer         // whose clients register anew
	screens     chan *benchClientState // in stock, with an order
	transcripts map[string]transcript
	audience    *audience
	subscribers int
}

// benchClientState is a registered client.
type benchClientState struct {
	*sim.Client
	*wire
	account string // GraphQL id
	device  string
	number  models.Number
}

// Run serves its parent until that closes the pipe.
func (benchLoadCommand) Run(ctx context.Context) error {
	http.DefaultClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	var l *load
	return serveChild("", func(q loadRequest) (any, error) {
		if q.Setup != nil {
			var err error
			l, err = newLoad(ctx, *q.Setup)
			if err != nil {
				return nil, err
			}
			return loadAnswer{Transcripts: l.transcripts}, nil
		}
		s, err := scenarioOf(q.Scenario)
		switch {
		case err != nil:
			return nil, err
		case q.Subscribe > 0:
			l.subscribers = q.Subscribe
			return loadAnswer{}, l.subscribe(ctx, q.Subscribe)
		case q.Events > 0:
			return l.tell(ctx, q.Events, l.subscribers)
		case q.Hook:
			return l.hook(ctx)
		case q.Prepare:
			return loadAnswer{}, s.prepare(l, ctx)
		case q.Floor != "":
			r := newReplay(q.Floor, s, l.transcripts[s.name])
			defer r.client.CloseIdleConnections()
			return l.drive(ctx, q, s, r.once)
		}
		return l.drive(ctx, q, s, func(ctx context.Context) error { return s.once(ctx, l) })
	})
}

// drive does a thing with so many workers until the time is over, or as often as there are clients.
func (l *load) drive(ctx context.Context, q loadRequest, s scenario, once func(context.Context) error) (answer loadAnswer, err error) {
	if err := l.bss.authenticate(ctx); err != nil { // the token lasts longer than what follows
		return answer, err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var left atomic.Int64
	left.Store(int64(l.Clients))
	deadline := time.Now().Add(time.Duration(q.Seconds * float64(time.Second)))
	for range q.Workers {
		wg.Go(func() {
			var took []time.Duration
			var failed error
			for failed == nil && (q.Seconds > 0 && time.Now().Before(deadline) || q.Seconds == 0 && left.Add(-1) >= 0) {
				began := time.Now()
				failed = once(ctx)
				took = append(took, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			answer.Latencies = append(answer.Latencies, took...)
			if failed != nil {
				err = fmt.Errorf("%s: %w", s.name, failed)
			}
		})
	}
	wg.Wait()
	return answer, err
}

// newLoad provisions and registers the clients and records what each scenario says on the wire.
func newLoad(ctx context.Context, setup loadSetup) (*load, error) {
	profile, err := i4.Load(nil)
	if err != nil {
		return nil, err
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	l := &load{loadSetup: setup, profile: profile, bss: &bss{north: setup.North, id: benchClient, secret: benchSecret},
		// Numbers of a run of its own, so that a database may see several runs.
		first:   int(binary.BigEndian.Uint32(random[:]) % 900),
		clients: make(chan *benchClientState, setup.Clients), people: make(chan *customer, setup.Workers),
		screens: make(chan *benchClientState, setup.Clients), transcripts: map[string]transcript{}}
	if err := l.bss.authenticate(ctx); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	errs := make(chan error, setup.Clients+setup.Workers)
	slots := make(chan struct{}, setup.Workers)
	for i := range setup.Clients + setup.Workers {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs <- l.join(ctx, i < setup.Clients)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for _, s := range scenarios {
		if s.once == nil {
			continue
		}
		if err := l.record(ctx, s); err != nil {
			return nil, fmt.Errorf("record %s: %w", s.name, err)
		}
	}
	return l, nil
}

// join makes an account, and a client that has registered with it or a person whose clients will.
func (l *load) join(ctx context.Context, registered bool) error {
	const password = "Blue-Kite-42!"
	id, number, mobile, err := l.provision(ctx, values{"initialPassword": password})
	if err != nil {
		return err
	}
	if !registered {
		l.people <- &customer{number: number, mobile: mobile}
		return nil
	}
	c, err := l.client(number)
	if err != nil {
		return err
	}
	o, err := c.Register(ctx, password)
	if err != nil || o.Status != 0 {
		return fmt.Errorf("register: status %d %s %v", o.Status, o.Desc, errorText(err))
	}
	c.account = id
	var account struct {
		Bindings struct {
			Nodes []struct{ Device struct{ ID string } }
		}
	}
	if err := l.do(ctx, accountQuery, map[string]any{"id": id}, &account); err != nil {
		return err
	}
	c.device = account.Bindings.Nodes[0].Device.ID
	// The first heartbeat uses the new credentials for the first time, which is written down; those that are measured are the ones after it.
	if _, err := c.Heartbeat(ctx); err != nil {
		return err
	}
	c.transport.CloseIdleConnections()
	l.clients <- c
	return nil
}

type values = map[string]any

// provision makes an account with numbers of its own.
func (l *load) provision(ctx context.Context, more values) (id string, number, mobile models.Number, err error) {
	n := int(l.count.Add(1))
	number, mobile = following("862100000000", l.first*100_000+n), following("8613800000000", l.first*100_000+n)
	input := values{"idempotencyKey": number.E164(), "externalId": number.E164(), "msisdn": number.E164(), "boundMobile": mobile.E164(),
		"displayName": "Customer", "region": "shanghai"}
	for key, value := range more {
		input[key] = value
	}
	var payload struct{ Account struct{ ID string } }
	err = l.do(ctx, provisionMutation, values{"input": input}, &payload)
	return payload.Account.ID, number, mobile, err
}

const (
	provisionMutation = `mutation($input: ProvisionAccountInput!) { provisionAccount(input: $input) { account { id state } userErrors { message } } }`
	taskMutation      = `mutation($input: CreateDeviceTaskInput!) { createDeviceTask(input: $input) { task { id } userErrors { message } } }`
	accountQuery      = `query($id: ID!) { account(ref: {id: $id}) { id version externalId state msisdn impi impu displayName region boundMobile
		services { code enabled } bindings(first: 5) { nodes { id state device { id reachability softwareVersion } } } } }`
)

// do asks the north through a client of its own, whose connections stay open.
func (l *load) do(ctx context.Context, document string, variables values, into any) error {
	b := *l.bss // the token is a copy: renewing it is the owner's
	return b.do(ctx, document, variables, into)
}

// client makes a simulated client on connections of its own.
func (l *load) client(number models.Number) (*benchClientState, error) {
	c, err := l.deviceOf(sim.Config{Identity: sim.NewIdentity(), Number: number.E164()})
	if err == nil {
		c.number = number
	}
	return c, err
}

func (l *load) deviceOf(config sim.Config) (*benchClientState, error) {
	r := &wire{transport: &http.Transport{}}
	config.URL, config.Profile, config.HTTP = l.South, l.profile, &http.Client{Timeout: 30 * time.Second, Transport: r}
	c, err := sim.New(config)
	if err != nil {
		return nil, err
	}
	return &benchClientState{Client: c, wire: r}, nil
}

// giveTasks queues one task for each client.
func (l *load) giveTasks(ctx context.Context) error {
	for range l.Clients {
		c := <-l.clients
		err := l.giveTask(ctx, c)
		l.clients <- c
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *load) giveTask(ctx context.Context, c *benchClientState) error {
	return l.do(ctx, taskMutation, values{"input": values{"idempotencyKey": models.NewID().String(), "device": values{"id": c.device},
		"kind": "GET_VALUES", "paths": []string{"Device.DeviceInfo.SoftwareVersion"}}}, &struct{}{})
}

// orderScreens puts a screen into stock for each client and provisions the account that orders it.
func (l *load) orderScreens(ctx context.Context) error {
	for range l.Clients {
		c, err := l.deviceOf(sim.Config{Type: models.MagicScreen, Identity: sim.NewScreenIdentity()})
		if err != nil {
			return err
		}
		b := *l.bss
		serial := c.Get("deviceInfo.serialNumber")
		if err := b.stock(ctx, serial); err != nil {
			return err
		}
		if _, _, _, err := l.provision(ctx, values{"clientTypes": []models.ClientType{models.MagicScreen}, "screenSerial": serial}); err != nil {
			return err
		}
		l.screens <- c
	}
	return nil
}

// wire sends HTTP requests and, while it records, keeps what went over the wire.
type wire struct {
	transport *http.Transport
	recording bool
	kept      []recorded
}

// recorded is a request with its answer.
type recorded struct {
	Header       http.Header
	Body         []byte
	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

// transcript is what a scenario says on each of its connections.
type transcript [][]recorded

// RoundTrip implements http.RoundTripper.
func (r *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	if !r.recording {
		return r.transport.RoundTrip(request)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := r.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	r.kept = append(r.kept, recorded{request.Header, body, answer.StatusCode, answer.Header, text})
	return answer, nil
}

// record plays a scenario once and keeps its transcript.
func (l *load) record(ctx context.Context, s scenario) error {
	if s.north {
		r := &wire{transport: &http.Transport{}, recording: true}
		before := http.DefaultClient
		http.DefaultClient = &http.Client{Transport: r}
		defer func() { http.DefaultClient = before }()
		err := s.once(ctx, l)
		l.transcripts[s.name] = transcript{r.kept}
		return err
	}
	if s.prepare != nil {
		if err := s.prepare(l, ctx); err != nil {
			return err
		}
	}
	for range l.Clients { // everybody once, so that all that was prepared is done
		if err := s.once(context.WithValue(ctx, recordKey{}, s.name), l); err != nil {
			return err
		}
		if s.prepare == nil {
			return nil
		}
	}
	l.transcripts[s.name] = l.transcripts[s.name][:1]
	return nil
}

type recordKey struct{}

// on plays a session of a client on a connection of its own; the first one of a record is kept.
func (l *load) on(ctx context.Context, r *wire, session func() (sim.Outcome, error)) error {
	name, _ := ctx.Value(recordKey{}).(string)
	r.recording, r.kept = name != "", nil
	o, err := session()
	if r.transport.CloseIdleConnections(); r.recording {
		l.transcripts[name] = append(l.transcripts[name], r.kept)
	}
	r.recording = false
	if err == nil && o.Status != 0 && o.Status != silent {
		err = fmt.Errorf("status %d %s", o.Status, o.Desc)
	}
	return err
}

// silent is the status of a client that was told nothing.
const silent = 99
