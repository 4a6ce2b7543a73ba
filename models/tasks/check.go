package tasks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
)

const (
	maxPaths   = 64
	maxPath    = 256
	minExpiry  = 60
	maxExpiry  = 2_592_000
	maxDelay   = 86_400
	maxRequest = 28 << 10 // what of an envelope of 32 KiB is left for values (i4.md H10)
	perValue   = 160      // bytes of markup around one value
)

// A path begins with an upper-case letter: that tells it from a logical name. Parts are names or instance numbers.
var (
	paramPath  = regexp.MustCompile(`^[A-Z][\w-]*(\.([A-Za-z_][\w-]*|[1-9]\d*))*\.[A-Za-z_][\w-]*$`)
	objectPath = regexp.MustCompile(`^[A-Z][\w-]*(\.([A-Za-z_][\w-]*|[1-9]\d*))*\.$`)
)

// takes names the arguments of each kind (resolutions 52).
var takes = map[models.TaskKind][]string{
	models.GetValues: {"paths"}, models.SetValues: {"values"}, models.GetNames: {"objectPath"}, models.GetAttributes: {"paths"},
	models.SetAttributes: {"paths", "notification"}, models.AddObject: {"objectPath"}, models.DeleteObject: {"objectPath"}, models.Reboot: {},
	models.FactoryReset: {}, models.GetRPCMethods: {}, models.DownloadTask: {"packageId"}, models.ScheduleInform: {"arguments"},
}

// check returns the request that the arguments make.
func (r *Room) check(in CreateInput) (request models.TaskRequest, err error) {
	needed, known := takes[in.Kind]
	if !known || in.Kind == models.DownloadTask && r.config.Packages == nil {
		return request, models.E(models.Invalid, "there is no such kind of task", "input", "kind")
	}
	for _, argument := range []struct {
		name  string
		given bool
	}{
		{"paths", in.Paths != nil}, {"values", in.Values != nil}, {"objectPath", in.ObjectPath != nil}, {"notification", in.Notification != nil},
		{"packageId", in.PackageID != nil}, {"arguments", in.Arguments != nil},
	} {
		belongs := slices.Contains(needed, argument.name)
		switch {
		case belongs && !argument.given:
			return request, models.E(models.Required, string(in.Kind)+" needs "+argument.name, "input", argument.name)
		case argument.given && !belongs:
			return request, models.E(models.Invalid, string(in.Kind)+" takes no "+argument.name, "input", argument.name)
		}
	}
	if in.DelaySeconds != 0 && in.Kind != models.DownloadTask {
		return request, models.E(models.Invalid, string(in.Kind)+" takes no delaySeconds", "input", "delaySeconds")
	}
	switch in.Kind {
	case models.GetValues, models.GetAttributes:
		request.Paths, err = in.Paths, checkPaths(in.Paths)
	case models.SetAttributes:
		request.Paths, request.Notification, err = in.Paths, in.Notification, checkPaths(in.Paths)
		if err == nil && (*in.Notification < 0 || *in.Notification > 2) {
			err = models.E(models.Invalid, "allowed are 0 off, 1 passive and 2 active", "input", "notification")
		}
	case models.SetValues:
		request.Values, err = in.Values, r.checkValues(in.Values)
	case models.GetNames:
		request.ObjectPath, request.NextLevel = *in.ObjectPath, in.NextLevel
		err = checkObject(*in.ObjectPath, in.NextLevel)
	case models.AddObject, models.DeleteObject:
		request.ObjectPath = *in.ObjectPath
		err = r.checkInstance(in.Kind, *in.ObjectPath)
	case models.ScheduleInform:
		request.DelaySeconds, err = delayOf(in.Arguments)
	case models.DownloadTask:
		request.PackageID, request.DelaySeconds, request.Mode = *in.PackageID, in.DelaySeconds, models.UpgradeSilent
		if in.DelaySeconds < 0 || in.DelaySeconds > maxDelay {
			err = models.E(models.Invalid, fmt.Sprintf("a download is delayed by 0 to %d seconds", maxDelay), "input", "delaySeconds")
		}
	}
	if err == nil && (in.ExpiresInSeconds < minExpiry || in.ExpiresInSeconds > maxExpiry) {
		err = models.E(models.Invalid, fmt.Sprintf("a task expires in %d to %d seconds", minExpiry, maxExpiry), "input", "expiresInSeconds")
	}
	return request, err
}

// checkInstance: AddObject takes a table, DeleteObject one of its instances (TR-069 A.3.2.6, A.3.2.7).
func (r *Room) checkInstance(kind models.TaskKind, path string) error {
	field := []string{"input", "objectPath"}
	if err := checkPath(path, true, field); err != nil {
		return err
	}
	parts := strings.Split(path, ".")
	_, err := strconv.Atoi(parts[max(len(parts)-2, 0)])
	switch {
	case parts[len(parts)-1] != "":
		return models.E(models.Invalid, "the path of an object ends with a dot", field...)
	case kind == models.AddObject && err == nil:
		return models.E(models.Invalid, "this is an instance; name the table that is to have another one", field...)
	case kind == models.DeleteObject && err != nil:
		return models.E(models.Invalid, "name the instance, such as Device.Services.VoiceService.1.VoiceProfile.1.Line.2.", field...)
	case r.denied(path):
		return models.E(models.PolicyDenied, "the platform itself sets what is below this object", field...)
	}
	return nil
}

// delayOf reads the arguments of SCHEDULE_INFORM: {"delaySeconds": 1 to 86,400}.
func delayOf(arguments any) (int, error) {
	object, _ := arguments.(map[string]any)
	for name := range object {
		if name != "delaySeconds" {
			return 0, models.E(models.Invalid, "SCHEDULE_INFORM takes delaySeconds only", "input", "arguments", name)
		}
	}
	text, err := json.Marshal(object["delaySeconds"])
	if err != nil || object["delaySeconds"] == nil {
		return 0, models.E(models.Required, "SCHEDULE_INFORM needs delaySeconds", "input", "arguments", "delaySeconds")
	}
	seconds, err := strconv.Atoi(string(text))
	if err != nil || seconds < 1 || seconds > maxDelay {
		return 0, models.E(models.Invalid, fmt.Sprintf("1 to %d seconds are allowed", maxDelay), "input", "arguments", "delaySeconds")
	}
	return seconds, nil
}

func checkPaths(paths []string) error {
	if err := checkCount(len(paths), "paths"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, path := range paths {
		field := []string{"input", "paths", strconv.Itoa(i)}
		if err := checkPath(path, true, field); err != nil {
			return err
		}
		if seen[path] {
			return models.E(models.Invalid, "this path is there already", field...)
		}
		seen[path] = true
	}
	return nil
}

func checkCount(n int, name string) error {
	switch {
	case n == 0:
		return models.E(models.Required, "at least one is needed", "input", name)
	case n > maxPaths:
		return models.E(models.TooLong, fmt.Sprintf("at most %d are allowed", maxPaths), "input", name)
	}
	return nil
}

func checkPath(path string, object bool, field []string) error {
	switch {
	case path == "":
		return models.E(models.Required, "a path is needed", field...)
	case len(path) > maxPath:
		return models.E(models.TooLong, fmt.Sprintf("a path has at most %d characters", maxPath), field...)
	case paramPath.MatchString(path), object && objectPath.MatchString(path):
		return nil
	case object:
		return models.E(models.Invalid, "this is not the path of a parameter or, with a dot at its end, of an object", field...)
	}
	return models.E(models.Invalid, "this is not the path of a parameter", field...)
}

// checkObject: GetParameterNames takes the empty path for the whole tree, and one level only below an object (TR-069 A.3.2.3).
func checkObject(path string, nextLevel bool) error {
	field := []string{"input", "objectPath"}
	if path == "" {
		return nil
	}
	if err := checkPath(path, true, field); err != nil {
		return err
	}
	if nextLevel && !strings.HasSuffix(path, ".") {
		return models.E(models.Invalid, "nextLevel needs an object: end its path with a dot", field...)
	}
	return nil
}

func (r *Room) checkValues(values []models.Value) error {
	if err := checkCount(len(values), "values"); err != nil {
		return err
	}
	seen, size := map[string]bool{}, 0
	for i, v := range values {
		field := func(name string) []string { return []string{"input", "values", strconv.Itoa(i), name} }
		if err := checkPath(v.Name, false, field("path")); err != nil {
			return err
		}
		if r.denied(v.Name) {
			return models.E(models.PolicyDenied, "the platform itself sets this parameter", field("path")...)
		}
		if seen[v.Name] {
			return models.E(models.Invalid, "this path is there already", field("path")...)
		}
		seen[v.Name] = true
		fits, known := types[v.Type]
		if !known {
			return models.E(models.Invalid, "there is no such type; known are xsd:string, xsd:boolean, xsd:int, xsd:unsignedInt, xsd:long, xsd:unsignedLong, "+
				"xsd:dateTime, xsd:base64 and xsd:hexBinary", field("type")...)
		}
		if !fits(v.Value) {
			return models.E(models.Invalid, "this is no "+v.Type, field("value")...)
		}
		size += perValue + len(v.Name) + escapedLen(v.Value)
	}
	if size > maxRequest {
		return models.E(models.TooLong, "the values together do not fit into one request of 32 KiB", "input", "values")
	}
	return nil
}

func (r *Room) denied(path string) bool {
	for _, d := range r.config.Denied {
		if strings.EqualFold(path, d) || strings.HasSuffix(d, ".") && len(path) > len(d) && strings.EqualFold(path[:len(d)], d) {
			return true
		}
	}
	return false
}

// types tells for each type whether a text is a value of it (TR-106 3.2).
var types = map[string]func(string) bool{
	"xsd:string":       text,
	"xsd:boolean":      func(s string) bool { return s == "0" || s == "1" || s == "true" || s == "false" },
	"xsd:int":          func(s string) bool { _, err := strconv.ParseInt(s, 10, 32); return err == nil },
	"xsd:unsignedInt":  func(s string) bool { _, err := strconv.ParseUint(s, 10, 32); return err == nil },
	"xsd:long":         func(s string) bool { _, err := strconv.ParseInt(s, 10, 64); return err == nil },
	"xsd:unsignedLong": func(s string) bool { _, err := strconv.ParseUint(s, 10, 64); return err == nil },
	"xsd:dateTime":     dateTime,
	"xsd:base64":       func(s string) bool { _, err := base64.StdEncoding.DecodeString(s); return err == nil },
	"xsd:hexBinary":    func(s string) bool { return len(s)%2 == 0 && strings.Trim(s, "0123456789abcdefABCDEF") == "" },
}

// text tells whether s can be written in XML 1.0.
func text(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF
	})
}

func dateTime(s string) bool {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

func escapedLen(s string) int {
	n := len(s)
	for _, c := range []byte(s) {
		switch c {
		case '<', '>', '&', '"', '\'', '\t', '\n', '\r':
			n += 5
		}
	}
	return n
}
