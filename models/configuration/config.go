package configuration

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

// Parameter is one parameter of the profile.
type Parameter struct {
	// Name is the logical name; Type an xsd name such as xsd:string.
	Name, Type string
	// Writable by the platform; Secret values read back empty; Optional ones may be missing in a client (resolutions 38).
	Writable, Secret, Optional bool
	// Service is the code of the service whose object the parameter is in, empty for none; the three services of calling features share
	// one object, any of their codes names it. Leaf is the parameter's name below that object (resolutions 71).
	Service, Leaf string
	// Local: the client's user may change it there, which is no drift.
	Local bool
}

// Catalogue lists the parameters of the profile in the order of delivery: switches last (i4.md B.10).
type Catalogue struct{ Parameters []Parameter }

// Switch is what turning a service on or off sets.
type Switch struct{ On, Off map[string]string }

// Config is what the room is built with. All values are keyed by logical name.
type Config struct {
	Catalogue Catalogue
	// Defaults, Areas (by region) and Services (by code) are the layers `i4.defaults`, `i4.areas` and `i4.services`.
	Defaults map[models.ClientType]map[string]string
	Areas    map[string]map[string]string
	Services map[string]Switch
	// Path writes a logical name for people and for Device.parameters.
	Path func(name string) string
	// Name is the logical name of a path, or the path itself; IsSecret tells whether the value at a path may never be shown.
	Name     func(path string) string
	IsSecret func(path string) bool
	// Check tells what is wrong with a value of a parameter, nil if nothing. Canonical writes one in the one way in which values are compared.
	Check     func(name, value string) error
	Canonical func(name, value string) string
	// Tasks inserts the tasks that mirror versions.
	Tasks *tasks.Room
	Drift Drift
}

// Room is the desired and applied configuration of all devices.
type Room struct {
	store  *store.Store
	config Config
	// place is the position of a parameter in the order of delivery.
	place map[string]int
	// leaves finds a service's parameter by the object it is in and its leaf.
	leaves map[string]map[string]string
}

// New builds the room. A layer that names something the catalogue does not let the platform write, or gives it a value that does not fit,
// is an error that names it.
func New(s *store.Store, c Config) (*Room, error) {
	r := &Room{store: s, config: c, place: map[string]int{}, leaves: map[string]map[string]string{}}
	for i, p := range c.Catalogue.Parameters {
		r.place[p.Name] = i
		if p.Service == "" || !p.Writable {
			continue
		}
		object := objectOf(p.Service)
		if r.leaves[object] == nil {
			r.leaves[object] = map[string]string{}
		}
		r.leaves[object][p.Leaf] = p.Name
	}
	return r, errors.Join(r.checkNames(), r.checkLayers())
}

func (r *Room) checkNames() error {
	var errs []error
	for _, name := range []string{PeriodicInformEnable, PeriodicInformInterval, PeriodicInformTime, LineEnable, DirectoryNumber, AuthUserName,
		AuthPassword, PublicURI} {
		if p, known := r.parameter(name); !known || !p.Writable {
			errs = append(errs, fmt.Errorf("the profile has no writable parameter %s", name))
		}
	}
	return errors.Join(errs...)
}

func (r *Room) checkLayers() error {
	var errs []error
	check := func(layer string, values map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if p, known := r.parameter(name); !known || !p.Writable {
				errs = append(errs, fmt.Errorf("%s: the profile has no writable parameter %s", layer, name))
			} else if err := r.config.Check(name, values[name]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", layer, name, err))
			}
		}
	}
	for t, values := range r.config.Defaults {
		check("i4.defaults."+t.Wire(), values)
	}
	for region, values := range r.config.Areas {
		check("i4.areas."+region, values)
	}
	for code, s := range r.config.Services {
		if !slices.Contains(ServiceCodes, code) {
			errs = append(errs, fmt.Errorf("i4.services: there is no service %s", code))
		}
		check("i4.services."+code+".on", s.On)
		check("i4.services."+code+".off", s.Off)
	}
	return errors.Join(errs...)
}

func (r *Room) parameter(name string) (Parameter, bool) {
	i, known := r.place[name]
	if !known {
		return Parameter{}, false
	}
	return r.config.Catalogue.Parameters[i], true
}

// ordered returns the names of values in the order of delivery, paths of the device layer first; other names outside the catalogue are left out.
func (r *Room) ordered(values map[string]string) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		if _, known := r.place[name]; known || isPath(name) {
			names = append(names, name)
		}
	}
	place := func(name string) int {
		if isPath(name) {
			return -1
		}
		return r.place[name]
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(place(a)-place(b), strings.Compare(a, b)) })
	return names
}
