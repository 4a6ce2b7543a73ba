// Package i4 is the I4 profile as data: which event code, parameter path, result number and default value stands for which logical name.
//
// It owns profile.yaml (embedded, a file can be laid over it) and the translation between CWMP messages and the nouns of models in both
// directions. It refuses to know HTTP, sessions, the database and every rule about what to do with what it translated.
package i4
