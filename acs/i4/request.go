package i4

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// The bounds of one SetParameterValues (i4.md B.10, H10). Bytes leaves room in 32 KiB for the envelope around the list.
const (
	maxValues     = 200
	maxValueBytes = 30 << 10
	// valueOverhead is the markup of one parameter with its longest type.
	valueOverhead = 140
)

// Requests translates what is to be asked of a device. reportedKey is the ParameterKey of its Inform; now becomes UI.ServerTime.
//
// It is one message, or several SetParameterValues when the values do not fit into one: then only the last carries the new ParameterKey
// (i4.md B.10). An error means that the request makes no sense: a logical name without path, no values, an unknown method.
func (p *Profile) Requests(r *models.Request, reportedKey string, now time.Time) ([]cwmp.Message, error) {
	switch r.Method {
	case models.SetParameterValues:
		return p.setValues(r, reportedKey, now)
	case models.GetParameterValues:
		m := &cwmp.GetParameterValues{}
		for _, name := range r.Names {
			path, ok := p.Path(name)
			if !ok || !inXML(path) {
				return nil, fmt.Errorf("get values: no path for %q", name)
			}
			m.Names = append(m.Names, models.MovePath(r.Moved, path))
		}
		if len(m.Names) == 0 {
			return nil, fmt.Errorf("get values: no names")
		}
		return []cwmp.Message{m}, nil
	case models.GetParameterNames:
		if !inXML(r.Path) {
			return nil, fmt.Errorf("get names: the path is no text of XML")
		}
		return []cwmp.Message{&cwmp.GetParameterNames{ParameterPath: r.Path, NextLevel: r.NextLevel}}, nil
	case models.RebootDevice:
		if utf8.RuneCountInString(r.CommandKey) > 32 || !inXML(r.CommandKey) {
			return nil, fmt.Errorf("reboot: the command key is longer than 32 characters or no text of XML")
		}
		return []cwmp.Message{&cwmp.Reboot{CommandKey: r.CommandKey}}, nil
	case models.DownloadFile:
		return download(r)
	}
	return p.objectRequest(r, repeatable(reportedKey))
}

// objectRequest is Requests for attributes, objects and what needs no more than a name.
func (p *Profile) objectRequest(r *models.Request, key string) ([]cwmp.Message, error) {
	texts := append([]string{r.Path, r.CommandKey, key}, r.Names...)
	if slices.ContainsFunc(texts, func(s string) bool { return !inXML(s) || utf8.RuneCountInString(s) > maxName }) || utf8.RuneCountInString(r.CommandKey) > 32 {
		return nil, fmt.Errorf("%s: a text is too long or no text of XML", r.Method)
	}
	switch r.Method {
	case models.GetAttributesOf:
		return []cwmp.Message{&cwmp.GetParameterAttributes{Names: r.Names}}, nil
	case models.SetAttributesOf:
		m := &cwmp.SetParameterAttributes{}
		for _, name := range r.Names {
			m.Parameters = append(m.Parameters, cwmp.AttributeChange{Name: name, NotificationChange: true, Notification: r.Notification})
		}
		return []cwmp.Message{m}, nil
	case models.AddObjectTo:
		return []cwmp.Message{&cwmp.AddObject{ObjectName: r.Path, ParameterKey: key}}, nil
	case models.DeleteObjectOf:
		return []cwmp.Message{&cwmp.DeleteObject{ObjectName: r.Path, ParameterKey: key}}, nil
	case models.FactoryResetDevice:
		return []cwmp.Message{&cwmp.FactoryReset{}}, nil
	case models.ListMethods:
		return []cwmp.Message{&cwmp.GetRPCMethods{}}, nil
	case models.ScheduleInformOf:
		return []cwmp.Message{&cwmp.ScheduleInform{DelaySeconds: r.DelaySeconds, CommandKey: r.CommandKey}}, nil
	}
	return nil, fmt.Errorf("unknown method %q", r.Method)
}

// download: one whose URL or names do not fit into the schema cannot be asked for (TR-069 A.3.2.8).
func download(r *models.Request) ([]cwmp.Message, error) {
	d := r.Download
	if d == nil {
		return nil, fmt.Errorf("download: no file")
	}
	for _, text := range []struct {
		value string
		most  int
	}{{r.CommandKey, 32}, {d.FileType, 64}, {d.URL, models.MaxDownloadURL}, {d.FileName, 256}} {
		if utf8.RuneCountInString(text.value) > text.most || !inXML(text.value) {
			return nil, fmt.Errorf("download: a text is longer than %d characters or no text of XML", text.most)
		}
	}
	if d.Size < 0 || d.Size > math.MaxUint32 || d.DelaySeconds < 0 {
		return nil, fmt.Errorf("download: the size or the delay is out of range")
	}
	return []cwmp.Message{&cwmp.Download{
		CommandKey: r.CommandKey, FileType: d.FileType, URL: d.URL, FileSize: d.Size, TargetFileName: d.FileName, DelaySeconds: d.DelaySeconds,
	}}, nil
}

// placed is a value with its place in the order of delivery.
type placed struct {
	cwmp.ParameterValue
	place int
	raw   bool
}

func (p *Profile) setValues(r *models.Request, reportedKey string, now time.Time) ([]cwmp.Message, error) {
	values := slices.Clone(r.Values)
	if r.Outcome != nil {
		outcome, err := p.outcome(r.Outcome, now)
		if err != nil {
			return nil, fmt.Errorf("set values: %w", err)
		}
		refused := func(v models.Value) bool { return slices.Contains(r.Without, v.Name) }
		values = append(values, slices.DeleteFunc(outcome, refused)...)
	}
	list := make([]placed, 0, len(values))
	at := make(map[string]int, len(values))
	for _, v := range values {
		value, err := p.place(v)
		if err != nil {
			return nil, fmt.Errorf("set values: %w", err)
		}
		// A path may be set once in a message (TR-069 A.3.2.1). The device layer speaks in paths and is the more specific one.
		if i, twice := at[value.Name]; twice {
			if value.raw || !list[i].raw {
				list[i] = value
			}
			continue
		}
		at[value.Name] = len(list)
		list = append(list, value)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("set values: no values")
	}
	slices.SortStableFunc(list, func(a, b placed) int { return a.place - b.place })

	reportedKey = repeatable(reportedKey)
	key := reportedKey
	if r.Version > 0 {
		key = models.ParameterKey(r.Version)
	}
	var parts []cwmp.Message
	part, size := &cwmp.SetParameterValues{ParameterKey: reportedKey}, 0
	for _, v := range list {
		v.Name = models.MovePath(r.Moved, v.Name)
		length := valueOverhead + len(v.Name) + escapedLen(v.Value)
		if len(part.Parameters) == maxValues || size > 0 && size+length > maxValueBytes {
			parts = append(parts, part)
			part, size = &cwmp.SetParameterValues{ParameterKey: reportedKey}, 0
		}
		part.Parameters = append(part.Parameters, v.ParameterValue)
		size += length
	}
	part.ParameterKey = key
	return append(parts, part), nil
}

// repeatable is the ParameterKey to send when it is not to change. TR-069 allows 32 characters, so a longer one cannot be repeated; an empty one
// is none of ours either.
func repeatable(reportedKey string) string {
	if utf8.RuneCountInString(reportedKey) > 32 {
		return ""
	}
	return reportedKey
}

// escapedLen bounds the length of a text in XML.
func escapedLen(s string) int {
	n := len(s)
	for _, c := range []byte(s) {
		switch c {
		case '&', '<', '>', '"', '\'', '\r', '\n', '\t':
			n += 5
		}
	}
	return n
}

func (p *Profile) place(v models.Value) (placed, error) {
	path, ok := p.Path(v.Name)
	if !ok {
		return placed{}, fmt.Errorf("no path for %q", v.Name)
	}
	value := placed{ParameterValue: cwmp.ParameterValue{Name: path, Type: xsdString, Value: v.Value}, place: p.switches, raw: path == v.Name}
	if i, known := p.byPath[path]; known {
		value.Type = p.parameters[i].Type
		if value.place = i; i >= p.switches {
			value.place++ // parameters without a place of their own come before the switches
		}
	}
	if t := xsdType(v.Type); t != "" {
		value.Type = t
	}
	if utf8.RuneCountInString(path) > maxName || !inXML(path) {
		return placed{}, fmt.Errorf("a name is longer than %d characters or no text of XML", maxName)
	}
	if !inXML(value.Value) || !typeName.MatchString(value.Type) {
		return placed{}, fmt.Errorf("the value of %s, or its type, is no text of XML", path)
	}
	return value, nil
}

// typeName is what may stand in xsi:type.
var typeName = regexp.MustCompile(`^xsd:[A-Za-z0-9]+$`)

// outcome writes UI.Status and what belongs to it (examples 07, 16 and 19): nothing else while it is pending, and the time with a denial.
func (p *Profile) outcome(o *models.Outcome, now time.Time) ([]models.Value, error) {
	known, ok := p.results[o.Result]
	if !ok {
		return nil, fmt.Errorf("the profile has no result %q", o.Result)
	}
	values := []models.Value{number(uiStatus, known.Status)}
	if o.Result == models.ResultPending {
		return values, nil
	}
	text := known.Text
	if o.Detail != "" {
		path, _ := p.Path(o.Detail)
		if text != "" {
			text += ": "
		}
		text += path
	}
	values = append(values, number(uiResult, int(o.Delivery)), models.Value{Name: uiResultDesc, Value: text})
	for _, extra := range []models.Value{number(uiRetryAfter, o.RetryAfter), number(uiLimit, o.Limit), number(uiTimes, o.Times)} {
		if extra.Value != "0" {
			values = append(values, extra)
		}
	}
	if o.Delivery == models.DeliveryFailed {
		values = append(values, models.Value{Name: uiServerTime, Value: cwmp.FormatTime(now)})
	}
	return values, nil
}

func number(name string, n int) models.Value {
	return models.Value{Name: name, Value: strconv.Itoa(max(n, 0))}
}
