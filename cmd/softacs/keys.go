package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// loadKeys reads the key list: lines `kid: base64 of 32 bytes`, empty lines and lines that begin with # apart. In lab mode a file that is
// left out lies beside the database and is made when it is missing.
func loadKeys(c Config) ([]store.Key, error) {
	path := c.SecretKeys
	if path == "" && c.Lab {
		path = "data/softacs.keys"
		if db, ok := strings.CutPrefix(c.Database.Reveal(), "sqlite:"); ok {
			path = db + ".keys"
		}
		if err := makeKeys(path); err != nil {
			return nil, fmt.Errorf("make the key file of lab mode: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secretKeys: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		slog.Warn("others than its owner may read the key file; chmod 600 it", "file", path)
	}
	var keys []store.Key
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		kid, text, ok := strings.Cut(line, ":")
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if !ok || err != nil || len(secret) != 32 {
			return nil, fmt.Errorf("secretKeys: line %d of %s is not `kid: base64 of 32 bytes`", n, path)
		}
		keys = append(keys, store.Key{ID: strings.TrimSpace(kid), Secret: [32]byte(secret)})
	}
	return keys, lines.Err()
}

func makeKeys(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	_, err = fmt.Fprintf(f, "lab: %s\n", base64.StdEncoding.EncodeToString(secret))
	return errors.Join(err, f.Close())
}

// bootstrapClient splits bootstrap.apiClient, id:secret.
func bootstrapClient(s models.Secret) (id string, secret models.Secret, err error) {
	if s == "" {
		return "", "", nil
	}
	id, text, ok := strings.Cut(s.Reveal(), ":")
	if !ok || id == "" || text == "" {
		return "", "", errors.New("bootstrap.apiClient: id:secret is expected")
	}
	return id, models.Secret(text), nil
}
