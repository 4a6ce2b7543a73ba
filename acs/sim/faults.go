package sim

import (
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// Faults is how a client misbehaves; the zero Faults are none.
type Faults struct {
	// Parameters refuses single parameters of SetParameterValues: logical name or path → 9001 to 9008.
	Parameters map[string]int
	// Methods refuses whole requests: method → fault code; 9000 is a method that the client does not have.
	Methods map[string]int
	// Status is the Status of SetParameterValuesResponse: 1 means applied at the next boot.
	Status int
	// Answers replaces values in GetParameterValuesResponse: logical name or path → value.
	Answers map[string]string
	// Instance is the number of what the next AddObject makes, instead of the lowest free one.
	Instance int
	// EmptyProofs is how many times AU.Proof is answered empty before it is ready.
	EmptyProofs int
	// WrongProof sends a proof of another password, WrongNonce another ClientNonce than that of the Inform; KeepNonce sends the last one again.
	WrongProof, WrongNonce, KeepNonce bool
	// WrongMAC sends another AU.NewVerifierMac than the right one.
	WrongMAC bool
	// WrongVerifier changes the new verifier of a CHANGEPWD before its MAC is computed; old is the verifier that it replaces.
	WrongVerifier func(fresh *NewVerifier, old models.Verifier)
	// ForgeToken replaces the token that the portal gave. It runs before the Inform is sent.
	ForgeToken func(token string) string
	// TimestampSkew is how far the client's clock is ahead in timestamp mode.
	TimestampSkew time.Duration
	// ClockSkew is how far the client's clock is ahead in every Inform, and in the intervals of its statistics.
	ClockSkew time.Duration
	// OtherLogin makes LOGOFF name another login than the client's own.
	OtherLogin bool
	// CloseAfterInform ends each session when the InformResponse has come.
	CloseAfterInform bool
	// Applied answers Download with Status 0, as if everything had been done at once.
	Applied bool
	// TransferFault ends each download with that fault code; nothing is fetched.
	TransferFault int
	// BreakOff cuts the connection of a download once, after so many bytes; the client goes on where it was.
	BreakOff int64
	// Installed is the version that the client runs after an install instead of the one that it should.
	Installed string
	// NoTransferComplete keeps the end of a download to itself.
	NoTransferComplete bool
	// TestState is how every test ends instead of well.
	TestState string
	// TestTaskID is what the client takes for the TaskId of its tests.
	TestTaskID string
	// NoID leaves cwmp:ID out of answers.
	NoID bool
	// Respond answers instead of the client unless it returns nil.
	Respond func(request cwmp.Message) cwmp.Message
}

// NewVerifier is what a CHANGEPWD sends of the new password (i4.md C.2.3).
type NewVerifier struct {
	Salt       []byte
	Iterations int
	models.Verifier
}
