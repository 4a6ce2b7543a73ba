package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

type demoCommand struct {
	Clients int           `help:"How many accounts and simulated clients." default:"20"`
	Change  time.Duration `help:"How often the BSS changes the configuration of an account." default:"1m"`
	North   string        `help:"Address of the north door; a free port if it is taken." default:"127.0.0.1:8080"`
	South   string        `help:"Address of the south door; a free port if it is taken." default:"127.0.0.1:7547"`
}

const (
	demoClient   = "demo"
	demoSecret   = models.Secret("demo-secret-for-lab-use")
	demoPassword = models.Secret("Demo-Password-1")
	demoNumber   = models.Number("862160000001")
	demoMobile   = models.Number("8613800000001")
	// demoHeartbeat in seconds is shorter than any operator's, so that a visitor sees one.
	demoHeartbeat = 15
)

// Run serves in lab mode from a fresh folder, provisions accounts through GraphQL and lets simulated clients live until ctx ends.
func (cmd demoCommand) Run(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "softacs-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
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
	var wg sync.WaitGroup
	playing, end := context.WithCancel(ctx)
	err = cmd.play(playing, &bss{north: north, id: demoClient, secret: demoSecret}, "http://"+a.southAddr.Addr().String()+"/acs", filepath.Join(folder, "sms.jsonl"), &wg)
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
	pc := c.I4.Heartbeat["PC"]
	pc.Interval = demoHeartbeat
	c.I4.Heartbeat = map[string]Heartbeat{"PC": pc}
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

// play is what the demo shows: the BSS provisions, the clients come, and the BSS changes something now and then.
func (cmd demoCommand) play(ctx context.Context, b *bss, url, smsFile string, wg *sync.WaitGroup) error {
	profile, err := i4.Load(nil)
	if err != nil {
		return err
	}
	var ids []string
	for i := range cmd.Clients {
		number, mobile := following(demoNumber, i), following(demoMobile, i)
		id, err := b.provision(ctx, i, number, mobile)
		if err != nil {
			return fmt.Errorf("provision %s: %w", number.Masked(), err)
		}
		ids = append(ids, id)
		say("BSS", "provisions account "+number.E164())
		p := person{name: fmt.Sprintf("client %02d", i+1), number: number, mobile: mobile, smsFile: smsFile, url: url, profile: profile, say: say}
		wg.Go(func() { p.live(ctx) })
	}
	for n := 0; (models.SystemClock{}).Wait(ctx, cmd.Change) == nil; n++ {
		on := n/len(ids)%2 == 0
		if err := b.setVideo(ctx, ids[n%len(ids)], n, on); err != nil {
			return err
		}
		say("BSS", fmt.Sprintf("turns VIDEO %s for account %s", map[bool]string{true: "on", false: "off"}[on], following(demoNumber, n%len(ids)).E164()))
	}
	return nil
}

func (b *bss) provision(ctx context.Context, i int, number, mobile models.Number) (id string, err error) {
	var payload struct{ Account struct{ ID string } }
	err = b.do(ctx, `mutation($input: ProvisionAccountInput!) { provisionAccount(input: $input) { account { id } userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": fmt.Sprintf("demo-%d", i), "externalId": fmt.Sprintf("demo-%d", i), "msisdn": number.E164(), "boundMobile": mobile.E164(),
			"displayName": fmt.Sprintf("Customer %02d", i+1), "region": "shanghai",
		},
	}, &payload)
	return payload.Account.ID, err
}

func (b *bss) setVideo(ctx context.Context, id string, n int, on bool) error {
	var payload struct{}
	return b.do(ctx, `mutation($input: ModifyAccountInput!) { modifyAccount(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": fmt.Sprintf("change-%d", n), "account": map[string]any{"id": id},
			"services": []map[string]any{{"code": "VIDEO", "enabled": on}},
		},
	}, &payload)
}
