package server

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Limits of a body after inflation (i4.md H10): an Inform, and what comes within a session.
const (
	maxInform = 256 << 10
	maxBody   = 2 << 20
)

// bodyTime is how long a client may take to send a body.
const bodyTime = 30 * time.Second

// encoding is a Content-Encoding that is understood.
type encoding int

const (
	identity encoding = iota
	gzipped
	deflated
)

// encodingOf reads Content-Encoding; false if it is none of ours (i4.md H9).
func encodingOf(h http.Header) (encoding, bool) {
	switch strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return identity, true
	case "gzip", "x-gzip":
		return gzipped, true
	case "deflate":
		return deflated, true
	}
	return identity, false
}

// readBody reads and inflates a body of at most limit bytes; empty if it is white space only (i4.md H6). status is 0, or what to answer.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, e encoding, status int) {
	e, ok := encodingOf(r.Header)
	if !ok {
		return nil, e, http.StatusUnsupportedMediaType
	}
	if r.ContentLength > limit {
		return nil, e, http.StatusRequestEntityTooLarge
	}
	// Deadlines are not supported by every ResponseWriter, those of net/http's own server support them.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()

	body, err := inflate(http.MaxBytesReader(w, r.Body, limit), e, limit, r.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || int64(len(body)) > limit:
		return nil, e, http.StatusRequestEntityTooLarge
	case err != nil:
		return nil, e, http.StatusBadRequest
	case len(bytes.TrimSpace(body)) == 0:
		return nil, e, 0
	}
	return body, e, 0
}

// inflate reads one byte more than limit at most. length is that of raw, -1 if unknown.
func inflate(raw io.Reader, e encoding, limit, length int64) ([]byte, error) {
	if e == identity && length >= 0 && length <= limit {
		body := make([]byte, length)
		_, err := io.ReadFull(raw, body)
		return body, err
	}
	in := raw
	if e != identity {
		// A client that compresses everything leaves an empty body empty.
		buffered := bufio.NewReader(raw)
		head, err := buffered.Peek(2)
		switch {
		case len(head) == 0 && err == io.EOF:
			return nil, nil
		case err != nil:
			return nil, err
		case e == gzipped:
			in, err = gzip.NewReader(buffered)
		case head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0:
			in, err = zlib.NewReader(buffered)
		default: // deflate without the zlib header that RFC 9110 asks for
			in = flate.NewReader(buffered)
		}
		if err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(in, limit+1))
}

// deflate compresses an answer as its request was.
func deflate(body []byte, e encoding) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch e {
	case gzipped:
		w = gzip.NewWriter(&b)
	case deflated:
		w = zlib.NewWriter(&b)
	default:
		return body
	}
	_, _ = w.Write(body) // into memory
	_ = w.Close()
	return b.Bytes()
}

func (e encoding) String() string { return [...]string{"", "gzip", "deflate"}[e] }
