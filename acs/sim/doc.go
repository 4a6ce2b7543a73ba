// Package sim is a simulated soft client: a CPE that speaks the I4 profile over real HTTP, for tests, `softacs sim`, `softacs demo` and
// measurements.
//
// It owns a client's side of the protocol: its parameter store, the password proof, digest authentication, and faults and lost answers on
// demand. It refuses to know how the server does its part, and when to try again, which its caller decides.
package sim
