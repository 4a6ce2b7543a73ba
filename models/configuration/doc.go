// Package configuration keeps what every bound device should be set to, and how far it has come (i4.md B.10).
//
// It owns the merge of the layers into a desired state, its versions, the choice of what to deliver, and what an answer, a fault or a lost
// answer means for it. It refuses to know paths and wire types (acs/i4 does: names here are logical), sessions, and when a device speaks:
// whoever holds a session asks Due and Pending, delivers, and tells Sent, Applied or Refused.
//
// Every function that changes something takes the caller's transaction and locks the device's row first, so that changes of one device
// come one after the other. What a session tells is dropped with ErrOvertaken if a newer session has taken the device's work since.
package configuration
