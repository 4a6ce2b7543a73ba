package i4

import (
	"fmt"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// Redacted stands for the value of a secret in Reply.Raw.
const Redacted = "[redacted]"

// answers names the message that answers each method.
var answers = map[models.Method]string{
	models.SetParameterValues: (*cwmp.SetParameterValuesResponse)(nil).Method(),
	models.GetParameterValues: (*cwmp.GetParameterValuesResponse)(nil).Method(),
	models.GetParameterNames:  (*cwmp.GetParameterNamesResponse)(nil).Method(),
	models.DownloadFile:       (*cwmp.DownloadResponse)(nil).Method(),
	models.RebootDevice:       (*cwmp.RebootResponse)(nil).Method(),
	models.GetAttributesOf:    (*cwmp.GetParameterAttributesResponse)(nil).Method(),
	models.SetAttributesOf:    (*cwmp.SetParameterAttributesResponse)(nil).Method(),
	models.AddObjectTo:        (*cwmp.AddObjectResponse)(nil).Method(),
	models.DeleteObjectOf:     (*cwmp.DeleteObjectResponse)(nil).Method(),
	models.FactoryResetDevice: (*cwmp.FactoryResetResponse)(nil).Method(),
	models.ListMethods:        (*cwmp.GetRPCMethodsResponse)(nil).Method(),
	models.ScheduleInformOf:   (*cwmp.ScheduleInformResponse)(nil).Method(),
}

// Answers tells whether m may be the answer to a request of that method: its response, or a fault.
func Answers(m cwmp.Message, method models.Method) bool {
	return m.Method() == answers[method] || m.Method() == (*cwmp.Fault)(nil).Method()
}

// Reply translates a device's answer. In Values secrets are as answered, in Raw they are [redacted]; both are marked Secret.
func (p *Profile) Reply(m cwmp.Message) (models.Reply, error) {
	switch m := m.(type) {
	case *cwmp.SetParameterValuesResponse:
		return models.Reply{Status: m.Status}, nil
	case *cwmp.DownloadResponse:
		return models.Reply{Status: m.Status}, nil
	case *cwmp.RebootResponse, *cwmp.SetParameterAttributesResponse, *cwmp.FactoryResetResponse, *cwmp.ScheduleInformResponse:
		return models.Reply{}, nil
	case *cwmp.AddObjectResponse:
		return models.Reply{Status: m.Status, Instance: m.InstanceNumber}, nil
	case *cwmp.DeleteObjectResponse:
		return models.Reply{Status: m.Status}, nil
	case *cwmp.GetRPCMethodsResponse:
		return models.Reply{Methods: m.Methods}, nil
	case *cwmp.GetParameterAttributesResponse:
		var reply models.Reply
		for _, a := range m.Parameters {
			reply.Attributes = append(reply.Attributes, models.ParameterAttribute{Path: a.Name, Notification: a.Notification, Access: append([]string{}, a.AccessList...)})
		}
		return reply, nil
	case *cwmp.GetParameterValuesResponse:
		var reply models.Reply
		for _, v := range m.Parameters {
			value := models.Value{Name: p.Name(v.Name), Value: v.Value, Type: v.Type, Secret: p.IsSecret(v.Name)}
			reply.Values = append(reply.Values, value)
			value.Name = v.Name
			if value.Secret && value.Value != "" {
				value.Value = Redacted
			}
			reply.Raw = append(reply.Raw, value)
		}
		return reply, nil
	case *cwmp.GetParameterNamesResponse:
		var reply models.Reply
		for _, n := range m.Parameters {
			reply.Names = append(reply.Names, models.ParameterName{Path: n.Name, Writable: n.Writable})
		}
		return reply, nil
	case *cwmp.Fault:
		return models.Reply{Fault: p.fault(m)}, nil
	}
	return models.Reply{}, fmt.Errorf("%s is no answer", m.Method())
}

// Restore names the parameters of an answer as the platform does, where the device has their objects under other numbers.
func Restore(m cwmp.Message, moved []models.Moved) {
	switch m := m.(type) {
	case *cwmp.GetParameterValuesResponse:
		for i := range m.Parameters {
			m.Parameters[i].Name = models.UnmovePath(moved, m.Parameters[i].Name)
		}
	case *cwmp.Fault:
		for i := range m.Parameters {
			m.Parameters[i].Name = models.UnmovePath(moved, m.Parameters[i].Name)
		}
	}
}

func (p *Profile) fault(m *cwmp.Fault) *models.Fault {
	fault := &models.Fault{Code: m.Code, Message: m.String}
	for _, f := range m.Parameters {
		fault.Parameters = append(fault.Parameters, models.ParameterFault{Path: f.Name, Name: p.Name(f.Name), Code: f.Code, Message: f.String})
	}
	return fault
}

// Autonomous translates an AutonomousTransferComplete.
func Autonomous(m *cwmp.AutonomousTransferComplete) models.Transfer {
	t := models.Transfer{Autonomous: true, FileType: m.FileType, URL: m.TransferURL, StartedAt: models.TimeOf(m.StartTime), EndedAt: models.TimeOf(m.CompleteTime)}
	if m.FaultCode != 0 {
		t.Fault = &models.Fault{Code: m.FaultCode, Message: m.FaultString}
	}
	return t
}

// Transfer translates a TransferComplete.
func Transfer(m *cwmp.TransferComplete) models.Transfer {
	t := models.Transfer{CommandKey: m.CommandKey, StartedAt: models.TimeOf(m.StartTime), EndedAt: models.TimeOf(m.CompleteTime)}
	if m.FaultCode != 0 {
		t.Fault = &models.Fault{Code: m.FaultCode, Message: m.FaultString}
	}
	return t
}
