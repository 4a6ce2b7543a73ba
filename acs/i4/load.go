package i4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"gopkg.in/yaml.v3"

	"github.com/softacs/softacs/models"
)

// The keys of one entry of each section; the entries themselves are named by the embedded profile.
var entryKeys = map[string][]string{
	"events":      {"code", "aliases", "level", "types", "commandKey", "enabled"},
	"clientTypes": {"productClasses", "heartbeat"},
	"results":     {"status", "text"},
	"parameters":  {"path", "type", "write", "secret", "optional", "switch", "service", "locallyModifiable"},
	"services":    {"object", "on", "off"},
	"profiles":    {"reports", "objects", "parameters"},
}

// file is profile.yaml.
type file struct {
	Objects map[string]string `yaml:"objects"`
	Events  map[models.EventName]struct {
		Code       string              `yaml:"code"`
		Aliases    []string            `yaml:"aliases"`
		Level      string              `yaml:"level"`
		Types      []models.ClientType `yaml:"types"`
		CommandKey bool                `yaml:"commandKey"`
		Enabled    *bool               `yaml:"enabled"`
	} `yaml:"events"`
	Ignored     []string `yaml:"ignored"`
	ClientTypes map[models.ClientType]struct {
		ProductClasses []string `yaml:"productClasses"`
		Heartbeat      int      `yaml:"heartbeat"`
	} `yaml:"clientTypes"`
	Results    map[models.Result]result `yaml:"results"`
	Secrets    []string                 `yaml:"secrets"`
	Personal   []string                 `yaml:"personal"`
	Parameters yaml.Node                `yaml:"parameters"`
	Services   map[string]struct {
		Object string            `yaml:"object"`
		On     map[string]string `yaml:"on"`
		Off    map[string]string `yaml:"off"`
	} `yaml:"services"`
	Defaults map[string]map[string]string `yaml:"defaults"`
	Profiles map[string]yaml.Node         `yaml:"profiles"`
}

// Load returns the embedded profile with override laid over it; an empty override changes nothing. An error says which key is wrong and, for
// an unknown one, which known key is nearest.
func Load(override []byte) (*Profile, error) {
	base, err := parse(embedded)
	if err != nil {
		return nil, fmt.Errorf("embedded profile: %w", err)
	}
	over, err := parse(override)
	if err != nil {
		return nil, fmt.Errorf("i4.profile: %w", err)
	}
	if over != nil {
		if err := check(base, over); err != nil {
			return nil, fmt.Errorf("i4.profile: %w", err)
		}
		merge(base, over)
	}
	p, f, err := compile(base)
	if err != nil {
		return nil, fmt.Errorf("i4.profile: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Profiles)) {
		other, err := generation(base, f.Profiles[name])
		if err != nil {
			return nil, fmt.Errorf("i4.profile: profiles.%s: %w", name, err)
		}
		p.generations = append(p.generations, other)
	}
	return p, nil
}

// compile builds the profile that a mapping describes.
func compile(root *yaml.Node) (*Profile, *file, error) {
	var f file
	if err := root.Decode(&f); err != nil {
		return nil, nil, err
	}
	p, err := f.build()
	return p, &f, err
}

// generation builds the profile of another generation of the data model: base with what differs laid over it.
func generation(base *yaml.Node, differs yaml.Node) (*Profile, error) {
	var own struct {
		Reports string `yaml:"reports"`
	}
	if err := differs.Decode(&own); err != nil {
		return nil, err
	}
	if own.Reports == "" {
		return nil, errors.New("reports is missing")
	}
	over := yaml.Node{Kind: yaml.MappingNode}
	_ = pairs(&differs, func(key, value *yaml.Node) error {
		if key.Value != "reports" {
			over.Content = append(over.Content, key, value)
		}
		return nil
	})
	if err := check(base, &over); err != nil {
		return nil, err
	}
	whole := clone(base)
	merge(whole, &over)
	p, _, err := compile(whole)
	if err == nil {
		p.reports = own.Reports
	}
	return p, err
}

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = clone(child)
	}
	return &c
}

// parse returns the mapping at the root of the one document in text, or nil if there is none.
func parse(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: not a mapping", root.Line)
	}
	return root, nil
}

// check refuses keys of an override that nothing would read. Objects, parameters and profiles may be new, defaults are judged by build.
func check(base, over *yaml.Node) error {
	return pairs(over, func(key, value *yaml.Node) error {
		section := find(base, key.Value)
		if section == nil {
			return unknown(key, "", keysOf(base))
		}
		if value.Kind != section.Kind {
			return fmt.Errorf("line %d: %s has the wrong form", value.Line, key.Value)
		}
		inner := entryKeys[key.Value]
		if inner == nil {
			return nil
		}
		return pairs(value, func(name, entry *yaml.Node) error {
			if key.Value != "parameters" && key.Value != "profiles" && find(section, name.Value) == nil {
				return unknown(name, key.Value+".", keysOf(section))
			}
			if entry.Kind != yaml.MappingNode {
				return fmt.Errorf("line %d: %s.%s is not a mapping", entry.Line, key.Value, name.Value)
			}
			if key.Value == "parameters" && find(section, name.Value) == nil && (find(entry, "path") == nil || find(entry, "type") == nil) {
				// A new parameter needs both; without them it is a misspelt old one.
				return unknown(name, "parameters.", keysOf(section))
			}
			return pairs(entry, func(field, _ *yaml.Node) error {
				if !slices.Contains(inner, field.Value) {
					return unknown(field, key.Value+"."+name.Value+".", inner)
				}
				return nil
			})
		})
	})
}

func unknown(key *yaml.Node, prefix string, known []string) error {
	return fmt.Errorf("line %d: unknown key %s%s, the nearest known one is %s%s", key.Line, prefix, key.Value, prefix, nearest(key.Value, known))
}

func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
}

// pairs calls f with every key and value of a mapping.
func pairs(mapping *yaml.Node, f func(key, value *yaml.Node) error) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if err := f(mapping.Content[i], mapping.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func find(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func keysOf(mapping *yaml.Node) (keys []string) {
	for i := 0; i < len(mapping.Content); i += 2 {
		keys = append(keys, mapping.Content[i].Value)
	}
	return keys
}

// merge lays over onto base: mappings key by key, everything else whole. New keys come last.
func merge(base, over *yaml.Node) {
	_ = pairs(over, func(key, value *yaml.Node) error {
		old := find(base, key.Value)
		switch {
		case old == nil:
			base.Content = append(base.Content, key, value)
		case old.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			merge(old, value)
		default:
			*old = *value
		}
		return nil
	})
}

// build checks the merged file and makes the look-up tables.
func (f *file) build() (*Profile, error) {
	p := &Profile{
		exact: map[string]*event{}, normalised: map[string]*event{}, codes: map[models.EventName]string{},
		byName: map[string]int{}, byPath: map[string]int{},
		results:    f.Results,
		heartbeats: map[models.ClientType]time.Duration{}, classes: map[string]models.ClientType{},
		services: map[string]Service{}, defaults: map[models.ClientType]map[string]string{},
	}
	for t, c := range f.ClientTypes {
		if c.Heartbeat < 1 {
			return nil, fmt.Errorf("clientTypes.%s.heartbeat must be at least 1", t)
		}
		p.heartbeats[t] = time.Duration(c.Heartbeat) * time.Second
		for _, class := range c.ProductClasses {
			if other, twice := p.classes[class]; twice && other != t {
				return nil, fmt.Errorf("clientTypes: product class %s belongs to two types", class)
			}
			p.classes[class] = t
		}
	}
	for _, pattern := range f.Secrets {
		p.secrets = append(p.secrets, strings.ToLower(f.expand(pattern)))
	}
	for _, pattern := range f.Personal {
		p.personal = append(p.personal, strings.ToLower(f.expand(pattern)))
	}
	for _, step := range []func(*Profile) error{f.buildEvents, f.buildParameters, f.buildServices, f.buildDefaults} {
		if err := step(p); err != nil {
			return nil, err
		}
	}
	for r, known := range f.Results {
		if known.Status < 0 {
			return nil, fmt.Errorf("results.%s.status must not be negative", r)
		}
	}
	return p, nil
}

func (f *file) buildEvents(p *Profile) error {
	add := func(table map[string]*event, code string, e *event, where string) error {
		if code == "" {
			return fmt.Errorf("%s: empty event code", where)
		}
		if other, taken := table[code]; taken && other.name != e.name {
			return fmt.Errorf("%s: event code %q already means %s", where, code, other.name)
		}
		table[code] = e
		return nil
	}
	for name, row := range f.Events {
		where := "events." + string(name)
		if row.Level != "L0" && row.Level != "L1" {
			return fmt.Errorf("%s.level must be L0 or L1", where)
		}
		for _, t := range row.Types {
			if _, ok := f.ClientTypes[t]; !ok {
				return fmt.Errorf("%s.types: unknown client type %s", where, t)
			}
		}
		if row.Enabled != nil && !*row.Enabled {
			continue // its codes arrive as unknown ones
		}
		p.codes[name] = row.Code
		e := &event{name: name, l0: row.Level == "L0", vendor: !standard(row.Code), commandKey: row.CommandKey, types: row.Types}
		for _, code := range append([]string{row.Code}, row.Aliases...) {
			if err := errors.Join(add(p.exact, code, e, where), add(p.normalised, normalise(code), e, where)); err != nil {
				return err
			}
		}
	}
	for _, code := range f.Ignored {
		if _, taken := p.normalised[normalise(code)]; !taken { // an override may give it a meaning
			p.normalised[normalise(code)] = &event{vendor: !standard(code)}
		}
	}
	return nil
}

func (f *file) buildParameters(p *Profile) error {
	err := pairs(&f.Parameters, func(key, value *yaml.Node) error {
		var row struct {
			Path     string `yaml:"path"`
			Type     string `yaml:"type"`
			Write    bool   `yaml:"write"`
			Secret   bool   `yaml:"secret"`
			Optional *bool  `yaml:"optional"`
			Switch   bool   `yaml:"switch"`
			Service  string `yaml:"service"`
			Local    bool   `yaml:"locallyModifiable"`
		}
		if err := value.Decode(&row); err != nil {
			return err
		}
		form, err := parseForm(row.Type)
		if err != nil {
			return fmt.Errorf("parameters.%s: %w", key.Value, err)
		}
		parameter := Parameter{Name: key.Value, Path: f.expand(row.Path), Type: form.xsd, Writable: row.Write, Secret: row.Secret,
			Optional: row.Optional == nil || *row.Optional, Switch: row.Switch, Local: row.Local, form: form}
		if _, raw := p.Path(parameter.Path); !raw || len(parameter.Path) > 256 {
			return fmt.Errorf("parameters.%s.path must begin with an upper-case letter and have at most 256 characters", key.Value)
		}
		if _, raw := p.Path(parameter.Name); raw {
			return fmt.Errorf("parameters: a logical name must begin with a lower-case letter: %s", key.Value)
		}
		parameter.Secret = parameter.Secret || p.masked(parameter.Path)
		if parameter.Writable {
			if err := f.own(&parameter, row.Service); err != nil {
				return err
			}
		}
		p.parameters = append(p.parameters, parameter)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(p.parameters, func(a, b Parameter) int { return rank(a) - rank(b) })
	p.switches = len(p.parameters)
	for i, parameter := range p.parameters {
		if parameter.Switch {
			p.switches = min(p.switches, i)
		}
		if other, taken := p.byPath[parameter.Path]; taken {
			return fmt.Errorf("parameters.%s and %s have the same path", p.parameters[other].Name, parameter.Name)
		}
		p.byName[parameter.Name], p.byPath[parameter.Path] = i, i
		if path, _, ok := strings.Cut(parameter.Path, row); ok {
			name, _, _ := strings.Cut(parameter.Name, row)
			if t := (table{name, path}); !slices.Contains(p.tables, t) {
				p.tables = append(p.tables, t)
			}
		}
	}
	for _, name := range needed {
		if _, ok := p.byName[name]; !ok {
			return fmt.Errorf("parameters.%s is missing", name)
		}
	}
	return nil
}

// needed are the parameters that the translation itself writes or reads.
var needed = []string{uiStatus, uiResult, uiResultDesc, uiRetryAfter, uiLimit, uiTimes, uiServerTime, clientType, parameterKey}

func rank(p Parameter) int {
	if p.Switch {
		return 1
	}
	return 0
}

// own finds the service whose object contains the parameter; the longest object wins, unless the row names one of the services that share it.
func (f *file) own(parameter *Parameter, named string) error {
	if named == "none" {
		return nil
	}
	longest := ""
	for code, service := range f.Services {
		object := f.expand(service.Object)
		leaf, inside := strings.CutPrefix(parameter.Path, object)
		if !inside || named != "" && code != named || len(object) < len(longest) {
			continue
		}
		if len(object) == len(longest) {
			return fmt.Errorf("parameters.%s: %s and %s contain it, so it must name its service", parameter.Name, parameter.Service, code)
		}
		longest, parameter.Service, parameter.Leaf = object, code, leaf
	}
	if named != "" && parameter.Service == "" {
		return fmt.Errorf("parameters.%s.service: %s does not contain it", parameter.Name, named)
	}
	return nil
}

func (f *file) buildServices(p *Profile) error {
	for code, service := range f.Services {
		for _, values := range []map[string]string{service.On, service.Off} {
			if err := p.checkValues("services."+code, values); err != nil {
				return err
			}
		}
		p.services[code] = Service{On: service.On, Off: service.Off}
	}
	return nil
}

func (f *file) buildDefaults(p *Profile) error {
	for key, values := range f.Defaults {
		types := []models.ClientType{models.ClientType(key)}
		if key == "ALL" {
			types = []models.ClientType{models.PC, models.Mobile, models.MagicScreen}
		} else if types[0].Wire() == "" {
			return fmt.Errorf("defaults: unknown key %s, the nearest known one is %s", key, nearest(key, []string{"ALL", "PC", "MOBILE", "MAGIC_SCREEN"}))
		}
		if err := p.checkValues("defaults."+key, values); err != nil {
			return err
		}
		for _, t := range types {
			if p.defaults[t] == nil {
				p.defaults[t] = map[string]string{}
			}
			for name, value := range values {
				if _, special := f.Defaults[string(t)][name]; key != "ALL" || !special {
					p.defaults[t][name] = value
				}
			}
		}
	}
	return nil
}

// checkValues judges values of the profile itself, and leaves them canonical.
func (p *Profile) checkValues(where string, values map[string]string) error {
	for name, value := range values {
		i, ok := p.byName[name]
		if !ok {
			return fmt.Errorf("%s: unknown key %s, the nearest known one is %s", where, name, nearest(name, slices.Collect(p.names)))
		}
		checked, err := p.Check(models.Value{Name: p.parameters[i].Name, Value: value})
		if err != nil {
			return fmt.Errorf("%s.%s: %w", where, name, err)
		}
		values[name] = checked.Value
	}
	return nil
}

func (p *Profile) names(yield func(string) bool) {
	for _, parameter := range p.parameters {
		if !yield(parameter.Name) {
			return
		}
	}
}

// expand replaces an abbreviation at the beginning of a path.
func (f *file) expand(path string) string {
	head, rest, ok := strings.Cut(path, ".")
	if object, known := f.Objects[head]; ok && known {
		return object + rest
	}
	return path
}
