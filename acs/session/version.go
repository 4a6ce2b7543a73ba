package session

import (
	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
)

// The fault codes that we send (i4.md A.9).
const (
	methodNotSupported = 8000
	invalidArguments   = 8003
	versionRefused     = 8006
)

// versions are what a client can negotiate, best first (i4.md A.4).
var versions = []struct {
	name      string
	namespace cwmp.Version
}{{"1.4", cwmp.V1_2}, {"1.3", cwmp.V1_2}, {"1.2", cwmp.V1_2}, {"1.1", cwmp.V1_1}, {"1.0", cwmp.V1_0}}

// negotiate picks the version of a session. use is empty unless the client listed its versions; ok is false if none of them is ours.
func negotiate(inform *cwmp.Envelope) (namespace cwmp.Version, use string, ok bool) {
	if len(inform.SupportedVersions) == 0 {
		return inform.Version, "", true
	}
	for _, ours := range versions {
		for _, theirs := range inform.SupportedVersions {
			if theirs == ours.name {
				return ours.namespace, ours.name, true
			}
		}
	}
	return inform.Version, "", false
}

// Refuse returns the fault that an Inform gets instead of a session, with HTTP 200 and without cookie: 8003 for a device without a usable
// identity (resolutions 18), 8006 without a common version (i4.md A.4). It is nil if there is nothing to refuse.
func Refuse(inform *cwmp.Envelope) *cwmp.Envelope {
	m, _ := inform.Body.(*cwmp.Inform)
	if m == nil || !i4.Identifies(m.DeviceID) {
		return fault(inform.Version, inform.ID, invalidArguments, "Invalid arguments")
	}
	if _, _, ok := negotiate(inform); !ok {
		return fault(inform.Version, inform.ID, versionRefused, "ACS version incompatible with CPE")
	}
	return nil
}

func fault(v cwmp.Version, id string, code int, text string) *cwmp.Envelope {
	return &cwmp.Envelope{Version: v, ID: id, Body: &cwmp.Fault{Code: code, String: text}}
}
