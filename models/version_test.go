package models_test

import (
	"testing"

	"github.com/softacs/softacs/models"
)

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		a, b  string
		order int
		ok    bool
		same  bool
	}{
		{"2.1.0", "2.0.9", 1, true, false}, {"2.9", "2.10", -1, true, false}, {"2.1", "2.1.0", 0, true, true}, {"02.1", "2.1", 0, true, true},
		{"2.1-beta", "2.1-beta", 0, false, true}, {"2.1-beta", "2.1", 0, false, false}, {"", "1", 0, false, false}, {"-1", "1", 0, false, false},
	} {
		order, ok := models.CompareVersions(x.a, x.b)
		if order != x.order || ok != x.ok || models.SameVersion(x.a, x.b) != x.same {
			t.Errorf("%q and %q: %d %v, same: %v", x.a, x.b, order, ok, models.SameVersion(x.a, x.b))
		}
	}
}
