package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// The fault codes of a client (i4.md A.9).
const (
	methodNotSupported = 9000
	requestDenied      = 9001
	invalidArguments   = 9003
	invalidName        = 9005
	invalidType        = 9006
	invalidValue       = 9007
	notWritable        = 9008
)

var faultTexts = map[int]string{
	methodNotSupported: "Method not supported", requestDenied: "Request denied", 9002: "Internal error", invalidArguments: "Invalid arguments",
	9004: "Resources exceeded", invalidName: "Invalid parameter name", invalidType: "Invalid parameter type",
	invalidValue: "Invalid parameter value", notWritable: "Attempt to set a non-writable parameter",
}

func fault(code int) *cwmp.Fault { return &cwmp.Fault{Code: code, String: faultTexts[code]} }

// store is the parameter store of a client: everything of the profile that its type has, by path.
type store struct {
	profile *i4.Profile
	rows    map[string]*row
	// model is the data model: every row that there can be, with each instance as number 1.
	model map[string]row
}

type row struct {
	value, xsd       string
	writable, secret bool
	notification     int
	check            func(string) (string, error)
}

// computed are the secrets that the client answers when it is asked for them by name.
var computed = []string{"auth.proof", "auth.newSalt", "auth.newIterations", "auth.newStoredKey", "auth.newServerKey", "auth.newVerifierMac",
	"ui.newPassword"}

func newStore(c Config) *store {
	s := &store{profile: c.Profile, rows: map[string]*row{}, model: map[string]row{}}
	for _, p := range c.Profile.Catalogue() {
		if c.Type == models.Generic && !standardPath(p.Path) && !ofTest(p.Name, p.Path) || strings.HasSuffix(p.Path, ".") || strings.Contains(p.Path, "{i}") {
			continue
		}
		s.rows[p.Path] = &row{xsd: p.Type, writable: p.Writable, secret: p.Secret, check: p.Check}
		switch p.Type {
		case "xsd:unsignedInt", "xsd:int", "xsd:boolean":
			s.rows[p.Path].value = "0"
		case "xsd:dateTime":
			s.rows[p.Path].value = "0001-01-01T00:00:00Z"
		}
		s.model[p.Path] = *s.rows[p.Path]
	}
	for name, value := range map[string]string{
		"rootDataModelVersion":    "2.2",
		"deviceInfo.manufacturer": c.Identity.Manufacturer, "deviceInfo.manufacturerOUI": c.Identity.OUI,
		"deviceInfo.productClass": c.Identity.ProductClass, "deviceInfo.serialNumber": c.Identity.SerialNumber,
		"deviceInfo.hardwareVersion": "Windows", "deviceInfo.softwareVersion": "2.0.3",
		"managementServer.url": c.URL, "managementServer.username": c.Username, "managementServer.password": c.ACSPassword.Reveal(),
		"managementServer.periodicInformEnable": "1", "managementServer.periodicInformInterval": "600",
		"managementServer.cwmpRetryMinimumWaitInterval": "5", "managementServer.cwmpRetryIntervalMultiplier": "2000",
		"softClient.clientType": c.Type.Wire(), "softClient.osType": "Windows 7", "softClient.onlineStatus": "Online",
		"softClient.localIPAddress": "192.168.1.23", "ui.userName": c.Number, "line.status": "Disabled", "line.enable": "Disabled",
		"voice.enable": "Disabled",
	} {
		s.set(name, value)
	}
	if c.Profile.Reports() == s.path("deviceSummary") {
		s.set("deviceSummary", "Device:1.0[](Baseline:1)")
		delete(s.rows, s.path("rootDataModelVersion"))
	}
	for object := range tests {
		s.set(object+testState, "None")
	}
	if c.Type == models.MagicScreen {
		for name, value := range screenValues(c) {
			s.set(name, value)
		}
	}
	if c.Type == models.Mobile {
		for name, value := range map[string]string{
			"deviceInfo.hardwareVersion": "CDMA2000 handset", "softClient.osType": "Android 2.3", "softClient.networkType": "EVDO",
			"ui.mdn": c.MDN, "ui.imsi": c.IMSI,
		} {
			s.set(name, value)
		}
	}
	for _, object := range c.Missing {
		s.remove(object)
	}
	return s
}

// standardPath tells whether a plain TR-069 device has the parameter.
func standardPath(path string) bool {
	for _, object := range []string{"Device.RootDataModelVersion", "Device.DeviceSummary", "Device.LAN.", "Device.DeviceInfo.", "Device.ManagementServer.", "Device.Time.", "InternetGatewayDevice."} {
		if strings.HasPrefix(path, object) {
			return true
		}
	}
	return false
}

func (s *store) path(nameOrPath string) string {
	path, _ := s.profile.Path(nameOrPath)
	return path
}

func (s *store) get(nameOrPath string) string {
	if r := s.rows[s.path(nameOrPath)]; r != nil {
		return r.value
	}
	return ""
}

// set changes or, for a path that the profile does not know, makes a parameter.
func (s *store) set(nameOrPath, value string) {
	path := s.path(nameOrPath)
	switch r := s.rows[path]; {
	case r != nil:
		r.value = value
	case path != "" && path[0] >= 'A' && path[0] <= 'Z':
		if _, known := s.profile.Parameter(path); !known {
			s.rows[path] = &row{value: value, xsd: "xsd:string", writable: true, secret: s.profile.IsSecret(path)}
		}
	}
}

// put is set for what a test finds, the rows of its tables included.
func (s *store) put(name, value string) {
	if parameter, known := s.profile.Parameter(name); known {
		s.rows[parameter.Path] = &row{value: value, xsd: parameter.Type}
	}
}

// apply sets all parameters or none (TR-069 A.3.2.1). refuse adds faults of its own.
func (s *store) apply(m *cwmp.SetParameterValues, refuse func(path string) int) *cwmp.Fault {
	values := map[string]string{}
	refused := &cwmp.Fault{Code: invalidArguments, String: faultTexts[invalidArguments]}
	for _, p := range m.Parameters {
		value, code := s.judge(p)
		if _, twice := values[p.Name]; twice && code == 0 {
			return fault(invalidArguments)
		}
		if forced := refuse(p.Name); forced != 0 {
			code = forced
		}
		if code != 0 {
			refused.Parameters = append(refused.Parameters, cwmp.ParameterFault{Name: p.Name, Code: code, String: faultTexts[code]})
		}
		values[p.Name] = value
	}
	if len(refused.Parameters) > 0 {
		return refused
	}
	for path, value := range values {
		s.rows[path].value = value
	}
	s.set("managementServer.parameterKey", m.ParameterKey)
	switch enable := values[s.path("line.enable")]; enable {
	case "Enabled":
		s.set("line.status", "Up")
	case "Disabled", "Quiescent":
		s.set("line.status", enable)
	}
	return nil
}

func (s *store) judge(p cwmp.ParameterValue) (value string, code int) {
	r := s.rows[p.Name]
	switch {
	case r == nil:
		return "", invalidName
	case !r.writable:
		return "", notWritable
	case p.Type != r.xsd:
		return "", invalidType
	case r.check == nil:
		return p.Value, 0
	}
	value, err := r.check(p.Value)
	if err != nil {
		return "", invalidValue
	}
	return value, 0
}

// values answers GetParameterValues: secrets read back empty.
func (s *store) values(names []string) (*cwmp.GetParameterValuesResponse, *cwmp.Fault) {
	answer := &cwmp.GetParameterValuesResponse{}
	for _, name := range names {
		paths := s.below(name)
		if len(paths) == 0 {
			return nil, fault(invalidName)
		}
		for _, path := range paths {
			r := s.rows[path]
			value := r.value
			if r.secret && !(path == name && slices.Contains(computed, s.profile.Name(path))) {
				value = ""
			}
			answer.Parameters = append(answer.Parameters, cwmp.ParameterValue{Name: path, Type: r.xsd, Value: value})
		}
	}
	return answer, nil
}

// below lists the parameter itself, or for a partial path all below it, sorted.
func (s *store) below(path string) (paths []string) {
	if path == "" || strings.HasSuffix(path, ".") {
		for _, p := range slices.Sorted(maps.Keys(s.rows)) {
			if strings.HasPrefix(p, path) {
				paths = append(paths, p)
			}
		}
		return paths
	}
	if s.rows[path] != nil {
		return []string{path}
	}
	return nil
}

// names answers GetParameterNames (TR-069 A.3.2.3).
func (s *store) names(m *cwmp.GetParameterNames) (cwmp.Message, *cwmp.Fault) {
	paths := s.below(m.ParameterPath)
	switch partial := m.ParameterPath == "" || strings.HasSuffix(m.ParameterPath, "."); {
	case !partial && m.NextLevel:
		return nil, fault(invalidArguments)
	case len(paths) == 0:
		return nil, fault(invalidName)
	}
	infos := map[string]bool{} // name → writable
	if !m.NextLevel && m.ParameterPath != "" {
		infos[m.ParameterPath] = false
	}
	for _, path := range paths {
		rest := path[len(m.ParameterPath):]
		for i, c := range rest {
			if c == '.' {
				infos[m.ParameterPath+rest[:i+1]] = false
				if m.NextLevel {
					break
				}
			}
		}
		if !m.NextLevel || !strings.Contains(rest, ".") {
			infos[path] = s.rows[path].writable
		}
	}
	answer := &cwmp.GetParameterNamesResponse{}
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		answer.Parameters = append(answer.Parameters, cwmp.ParameterInfo{Name: name, Writable: infos[name]})
	}
	return answer, nil
}

// reset forgets what belongs to one session: its challenge, what was computed from it, its outcome.
func (s *store) reset() {
	for _, name := range append(computed, "auth.serverNonce") {
		s.set(name, "")
	}
	s.set("auth.newIterations", "0")
	for name, value := range map[string]string{"ui.status": strconv.Itoa(pending), "ui.result": strconv.Itoa(pending), "ui.resultDesc": "",
		"ui.retryAfter": "0", "ui.limit": "0", "ui.times": "0", "ui.serverTime": ""} {
		s.set(name, value)
	}
}

func (s *store) outcome() Outcome {
	n := func(name string) int {
		n, _ := strconv.Atoi(s.get(name))
		return n
	}
	if s.rows[s.path("ui.status")] == nil {
		return Outcome{Status: pending, Result: pending}
	}
	return Outcome{Status: n("ui.status"), Result: n("ui.result"), Desc: s.get("ui.resultDesc"), RetryAfter: n("ui.retryAfter"),
		Limit: n("ui.limit"), Times: n("ui.times"), ServerTime: s.get("ui.serverTime")}
}
