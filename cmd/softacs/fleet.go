package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// person is a customer with a simulated client: they read their SMS and keep the client running.
type person struct {
	name    string
	kind    models.ClientType
	number  models.Number
	mobile  models.Number
	habit   habit
	smsFile string
	url     string
	// portal is the token portal that the network of a phone passes on; empty: the phone is on WiFi.
	portal  string
	profile *i4.Profile
	// say tells what happens, for people to read.
	say func(who, what string)
	// came is called when the client is authenticated for the first time, or never will be; more than once does no harm.
	came func()
}

// habit is what a person does besides keeping the client running.
type habit int

const (
	stays habit = iota
	changesPassword
	comesAndGoes
)

const (
	// settled is after how many heartbeats a person follows a habit, away how many intervals somebody stays away.
	settled = 2
	away    = 2
	// reporting is how many heartbeats lie between two reports of calls.
	reporting = 20

	chosenPassword = models.Secret("Blue-Kite-42!")
)

// The numbers of UI.Status that people here notice (i4.md B.0).
const (
	reauthenticate  = 12
	codeSent        = 20
	networkIDFailed = 23
	suspended       = 33
)

// live takes the client through its first authentication (6.1.1 and 6.1.2, or 6.1.3) and then keeps its heartbeat going until ctx ends.
func (p person) live(ctx context.Context) {
	defer p.came()
	config := sim.Config{URL: p.url, Identity: sim.NewIdentity(), Number: p.number.E164(), Profile: p.profile, OnExchange: p.watch}
	if p.kind == models.Mobile {
		config.Type, config.Identity = models.Mobile, sim.NewMobileIdentity()
		config.Number, config.MDN, config.Portal = "", p.mobile.E164(), p.portal
	}
	client, err := sim.New(config)
	if err != nil {
		p.say(p.name, err.Error())
		return
	}
	for n := 1; ; n++ {
		ok, after := p.login(ctx, client)
		if ok {
			break
		}
		if (models.SystemClock{}).Wait(ctx, max(after, client.RetryWait(n))) != nil {
			return
		}
	}
	p.came()
	barred := false
	for beat := 1; (models.SystemClock{}).Wait(ctx, client.Interval()) == nil; beat++ {
		o, err := p.beat(ctx, client, beat)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.say(p.name, "heartbeat: "+err.Error())
			continue
		case o.Status == reauthenticate:
			p.say(p.name, "is told to authenticate again")
			_, _ = p.login(ctx, client) // if it fails, the next heartbeat is told again
		case o.Status == suspended && !barred:
			barred = true
			p.say(p.name, "is told that the account is suspended; line "+client.Get("line.enable"))
		case o.Status == 0 && barred:
			barred = false
			p.say(p.name, "is back in service; line "+client.Get("line.enable"))
		}
		if client.Diagnose() > 0 {
			p.say(p.name, "runs a test that the platform asked for")
			o, err := client.Inform(ctx, models.EventDiagnostics)
			p.tell(ctx, o, err, "tells what it found (8 DIAGNOSTICS COMPLETE)")
		}
		if fault, n := client.Download(ctx); fault != 0 {
			p.say(p.name, fmt.Sprintf("cannot fetch its new version: fault %d", fault))
		} else if n > 0 {
			p.say(p.name, "fetches its new version and installs it (Download)")
			o, err := client.Boot(ctx)
			p.tell(ctx, o, err, "starts as version "+client.Get("deviceInfo.softwareVersion")+" (7 TRANSFER COMPLETE, 1 BOOT)")
		}
		if beat == settled {
			p.follow(ctx, client)
		}
	}
}

// beat is the heartbeat, or a report of calls in its place now and then.
func (p person) beat(ctx context.Context, client *sim.Client, n int) (sim.Outcome, error) {
	if n%reporting != settled {
		return client.Heartbeat(ctx)
	}
	client.Call(time.Duration(10+rand.IntN(290)) * time.Second)
	p.say(p.name, "reports its calls (X CT-COM STATISTICS)")
	return client.Statistics(ctx, 15*time.Minute)
}

// follow does what is the person's habit.
func (p person) follow(ctx context.Context, client *sim.Client) {
	switch p.habit {
	case changesPassword:
		p.say(p.name, "changes its password (X CT-COM CHANGEPWD)")
		o, err := client.ChangePassword(ctx, client.Remembered(), chosenPassword)
		p.tell(ctx, o, err, "has a password of its own now; the platform never saw it")
	case comesAndGoes:
		o, err := client.Logoff(ctx, "UserExit")
		p.tell(ctx, o, err, "logs off (X CT-COM LOGOFF)")
		if (models.SystemClock{}).Wait(ctx, away*client.Interval()) != nil {
			return
		}
		o, err = client.Boot(ctx)
		p.tell(ctx, o, err, "is back (1 BOOT)")
	}
}

// tell says done, or what went wrong instead.
func (p person) tell(ctx context.Context, o sim.Outcome, err error, done string) {
	switch {
	case ctx.Err() != nil:
	case err != nil || o.Status != 0 && o.Status != 99:
		p.say(p.name, refusal(o, err))
	default:
		p.say(p.name, done)
	}
}

func refusal(o sim.Outcome, err error) string {
	if err != nil {
		return "is not answered: " + err.Error()
	}
	return fmt.Sprintf("is refused: status %d %s", o.Status, o.Desc)
}

// login authenticates the client; if that fails it says how long the platform wants to be left alone.
func (p person) login(ctx context.Context, client *sim.Client) (ok bool, after time.Duration) {
	var o sim.Outcome
	var err error
	if p.kind == models.Mobile {
		o, err = p.phone(ctx, client)
	} else {
		o, err = p.computer(ctx, client)
	}
	switch {
	case ctx.Err() != nil:
		return false, 0
	case err != nil || o.Status != 0 || o.Result != 1:
		p.say(p.name, refusal(o, err))
		return false, time.Duration(o.RetryAfter) * time.Second
	}
	p.say(p.name, fmt.Sprintf("is authenticated; has %s, line %s, P-CSCF %s", client.Get("managementServer.parameterKey"),
		client.Get("line.enable"), client.Get("sip.outboundProxy")))
	return true, 0
}

// computer gets a password and registers with it.
func (p person) computer(ctx context.Context, client *sim.Client) (sim.Outcome, error) {
	p.say(p.name, "asks for a password (X CT-COM GETPWD)")
	before := len(p.messages())
	if o, err := client.GetPassword(ctx); err != nil || o.Status != 0 {
		return o, err
	}
	password, err := p.read(ctx, before)
	if err != nil {
		return sim.Outcome{}, err
	}
	p.say(p.name, "reads the SMS on "+p.mobile.Masked()+" and types the password")
	return client.Register(ctx, password)
}

// phone registers with the word of its network, on WiFi with a code by SMS.
func (p person) phone(ctx context.Context, client *sim.Client) (sim.Outcome, error) {
	where := "is a phone on WiFi"
	if p.portal != "" {
		p.say(p.name, "is a phone; its network vouches for "+p.mobile.Masked()+" (X CT-COM REGISTER, mode network)")
		if o, err := client.RegisterNetwork(ctx); err == nil && o.Status != networkIDFailed {
			return o, nil
		}
		where = "is not known to its network"
	}
	p.say(p.name, where+"; asks for a code (X CT-COM REGISTER, mode sms)")
	before := len(p.messages())
	if o, err := client.RegisterSMS(ctx); err != nil || o.Status != codeSent {
		return o, err
	}
	code, err := p.read(ctx, before)
	if err != nil {
		return sim.Outcome{}, err
	}
	p.say(p.name, "reads the SMS on "+p.mobile.Masked()+" and types the code")
	return client.RegisterCode(ctx, code)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// watch tells of configuration that comes with a heartbeat.
func (p person) watch(e sim.Exchange) error {
	set, ok := e.Got.(*cwmp.SetParameterValues)
	if !ok || set.ParameterKey == "" || len(set.Parameters) > shown {
		return nil
	}
	for _, v := range set.Parameters {
		switch name := p.profile.Name(v.Name); {
		case strings.HasPrefix(name, "auth."):
			return nil // a proof is going on
		case strings.HasPrefix(name, "ui.") || strings.HasPrefix(name, "diag.") || strings.HasPrefix(name, "softClient.upgrade.") || p.profile.IsSecret(v.Name):
		default:
			p.say(p.name, fmt.Sprintf("heartbeat brings %s: %s = %s", set.ParameterKey, name, v.Value))
		}
	}
	return nil
}

// shown is how long a delivery may be to be told line by line: changes are, whole configurations are not.
const shown = 8

var oneTimePassword = regexp.MustCompile(`[2-9A-HJKMNP-Z]{8,}`)

// read waits for the next SMS with a password or code and returns it.
func (p person) read(ctx context.Context, before int) (models.Secret, error) {
	for {
		texts := p.messages()
		for _, text := range texts[min(before, len(texts)):] {
			if found := oneTimePassword.FindString(text); found != "" {
				return models.Secret(found), nil
			}
		}
		if err := (models.SystemClock{}).Wait(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// messages are the SMS to the person's mobile so far, as the file: driver wrote them.
func (p person) messages() (texts []string) {
	f, err := os.Open(p.smsFile)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.say(p.name, err.Error())
		}
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m struct{ To, Text string }
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.To == p.mobile.E164() {
			texts = append(texts, m.Text)
		}
	}
	return texts
}
