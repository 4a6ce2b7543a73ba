package cwmp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
)

// TestMalformed is what the HTTP door answers with 400.
func TestMalformed(t *testing.T) {
	t.Parallel()
	const se = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:c="urn:dslforum-org:cwmp-1-0">`
	whole := informOf(``)
	attributes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ` a%d=""`, i)
		}
		return b.String()
	}
	deep := func(n int) string { return strings.Repeat("<x>", n) + strings.Repeat("</x>", n) }
	for _, x := range []struct{ name, body, contentType, reason string }{
		// Not XML.
		{"empty", "", "", "no root element"},
		{"white space", " \n", "", "no root element"},
		{"text", "hello", "", "text outside the root"},
		{"JSON", `{"a":1}`, "", "text outside the root"},
		{"HTML form", "a=1&b=<c>", "", "text outside the root"},
		{"text before", "x" + whole, "", "text outside the root"},
		{"text after", whole + "x", "", "text outside the root"},
		{"CDATA after", whole + "<![CDATA[]]>", "", "text outside the root"},
		{"second root", whole + "<a/>", "", "more than one root"},
		{"end tag after", whole + "</a>", "", "end tag does not match"},
		{"cut off", whole[:len(whole)-3], "", "unexpected end"},
		{"cut off before end tag", strings.TrimSuffix(whole, "</soap-env:Envelope>"), "", "unexpected end"},
		{"cut off in tag", whole[:100], "", ""},
		{"open comment", whole + "<!--", "", "unexpected end"},
		{"short comment", whole + "<!-->", "", "unexpected end"},
		{"open CDATA", informOf(`<a><![CDATA[</a>`), "", "unexpected end"},
		{"open instruction", whole + "<?a", "", "malformed processing instruction"},
		{"-- in comment", informOf(`<!-- a -- b -->`), "", "-- in comment"},
		{"--- ends comment", informOf(`<!-- a --->`), "", "-- in comment"},
		{"]]> in text", informOf(`<a>]]></a>`), "", "]]> in text"},
		{"tags crossed", informOf(`<a><b></a></b>`), "", "end tag does not match"},
		{"other case", informOf(`<a></A>`), "", "end tag does not match"},
		{"end tag with attribute", informOf(`<a></a b="">`), "", "end tag does not match"},
		{"space before name", informOf(`< a></a>`), "", "malformed element name"},
		{"no name", informOf(`<></>`), "", "malformed element name"},
		{"digit first", informOf(`<1a></1a>`), "", "malformed element name"},
		{"middle dot first", informOf(`<·a/>`), "", "malformed element name"},
		{"times sign", informOf(`<a×/>`), "", "malformed element name"},
		{"two colons", informOf(`<a:b:c/>`), "", "malformed element name"},
		{"colon first", informOf(`<:a/>`), "", "malformed element name"},
		{"colon last", informOf(`<a:/>`), "", "malformed element name"},
		{"element name too long", informOf(`<` + strings.Repeat("a", 257) + `/>`), "", "malformed element name"},
		{"declaration markup", informOf(`<!ELEMENT a>`), "", "malformed element name"},
		{"instruction inside tag", informOf(`<a ?>`), "", "malformed tag"},
		{"attribute without value", informOf(`<a b></a>`), "", "attribute without quoted value"},
		{"attribute without quotes", informOf(`<a b=c></a>`), "", "attribute without quoted value"},
		{"attribute with one quote", informOf(`<a b="></a>`), "", ""},
		{"attribute with one character", informOf(`<a b='/>`), "", ""},
		{"attribute name", informOf(`<a 1="1"/>`), "", "malformed attribute name"},
		{"attribute twice", informOf(`<a b="1" b="2"/>`), "", "attribute given twice"},
		{"attribute twice by prefix", informOf(`<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`), "", "attribute given twice"},
		{"namespace twice", informOf(`<a xmlns:p="u" xmlns:p="v"/>`), "", "attribute given twice"},
		{"no space between attributes", informOf(`<a b="1"c="2"/>`), "", "no white space before attribute"},
		{"< in attribute", informOf(`<a b="<"/>`), "", "< in attribute value"},
		{"entity in attribute", informOf(`<a b="&x;"/>`), "", "undefined entity"},
		{"NUL", informOf("<a>\x00</a>"), "", "character not allowed"},
		{"control character", informOf("<a>\x0B</a>"), "", "character not allowed"},
		{"U+FFFF", informOf("<a>\uFFFF</a>"), "", "character not allowed"},
		{"not UTF-8", informOf("<a>\xC3(</a>"), "", "character not allowed"},
		{"surrogate", informOf("<a>\xED\xA0\x80</a>"), "", "character not allowed"},
		{"UTF-16", "\xFF\xFE<\x00a\x00/\x00>\x00", "", "character not allowed"},

		// XML declaration and encodings.
		{"declaration not first", "\n<?xml version=\"1.0\"?>" + whole, "", "malformed processing instruction"},
		{"declaration twice", `<?xml version="1.0"?><?xml version="1.0"?>` + whole, "", "malformed processing instruction"},
		{"declaration in capitals", `<?XML version="1.0"?>` + whole, "", "malformed processing instruction"},
		{"declaration without version", `<?xml encoding="UTF-8"?>` + whole, "", "malformed XML declaration"},
		{"empty declaration", `<?xml ?>` + whole, "", "malformed XML declaration"},
		{"XML 1.1", `<?xml version="1.1"?>` + whole, "", "malformed XML declaration"},
		{"version without quotes", `<?xml version=1.0?>` + whole, "", "malformed XML declaration"},
		{"version without value", `<?xml version?>` + whole, "", "malformed XML declaration"},
		{"version without end", `<?xml version="1.0?>` + whole, "", "malformed XML declaration"},
		{"open declaration", `<?xml version="1.0"`, "", "malformed XML declaration"},
		{"no space in declaration", `<?xml version="1.0"encoding="UTF-8"?>` + whole, "", "malformed XML declaration"},
		{"order in declaration", `<?xml version="1.0" standalone="no" encoding="UTF-8"?>` + whole, "", "malformed XML declaration"},
		{"standalone", `<?xml version="1.0" standalone="maybe"?>` + whole, "", "malformed XML declaration"},
		{"more in declaration", `<?xml version="1.0" a="b"?>` + whole, "", "malformed XML declaration"},
		{"encoding declared", `<?xml version="1.0" encoding="EBCDIC"?>` + whole, "", "character encoding not supported"},
		{"encoding in header", whole, "text/xml; charset=utf-7", "character encoding not supported"},
		{"not GBK", informOf("<a>\xFF\xFF</a>"), "text/xml; charset=gbk", "text does not fit"},
		{"half a GBK character", `<?xml version="1.0" encoding="GBK"?>` + informOf("<a>\xC8</a>"), "", "text does not fit"},

		// Bombs.
		{"DOCTYPE", `<!DOCTYPE a>` + whole, "", "DOCTYPE"},
		{"DOCTYPE inside", informOf(`<!DOCTYPE a>`), "", "DOCTYPE"},
		{"entity bomb", `<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>` + informOf(`<a>&d;</a>`), "", "DOCTYPE"},
		{"external entity", `<!DOCTYPE a SYSTEM "file:///etc/passwd">` + whole, "", "DOCTYPE"},
		{"undefined entity", informOf(`<a>&nbsp;</a>`), "", "undefined entity"},
		{"bare ampersand", informOf(`<a>R&D</a>`), "", "undefined entity"},
		{"empty reference", informOf(`<a>&;</a>`), "", "undefined entity"},
		{"reference to NUL", informOf(`<a>&#0;</a>`), "", "undefined entity"},
		{"reference to surrogate", informOf(`<a>&#xD800;</a>`), "", "undefined entity"},
		{"reference beyond Unicode", informOf(`<a>&#x110000;</a>`), "", "undefined entity"},
		{"reference with sign", informOf(`<a>&#+65;</a>`), "", "undefined entity"},
		{"reference with capital X", informOf(`<a>&#X41;</a>`), "", "undefined entity"},
		{"reference without digits", informOf(`<a>&#x;</a>`), "", "undefined entity"},
		{"depth", informOf(deep(30)), "", "nested too deeply"},
		{"attributes", informOf(`<a` + attributes(65) + `/>`), "", "too many attributes"},
		{"namespaces", informOf(`<a` + strings.ReplaceAll(strings.ReplaceAll(attributes(65), " a", " xmlns:a"), `""`, `"u"`) + `/>`), "",
			"too many namespace"},
		{"parameters", informOf(`<ParameterList>` + strings.Repeat(`<ParameterValueStruct/>`, 10_001) + `</ParameterList>`), "", "too many parameters"},
		{"events and parameters", informOf(`<Event>` + strings.Repeat(`<EventStruct/>`, 5000) + `</Event><ParameterList>` +
			strings.Repeat(`<ParameterValueStruct/>`, 5001) + `</ParameterList>`), "", "too many parameters"},
		{"names", soap(`<cwmp:GetParameterValues><ParameterNames>` + strings.Repeat(`<string/>`, 10_001) +
			`</ParameterNames></cwmp:GetParameterValues>`), "", "too many parameters"},
		{"infos", soap(`<cwmp:GetParameterNamesResponse><ParameterList>` + strings.Repeat(`<ParameterInfoStruct/>`, 10_001) +
			`</ParameterList></cwmp:GetParameterNamesResponse>`), "", "too many parameters"},
		{"faults", soap(`<soap-env:Fault><detail><cwmp:Fault>` + strings.Repeat(`<SetParameterValuesFault/>`, 10_001) +
			`</cwmp:Fault></detail></soap-env:Fault>`), "", "too many parameters"},
		{"versions", se + `<e:Header><c:SupportedCWMPVersions>` + strings.Repeat(",", 10_000) +
			`</c:SupportedCWMPVersions></e:Header><e:Body><c:Inform/></e:Body></e:Envelope>`, "", "too many parameters"},
		{"ID", se + `<e:Header><c:ID>` + strings.Repeat("1", 1025) + `</c:ID></e:Header><e:Body><c:Inform/></e:Body></e:Envelope>`, "", "ID too long"},

		// Namespaces.
		{"prefix without namespace", informOf(`<p:a/>`), "", "prefix without namespace"},
		{"attribute prefix without namespace", informOf(`<a p:b=""/>`), "", "prefix without namespace"},
		{"prefix out of scope", informOf(`<a xmlns:p="u"/><p:a/>`), "", "prefix without namespace"},
		{"prefix undone", informOf(`<a xmlns:p=""/>`), "", "namespace declaration not allowed"},
		{"xmlns bound", informOf(`<a xmlns:xmlns="u"/>`), "", "namespace declaration not allowed"},
		{"xml bound to another", informOf(`<a xmlns:xml="u"/>`), "", "namespace declaration not allowed"},
		{"another bound to xml", informOf(`<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`), "", "namespace declaration not allowed"},
		{"xmlns namespace bound", informOf(`<a xmlns="http://www.w3.org/2000/xmlns/"/>`), "", "namespace declaration not allowed"},

		// Not SOAP, not CWMP.
		{"no SOAP", `<Envelope><Body/></Envelope>`, "", "not a SOAP 1.1 envelope"},
		{"SOAP 1.2", `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body/></e:Envelope>`, "", "not a SOAP 1.1 envelope"},
		{"body alone", `<e:Body xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>`, "", "not a SOAP 1.1 envelope"},
		{"no body", se + `<e:Header/></e:Envelope>`, "", "no message"},
		{"body without namespace", se + `<Body><c:Inform/></Body></e:Envelope>`, "", "no message"},
		{"empty body", soap(``), "", "no message"},
		{"two bodies", se + `<e:Body><c:Inform/></e:Body><e:Body/></e:Envelope>`, "", "more than one body"},
		{"two headers", se + `<e:Header/><e:Header/><e:Body><c:Inform/></e:Body></e:Envelope>`, "", "more than one header"},
		{"two messages", soap(`<cwmp:Inform/><cwmp:Inform/>`), "", "more than one message"},
		{"message and fault", soap(`<cwmp:Inform/><soap-env:Fault/>`), "", "more than one message"},
		{"message without namespace", soap(`<Inform/>`), "", "unknown namespace"},
		{"SOAP message", soap(`<soap-env:Inform/>`), "", "unknown namespace"},
		{"fault of CWMP is no SOAP fault", soap(`<Fault/>`), "", "unknown namespace"},
		{"other namespace", soap(`<v:Inform xmlns:v="urn:vendor"/>`), "", "unknown namespace"},
		{"cwmp-2-0", soap(`<v:Inform xmlns:v="urn:dslforum-org:cwmp-2-0"/>`), "", "unknown namespace"},
		{"cwmp-1-", soap(`<v:Inform xmlns:v="urn:dslforum-org:cwmp-1-"/>`), "", "unknown namespace"},
		{"cwmp-1-x", soap(`<v:Inform xmlns:v="urn:dslforum-org:cwmp-1-2x"/>`), "", "unknown namespace"},

		// Values on which success depends.
		{"status", soap(`<cwmp:SetParameterValuesResponse><Status>ok</Status></cwmp:SetParameterValuesResponse>`), "", "malformed status"},
		{"negative status", soap(`<cwmp:SetParameterValuesResponse><Status>-1</Status></cwmp:SetParameterValuesResponse>`), "", "malformed status"},
		{"fault code of a transfer", soap(`<cwmp:TransferComplete><FaultStruct><FaultCode>none</FaultCode></FaultStruct></cwmp:TransferComplete>`), "",
			"malformed status or fault code"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			e, err := cwmp.Decode([]byte(x.body), x.contentType)
			var syntax *cwmp.SyntaxError
			if !errors.As(err, &syntax) || e != nil {
				t.Fatalf("got %+v, %v, want a SyntaxError", e, err)
			}
			if !strings.Contains(syntax.Reason, x.reason) {
				t.Errorf("got %q, want %q", syntax.Reason, x.reason)
			}
			if !strings.Contains(err.Error(), syntax.Reason) || syntax.Offset < 0 || syntax.Offset > len(x.body) {
				t.Errorf("offset %d, error %q", syntax.Offset, err)
			}
		})
	}
	// The limits themselves are still accepted.
	for name, body := range map[string]string{
		"depth":      informOf(deep(29)),
		"attributes": informOf(`<a` + attributes(64) + `/>`),
		"parameters": informOf(`<ParameterList>` + strings.Repeat(`<ParameterValueStruct/>`, 10_000) + `</ParameterList>`),
		"ID":         se + `<e:Header><c:ID>` + strings.Repeat("1", 1024) + `</c:ID></e:Header><e:Body><c:Inform/></e:Body></e:Envelope>`,
	} {
		if _, err := cwmp.Decode([]byte(body), ""); err != nil {
			t.Errorf("%s at its limit: %v", name, err)
		}
	}
}
