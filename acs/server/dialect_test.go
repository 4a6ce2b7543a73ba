package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// Whatever dialect of the field a client speaks, the rooms hear the same registration and it is answered in its version (i4.md A.1 H2, H5, A.3, D.2).
func TestDialects(t *testing.T) {
	t.Parallel()
	profile, err := i4.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	userName, _ := profile.Path("ui.userName")
	register := `<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
<e:Header><cwmp:ID e:mustUnderstand="1">77</cwmp:ID></e:Header>
<e:Body><cwmp:Inform><DeviceId><Manufacturer>中国</Manufacturer><OUI>00005E</OUI><ProductClass>IMSPC</ProductClass><SerialNumber>1</SerialNumber></DeviceId>
<Event enc:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>X CT-COM REGISTER</EventCode><CommandKey></CommandKey></EventStruct></Event>
<MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2012-01-10T09:30:00+08:00</CurrentTime><RetryCount>0</RetryCount>
<ParameterList enc:arrayType="cwmp:ParameterValueStruct[1]"><ParameterValueStruct><Name>` + userName + `</Name><Value xsi:type="xsd:string">02162345678</Value></ParameterValueStruct></ParameterList>
</cwmp:Inform></e:Body></e:Envelope>`
	d := open(t)
	for name, x := range map[string]struct {
		changes []string // old, new, …
		set     func(*http.Request)
		chunked bool
	}{
		"as the standard says": {},
		"chunked":              {chunked: true},
		"Expect: 100-continue": {set: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		"no Content-Type":      {set: func(r *http.Request) { r.Header.Del("Content-Type") }},
		"SOAPAction and its text": {set: func(r *http.Request) {
			r.Header.Set("SOAPAction", "cwmp:Inform")
			r.Header.Set("Content-Type", "text/plain")
		}},
		"BIND":                     {changes: []string{"X CT-COM REGISTER", "X CT-COM BIND"}},
		"BIND1":                    {changes: []string{"X CT-COM REGISTER", "X CT-COM BIND1"}},
		"BIND2":                    {changes: []string{"X CT-COM REGISTER", "X CT-COM BIND2"}},
		"STBBIND":                  {changes: []string{"X CT-COM REGISTER", "X CT-COM STBBIND"}},
		"code in other letters":    {changes: []string{"X CT-COM REGISTER", "x ct-com  register"}},
		"lines around names":       {changes: []string{"X CT-COM REGISTER", "\r\nX CT-COM REGISTER\r\n", userName, "\n" + userName + "\n"}},
		"no xsi:type":              {changes: []string{` xsi:type="xsd:string"`, ""}},
		"count [0010]":             {changes: []string{"ParameterValueStruct[1]", "ParameterValueStruct[0010]", "EventStruct[1]", "EventStruct[0010]"}},
		"no count":                 {changes: []string{` enc:arrayType="cwmp:ParameterValueStruct[1]"`, "", ` enc:arrayType="cwmp:EventStruct[1]"`, ""}},
		"GBK":                      {changes: []string{`encoding="UTF-8"`, `encoding="GBK"`, "中国", "\xd6\xd0\xb9\xfa"}},
		"GB2312 by the header":     {changes: []string{` encoding="UTF-8"`, "", "中国", "\xd6\xd0\xb9\xfa"}, set: func(r *http.Request) { r.Header.Set("Content-Type", "text/xml; charset=gb2312") }},
		"default namespace":        {changes: []string{"<cwmp:Inform>", `<Inform xmlns="urn:dslforum-org:cwmp-1-0">`, "</cwmp:Inform>", "</Inform>"}},
		"namespace declared late":  {changes: []string{` xmlns:cwmp="urn:dslforum-org:cwmp-1-0"`, "", "<cwmp:Inform>", `<cwmp:Inform xmlns:cwmp="urn:dslforum-org:cwmp-1-0">`, "<cwmp:ID ", `<cwmp:ID xmlns:cwmp="urn:dslforum-org:cwmp-1-0" `}},
		"CRLF and byte order mark": {changes: []string{"<?xml", "\xEF\xBB\xBF<?xml", "\n", "\r\n"}},
		"elements of its own":      {changes: []string{"<MaxEnvelopes>1</MaxEnvelopes>", "<X_Vendor><RetryCount>9</RetryCount></X_Vendor><MaxEnvelopes>20</MaxEnvelopes>"}},
	} {
		t.Run(name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(strings.NewReplacer(x.changes...).Replace(register))
			if x.chunked {
				body = slow{body}
			}
			c := d.client()
			c.header.Set("Content-Type", "text/xml; charset=utf-8")
			if x.changes != nil {
				c.header.Set("Content-Type", "text/xml")
			}
			if x.set == nil {
				x.set = func(*http.Request) {}
			}
			before := d.clients.count()
			a := c.post(body, x.set)
			a.has(t, "InformResponse")
			if e := a.message(t); e.Version != cwmp.V1_0 || e.ID != "77" {
				t.Errorf("answered in %v to %q", e.Version, e.ID)
			}
			in := d.clients.last(t).in
			if d.clients.count() != before+1 || !in.Has(models.EventRegister) || len(in.Events) != 1 || in.Get("ui.userName") != "02162345678" ||
				in.Manufacturer != "中国" || in.Key != "00005E-IMSPC-1" || in.RetryCount != 0 {
				t.Errorf("the rooms heard %+v", in)
			}
			c.empty().is(t, http.StatusNoContent)
		})
	}
}
