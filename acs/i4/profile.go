package i4

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

//go:embed profile.yaml
var embedded []byte

// Profile translates between logical names and the wire. It never changes after Load and is safe for use by several goroutines.
type Profile struct {
	exact      map[string]*event // codes and aliases as written
	normalised map[string]*event // trimmed, spaces collapsed, upper case
	codes      map[models.EventName]string
	parameters []Parameter // in the order of delivery
	switches   int         // where the switches begin in parameters
	byName     map[string]int
	byPath     map[string]int
	results    map[models.Result]result
	heartbeats map[models.ClientType]time.Duration
	classes    map[string]models.ClientType
	services   map[string]Service
	defaults   map[models.ClientType]map[string]string
	tables     []table
	// Patterns of paths, in lower case.
	secrets, personal []string
	// generations are the profiles of devices whose data model is another one; reports is what tells such a device.
	generations []*Profile
	reports     string
}

// table is an object with numbered rows, by logical name and by path.
type table struct{ name, path string }

// row stands for the number of a row in names and paths.
const row = "{i}"

// Of returns the profile of the device that sent m: that of another generation of the data model if it reports something of it, else p.
func (p *Profile) Of(m *cwmp.Inform) *Profile {
	for _, other := range p.generations {
		for i := range m.Parameters {
			if strings.HasPrefix(m.Parameters[i].Name, other.reports) {
				return other
			}
		}
	}
	return p
}

// Generations returns p and the profiles of devices whose data model is another one.
func (p *Profile) Generations() []*Profile { return append([]*Profile{p}, p.generations...) }

// Reports is the path by which a device of this generation of the data model is known; empty for the usual one.
func (p *Profile) Reports() string { return p.reports }

// Service is what switching a service on and off means: values by logical name (resolutions 26, 71).
type Service struct {
	On, Off map[string]string
}

// Catalogue lists every parameter in the order of delivery. The caller must not change it.
func (p *Profile) Catalogue() []Parameter { return p.parameters }

// Parameter finds a parameter by logical name or by path.
func (p *Profile) Parameter(nameOrPath string) (Parameter, bool) {
	i, ok := p.byName[nameOrPath]
	if !ok {
		i, ok = p.byPath[nameOrPath]
	}
	if !ok {
		return p.inRow(nameOrPath)
	}
	return p.parameters[i], true
}

// inRow finds a parameter of a numbered row.
func (p *Profile) inRow(nameOrPath string) (Parameter, bool) {
	for _, t := range p.tables {
		for _, side := range []struct {
			before string
			index  map[string]int
		}{{t.name, p.byName}, {t.path, p.byPath}} {
			rest, inside := strings.CutPrefix(nameOrPath, side.before)
			number, leaf, ok := strings.Cut(rest, ".")
			if !inside || !ok || number == "" || strings.Trim(number, "0123456789") != "" {
				continue
			}
			if i, known := side.index[side.before+row+"."+leaf]; known {
				parameter := p.parameters[i]
				parameter.Name, parameter.Path = strings.Replace(parameter.Name, row, number, 1), strings.Replace(parameter.Path, row, number, 1)
				return parameter, true
			}
		}
	}
	return Parameter{}, false
}

// Name returns the logical name of a path, or the path itself where there is none.
func (p *Profile) Name(path string) string {
	if i, ok := p.byPath[path]; ok {
		return p.parameters[i].Name
	}
	if parameter, ok := p.inRow(path); ok {
		return parameter.Name
	}
	return path
}

// Path returns the path of a logical name. A raw path, which begins with an upper-case letter, passes as it is; false for anything else.
func (p *Profile) Path(name string) (string, bool) {
	if i, ok := p.byName[name]; ok {
		return p.parameters[i].Path, true
	}
	if parameter, ok := p.inRow(name); ok {
		return parameter.Path, true
	}
	return name, name != "" && name[0] >= 'A' && name[0] <= 'Z'
}

// IsSecret tells whether the value of a parameter must be masked, known to the profile or not (i4.md C.6).
func (p *Profile) IsSecret(nameOrPath string) bool {
	if parameter, ok := p.Parameter(nameOrPath); ok {
		return parameter.Secret
	}
	return p.masked(nameOrPath)
}

// IsPersonal tells whether the value at a path is personal data: a number, an identity, a name or an address.
func (p *Profile) IsPersonal(path string) bool { return matches(p.personal, path) }

// masked compares a path with the patterns of secrets.
func (p *Profile) masked(path string) bool { return matches(p.secrets, path) }

func matches(patterns []string, path string) bool {
	path = strings.ToLower(path)
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

// match compares with a pattern in which * is any text.
func match(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	if len(parts) == 1 {
		return text == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[last])
}

// Check returns a value ready to be sent: canonical, typed, and marked if it is secret. An empty type means the profile's, else xsd:string;
// a given one wins (i4.md D.3.4: types are not uniform in the field). The error is a *models.Error without field: INVALID, TOO_LONG, or
// POLICY_DENIED for what only the client writes.
func (p *Profile) Check(v models.Value) (models.Value, error) {
	parameter, known := p.Parameter(v.Name)
	if known && !parameter.Writable {
		return v, models.E(models.PolicyDenied, parameter.Path+" is not writable")
	}
	f := formOf(xsdString)
	if known {
		f = parameter.form
	}
	if t := xsdType(v.Type); t != "" && t != f.xsd {
		f = formOf(t)
	}
	canonical, err := f.check(v.Value)
	if err != nil {
		return v, err
	}
	v.Type, v.Value, v.Secret = f.xsd, canonical, p.IsSecret(v.Name)
	return v, nil
}

// xsdType puts the prefix before a type that lacks it.
func xsdType(t string) string {
	if t == "" || strings.HasPrefix(t, "xsd:") {
		return t
	}
	return "xsd:" + t
}

// Defaults returns the lowest layer of the desired state of a client type: logical name → value (resolutions 70). Empty for GENERIC.
func (p *Profile) Defaults(t models.ClientType, domain string) map[string]string {
	return inDomain(p.defaults[t], domain)
}

// Services returns what each service code means.
func (p *Profile) Services(domain string) map[string]Service {
	services := make(map[string]Service, len(p.services))
	for code, s := range p.services {
		services[code] = Service{On: inDomain(s.On, domain), Off: inDomain(s.Off, domain)}
	}
	return services
}

func inDomain(values map[string]string, domain string) map[string]string {
	values = maps.Clone(values)
	for name, value := range values {
		values[name] = strings.ReplaceAll(value, "{domain}", domain)
	}
	return values
}

// Heartbeat is the interval of a client type until the device has confirmed another (i4.md B.10, resolutions 6).
func (p *Profile) Heartbeat(t models.ClientType) time.Duration { return p.heartbeats[t] }

// Status is the number of a result in UI.Status; an error if the profile has none, which Load excludes for the results of models.
func (p *Profile) Status(r models.Result) (int, error) {
	known, ok := p.results[r]
	if !ok {
		return 0, fmt.Errorf("the profile has no result %q", r)
	}
	return known.Status, nil
}

// result is one row of UI.Status (i4.md B.0).
type result struct {
	Status int    `yaml:"status"`
	Text   string `yaml:"text"`
}

// event is one row of the event table (i4.md A.10, D.2).
type event struct {
	name       models.EventName // empty: known, without action
	l0, vendor bool
	commandKey bool
	types      []models.ClientType
}
