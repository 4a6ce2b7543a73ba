// Package session is the state machine of a CWMP session (i4.md A.5): what may come next, what is answered, what is asked.
//
// It owns the order of messages, the negotiated version, the IDs of our requests and the treatment of duplicates. It refuses to know HTTP and
// cookies, which acs/server does, the database, and what is asked of a device and why: that is the Visit's business.
package session
