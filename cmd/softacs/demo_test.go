package main

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The demo tells its story to the end of each part, and Ctrl-C ends it in order.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := process(ctx, t, "demo", "--clients", "5", "--heartbeat", "1", "--change", "6s", "--north", "127.0.0.1:0", "--south", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waiting := map[string]*regexp.Regexp{}
	for _, part := range []string{
		`^ready north=127`, `^The web client is at http://127`, `BSS +provisions account \+862160000005`,
		`client 01 +reads the SMS on .* and types the password`, `client 01 +is authenticated; has cfg-000000001, line Enabled`,
		`client 01 +reports its calls`, `client 01 +has a password of its own now`, `client 02 +logs off`, `client 02 +is back`,
		`client 03 +is a phone; its network vouches for`, `client 03 +is authenticated; has cfg-000000001, line Enabled`,
		`client 04 +is a phone on WiFi; asks for a code`, `client 04 +is authenticated; has cfg-000000001, line Enabled`,
		`screen 01 +is unpacked`, `screen 01 +has its account without a word typed; line Enabled, cfg-000000001`, `screen 02 +waits for its order`,
		`BSS +orders screen 02 for account \+862160000007`, `screen 02 +is switched off and on`, `screen 02 +has its account`,
		`BSS +suspends account \+862160000005`, `client 05 +is told that the account is suspended; line Disabled`,
		`care +asks the client of .* to trace the route`, `client 01 +runs a test`, `client 01 +tells what it found`,
		`care +brings version 2\.1\.0 and asks the client of`, `client 01 +fetches its new version`, `client 01 +starts as version 2\.1\.0`,
		`BSS +resumes account \+862160000005`, `client 05 +is back in service; line Enabled`,
		`BSS +turns VIDEO on for account \+862160000001`, `client 01 +heartbeat brings cfg-000000002: video.enable = 1`,
	} {
		waiting[part] = regexp.MustCompile(part)
	}
	bad := regexp.MustCompile(`refused|not answered|not known|heartbeat: |cannot|auth\.|ui\.`)
	var story []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		line := lines.Text()
		if story = append(story, line); bad.MatchString(line) {
			t.Errorf("the story has %q", line)
		}
		_, told, _ := strings.Cut(line, "  ") // behind the time
		for part, pattern := range waiting {
			if pattern.MatchString(line) || pattern.MatchString(told) {
				delete(waiting, part)
				if len(waiting) == 0 {
					_ = cmd.Process.Signal(os.Interrupt)
				}
			}
		}
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 || len(waiting) > 0 {
		t.Errorf("%v; not told: %v\n%s\n%s", err, waiting, strings.Join(story, "\n"), stderr.String())
	}
}

// timeout(1) sends its signal to the process and to its group, and so does a make that is told to end: the second one left the folder behind.
func TestTheDemoRemovesItsFolderWhateverEndsIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	folders := t.TempDir()
	cmd := process(ctx, t, "demo", "--clients", "1", "--north", "127.0.0.1:0", "--south", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TMPDIR="+folders)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("the demo says nothing")
	}
	go func() {
		for lines.Scan() {
		}
		_ = cmd.Wait() // in order or at once, as the signals came
	}()
	for cmd.Process.Signal(syscall.SIGTERM) == nil { // until it was waited for
	}
	if left, err := os.ReadDir(folders); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
