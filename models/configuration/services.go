package configuration

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/softacs/softacs/models"
)

// objectOf names the object that a service's parameters are in; the calling features share one.
func objectOf(code string) string {
	switch code {
	case CallWaiting, CallerID, CallForward:
		return CallWaiting
	}
	return code
}

// layServices lays the services over values: VOICE is on and the others are off if they are left out (resolutions 71).
func (r *Room) layServices(values map[string]string, services []models.ServiceFeature) {
	for _, code := range ServiceCodes {
		feature := models.ServiceFeature{Code: code, Enabled: code == Voice}
		if i := slices.IndexFunc(services, func(f models.ServiceFeature) bool { return f.Code == code }); i >= 0 {
			feature = services[i]
		}
		if !feature.Enabled {
			maps.Copy(values, r.config.Services[code].Off)
			continue
		}
		maps.Copy(values, r.config.Services[code].On)
		for leaf, value := range feature.Parameters {
			if name, known := r.leaves[objectOf(code)][leaf]; known {
				values[name] = value
			}
		}
	}
}

// CheckServices tells what is wrong with the services of an input: an unknown or repeated code, an unknown leaf, or a value that does not
// fit its parameter, each INVALID at ["input","services",i,"code"] or ["input","services",i,"parameters",leaf].
func (r *Room) CheckServices(services []models.ServiceFeature) error {
	seen := map[string]bool{}
	for i, f := range services {
		at := []string{"input", "services", strconv.Itoa(i)}
		if !slices.Contains(ServiceCodes, f.Code) {
			return models.E(models.Invalid, fmt.Sprintf("there is no such service; there are %v", ServiceCodes), append(at, "code")...)
		}
		if seen[f.Code] {
			return models.E(models.Invalid, "the service is named twice", append(at, "code")...)
		}
		seen[f.Code] = true
		for _, leaf := range slices.Sorted(maps.Keys(f.Parameters)) {
			field := append(at, "parameters", leaf)
			name, known := r.leaves[objectOf(f.Code)][leaf]
			if !known {
				return models.E(models.Invalid, "the service has no such parameter", field...)
			}
			if err := r.config.Check(name, f.Parameters[leaf]); err != nil {
				return models.E(models.Invalid, err.Error(), field...)
			}
		}
	}
	return nil
}
