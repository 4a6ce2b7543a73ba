package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

type simCommand struct {
	URL     string `help:"URL of the ACS." default:"http://127.0.0.1:7547/acs"`
	Clients int    `help:"How many clients." default:"1"`
	Type    string `help:"Kind of client: ${enum}." enum:"PC,Mobile" default:"PC"`
	Number  string `help:"Number of the first account, for PC clients; the others follow." placeholder:"+8621…"`
	Mobile  string `help:"Bound mobile of the first account; the others follow." required:"" placeholder:"+86138…"`
	Portal  string `help:"URL of the server's token portal; mobile clients without one ask for a code by SMS." placeholder:"http://…/i4/mdn"`
	SMSFile string `help:"File that the server's file: SMS driver writes; the clients read their passwords and codes there." required:"" type:"path" placeholder:"FILE"`
}

// Run plays simulated clients of accounts that exist until ctx ends.
func (cmd simCommand) Run(ctx context.Context) error {
	kind, _ := models.ClientTypeOf(cmd.Type)
	number, ok := models.ParseE164(cmd.Number)
	mobile, ok2 := models.ParseE164(cmd.Mobile)
	if !ok && (cmd.Number != "" || kind == models.PC) || !ok2 || cmd.Clients < 1 {
		return errors.New("--number, which PC clients need, and --mobile are E.164 numbers with a plus, --clients is positive")
	}
	profile, err := i4.Load(nil)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range cmd.Clients {
		p := person{name: fmt.Sprintf("client %d", i+1), kind: kind, number: following(number, i), mobile: following(mobile, i),
			smsFile: cmd.SMSFile, url: cmd.URL, portal: cmd.Portal, profile: profile, say: say, came: func() {}}
		wg.Go(func() { p.live(ctx) })
	}
	wg.Wait()
	return nil
}

// following is the number i after n.
func following(n models.Number, i int) models.Number {
	digits, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return n // a Number has at most 15 digits
	}
	return models.Number(strconv.FormatInt(digits+int64(i), 10))
}

var saying sync.Mutex

// say writes one line of the story on standard output.
func say(who, what string) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Printf("%s  %-10s %s\n", time.Now().Format("15:04:05"), who, what)
}
