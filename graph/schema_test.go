package graph

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/softacs/softacs/models"
)

// open are the root fields that need no permission, and why.
var open = map[string]string{
	"node":           "nodeNeeds decides by the kind that the id names",
	"nodes":          "as node",
	"viewer":         "everybody may know who they are",
	"signIn":         "the way to a token",
	"refreshSession": "the way to a token",
	"signOut":        "needs the cookie",
}

func TestEveryFieldHasARule(t *testing.T) {
	schema := (&server{}).schema().Schema()
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, f := range root.Fields {
			if f.Name == "__schema" || f.Name == "__type" {
				continue // walk.known decides
			}
			if has := len(needs(f.Directives)) > 0; has == (open[f.Name] != "") {
				t.Errorf("%s.%s has @need: %v", root.Name, f.Name, has)
			}
		}
	}
	nodes := objects(schema, "Node")
	for _, name := range nodes {
		definition, kind := schema.Types[name], models.Kind(name)
		permissions := needs(definition.Directives)
		if len(permissions) == 0 { // an actor shows its names, the rest has a rule of its own (resolutions 61)
			if !slices.Contains(objects(schema, "Actor"), name) {
				t.Errorf("%s has no @need", name)
			}
			for _, f := range definition.Fields {
				if free := slices.Contains([]string{"id", "username", "clientId"}, f.Name); free == (len(needs(f.Directives)) > 0) {
					t.Errorf("%s.%s: free to see: %v", name, f.Name, free)
				}
			}
			permissions = []models.Permission{models.OperatorAdmin}
		}
		if !slices.Equal(permissions, []models.Permission{nodeNeeds[kind]}) {
			t.Errorf("%s needs %v in the schema, %s at run time", name, permissions, nodeNeeds[kind])
		}
		if new(request).familyOf(kind) == nil {
			t.Errorf("node cannot load %s", name)
		}
	}
	if len(nodes) != len(nodeNeeds) {
		t.Errorf("nodes %v, rules %v", nodes, nodeNeeds)
	}
	for _, p := range models.Permissions {
		if schema.Types["Permission"].EnumValues.ForName(string(p)) == nil {
			t.Errorf("permission %s is not in the schema", p)
		}
	}
}

func TestALoaderReadsSiblingsAtOnce(t *testing.T) {
	var f family
	ids := make([]models.ID, 700)
	for i := range ids {
		ids[i] = models.NewID()
	}
	f.expect(ids...)
	f.expect(ids...)
	var reads atomic.Int32
	l := newLoader(&f, func(_ context.Context, batch []models.ID) (map[models.ID]int, error) {
		reads.Add(1)
		found := map[models.ID]int{}
		for _, id := range batch {
			found[id] = 1
		}
		return found, nil
	})
	l.put(ids[699], 2)
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			got, err := l.get(t.Context(), id)
			if want := 1 + i/699; err != nil || got != want {
				t.Errorf("%d: %d %v", i, got, err)
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n != 2 {
		t.Errorf("%d reads of at most %d", n, maxBatch)
	}
	if got, err := l.get(t.Context(), models.ID{}); got != 0 || err != nil || reads.Load() != 2 {
		t.Errorf("the zero id: %d %v", got, err)
	}
}

func TestALoaderThatFailsLeavesNobodyWaiting(t *testing.T) {
	var f family
	a, b := models.NewID(), models.NewID()
	f.expect(a, b)
	boom := errors.New("boom")
	failing := newLoader(&f, func(context.Context, []models.ID) (map[models.ID]int, error) { return nil, boom })
	for _, id := range []models.ID{a, b} {
		if _, err := failing.get(t.Context(), id); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
	}
	panicking := newLoader(&f, func(context.Context, []models.ID) (map[models.ID]int, error) { panic(boom) })
	func() {
		defer func() { _ = recover() }()
		_, _ = panicking.get(t.Context(), a)
	}()
	if _, err := panicking.get(t.Context(), b); err == nil {
		t.Error("the sibling of a panic has no error")
	}
}

func TestMasks(t *testing.T) {
	for plain, want := range map[string]string{
		"": "", "王": "王***", "王小明": "王***", "ad12345678": "a***", "ad123456789": "ad1****6789", "192.0.2.177": "192****.177", "460****": "460****",
	} {
		if got := masked(plain); got != want || masked(got) != got {
			t.Errorf("%q is shown as %q, want %q", plain, got, want)
		}
	}
}

// objects are the object types that a value of type t may have.
func objects(schema *ast.Schema, t string) []string {
	var names []string
	for _, d := range schema.GetPossibleTypes(schema.Types[t]) {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return names
}
