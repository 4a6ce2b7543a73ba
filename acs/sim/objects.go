package sim

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// rpcMethods are those of the platform that a client handles.
var rpcMethods = []string{"GetRPCMethods", "SetParameterValues", "GetParameterValues", "GetParameterNames", "SetParameterAttributes",
	"GetParameterAttributes", "AddObject", "DeleteObject", "Reboot", "FactoryReset", "ScheduleInform", "Download"}

var instance = regexp.MustCompile(`\.\d+\.`)

// handleObject answers what concerns attributes, objects and the device as a whole.
func (d *dialogue) handleObject(request cwmp.Message) (cwmp.Message, *cwmp.Fault) {
	switch m := request.(type) {
	case *cwmp.GetParameterAttributes:
		return d.store.attributes(m.Names)
	case *cwmp.SetParameterAttributes:
		return d.store.setAttributes(m)
	case *cwmp.AddObject:
		return d.store.add(m, d.faults.Instance)
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

// remove takes away everything below an object.
func (s *store) remove(object string) {
	maps.DeleteFunc(s.rows, func(path string, _ *row) bool { return strings.HasPrefix(path, object) })
}

// add makes an instance of an object of the data model (TR-069 A.3.2.6); number 0 is the lowest free one.
func (s *store) add(m *cwmp.AddObject, number int) (cwmp.Message, *cwmp.Fault) {
	if !strings.HasSuffix(m.ObjectName, ".") {
		return nil, fault(invalidArguments)
	}
	taken := func() bool { return len(s.below(fmt.Sprintf("%s%d.", m.ObjectName, number))) > 0 }
	for number == 0 || taken() {
		number++
	}
	model, added := instance.ReplaceAllString(m.ObjectName, ".1.")+"1.", false
	for path, r := range s.model {
		if leaf, inside := strings.CutPrefix(path, model); inside {
			s.rows[fmt.Sprintf("%s%d.%s", m.ObjectName, number, leaf)], added = &r, true
		}
	}
	if !added {
		return nil, fault(invalidName)
	}
	s.set("managementServer.parameterKey", m.ParameterKey)
	return &cwmp.AddObjectResponse{InstanceNumber: number}, nil
}

func (s *store) deleteObject(m *cwmp.DeleteObject) (cwmp.Message, *cwmp.Fault) {
	if len(s.below(m.ObjectName)) == 0 || !strings.HasSuffix(m.ObjectName, ".") {
		return nil, fault(invalidName)
	}
	s.remove(m.ObjectName)
	s.set("managementServer.parameterKey", m.ParameterKey)
	return &cwmp.DeleteObjectResponse{}, nil
}
