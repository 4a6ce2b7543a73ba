package storetest

import (
	"sync"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest/mariadb"
)

// server is the private MariaDB of this test process; it ends with it.
var server = sync.OnceValues(mariadb.Start)

// MariaDB makes an empty database on the process's private server and drops it with the test.
func MariaDB(t *testing.T) models.Secret {
	t.Helper()
	running, err := server()
	if err != nil {
		t.Fatal(err)
	}
	url, drop, err := running.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return url
}
