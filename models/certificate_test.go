package models_test

import (
	"testing"

	"github.com/softacs/softacs/models"
)

func TestCommonNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oui, class, serial, name string
		want                     bool
	}{
		{"00005E", "IMSScreen", "MS1", "00005E-IMSScreen-MS1", true},
		{"00005e", "IMSScreen", "MS1", "00005E-IMSScreen-MS1", true},
		{"00005E", "IMSScreen", "MS1", "00005e-IMSScreen-MS1", true},
		{"00005E", "IMSScreen", "MS1", "00005E-IMSScreen-MS2", false},
		{"00005E", "IMSScreen", "MS1", "00005E-IMSScreen-ms1", false},
		{"00005E", "IMSScreen", "MS1", "", false},
		{"00005E", "IMSScreen", "MS1", "MS1", false},
		{"00005E", "IMS Screen", "MS/1", "00005E-IMS%20Screen-MS%2F1", true},
		{"00005E", "IMS Screen", "MS/1", "00005E-IMS%20Screen-MS%2f1", true},
		{"00005E", "IMS Screen", "MS/1", "00005E-IMS Screen-MS/1", true},
		{"00005E", "IMS+Screen", "1", "00005E-IMS Screen-1", false},
		{"00005E", "魔屏", "1", "00005E-%E9%AD%94%E5%B1%8F-1", true},
		{"00005E", "魔屏", "1", "00005E-魔屏-1", true},
		{"00005E", "IMSScreen", "MS%1", "00005E-IMSScreen-MS%1", false},
		// A hyphen within a part (i4.md C.4 lets it stand, C.2.1 encodes it).
		{"00005E", "IMS-Screen", "MS1", "00005E-IMS%2DScreen-MS1", true},
		{"00005E", "IMS-Screen", "MS1", "00005E-IMS-Screen-MS1", true},
		{"00005E", "IMSScreen", "MS-1-2", "00005e-IMSScreen-MS-1-2", true},
		// Where the name is exact, it is the name of one device only.
		{"00005E", "IMS", "Screen-MS1", "00005E-IMS%2DScreen-MS1", false},
	} {
		if got := models.DeviceKeyOf(c.oui, c.class, c.serial).IsNamed(c.name); got != c.want {
			t.Errorf("%s-%s-%s named %q: %v", c.oui, c.class, c.serial, c.name, got)
		}
	}
}
