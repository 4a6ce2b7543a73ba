package cwmp

import (
	"bytes"
	"slices"
)

// Redact returns a document as it was on the wire, in UTF-8, with mark in place of what must not be kept: the values of the parameters whose name
// hide tells, the elements Password, and the queries of URLs, which sign them. hidden are the texts that were there, so that whoever keeps the
// document can look for them elsewhere too.
//
// Nothing else of a document can hide a text from such a look: comments, processing instructions and the XML declaration are left out,
// references and CDATA are written as plain characters. The errors are those of Decode, and a *SyntaxError for references within a tag.
func Redact(body []byte, contentType, mark string, hide func(name string) bool) (text []byte, hidden []string, err error) {
	document, err := document(body, contentType)
	if err != nil {
		return nil, nil, err
	}
	r := redaction{source: bytes.Clone(document), reader: newReader(document), mark: mark, hide: hide}
	for {
		before, void := r.in.Offset(), r.void
		event, err := r.next()
		if err != nil {
			return nil, nil, err
		}
		written := r.source[before:min(r.in.Offset(), len(r.source))]
		switch event {
		case eventStart:
			tag := written[bytes.LastIndexByte(written, '<'):] // there is none in the values of attributes
			if bytes.IndexByte(tag, '&') >= 0 {
				return nil, nil, r.fail("reference within a tag")
			}
			inside := len(r.frames) > 0 && (r.frames[len(r.frames)-1].within || r.frames[len(r.frames)-1].local == "Value")
			r.out.b = append(r.out.b, tag...)
			r.frames = append(r.frames, frame{local: string(r.local), from: len(r.out.b), within: inside})
		case eventText:
			r.out.text("text", string(r.text))
			top := &r.frames[len(r.frames)-1]
			top.text = append(top.text, r.text...)
		case eventEnd:
			r.end()
			if !void {
				r.out.b = append(r.out.b, written[bytes.LastIndex(written, []byte("</")):]...)
			}
		case eventEOF:
			return r.out.b, r.hidden, r.out.err
		}
	}
}

// redaction is one run of Redact.
type redaction struct {
	*reader
	source []byte
	out    writer
	mark   string
	hide   func(name string) bool
	hidden []string
	frames []frame
}

// frame is an open element: where its content begins in the output, what text it has, and the names and values among its children.
type frame struct {
	local  string
	from   int
	text   []byte
	within bool // a value
	names  []string
	values []value
}

type value struct {
	from, to int
	text     string
}

// end closes the innermost element, before its end tag is written.
func (r *redaction) end() {
	last := len(r.frames) - 1
	f := r.frames[last]
	r.frames = r.frames[:last]
	if slices.ContainsFunc(f.names, r.hide) {
		for _, v := range slices.Backward(f.values) {
			r.replace(v)
		}
	}
	own := value{from: f.from, to: len(r.out.b), text: string(f.text)}
	if f.local == "Password" {
		r.replace(own)
	}
	if _, query, found := bytes.Cut(f.text, []byte("?")); found && len(f.local) > 2 && f.local[len(f.local)-3:] == "URL" {
		own.text, own.from = string(query), f.from+bytes.IndexByte(r.out.b[f.from:], '?')+1
		r.replace(own)
	}
	if last == 0 {
		return
	}
	parent := &r.frames[last-1]
	switch {
	case f.local == "Name":
		parent.names = append(parent.names, string(trim(f.text)))
	case f.local == "Value":
		parent.values = append(parent.values, value{from: f.from, to: len(r.out.b), text: string(f.text)})
	}
	if f.within {
		parent.text = append(parent.text, f.text...)
	}
}

// replace hides a value, unless it is empty.
func (r *redaction) replace(v value) {
	if v.to == v.from {
		return
	}
	r.hidden = append(r.hidden, v.text)
	r.out.b = slices.Replace(r.out.b, v.from, v.to, []byte(r.mark)...)
}
