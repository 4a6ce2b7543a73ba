package cwmp

import (
	"bytes"
	"fmt"
	"time"
)

// maxID bounds the header ID in bytes, because the answer repeats it and has to fit into an envelope.
const maxID = 1024

// SyntaxError is why a document was refused: it is not well-formed, not SOAP, not CWMP, or beyond a limit. It never
// holds text of the document.
type SyntaxError struct {
	Offset int // bytes into the document after its XML declaration, counted in UTF-8
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cwmp: byte %d: %s", e.Offset, e.Reason)
}

// Decoder reads envelopes. The zero value is ready to use, and by several goroutines at once.
type Decoder struct {
	// Location is where times without an offset are; nil is Asia/Shanghai (i4.md A.3-7).
	Location *time.Location
}

// Decode reads one envelope with the zero Decoder.
func Decode(body []byte, contentType string) (*Envelope, error) {
	return Decoder{}.Decode(body, contentType)
}

// Decode reads one envelope and leaves body as it is. contentType is the HTTP header, of which only the charset counts;
// "" is none. The encodings are UTF-8, GB 18030 with its subsets, and ISO 8859-1.
//
// Every error is a *SyntaxError: a document that is not well-formed or has a DOCTYPE; elements deeper than 32 levels, more
// than 10,000 list members, or another limit; a root other than a SOAP 1.1 Envelope; not exactly one Body with exactly one
// child that is a SOAP fault or in a namespace urn:dslforum-org:cwmp-1-N (resolutions 18); a Status or FaultCode that
// decides about success and is no number.
func (d Decoder) Decode(body []byte, contentType string) (*Envelope, error) {
	text, err := document(body, contentType)
	if err != nil {
		return nil, err
	}
	r := decoding{reader: newReader(text), location: d.Location}
	switch ev, err := r.next(); {
	case err != nil:
		return nil, err
	case ev != eventStart:
		return nil, r.fail("no root element")
	case r.ns.space != spaceSOAP || string(r.local) != "Envelope":
		return nil, r.fail("not a SOAP 1.1 envelope")
	}
	e := &Envelope{}
	headers, bodies := 0, 0
	err = r.children(func() error {
		switch {
		case r.ns.space != spaceSOAP:
			return nil
		case string(r.local) == "Header":
			if headers++; headers > 1 {
				return r.fail("more than one header")
			}
			return r.header(e)
		case string(r.local) == "Body":
			if bodies++; bodies > 1 {
				return r.fail("more than one body")
			}
			return r.body(e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.next(); err != nil { // only the end of the document is left, or an error
		return nil, err
	}
	if e.Body == nil {
		return nil, r.fail("no message in the body")
	}
	return e, nil
}

// decoding is one run of Decode.
type decoding struct {
	*reader
	location *time.Location
}

// header reads the CWMP headers. HoldRequests and NoMoreRequests are not for a server, and the simulated client is never
// sent them; whatever else is there is not ours.
func (r *decoding) header(e *Envelope) error {
	return r.children(func() error {
		if r.ns.space != spaceCWMP {
			return nil
		}
		e.Version = r.ns.version // for a SOAP fault without CWMP fault; the body knows better
		switch string(r.local) {
		case "ID":
			id, err := r.content()
			if err != nil {
				return err
			}
			if len(id) > maxID {
				return r.fail("header ID too long")
			}
			e.ID = string(id)
		case "SessionTimeout":
			return r.number(&e.SessionTimeout)
		case "UseCWMPVersion":
			return r.trimmed(&e.UseVersion)
		case "SupportedCWMPVersions":
			list, err := r.content()
			if err != nil {
				return err
			}
			for version := range bytes.SplitSeq(list, []byte(",")) {
				if err := r.member(); err != nil {
					return err
				}
				if version = trim(version); len(version) > 0 {
					e.SupportedVersions = append(e.SupportedVersions, string(version))
				}
			}
		}
		return nil
	})
}

func (r *decoding) body(e *Envelope) error {
	return r.children(func() (err error) {
		if e.Body != nil {
			return r.fail("more than one message in the body")
		}
		switch {
		case r.ns.space == spaceSOAP && string(r.local) == "Fault":
			e.Body, err = r.fault(&e.Version)
		case r.ns.space == spaceCWMP:
			e.Version = r.ns.version
			e.Body, err = r.message()
		default:
			return r.fail("message in an unknown namespace")
		}
		return err
	})
}
