package i4

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// Logical names that the translation itself uses.
const (
	clientType   = "softClient.clientType"
	parameterKey = "managementServer.parameterKey"
	uiStatus     = "ui.status"
	uiResult     = "ui.result"
	uiResultDesc = "ui.resultDesc"
	uiRetryAfter = "ui.retryAfter"
	uiLimit      = "ui.limit"
	uiTimes      = "ui.times"
	uiServerTime = "ui.serverTime"
)

// Warning is a deviation of a client that was put right; the HTTP door counts them.
type Warning string

// What Inform warns of.
const (
	NoEvent         Warning = "no_event"         // taken as 2 PERIODIC
	EventNormalised Warning = "event_normalised" // case or spaces differ
	EventUnknown    Warning = "event_unknown"    // stored without action
	EventType       Warning = "event_type"       // another client type sends it
)

// maxName is the longest parameter name that the standard knows; longer ones are not stored.
const maxName = 256

// Identifies tells whether a device can be known by its identity: a SerialNumber, no component longer than the standard allows (i4.md D.4),
// and a key that rows can hold. The answer to another one is fault 8003 (resolutions 18).
func Identifies(id cwmp.DeviceID) bool {
	return id.SerialNumber != "" && utf8.RuneCountInString(id.SerialNumber) <= 64 && utf8.RuneCountInString(id.ProductClass) <= 64 &&
		utf8.RuneCountInString(id.OUI) <= 6 && len(models.DeviceKeyOf(id.OUI, id.ProductClass, id.SerialNumber)) <= models.MaxDeviceKey
}

// Inform translates the first message of a session. remote is the IP address without port. ClientType is what the client says; the registered
// type of a known device is for the caller to prefer (resolutions 42).
func (p *Profile) Inform(m *cwmp.Inform, remote string) (*models.Inform, []Warning) {
	in := &models.Inform{
		Key: models.DeviceKeyOf(m.DeviceID.OUI, m.DeviceID.ProductClass, m.DeviceID.SerialNumber),
		OUI: m.DeviceID.OUI, ProductClass: m.DeviceID.ProductClass, SerialNumber: m.DeviceID.SerialNumber,
		Manufacturer: m.DeviceID.Manufacturer, ClientType: models.Generic,
		Values: make(map[string]models.Value, len(m.Parameters)), CurrentTime: models.TimeOf(m.CurrentTime),
		RetryCount: m.RetryCount, RemoteAddress: remote,
	}
	in.Raw = make([]models.Value, 0, len(m.Parameters))
	for _, v := range m.Parameters {
		value := models.Value{Name: p.Name(v.Name), Value: v.Value, Type: v.Type, Secret: p.IsSecret(v.Name)}
		if _, twice := in.Values[value.Name]; twice || v.Name == "" {
			continue
		}
		in.Values[value.Name] = p.canonical(value)
		if !value.Secret && utf8.RuneCountInString(v.Name) <= maxName {
			value.Name = v.Name
			in.Raw = append(in.Raw, value)
		}
	}
	in.ParameterKey = in.Get(parameterKey)
	in.Claimed = in.Get(clientType)
	if t, ok := models.ClientTypeOf(in.Claimed); ok {
		in.ClientType = t
	} else if t, ok := p.classes[in.ProductClass]; ok {
		in.ClientType = t
	}
	var warnings []Warning
	events := m.Events
	if len(events) == 0 {
		warnings = append(warnings, NoEvent)
		events = []cwmp.Event{{Code: p.codes[models.EventPeriodic]}}
	}
	for _, e := range events {
		event, warning := p.event(e, in.ClientType)
		in.Events = append(in.Events, event)
		if warning != "" && !slices.Contains(warnings, warning) {
			warnings = append(warnings, warning)
		}
	}
	if in.Has(models.EventStatistics) { // kept as a report, not as parameters
		in.Raw = slices.DeleteFunc(in.Raw, func(v models.Value) bool { return models.IsStatistic(p.Name(v.Name)) })
	}
	return in, warnings
}

// canonical writes a time in UTC, whatever zone the client wrote it in; a value that is no time stays as it is.
func (p *Profile) canonical(v models.Value) models.Value {
	if i, ok := p.byName[v.Name]; ok && p.parameters[i].form.xsd == xsdDateTime {
		if t, ok := cwmp.ParseTime(v.Value, nil); ok {
			v.Value = cwmp.FormatTime(t)
		}
	}
	return v
}

// event finds the meaning of a code: exactly, then trimmed with single spaces and upper case, aliases included (i4.md A.10).
func (p *Profile) event(e cwmp.Event, sender models.ClientType) (models.InformEvent, Warning) {
	var warning Warning
	known := p.exact[e.Code]
	if known == nil {
		if known = p.normalised[normalise(e.Code)]; known != nil && known.name != "" {
			warning = EventNormalised
		}
	}
	event := models.InformEvent{Name: models.EventName(e.Code), Code: e.Code, CommandKey: e.CommandKey}
	switch {
	case known == nil:
		event.Vendor = !standard(e.Code)
		return event, EventUnknown
	case known.name == "":
		event.Vendor = known.vendor
		return event, warning
	}
	event.Name, event.L0, event.Vendor = known.name, known.l0, known.vendor
	if !known.commandKey {
		event.CommandKey = ""
	}
	if len(known.types) > 0 && !slices.Contains(known.types, sender) {
		warning = EventType
	}
	return event, warning
}

// EventCode returns the canonical code of an event, for whoever plays a client; "" if the profile has none.
func (p *Profile) EventCode(name models.EventName) string { return p.codes[name] }

func normalise(code string) string { return strings.ToUpper(strings.Join(strings.Fields(code), " ")) }

// standardCode is what TR-069 names itself: a number with words, or M and the name of an RPC.
var standardCode = regexp.MustCompile(`^(\d+ .+|M [A-Za-z]+)$`)

func standard(code string) bool { return standardCode.MatchString(code) }
