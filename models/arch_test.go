package models_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/softacs/softacs/"

// layers are the rooms under models from the ground up: a room imports only from layers below its own.
var layers = [][]string{
	{"models"},
	{"models/store"},
	{"models/events"},
	{"models/devices", "models/sms", "models/packages", "models/operators", "models/lines"},
	{"models/tasks"},
	{"models/configuration", "models/webhooks", "models/traces"}, // above tasks, some of which mirror its versions
	{"models/passwords", "models/bindings", "models/diagnostics", "models/statistics"},
	{"models/accounts"},
	{"models/desk"},
	{"models/clients", "models/configtasks"},
}

// allowed says for every other package, by its folder, which packages of this module it may import; "models/…" means models and its rooms
// without the store, a trailing slash everything below.
var allowed = map[string][]string{
	"acs/cwmp":               {},
	"acs/i4":                 {"acs/cwmp", "models"},
	"acs/pki":                {},
	"acs/pki/pkitest":        {},
	"acs/session":            {"acs/cwmp", "acs/i4", "models"},
	"acs/server":             {"acs/", "models/…"},
	"acs/aaa":                {"models", "models/lines"},
	"acs/files":              {"models/…"},
	"acs/sim":                {"acs/cwmp", "acs/i4", "models"},
	"graph":                  {"graph/", "models/…"},
	"graph/generated":        {"graph/", "models/…"},
	"graph/model":            {"graph/types", "models/…"},
	"graph/types":            {"models/…"},
	"graph/transport":        {"models"},
	"docs/events":            {},
	"docs/events/eventstest": {"docs/events", "models", "models/store"},
	"outbound/labsms":        {"models", "models/sms"},
	"outbound/smpp":          {"models", "models/sms"},
	"outbound/smpp/smpptest": {"models", "outbound/smpp"},
	"outbound/webhooks":      {"models", "models/webhooks"},
	"web-client":             {},
	"cmd/softacs":            {""},
}

// forbidden are packages from outside that belong to certain folders only.
var forbidden = []struct {
	prefix string
	only   []string
}{
	{"gorm.io/", []string{"models/"}},
	{"layeh.com/radius", []string{"acs/aaa"}},
	{"database/sql", []string{"models", "cmd/"}}, // the nouns implement Valuer and Scanner; the floor of the bench is plain SQL
	{"net/http", []string{"acs/server", "acs/files", "acs/sim", "graph", "outbound/webhooks", "web-client", "cmd/"}},
	{"github.com/99designs/gqlgen", []string{"graph"}},
}

func TestImports(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			seen++
			if why := refuse(folder, imported, strings.HasSuffix(path, "_test.go")); why != "" {
				t.Errorf("%s imports %s: %s", path, imported, why)
			}
		}
		return nil
	})
	if err != nil || seen < 500 {
		t.Fatalf("%d imports seen, %v", seen, err)
	}
}

// refuse says why a package may not be imported; empty if it may. Tests may import anything of this module: they stand at its front doors.
func refuse(folder, imported string, test bool) string {
	ours, isOurs := strings.CutPrefix(imported, module)
	if !isOurs {
		return refuseForeign(folder, imported, test)
	}
	if test || ours == folder || strings.HasPrefix(folder, "models/store/storetest") {
		return ""
	}
	if from := layer(folder); from >= 0 {
		if to := layer(ours); to < 0 || to >= from {
			return "it is not in a layer below"
		}
		return ""
	}
	rules, known := allowed[folder]
	if !known {
		return "the folder has no line in arch_test.go"
	}
	for _, rule := range rules {
		below := strings.HasSuffix(rule, "/") || rule == ""
		switch {
		case rule == ours, below && strings.HasPrefix(ours, rule):
			return ""
		case rule == "models/…" && (ours == "models" || strings.HasPrefix(ours, "models/") && ours != "models/store"):
			return ""
		}
	}
	return "its line in arch_test.go does not name it"
}

func refuseForeign(folder, imported string, test bool) string {
	if folder == "models" && !test && imported != "github.com/google/uuid" && imported != "golang.org/x/text/unicode/norm" && strings.Contains(imported, ".") {
		return "the nouns import the standard library, uuid and Unicode normalisation only"
	}
	for _, f := range forbidden {
		if !strings.HasPrefix(imported, f.prefix) || test {
			continue
		}
		if !slices.ContainsFunc(f.only, func(prefix string) bool { return strings.HasPrefix(folder+"/", prefix) }) {
			return "only " + strings.Join(f.only, ", ") + " may"
		}
	}
	return ""
}

// layer is the layer of a room under models, -1 for any other folder.
func layer(folder string) int {
	return slices.IndexFunc(layers, func(rooms []string) bool { return slices.Contains(rooms, folder) })
}
