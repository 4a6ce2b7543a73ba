package sim

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
)

var instance = regexp.MustCompile(`\.\d+\.`)

// remove takes away everything below an object.
func (s *store) remove(object string) {
	maps.DeleteFunc(s.rows, func(path string, _ *row) bool { return strings.HasPrefix(path, object) })
}

// add makes an instance of an object of the data model (TR-069 A.3.2.6); number 0 is the lowest free one.
func (s *store) add(m *cwmp.AddObject, number int64) (cwmp.Message, *cwmp.Fault) {
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
