package graph_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/softacs/softacs/graph/transport"
)

// node runs a script of the folder audit against the door.
func (o *open) node(script string) string {
	o.Helper()
	for program, debian := range map[string]string{"node": "nodejs", "npm": "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			o.Fatalf("the test needs %s: install Debian's package %s (apt-get install nodejs npm)", program, debian)
		}
	}
	if _, err := os.Stat(filepath.Join("audit", "node_modules", ".package-lock.json")); err != nil {
		install := exec.CommandContext(o.Context(), "npm", "ci", "--no-audit", "--no-fund")
		install.Dir = "audit"
		if out, err := install.CombinedOutput(); err != nil {
			o.Fatalf("npm ci in graph/audit: %v\n%s", err, out)
		}
	}
	run := exec.CommandContext(o.Context(), "node", script)
	run.Dir = "audit"
	run.Env = append(os.Environ(), "URL="+o.url, "TOKEN="+o.bss)
	out, err := run.CombinedOutput()
	if err != nil {
		o.Errorf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// The audit of graphql-http passes without a warning, and the official clients of both protocols follow the log.
func TestAuditAndOfficialClients(t *testing.T) {
	h := onSQLite(t, false)
	o := h.open(transport.Limits{})
	t.Log(o.node("audit.mjs"))
	t.Log(o.node("clients.mjs"))
}
