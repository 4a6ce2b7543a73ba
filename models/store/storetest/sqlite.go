package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// SQLite makes a migrated database in a temporary folder.
func SQLite(t *testing.T) models.Secret {
	t.Helper()
	content, err := sqliteTemplate()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "softacs.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return models.Secret("sqlite:" + path)
}

// sqliteTemplate is the file of the one database of this process that is migrated: copying it takes a thousandth of the time.
var sqliteTemplate = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "softacs-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "template.db")
	if err := store.Migrate(context.Background(), models.Secret("sqlite:"+path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path) // the last connection that closed has put everything into the file
})
