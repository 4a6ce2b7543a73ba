package graph

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
)

// input checks a literal or a variable against its type where the library does not: scalars in range, enums letter by letter, and @oneOf in
// variables too (resolutions 78). The path names the place, never the value.
func (w *walk) input(t *ast.Type, v any, path []string) error {
	if v == nil {
		return nil // validation has looked at null
	}
	if t.Elem != nil {
		items := graphql.CoerceList(v) // a single value stands for a list of one
		if len(items) > maxItems {
			return models.E(models.BadUserInput, fmt.Sprintf("a list has at most %d items", maxItems), path...)
		}
		for i, item := range items {
			if err := w.input(t.Elem, item, append(slices.Clip(path), strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	switch definition := w.schema.Types[t.NamedType]; definition.Kind {
	case ast.InputObject:
		return w.inputObject(definition, v, path)
	case ast.Enum:
		if name, ok := v.(string); !ok || definition.EnumValues.ForName(name) == nil {
			return models.E(models.BadUserInput, "this is no value of "+definition.Name, path...)
		}
	case ast.Scalar:
		if err := scalar(definition.Name, v); err != nil {
			return models.E(models.BadUserInput, err.Error(), path...)
		}
	}
	return nil
}

func (w *walk) inputObject(definition *ast.Definition, v any, path []string) error {
	fields, ok := v.(map[string]any)
	if !ok {
		return models.E(models.BadUserInput, definition.Name+" is an object", path...)
	}
	if definition.Directives.ForName("oneOf") != nil {
		given := 0
		for _, value := range fields {
			if value != nil {
				given++
			}
		}
		if given != 1 || len(fields) != 1 {
			return models.E(models.BadUserInput, "exactly one field of "+definition.Name+" must be given", path...)
		}
	}
	for _, field := range definition.Fields {
		if err := w.input(field.Type, fields[field.Name], append(slices.Clip(path), field.Name)); err != nil {
			return err
		}
	}
	return nil
}

// plain is a sentence without a code; the caller knows the field.
type plain string

func (p plain) Error() string { return string(p) }

func scalar(name string, v any) error {
	var err error
	switch name {
	case "ID":
		_, err = types.UnmarshalID(v)
	case "Long":
		_, err = types.UnmarshalLong(v)
	case "DateTime":
		_, err = types.UnmarshalDateTime(v)
	case "PhoneNumber":
		_, err = types.UnmarshalPhoneNumber(v)
	case "JSON":
		_, err = types.UnmarshalJSON(v)
	case "Int":
		if n, ok := wholeNumber(v); !ok || n < math.MinInt32 || n > math.MaxInt32 {
			return plain("an Int is a whole number of 32 bits")
		}
	case "String":
		if _, ok := v.(string); !ok {
			return plain("a String is a string")
		}
	case "Boolean":
		if _, ok := v.(bool); !ok {
			return plain("a Boolean is true or false")
		}
	}
	if err != nil {
		return plain(sentence(err))
	}
	return nil
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	}
	return 0, false
}
