package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/models"
)

// maxNesting bounds how deep a request's JSON goes; a free JSON scalar may nest 8 levels below its input.
const maxNesting = 64

func malformed(message string) error { return models.E(models.BadUserInput, message) }

// decode reads the body of a request: one JSON object with the members of GraphQL over HTTP, each once, and nothing behind it.
// What it says about a broken body never repeats the body.
func decode(body []byte) (*graphql.RawParams, error) {
	if !utf8.Valid(body) {
		return nil, malformed("the body is not UTF-8")
	}
	if !json.Valid(body) {
		return nil, malformed("the body is not JSON")
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] != '{' {
		return nil, malformed("the body is not a JSON object; batches are not served")
	}
	if err := unique(json.NewDecoder(bytes.NewReader(body))); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, malformed("the body is not JSON")
	}
	params := &graphql.RawParams{}
	for name, text := range members {
		var into any
		switch name {
		case "query":
			into = &params.Query
		case "operationName":
			into = &params.OperationName
		case "variables":
			into = &params.Variables
		case "extensions":
			into = &params.Extensions
		default:
			return nil, malformed("the body has a member other than query, operationName, variables and extensions")
		}
		member := json.NewDecoder(bytes.NewReader(text))
		member.UseNumber()
		if err := member.Decode(into); err != nil {
			return nil, malformed(name + " has the wrong type")
		}
	}
	if params.Query == "" {
		return nil, malformed("query is missing")
	}
	return params, nil
}

// unique refuses an object with the same name twice, at any depth: two readers could take different ones.
func unique(tokens *json.Decoder) error {
	type level struct {
		names  map[string]bool // nil in an array
		atName bool
	}
	var open []level
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed("the body is not JSON")
		}
		top := len(open) - 1
		inObject := top >= 0 && open[top].names != nil
		if inObject && open[top].atName {
			if name, ok := token.(string); ok {
				if open[top].names[name] {
					return malformed("an object has the same name twice")
				}
				open[top].names[name], open[top].atName = true, false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{names: map[string]bool{}, atName: true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			top--
			fallthrough
		default:
			if top >= 0 && open[top].names != nil {
				open[top].atName = true
			}
		}
		if len(open) > maxNesting {
			return malformed(fmt.Sprintf("the body nests deeper than %d", maxNesting))
		}
	}
}
