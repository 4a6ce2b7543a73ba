package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/models"
)

type demoCommand struct {
	Clients int           `help:"How many accounts and simulated clients." default:"20"`
	Change  time.Duration `help:"How often the BSS changes the configuration of an account." default:"1m"`
	North   string        `help:"Address of the north door; a free port if it is taken." default:"127.0.0.1:8080"`
	South   string        `help:"Address of the south door; a free port if it is taken." default:"127.0.0.1:7547"`
	// Heartbeat in seconds is shorter than any operator's, so that a visitor sees one.
	Heartbeat int `default:"15" hidden:""`
}

const (
	demoClient   = "demo"
	demoSecret   = models.Secret("demo-secret-for-lab-use")
	demoPassword = models.Secret("Demo-Password-1")
	demoNumber   = models.Number("862160000001")
	demoMobile   = models.Number("8613800000001")
)

// Run serves in lab mode from a fresh folder, provisions accounts through GraphQL and lets simulated clients live until ctx ends.
func (cmd demoCommand) Run(ctx context.Context) error {
	if cmd.Clients < 1 || cmd.Change < 2 || cmd.Heartbeat < 1 {
		return errors.New("--clients and --change are positive")
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	folder, err := os.MkdirTemp("", "softacs-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	go func() { // the first signal ends ctx; the second may come at once, as from timeout(1), and ends the process, but leaves nothing behind
		<-signals
		<-signals
		_ = os.RemoveAll(folder)
		os.Exit(1)
	}()
	// The story is the log; the platform's own lines would drown it.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	a, err := start(ctx, cmd.configuration(folder), models.SystemClock{})
	if err != nil {
		return err
	}
	north := "http://" + a.northAddr.Addr().String()
	fmt.Println(a.readyLine())
	fmt.Printf("\nThe web client is at %s/ and GraphiQL at %[1]s/graphiql/\n  people sign in as admin with the password %s,\n  programs get a token: curl -u %s:%s -d grant_type=client_credentials %s/oauth/token\nThe database, the keys and the SMS are in %s until the demo ends (Ctrl-C).\n\n",
		north, demoPassword.Reveal(), demoClient, demoSecret.Reveal(), north, folder)
	south, portal := "http://"+a.southAddr.Addr().String()+"/acs", "http://"+a.portalAddr.Addr().String()+server.PortalPath
	var wg sync.WaitGroup
	playing, end := context.WithCancel(ctx)
	err = cmd.play(playing, &bss{north: north, id: demoClient, secret: demoSecret}, south, portal, filepath.Join(folder, "sms.jsonl"), &wg)
	end() // the clients, too, when the play broke off
	wg.Wait()
	if stopped := a.stop(ctx); err == nil {
		err = stopped
	}
	return err
}

func (cmd demoCommand) configuration(folder string) Config {
	c := defaultConfig()
	c.Lab = true
	c.Database = models.Secret("sqlite:" + filepath.Join(folder, "softacs.db"))
	c.North.Addr, c.South.Addr = free(cmd.North), free(cmd.South)
	c.SMS = models.Secret("file:" + filepath.Join(folder, "sms.jsonl"))
	c.Bootstrap.AdminPassword = demoPassword
	c.Bootstrap.APIClient = models.Secret(demoClient + ":" + demoSecret.Reveal())
	c.I4.Limits.HeartbeatSeconds = 0
	c.Portal.Addr = "127.0.0.1:0"
	c.I4.Heartbeat = map[string]Heartbeat{}
	for _, t := range []models.ClientType{models.PC, models.Mobile, models.MagicScreen} {
		c.I4.Heartbeat[t.Wire()] = Heartbeat{Interval: cmd.Heartbeat}
	}
	if err := c.complete(); err != nil {
		panic(err) // the demo's own settings
	}
	return c
}

// free is addr, or a free port of its host if addr is taken.
func free(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close()
	return addr
}

// cast is who the customer i is: what client they have and what they do.
func cast(i int) person {
	switch {
	case i == 0:
		return person{kind: models.PC, habit: changesPassword}
	case i == 1:
		return person{kind: models.PC, habit: comesAndGoes}
	case i == onWiFi || i%5 == 2:
		return person{kind: models.Mobile}
	}
	return person{kind: models.PC}
}

const (
	onWiFi = 3 // the phone whose network cannot vouch for it
	debtor = 4 // the customer whom the BSS suspends for a while
)

// play is what the demo shows: the BSS provisions, the clients come, and the BSS changes something now and then.
func (cmd demoCommand) play(ctx context.Context, b *bss, url, portal, smsFile string, wg *sync.WaitGroup) error {
	profile, err := i4.Load(nil)
	if err != nil {
		return err
	}
	var ids []string
	var coming sync.WaitGroup
	for i := range cmd.Clients {
		p := cast(i)
		p.name, p.number, p.mobile = fmt.Sprintf("client %02d", i+1), following(demoNumber, i), following(demoMobile, i)
		p.smsFile, p.url, p.profile, p.say = smsFile, url, profile, say
		if i != onWiFi {
			p.portal = portal
		}
		id, err := b.provision(ctx, i, p)
		if err != nil {
			return fmt.Errorf("provision %s: %w", p.number.Masked(), err)
		}
		ids = append(ids, id)
		say("BSS", "provisions account "+p.number.E164())
		coming.Add(1)
		p.came = sync.OnceFunc(coming.Done)
		wg.Go(func() { p.live(ctx) })
	}
	for _, play := range cmd.screens(ctx, b, url, profile) {
		wg.Go(play)
	}
	coming.Wait() // nothing is changed before everybody has seen how it was; when ctx ends, nobody comes any more
	for n := 0; (models.SystemClock{}).Wait(ctx, cmd.Change/2) == nil; n++ {
		what, who, err := b.change(ctx, ids, n)
		if err != nil {
			return err
		}
		switch n {
		case 0:
			if err := b.diagnose(ctx, ids[0]); err != nil {
				return err
			}
			say("care", "asks the client of "+demoNumber.Masked()+" to trace the route to its P-CSCF (runDiagnostic)")
		case 1:
			if err := b.upgrade(ctx, ids[0]); err != nil {
				return err
			}
			say("care", "brings version "+newVersion+" and asks the client of "+demoNumber.Masked()+" to fetch it (createDeviceTask)")
		}
		if what != "" {
			say("BSS", what+" account "+following(demoNumber, who).E164())
		}
	}
	return nil
}

// change is the n-th thing that the BSS does after it has provisioned all: what, and for which account. The debtor is suspended and resumed,
// every other time some account's VIDEO is turned on or off.
func (b *bss) change(ctx context.Context, ids []string, n int) (what string, who int, err error) {
	who = min(debtor, len(ids)-1)
	switch {
	case n == 0:
		return "suspends", who, b.suspend(ctx, ids[who])
	case n == 2:
		return "resumes", who, b.resume(ctx, ids[who])
	case n%2 == 0:
		return "", 0, nil
	}
	who = n / 2 % len(ids)
	on := n/2/len(ids)%2 == 0
	return map[bool]string{true: "turns VIDEO on for", false: "turns VIDEO off for"}[on], who, b.setVideo(ctx, ids[who], n, on)
}

func (b *bss) provision(ctx context.Context, i int, p person) (id string, err error) {
	types := []models.ClientType{models.PC}
	if p.kind != models.PC {
		types = append(types, p.kind)
	}
	var payload struct{ Account struct{ ID string } }
	err = b.do(ctx, `mutation($input: ProvisionAccountInput!) { provisionAccount(input: $input) { account { id } userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": fmt.Sprintf("demo-%d", i), "externalId": fmt.Sprintf("demo-%d", i), "msisdn": p.number.E164(), "boundMobile": p.mobile.E164(),
			"displayName": fmt.Sprintf("Customer %02d", i+1), "region": "shanghai", "clientTypes": types,
		},
	}, &payload)
	return payload.Account.ID, err
}

// device is the device of an account; empty if it has none.
func (b *bss) device(ctx context.Context, account string) (id string, err error) {
	var found struct {
		Bindings struct {
			Nodes []struct{ Device struct{ ID string } }
		}
	}
	err = b.do(ctx, `query($id: ID!) { account(ref: {id: $id}) { bindings(first: 1) { nodes { device { id } } } } }`, map[string]any{"id": account}, &found)
	if err != nil || len(found.Bindings.Nodes) == 0 {
		return "", err
	}
	return found.Bindings.Nodes[0].Device.ID, nil
}

// diagnose lets the device of an account trace the route to its P-CSCF.
func (b *bss) diagnose(ctx context.Context, account string) error {
	device, err := b.device(ctx, account)
	if err != nil || device == "" {
		return err
	}
	return b.do(ctx, `mutation($input: RunDiagnosticInput!) { runDiagnostic(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{"idempotencyKey": "trace-" + account, "device": map[string]any{"id": device}, "kind": "TRACEROUTE", "host": "pcscf1.ims.example.net"},
	}, &struct{}{})
}

func (b *bss) suspend(ctx context.Context, id string) error {
	return b.do(ctx, `mutation($input: SuspendAccountInput!) { suspendAccount(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{"idempotencyKey": "suspend-" + id, "account": map[string]any{"id": id}, "reason": "NON_PAYMENT"},
	}, &struct{}{})
}

func (b *bss) resume(ctx context.Context, id string) error {
	return b.do(ctx, `mutation($input: AccountActionInput!) { resumeAccount(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{"idempotencyKey": "resume-" + id, "account": map[string]any{"id": id}},
	}, &struct{}{})
}

func (b *bss) setVideo(ctx context.Context, id string, n int, on bool) error {
	return b.do(ctx, `mutation($input: ModifyAccountInput!) { modifyAccount(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": fmt.Sprintf("change-%d", n), "account": map[string]any{"id": id},
			"services": []map[string]any{{"code": "VIDEO", "enabled": on}},
		},
	}, &struct{}{})
}
