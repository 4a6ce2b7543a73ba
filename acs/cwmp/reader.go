package cwmp

import (
	"bytes"
	"io"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/xml"
)

// Limits of a document (i4.md H10, and bounds for work that grows with their product).
const (
	maxDepth      = 32
	maxMembers    = 10_000
	maxAttributes = 64
	maxBindings   = 64
)

// space is a namespace as far as this package tells them apart.
type space uint8

const (
	spaceNone  space = iota // no namespace
	spaceSOAP               // SOAP 1.1 envelope
	spaceEnc                // SOAP 1.1 encoding
	spaceXSD                // XML Schema
	spaceXSI                // XML Schema instance
	spaceCWMP               // urn:dslforum-org:cwmp-1-N
	spaceOther              // any other
)

const (
	soapNamespace = "http://schemas.xmlsoap.org/soap/envelope/"
	encNamespace  = "http://schemas.xmlsoap.org/soap/encoding/"
	xsdNamespace  = "http://www.w3.org/2001/XMLSchema"
	xsiNamespace  = "http://www.w3.org/2001/XMLSchema-instance"
	cwmpNamespace = "urn:dslforum-org:cwmp-1-"
	xmlNamespace  = "http://www.w3.org/XML/1998/namespace"
	nsNamespace   = "http://www.w3.org/2000/xmlns/"
)

// namespace is a URI with what it means to us.
type namespace struct {
	uri     []byte
	space   space
	version Version // of spaceCWMP
}

func newNamespace(uri []byte) namespace {
	ns := namespace{uri: uri, space: spaceOther}
	switch string(uri) {
	case "":
		ns.space = spaceNone
	case soapNamespace:
		ns.space = spaceSOAP
	case encNamespace:
		ns.space = spaceEnc
	case xsdNamespace:
		ns.space = spaceXSD
	case xsiNamespace:
		ns.space = spaceXSI
	default:
		minor, found := bytes.CutPrefix(uri, []byte(cwmpNamespace))
		if found && len(minor) > 0 && len(minor) <= 3 && len(bytes.Trim(minor, "0123456789")) == 0 {
			ns.space, ns.version = spaceCWMP, V1_2
			switch string(minor) {
			case "0":
				ns.version = V1_0
			case "1":
				ns.version = V1_1
			}
		}
	}
	return ns
}

type binding struct {
	prefix []byte // empty: the default namespace
	ns     namespace
}

type attribute struct {
	prefix, local, value []byte
	ns                   namespace
}

// element is an open element.
type element struct {
	raw      []byte // the name as written, for the end tag
	bindings int    // how many there were before it
}

// event is what next returns.
type event uint8

const (
	eventStart event = iota + 1
	eventText
	eventEnd
	eventEOF
)

// reader pulls events out of a document and checks what the lexer leaves to its caller: that the document is
// well-formed, also in the parts that nobody asks for, and which namespace a name is in.
type reader struct {
	in *parse.Input
	lx *xml.Lexer

	open     []element
	bindings []binding
	void     bool // the current element was written as <a/>; its end is due
	rooted   bool // the root was seen
	members  int

	// Of the last eventStart; valid until the next one.
	ns    namespace
	local []byte
	attrs []attribute
	// Of the last eventText.
	text []byte
}

// newReader reads text, which must come from document.
func newReader(text []byte) *reader {
	in := parse.NewInputBytes(text)
	return &reader{
		in: in, lx: xml.NewLexer(in),
		open:     make([]element, 0, 8),
		bindings: make([]binding, 0, 8),
		attrs:    make([]attribute, 0, 8),
	}
}

func (r *reader) fail(reason string) error {
	return &SyntaxError{Offset: r.in.Offset(), Reason: reason}
}

// next returns the next event. Comments and processing instructions are checked and passed over, so one text may come in
// several events. White space outside the root is none.
func (r *reader) next() (event, error) {
	if r.void {
		r.void = false
		r.pop()
		return eventEnd, nil
	}
	for {
		kind, data := r.lx.Next()
		switch kind {
		case xml.StartTagToken:
			return eventStart, r.start(r.lx.Text())
		case xml.EndTagToken:
			if data[len(data)-1] != '>' {
				return 0, r.fail("unexpected end of document")
			}
			if len(r.open) == 0 || !bytes.Equal(r.open[len(r.open)-1].raw, r.lx.Text()) {
				return 0, r.fail("end tag does not match")
			}
			r.pop()
			return eventEnd, nil
		case xml.TextToken:
			if len(r.open) == 0 {
				if !allSpace(data) {
					return 0, r.fail("text outside the root element")
				}
				continue
			}
			if bytes.Contains(data, []byte("]]>")) {
				return 0, r.fail("]]> in text")
			}
			text, ok := unescape(data)
			if !ok {
				return 0, r.fail("undefined entity or character reference")
			}
			r.text = text
			return eventText, nil
		case xml.CDATAToken:
			if len(r.open) == 0 {
				return 0, r.fail("text outside the root element")
			}
			if !bytes.HasSuffix(data, []byte("]]>")) {
				return 0, r.fail("unexpected end of document")
			}
			r.text = r.lx.Text()
			return eventText, nil
		case xml.CommentToken:
			inner, found := bytes.CutSuffix(data[len("<!--"):], []byte("-->"))
			if !found {
				return 0, r.fail("unexpected end of document")
			}
			if bytes.Contains(inner, []byte("--")) || bytes.HasSuffix(inner, []byte("-")) {
				return 0, r.fail("-- in comment")
			}
		case xml.StartTagPIToken:
			if err := r.instruction(r.lx.Text()); err != nil {
				return 0, err
			}
		case xml.DOCTYPEToken:
			return 0, r.fail("DOCTYPE not accepted")
		case xml.ErrorToken:
			// The document has no NUL, so this is its end.
			if r.lx.Err() != io.EOF || len(r.open) > 0 {
				return 0, r.fail("unexpected end of document")
			}
			return eventEOF, nil
		default:
			return 0, r.fail("malformed tag")
		}
	}
}

// instruction passes over a processing instruction. The lexer takes its content for attributes, which it need not be, so
// the input is moved to its end behind the lexer's back.
func (r *reader) instruction(target []byte) error {
	if !isNCName(target) || bytes.EqualFold(target, []byte("xml")) {
		return r.fail("malformed processing instruction")
	}
	rest := r.in.Bytes()[r.in.Offset():]
	end := bytes.Index(rest, []byte("?>"))
	if end < 0 || end > 0 && !isSpace(rest[0]) {
		return r.fail("malformed processing instruction")
	}
	r.in.Move(end)
	r.in.Skip()
	if kind, _ := r.lx.Next(); kind != xml.StartTagClosePIToken {
		return r.fail("malformed processing instruction")
	}
	return nil
}

// start opens an element: its attributes, its namespaces, and the names in them.
func (r *reader) start(raw []byte) error {
	if len(r.open) == 0 {
		if r.rooted {
			return r.fail("more than one root element")
		}
		r.rooted = true
	}
	if len(r.open) == maxDepth {
		return r.fail("elements nested too deeply")
	}
	prefix, local, ok := splitName(raw)
	if !ok {
		return r.fail("malformed element name")
	}
	r.open = append(r.open, element{raw: raw, bindings: len(r.bindings)})
	r.local, r.attrs = local, r.attrs[:0]

	for inside := true; inside; {
		kind, data := r.lx.Next()
		switch kind {
		case xml.AttributeToken:
			if !isSpace(data[0]) {
				return r.fail("no white space before attribute")
			}
			if err := r.attribute(r.lx.Text(), r.lx.AttrVal()); err != nil {
				return err
			}
		case xml.StartTagCloseVoidToken:
			r.void, inside = true, false
		case xml.StartTagCloseToken:
			inside = false
		default:
			return r.fail("malformed tag")
		}
	}

	if r.ns, ok = r.lookup(prefix); !ok {
		return r.fail("prefix without namespace")
	}
	for i := range r.attrs {
		a := &r.attrs[i]
		if len(a.prefix) > 0 {
			if a.ns, ok = r.lookup(a.prefix); !ok {
				return r.fail("prefix without namespace")
			}
		}
		for _, b := range r.attrs[:i] {
			if bytes.Equal(a.local, b.local) && bytes.Equal(a.ns.uri, b.ns.uri) {
				return r.fail("attribute given twice")
			}
		}
	}
	return nil
}

// attribute records an attribute of the element that is being opened, or the namespace that it declares.
func (r *reader) attribute(raw, quoted []byte) error {
	prefix, local, ok := splitName(raw)
	if !ok {
		return r.fail("malformed attribute name")
	}
	if n := len(quoted); n < 2 || quoted[0] != '"' && quoted[0] != '\'' || quoted[n-1] != quoted[0] {
		return r.fail("attribute without quoted value")
	}
	value := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(value, '<') >= 0 {
		return r.fail("< in attribute value")
	}
	if value, ok = unescape(value); !ok {
		return r.fail("undefined entity or character reference")
	}
	switch {
	case string(prefix) == "xmlns":
		return r.bind(local, value)
	case len(prefix) == 0 && string(local) == "xmlns":
		return r.bind(nil, value)
	}
	if len(r.attrs) == maxAttributes {
		return r.fail("too many attributes")
	}
	r.attrs = append(r.attrs, attribute{prefix: prefix, local: local, value: value})
	return nil
}

// bind declares a namespace for the element that is being opened (Namespaces in XML 1.0, section 3).
func (r *reader) bind(prefix, uri []byte) error {
	isXML := string(prefix) == "xml"
	if string(prefix) == "xmlns" || isXML != (string(uri) == xmlNamespace) || string(uri) == nsNamespace ||
		len(prefix) > 0 && len(uri) == 0 {
		return r.fail("namespace declaration not allowed")
	}
	for _, b := range r.bindings[r.open[len(r.open)-1].bindings:] {
		if bytes.Equal(b.prefix, prefix) {
			return r.fail("attribute given twice")
		}
	}
	if len(r.bindings) == maxBindings {
		return r.fail("too many namespace declarations")
	}
	r.bindings = append(r.bindings, binding{prefix: prefix, ns: newNamespace(uri)})
	return nil
}

// lookup resolves a prefix; the empty one is the default namespace, which is none until it is declared.
func (r *reader) lookup(prefix []byte) (namespace, bool) {
	for i := len(r.bindings) - 1; i >= 0; i-- {
		if bytes.Equal(r.bindings[i].prefix, prefix) {
			return r.bindings[i].ns, true
		}
	}
	if string(prefix) == "xml" {
		return namespace{uri: []byte(xmlNamespace), space: spaceOther}, true
	}
	return namespace{}, len(prefix) == 0
}

func (r *reader) pop() {
	top := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	r.bindings = r.bindings[:top.bindings]
}

// child goes to the next child of the element at this depth, passing over text and whatever is left of the previous
// child. It reports false at the end of the element.
func (r *reader) child(depth int) (bool, error) {
	for {
		ev, err := r.next()
		switch {
		case err != nil:
			return false, err
		case ev == eventStart && len(r.open) == depth+1:
			return true, nil
		case ev == eventEnd && len(r.open) < depth:
			return false, nil
		}
	}
}

// children calls f for each child of the current element. What f does not read is checked and passed over.
func (r *reader) children(f func() error) error {
	depth := len(r.open)
	for {
		more, err := r.child(depth)
		if err != nil || !more {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// content reads the current element to its end and returns its own character data, without that of children. The result
// is valid until the next call of a method.
func (r *reader) content() ([]byte, error) {
	depth := len(r.open)
	var text []byte
	for pieces := 0; ; {
		ev, err := r.next()
		switch {
		case err != nil:
			return nil, err
		case ev == eventText && len(r.open) == depth:
			switch pieces++; pieces {
			case 1:
				text = r.text
			case 2: // the first piece lies in the document, where appending would overwrite what follows
				text = append(append(make([]byte, 0, 2*(len(text)+len(r.text))), text...), r.text...)
			default:
				text = append(text, r.text...)
			}
		case ev == eventEnd && len(r.open) < depth:
			return text, nil
		}
	}
}

// member counts the members of all lists in the document.
func (r *reader) member() error {
	if r.members++; r.members > maxMembers {
		return r.fail("too many parameters")
	}
	return nil
}
