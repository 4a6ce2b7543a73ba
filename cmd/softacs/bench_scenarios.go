package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// scenario is one thing that is measured against its floor: a bare net/http server that answers the same bytes.
type scenario struct {
	name string
	// what tells the reader what is done; floor what the floor does beside answering.
	what, floor string
	unit        string
	target      float64 // of server CPU as a multiple of the floor's; 0: none
	// north: GraphQL on a connection that stays open. Otherwise each session is on a TCP connection of its own.
	north bool
	// prepare makes something ready that each client then does once; nil: it is done for as long as it is measured.
	prepare func(l *load, ctx context.Context) error
	once    func(ctx context.Context, l *load) error
}

const (
	eventScenario   = "event"
	webhookScenario = "webhook"
)

var scenarios = []scenario{
	{
		name: "heartbeat", unit: "session", target: 2.5,
		what: "new TCP connection, Inform → 401, Inform with digest → 200, empty POST → 204",
		once: func(ctx context.Context, l *load) error {
			c := <-l.clients
			defer func() { l.clients <- c }()
			return l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.Heartbeat(ctx) })
		},
	},
	{
		name: "register", unit: "journey",
		what: "GETPWD (3 POSTs, an SMS) and REGISTER with that password by a new installation (5 POSTs, the whole configuration)",
		once: register,
	},
	{
		name: "task", unit: "session", prepare: (*load).giveTasks,
		what: "heartbeat that carries a queued task, GetParameterValues",
		once: func(ctx context.Context, l *load) error {
			c := <-l.clients
			defer func() { l.clients <- c }()
			return l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.Heartbeat(ctx) })
		},
	},
	{
		name: "statistics", unit: "session",
		what: "STATISTICS report of 15 minutes with counters and gauges, on a new TCP connection like the heartbeat",
		once: func(ctx context.Context, l *load) error {
			c := <-l.clients
			defer func() { l.clients <- c }()
			c.Call(time.Minute)
			return l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.Statistics(ctx, 15*time.Minute) })
		},
	},
	{
		name: "screen", unit: "session", prepare: (*load).orderScreens,
		what: "0 BOOTSTRAP, 1 BOOT and REGISTER of a magic screen in stock whose order is there (3 POSTs, the whole configuration)",
		once: func(ctx context.Context, l *load) error {
			c := <-l.screens
			return l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.RegisterScreen(ctx) })
		},
	},
	{
		name: "account", unit: "request", north: true,
		what: "account(ref:) with its services, its bindings and their devices",
		once: func(ctx context.Context, l *load) error {
			c := <-l.clients
			l.clients <- c
			var account struct{ ID string }
			err := l.do(ctx, accountQuery, values{"id": c.account}, &account)
			if err == nil && account.ID != c.account {
				err = fmt.Errorf("account %q was answered", account.ID)
			}
			return err
		},
	},
	{
		name: "provision", unit: "request", north: true,
		what: "provisionAccount", floor: "inserts the same rows by SQL and commits",
		once: func(ctx context.Context, l *load) error {
			_, _, _, err := l.provision(ctx, nil)
			return err
		},
	},
	{
		name: eventScenario, unit: "event",
		what: "one change heard by every subscriber of eventStream",
	},
	{
		name: webhookScenario, unit: "event",
		what: "saveWebhook from the start of the log, until the receiver has the last event", floor: "is bare HTTP posts of the same bodies to the same receiver",
	},
}

func scenarioOf(name string) (scenario, error) {
	for _, s := range scenarios {
		if s.name == name {
			return s, nil
		}
	}
	return scenario{}, fmt.Errorf("there is no scenario %q", name)
}

// customer reads the SMS of one account, on behalf of all its installations.
type customer struct {
	number, mobile models.Number
	read           int64 // of the file
}

// password waits for the next SMS and returns the password in it.
func (c *customer) password(ctx context.Context, smsFile string) (models.Secret, error) {
	f, err := os.Open(smsFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for {
		text, err := io.ReadAll(io.NewSectionReader(f, c.read, 1<<40))
		if err != nil {
			return "", err
		}
		whole := bytes.LastIndexByte(text, '\n') + 1
		c.read += int64(whole)
		for line := range bytes.Lines(text[:whole]) {
			var m struct{ To, Text string }
			if json.Unmarshal(line, &m) == nil && m.To == c.mobile.E164() {
				return models.Secret(oneTimePassword.FindString(m.Text)), nil
			}
		}
		if err := (models.SystemClock{}).Wait(ctx, time.Millisecond); err != nil {
			return "", err
		}
	}
}

// register takes a new installation through 6.1.1 and 6.1.2.
func register(ctx context.Context, l *load) error {
	p := <-l.people
	defer func() { l.people <- p }()
	c, err := l.client(p.number)
	if err != nil {
		return err
	}
	if err := l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.GetPassword(ctx) }); err != nil {
		return fmt.Errorf("get password: %w", err)
	}
	password, err := p.password(ctx, l.SMSFile)
	if err != nil {
		return err
	}
	if err := l.on(ctx, c.wire, func() (sim.Outcome, error) { return c.Register(ctx, password) }); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// replay says to the floor what a scenario said to the platform.
type replay struct {
	scenario   scenario
	url        string
	transcript transcript
	client     *http.Client // of the north
}

func newReplay(floor string, s scenario, t transcript) *replay {
	return &replay{scenario: s, url: floor + "/" + s.name, transcript: t,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
}

// once plays the transcript; an answer of another status is an error.
func (r *replay) once(ctx context.Context) error {
	for i, exchanges := range r.transcript {
		client := r.client
		if !r.scenario.north {
			client = &http.Client{Transport: &http.Transport{}}
		}
		for _, x := range exchanges {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/%d", r.url, i), bytes.NewReader(x.Body))
			if err != nil {
				return err
			}
			request.Header = x.Header
			answer, err := client.Do(request)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if err != nil || answer.StatusCode != x.Status {
				return fmt.Errorf("HTTP %d instead of %d, %v", answer.StatusCode, x.Status, err)
			}
		}
		if !r.scenario.north {
			client.CloseIdleConnections()
		}
	}
	return nil
}
