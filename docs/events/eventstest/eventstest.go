// Package eventstest holds every event that a test has emitted against the JSON Schema of its type. It is for tests only and owns no rule.
package eventstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	docs "github.com/softacs/softacs/docs/events"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// schemas compiles each schema once.
var schemas = sync.OnceValues(func() (map[models.EventType]*jsonschema.Schema, error) {
	files, err := docs.Schemas.ReadDir(".")
	if err != nil {
		return nil, err
	}
	compiler, found := jsonschema.NewCompiler(), map[models.EventType]*jsonschema.Schema{}
	compiler.AssertFormat()
	for _, file := range files {
		text, err := docs.Schemas.ReadFile(file.Name())
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = compiler.AddResource(file.Name(), doc)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
	}
	for _, file := range files {
		name := models.EventType(strings.TrimSuffix(file.Name(), ".json"))
		if found[name], err = compiler.Compile(file.Name()); err != nil {
			return nil, err
		}
	}
	return found, nil
})

// Types are the event types that have a schema.
func Types(t testing.TB) map[models.EventType]bool {
	t.Helper()
	found, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	types := map[models.EventType]bool{}
	for name := range found {
		types[name] = true
	}
	return types
}

// Valid holds one event against its schema, as everybody outside sees its payload.
func Valid(e models.Event) error {
	found, err := schemas()
	if err != nil {
		return err
	}
	schema := found[e.Type]
	if schema == nil {
		return fmt.Errorf("docs/events has no schema of %s", e.Type)
	}
	text, err := json.Marshal(e.PublicPayload())
	if err != nil {
		return err
	}
	payload, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := schema.Validate(payload); err != nil {
		return fmt.Errorf("%s %s: %w", e.Type, text, err)
	}
	return nil
}

// Check holds every event in the database against its schema; with asked only those that a request brought about, none that a test made up.
func Check(ctx context.Context, t testing.TB, s *store.Store, asked bool) {
	t.Helper()
	var n int64
	for {
		var page []models.Event
		err := s.View(ctx, func(tx *store.Tx) error {
			q := tx.DB.Where("n > ?", n)
			if asked {
				q = q.Where("request_id <> ''")
			}
			return q.Order("n").Limit(1000).Find(&page).Error
		})
		if err != nil {
			t.Error(err)
		}
		for _, e := range page {
			if err := Valid(e); err != nil {
				t.Error(err)
			}
			n = e.N
		}
		if len(page) == 0 || err != nil {
			return
		}
	}
}
