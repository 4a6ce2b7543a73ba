package cwmp

import (
	"strings"
	"time"
)

// china is where clients are that give no offset. It is a fixed zone because the codec reads no time zone files; China
// has had no other time since 1991.
var china = time.FixedZone("Asia/Shanghai", 8*60*60)

// FormatTime returns an XML Schema dateTime in UTC with whole seconds, such as "2012-01-10T01:30:03Z". The zero time is
// the Unknown Time "0001-01-01T00:00:00Z" (TR-069 3.2.1), and so is a year that dateTime cannot write.
func FormatTime(t time.Time) string {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		t = time.Time{}
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// ParseTime reads a dateTime with an offset, with Z, or without either, when it is taken to be in location (nil:
// Asia/Shanghai); fractions of a second are kept. The result is in UTC; the Unknown Time, written in any zone, is the
// zero time. It reports false and the zero time for anything else.
func ParseTime(s string, location *time.Location) (time.Time, bool) {
	if location == nil {
		location = china
	}
	s = strings.Trim(s, " \t\r\n")
	layout := "2006-01-02T15:04:05"
	if i := strings.IndexByte(s, 'T'); i >= 0 {
		switch zone := s[i:]; {
		case strings.HasSuffix(zone, "Z"):
			layout += "Z07:00"
		case !strings.ContainsAny(zone, "+-"):
		case strings.Count(zone, ":") == 3:
			layout += "Z07:00"
		default:
			layout += "Z0700" // not of dateTime, but seen
		}
	}
	t, err := time.ParseInLocation(layout, s, location)
	if err != nil {
		return time.Time{}, false
	}
	if t.Year() <= 1 {
		return time.Time{}, true
	}
	return t.UTC(), true
}
