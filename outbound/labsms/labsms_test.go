package labsms_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/outbound/labsms"
)

var message = sms.Outgoing{
	ID: models.ID{1}, To: "8613800138000", Text: "登录密码：K7MQ29XT \"<&>\"\n", Purpose: models.SmsPasswordReset,
	At: models.TimeOf(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)),
}

func TestFileAppendsOneObjectAMessage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	file := labsms.File{Path: path}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			receipt, err := file.Send(t.Context(), message)
			if err != nil || receipt.State != models.SmsDelivered {
				t.Errorf("%+v, %v", receipt, err)
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 51 || lines[50] != "" {
		t.Fatalf("%d lines", len(lines)-1)
	}
	for _, line := range lines[:50] {
		var got map[string]string
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"to": "+8613800138000", "text": message.Text.Reveal(), "purpose": "PASSWORD_RESET", "at": "2026-01-05T02:00:00.000Z"}
		for key, value := range want {
			if got[key] != value || len(got) != len(want) {
				t.Fatalf("%s is %q, want %q", key, got[key], value)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestAFileThatCannotBeOpenedIsAnOutage(t *testing.T) {
	t.Parallel()
	if _, err := (labsms.File{Path: filepath.Join(t.TempDir(), "none", "sms")}).Send(t.Context(), message); err == nil {
		t.Error("it was sent")
	}
}

func TestLogShowsTheBody(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	receipt, err := labsms.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil))}.Send(t.Context(), message)
	if err != nil || receipt.State != models.SmsDelivered {
		t.Errorf("%+v, %v", receipt, err)
	}
	for _, part := range []string{`"msg":"sms"`, "K7MQ29XT", "+8613800138000", "PASSWORD_RESET"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%s misses %s", out.String(), part)
		}
	}
}
