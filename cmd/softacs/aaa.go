package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softacs/softacs/acs/aaa"
	"github.com/softacs/softacs/models/clients"
)

// checkAAA checks what would only fail later.
func (c *Config) checkAAA() error {
	a := c.AAA
	switch {
	case a.Line != "user-name" && a.Line != "nas-port-id":
		return fmt.Errorf("aaa.line: user-name and nas-port-id are allowed, not %q", a.Line)
	case a.MaxAge < 60:
		return errors.New("aaa.maxAge: 60 seconds at least")
	case a.MaxLines < 1:
		return errors.New("aaa.maxLines: 1 at least")
	case a.Addr != "" && a.Secret == "":
		return errors.New("aaa.secret: the secret that the listener of aaa.addr shares with its clients is needed")
	}
	_, err := aaaClients(*c)
	return err
}

// aaaClients are the addresses that may send accounting; nobody's, but in lab mode the machine's own.
func aaaClients(c Config) ([]netip.Prefix, error) {
	given := c.AAA.Clients
	if len(given) == 0 && c.Lab {
		given = loopback
	}
	if len(given) == 0 && c.AAA.Addr != "" {
		return nil, errors.New("aaa.clients: the addresses of those that send accounting are needed")
	}
	return networks("aaa.clients", given)
}

// known asks the lines of the configuration first, then those of RADIUS accounting.
type known struct{ configured, reported clients.Lines }

func (k known) Account(ctx context.Context, addr netip.Addr) (account string, ok bool, err error) {
	if account, ok, err = k.configured.Account(ctx, addr); ok || err != nil {
		return account, ok, err
	}
	return k.reported.Account(ctx, addr)
}

// receiveBuffer is how many bytes of packets may wait in the kernel: interims of an access server come all at once.
const receiveBuffer = 4 << 20

// listenAAA opens the listener for RADIUS accounting. It ends with the jobs.
func (a *app) listenAAA(ctx context.Context) (err error) {
	if a.config.AAA.Addr == "" {
		return nil
	}
	clients, err := aaaClients(a.config)
	if err != nil {
		return err
	}
	if a.aaaAddr, err = net.ListenPacket("udp", a.config.AAA.Addr); err != nil {
		return fmt.Errorf("aaa.addr: %w", err)
	}
	if udp, ok := a.aaaAddr.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(receiveBuffer) // the kernel gives what it has
	}
	a.aaa = aaa.New(aaa.Config{
		Secret: a.config.AAA.Secret, Clients: clients, ByPort: a.config.AAA.Line == "nas-port-id", Take: a.lines.Take, Clock: a.clock,
	})
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	endJobs := a.endJobs
	a.endJobs = func() {
		end()
		endJobs()
	}
	a.background.Go(func() { a.aaa.Serve(serving, a.aaaAddr) })
	return nil
}

// accounting are the counters of the listener.
func (s scraped) accounting(out chan<- prometheus.Metric) {
	if s.aaa == nil {
		return
	}
	packets := prometheus.NewDesc("softacs_aaa_packets_total", "RADIUS packets by kind and outcome.", []string{"kind", "outcome"}, nil)
	for c, n := range s.aaa.Stats() {
		out <- prometheus.MustNewConstMetric(packets, prometheus.CounterValue, float64(n), string(c.Kind), string(c.Outcome))
	}
	known := prometheus.NewDesc("softacs_aaa_lines", "About how many lines are known, those that ended within aaa.maxAge included.", nil, nil)
	out <- prometheus.MustNewConstMetric(known, prometheus.GaugeValue, float64(s.lines.Known()))
}
