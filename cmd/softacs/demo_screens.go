package main

import (
	"context"
	"fmt"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// screenPlay is a magic screen of the demo with the customer who unpacks it (i4.md B.4).
type screenPlay struct {
	name, url string
	number    models.Number
	profile   *i4.Profile
	// early: the customer has unpacked it before the BSS knows of the order, which it does after patience.
	early    bool
	patience time.Duration
}

// notProvisioned is the Status of a screen that waits for its order.
const notProvisioned = 30

// live puts the screen into stock, orders it, early or late, and keeps its heartbeat going until ctx ends.
func (p screenPlay) live(ctx context.Context, b bss) error {
	client, err := sim.New(sim.Config{URL: p.url, Type: models.MagicScreen, Identity: sim.NewScreenIdentity(), Profile: p.profile})
	if err != nil {
		return err
	}
	serial := client.Get("deviceInfo.serialNumber")
	if err := b.stock(ctx, serial); err != nil {
		return err
	}
	say("BSS", "puts "+p.name+" into stock")
	order := func() error {
		say("BSS", "orders "+p.name+" for account "+p.number.E164())
		return b.orderScreen(ctx, p.number, serial)
	}
	register, doing := client.RegisterScreen, "is unpacked (0 BOOTSTRAP, X CT-COM REGISTER)"
	if p.early {
		say(p.name, doing)
		o, err := register(ctx)
		if err != nil || o.Status != notProvisioned {
			return fmt.Errorf("%s %s", p.name, refusal(o, err))
		}
		say(p.name, "waits for its order")
		if (models.SystemClock{}).Wait(ctx, p.patience) != nil {
			return nil
		}
		// With its next heartbeat it would be served, too, but that may be five minutes off.
		register, doing = client.Boot, "is switched off and on (1 BOOT)"
	}
	if err := order(); err != nil {
		return err
	}
	say(p.name, doing)
	o, err := register(ctx)
	if err != nil || o.Status != 0 {
		return fmt.Errorf("%s %s", p.name, refusal(o, err))
	}
	say(p.name, fmt.Sprintf("has its account without a word typed; line %s, %s", client.Get("line.enable"), client.Get("managementServer.parameterKey")))
	for (models.SystemClock{}).Wait(ctx, client.Interval()) == nil {
		if _, err := client.Heartbeat(ctx); err != nil && ctx.Err() == nil {
			say(p.name, "heartbeat: "+err.Error())
		}
	}
	return nil
}

// screens are two: one whose order is there when it is unpacked, and one that waits for it.
func (cmd demoCommand) screens(ctx context.Context, b *bss, url string, profile *i4.Profile) (plays []func()) {
	for i := range 2 {
		p := screenPlay{
			name: fmt.Sprintf("screen %02d", i+1), url: url, number: following(demoNumber, cmd.Clients+i), profile: profile,
			early: i == 1, patience: cmd.Change / 4,
		}
		own := *b // whose token it may renew
		plays = append(plays, func() {
			if err := p.live(ctx, own); err != nil && ctx.Err() == nil {
				say(p.name, err.Error())
			}
		})
	}
	return plays
}

// stock registers a magic screen as the vendor's list names it.
func (b *bss) stock(ctx context.Context, serial string) error {
	return b.do(ctx, `mutation($input: RegisterDeviceInput!) { registerDevice(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": serial, "clientType": models.MagicScreen, "manufacturer": "ExampleSoft", "model": "MS-2011",
			"identity": map[string]any{"oui": "00005E", "productClass": "IMSScreen", "serialNumber": serial},
		},
	}, &struct{}{})
}

// orderScreen provisions an account with a magic screen.
func (b *bss) orderScreen(ctx context.Context, number models.Number, serial string) error {
	return b.do(ctx, `mutation($input: ProvisionAccountInput!) { provisionAccount(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": "demo-" + serial, "externalId": "demo-" + serial, "msisdn": number.E164(), "displayName": "Customer with a screen",
			"region": "shanghai", "clientTypes": []models.ClientType{models.MagicScreen}, "screenSerial": serial,
		},
	}, &struct{}{})
}
