package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
)

// eventResult is what one event to many subscribers costs.
type eventResult struct {
	subscribers  int
	last         []time.Duration // for each event, from asking for the change to the last subscriber's having it; sorted
	cpu          time.Duration   // of the platform a message
	memory       int64           // resident, a subscriber
	mallocs, kib float64         // a message
}

// String is a sentence of Markdown.
func (e *eventResult) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }
	return fmt.Sprintf("**event**, %d subscribers on as many WebSockets of one process: the last of them has a change %s after the BSS asked for it "+
		"(median of %d; worst %s; target for 10,000: 250 ms). A message costs %.1f µs of CPU, %.1f allocations, %.1f KiB; a subscriber takes %d KiB of resident memory (target: 50).",
		e.subscribers, ms(e.last[len(e.last)/2]), len(e.last), ms(e.last[len(e.last)-1]), float64(e.cpu.Nanoseconds())/1000, e.mallocs, e.kib, e.memory>>10)
}

const benchEvents = 20

// events measures one event to all subscribers.
func (b *benchRun) events(ctx context.Context) error {
	if b.Subscribers == 0 {
		return nil
	}
	s, err := scenarioOf(eventScenario)
	if err != nil {
		return err
	}
	if err := b.floor.ask(floorSetup{Clean: true}, &struct{}{}); err != nil {
		return err
	}
	before, err := b.server.memory()
	if err != nil {
		return err
	}
	if err := b.load.ask(loadRequest{Scenario: s.name, Subscribe: b.Subscribers}, &loadAnswer{}); err != nil {
		return err
	}
	after, err := b.server.memory()
	if err != nil {
		return err
	}
	started, err := b.read(ctx, b.server, false)
	if err != nil {
		return err
	}
	var answer loadAnswer
	if err := b.load.ask(loadRequest{Scenario: s.name, Events: benchEvents}, &answer); err != nil {
		return err
	}
	ended, err := b.read(ctx, b.server, true)
	if err != nil {
		return err
	}
	err = b.profile(ctx, s.name, func() error {
		return b.load.ask(loadRequest{Scenario: s.name, Events: benchEvents}, &loadAnswer{})
	})
	if err != nil {
		return err
	}
	slices.Sort(answer.Latencies)
	messages := b.Subscribers * len(answer.Latencies)
	b.results = append(b.results, result{scenario: s, events: &eventResult{
		subscribers: b.Subscribers, last: answer.Latencies, cpu: (ended.process - started.process) / time.Duration(messages),
		memory: (after - before) / int64(b.Subscribers), mallocs: (ended.mallocs - started.mallocs) / float64(messages),
		kib: (ended.bytes - started.bytes) / float64(messages) / 1024,
	}})
	return nil
}

// audience is the subscribers of the load generator. Each is a bare WebSocket, so that the clients take as little of the machine as they can.
type audience struct {
	heard atomic.Int64
	goal  atomic.Int64
	done  chan struct{}
	lost  atomic.Pointer[error]
}

const benchSubscription = `subscription($after: String) { eventStream(after: $after, filter: {types: [ACCOUNT_CHANGED]}) { cursor type occurredAt subjectId payload } }`

// subscribe opens n WebSockets with a subscription each.
func (l *load) subscribe(ctx context.Context, n int) error {
	if err := l.bss.authenticate(ctx); err != nil {
		return err
	}
	l.audience = &audience{done: make(chan struct{}, 1)}
	var head string // they want to hear of what comes
	if err := l.do(ctx, `query { eventHead }`, nil, &head); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	slots := make(chan struct{}, 32)
	for range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := l.audience.join(ctx, strings.TrimPrefix(l.North, "http://"), l.bss.token, head); err != nil {
				failed.Store(&err)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("subscribe: %w", *err)
	}
	return nil
}

// tell changes an account so many times and takes the time until everybody heard of it.
func (l *load) tell(ctx context.Context, events, subscribers int) (answer loadAnswer, err error) {
	c := <-l.clients
	defer func() { l.clients <- c }()
	for n := range events + 1 { // the first one warms up
		l.audience.goal.Store(l.audience.heard.Load() + int64(subscribers))
		began := time.Now()
		err := l.do(ctx, `mutation($input: ModifyAccountInput!) { modifyAccount(input: $input) { userErrors { message } } }`, values{"input": values{
			"idempotencyKey": models.NewID().String(), "account": values{"id": c.account}, "displayName": fmt.Sprint("Customer ", n, began.UnixNano()),
		}}, &struct{}{})
		if err != nil {
			return answer, err
		}
		select {
		case <-l.audience.done:
		case <-time.After(30 * time.Second):
			err := errors.New("an event did not reach everybody")
			if lost := l.audience.lost.Load(); lost != nil {
				err = fmt.Errorf("%w: %w", err, *lost)
			}
			return answer, err
		}
		if n > 0 {
			answer.Latencies = append(answer.Latencies, time.Since(began))
		}
	}
	return answer, nil
}

// join opens one WebSocket (RFC 6455), subscribes and reads on in the background.
func (a *audience) join(ctx context.Context, addr, token, head string) error {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"+
		"Sec-WebSocket-Key: %s\r\nAuthorization: Bearer %s\r\n\r\n", addr, base64.StdEncoding.EncodeToString(key[:]), token)
	in := bufio.NewReaderSize(conn, 1024)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("HTTP %d", answer.StatusCode)
	}
	send(conn, textFrame, values{"type": "connection_init"})
	if _, text, err := readFrame(in); err != nil || !bytes.Contains(text, []byte("connection_ack")) {
		return fmt.Errorf("%s: %w", text, errors.Join(errors.New("no connection_ack"), err))
	}
	send(conn, textFrame, values{"type": "subscribe", "id": "1", "payload": values{"query": benchSubscription, "variables": values{"after": head}}})
	// The answer to a ping says that the subscribe before it was read.
	send(conn, textFrame, values{"type": "ping"})
	if _, text, err := readFrame(in); err != nil || !bytes.Contains(text, []byte(`"pong"`)) {
		return fmt.Errorf("%s: %w", text, errors.Join(errors.New("no pong"), err))
	}
	_ = conn.SetReadDeadline(time.Time{})
	go a.listen(conn, in)
	return nil
}

func (a *audience) listen(conn net.Conn, in *bufio.Reader) {
	for {
		opcode, text, err := readFrame(in)
		switch {
		case err != nil || opcode == closeFrame:
			err = errors.Join(err, fmt.Errorf("a subscriber was closed: %q", text))
			a.lost.Store(&err)
			return
		case opcode == pingFrame:
			send(conn, pongFrame, nil)
		case bytes.Contains(text, []byte(`"type":"next"`)):
			if a.heard.Add(1) == a.goal.Load() {
				a.done <- struct{}{}
			}
		case bytes.Contains(text, []byte(`"type":"ping"`)):
			send(conn, textFrame, values{"type": "pong"})
		default:
			err := fmt.Errorf("a subscriber got %s", text)
			a.lost.Store(&err)
		}
	}
}

// Opcodes of RFC 6455, section 5.2.
const (
	textFrame  = 1
	closeFrame = 8
	pingFrame  = 9
	pongFrame  = 10
)

// send writes one masked frame of less than 64 KiB; the mask is zero, which is one.
func send(conn net.Conn, opcode byte, message values) {
	var text []byte
	if message != nil {
		text, _ = json.Marshal(message) // texts only
	}
	frame := []byte{0x80 | opcode, 0x80 | byte(len(text))}
	if len(text) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{0x80 | opcode, 0x80 | 126}, uint16(len(text)))
	}
	frame = append(append(frame, 0, 0, 0, 0), text...)
	_, _ = conn.Write(frame) // what fails is seen by the reader
}

// readFrame reads one unmasked, unfragmented frame.
func readFrame(in *bufio.Reader) (opcode byte, text []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1] & 0x7f)
	var long [8]byte
	switch size {
	case 126:
		_, err = io.ReadFull(in, long[6:])
		size = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(in, long[:])
		size = binary.BigEndian.Uint64(long[:])
	}
	if err != nil || size > 1<<20 {
		return 0, nil, errors.Join(err, errors.New("a frame that is too long"))
	}
	text = make([]byte, size)
	_, err = io.ReadFull(in, text)
	return head[0] & 0x0f, text, err
}
