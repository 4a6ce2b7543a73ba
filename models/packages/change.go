package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// ActionInput names a package that something is done to. ExpectedVersion is nil for any; an empty IdempotencyKey makes the action repeatable by
// nature: a repeat answers the same state (resolutions 57).
type ActionInput struct {
	ID              models.ID
	IdempotencyKey  string
	ExpectedVersion *int64
	Note            string
}

const maxNote = 255

// Complete ends the upload: READY if the announced file is there and, where vendor keys are set, signed by one of them, else REJECTED. A package
// that was completed before stays what it is. It needs PACKAGE_WRITE.
func (r *Room) Complete(ctx context.Context, in ActionInput) (*models.Package, bool, error) {
	// The file is looked at before the transaction, which decides only whether the package still waits for that.
	var keyID string
	var valid *bool
	before, err := r.peek(ctx, in.ID)
	if err != nil {
		return nil, false, err
	}
	if before.State == models.PackageUploading && !before.StoredAt.IsZero() {
		if keyID, valid, err = r.verify(before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, fmt.Errorf("verify package %s: %w", in.ID, err)
		}
	}
	ready := !before.StoredAt.IsZero() && err == nil && (valid == nil || *valid)
	return r.act(ctx, completePackageUpload, in, func(tx *store.Tx, p *models.Package) (bool, error) {
		if p.State != models.PackageUploading {
			if p.State == models.PackageRetired {
				return false, conflict(p, "a retired package is not taken again")
			}
			return false, nil
		}
		p.State, p.KeyID, p.SignatureValid = models.PackageRejected, keyID, valid
		if ready {
			p.State = models.PackageReady
		} else {
			tx.AfterCommit(func() { r.remove(ctx, p.ID) })
		}
		return true, nil
	})
}

// peek reads a package for whoever may change it.
func (r *Room) peek(ctx context.Context, id models.ID) (p *models.Package, err error) {
	if err := models.Need(ctx, models.PackageWrite); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		p, err = take(tx.DB, id)
		return err
	})
	if models.CodeOf(err) == models.NotFound {
		err = models.E(models.NotFound, "there is no such package", "input", "id")
	}
	return p, err
}

// Retire takes a package away: no new download of it begins, and its links are gone. It needs PACKAGE_WRITE.
func (r *Room) Retire(ctx context.Context, in ActionInput) (*models.Package, bool, error) {
	if _, err := r.peek(ctx, in.ID); err != nil {
		return nil, false, err
	}
	return r.act(ctx, retirePackage, in, func(tx *store.Tx, p *models.Package) (bool, error) {
		if p.State == models.PackageRetired {
			return false, nil
		}
		p.State = models.PackageRetired
		tx.AfterCommit(func() { r.remove(ctx, p.ID) })
		return true, nil
	})
}

func conflict(p *models.Package, sentence string) error {
	e := models.E(models.StateConflict, sentence, "input", "id")
	e.CurrentState = string(p.State)
	for _, to := range models.PackageTransitions[p.State] {
		action := completePackageUpload
		if to == models.PackageRetired {
			action = retirePackage
		}
		if !slices.Contains(e.AllowedActions, action) {
			e.AllowedActions = append(e.AllowedActions, action)
		}
	}
	return e
}

// act does a step, once for its idempotency key.
func (r *Room) act(ctx context.Context, action string, in ActionInput, change func(tx *store.Tx, p *models.Package) (bool, error)) (p *models.Package, replayed bool, err error) {
	if len(in.Note) > maxNote {
		return nil, false, models.E(models.TooLong, fmt.Sprintf("a note has at most %d bytes", maxNote), "input", "note")
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		normalised := in
		normalised.IdempotencyKey = ""
		did, again, err := events.RepeatKeyed(tx, action, in.IdempotencyKey, normalised, func() (done, error) {
			return done{Package: in.ID}, step(tx, action, in, change)
		})
		if err != nil {
			return err
		}
		replayed = again
		p, err = take(tx.DB, did.Package)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", action, err)
	}
	return p, replayed, nil
}

// step lets change decide about the locked package and writes its state if it says so.
func step(tx *store.Tx, action string, in ActionInput, change func(tx *store.Tx, p *models.Package) (bool, error)) error {
	p, err := take(tx.Locked(), in.ID)
	if err != nil {
		return err
	}
	if in.ExpectedVersion != nil && *in.ExpectedVersion != p.Version {
		e := models.E(models.VersionConflict, "the package has changed meanwhile", "input", "expectedVersion")
		e.CurrentVersion = p.Version
		return e
	}
	from := p.State
	if changed, err := change(tx, p); err != nil || !changed {
		return err
	}
	if err := write(tx, p, from); err != nil {
		return err
	}
	changes := map[string]any{"state": []any{from, p.State}}
	if in.Note != "" {
		changes["note"] = []any{nil, in.Note}
	}
	return audit(tx, action, p, changes)
}

func write(tx *store.Tx, p *models.Package, from models.PackageState) error {
	if !slices.Contains(models.PackageTransitions[from], p.State) {
		return fmt.Errorf("package %s cannot go from %s to %s", p.ID, from, p.State)
	}
	p.Version++
	p.UpdatedAt = tx.Now
	err := tx.DB.Model(&models.Package{}).Where("id = ?", p.ID).Updates(map[string]any{
		"state": p.State, "version": p.Version, "updated_at": p.UpdatedAt, "key_id": p.KeyID, "signature_valid": p.SignatureValid,
	}).Error
	if err != nil {
		return fmt.Errorf("change package %s: %w", p.ID, err)
	}
	return nil
}
