// Package cwmp is the wire format of TR-069: SOAP envelopes as bytes on one side, typed messages on the other.
//
// It owns the XML: namespaces, declared character encodings, limits against hostile documents, the tolerance that
// deployed clients need on the way in (i4.md A.3) and the exact form that they need on the way out. Both directions work
// for every message, because the simulated client speaks through the same codec as the server.
//
// It refuses to know HTTP, sessions, devices, parameter meanings and the order of messages; it does no I/O, holds no
// state between calls and reads no clock.
//
// # Way in
//
// [Decode] accepts any prefixes, ignores what it does not know, and trims, upper-cases or completes what the field gets
// wrong. Everything it refuses is a [*SyntaxError], which the HTTP door answers with 400.
//
// # Way out
//
// [Encode] writes one compact document: no white space between elements, which is a fifth of the size of the example
// messages, while an envelope to a client must fit into 32 KiB. Apart from that white space it has the form of the
// examples in testdata: the five namespaces on the Envelope, unqualified children, counted arrays, typed values, booleans
// as 1 and 0, times in UTC.
package cwmp
