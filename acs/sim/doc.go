// Package sim is a simulated soft client: a CPE that speaks the I4 profile over real HTTP, for tests, `softacs sim`, `softacs demo` and
// measurements.
//
// It owns a client's side of the protocol: its parameter store, the proofs and new verifiers of passwords, network tokens (where it is the
// operator's gateway too), digest authentication, and faults and lost answers on demand. It refuses to know how the server does its part, and when to try again, which its caller decides.
package sim
