package sim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// Config is what a client is born with. URL and Identity are needed, the rest has defaults.
type Config struct {
	URL      string // of the ACS
	Identity cwmp.DeviceID
	// Type is the kind of client; PC if empty. Generic is a plain TR-069 CPE: standard events, no soft client or user parameters.
	Type models.ClientType
	// Number is the account's number as its user types it. MDN is the mobile that the user of a PC adds, and the number of a mobile client's own
	// SIM card, IMSI that card's identity; empty: the system hides it.
	Number, MDN, IMSI string
	// BroadbandAccount is that of the line which a magic screen dials in by itself; empty: the router does.
	BroadbandAccount string
	// Portal is the URL of the token portal; MDNHeader is where the operator's gateway, whose part the client plays, says the MDN:
	// X-Up-Calling-Line-Id if empty.
	Portal, MDNHeader string
	// Plan normalises Number for the proof; China and Shanghai if zero.
	Plan models.NumberPlan
	// Iterations is what new verifiers and timestamp mode are derived with, 100,000 if 0. Realm, if set, is that of timestamp mode: new
	// verifiers take its salt (i4.md C.2.4).
	Iterations int
	Realm      string
	// Password is where Login finds the one-time password: the user reading an SMS.
	Password func(ctx context.Context) (models.Secret, error)
	// Username and ACSPassword are the management credentials of a registered device.
	Username    string
	ACSPassword models.Secret
	// Missing are objects with an instance number that the client does not have until it is asked to add them.
	Missing []string
	Basic   bool   // use HTTP Basic instead of waiting for a challenge
	Digest  string // MD5 or SHA-256: the algorithm to prefer; empty: the first that is offered
	// Version is the namespace, 1.2 by default; SupportedVersions the header of a 1.4 client, SessionTimeout that header.
	Version           *cwmp.Version
	SupportedVersions []string
	SessionTimeout    int

	Profile *i4.Profile  // the embedded one if nil
	HTTP    *http.Client // one of its own, without cookies and with a time limit of 30 s, if nil
	Now     func() time.Time
	// OnExchange sees every HTTP exchange after the platform has answered and before the client looks at the answer. An error loses the
	// answer: the session breaks with it, except that ErrAgain makes the client send the same bytes once more.
	OnExchange func(Exchange) error
}

// ErrAgain makes the client repeat a POST whose answer it did not get, in the same session.
var ErrAgain = errors.New("send it again")

// idle is how long a client keeps a connection that it does not use.
const idle = 5 * time.Second

// Exchange is one HTTP request with its answer.
type Exchange struct {
	Session    int          // sessions of this client, from 1
	N          int          // exchanges of the session, from 1
	RetryCount int          // of the Inform
	Sent       cwmp.Message // nil: empty
	Status     int          // HTTP
	Got        cwmp.Message // nil: empty
}

// Outcome is what the platform said in UI.*. Status and Result are 99 as long as it said nothing.
type Outcome struct {
	Status, Result           int
	Desc                     string
	RetryAfter, Limit, Times int
	ServerTime               string
}

const pending = 99

// Client is one simulated device. Its methods may be called by several goroutines; it has one session at a time.
type Client struct {
	config  Config
	profile *i4.Profile

	busy sync.Mutex // held through a session

	mu       sync.Mutex // guards what follows; free while the client waits for the platform
	store    *store
	faults   Faults
	auth     authorization
	attempt  *attempt
	events   []cwmp.Event   // waiting for the next session
	requests []cwmp.Message // of ours, for the next session
	sessions int
	nextID   int
	calls    calls

	tested    []string         // the states of tests that are over and were not told
	downloads []*cwmp.Download // asked for and not begun
	known     map[string]bool  // their CommandKeys, begun or not
	resetting bool             // a factory reset follows the session

	proof       *proof        // what the client proves when it is asked to
	remembered  models.Secret // the password that worked last
	offset      time.Duration // of the platform's clock, as it said
	serverProof string        // what the platform must prove; empty: nothing
	trusted     bool          // it did, in this session
	emptyProofs int
	keys        models.ProofKeys // derived for keysFor, because that costs tens of milliseconds
	keysFor     string
}

// attempt is what Retry repeats.
type attempt struct {
	events     []cwmp.Event
	parameters []cwmp.ParameterValue
	nonce      bool   // a new ClientNonce each time (resolutions 64)
	asserted   string // the ClientNonce that an SMS of the client has named already; each time the same
	// proof is what this attempt proves, so that the platform has to prove itself too; nil: nothing.
	proof *proof
	// late makes the parameters that depend on the ClientNonce.
	late  func(ctx context.Context) ([]cwmp.ParameterValue, error)
	retry int
}

// New makes a client. The error says what is missing or wrong in c.
func New(c Config) (*Client, error) {
	if c.URL == "" || c.Identity.SerialNumber == "" {
		return nil, errors.New("sim: URL and Identity.SerialNumber are needed")
	}
	if c.Type == "" {
		c.Type = models.PC
	}
	if c.Plan == (models.NumberPlan{}) {
		c.Plan = models.NumberPlan{Country: "86", Area: "21"}
	}
	if c.MDNHeader == "" {
		c.MDNHeader = "X-Up-Calling-Line-Id"
	}
	if c.Iterations == 0 {
		c.Iterations = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HTTP == nil {
		// Connections of its own: a platform takes two devices on one connection for one that broke the protocol (i4.md A.5).
		c.HTTP = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{IdleConnTimeout: idle}}
	}
	if c.Version == nil {
		v := cwmp.V1_2
		c.Version = &v
	}
	if c.Profile == nil {
		p, err := i4.Load(nil)
		if err != nil {
			return nil, fmt.Errorf("sim: %w", err)
		}
		c.Profile = p
	}
	return &Client{config: c, profile: c.Profile, store: newStore(c)}, nil
}

// NewIdentity makes the identity of a fresh installation: a PC client with a random serial number (i4.md D.3.1).
func NewIdentity() cwmp.DeviceID {
	return cwmp.DeviceID{Manufacturer: "ExampleSoft", OUI: "00005E", ProductClass: "IMSPC", SerialNumber: randomHex()}
}

// NewMobileIdentity makes the identity of a fresh installation on a phone.
func NewMobileIdentity() cwmp.DeviceID {
	id := NewIdentity()
	id.ProductClass = "IMSMobile"
	return id
}

// Key is the device key.
func (c *Client) Key() models.DeviceKey {
	id := c.config.Identity
	return models.DeviceKeyOf(id.OUI, id.ProductClass, id.SerialNumber)
}

// Heartbeat is a 2 PERIODIC session (i4.md B.10). Events that wait, such as those of a Reboot that was asked for, go along.
func (c *Client) Heartbeat(ctx context.Context) (Outcome, error) {
	return c.Inform(ctx, models.EventPeriodic)
}

// Boot is a 1 BOOT session. After a Logoff it begins the next login.
func (c *Client) Boot(ctx context.Context) (Outcome, error) {
	if c.Get("softClient.onlineStatus") == offline {
		c.begin()
	}
	return c.Inform(ctx, models.EventBoot)
}

// Inform is a session with standard events and the parameters that belong to them (i4.md D.4).
func (c *Client) Inform(ctx context.Context, names ...models.EventName) (Outcome, error) {
	a := &attempt{}
	for _, name := range names {
		a.events = append(a.events, c.event(name)...)
	}
	if c.config.Type != models.Generic {
		for _, name := range []string{"softClient.loginSessionId", "softClient.onlineStatus", "softClient.localIPAddress", "ui.userName", "line.status"} {
			a.parameters = append(a.parameters, c.held(name))
		}
		a.parameters = append(a.parameters, c.lastRegister()...)
		if c.Get("ui.imsi") != "" { // a changed SIM card is to be seen (i4.md B.3)
			a.parameters = append(a.parameters, c.held("ui.imsi"))
		}
	}
	return c.act(ctx, a)
}

// Send is a session with exactly these events and parameters behind the base set, for whatever the other methods do not do.
func (c *Client) Send(ctx context.Context, events []cwmp.Event, parameters []cwmp.ParameterValue) (Outcome, error) {
	return c.act(ctx, &attempt{events: events, parameters: parameters})
}

// Retry repeats the last session with RetryCount one higher: the same events, RequestId and LoginSessionId, a new
// ClientNonce and network token (i4.md A.6).
func (c *Client) Retry(ctx context.Context) (Outcome, error) {
	c.mu.Lock()
	a := c.attempt
	c.mu.Unlock()
	if a == nil {
		return Outcome{}, errors.New("sim: nothing to retry")
	}
	a.retry++
	return c.act(ctx, a)
}

// RetryWait is how long a client waits before its n-th retry, at random between the bounds of i4.md A.6.
func (c *Client) RetryWait(n int) time.Duration {
	low, _ := strconv.ParseFloat(c.Get("managementServer.cwmpRetryMinimumWaitInterval"), 64)
	factor, _ := strconv.ParseFloat(c.Get("managementServer.cwmpRetryIntervalMultiplier"), 64)
	low *= math.Pow(factor/1000, float64(min(max(n, 1), 10)-1))
	return time.Duration(low * (1 + mathrand.Float64()*(factor/1000-1)) * float64(time.Second))
}

// Interval is the heartbeat interval that the client was given.
func (c *Client) Interval() time.Duration {
	seconds, _ := strconv.Atoi(c.Get("managementServer.periodicInformInterval"))
	return time.Duration(seconds) * time.Second
}

// Queue adds a request of the client's own, such as TransferComplete, to its next session; it is gone once it was answered.
func (c *Client) Queue(m cwmp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, m)
}

// Get returns what the client holds by logical name or path, secrets included; "" for nothing.
func (c *Client) Get(nameOrPath string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.store.get(nameOrPath)
}

// Set changes what the client holds, as its user or its network would.
func (c *Client) Set(nameOrPath, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.set(nameOrPath, value)
}

// Remove takes an object away from the client, as its user or another platform would.
func (c *Client) Remove(object string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.remove(object)
}

// SetFaults makes the client misbehave until it is called again.
func (c *Client) SetFaults(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
	c.emptyProofs = f.EmptyProofs
}

// act runs one session and reports what UI.* says after it.
func (c *Client) act(ctx context.Context, a *attempt) (Outcome, error) {
	c.busy.Lock()
	defer c.busy.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt = a
	if a.proof != nil {
		c.proof = a.proof
	}
	c.store.reset()
	c.serverProof, c.trusted = "", false
	err := c.session(ctx, a)
	out := c.store.outcome()
	c.learn(out)
	return out, err
}

func (c *Client) event(name models.EventName) []cwmp.Event {
	return []cwmp.Event{{Code: c.profile.EventCode(name)}}
}

func (c *Client) value(name, value string) cwmp.ParameterValue {
	parameter, _ := c.profile.Parameter(name)
	return cwmp.ParameterValue{Name: parameter.Path, Type: parameter.Type, Value: value}
}

// held is a parameter as the client holds it.
func (c *Client) held(name string) cwmp.ParameterValue { return c.value(name, c.Get(name)) }

// randomHex is 128 random bits.
func randomHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
