package cwmp

// GetParameterAttributes asks for attributes (TR-069 A.3.2.5). A name that ends with a dot asks for everything below it.
type GetParameterAttributes struct{ Names []string }

// GetParameterAttributesResponse returns them.
type GetParameterAttributesResponse struct{ Parameters []ParameterAttribute }

// ParameterAttribute is a parameter with its attributes: Notification is 0 off, 1 passive or 2 active, AccessList says who may write beside the server.
type ParameterAttribute struct {
	Name         string
	Notification int
	AccessList   []string
}

// SetParameterAttributes changes attributes, all or none (TR-069 A.3.2.4).
type SetParameterAttributes struct{ Parameters []AttributeChange }

// AttributeChange is a parameter, or an object for everything below it, with the attributes that change.
type AttributeChange struct {
	Name               string
	NotificationChange bool
	Notification       int
	AccessListChange   bool
	AccessList         []string
}

// SetParameterAttributesResponse says that they are changed.
type SetParameterAttributesResponse struct{}

// AddObject makes an instance of a table, whose path ends with a dot (TR-069 A.3.2.6). It overwrites ManagementServer.ParameterKey.
type AddObject struct{ ObjectName, ParameterKey string }

// AddObjectResponse says which one it is; Status 0 is applied, 1 committed and not yet applied.
type AddObjectResponse struct{ InstanceNumber, Status int }

// DeleteObject removes an instance (TR-069 A.3.2.7). It overwrites ManagementServer.ParameterKey.
type DeleteObject struct{ ObjectName, ParameterKey string }

// DeleteObjectResponse says that it is gone; Status as of AddObjectResponse.
type DeleteObjectResponse struct{ Status int }

// FactoryReset makes the client forget everything after the session (TR-069 A.4.1.6).
type FactoryReset struct{}

// FactoryResetResponse promises that.
type FactoryResetResponse struct{}

// ScheduleInform asks for a session in DelaySeconds, with the events 3 SCHEDULED and M ScheduleInform (TR-069 A.4.1.3).
type ScheduleInform struct {
	DelaySeconds int
	CommandKey   string
}

// ScheduleInformResponse promises that.
type ScheduleInformResponse struct{}

// The names of the RPC elements.

func (*GetParameterAttributes) Method() string         { return "GetParameterAttributes" }
func (*GetParameterAttributesResponse) Method() string { return "GetParameterAttributesResponse" }
func (*SetParameterAttributes) Method() string         { return "SetParameterAttributes" }
func (*SetParameterAttributesResponse) Method() string { return "SetParameterAttributesResponse" }
func (*AddObject) Method() string                      { return "AddObject" }
func (*AddObjectResponse) Method() string              { return "AddObjectResponse" }
func (*DeleteObject) Method() string                   { return "DeleteObject" }
func (*DeleteObjectResponse) Method() string           { return "DeleteObjectResponse" }
func (*FactoryReset) Method() string                   { return "FactoryReset" }
func (*FactoryResetResponse) Method() string           { return "FactoryResetResponse" }
func (*ScheduleInform) Method() string                 { return "ScheduleInform" }
func (*ScheduleInformResponse) Method() string         { return "ScheduleInformResponse" }

// object writes the messages of this file; false for any other.
func (w *writer) object(m Message) bool {
	switch m := m.(type) {
	case *GetParameterAttributes:
		w.names("ParameterNames", m.Names)
	case *GetParameterAttributesResponse:
		w.array("ParameterList", "cwmp:ParameterAttributeStruct", len(m.Parameters))
		for _, p := range m.Parameters {
			w.raw(`<ParameterAttributeStruct>`)
			w.field("Name", p.Name)
			w.number("Notification", p.Notification)
			w.strings("AccessList", p.AccessList)
			w.raw(`</ParameterAttributeStruct>`)
		}
		w.raw(`</ParameterList>`)
	case *SetParameterAttributes:
		w.array("ParameterList", "cwmp:SetParameterAttributesStruct", len(m.Parameters))
		for _, p := range m.Parameters {
			w.limit(p.Name, "is longer than 256 characters", p.Name, maxParameterName)
			w.raw(`<SetParameterAttributesStruct>`)
			w.field("Name", p.Name)
			w.boolean("NotificationChange", p.NotificationChange)
			w.number("Notification", p.Notification)
			w.boolean("AccessListChange", p.AccessListChange)
			w.strings("AccessList", p.AccessList)
			w.raw(`</SetParameterAttributesStruct>`)
		}
		w.raw(`</ParameterList>`)
	case *AddObject:
		w.named(m.ObjectName, m.ParameterKey)
	case *DeleteObject:
		w.named(m.ObjectName, m.ParameterKey)
	case *AddObjectResponse:
		w.number("InstanceNumber", m.InstanceNumber)
		w.number("Status", m.Status)
	case *DeleteObjectResponse:
		w.number("Status", m.Status)
	case *ScheduleInform:
		w.limit("CommandKey", "is longer than 32 characters", m.CommandKey, maxKey)
		w.number("DelaySeconds", m.DelaySeconds)
		w.field("CommandKey", m.CommandKey)
	default:
		return false
	}
	return true
}

func (w *writer) named(object, key string) {
	w.limit("ObjectName", "is longer than 256 characters", object, maxParameterName)
	w.limit("ParameterKey", "is longer than 32 characters", key, maxKey)
	w.field("ObjectName", object)
	w.field("ParameterKey", key)
}

// names writes names of parameters that are asked for.
func (w *writer) names(element string, list []string) {
	for _, name := range list {
		w.limit(name, "is longer than 256 characters", name, maxParameterName)
	}
	w.strings(element, list)
}

// object reads the messages of this file; nil for any other.
func (r *decoding) object() (Message, error) {
	switch string(r.local) {
	case "GetParameterAttributes":
		m := &GetParameterAttributes{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "ParameterNames" {
				return r.strings(&m.Names)
			}
			return nil
		})
	case "GetParameterAttributesResponse":
		m := &GetParameterAttributesResponse{}
		return m, r.list("ParameterList", "ParameterAttributeStruct", func() error {
			p := ParameterAttribute{}
			err := r.fields(func(name []byte) error {
				switch string(name) {
				case "Name":
					return r.trimmed(&p.Name)
				case "Notification":
					return r.number(&p.Notification)
				case "AccessList":
					return r.strings(&p.AccessList)
				}
				return nil
			})
			m.Parameters = append(m.Parameters, p)
			return err
		})
	case "SetParameterAttributes":
		m := &SetParameterAttributes{}
		return m, r.list("ParameterList", "SetParameterAttributesStruct", func() error {
			p := AttributeChange{}
			err := r.fields(func(name []byte) error {
				switch string(name) {
				case "Name":
					return r.trimmed(&p.Name)
				case "NotificationChange":
					return r.boolean(&p.NotificationChange)
				case "Notification":
					return r.number(&p.Notification)
				case "AccessListChange":
					return r.boolean(&p.AccessListChange)
				case "AccessList":
					return r.strings(&p.AccessList)
				}
				return nil
			})
			m.Parameters = append(m.Parameters, p)
			return err
		})
	case "SetParameterAttributesResponse":
		return &SetParameterAttributesResponse{}, nil
	case "AddObject":
		m := &AddObject{}
		return m, r.named(&m.ObjectName, &m.ParameterKey)
	case "DeleteObject":
		m := &DeleteObject{}
		return m, r.named(&m.ObjectName, &m.ParameterKey)
	case "AddObjectResponse":
		m := &AddObjectResponse{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "InstanceNumber":
				return r.code(&m.InstanceNumber)
			case "Status":
				return r.code(&m.Status)
			}
			return nil
		})
	case "DeleteObjectResponse":
		m := &DeleteObjectResponse{}
		return m, r.fields(func(name []byte) error {
			if string(name) == "Status" {
				return r.code(&m.Status)
			}
			return nil
		})
	case "FactoryReset":
		return &FactoryReset{}, nil
	case "FactoryResetResponse":
		return &FactoryResetResponse{}, nil
	case "ScheduleInform":
		m := &ScheduleInform{}
		return m, r.fields(func(name []byte) error {
			switch string(name) {
			case "DelaySeconds":
				return r.number(&m.DelaySeconds)
			case "CommandKey":
				return r.trimmed(&m.CommandKey)
			}
			return nil
		})
	case "ScheduleInformResponse":
		return &ScheduleInformResponse{}, nil
	}
	return nil, nil
}

func (r *decoding) named(object, key *string) error {
	return r.fields(func(name []byte) error {
		switch string(name) {
		case "ObjectName":
			return r.trimmed(object)
		case "ParameterKey":
			return r.verbatim(key)
		}
		return nil
	})
}

// list calls f for each member of the list of that name.
func (r *decoding) list(element, member string, f func() error) error {
	return r.fields(func(name []byte) error {
		if string(name) != element {
			return nil
		}
		return r.fields(func(name []byte) error {
			if string(name) != member {
				return nil
			}
			if err := r.member(); err != nil {
				return err
			}
			return f()
		})
	})
}
