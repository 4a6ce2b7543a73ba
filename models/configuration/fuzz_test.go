package configuration

import (
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// What a device names is taken apart without harm: instances are objects of the path, and a path that was moved finds its way back.
func FuzzObjects(f *testing.F) {
	f.Add("Device.Services.VoiceService.1.VoiceProfile.2.Line.3.Enable", int64(7))
	f.Add("Device.A.1.1.B", int64(1))
	f.Add(".1.", int64(0))
	f.Add("Device.A.99999999999999999999.B", int64(-1))
	f.Fuzz(func(t *testing.T, path string, number int64) {
		rows := map[string]models.DeviceObject{}
		for _, object := range instances(path) {
			if !strings.HasPrefix(path, object) {
				t.Fatalf("%q is no object of %q", object, path)
			}
			if outer, n := container(object); n < 1 || !strings.HasPrefix(object, outer) {
				t.Fatalf("%q is number %d of %q", object, n, outer)
			}
			rows[object] = models.DeviceObject{Object: object, Instance: number}
		}
		objects := moved(rows)
		if back := models.UnmovePath(objects, models.MovePath(objects, path)); number > 0 && back != path {
			t.Errorf("%q came back as %q by %v", path, back, objects)
		}
		for _, n := range numbers("Device.A.", []models.ParameterName{{Path: path}, {Path: "Device.A." + path}}) {
			if n < 1 || n > maxInstance {
				t.Errorf("number %d", n)
			}
		}
	})
}
