package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// The real process is killed under traffic from both doors and started again on the same database. What it acknowledged is there once, what it
// did not acknowledge its clients have repeated, and nobody who follows the log has missed anything. `make soak` kills it 50 times.
func TestCrash(t *testing.T) {
	t.Parallel()
	kills := 3
	if os.Getenv("TEST_SOAK") != "" {
		kills = 50
	}
	for engine, database := range storetest.Durable {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := labConfig(t, database(t), nil)
			v := newVictim(t, c)
			v.start()
			traffic := newTraffic(v)
			for range kills {
				v.await(10 + rand.Int64N(40)) // any moment is as good as any other
				v.kill()
				v.start()
			}
			v.await(20)
			traffic.stop()
			v.terminate()
			v.start()
			traffic.everyClientIsServed()
			traffic.everythingIsReplayed()
			traffic.followed.catchUp(t)
			v.terminate()
			inspect(t, c, traffic)
		})
	}
}

// victim is the process that is killed, always on the same addresses.
type victim struct {
	t         *testing.T
	arguments []string
	north     string
	south     string
	stderr    bytes.Buffer
	command   *exec.Cmd
	stdout    *bufio.Reader

	// answers counts what either door acknowledged, sessions the sessions of each client, over all lives.
	answers  atomic.Int64
	sessions [crashClients]atomic.Int64
}

func newVictim(t *testing.T, c Config) *victim {
	t.Helper()
	north, south := lowAddr(t), lowAddr(t)
	return &victim{t: t, north: "http://" + north, south: "http://" + south + "/acs", arguments: []string{
		"serve", "--lab", "--database", c.Database.Reveal(), "--secretKeys", c.SecretKeys, "--sms", c.SMS.Reveal(),
		"--north.addr", north, "--south.addr", south, "--admin.addr", "127.0.0.1:0",
	}}
}

// lowAddr is a free address below the ports that the system gives out by itself, so that nobody takes it while the process is down.
func lowAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// start starts the process and waits until it is ready.
func (v *victim) start() {
	v.t.Helper()
	v.stderr.Reset()
	v.command = process(context.WithoutCancel(v.t.Context()), v.t, v.arguments...)
	v.command.Env = append(v.command.Env, "SOFTACS_API_CLIENT=bss:a-secret-for-the-tests", "SOFTACS_I4_AUTH_ITERATIONS=10000",
		"SOFTACS_I4_LIMITS_HEARTBEAT_SECONDS=0")
	v.command.Stderr = &v.stderr
	stdout, err := v.command.StdoutPipe()
	if err == nil {
		err = v.command.Start()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	command := v.command
	v.t.Cleanup(func() { _ = command.Process.Kill() }) // it has ended already unless the test failed
	v.stdout = bufio.NewReader(stdout)
	if line, err := v.stdout.ReadString('\n'); !readyLine.MatchString(line) {
		v.t.Fatalf("%q, %v\n%s", line, err, v.end())
	}
}

// end waits for the end of the process and returns what it said.
func (v *victim) end() string {
	_, _ = v.stdout.WriteTo(io.Discard) // until the pipe closes
	_ = v.command.Wait()
	return v.stderr.String()
}

func (v *victim) kill() {
	v.t.Helper()
	if err := v.command.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	if said := v.end(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic") {
		v.t.Fatal(said)
	}
}

// terminate stops the process in order.
func (v *victim) terminate() {
	v.t.Helper()
	if err := v.command.Process.Signal(syscall.SIGTERM); err != nil {
		v.t.Fatal(err)
	}
	if said := v.end(); !v.command.ProcessState.Success() {
		v.t.Fatalf("%s\n%s", v.command.ProcessState, said)
	}
}

// crashTime bounds whatever is waited for here.
const crashTime = time.Minute

// await waits until every client has ended a session, for one that never can would only pile up work, and so many more answers came.
func (v *victim) await(more int64) {
	v.t.Helper()
	for i := range v.sessions {
		v.counted(&v.sessions[i], 1)
	}
	v.counted(&v.answers, more)
}

// counted waits until n has grown by more.
func (v *victim) counted(n *atomic.Int64, more int64) {
	v.t.Helper()
	goal := n.Load() + more
	for deadline := time.Now().Add(crashTime); n.Load() < goal; {
		if time.Now().After(deadline) || v.t.Failed() {
			_ = v.command.Process.Kill()
			v.t.Fatalf("%d answers are missing\n%s", goal-n.Load(), v.end())
		}
		_ = models.SystemClock{}.Wait(v.t.Context(), time.Millisecond)
	}
}

// api is a BSS of the tests' client.
func (v *victim) api() *bss {
	return &bss{north: v.north, id: "bss", secret: "a-secret-for-the-tests"}
}

// until repeats try until it succeeds: that is what a client does whose server went away.
func (v *victim) until(what string, try func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(v.t.Context(), crashTime)
	defer cancel()
	errs := map[string]int{}
	for {
		err := try(ctx)
		if err == nil {
			v.answers.Add(1)
			return true
		}
		errs[err.Error()]++
		if (models.SystemClock{}).Wait(ctx, 10*time.Millisecond) != nil {
			v.t.Errorf("%s: %v", what, errs)
			return false
		}
	}
}

// deed is a mutation that was acknowledged.
type deed struct {
	mutation string
	input    object
	id       string // of the account or task
}

// do runs a mutation until it is acknowledged, each time with the same idempotency key, and returns what the answer says.
func (v *victim) do(b *bss, mutation string, input object) (d deed, replayed, ok bool) {
	document := fmt.Sprintf("mutation($input: %s!) { %s(input: $input) { %s { id } replayed userErrors { message } } }",
		strings.ToUpper(mutation[:1])+mutation[1:]+"Input", mutation, map[bool]string{true: "task", false: "account"}[mutation == "createDeviceTask"])
	var payload struct {
		Account, Task struct{ ID string }
		Replayed      bool
	}
	ok = v.until(mutation, func(ctx context.Context) error {
		return b.do(ctx, document, map[string]any{"input": input}, &payload)
	})
	return deed{mutation, input, payload.Account.ID + payload.Task.ID}, payload.Replayed, ok
}

// deeds are collected by several goroutines.
type deeds struct {
	mu   sync.Mutex
	list []deed
}

func (l *deeds) add(d deed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

func (l *deeds) of(mutation string) (list []deed) {
	for _, d := range l.list {
		if d.mutation == mutation {
			list = append(list, d)
		}
	}
	return list
}
