package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/pki/pkitest"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

const home = "ad-home-1" // the broadband account of the line that the tests are on

// factory is a platform that speaks TLS, with the CA of a vendor of screens.
type factory struct {
	*platform
	ca *pkitest.CA
}

// eachFactory is eachPlatform with TLS, where certificates of a vendor's CA are known and the tests are on the line home.
func eachFactory(t *testing.T, change func(*Config), f func(t *testing.T, p *factory)) {
	t.Helper()
	ca, folder := pkitest.NewCA(t, "Screens"), pairIn(t, "acs.example.net")
	put(t, filepath.Join(folder, "ca.pem"), ca.PEM())
	eachPlatform(t, func(c *Config) {
		c.South.TLS.Cert, c.South.TLS.Key = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
		c.South.TLS.ClientCA = filepath.Join(folder, "ca.pem")
		c.I4.Screen.Lines = []Line{{CIDR: "127.0.0.0/8", Account: home}}
		change(c)
	}, func(t *testing.T, p *platform) {
		p.south = strings.Replace(p.south, "http://", "https://", 1)
		f(t, &factory{p, ca})
	})
}

func (p *factory) run(name string, f func(t *testing.T, p *factory)) {
	p.platform.run(name, func(t *testing.T, q *platform) { f(t, &factory{q, p.ca}) })
}

// speaks makes a client speak TLS; with a certificate if commonName is not empty.
func (p *factory) speaks(commonName string) func(*sim.Config) {
	return func(c *sim.Config) {
		trust := &tls.Config{InsecureSkipVerify: true}
		if commonName != "" {
			trust.Certificates = []tls.Certificate{p.ca.Device(commonName, nil)}
		}
		c.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	}
}

// certified is a screen with a certificate, in stock.
func (p *factory) certified() *sim.Client {
	p.t.Helper()
	return p.stocked(func(c *sim.Config) {
		p.speaks("00005E-IMSScreen-" + c.Identity.SerialNumber)(c)
	})
}

// Screens with certificates, where none is let in without (i4.md B.4, C.4).
func TestCertifiedScreens(t *testing.T) {
	eachFactory(t, func(c *Config) { c.I4.Screen.Auth = "mtls" }, func(t *testing.T, p *factory) {
		p.run("by serial number", func(t *testing.T, p *factory) {
			client := p.certified()
			p.heartbeatSays(client, 12) // it has to ask first
			p.registersScreen(client, 30)
			p.heartbeatSays(client, 30)
			p.tells(client, "DEVICE_BOOTSTRAP screen.waiting", 1)
			if got := p.screenOf(client).text("reachability"); got != "ONLINE" {
				t.Errorf("a screen that waits is %s", got)
			}
			id, msisdn := p.order(object{"screenSerial": serialOf(client)})
			p.heartbeatSays(client, 0)
			p.hasEverything(client, id, msisdn, "CERTIFICATE")
			for _, session := range []func() (sim.Outcome, error){
				func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) }, func() (sim.Outcome, error) { return client.Boot(t.Context()) },
			} {
				if got := p.deliveries(client, session); got != nil {
					t.Errorf("an ordinary session brought %v", got)
				}
			}
			p.turn(id, "video", "VIDEO", true)
			p.deliveries(client, func() (sim.Outcome, error) { return client.Heartbeat(t.Context()) })
			if got := client.Get("managementServer.parameterKey"); got != "cfg-000000002" {
				t.Errorf("the screen has %s", got)
			}
			// The same screen, whose certificate was renewed.
			again := p.screen(func(c *sim.Config) {
				c.Identity.SerialNumber = serialOf(client)
				p.speaks("00005E-IMSScreen-" + serialOf(client))(c)
			})
			p.registersScreen(again, 0)
			p.tells(client, "SECURITY security.certificate_changed", 1)
		})
		p.run("by line", func(_ *testing.T, p *factory) {
			client, other := p.certified(), p.certified()
			id, msisdn := p.order(object{"broadbandAccount": home})
			second, _ := p.order(object{"broadbandAccount": home})
			p.order(object{"broadbandAccount": home, "screenSerial": "another"}) // means that one
			p.registersScreen(client, 30)                                        // which of the two?
			p.act("terminateAccount", second, "end", nil)
			p.heartbeatSays(client, 0)
			p.hasEverything(client, id, msisdn, "CERTIFICATE")
			p.registersScreen(client, 0) // it is found by its binding now
			p.registersScreen(other, 30) // the order has its screen
			p.changeOrder(id, "swap", object{"screenSerial": serialOf(other)})
			p.isScreen(client, "RETURNED", "REMOVED", id)
			p.heartbeatSays(other, 0)
			p.isScreen(other, "ACTIVE", "ACTIVE", id)
			p.registersScreen(client, 31)
		})
		p.run("by line, then named by another order", func(_ *testing.T, p *factory) {
			client := p.certified()
			id, _ := p.order(object{"broadbandAccount": home})
			p.registersScreen(client, 0)
			p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 31)
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
			p.act("terminateAccount", id, "end", nil)
		})
		p.run("32: on another line, warned of", func(_ *testing.T, p *factory) {
			client := p.certified()
			id, msisdn := p.order(object{"screenSerial": serialOf(client), "broadbandAccount": "ad-elsewhere"})
			p.registersScreen(client, 0)
			p.registersScreen(client, 0)
			p.hasEverything(client, id, msisdn, "CERTIFICATE")
			p.tells(client, "SECURITY security.line_mismatch", 1)
		})
		p.run("not in stock", func(_ *testing.T, p *factory) {
			identity := sim.NewScreenIdentity()
			client := p.screen(func(c *sim.Config) {
				c.Identity = identity
				p.speaks("00005E-IMSScreen-" + identity.SerialNumber)(c)
			})
			p.registersScreen(client, 30)
			p.heartbeatSays(client, 12)
		})
		p.run("without a certificate", func(t *testing.T, p *factory) {
			client := p.certified()
			id, _ := p.order(object{"screenSerial": serialOf(client)})
			p.registersScreen(client, 0)
			thief := p.screen(func(c *sim.Config) {
				c.Identity.SerialNumber = serialOf(client)
				c.Username, c.ACSPassword = client.Get("managementServer.username"), models.Secret(client.Get("managementServer.password"))
				p.speaks("")(c)
			})
			p.heartbeatSays(thief, 12)
			if o := p.registersScreen(thief, 40); !strings.Contains(o.Desc, "Mode") {
				t.Errorf("%+v", o)
			}
			if thief.Get("line.sip.authPassword") != "" {
				t.Error("the secret went to whoever asked for it")
			}
			p.isScreen(client, "ACTIVE", "ACTIVE", id)
		})
		for n := 1; n <= 3; n++ {
			p.run(fmt.Sprintf("answer %d is lost", n), func(t *testing.T, p *factory) {
				client := p.certified()
				p.registersScreen(client, 30)
				id, msisdn := p.order(object{"screenSerial": serialOf(client)})
				p.observe(client, func(e sim.Exchange) error {
					if e.N == n {
						return errLost
					}
					return nil
				})
				if _, err := client.Heartbeat(t.Context()); !errors.Is(err, errLost) {
					t.Fatalf("nothing was lost: %v", err)
				}
				p.observe(client, nil)
				p.done(client.Retry(t.Context()))
				p.hasEverything(client, id, msisdn, "CERTIFICATE")
				p.tells(client, "BINDING_CHANGED screen.bound ACTIVE", 1)
			})
		}
	})
}

// Without certificate both the serial number and the line have to match (i4.md B.4, resolutions 10).
func TestScreenLines(t *testing.T) {
	eachFactory(t, func(c *Config) { c.I4.Screen.Auth, c.I4.Screen.LineCheck = "serial+line", "enforce" }, func(t *testing.T, p *factory) {
		for _, x := range []struct {
			name         string
			serial       bool
			line         string
			bare, proved int // statuses without and with certificate
		}{
			{"both", true, home, 0, 0},
			{"the serial number alone", true, "", 32, 0},
			{"another line", true, "ad-elsewhere", 32, 32},
			{"the line alone", false, home, 30, 0},
		} {
			p.run(x.name, func(_ *testing.T, p *factory) {
				for status, client := range map[int]*sim.Client{x.bare: p.stocked(p.speaks("")), 100 + x.proved: p.certified()} {
					order := object{"broadbandAccount": x.line}
					if x.serial {
						order["screenSerial"] = serialOf(client)
					}
					id, _ := p.order(order)
					p.registersScreen(client, status%100)
					if status%100 == 32 {
						p.heartbeatSays(client, 32)
						p.tells(client, "SECURITY security.line_mismatch", 1)
						p.changeOrder(id, "moved", object{"broadbandAccount": home})
						p.heartbeatSays(client, 0)
					}
					p.act("terminateAccount", id, "end", nil)
				}
			})
		}
	})
}

// i4.screen as people write it, in a file and in the environment.
func TestScreenSettings(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "softacs.yaml", "i4:\n  screen:\n    auth: serial+line\n    lines:\n      - {cidr: 192.0.2.8/32, account: ad1}\n      - {cidr: 2001:db8::/48, account: ad2}\n")
	addr := netip.MustParseAddr
	for _, c := range []struct {
		path        string
		environment []string
		lines       map[netip.Addr]string
	}{
		{path, nil, map[netip.Addr]string{addr("192.0.2.8"): "ad1", addr("2001:db8::1"): "ad2", addr("192.0.2.9"): ""}},
		{"", []string{"SOFTACS_I4_SCREEN_AUTH=serial+line", "SOFTACS_I4_SCREEN_LINES=192.0.2.8/32=ad1,192.0.2.9/32=ad=2"},
			map[netip.Addr]string{addr("192.0.2.8"): "ad1", addr("192.0.2.9"): "ad=2"}},
	} {
		config, err := loadConfig(c.path, c.environment, nil)
		if err != nil {
			t.Fatal(err)
		}
		screens, err := screensConfig(config)
		if err != nil || !screens.Uncertified || screens.Trusting || screens.LineCheck != "warn" {
			t.Errorf("%+v, %v", screens, err)
		}
		for addr, want := range c.lines {
			if got, _, err := screens.Lines.Account(t.Context(), addr); got != want || err != nil {
				t.Errorf("%s is on the line %q, %v", addr, got, err)
			}
		}
	}
	for key, value := range map[string]string{"AUTH": "none", "LINE_CHECK": "maybe", "LINES": "192.0.2.8=ad1,10.0.0.0/8=ad1"} {
		config, err := loadConfig("", []string{"SOFTACS_I4_SCREEN_" + key + "=" + value}, nil)
		if err == nil {
			_, err = screensConfig(config)
		}
		if err == nil || !strings.Contains(err.Error(), "i4.screen.") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if production, err := screensConfig(defaultConfig()); err != nil || production.Uncertified {
		t.Errorf("%+v, %v", production, err)
	}
}
