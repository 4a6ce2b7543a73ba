package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

// door is a server behind real HTTP, with everything behind it faked.
type door struct {
	*Server
	t       *testing.T
	http    *httptest.Server
	clock   *fakeClock
	devices *fakeDevices
	clients *fakeClients
}

// open starts a door; set changes its Config.
func open(t *testing.T, set ...func(*Config)) *door {
	t.Helper()
	profile, err := i4.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{SHA256: true, NonceRing: 64, NonceKey: [32]byte{1}}
	for _, f := range set {
		f(&c)
	}
	d := &door{t: t, clock: newFakeClock(), devices: &fakeDevices{rows: map[models.DeviceKey]*models.Device{}}, clients: &fakeClients{}}
	d.Server = New(c, profile, d.devices, d.clients, d.clock)
	d.http = httptest.NewUnstartedServer(d.Handler())
	d.Configure(d.http.Config)
	d.http.Start()
	t.Cleanup(d.http.Close)
	return d
}

func lab(c *Config) { c.Lab = true }

// run runs the reaper until the test ends.
func (d *door) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	d.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// client is a CPE with one TCP connection.
type client struct {
	*door
	http   *http.Client
	header http.Header // sent with each POST
	path   string
}

func (d *door) client() *client {
	transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		ExpectContinueTimeout: 10 * time.Second}
	d.t.Cleanup(transport.CloseIdleConnections)
	return &client{door: d, http: &http.Client{Transport: transport}, header: http.Header{}, path: "/acs"}
}

// elsewhere is the same client on another TCP connection.
func (c *client) elsewhere() *client {
	other := c.door.client()
	other.header, other.path = c.header.Clone(), c.path
	return other
}

// answer is what came back.
type answer struct {
	*http.Response
	body []byte
}

// post sends a body and keeps the session cookie.
func (c *client) post(body io.Reader, set ...func(*http.Request)) answer {
	c.t.Helper()
	a, err := c.try(body, set...)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *client) try(body io.Reader, set ...func(*http.Request)) (answer, error) {
	r, err := http.NewRequest(http.MethodPost, c.door.http.URL+c.path, body)
	if err != nil {
		return answer{}, err
	}
	r.Header = c.header.Clone()
	for _, f := range set {
		f(r)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	for _, cookie := range response.Cookies() {
		c.header.Set("Cookie", cookie.Name+"="+cookie.Value)
	}
	return answer{Response: response, body: text}, err
}

func (c *client) send(m cwmp.Message, set ...func(*http.Request)) answer {
	c.t.Helper()
	return c.post(bytes.NewReader(encode(c.t, m)), set...)
}

func (c *client) empty() answer {
	c.t.Helper()
	return c.post(http.NoBody)
}

func encode(t *testing.T, m cwmp.Message) []byte { return encodeID(t, m, "77") }

func encodeID(t *testing.T, m cwmp.Message, id string) []byte {
	t.Helper()
	text, err := cwmp.Encode(&cwmp.Envelope{Version: cwmp.V1_2, ID: id, Body: m})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// message decodes an answer.
func (a answer) message(t *testing.T) *cwmp.Envelope {
	t.Helper()
	e, err := cwmp.Decode(a.body, a.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("status %d, %q: %v", a.StatusCode, a.body, err)
	}
	return e
}

// is fails unless the answer has that status, and closes the connection exactly when it is an error other than 401.
func (a answer) is(t *testing.T, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d", a.StatusCode, status)
	}
	if closes := status >= 400 && status != http.StatusUnauthorized; status != http.StatusUnauthorized && a.Close != closes {
		t.Fatalf("status %d: Connection: close is %v", status, a.Close)
	}
	if status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
		t.Fatal("503 without Retry-After")
	}
}

// has fails unless a 200 carries that message.
func (a answer) has(t *testing.T, method string) {
	t.Helper()
	a.is(t, http.StatusOK)
	if got := a.message(t).Body.Method(); got != method {
		t.Fatalf("answered by %s, want %s", got, method)
	}
}

// inform builds an Inform of the PC client with that serial number.
func inform(serial string, codes ...string) *cwmp.Inform {
	m := &cwmp.Inform{DeviceID: cwmp.DeviceID{Manufacturer: "ExampleSoft", OUI: "00005E", ProductClass: "IMSPC", SerialNumber: serial}}
	for _, code := range codes {
		m.Events = append(m.Events, cwmp.Event{Code: code})
	}
	return m
}

// generic makes an Inform that of a plain TR-069 device.
func generic(m *cwmp.Inform) *cwmp.Inform {
	m.DeviceID.ProductClass = "Router"
	return m
}

func keyOf(m *cwmp.Inform) models.DeviceKey {
	return models.DeviceKeyOf(m.DeviceID.OUI, m.DeviceID.ProductClass, m.DeviceID.SerialNumber)
}

const password = models.Secret("s3cret")

// know stores a device with credentials.
func (d *door) know(m *cwmp.Inform, set ...func(*models.Device, *models.HTTPCredentials)) *models.Device {
	row := &models.Device{ID: models.NewID(), Key: keyOf(m), ClientType: models.PC, HTTPUsername: string(keyOf(m)), HTTPCredentials: models.Sealed("x")}
	if m.DeviceID.ProductClass == "Router" {
		row.ClientType = models.Generic
	}
	c := models.HTTPCredentials{Current: devices.HA1Of(row.HTTPUsername, password)}
	for _, f := range set {
		f(row, &c)
	}
	d.devices.put(row, c)
	return row
}

type fakeDevices struct {
	mu          sync.Mutex
	rows        map[models.DeviceKey]*models.Device
	credentials map[models.ID]models.HTTPCredentials
	lookups     int
	err         error
}

func (f *fakeDevices) put(row *models.Device, c models.HTTPCredentials) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.credentials == nil {
		f.credentials = map[models.ID]models.HTTPCredentials{}
	}
	f.rows[row.Key], f.credentials[row.ID] = row, c
}

func (f *fakeDevices) Lookup(_ context.Context, key models.DeviceKey) (*models.Device, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	return f.rows[key], f.err
}

func (f *fakeDevices) Credentials(d *models.Device) (models.HTTPCredentials, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.credentials[d.ID], nil
}

func (f *fakeDevices) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// read returns how many look-ups there were since it was last asked.
func (f *fakeDevices) read() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.lookups
	f.lookups = 0
	return n
}

// arrival is what Arrive was told.
type arrival struct {
	in       *models.Inform
	device   *models.Device
	trust    models.Trust
	previous bool
	actor    models.Actor
	origin   models.Origin
}

type fakeClients struct {
	mu       sync.Mutex
	visit    func() *fakeVisit // of the next arrival; nil: one that asks nothing
	err      error
	arrivals []arrival
}

func (f *fakeClients) Arrive(ctx context.Context, in *models.Inform, d *models.Device, trust models.Trust, previous bool) (session.Visit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	f.arrivals = append(f.arrivals, arrival{in, d, trust, previous, models.ActorFrom(ctx), models.OriginFrom(ctx)})
	if f.visit == nil {
		return &fakeVisit{}, nil
	}
	return f.visit(), nil
}

func (f *fakeClients) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// visits makes every arrival get v.
func (f *fakeClients) visits(v *fakeVisit) *fakeVisit {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.visit = func() *fakeVisit { return v }
	return v
}

func (f *fakeClients) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.arrivals)
}

func (f *fakeClients) last(t *testing.T) arrival {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.arrivals) == 0 {
		t.Fatal("nobody arrived")
	}
	return f.arrivals[len(f.arrivals)-1]
}

// fakeVisit asks for what next returns, or a number of Reboots.
type fakeVisit struct {
	mu        sync.Mutex
	reboots   int
	next      func(context.Context) (*models.Request, error)
	transfer  func() error
	answers   int
	transfers int
	ends      []error
}

func (v *fakeVisit) Next(ctx context.Context) (*models.Request, error) {
	if v.next != nil {
		return v.next(ctx)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reboots == 0 {
		return nil, nil
	}
	v.reboots--
	return &models.Request{Method: models.RebootDevice, CommandKey: "k"}, nil
}

func (v *fakeVisit) Answer(context.Context, models.Reply) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers++
	return nil
}

func (v *fakeVisit) RequestDownload(context.Context, string) error { return nil }

func (v *fakeVisit) Transfer(context.Context, models.Transfer) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.transfers++
	if v.transfer != nil {
		return v.transfer()
	}
	return nil
}

func (v *fakeVisit) End(_ context.Context, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ends = append(v.ends, err)
}

// ended returns with what errors the visit ended.
func (v *fakeVisit) ended() []error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]error(nil), v.ends...)
}

// fakeClock moves only when a test moves it.
type fakeClock struct {
	mu      sync.Mutex
	now     models.Time
	changed chan struct{}
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)), changed: make(chan struct{})}
}

func (c *fakeClock) Now() models.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *fakeClock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	until := c.now.Add(d)
	c.mu.Unlock()
	for {
		c.mu.Lock()
		now, changed := c.now, c.changed
		c.mu.Unlock()
		if now >= until {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// eventually fails unless ok becomes true within ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		_ = models.SystemClock{}.Wait(t.Context(), 2*time.Millisecond)
	}
}

// digest is a CPE's side of digest authentication.
type digest struct {
	username  string
	password  models.Secret
	nonce     string
	nc        int
	algorithm string
	uri       string
}

// challenged reads the challenge for an algorithm from a 401.
func challenged(t *testing.T, a answer, algorithm, username string, password models.Secret) *digest {
	t.Helper()
	a.is(t, http.StatusUnauthorized)
	for _, header := range a.Header.Values("WWW-Authenticate") {
		c, ok := parseAuthorization(header)
		if ok && c.params["algorithm"] == algorithm {
			if c.params["realm"] != "i4" || c.params["qop"] != "auth" || c.params["opaque"] == "" || !strings.HasPrefix(header, "Digest ") {
				t.Fatalf("challenge %q", header)
			}
			return &digest{username: username, password: password, nonce: c.params["nonce"], algorithm: algorithm, uri: "/acs"}
		}
	}
	t.Fatalf("no challenge for %s", algorithm)
	return nil
}

func isStale(a answer) bool {
	return strings.Contains(a.Header.Get("WWW-Authenticate"), "stale=true")
}

// sign adds the next Authorization header.
func (d *digest) sign(r *http.Request) {
	d.nc++
	d.repeat(r)
}

// repeat adds the last one again.
func (d *digest) repeat(r *http.Request) {
	ha1, hash := devices.HA1Of(d.username, d.password).MD5, md5Hex
	if d.algorithm == "SHA-256" {
		ha1, hash = devices.HA1Of(d.username, d.password).SHA256, sha256Hex
	}
	nc := fmt.Sprintf("%08x", d.nc)
	response := hash(ha1 + ":" + d.nonce + ":" + nc + ":0a4f113b:auth:" + hash("POST:"+d.uri))
	r.Header.Set("Authorization", fmt.Sprintf(`Digest username="%s", realm="i4", nonce="%s", uri="%s", algorithm=%s, qop=auth, nc=%s, cnonce="0a4f113b", response="%s"`,
		d.username, d.nonce, d.uri, d.algorithm, nc, response))
}
