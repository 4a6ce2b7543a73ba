package types

// The abstract types of the schema. Nouns are bound to their object types without knowing the schema, so nothing is asked of them here; the
// generated code refuses a Go type that is no member.
type (
	// Node is whatever has a global id.
	Node any
	// Versioned is whatever has a version.
	Versioned any
	// Actor is whoever caused something.
	Actor any
	// SearchHit is whatever search finds.
	SearchHit any
)
