package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"

	"github.com/softacs/softacs/models"
)

// The limits of an operation (resolutions 76).
const (
	maxTokens     = 5_000
	maxSameName   = 500 // validation compares fields of one name with each other, pair by pair
	maxDepth      = 12
	maxAliases    = 30
	maxCost       = 10_000
	defaultPage   = 20
	maxPage       = 100
	maxEvents     = 1_000
	maxItems      = 100 // of a list in an input; each may become a part of a statement
	introspection = 100 // what a look at the schema costs
)

// check judges the whole document before anything of it runs: who may, how much, and whether every argument is in range. It is the only place
// where @need is looked at for fields whose type the document names; values of abstract types are looked at again by their resolvers
// (resolutions 78).
type check struct {
	schema *ast.Schema
	lab    bool
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
} = check{}

func (check) ExtensionName() string { return "Check" }

func (check) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters counts tokens before anything is parsed.
func (check) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	tokens, names := lexer.New(&ast.Source{Input: params.Query}), map[string]int{}
	for range maxTokens {
		token, err := tokens.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return nil // the parser says what is wrong
		}
		if token.Kind != lexer.Name {
			continue
		}
		if names[token.Value]++; names[token.Value] > maxSameName {
			return gqlerror.Wrap(models.E(costLimit, fmt.Sprintf("a document has the same name at most %d times", maxSameName)))
		}
	}
	return gqlerror.Wrap(models.E(costLimit, fmt.Sprintf("a document has at most %d tokens", maxTokens)))
}

// MutateOperationContext judges the operation.
func (c check) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = false // walk decides
	if err := c.judge(ctx, op); err != nil {
		return gqlerror.Wrap(err)
	}
	return nil
}

// judge looks at the operation with the eyes of the caller; it changes nothing of it.
func (c check) judge(ctx context.Context, op *graphql.OperationContext) error {
	w := walk{check: c, request: requestFrom(ctx), variables: op.Variables, fragments: map[string]measure{}}
	if err := w.request.caller.foreign; err != nil {
		return err
	}
	m, err := w.selections(op.Operation.SelectionSet, 1)
	if err != nil {
		return err
	}
	return m.judge()
}

// measure is what a selection set comes to. Its numbers saturate, so that fragments of fragments cannot overflow them.
type measure struct{ cost, depth, aliases int }

func (m measure) judge() error {
	switch {
	case m.depth > maxDepth:
		return models.E(depthLimit, fmt.Sprintf("an operation is at most %d fields deep", maxDepth))
	case m.aliases > maxAliases:
		return models.E(costLimit, fmt.Sprintf("an operation has at most %d aliases", maxAliases))
	case m.cost > maxCost:
		return models.E(costLimit, fmt.Sprintf("the operation costs %d points; at most %d are allowed", m.cost, maxCost))
	}
	return nil
}

func (m measure) add(n measure) measure {
	return measure{cost: saturate(m.cost + n.cost), depth: max(m.depth, n.depth), aliases: saturate(m.aliases + n.aliases)}
}

const ceiling = 1 << 30

func saturate(n int) int { return min(n, ceiling) }

// walk is one pass over an operation. A fragment is measured once, however often it is spread, and validation has refused cycles of them.
type walk struct {
	check
	request   *request
	variables map[string]any
	fragments map[string]measure
}

func (w *walk) selections(set ast.SelectionSet, level int) (measure, error) {
	var sum measure
	for _, selection := range set {
		m, err := w.selection(selection, level)
		if err != nil {
			return sum, err
		}
		sum = sum.add(m)
	}
	return sum, nil
}

// selection measures what will run; what @skip and @include leave out needs no right and costs nothing.
func (w *walk) selection(selection ast.Selection, level int) (m measure, err error) {
	var runs bool
	switch s := selection.(type) {
	case *ast.Field:
		if runs, err = w.included(s.Directives); runs {
			return w.field(s, level)
		}
	case *ast.InlineFragment:
		if runs, err = w.included(s.Directives); runs {
			return w.condition(s.TypeCondition, s.SelectionSet, level)
		}
	case *ast.FragmentSpread:
		if runs, err = w.included(s.Directives); runs {
			return w.spread(s, level)
		}
	}
	return m, err
}

func (w *walk) spread(s *ast.FragmentSpread, level int) (measure, error) {
	if m, known := w.fragments[s.Name]; known {
		return m, nil
	}
	m, err := w.condition(s.Definition.TypeCondition, s.Definition.SelectionSet, level)
	w.fragments[s.Name] = m
	return m, err
}

func (w *walk) condition(typeName string, set ast.SelectionSet, level int) (measure, error) {
	if typeName != "" {
		if err := w.allowed(w.schema.Types[typeName].Directives); err != nil {
			return measure{}, err
		}
	}
	return w.selections(set, level)
}

func (w *walk) field(f *ast.Field, level int) (measure, error) {
	m := measure{depth: 1}
	if f.Alias != f.Name {
		m.aliases = 1
	}
	if err := w.known(f); err != nil {
		return m, err
	}
	if strings.HasPrefix(f.Name, "__") {
		if f.Name != "__typename" {
			m.cost = introspection // its own depth is bounded by the rule MaxIntrospectionDepth of validation
		}
		return m, nil
	}
	result := w.schema.Types[f.Definition.Type.Name()]
	if err := w.allowed(f.Definition.Directives); err != nil {
		return m, err
	}
	if err := w.allowed(result.Directives); err != nil {
		return m, err
	}
	page, err := w.arguments(f)
	if err != nil {
		return m, err
	}
	if level > maxDepth {
		return m, nil // deep enough to be refused; no need to go on
	}
	children, err := w.selections(f.SelectionSet, level+1)
	if err != nil {
		return m, err
	}
	m.depth += children.depth
	m.aliases = saturate(m.aliases + children.aliases)
	m.cost = saturate(page * saturate(weight(f, result)+children.cost))
	return m, nil
}

// known notes the root fields of the operation and refuses all but the ways to a token from a caller who is nobody.
func (w *walk) known(f *ast.Field) error {
	if d := f.ObjectDefinition; d != w.schema.Query && d != w.schema.Mutation && d != w.schema.Subscription {
		return nil // below a root field that was judged
	}
	w.request.roots = append(w.request.roots, f.Name)
	if w.request.caller.err == nil && !w.request.caller.anonymous() {
		return nil
	}
	switch f.Name {
	case "signIn", "refreshSession", "signOut", "__typename":
		return nil
	case "__schema", "__type":
		if w.lab {
			return nil
		}
	}
	if w.request.caller.err != nil {
		return w.request.caller.err
	}
	return models.E(models.Unauthenticated, "an access token is needed")
}

func (w *walk) allowed(directives ast.DirectiveList) error {
	for _, p := range needs(directives) {
		if !w.request.caller.actor.Can(p) {
			return models.E(models.Forbidden, "permission "+string(p)+" is needed")
		}
	}
	return nil
}

// needs lists the permissions that @need names.
func needs(directives ast.DirectiveList) []models.Permission {
	var permissions []models.Permission
	for _, d := range directives.ForNames("need") {
		permissions = append(permissions, models.Permission(d.Arguments.ForName("perm").Value.Raw))
	}
	return permissions
}

// included evaluates @skip and @include.
func (w *walk) included(directives ast.DirectiveList) (bool, error) {
	for name, runs := range map[string]bool{"skip": false, "include": true} {
		d := directives.ForName(name)
		if d == nil {
			continue
		}
		value, err := d.Arguments.ForName("if").Value.Value(w.variables)
		condition, ok := value.(bool)
		if err != nil || !ok { // validation lets null through for a variable with a default; the library panics on it
			return false, models.E(models.BadUserInput, "the condition of @"+name+" is true or false", "if")
		}
		if condition != runs {
			return false, nil
		}
	}
	return true, nil
}

// weight is what one row of the field costs beside its children: the weight of @cost, nothing for a leaf and for the plumbing of a connection,
// one for anything else.
func weight(f *ast.Field, result *ast.Definition) int {
	if d := f.Definition.Directives.ForName("cost"); d != nil {
		if a := d.Arguments.ForName("weight"); a != nil {
			value, _ := a.Value.Value(nil)
			n, _ := value.(int64)
			return int(n)
		}
		return 1
	}
	owner := f.ObjectDefinition.Name
	if result.IsLeafType() || strings.HasSuffix(owner, "Connection") || strings.HasSuffix(owner, "Edge") {
		return 0
	}
	return 1
}

// arguments checks every argument of f and returns how many rows the field may have: first or last, or the length of the list that @cost names.
func (w *walk) arguments(f *ast.Field) (page int, err error) {
	values := map[string]any{}
	for _, definition := range f.Definition.Arguments {
		value := definition.DefaultValue
		if given := f.Arguments.ForName(definition.Name); given != nil {
			if given.Value.Kind == ast.Variable {
				if _, set := w.variables[given.Value.Raw]; set || value == nil {
					value = given.Value
				}
			} else {
				value = given.Value
			}
		}
		if value == nil {
			continue
		}
		plain, err := value.Value(w.variables)
		if err != nil {
			return 0, models.E(models.BadUserInput, "the argument has no value", definition.Name)
		}
		if err := w.input(definition.Type, plain, []string{definition.Name}); err != nil {
			return 0, err
		}
		values[definition.Name] = plain
	}
	return rows(f, values)
}

// rows reads the size of a page, which is a number of its range, asked for from one end only.
func rows(f *ast.Field, values map[string]any) (int, error) {
	if ids, ok := values["ids"]; ok {
		return max(len(graphql.CoerceList(ids)), 1), nil
	}
	if f.Definition.Arguments.ForName("first") == nil {
		return 1, nil
	}
	limit := maxPage
	if f.Definition.Type.Name() == "EventConnection" {
		limit = maxEvents
	}
	size, ends := defaultPage, 0
	for _, end := range []string{"first", "last"} {
		if values[end] == nil {
			continue
		}
		n, ok := wholeNumber(values[end])
		if !ok || n < 1 || n > int64(limit) {
			return 0, models.E(models.BadUserInput, fmt.Sprintf("%s is a number from 1 to %d", end, limit), end)
		}
		size = int(n)
		ends++
	}
	if ends > 1 {
		return 0, models.E(models.BadUserInput, "first and last exclude each other", "last")
	}
	return size, nil
}
