// Command softacs is the management platform for an operator's IMS soft clients: one program with the GraphQL door northbound, the embedded
// ACS southbound, and everything that goes with them.
//
// It owns configuration and wiring; it refuses to hold a rule about accounts, devices or protocols.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the platform."`
	Demo    demoCommand    `cmd:"" help:"Show the platform at work: a server in lab mode, accounts and simulated clients."`
	Sim     simCommand     `cmd:"" help:"Run simulated soft clients against a server."`
	Bench   benchCommand   `cmd:"" help:"Measure what things cost on this machine."`
	Migrate migrateCommand `cmd:"" help:"Bring the database schema up to date."`
	Keys    keysCommand    `cmd:"" help:"Show or change which secret key seals what."`
	Audit   auditCommand   `cmd:"" help:"Check the audit log."`
	Version versionCommand `cmd:"" help:"Print the version."`

	BenchLoad  benchLoadCommand  `cmd:"" hidden:""`
	BenchFloor benchFloorCommand `cmd:"" hidden:""`
}

// settings are the flags that the commands of the platform share; every key of the configuration file can be an environment variable too.
type settings struct {
	Config   string  `help:"Configuration file (YAML)." placeholder:"FILE" type:"existingfile"`
	Database *string `name:"database" help:"sqlite:PATH or mysql://user:password@host:port/database" placeholder:"URL"`
	North    *string `name:"north.addr" help:"Address of the north door." placeholder:"HOST:PORT"`
	South    *string `name:"south.addr" help:"Address of the south door." placeholder:"HOST:PORT"`
	Admin    *string `name:"admin.addr" help:"Address of /metrics and /debug/pprof; empty: off." placeholder:"HOST:PORT"`
	Lab      *bool   `name:"lab" help:"Lab mode: plain HTTP southbound, on loopback addresses."`
	Keys     *string `name:"secretKeys" help:"Key file: lines 'kid: base64 of 32 bytes'." placeholder:"FILE"`
	SMS      *string `name:"sms" help:"How SMS leave: smpp://id:password@host:2775?source=NUMBER; in lab mode log: or file:PATH." placeholder:"URL"`
	Domain   *string `name:"ims.domain" help:"Home domain of the IMS." placeholder:"DOMAIN"`
	Profile  *string `name:"i4.profile" help:"File laid over the embedded I4 profile." placeholder:"FILE"`
}

// load reads the effective configuration and checks that it can serve.
func (s settings) load() (Config, error) {
	c, err := s.read()
	if err != nil {
		return c, err
	}
	return c, c.complete()
}

// read reads the configuration as it was set.
func (s settings) read() (Config, error) {
	flags := map[string]any{}
	v := reflect.ValueOf(s)
	for field, value := range v.Fields() {
		if value.Kind() == reflect.Pointer && !value.IsNil() {
			flags[keyOfFlag(field.Tag.Get("name"))] = value.Elem().Interface()
		}
	}
	return loadConfig(s.Config, os.Environ(), flags)
}

type versionCommand struct{}

func (versionCommand) Run() error {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Println("softacs", version)
	return nil
}

func main() {
	parsed := kong.Parse(&commands{}, kong.Name("softacs"), kong.Description("Management platform for IMS soft clients."), kong.UsageOnError())
	// The first signal ends ctx, which stops in order; signal.Stop then lets a second one end the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "softacs:", err)
		os.Exit(1)
	}
}
