package main

import (
	"os"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

// The bench runs every scenario against its floor and writes its table where the file wants it. What the figures are is no test's business.
func TestBench(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			bench(t, database(t))
		})
	}
}

func bench(t *testing.T, database models.Secret) {
	t.Helper()
	out := writeFile(t, "performance.md", "before\n"+tableBegin+"an older table\n"+tableEnd+"after\n")
	cmd := process(t.Context(), t, "bench", "--database", database.Reveal(), "--pairs", "1", "--seconds", "0.2", "--clients", "3", "--workers", "2", "--devices", "10",
		"--subscribers", "10", "--out", out, "--wait", "1m")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	text := string(written)
	if !strings.HasPrefix(text, "before\n"+tableBegin) || !strings.HasSuffix(text, tableEnd+"after\n") || strings.Contains(text, "older") {
		t.Errorf("the file is\n%s", text)
	}
	for _, s := range scenarios {
		row := "| " + s.name + " |"
		if s.name == eventScenario {
			row = "**event**, 10 subscribers"
		}
		if !strings.Contains(text, row) || !strings.Contains(string(said), row) {
			t.Errorf("%s is missing in\n%s", s.name, text)
		}
	}
}
