package packages

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Why a body was not taken; the door has a status for each (resolutions 28).
var (
	ErrNoUpload = errors.New("no such upload, or not with this token")
	ErrStored   = errors.New("the file is there already")
	ErrOver     = errors.New("the time of the upload is over")
	ErrTooLarge = errors.New("the file is larger than announced")
	ErrDiffers  = errors.New("the file is not the announced one")
	ErrBusy     = errors.New("too many uploads at a time")
)

// UploadToken is what a PUT of the file has to show. It follows from the package, so that a repeated startPackageUpload tells the same.
func (r *Room) UploadToken(id models.ID) models.Secret {
	return models.Secret(hex.EncodeToString(uploadToken(r.uploads[0], id)))
}

func uploadToken(key [32]byte, id models.ID) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(id[:])
	return h.Sum(nil)
}

func (r *Room) admits(id models.ID, token models.Secret) (ok bool) {
	given, err := hex.DecodeString(token.Reveal())
	for _, key := range r.uploads {
		if err == nil && subtle.ConstantTimeCompare(given, uploadToken(key, id)) == 1 {
			ok = true
		}
	}
	return ok
}

// Put takes the whole file of a package. It is hashed while it comes in and kept only if it is the announced one: ErrTooLarge and ErrDiffers
// leave the package UPLOADING, and another body may be brought (resolutions 47). announced is the length that the sender told, -1 for none.
func (r *Room) Put(ctx context.Context, id models.ID, token models.Secret, announced int64, body io.Reader) error {
	if !r.admits(id, token) {
		return ErrNoUpload
	}
	var p *models.Package
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		p, err = take(tx.DB, id)
		return err
	})
	switch {
	case models.CodeOf(err) == models.NotFound:
		return ErrNoUpload
	case err != nil:
		return err
	case p.State != models.PackageUploading || !p.StoredAt.IsZero():
		return ErrStored
	case p.UploadUntil <= r.clock.Now():
		return ErrOver
	case announced > p.Size:
		return ErrTooLarge
	}
	select {
	case r.uploading <- struct{}{}:
		defer func() { <-r.uploading }()
	default:
		return ErrBusy
	}
	if err := r.keep(p, body); err != nil {
		return err
	}
	return r.stored(ctx, id)
}

// keep writes the body under a name of its own and, if it is the announced file, renames it to the package's. Two that come at the same time
// rename the same content.
func (r *Room) keep(p *models.Package, body io.Reader) (err error) {
	part, err := os.CreateTemp(r.config.Dir, p.ID.String()+"-*"+partSuffix)
	if err != nil {
		return fmt.Errorf("keep package %s: %w", p.ID, err)
	}
	defer func() {
		if err != nil {
			_ = part.Close() // closed already if it was whole
			_ = os.Remove(part.Name())
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, sum), io.LimitReader(body, p.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("keep package %s: %w", p.ID, err)
	case n > p.Size:
		return ErrTooLarge
	case n < p.Size || hex.EncodeToString(sum.Sum(nil)) != p.Sha256:
		return ErrDiffers
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return fmt.Errorf("keep package %s: %w", p.ID, err)
	}
	if err := os.Rename(part.Name(), r.path(p.ID)); err != nil {
		return fmt.Errorf("keep package %s: %w", p.ID, err)
	}
	return syncDir(r.config.Dir)
}

// syncDir makes a rename outlive a loss of power.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (r *Room) stored(ctx context.Context, id models.ID) error {
	stored, gone := false, false
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		done := tx.DB.Model(&models.Package{}).Where("id = ? AND state = ? AND stored_at = 0", id, models.PackageUploading).
			Updates(map[string]any{"stored_at": tx.Now, "updated_at": tx.Now})
		if stored = done.RowsAffected == 1; stored || done.Error != nil {
			return done.Error
		}
		p, err := take(tx.DB, id)
		gone = err == nil && p.StoredAt.IsZero() // completed or retired without its file meanwhile
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("note that package %s is there: %w", id, err)
	case !stored:
		if gone {
			r.remove(ctx, id)
		}
		return ErrStored
	}
	return nil
}

func (r *Room) remove(ctx context.Context, id models.ID) {
	if err := os.Remove(r.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.ErrorContext(ctx, "remove the file of a package", "package", id, "error", err)
	}
}

// Clean removes what is left of uploads that broke off more than a day ago.
func (r *Room) Clean(_ context.Context) error {
	if r.config.Dir == "" {
		return nil
	}
	entries, err := os.ReadDir(r.config.Dir)
	if err != nil {
		return fmt.Errorf("clean up uploads: %w", err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), partSuffix) || time.Since(info.ModTime()) < uploadTime {
			continue
		}
		if err := os.Remove(filepath.Join(r.config.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
