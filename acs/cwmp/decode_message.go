package cwmp

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// message reads the RPC that was just opened.
func (r *decoding) message() (Message, error) {
	switch string(r.local) {
	case "Inform":
		return r.inform()
	case "InformResponse":
		return &InformResponse{}, nil
	case "GetRPCMethods":
		return &GetRPCMethods{}, nil
	case "GetRPCMethodsResponse":
		m := &GetRPCMethodsResponse{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "MethodList" {
				return r.strings(&m.Methods)
			}
			return nil
		})
	case "SetParameterValues":
		m := &SetParameterValues{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "ParameterList":
				return r.values(&m.Parameters)
			case "ParameterKey":
				return r.verbatim(&m.ParameterKey)
			}
			return nil
		})
	case "SetParameterValuesResponse":
		m := &SetParameterValuesResponse{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "Status" {
				return r.code(&m.Status)
			}
			return nil
		})
	case "GetParameterValues":
		m := &GetParameterValues{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "ParameterNames" {
				return r.strings(&m.Names)
			}
			return nil
		})
	case "GetParameterValuesResponse":
		m := &GetParameterValuesResponse{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "ParameterList" {
				return r.values(&m.Parameters)
			}
			return nil
		})
	case "GetParameterNames":
		m := &GetParameterNames{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "ParameterPath":
				return r.trimmed(&m.ParameterPath)
			case "NextLevel":
				return r.boolean(&m.NextLevel)
			}
			return nil
		})
	case "GetParameterNamesResponse":
		m := &GetParameterNamesResponse{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "ParameterList" {
				return r.infos(&m.Parameters)
			}
			return nil
		})
	case "AddObject":
		m := &AddObject{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "ObjectName":
				return r.trimmed(&m.ObjectName)
			case "ParameterKey":
				return r.trimmed(&m.ParameterKey)
			}
			return nil
		})
	case "AddObjectResponse":
		m := &AddObjectResponse{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "InstanceNumber":
				return r.size(&m.InstanceNumber)
			case "Status":
				return r.code(&m.Status)
			}
			return nil
		})
	case "Reboot":
		m := &Reboot{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "CommandKey" {
				return r.trimmed(&m.CommandKey)
			}
			return nil
		})
	case "RebootResponse":
		return &RebootResponse{}, nil
	case "Download":
		return r.download()
	case "DownloadResponse":
		m := &DownloadResponse{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "Status":
				return r.code(&m.Status)
			case "StartTime":
				return r.time(&m.StartTime)
			case "CompleteTime":
				return r.time(&m.CompleteTime)
			}
			return nil
		})
	case "AutonomousTransferComplete":
		return r.autonomousTransferComplete()
	case "AutonomousTransferCompleteResponse":
		return &AutonomousTransferCompleteResponse{}, nil
	case "RequestDownload":
		return r.requestDownload()
	case "RequestDownloadResponse":
		return &RequestDownloadResponse{}, nil
	case "TransferComplete":
		return r.transferComplete()
	case "TransferCompleteResponse":
		return &TransferCompleteResponse{}, nil
	}
	return &Unknown{Name: string(r.local)}, nil
}

func (r *decoding) inform() (*Inform, error) {
	m := &Inform{}
	return m, r.fields(func(name []byte) error {
		switch string(name) {
		case "DeviceId":
			return r.deviceID(&m.DeviceID)
		case "Event":
			return r.events(&m.Events)
		case "MaxEnvelopes":
			return r.number(&m.MaxEnvelopes)
		case "CurrentTime":
			return r.time(&m.CurrentTime)
		case "RetryCount":
			return r.number(&m.RetryCount)
		case "ParameterList":
			return r.values(&m.Parameters)
		}
		return nil
	})
}

func (r *decoding) deviceID(id *DeviceID) error {
	return r.fields(func(name []byte) error {
		switch string(name) {
		case "Manufacturer":
			return r.trimmed(&id.Manufacturer)
		case "OUI":
			err := r.trimmed(&id.OUI)
			id.OUI = strings.ToUpper(id.OUI)
			return err
		case "ProductClass":
			return r.trimmed(&id.ProductClass)
		case "SerialNumber":
			return r.trimmed(&id.SerialNumber)
		}
		return nil
	})
}

func (r *decoding) events(list *[]Event) error {
	return r.fields(func(name []byte) error {
		if string(name) != "EventStruct" {
			return nil
		}
		if err := r.member(); err != nil {
			return err
		}
		var event Event
		err := r.fields(func(name []byte) error {
			switch string(name) {
			case "EventCode":
				return r.trimmed(&event.Code)
			case "CommandKey":
				return r.trimmed(&event.CommandKey)
			}
			return nil
		})
		*list = append(*list, event)
		return err
	})
}

// values reads the members of a ParameterValueStruct array. Its count is not looked at: "[0010]" is real (i4.md A.3-5).
func (r *decoding) values(list *[]ParameterValue) error {
	return r.fields(func(name []byte) error {
		if string(name) != "ParameterValueStruct" {
			return nil
		}
		if err := r.member(); err != nil {
			return err
		}
		p := ParameterValue{Type: xsdString}
		err := r.fields(func(name []byte) error {
			switch string(name) {
			case "Name":
				return r.trimmed(&p.Name)
			case "Value":
				p.Type = r.xsiType()
				value, err := r.content()
				p.Value = canonicalValue(p.Type, value)
				return err
			}
			return nil
		})
		*list = append(*list, p)
		return err
	})
}

const (
	xsdString  = "xsd:string"
	xsdBoolean = "xsd:boolean"
)

// xsiType returns the type of the current element with our prefix.
func (r *decoding) xsiType() string {
	for _, a := range r.attrs {
		if a.ns.space != spaceXSI || string(a.local) != "type" {
			continue
		}
		_, local, ok := splitName(trim(a.value))
		if !ok {
			break
		}
		switch string(local) { // the usual ones without allocation
		case "string":
			return xsdString
		case "boolean":
			return xsdBoolean
		case "unsignedInt":
			return "xsd:unsignedInt"
		case "int":
			return "xsd:int"
		case "dateTime":
			return "xsd:dateTime"
		}
		return "xsd:" + string(local)
	}
	return xsdString
}

// canonicalValue removes the white space that is no part of a value, which is all but that of strings (XML Schema 4.3.6),
// and writes booleans in one way.
func canonicalValue(kind string, value []byte) string {
	if kind == xsdString {
		return string(value)
	}
	value = trim(value)
	if kind == xsdBoolean {
		switch {
		case bytes.EqualFold(value, []byte("true")):
			return "1"
		case bytes.EqualFold(value, []byte("false")):
			return "0"
		}
	}
	return string(value)
}

func (r *decoding) infos(list *[]ParameterInfo) error {
	return r.fields(func(name []byte) error {
		if string(name) != "ParameterInfoStruct" {
			return nil
		}
		if err := r.member(); err != nil {
			return err
		}
		var p ParameterInfo
		err := r.fields(func(name []byte) error {
			switch string(name) {
			case "Name":
				return r.trimmed(&p.Name)
			case "Writable":
				return r.boolean(&p.Writable)
			}
			return nil
		})
		*list = append(*list, p)
		return err
	})
}

func (r *decoding) transferComplete() (*TransferComplete, error) {
	m := &TransferComplete{}
	return m, r.fields(func(name []byte) error {
		switch string(name) {
		case "CommandKey":
			return r.trimmed(&m.CommandKey)
		case "StartTime":
			return r.time(&m.StartTime)
		case "CompleteTime":
			return r.time(&m.CompleteTime)
		case "FaultStruct":
			return r.faultStruct(&m.FaultCode, &m.FaultString)
		}
		return nil
	})
}

func (r *decoding) faultStruct(code *int, text *string) error {
	return r.fields(func(name []byte) error {
		switch string(name) {
		case "FaultCode":
			return r.code(code)
		case "FaultString":
			return r.verbatim(text)
		}
		return nil
	})
}

// fault reads a SOAP fault. Its version is that of the CWMP fault in the detail, and stays as it is without one.
func (r *decoding) fault(version *Version) (*Fault, error) {
	m := &Fault{SOAPCode: soapClient}
	soapString := ""
	found := false
	err := r.fields(func(name []byte) error {
		switch string(name) {
		case "faultcode":
			code, err := r.content()
			if _, local, ok := splitName(trim(code)); ok {
				m.SOAPCode = string(local)
			}
			return err
		case "faultstring":
			return r.verbatim(&soapString)
		case "detail":
			return r.fields(func(name []byte) error {
				if string(name) != "Fault" || found {
					return nil
				}
				found = true
				if r.ns.space == spaceCWMP {
					*version = r.ns.version
				}
				return r.cwmpFault(m)
			})
		}
		return nil
	})
	if !found {
		m.String = soapString
	}
	return m, err
}

func (r *decoding) cwmpFault(m *Fault) error {
	return r.fields(func(name []byte) error {
		switch string(name) {
		case "FaultCode":
			return r.number(&m.Code)
		case "FaultString":
			return r.verbatim(&m.String)
		case "SetParameterValuesFault":
			if err := r.member(); err != nil {
				return err
			}
			var p ParameterFault
			err := r.fields(func(name []byte) error {
				switch string(name) {
				case "ParameterName":
					return r.trimmed(&p.Name)
				case "FaultCode":
					return r.number(&p.Code)
				case "FaultString":
					return r.verbatim(&p.String)
				}
				return nil
			})
			m.Parameters = append(m.Parameters, p)
			return err
		}
		return nil
	})
}

// fields calls f with the name of each child that may be ours: unqualified as the standard has it, or drawn into a
// namespace of the envelope by a default namespace or a prefix too many. Elements of foreign namespaces are passed over.
func (r *decoding) fields(f func(name []byte) error) error {
	return r.children(func() error {
		if r.ns.space == spaceOther {
			return nil
		}
		return f(r.local)
	})
}

// strings appends the members of an array of strings.
func (r *decoding) strings(list *[]string) error {
	return r.fields(func(name []byte) error {
		if string(name) != "string" {
			return nil
		}
		if err := r.member(); err != nil {
			return err
		}
		var s string
		err := r.trimmed(&s)
		*list = append(*list, s)
		return err
	})
}

// verbatim reads text as it is.
func (r *decoding) verbatim(s *string) error {
	text, err := r.content()
	*s = string(text)
	return err
}

// trimmed reads text without the white space around it, which a Tianyi gateway puts there (i4.md A.3-8).
func (r *decoding) trimmed(s *string) error {
	text, err := r.content()
	*s = string(trim(text))
	return err
}

// number reads a number that nothing depends on: what is none, or negative, is 0.
func (r *decoding) number(n *int) error {
	text, err := r.content()
	if err != nil {
		return err
	}
	if v, err := strconv.Atoi(string(trim(text))); err == nil && v >= 0 {
		*n = v
	}
	return nil
}

// code reads a number in which 0 is success, so that text must not pass for it. An empty element is 0.
func (r *decoding) code(n *int) error {
	text, err := r.content()
	if err != nil {
		return err
	}
	if text = trim(text); len(text) == 0 {
		return nil
	}
	if *n, err = strconv.Atoi(string(text)); err != nil || *n < 0 {
		return r.fail("malformed status or fault code")
	}
	return nil
}

func (r *decoding) boolean(b *bool) error {
	text, err := r.content()
	text = trim(text)
	*b = string(text) == "1" || bytes.EqualFold(text, []byte("true"))
	return err
}

func (r *decoding) time(t *time.Time) error {
	text, err := r.content()
	*t, _ = ParseTime(string(text), r.location)
	return err
}
