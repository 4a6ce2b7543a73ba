package storetest

import (
	"context"
	"sync"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest/mariadb"
)

// server is the private MariaDB of this test process; it ends with it.
var server = sync.OnceValues(func() (*mariadb.Server, error) { return mariadb.Start(mariadb.Volatile...) })

// MariaDB makes a migrated database on the process's private server and drops it with the test.
func MariaDB(t *testing.T) models.Secret {
	t.Helper()
	filling, err := mariadbFilling()
	if err != nil {
		t.Fatal(err)
	}
	running, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return database(t, running, filling)
}

func emptyMariaDB(t *testing.T) models.Secret {
	t.Helper()
	running, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return database(t, running, "")
}

// mariadbFilling copies the one database of this process that is migrated.
var mariadbFilling = sync.OnceValues(func() (string, error) {
	running, err := server()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	template, _, err := running.Database(ctx, "")
	if err != nil {
		return "", err
	}
	if err := store.Migrate(ctx, template); err != nil {
		return "", err
	}
	return running.Filling(ctx, template)
})

// durable makes an empty database on a server of its own that syncs at each commit, as in production.
func durable(t *testing.T) models.Secret {
	t.Helper()
	running, err := mariadb.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	return database(t, running, "")
}

func database(t *testing.T, running *mariadb.Server, filling string) models.Secret {
	t.Helper()
	url, drop, err := running.Database(t.Context(), filling)
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
