package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/acs/aaa"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/graph"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/configtasks"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/desk"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/lines"
	"github.com/softacs/softacs/models/operators"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/statistics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
	"github.com/softacs/softacs/models/traces"
	"github.com/softacs/softacs/models/webhooks"
)

// app is one running platform. Constructors only: what the parts do is theirs.
type app struct {
	config Config
	clock  models.Clock

	store       *store.Store
	log         *events.Log
	devices     *devices.Room
	diagnostics *diagnostics.Room
	sms         *sms.Room
	tasks       *tasks.Room
	traces      *traces.Room
	packages    *packages.Room
	passwords   *passwords.Room
	statistics  *statistics.Room
	lines       *lines.Room
	configTasks *configtasks.Room
	clients     *clients.Room
	webhooks    *webhooks.Room
	acs         *server.Server
	metrics     *metrics
	door        *graph.Door
	north       *http.Server
	south       *http.Server
	admin       *http.Server
	northAddr   net.Listener
	southAddr   net.Listener
	adminAddr   net.Listener
	portal      *http.Server
	portalAddr  net.Listener
	aaa         *aaa.Server
	aaaAddr     net.PacketConn
	background  sync.WaitGroup
	// endJobs lets what works by itself begin nothing new; endLoops ends all loops in the background, after which nothing is left unwritten.
	endJobs  func()
	endLoops func()
	stopping atomic.Bool
	// certificates are those of the south; nil for plain HTTP.
	certificates *certificates
	// authorities judge the certificates of clients; nil if none are asked for.
	authorities *authorities
}

// start opens the store, builds the rooms, starts the loops and serves both doors: when it returns, the platform is ready.
func start(ctx context.Context, c Config, clock models.Clock) (a *app, err error) {
	a = &app{config: c, clock: clock, metrics: newMetrics(), endJobs: func() {}, endLoops: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop(ctx))
		}
	}()
	keys, err := loadKeys(c)
	if err != nil {
		return a, err
	}
	if a.store, err = store.Open(ctx, store.Config{URL: c.Database, Keys: keys, Migrate: c.Migrate.Auto || c.Lab}, clock); err != nil {
		return a, err
	}
	if err := a.store.Observe(a.metrics.statement); err != nil {
		return a, err
	}
	profile, err := loadProfile(c)
	if err != nil {
		return a, err
	}
	if a.door, err = a.build(ctx, profile); err != nil {
		return a, err
	}
	a.runLoops(ctx)
	return a, a.listen(ctx, a.door)
}

func loadProfile(c Config) (*i4.Profile, error) {
	if c.I4.Profile == "" {
		return i4.Load(nil)
	}
	override, err := os.ReadFile(c.I4.Profile)
	if err != nil {
		return nil, fmt.Errorf("i4.profile: %w", err)
	}
	profile, err := i4.Load(override)
	if err != nil {
		return nil, fmt.Errorf("i4.profile: %s: %w", c.I4.Profile, err)
	}
	return profile, nil
}

// passwordCost is what the passwords of operators cost: the room's own defaults, which only the tests of this package undercut.
var passwordCost operators.Config

// build makes every room and both doors, and returns that of the north.
func (a *app) build(ctx context.Context, profile *i4.Profile) (*graph.Door, error) {
	c, s := a.config, a.store
	a.log = events.New(s, a.clock)
	operatorRoom := operators.New(s, a.clock, passwordCost)
	if err := bootstrap(ctx, operatorRoom, c); err != nil {
		return nil, err
	}
	a.devices = devices.New(s, a.clock, devicesConfig(c, profile))
	sender, err := newSender(c, a.clock)
	if err != nil {
		return nil, err
	}
	if sender == nil {
		slog.WarnContext(ctx, "no way to send SMS is configured (sms): clients that ask for a password hear that it is unavailable")
	}
	a.sms = sms.New(s, a.clock, sender)
	packageConfig, err := packagesConfig(c, a.packagesOrigin)
	if err != nil {
		return nil, err
	}
	if packageConfig.Dir == "" {
		slog.WarnContext(ctx, "no folder for packages is configured (packages.dir): none are taken")
	}
	if a.packages, err = packages.New(s, a.clock, packageConfig); err != nil {
		return nil, err
	}
	a.tasks = tasks.New(s, a.clock, tasks.Config{
		Denied: deniedPaths(profile), IsSecret: profile.IsSecret, Packages: a.packages, Spread: seconds(c.I4.Upgrade.Spread),
	})
	a.traces = traces.New(s)
	layers := configurationConfig(c, profile, a.tasks)
	configurationRoom, err := configuration.New(s, layers)
	if err != nil {
		return nil, err
	}
	passwordConfig, err := passwordsConfig(c)
	if err != nil {
		return nil, err
	}
	a.passwords = passwords.New(s, a.clock, passwordConfig)
	accountConfig := accountsConfig(c)
	accountConfig.SMSAvailable = a.sms.Available
	accountRoom := accounts.New(s, a.passwords, configurationRoom, accountConfig)
	a.configTasks = configtasks.New(s, a.clock, a.devices, a.tasks, configurationRoom)
	a.statistics = statistics.New(s, a.clock, statisticsConfig(c))
	if err := a.statistics.FixZone(ctx); err != nil {
		return nil, err
	}
	a.webhooks = newWebhooks(c, s, a.clock, a.log, operatorRoom)
	diagnosticConfig, err := diagnosticsConfig(c, layers)
	if err != nil {
		return nil, err
	}
	a.diagnostics = diagnostics.New(s, a.clock, diagnosticConfig)
	a.lines = lines.New(s, lines.Config{MaxAge: seconds(c.AAA.MaxAge), Max: c.AAA.MaxLines})
	clientConfig, err := clientsConfig(c, s.DeriveAll(tokenPurpose))
	if err != nil {
		return nil, err
	}
	clientConfig.Screens.Lines = known{clientConfig.Screens.Lines, a.lines}
	a.clients = clients.New(s, a.clock, clients.Rooms{
		Configuration: configurationRoom, Devices: a.devices, Diagnostics: a.diagnostics, Packages: a.packages, Passwords: a.passwords, SMS: a.sms,
		Statistics: a.statistics, Tasks: a.tasks,
	}, clientConfig)
	if slices.Contains(c.I4.Mobile.Modes, "mo-sms") {
		if !strings.HasPrefix(c.SMS.Reveal(), "smpp:") {
			slog.WarnContext(ctx, "i4.mobile.modes has mo-sms, but only sms: smpp://… receives SMS: clients of that mode hear that their network did not identify them")
		}
		a.sms.Incoming = a.clients.Asserted
	}
	serverConfig := serverConfig(c)
	serverConfig.NonceKey, serverConfig.Blocked, serverConfig.Security = s.Derive("digest nonce"), a.passwords.IPBlocked, a.clients.Security
	serverConfig.Traces = a.traces
	if a.authorities, err = loadAuthorities(c, a.clock); err != nil {
		return nil, err
	}
	if a.authorities != nil {
		serverConfig.Identify = a.authorities.identify
	}
	a.acs = server.New(serverConfig, profile, a.devices, arrivals{a.clients}, a.clock)
	return graph.New(graph.Config{
		Accounts: accountRoom, Bindings: bindings.New(s, configurationRoom), Configuration: configurationRoom, ConfigTasks: a.configTasks,
		Desk:    desk.New(s, a.clock, a.devices, a.log, desk.Config{Plan: clientConfig.Plan, MinVersion: clientConfig.MinVersion}),
		Devices: a.devices, Diagnostics: a.diagnostics, Operators: operatorRoom, Packages: a.packages, Passwords: a.passwords, Sms: a.sms,
		Statistics: a.statistics, Tasks: a.tasks, Traces: a.traces, Webhooks: a.webhooks, Events: a.log, Clock: a.clock,
		TokenSeeds: s.DeriveAll("jwt"), IsPersonal: profile.IsPersonal, Lab: c.Lab,
		Observe: func(ctx context.Context, o graph.Operation) {
			a.metrics.operation(o)
			note(ctx, o)
		},
	})
}

// arrivals lets acs/session open visits.
type arrivals struct{ *clients.Room }

func (r arrivals) Arrive(ctx context.Context, in *models.Inform, d *models.Device, trust models.Trust, previous bool) (session.Visit, error) {
	return r.Room.Arrive(ctx, in, d, trust, previous)
}

func bootstrap(ctx context.Context, r *operators.Room, c Config) error {
	id, secret, err := bootstrapClient(c.Bootstrap.APIClient)
	if err != nil {
		return err
	}
	generated, err := r.Bootstrap(models.WithActor(ctx, models.System("bootstrap")), operators.Bootstrap{
		AdminPassword: c.Bootstrap.AdminPassword, APIClientID: id, APIClientSecret: secret,
	})
	if err == nil && generated != "" {
		fmt.Fprintf(os.Stderr, "The first operator is admin, with the password %s (shown once).\n", generated.Reveal())
	}
	return err
}

// runLoops starts what works in the background: jobs until endJobs, the rest until endLoops.
func (a *app) runLoops(ctx context.Context) {
	ctx = models.WithActor(context.WithoutCancel(ctx), models.System("softacs"))
	jobs, endJobs := context.WithCancel(ctx)
	for _, loop := range []func(context.Context){
		a.sms.Run, a.tasks.Run, a.diagnostics.Run, a.configTasks.Run, a.devices.Watch, a.statistics.Watch, a.passwords.Run, a.webhooks.Run, a.clean,
	} {
		a.background.Go(func() { loop(jobs) })
	}
	a.background.Go(func() { a.lines.Watch(jobs, a.clock) })
	sessions, endSessions := context.WithCancel(ctx)
	a.background.Go(func() { a.acs.Run(sessions) })
	// Presence is flushed and the log sequenced after everything that may still write has ended.
	last, endLast := context.WithCancel(ctx)
	var lasting sync.WaitGroup
	for _, loop := range []func(context.Context){a.devices.Run, a.log.Run} {
		lasting.Go(func() { loop(last) })
	}
	a.endJobs = endJobs
	a.endLoops = func() {
		endJobs()
		endSessions()
		a.background.Wait()
		endLast()
		lasting.Wait()
	}
}

const cleanEvery = 10 * time.Minute

// clean deletes what is remembered no longer.
func (a *app) clean(ctx context.Context) {
	for a.clock.Wait(ctx, cleanEvery) == nil {
		if err := a.passwords.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up what passwords no longer need", "error", err)
		}
		if err := a.packages.Clean(ctx); err != nil {
			slog.ErrorContext(ctx, "clean up uploads that broke off", "error", err)
		}
		if err := a.log.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up old idempotency keys", "error", err)
		}
		if err := a.devices.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up old presence history", "error", err)
		}
		if err := a.statistics.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up old statistics", "error", err)
		}
		if err := a.traces.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up recorded sessions", "error", err)
		}
	}
}

// listen opens both doors.
func (a *app) listen(ctx context.Context, north http.Handler) (err error) {
	pages, err := withPages(north, a.config.Lab)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", logged(pages))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	a.north = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	a.south = &http.Server{Handler: a.withFiles(a.acs.Handler()), ErrorLog: a.north.ErrorLog}
	a.acs.Configure(a.south)
	if a.northAddr, err = net.Listen("tcp", a.config.North.Addr); err != nil {
		return fmt.Errorf("north.addr: %w", err)
	}
	if a.southAddr, err = net.Listen("tcp", a.config.South.Addr); err != nil {
		return fmt.Errorf("south.addr: %w", err)
	}
	southListener, err := a.secure(a.southAddr)
	if err != nil {
		return err
	}
	if err := a.listenAdmin(ctx); err != nil {
		return err
	}
	if err := a.listenPortal(ctx); err != nil {
		return err
	}
	if err := a.listenAAA(ctx); err != nil {
		return err
	}
	a.serve(ctx, "north", a.north, a.northAddr)
	a.serve(ctx, "south", a.south, southListener)
	return nil
}

func (a *app) serve(ctx context.Context, door string, s *http.Server, l net.Listener) {
	a.background.Go(func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(ctx, "a door closed", "door", door, "error", err)
		}
	})
}

// ready tells a load balancer whether to send requests here.
func (a *app) ready(w http.ResponseWriter, r *http.Request) {
	if a.stopping.Load() || a.store.Ping(r.Context()) != nil {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

const (
	stopTime    = 20 * time.Second
	sessionTime = 15 * time.Second
	streamTime  = 3 * time.Second
)

// stop ends the platform in order: not ready, no new work, subscriptions end, open sessions finish, what is in memory is written, the store closes.
func (a *app) stop(ctx context.Context) error {
	a.stopping.Store(true)
	a.endJobs()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	var errs []error
	if a.door != nil { // those who follow go on elsewhere after their last cursors
		closing, cancel := context.WithTimeout(ctx, streamTime)
		if err := a.door.Close(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
		cancel()
	}
	if a.north != nil {
		errs = append(errs, shutdown(ctx, a.north))
	}
	if a.portal != nil { // first, so that the tokens that it gave can still be used
		errs = append(errs, shutdown(ctx, a.portal))
	}
	if a.south != nil {
		finish, cancel := context.WithTimeout(ctx, sessionTime)
		if err := a.acs.Shutdown(finish); err != nil && !errors.Is(err, context.DeadlineExceeded) { // what is open then is cut
			errs = append(errs, err)
		}
		errs = append(errs, shutdown(ctx, a.south))
		cancel()
	}
	for _, l := range []net.Listener{a.northAddr, a.southAddr, a.portalAddr} {
		if l != nil {
			_ = l.Close() // closed already if its server ever served
		}
	}
	a.endLoops()
	if a.admin != nil { // what happens at the end can be read to the end
		errs = append(errs, a.admin.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// shutdown lets requests finish and closes what is left.
func shutdown(ctx context.Context, s *http.Server) error {
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return s.Close()
	}
	return err
}

// readyLine is the one line on stdout; scripts and tests wait for it.
func (a *app) readyLine() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ready north=%s south=%s", a.northAddr.Addr(), a.southAddr.Addr())
	if a.portalAddr != nil {
		fmt.Fprintf(&b, " portal=%s", a.portalAddr.Addr())
	}
	if a.aaaAddr != nil {
		fmt.Fprintf(&b, " aaa=%s", a.aaaAddr.LocalAddr())
	}
	if a.adminAddr != nil {
		fmt.Fprintf(&b, " admin=%s", a.adminAddr.Addr())
	}
	return b.String()
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
