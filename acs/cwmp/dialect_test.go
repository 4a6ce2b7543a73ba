package cwmp_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/softacs/softacs/acs/cwmp"
)

// tianyi is an Inform as a Tianyi gateway sends it: vendor events in the namespace of 1.0, a count in brackets that is
// none, and white space inside names (i4.md 0.2-2, A.3-5, A.3-8).
const tianyi = `<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0" SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
<SOAP-ENV:Header>
<cwmp:ID SOAP-ENV:mustUnderstand="1">100</cwmp:ID>
<cwmp:NoMoreRequests>0</cwmp:NoMoreRequests>
</SOAP-ENV:Header>
<SOAP-ENV:Body>
<cwmp:Inform>
<DeviceId>
<Manufacturer>CMDC</Manufacturer><OUI>00e0fc</OUI><ProductClass>TEWA-800E</ProductClass><SerialNumber>
  00E0FC123456
</SerialNumber>
</DeviceId>
<Event SOAP-ENC:arrayType="cwmp:EventStruct[0002]">
<EventStruct><EventCode>
X CT-COM BIND
</EventCode><CommandKey></CommandKey></EventStruct>
<EventStruct><EventCode>1 BOOT</EventCode><CommandKey/></EventStruct>
</Event>
<MaxEnvelopes>1</MaxEnvelopes>
<CurrentTime>2012-01-10T09:25:00</CurrentTime>
<RetryCount>0</RetryCount>
<ParameterList SOAP-ENC:arrayType="cwmp:ParameterValueStruct[0010]">
<ParameterValueStruct>
<Name>
InternetGatewayDevice.X_CT-COM_UserInfo.UserName
</Name>
<Value xsi:type="xsd:string"> 02162345678</Value>
</ParameterValueStruct>
<ParameterValueStruct>
<Name>InternetGatewayDevice.X_CT-COM_UserInfo.Status</Name>
<Value xsi:type="xsd:unsignedInt">
99
</Value>
</ParameterValueStruct>
</ParameterList>
</cwmp:Inform>
</SOAP-ENV:Body>
</SOAP-ENV:Envelope>
`

func TestTianyi(t *testing.T) {
	t.Parallel()
	want := &cwmp.Envelope{Version: cwmp.V1_0, ID: "100", Body: &cwmp.Inform{
		DeviceID: cwmp.DeviceID{
			Manufacturer: "CMDC", OUI: "00E0FC", ProductClass: "TEWA-800E", SerialNumber: "00E0FC123456",
		},
		Events:       []cwmp.Event{{Code: "X CT-COM BIND"}, {Code: "1 BOOT"}},
		MaxEnvelopes: 1,
		CurrentTime:  time.Date(2012, 1, 10, 1, 25, 0, 0, time.UTC),
		Parameters: []cwmp.ParameterValue{
			{Name: "InternetGatewayDevice.X_CT-COM_UserInfo.UserName", Type: "xsd:string", Value: " 02162345678"},
			{Name: "InternetGatewayDevice.X_CT-COM_UserInfo.Status", Type: "xsd:unsignedInt", Value: "99"},
		},
	}}
	for name, body := range map[string]string{"lines": tianyi, "CRLF": strings.ReplaceAll(tianyi, "\n", "\r\n")} {
		if got := decode(t, []byte(body), `text/xml; charset="utf-8"`); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v %+v\nwant %+v %+v", name, got, got.Body, want, want.Body)
		}
	}
}

// soap wraps a message of version 1.1 as our own encoder does.
func soap(message string) string {
	return `<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"` +
		` xmlns:soap-enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-1">` +
		`<soap-env:Body>` + message + `</soap-env:Body></soap-env:Envelope>`
}

func informOf(inner string) string { return soap(`<cwmp:Inform>` + inner + `</cwmp:Inform>`) }

func valueOf(value string) string {
	return informOf(`<ParameterList><ParameterValueStruct><Name>A</Name>` + value +
		`</ParameterValueStruct></ParameterList>`)
}

func onlyValue(kind, value string) *cwmp.Inform {
	return &cwmp.Inform{Parameters: []cwmp.ParameterValue{{Name: "A", Type: kind, Value: value}}}
}

// TestTolerance is what is read although it is not what the standard says, or says in an unusual way.
func TestTolerance(t *testing.T) {
	t.Parallel()
	at := func(hour, minute, second, nano int) *cwmp.Inform {
		return &cwmp.Inform{CurrentTime: time.Date(2012, 1, 10, hour, minute, second, nano, time.UTC)}
	}
	status := func(n int) cwmp.Message { return &cwmp.SetParameterValuesResponse{Status: n} }
	for _, x := range []struct {
		name, body string
		want       cwmp.Message
	}{
		{"empty inform", informOf(``), &cwmp.Inform{}},
		{"void inform", soap(`<cwmp:Inform/>`), &cwmp.Inform{}},
		{"no members", informOf(`<Event soap-enc:arrayType="cwmp:EventStruct[7]"/><ParameterList/>`), &cwmp.Inform{}},
		{"numbers that are none", informOf(`<RetryCount>many</RetryCount><MaxEnvelopes>-1</MaxEnvelopes>`), &cwmp.Inform{}},
		{"number beyond int", informOf(`<RetryCount>99999999999999999999</RetryCount>`), &cwmp.Inform{}},
		{"number with space", informOf(`<RetryCount> 7&#10;</RetryCount>`), &cwmp.Inform{RetryCount: 7}},
		{"unknown elements", informOf(`<X><RetryCount>7</RetryCount></X><!-- c --><?pi a='>?><RetryCount>1</RetryCount>`),
			&cwmp.Inform{RetryCount: 1}},
		{"names in Chinese", informOf(`<软件·1 é́="1"/><𠀀/><RetryCount>1</RetryCount>`), &cwmp.Inform{RetryCount: 1}},
		{"foreign namespace", informOf(`<v:RetryCount xmlns:v="urn:vendor">7</v:RetryCount>`), &cwmp.Inform{}},
		{"unknown attributes", informOf(`<RetryCount a="1" xml:lang="zh" soap-env:b='"'>1</RetryCount>`),
			&cwmp.Inform{RetryCount: 1}},
		{"order of fields", informOf(`<RetryCount>1</RetryCount><DeviceId><SerialNumber>s</SerialNumber><OUI>ab</OUI></DeviceId>`),
			&cwmp.Inform{RetryCount: 1, DeviceID: cwmp.DeviceID{OUI: "AB", SerialNumber: "s"}}},
		{"qualified children", soap(`<cwmp:Inform><cwmp:RetryCount>1</cwmp:RetryCount></cwmp:Inform>`), &cwmp.Inform{RetryCount: 1}},

		{"no type", valueOf(`<Value>x</Value>`), onlyValue("xsd:string", "x")},
		{"no value", valueOf(``), onlyValue("xsd:string", "")},
		{"other prefix of type", valueOf(`<Value xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type=" xs:int ">1</Value>`),
			onlyValue("xsd:int", "1")},
		{"type without prefix", valueOf(`<Value xsi:type="base64">AAEC</Value>`), onlyValue("xsd:base64", "AAEC")},
		{"type that is none", valueOf(`<Value xsi:type="a b">1</Value>`), onlyValue("xsd:string", "1")},
		{"type in no namespace", valueOf(`<Value type="xsd:int">1</Value>`), onlyValue("xsd:string", "1")},
		{"true", valueOf(`<Value xsi:type="xsd:boolean">true</Value>`), onlyValue("xsd:boolean", "1")},
		{"FALSE", valueOf(`<Value xsi:type="xsd:boolean"> FALSE </Value>`), onlyValue("xsd:boolean", "0")},
		{"1", valueOf(`<Value xsi:type="xsd:boolean">1</Value>`), onlyValue("xsd:boolean", "1")},
		{"boolean that is none", valueOf(`<Value xsi:type="xsd:boolean">on</Value>`), onlyValue("xsd:boolean", "on")},
		{"true as string", valueOf(`<Value xsi:type="xsd:string">true</Value>`), onlyValue("xsd:string", "true")},
		{"space in string", valueOf("<Value> a\r\n\tb </Value>"), onlyValue("xsd:string", " a\n\tb ")},
		{"references", valueOf(`<Value>&lt;&gt;&amp;&apos;&quot;&#65;&#x4e2d;&#x1F600;&#13;</Value>`), onlyValue("xsd:string", "<>&'\"A中😀\r")},
		{"CDATA and comments", valueOf(`<Value>a<![CDATA[<b>&amp;]]]]><!-- x --><![CDATA[>]]>c<?p?>d<e>f</e>g</Value>`),
			onlyValue("xsd:string", "a<b>&amp;]]>cdg")},

		{"time in UTC", informOf(`<CurrentTime>2012-01-10T01:25:00Z</CurrentTime>`), at(1, 25, 0, 0)},
		{"time with offset", informOf(`<CurrentTime>2012-01-10T01:25:00-02:30</CurrentTime>`), at(3, 55, 0, 0)},
		{"time with offset without colon", informOf(`<CurrentTime>2012-01-10T09:25:00+0800</CurrentTime>`), at(1, 25, 0, 0)},
		{"time without offset", informOf(`<CurrentTime> 2012-01-10T09:25:00 </CurrentTime>`), at(1, 25, 0, 0)},
		{"time with fraction", informOf(`<CurrentTime>2012-01-10T01:25:00.125Z</CurrentTime>`), at(1, 25, 0, 125e6)},
		{"time with fraction without offset", informOf(`<CurrentTime>2012-01-10T09:25:00.5</CurrentTime>`), at(1, 25, 0, 5e8)},
		{"Unknown Time", informOf(`<CurrentTime>0001-01-01T00:00:00Z</CurrentTime>`), &cwmp.Inform{}},
		{"Unknown Time in China", informOf(`<CurrentTime>0001-01-01T00:00:00+08:00</CurrentTime>`), &cwmp.Inform{}},
		{"time that is none", informOf(`<CurrentTime>now</CurrentTime>`), &cwmp.Inform{}},

		{"status with space", soap(`<cwmp:SetParameterValuesResponse><Status> 1 </Status></cwmp:SetParameterValuesResponse>`), status(1)},
		{"no status", soap(`<cwmp:SetParameterValuesResponse/>`), status(0)},
		{"empty status", soap(`<cwmp:SetParameterValuesResponse><Status/></cwmp:SetParameterValuesResponse>`), status(0)},
		{"next level", soap(`<cwmp:GetParameterNames><NextLevel>true</NextLevel></cwmp:GetParameterNames>`), &cwmp.GetParameterNames{NextLevel: true}},
		{"qualified strings", soap(`<cwmp:GetRPCMethodsResponse><MethodList><xsd:string> Reboot </xsd:string><x/></MethodList></cwmp:GetRPCMethodsResponse>`),
			&cwmp.GetRPCMethodsResponse{Methods: []string{"Reboot"}}},
		{"unknown method", soap(`<cwmp:X_00E0FC_Do><a/></cwmp:X_00E0FC_Do>`), &cwmp.Unknown{Name: "X_00E0FC_Do"}},

		{"fault with prefix", soap(`<soap-env:Fault><faultcode>soap-env:Server</faultcode><faultstring>x</faultstring><detail><cwmp:Fault>` +
			`<FaultCode> 9002 </FaultCode></cwmp:Fault></detail></soap-env:Fault>`), &cwmp.Fault{Code: 9002, SOAPCode: "Server"}},
		{"fault without detail", soap(`<soap-env:Fault><faultcode>Client</faultcode><faultstring>bad</faultstring></soap-env:Fault>`),
			&cwmp.Fault{String: "bad", SOAPCode: "Client"}},
		{"empty fault", soap(`<soap-env:Fault/>`), &cwmp.Fault{SOAPCode: "Client"}},
		{"fault code that is none", soap(`<soap-env:Fault><detail><cwmp:Fault><FaultCode>x</FaultCode></cwmp:Fault></detail></soap-env:Fault>`),
			&cwmp.Fault{SOAPCode: "Client"}},
		{"fault without prefix", soap(`<soap-env:Fault><detail><Fault><FaultCode>9005</FaultCode></Fault></detail></soap-env:Fault>`),
			&cwmp.Fault{Code: 9005, SOAPCode: "Client"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if got := decode(t, []byte(x.body), "").Body; !reflect.DeepEqual(got, x.want) {
				t.Errorf("got  %+v\nwant %+v", got, x.want)
			}
		})
	}
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	const (
		se = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"`
		c  = `xmlns:c="urn:dslforum-org:cwmp-1-`
	)
	get := &cwmp.GetRPCMethods{}
	for _, x := range []struct {
		name, body string
		want       cwmp.Envelope
	}{
		{"default namespaces", `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><ID xmlns="urn:dslforum-org:cwmp-1-0">1</ID></Header>` +
			`<Body><Reboot xmlns="urn:dslforum-org:cwmp-1-1"><CommandKey>k</CommandKey></Reboot></Body></Envelope>`,
			cwmp.Envelope{Version: cwmp.V1_1, ID: "1", Body: &cwmp.Reboot{CommandKey: "k"}}},
		{"default namespace undone", se + `><e:Body><Reboot xmlns="urn:dslforum-org:cwmp-1-1"><CommandKey xmlns="">k</CommandKey></Reboot></e:Body></e:Envelope>`,
			cwmp.Envelope{Version: cwmp.V1_1, Body: &cwmp.Reboot{CommandKey: "k"}}},
		{"prefix bound again", se + ` ` + c + `0"><e:Body><c:GetRPCMethods ` + c + `2"/></e:Body></e:Envelope>`,
			cwmp.Envelope{Version: cwmp.V1_2, Body: get}},
		{"no header", se + ` ` + c + `0"><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>`, cwmp.Envelope{Version: cwmp.V1_0, Body: get}},
		{"1-3", se + ` ` + c + `3"><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>`, cwmp.Envelope{Version: cwmp.V1_2, Body: get}},
		{"1-14", se + ` ` + c + `14"><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>`, cwmp.Envelope{Version: cwmp.V1_2, Body: get}},
		{"ID kept as it is", se + ` ` + c + `0"><e:Header><c:ID> &lt;a&amp;b&#13;> </c:ID></e:Header><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>`,
			cwmp.Envelope{ID: " <a&b\r> ", Body: get}},
		{"other headers", se + ` ` + c + `0"><e:Header><x/><c:HoldRequests>1</c:HoldRequests><v:ID xmlns:v="urn:v">9</v:ID><ID>9</ID></e:Header>` +
			`<e:Body><c:GetRPCMethods/></e:Body><x/></e:Envelope>`, cwmp.Envelope{Body: get}},
		{"headers of 1.4", se + ` ` + c + `2"><e:Header><c:SessionTimeout>soon</c:SessionTimeout>` +
			`<c:SupportedCWMPVersions> 1.0, 1.4,, </c:SupportedCWMPVersions></e:Header><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>`,
			cwmp.Envelope{Version: cwmp.V1_2, SupportedVersions: []string{"1.0", "1.4"}, Body: get}},
		{"fault without CWMP fault", se + ` ` + c + `1"><e:Header><c:ID>1</c:ID></e:Header><e:Body><e:Fault/></e:Body></e:Envelope>`,
			cwmp.Envelope{Version: cwmp.V1_1, ID: "1", Body: &cwmp.Fault{SOAPCode: "Client"}}},
		{"around the root", "<?xml version='1.0' ?>\n<!-- a --><?b c?>" + se + ` ` + c + `0"><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>` + "\n<!-- d --> ",
			cwmp.Envelope{Body: get}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if got := decode(t, []byte(x.body), ""); !reflect.DeepEqual(got, &x.want) {
				t.Errorf("got  %+v\nwant %+v", got, &x.want)
			}
		})
	}
}

// TestEncodings reads the same value in each encoding and by each way of naming it.
func TestEncodings(t *testing.T) {
	t.Parallel()
	gb, gbk, latin := simplifiedchinese.GB18030, simplifiedchinese.GBK, charmap.ISO8859_1
	for _, x := range []struct {
		name, declared, contentType, value string
		enc                                encoding.Encoding
	}{
		{"nothing said", "", "", "软客户端", nil},
		{"UTF-8 declared", "utf-8", "", "软客户端", nil},
		{"byte order mark", "\uFEFF", "", "软客户端", nil},
		{"GBK declared", "GBK", "text/xml", "软客户端", gbk},
		{"GB2312 declared", "gb2312", "", "上海", gbk},
		{"GB18030 declared", "GB18030", "", "软客户端😀", gb},
		{"ISO-8859-1 declared", "ISO-8859-1", "", "Müller", latin},
		{"GBK in the header", "", "text/xml; charset=GBK", "软客户端", gbk},
		{"both say GBK", "gbk", `text/xml; charset="gbk"`, "软客户端", gbk},
		{"header wrong, declaration right", "GBK", "text/xml; charset=utf-8", "软客户端", gbk},
		{"declaration wrong, header right", "UTF-8", "text/xml; charset=gbk", "软客户端", gbk},
		{"declared GBK but UTF-8", "GBK", `text/xml; charset="utf-8"`, "软客户端", nil},
		{"header before declaration", "ISO-8859-1", "text/xml; charset=gb18030", "软客户端", gb},
		{"header unreadable", "GBK", "text/xml; charset", "软客户端", gbk},
		{"us-ascii", "", "text/xml; charset=us-ascii", "a", nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(valueOf(`<Value>` + x.value + `</Value>`))
			if x.enc != nil {
				var err error
				if body, err = x.enc.NewEncoder().Bytes(body); err != nil {
					t.Fatal(err)
				}
			}
			switch x.declared {
			case "":
			case "\uFEFF":
				body = append([]byte("\uFEFF<?xml version=\"1.0\" encoding='gbk'?>"), body...)
			default:
				body = append([]byte(`<?xml version="1.0" encoding="`+x.declared+`"?>`), body...)
			}
			before := bytes.Clone(body)
			got := decode(t, body, x.contentType)
			if want := onlyValue("xsd:string", x.value); !reflect.DeepEqual(got.Body, want) {
				t.Errorf("got  %+v\nwant %+v", got.Body, want)
			}
			if !bytes.Equal(body, before) {
				t.Error("decode wrote into the body of the caller")
			}
		})
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	d := cwmp.Decoder{Location: time.FixedZone("", -3600)}
	e, err := d.Decode([]byte(informOf(`<CurrentTime>2012-01-10T23:30:00</CurrentTime>`)), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Body.(*cwmp.Inform).CurrentTime, time.Date(2012, 1, 11, 0, 30, 0, 0, time.UTC); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
