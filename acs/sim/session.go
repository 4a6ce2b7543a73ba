package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// HTTPError is an answer that is neither 200 nor 204, after authentication was tried.
type HTTPError struct {
	Status     int
	RetryAfter int // seconds; 0: not said
}

func (e *HTTPError) Error() string { return fmt.Sprintf("HTTP status %d", e.Status) }

// FaultError is a fault that the platform answered a request of the client with.
type FaultError struct {
	Method string
	Code   int
}

func (e *FaultError) Error() string { return fmt.Sprintf("%s: fault %d", e.Method, e.Code) }

// maxRetryRequests is how often a client repeats a request that is answered with fault 8005 (i4.md A.7).
const maxRetryRequests = 5

const retryRequest = 8005

// maxChallenges is how many 401 a client answers in one session: the first, and two for a stale nonce (i4.md A.2).
const maxChallenges = 3

// dialogue is one session with the platform.
type dialogue struct {
	*Client
	attempt *attempt
	number  int
	n       int // exchanges
	cookies map[string]string
	tries   int // challenges that were answered
	// The credentials of the beginning: new ones that arrive are for the next session.
	username, password string
}

// session runs one session; events and requests that waited are gone when they were answered.
func (c *Client) session(ctx context.Context, a *attempt) error {
	c.sessions++
	// A session has connections of its own, as a soft client's has: an Inform on the connection of an open session breaks the protocol.
	defer c.config.HTTP.CloseIdleConnections()
	d := &dialogue{Client: c, attempt: a, number: c.sessions, cookies: map[string]string{},
		username: c.store.get("managementServer.username"), password: c.store.get("managementServer.password")}
	c.auth.begin()

	events := slices.Clone(a.events)
	for _, e := range c.events {
		if !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	inform, err := d.inform(ctx, events)
	if err != nil {
		return err
	}
	answer, err := d.call(ctx, inform)
	if err != nil {
		return err
	}
	if _, ok := answer.(*cwmp.InformResponse); !ok {
		return fmt.Errorf("inform: answered by %s", answer.Method())
	}
	c.events = nil // delivered (i4.md A.5-4)
	if c.faults.CloseAfterInform {
		return nil
	}
	for len(c.requests) > 0 {
		var refused *FaultError
		if _, err := d.call(ctx, c.requests[0]); err != nil && !errors.As(err, &refused) {
			return err
		}
		c.requests = c.requests[1:]
	}
	envelope, err := d.post(ctx, nil)
	for envelope != nil && err == nil {
		envelope, err = d.post(ctx, d.respond(envelope))
	}
	return err
}

// inform builds the first message (i4.md D.4).
func (d *dialogue) inform(ctx context.Context, events []cwmp.Event) (*cwmp.Inform, error) {
	m := &cwmp.Inform{DeviceID: d.config.Identity, Events: events, MaxEnvelopes: 1, CurrentTime: d.config.Now().Add(d.faults.ClockSkew), RetryCount: d.attempt.retry}
	base := []string{"rootDataModelVersion", "deviceInfo.hardwareVersion", "deviceInfo.softwareVersion", "deviceInfo.provisioningCode",
		"managementServer.connectionRequestURL", "managementServer.parameterKey"}
	if d.config.Type != models.Generic {
		base = append(base, "softClient.clientType")
	}
	for _, name := range base {
		m.Parameters = append(m.Parameters, d.value(name, d.store.get(name)))
	}
	m.Parameters = append(m.Parameters, d.attempt.parameters...)
	if nonce := d.nonce(); nonce != "" {
		d.store.set("auth.clientNonce", nonce)
		m.Parameters = append(m.Parameters, d.value("auth.clientNonce", nonce))
	}
	if d.attempt.late != nil {
		late, err := d.attempt.late(ctx)
		if err != nil {
			return nil, err
		}
		m.Parameters = append(m.Parameters, late...)
	}
	return m, nil
}

// nonce is the ClientNonce of the attempt; "" if it has none.
func (d *dialogue) nonce() string {
	last := d.store.get("auth.clientNonce")
	switch {
	case !d.attempt.nonce:
		return ""
	case d.attempt.asserted != "":
		return d.attempt.asserted
	case d.faults.KeepNonce && last != "":
		return last
	}
	return randomHex()
}

// call sends a request of the client and returns its answer. A *FaultError says that the platform refused it.
func (d *dialogue) call(ctx context.Context, m cwmp.Message) (cwmp.Message, error) {
	for try := 1; ; try++ {
		d.nextID++
		e := &cwmp.Envelope{Version: *d.config.Version, ID: strconv.Itoa(1000 + d.nextID), Body: m}
		if _, ok := m.(*cwmp.Inform); ok {
			e.SupportedVersions, e.SessionTimeout = d.config.SupportedVersions, d.config.SessionTimeout
		}
		answer, err := d.post(ctx, e)
		switch {
		case err != nil:
			return nil, err
		case answer == nil:
			return nil, fmt.Errorf("%s: no answer", m.Method())
		case answer.ID != e.ID:
			return nil, fmt.Errorf("%s: answered with ID %q instead of %q", m.Method(), answer.ID, e.ID)
		}
		refused, ok := answer.Body.(*cwmp.Fault)
		if !ok {
			return answer.Body, nil
		}
		if refused.Code != retryRequest || try == maxRetryRequests {
			return nil, &FaultError{Method: m.Method(), Code: refused.Code}
		}
	}
}

// post sends one POST, nil being empty, and returns the envelope that is answered, nil for 204. It authenticates when it is asked to.
func (d *dialogue) post(ctx context.Context, e *cwmp.Envelope) (*cwmp.Envelope, error) {
	var body []byte
	var sent cwmp.Message
	if e != nil {
		var err error
		if body, err = cwmp.Encode(e); err != nil {
			return nil, err
		}
		sent = e.Body
	}
	for {
		answer, got, err := d.exchange(ctx, body, sent)
		if errors.Is(err, ErrAgain) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, cookie := range answer.Cookies() {
			d.cookies[cookie.Name] = cookie.Value
		}
		switch answer.StatusCode {
		case http.StatusOK, http.StatusNoContent:
			return got, nil
		case http.StatusUnauthorized:
			if d.tries++; d.tries <= maxChallenges && d.username != "" && d.auth.challenge(answer.Header.Values("WWW-Authenticate"), d.config.Digest) {
				continue
			}
		}
		refused := &HTTPError{Status: answer.StatusCode}
		refused.RetryAfter, _ = strconv.Atoi(answer.Header.Get("Retry-After"))
		return nil, refused
	}
}

// maxAnswer is what a client takes at least (i4.md H10); this one takes no more.
const maxAnswer = cwmp.MaxEnvelope

// exchange is one HTTP request with its answer, whose body is read and closed.
func (d *dialogue) exchange(ctx context.Context, body []byte, sent cwmp.Message) (*http.Response, *cwmp.Envelope, error) {
	request, err := d.request(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	d.n++
	x := Exchange{Session: d.number, N: d.n, RetryCount: d.attempt.retry, Sent: sent}
	d.mu.Unlock()
	defer d.mu.Lock()
	answer, err := d.config.HTTP.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, err
	}
	var envelope *cwmp.Envelope
	switch {
	case len(text) > maxAnswer:
		return nil, nil, errors.New("the answer is longer than 32 KiB")
	case answer.StatusCode == http.StatusOK && len(text) > 0:
		if envelope, err = cwmp.Decode(text, answer.Header.Get("Content-Type")); err != nil {
			return nil, nil, fmt.Errorf("read the answer: %w", err)
		}
		x.Got = envelope.Body
	}
	if x.Status = answer.StatusCode; d.config.OnExchange != nil {
		err = d.config.OnExchange(x)
	}
	return answer, envelope, err
}

func (d *dialogue) request(ctx context.Context, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
		request.Header["SOAPAction"] = []string{""}
	}
	for name, value := range d.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if d.config.Basic && d.username != "" {
		request.SetBasicAuth(d.username, d.password)
	} else if header := d.auth.header(http.MethodPost, request.URL.RequestURI(), d.username, d.password); header != "" {
		request.Header.Set("Authorization", header)
	}
	return request, nil
}

// respond answers a request of the platform.
func (d *dialogue) respond(request *cwmp.Envelope) *cwmp.Envelope {
	answer := &cwmp.Envelope{Version: request.Version, ID: request.ID}
	if d.faults.NoID {
		answer.ID = ""
	}
	var refused *cwmp.Fault
	if answer.Body, refused = d.handle(request.Body); refused != nil {
		answer.Body = refused
	}
	return answer
}

func (d *dialogue) handle(request cwmp.Message) (cwmp.Message, *cwmp.Fault) {
	if d.faults.Respond != nil {
		if answer := d.faults.Respond(request); answer != nil {
			return answer, nil
		}
	}
	if code := d.faults.Methods[request.Method()]; code != 0 {
		return nil, fault(code)
	}
	switch m := request.(type) {
	case *cwmp.GetRPCMethods:
		return &cwmp.GetRPCMethodsResponse{Methods: []string{"GetRPCMethods", "SetParameterValues", "GetParameterValues", "GetParameterNames", "AddObject", "Reboot", "Download"}}, nil
	case *cwmp.SetParameterValues:
		return d.setValues(m)
	case *cwmp.GetParameterValues:
		return d.getValues(m)
	case *cwmp.GetParameterNames:
		return d.store.names(m)
	case *cwmp.AddObject:
		return d.store.add(m, d.faults.Instance)
	case *cwmp.Download:
		return d.download(m)
	case *cwmp.Reboot:
		d.events = append(d.event(models.EventBoot), cwmp.Event{Code: d.profile.EventCode(models.EventMReboot), CommandKey: m.CommandKey})
		return &cwmp.RebootResponse{}, nil
	}
	return nil, fault(methodNotSupported)
}

func (d *dialogue) setValues(m *cwmp.SetParameterValues) (cwmp.Message, *cwmp.Fault) {
	if !d.trusts(m) {
		return nil, fault(requestDenied)
	}
	refuse := func(path string) int {
		if code := d.faults.Parameters[path]; code != 0 {
			return code
		}
		return d.faults.Parameters[d.profile.Name(path)]
	}
	if refused := d.store.apply(m, refuse); refused != nil {
		return nil, refused
	}
	return &cwmp.SetParameterValuesResponse{Status: d.faults.Status}, nil
}

func (d *dialogue) getValues(m *cwmp.GetParameterValues) (cwmp.Message, *cwmp.Fault) {
	if slices.Contains(m.Names, d.store.path("auth.proof")) {
		if err := d.prove(); err != nil {
			return nil, fault(9002)
		}
	}
	answer, refused := d.store.values(m.Names)
	if refused != nil {
		return nil, refused
	}
	for i, v := range answer.Parameters {
		for _, name := range []string{v.Name, d.profile.Name(v.Name)} {
			if value, wrong := d.faults.Answers[name]; wrong {
				answer.Parameters[i].Value = value
			}
		}
	}
	return answer, nil
}
