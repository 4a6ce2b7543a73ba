// Package models holds the nouns of softacs: accounts, devices, bindings, tasks, events and the small values they are made of.
//
// It owns their shape, their state tables and the pure functions on them (number normalisation, the password proof). It refuses to know
// where they are kept and which door asks for them: it imports the standard library, uuid and Unicode normalisation, nothing else.
// The rules that change nouns live in the rooms below this package, one folder each; arch_test.go says which may import which.
package models
