package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// person is a customer with a simulated PC client: they read their SMS and keep the client running.
type person struct {
	name    string
	number  models.Number
	mobile  models.Number
	smsFile string
	url     string
	profile *i4.Profile
	// say tells what happens, for people to read.
	say func(who, what string)
}

// live takes the client through 6.1.1 and 6.1.2 and then keeps its heartbeat going until ctx ends.
func (p person) live(ctx context.Context) {
	client, err := sim.New(sim.Config{URL: p.url, Identity: sim.NewIdentity(), Number: p.number.E164(), Profile: p.profile, OnExchange: p.watch})
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
	for (models.SystemClock{}).Wait(ctx, client.Interval()) == nil {
		o, err := client.Heartbeat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.say(p.name, "heartbeat: "+err.Error())
		case o.Status == reauthenticate:
			p.say(p.name, "is told to authenticate again")
			_, _ = p.login(ctx, client) // if it fails, the next heartbeat is told again
		}
	}
}

const reauthenticate = 12 // UI.Status REAUTH_REQUIRED

// login gets a password and registers with it; otherwise it says how long the platform wants to be left alone.
func (p person) login(ctx context.Context, client *sim.Client) (ok bool, after time.Duration) {
	p.say(p.name, "asks for a password (X CT-COM GETPWD)")
	before := len(p.messages())
	o, err := client.GetPassword(ctx)
	if err != nil || o.Status != 0 {
		p.say(p.name, fmt.Sprintf("gets no password: status %d %s %v", o.Status, o.Desc, errorText(err)))
		return false, time.Duration(o.RetryAfter) * time.Second
	}
	password, err := p.read(ctx, before)
	if err != nil {
		return false, 0
	}
	p.say(p.name, "reads the SMS on "+p.mobile.Masked()+" and types the password")
	o, err = client.Register(ctx, password)
	if err != nil || o.Status != 0 || o.Result != 1 {
		p.say(p.name, fmt.Sprintf("is refused: status %d %s %v", o.Status, o.Desc, errorText(err)))
		return false, time.Duration(o.RetryAfter) * time.Second
	}
	p.say(p.name, fmt.Sprintf("is authenticated; has %s, line %s, P-CSCF %s", client.Get("managementServer.parameterKey"),
		client.Get("line.enable"), client.Get("sip.outboundProxy")))
	return true, 0
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
		if p.profile.IsSecret(v.Name) {
			continue
		}
		p.say(p.name, fmt.Sprintf("heartbeat brings %s: %s = %s", set.ParameterKey, p.profile.Name(v.Name), v.Value))
	}
	return nil
}

// shown is how long a delivery may be to be told line by line: changes are, whole configurations are not.
const shown = 8

var oneTimePassword = regexp.MustCompile(`[2-9A-HJKMNP-Z]{8,}`)

// read waits for the next SMS and returns the password in it.
func (p person) read(ctx context.Context, before int) (models.Secret, error) {
	for {
		if texts := p.messages(); len(texts) > before {
			return models.Secret(oneTimePassword.FindString(texts[len(texts)-1])), nil
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
