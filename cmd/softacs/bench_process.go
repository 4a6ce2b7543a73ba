package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is another process of this program.
type child struct {
	command   *exec.Cmd
	stdin     io.WriteCloser
	stdout    *bufio.Reader
	addresses map[string]string // of its ready line
}

// startChild starts this program once more and waits for its line `ready name=address …`.
func startChild(ctx context.Context, wait time.Duration, stderr io.Writer, environ []string, arguments ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{command: exec.CommandContext(ctx, self, arguments...), addresses: map[string]string{}}
	c.command.Env = append(withoutSettings(os.Environ()), environ...)
	c.command.Stderr = stderr
	c.command.Cancel = func() error { return c.command.Process.Signal(syscall.SIGTERM) }
	c.command.WaitDelay = stopTime
	// What ends the bench by a signal must not end the children before it: it asks them itself.
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if c.stdin, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	c.stdout = bufio.NewReaderSize(stdout, 1<<20)
	late := time.AfterFunc(wait, func() { _ = c.command.Process.Kill() })
	defer late.Stop()
	line, err := c.stdout.ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) == 0 || fields[0] != "ready" {
		return nil, fmt.Errorf("%s did not become ready: %q, %w", arguments[0], line, err)
	}
	for _, field := range fields[1:] {
		name, addr, _ := strings.Cut(field, "=")
		c.addresses[name] = addr
	}
	return c, nil
}

// withoutSettings leaves out the platform's variables: a bench measures what it set up, not what the shell happens to have.
func withoutSettings(environ []string) (kept []string) {
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "SOFTACS_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

func (c *child) addr(name string) string { return c.addresses[name] }

// ask sends a line of JSON and reads one back; a child that could not do it answers with {"Err": …}.
func (c *child) ask(request, answer any) error {
	if err := json.NewEncoder(c.stdin).Encode(request); err != nil {
		return err
	}
	line, err := c.stdout.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("a child process ended: %w", err)
	}
	var failed struct{ Err string }
	if err := json.Unmarshal(line, &failed); err != nil {
		return err
	}
	if failed.Err != "" {
		return errors.New(failed.Err)
	}
	return json.Unmarshal(line, answer)
}

// serveChild answers a parent's lines until there are none.
func serveChild[Q any](ready string, handle func(Q) (any, error)) error {
	fmt.Println(strings.TrimSpace("ready " + ready))
	lines, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var request Q
		if err := lines.Decode(&request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		answer, err := handle(request)
		if err != nil {
			answer = struct{ Err string }{err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

func (c *child) stop() {
	_ = c.stdin.Close()
	_ = c.command.Process.Signal(syscall.SIGTERM)
	_ = c.command.Wait()
}

// memory is what is resident, in bytes.
func (c *child) memory() (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.command.Process.Pid), "statm"))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	_, err = fmt.Sscan(string(text), &size, &resident)
	return resident * int64(os.Getpagesize()), err
}

// readings are what is measured before and after.
type readings struct {
	process, database          time.Duration
	mallocs, bytes, statements float64
}

// read takes the readings of a process. Those of the metrics, if it has any, are taken on the outer side of the measured time: a scrape costs too.
func (b *benchRun) read(ctx context.Context, process *child, after bool) (r readings, err error) {
	scrape := func() error {
		if process.addr("admin") == "" {
			return nil
		}
		return scrapeOf(ctx, "http://"+process.addr("admin")+"/metrics", &r)
	}
	if !after {
		if err := scrape(); err != nil {
			return r, err
		}
	}
	if r.process, err = processTime(process.command.Process.Pid); err == nil && b.database.pid != 0 {
		r.database, err = processTime(b.database.pid)
	}
	if err == nil && after {
		err = scrape()
	}
	return r, err
}

// ticks is USER_HZ, which is 100 on every Linux.
const ticks = 100

// processTime is the CPU time of a process and its threads, of the user and of the system.
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may contain anything; utime and stime are the 14th and 15th field.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// scrapeOf reads the metrics that the bench needs.
func scrapeOf(ctx context.Context, url string, r *readings) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil:
		case name == "go_memstats_mallocs_total":
			r.mallocs = value
		case name == "go_memstats_alloc_bytes_total":
			r.bytes = value
		case strings.HasPrefix(name, "softacs_database_duration_seconds_count{") && !strings.Contains(name, `"transaction"`):
			r.statements += value
		}
	}
	return lines.Err()
}
