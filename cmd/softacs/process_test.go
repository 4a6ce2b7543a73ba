package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program itself, for the tests of the real process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_SOFTACS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process starts the real program with arguments.
func process(ctx context.Context, t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, arguments...)
	cmd.Env = []string{"TEST_AS_SOFTACS=1", "SOFTACS_ADMIN_PASSWORD=Correct-Horse-7", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	return cmd
}

var readyLine = regexp.MustCompile(`^ready north=(127\.0\.0\.1:\d+) south=(127\.0\.0\.1:\d+) admin=(127\.0\.0\.1:\d+)\n$`)

// The process says on one line where it serves, is healthy, and stops in order at SIGTERM.
func TestServeAndStop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := process(ctx, t, "serve", "--lab", "--database", "sqlite:"+filepath.Join(t.TempDir(), "a.db"), "--north.addr", "127.0.0.1:0", "--south.addr", "127.0.0.1:0", "--admin.addr", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	found := readyLine.FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("%q, %v\n%s", line, err, stderr.String())
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		answer, err := http.Get("http://" + found[1] + path)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %v", path, answer, err)
		}
		if err == nil {
			_ = answer.Body.Close()
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if rest, err := out.ReadString('\n'); rest != "" {
		t.Errorf("more on stdout: %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}

func TestPrintConfigRedacts(t *testing.T) {
	t.Parallel()
	cmd := process(t.Context(), t, "serve", "--lab", "--print-config", "--database", "mysql://u:hunter2@127.0.0.1/x")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, secret := range []string{"hunter2", "Correct-Horse-7"} {
		if strings.Contains(string(out), secret) {
			t.Errorf("%s is shown:\n%s", secret, out)
		}
	}
	if !strings.Contains(string(out), "numberSeconds: 60") || !strings.Contains(string(out), "[redacted]") {
		t.Errorf("%s", out)
	}
}

func TestWrongSettingEndsWithOneSentence(t *testing.T) {
	t.Parallel()
	cmd := process(t.Context(), t, "serve")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "softacs: ims.domain: ") && !strings.HasPrefix(string(out), "softacs: secretKeys: ") {
		t.Errorf("%v\n%s", err, out)
	}
}
