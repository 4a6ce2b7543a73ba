package cwmp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seed adds the example messages, their goldens, and one document for each construct that they do not have.
func seed(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"testdata/*.xml", "testdata/golden/*.xml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	const soap = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:c="urn:dslforum-org:cwmp-1-0">` +
		`<e:Header><c:ID> 1&#13;</c:ID><c:SupportedCWMPVersions>1.0,1.4</c:SupportedCWMPVersions></e:Header><e:Body>%s</e:Body></e:Envelope>`
	for _, s := range []string{
		`<a b="1" b='2'/>`, `<a xmlns="u" xmlns:p="v"><p:b p:c="" c=""/><d xmlns=""/></a>`, "<a>\r\n\r&#13;&lt;&#x4e2d;</a>",
		`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, `<a><![CDATA[<]]>]]&gt;<!-- - --><?p a='?></a>`, "\uFEFF<a/>", `<a`, `<?xml version="1.0"?>`,
		`<?xml version='1.0' encoding="GBK" standalone='no'?>` + "<a>\xC8\xED</a>", `<a b=c></a>`, `<a></a><b/>`, `<软 件="1"/>`,
		fmt.Sprintf(soap, `<c:GetParameterNames><ParameterPath> a. </ParameterPath><NextLevel>true</NextLevel></c:GetParameterNames>`),
		fmt.Sprintf(soap, `<c:GetParameterNamesResponse><ParameterList><ParameterInfoStruct><Name>a</Name><Writable>1</Writable></ParameterInfoStruct></ParameterList></c:GetParameterNamesResponse>`),
		fmt.Sprintf(soap, `<c:GetParameterAttributesResponse><ParameterList><ParameterAttributeStruct><Name>a</Name><Notification>2</Notification>`+
			`<AccessList><string>Subscriber</string></AccessList></ParameterAttributeStruct></ParameterList></c:GetParameterAttributesResponse>`),
		fmt.Sprintf(soap, `<c:SetParameterAttributes><ParameterList><SetParameterAttributesStruct><Name>a</Name><NotificationChange>1</NotificationChange>`+
			`<Notification>1</Notification><AccessListChange>0</AccessListChange><AccessList/></SetParameterAttributesStruct></ParameterList></c:SetParameterAttributes>`),
		fmt.Sprintf(soap, `<c:AddObject><ObjectName>a.</ObjectName><ParameterKey>k</ParameterKey></c:AddObject>`),
		fmt.Sprintf(soap, `<c:AddObjectResponse><InstanceNumber>3</InstanceNumber><Status>0</Status></c:AddObjectResponse>`),
		fmt.Sprintf(soap, `<c:DeleteObjectResponse><Status>1</Status></c:DeleteObjectResponse>`),
		fmt.Sprintf(soap, `<c:ScheduleInform><DelaySeconds>60</DelaySeconds><CommandKey>k</CommandKey></c:ScheduleInform>`),
		fmt.Sprintf(soap, `<c:Inform><ParameterList><P><Value>secret</Value><Name>a.Password</Name></P><!-- secret --><URL>u?secret</URL></ParameterList></c:Inform>`),
		fmt.Sprintf(soap, `<c:AddObjectResponse><InstanceNumber> 2 </InstanceNumber><Status>0</Status></c:AddObjectResponse>`),
		fmt.Sprintf(soap, `<c:Reboot><CommandKey>k</CommandKey></c:Reboot>`),
		fmt.Sprintf(soap, `<c:Inform><Event><EventStruct/></Event><CurrentTime>2012-01-10T01:25:00.5+0800</CurrentTime></c:Inform>`),
		fmt.Sprintf(soap, `<e:Fault><faultcode>e:Server</faultcode><faultstring>x</faultstring></e:Fault>`),
	} {
		f.Add([]byte(s))
	}
}

// alsoRefused are the reasons for which encoding/xml refuses a document too. It lets the others pass: they are limits,
// namespaces, and what a stream of tokens need not care for.
var alsoRefused = []string{
	"unexpected end of document", "end tag does not match", "]]> in text", "attribute without quoted value",
	"< in attribute value", "malformed tag", "-- in comment", "undefined entity or character reference",
}

// FuzzDecode compares with encoding/xml which documents are well-formed and what is in them.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		_, decodeErr := Decode(body, "")
		if !bytes.Equal(body, before) {
			t.Fatal("decode wrote into the body of the caller")
		}
		if syntax := (*SyntaxError)(nil); decodeErr != nil && !errors.As(decodeErr, &syntax) {
			t.Fatalf("%T is not a SyntaxError", decodeErr)
		}
		got, err := ours(body)
		if decodeErr == nil && err != nil {
			t.Fatalf("decoded although %v", err)
		}
		if _, declared, _ := strings.Cut(string(body), "encoding"); declared != "" && !utf8.ValidString(declared) {
			return // encoding/xml reads no GBK
		}
		want, theirErr := theirs(body)
		if err == nil {
			if theirErr != nil {
				// encoding/xml has the names of an older edition of XML.
				if strings.Contains(theirErr.Error(), "name") && !isASCII(body) {
					return
				}
				t.Fatalf("accepted, but encoding/xml says %v", theirErr)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("read\n%q\nencoding/xml reads\n%q", got, want)
			}
			return
		}
		reason := err.(*SyntaxError).Reason
		if theirErr == nil && slices.Contains(alsoRefused, reason) && !bytes.Contains(body, []byte("&#")) {
			// A reference to a surrogate is U+FFFD to encoding/xml.
			t.Fatalf("%v, but encoding/xml reads\n%q", err, want)
		}
	})
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

// ours lists what the reader finds in a document.
func ours(body []byte) ([]string, error) {
	text, err := document(body, "")
	if err != nil {
		return nil, err
	}
	r := newReader(text)
	var list listing
	for {
		ev, err := r.next()
		if err != nil {
			return nil, err
		}
		switch ev {
		case eventStart:
			var attrs []string
			for _, a := range r.attrs {
				attrs = append(attrs, attr(string(a.ns.uri), string(a.local), string(a.value)))
			}
			list.start(string(r.ns.uri), string(r.local), attrs)
		case eventText:
			list.text += string(r.text)
		case eventEnd:
			list.end()
		case eventEOF:
			return list.items, nil
		}
	}
}

// theirs lists the same with encoding/xml.
func theirs(body []byte) ([]string, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var list listing
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list.items, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			var attrs []string
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					attrs = append(attrs, attr(a.Name.Space, a.Name.Local, a.Value))
				}
			}
			list.start(token.Name.Space, token.Name.Local, attrs)
		case xml.CharData:
			if depth > 0 {
				list.text += string(token)
			}
		case xml.EndElement:
			depth--
			list.end()
		}
	}
}

type listing struct {
	items []string
	text  string
}

func (l *listing) start(space, local string, attrs []string) {
	l.flush()
	slices.Sort(attrs)
	l.items = append(l.items, fmt.Sprintf("<{%s}%s %q>", blanks.Replace(space), local, attrs))
}

func (l *listing) end() {
	l.flush()
	l.items = append(l.items, "</>")
}

func (l *listing) flush() {
	if l.text != "" {
		l.items = append(l.items, l.text)
		l.text = ""
	}
}

// blanks writes white space in one way: XML turns it into blanks in a value, encoding/xml does not.
var blanks = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

func attr(space, local, value string) string {
	return "{" + blanks.Replace(space) + "}" + local + "=" + blanks.Replace(value)
}

// FuzzRoundTrip writes what was read and reads it again.
func FuzzRoundTrip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		want, err := Decode(body, "")
		if err != nil {
			return
		}
		out, err := Encode(want)
		if err != nil {
			var field *FieldError
			if errors.Is(err, ErrTooLarge) || errors.As(err, &field) && strings.Contains(field.Reason, "longer") {
				return
			}
			t.Fatalf("encode what was read: %v", err)
		}
		got, err := Decode(out, "")
		if err != nil {
			t.Fatalf("decode what was written: %v\n%s", err, out)
		}
		// What the writer completes or cuts on purpose.
		switch m := want.Body.(type) {
		case *Inform:
			m.MaxEnvelopes = max(1, m.MaxEnvelopes)
			m.CurrentTime = seconds(m.CurrentTime)
		case *TransferComplete:
			m.StartTime, m.CompleteTime = seconds(m.StartTime), seconds(m.CompleteTime)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v %+v\nwant %+v %+v\n%s", got, got.Body, want, want.Body, out)
		}
		if again, err := Encode(got); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("written twice: %v\n%s\n%s", err, out, again)
		}
	})
}

func seconds(t time.Time) time.Time {
	t = t.Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// FuzzRedact: what was redacted is the same message, without what had to go.
func FuzzRedact(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		text, hidden, err := Redact(body, "", "*", func(name string) bool { return strings.Contains(name, "a") })
		if !bytes.Equal(body, before) {
			t.Fatal("redact wrote into the body of the caller")
		}
		message, decodeErr := Decode(body, "")
		if err != nil || decodeErr != nil {
			return
		}
		again, err := Decode(text, "")
		if err != nil || again.Body.Method() != message.Body.Method() {
			t.Fatalf("%v\n%s\n%s", err, body, text)
		}
		inform, ok := again.Body.(*Inform)
		for i := 0; ok && i < len(inform.Parameters); i++ {
			p := inform.Parameters[i]
			if strings.Contains(p.Name, "a") && p.Value != "" && p.Value != "*" {
				t.Fatalf("%+v of %q is left in\n%s", p, hidden, text)
			}
		}
	})
}
