// Package events holds the JSON Schemas of the payloads of events, one file a type. It refuses to know anything else.
package events

import "embed"

// Schemas are the files TYPE.json.
//
//go:embed *.json
var Schemas embed.FS
