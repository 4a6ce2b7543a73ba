package sim

import (
	"strconv"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// rpcMethods are those of the platform that a client handles.
var rpcMethods = []string{"GetRPCMethods", "SetParameterValues", "GetParameterValues", "GetParameterNames", "SetParameterAttributes",
	"GetParameterAttributes", "AddObject", "DeleteObject", "Reboot", "FactoryReset", "ScheduleInform", "Download"}

// handleObject answers what concerns attributes, objects and the device as a whole.
func (d *dialogue) handleObject(request cwmp.Message) (cwmp.Message, *cwmp.Fault) {
	switch m := request.(type) {
	case *cwmp.GetParameterAttributes:
		return d.store.attributes(m.Names)
	case *cwmp.SetParameterAttributes:
		return d.store.setAttributes(m)
	case *cwmp.AddObject:
		return d.store.addObject(m)
	case *cwmp.DeleteObject:
		return d.store.deleteObject(m)
	case *cwmp.FactoryReset:
		d.resetting = true
		return &cwmp.FactoryResetResponse{}, nil
	case *cwmp.ScheduleInform:
		d.events = append(d.event(models.EventScheduled), cwmp.Event{Code: "M ScheduleInform", CommandKey: m.CommandKey})
		return &cwmp.ScheduleInformResponse{}, nil
	}
	return nil, fault(methodNotSupported)
}

// forget is what a factory reset does, after the session: the client is as it was installed.
func (c *Client) forget() {
	c.resetting = false
	c.store, c.downloads, c.known, c.requests = newStore(c.config), nil, nil, nil
	c.events = append(c.event(models.EventBootstrap), c.event(models.EventBoot)...)
}

func (s *store) attributes(names []string) (cwmp.Message, *cwmp.Fault) {
	answer := &cwmp.GetParameterAttributesResponse{}
	for _, name := range names {
		paths := s.below(name)
		if len(paths) == 0 {
			return nil, fault(invalidName)
		}
		for _, path := range paths {
			answer.Parameters = append(answer.Parameters, cwmp.ParameterAttribute{Name: path, Notification: s.rows[path].notification})
		}
	}
	return answer, nil
}

// setAttributes changes all or none (TR-069 A.3.2.4).
func (s *store) setAttributes(m *cwmp.SetParameterAttributes) (cwmp.Message, *cwmp.Fault) {
	for _, p := range m.Parameters {
		if len(s.below(p.Name)) == 0 {
			return nil, fault(invalidName)
		}
	}
	for _, p := range m.Parameters {
		for _, path := range s.below(p.Name) {
			if p.NotificationChange {
				s.rows[path].notification = p.Notification
			}
		}
	}
	return &cwmp.SetParameterAttributesResponse{}, nil
}

// addObject makes an instance like the first one, with empty values.
func (s *store) addObject(m *cwmp.AddObject) (cwmp.Message, *cwmp.Fault) {
	instances := map[int]bool{}
	like := map[string]*row{} // what is below the first instance
	for _, path := range s.below(m.ObjectName) {
		number, leaf, _ := strings.Cut(path[len(m.ObjectName):], ".")
		n, err := strconv.Atoi(number)
		if err != nil || !strings.HasSuffix(m.ObjectName, ".") {
			return nil, fault(invalidName)
		}
		instances[n] = true
		if n == 1 {
			like[leaf] = s.rows[path]
		}
	}
	if len(like) == 0 {
		return nil, fault(invalidName)
	}
	next := 1
	for instances[next] {
		next++
	}
	for leaf, r := range like {
		s.rows[m.ObjectName+strconv.Itoa(next)+"."+leaf] = &row{xsd: r.xsd, writable: r.writable, secret: r.secret, check: r.check}
	}
	s.set("managementServer.parameterKey", m.ParameterKey)
	return &cwmp.AddObjectResponse{InstanceNumber: next}, nil
}

func (s *store) deleteObject(m *cwmp.DeleteObject) (cwmp.Message, *cwmp.Fault) {
	paths := s.below(m.ObjectName)
	if len(paths) == 0 || !strings.HasSuffix(m.ObjectName, ".") {
		return nil, fault(invalidName)
	}
	for _, path := range paths {
		delete(s.rows, path)
	}
	s.set("managementServer.parameterKey", m.ParameterKey)
	return &cwmp.DeleteObjectResponse{}, nil
}
