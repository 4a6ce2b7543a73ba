package graph

import (
	"crypto/sha256"
	"encoding/json"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
)

// shapes are the documents that subscriptions run. Those of one actor that ask for the same share the document and what it makes of an event, so
// that ten thousand of them cost little more than what they send.
type shapes struct {
	mu    sync.Mutex
	byKey map[[sha256.Size]byte]*shape
}

// remembered is of how many of the newest events a shared shape keeps what it made.
const remembered = 64

type shape struct {
	key       [sha256.Size]byte
	operation *graphql.OperationContext
	members   int // guarded by shapes.mu

	mu   sync.Mutex
	made *[remembered]*made // nil until somebody shares
}

// made is what a shape made of the event at a position.
type made struct {
	position int64
	once     sync.Once
	body     []byte // nil: everybody makes their own
}

// join finds the shape of the operation, or makes it. What eventStream is asked for, its filter and cursor, may differ between members.
func (s *shapes) join(actor models.Actor, operation *graphql.OperationContext) *shape {
	inner := &variables{of: operation.Variables, used: map[string]any{}, seen: map[string]bool{}}
	for _, field := range graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{"Subscription"}) {
		inner.selections(field.Selections)
	}
	text, err := json.Marshal([]any{actor.Kind, actor.ID, actor.OnBehalfOf, operation.RawQuery, operation.OperationName, inner.used})
	if err != nil { // a variable without a JSON form is shared with nobody
		text = []byte(models.NewID().String())
	}
	key := sha256.Sum256(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = map[[sha256.Size]byte]*shape{}
	}
	known := s.byKey[key]
	if known == nil {
		known = &shape{key: key, operation: operation}
		s.byKey[key] = known
	}
	if known.members++; known.members == 2 {
		known.mu.Lock()
		known.made = new([remembered]*made)
		known.mu.Unlock()
	}
	return known
}

func (s *shapes) leave(one *shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.members--; one.members == 0 {
		delete(s.byKey, one.key)
	}
}

// body returns what the shape makes of the event, made by make, if it can, once for all members.
func (s *shape) body(entry *events.Entry, make func() (body []byte, shared bool)) []byte {
	m := s.slot(*entry.Position)
	if m == nil {
		body, _ := make()
		return body
	}
	var own []byte
	m.once.Do(func() {
		var shared bool
		if own, shared = make(); shared {
			m.body = own
		}
	})
	switch {
	case own != nil:
		return own
	case m.body != nil:
		return m.body
	}
	body, _ := make()
	return body
}

// slot returns the place of an event; nil if nobody shares or the event is older than what is remembered.
func (s *shape) slot(position int64) *made {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		return nil
	}
	place := &s.made[position%remembered]
	switch {
	case *place == nil || (*place).position < position:
		*place = &made{position: position}
	case (*place).position > position:
		return nil
	}
	return *place
}

// variables collects those that a selection uses.
type variables struct {
	of, used map[string]any
	seen     map[string]bool // fragments
}

func (v *variables) selections(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			v.arguments(s.Arguments)
			v.directives(s.Directives)
			v.selections(s.SelectionSet)
		case *ast.InlineFragment:
			v.directives(s.Directives)
			v.selections(s.SelectionSet)
		case *ast.FragmentSpread:
			v.directives(s.Directives)
			if !v.seen[s.Name] {
				v.seen[s.Name] = true
				v.selections(s.Definition.SelectionSet)
			}
		}
	}
}

func (v *variables) directives(list ast.DirectiveList) {
	for _, d := range list {
		v.arguments(d.Arguments)
	}
}

func (v *variables) arguments(list ast.ArgumentList) {
	for _, a := range list {
		v.value(a.Value)
	}
}

func (v *variables) value(value *ast.Value) {
	if value.Kind == ast.Variable {
		if given, set := v.of[value.Raw]; set {
			v.used[value.Raw] = given
		}
	}
	for _, child := range value.Children {
		v.value(child.Value)
	}
}
