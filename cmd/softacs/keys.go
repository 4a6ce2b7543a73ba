package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// keysCommand is what is done about the secret keys.
type keysCommand struct {
	List   keysListCommand   `cmd:"" help:"Show which key sealed how many values."`
	Reseal keysResealCommand `cmd:"" help:"Seal every value anew with the first key."`
}

type keysListCommand struct{ settings }

// Run prints a line for each key and each column in which it sealed values.
func (cmd keysListCommand) Run(ctx context.Context) error {
	return cmd.withStore(ctx, func(s *store.Store) error { return listKeys(ctx, s, os.Stdout) })
}

type keysResealCommand struct{ settings }

// Run reseals and prints what is left. It fails if something is: then an old key is needed still.
func (cmd keysResealCommand) Run(ctx context.Context) error {
	return cmd.withStore(ctx, func(s *store.Store) error { return resealKeys(ctx, s, os.Stdout) })
}

// withStore opens the database with the configured keys, for a command that works beside servers.
func (s settings) withStore(ctx context.Context, f func(*store.Store) error) error {
	c, err := s.read()
	if err != nil {
		return err
	}
	keys, err := loadKeys(c)
	if err != nil {
		return err
	}
	opened, err := store.Open(ctx, store.Config{URL: c.Database, Keys: keys}, models.SystemClock{})
	if err != nil {
		return err
	}
	return errors.Join(f(opened), opened.Close())
}

func listKeys(ctx context.Context, s *store.Store, out io.Writer) error {
	counts, err := s.CountSealed(ctx)
	if err != nil {
		return err
	}
	ids := s.KeyIDs()
	known := len(ids)
	for _, c := range counts {
		if !slices.Contains(ids, c.Key) {
			ids = append(ids, c.Key)
		}
	}
	for i, id := range ids {
		role := "opens only"
		switch {
		case i == 0:
			role = "seals and opens"
		case i >= known:
			role = "is missing from the key file"
		}
		var total int64
		var lines strings.Builder
		for _, c := range counts {
			if c.Key == id {
				total += c.Values
				fmt.Fprintf(&lines, "  %8d  %s.%s\n", c.Values, c.Table, c.Column)
			}
		}
		if _, err := fmt.Fprintf(out, "%q %s; values sealed with it: %d\n%s", id, role, total, lines.String()); err != nil {
			return err
		}
	}
	return nil
}

func resealKeys(ctx context.Context, s *store.Store, out io.Writer) error {
	done, err := s.Reseal(ctx)
	if err != nil {
		return fmt.Errorf("after %d values: %w", done.Values, err)
	}
	return reportReseal(ctx, s, done, out)
}

// reportReseal prints what a reseal did and what it left; an error if an old key is needed still.
func reportReseal(ctx context.Context, s *store.Store, done store.Resealed, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "values sealed anew: %d\n", done.Values); err != nil {
		return err
	}
	if err := listKeys(ctx, s, out); err != nil {
		return err
	}
	if done.Closed > 0 {
		return fmt.Errorf("%d values do not open and stay as they are; one of them: %w", done.Closed, done.First)
	}
	counts, err := s.CountSealed(ctx)
	if err != nil {
		return err
	}
	var left int64
	for _, c := range counts {
		if c.Key != s.KeyIDs()[0] {
			left += c.Values
		}
	}
	if left > 0 {
		return fmt.Errorf("%d values were sealed with another key meanwhile: a server still has another first key, or changed them just now; restart it if so, and run this again", left)
	}
	return nil
}

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
