package cwmp

import (
	"fmt"
	"time"
)

const cwmpNamespace = "urn:dslforum-org:cwmp-1-"

// SyntaxError is why a document was refused: it is not well-formed, not SOAP, not CWMP, or beyond a limit.
// It never holds text of the document.
type SyntaxError struct {
	Offset int // bytes into the document after conversion to UTF-8
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cwmp: byte %d: %s", e.Offset, e.Reason)
}

// Decoder reads envelopes. The zero value is ready to use.
type Decoder struct {
	// Location is where times without an offset are; nil is Asia/Shanghai (i4.md A.3-7).
	Location *time.Location
}

// Decode reads one envelope with the zero Decoder.
func Decode(body []byte, contentType string) (*Envelope, error) {
	return Decoder{}.Decode(body, contentType)
}

// Decode reads one envelope.
func (d Decoder) Decode(body []byte, contentType string) (*Envelope, error) {
	return nil, &SyntaxError{Reason: "not read"}
}
