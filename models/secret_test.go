package models_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// A sealed column that SealedNouns does not name would keep its old key for ever: `softacs keys reseal` walks these nouns only.
func TestSealedNounsAreComplete(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, noun := range models.SealedNouns {
		row := reflect.TypeOf(noun)
		listed[row.Name()] = true
		keys := 0
		for field := range row.Fields() {
			if strings.Contains(field.Tag.Get("gorm"), "primaryKey") {
				keys++
				if field.Type != reflect.TypeFor[models.ID]() {
					t.Errorf("%s: a sealed value is bound to the id of its row, but %s is a %s", row.Name(), field.Name, field.Type)
				}
			}
		}
		if keys != 1 {
			t.Errorf("%s has %d primary keys, not one", row.Name(), keys)
		}
	}
	found := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			row, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range row.Fields.List {
				if !isSealed(field.Type) {
					continue
				}
				found++
				if filepath.Dir(path) != "." || !listed[spec.Name.Name] {
					t.Errorf("%s: %s has a Sealed field and is not in models.SealedNouns", path, spec.Name.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < len(models.SealedNouns) {
		t.Errorf("%d sealed fields seen, %v", found, err)
	}
}

func isSealed(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name == "Sealed"
	case *ast.SelectorExpr:
		return x.Sel.Name == "Sealed"
	}
	return false
}
