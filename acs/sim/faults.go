package sim

import "github.com/softacs/softacs/acs/cwmp"

// Faults is how a client misbehaves; the zero Faults are none.
type Faults struct {
	// Parameters refuses single parameters of SetParameterValues: logical name or path → 9001 to 9008.
	Parameters map[string]int
	// Methods refuses whole requests: method → fault code; 9000 is a method that the client does not have.
	Methods map[string]int
	// Status is the Status of SetParameterValuesResponse: 1 means applied at the next boot.
	Status int
	// EmptyProofs is how many times AU.Proof is answered empty before it is ready.
	EmptyProofs int
	// WrongProof answers a proof of another password, WrongNonce another ClientNonce than that of the Inform.
	WrongProof, WrongNonce bool
	// NoID leaves cwmp:ID out of answers.
	NoID bool
	// Respond answers instead of the client unless it returns nil.
	Respond func(request cwmp.Message) cwmp.Message
}
