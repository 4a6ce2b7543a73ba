package graph

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/99designs/gqlgen/graphql/errcode"
)

var errorRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| [^|]+ \\| [^|]+ \\|$")

// A caller finds every code that the schema or the program knows in docs/errors.md, and no other.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range errorRow.FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = true
	}
	known := map[string]bool{errcode.ParseFailed: true, errcode.ValidationFailed: true}
	for _, value := range (&server{}).schema().Schema().Types["UserErrorCode"].EnumValues {
		known[value.Name] = true
	}
	for _, path := range []string{"../models/error.go", "errors.go"} {
		for _, code := range codesIn(t, path) {
			known[code] = true
		}
	}
	for code := range known {
		if !documented[code] {
			t.Errorf("docs/errors.md has no row of %s", code)
		}
	}
	for code := range documented {
		if !known[code] {
			t.Errorf("docs/errors.md has %s, which nothing gives", code)
		}
	}
	if len(known) < 28 {
		t.Errorf("only %d codes were found", len(known))
	}
}

// codesIn are the texts of the constants of type Code that a file declares.
func codesIn(t *testing.T, path string) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		switch typ := spec.Type.(type) {
		case *ast.Ident:
			ok = typ.Name == "Code"
		case *ast.SelectorExpr:
			ok = typ.Sel.Name == "Code"
		default:
			ok = false
		}
		for _, value := range spec.Values {
			if literal, isText := value.(*ast.BasicLit); ok && isText {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, text)
			}
		}
		return true
	})
	return codes
}
