// Package server is the HTTP door southbound: it lets CWMP messages in and carries the answers out.
//
// It owns what HTTP is about: paths, methods, encodings, limits, cookies and TCP connections, digest authentication and with it the trust of a
// session (i4.md A.1, A.2), the one table of open sessions, which is bounded and emptied by one reaper, and the load that one address or one
// device may cause; and, for a listener of its own, the portal that gives network tokens (i4.md B.3). It refuses to know what a message means and
// what is asked of a device: acs/session keeps the order of messages, the rooms behind session.Clients decide. Before a device is authenticated
// it causes one read, the look-up of the device that the Inform names.
package server
