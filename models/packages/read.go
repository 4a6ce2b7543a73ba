package packages

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Filter narrows a list; an empty field does not.
type Filter struct {
	ClientType models.ClientType
	States     []models.PackageState
}

// List returns a page of packages, the newest first. It needs UPGRADE_READ.
func (r *Room) List(ctx context.Context, f Filter, p store.Page) (page store.Slice[models.Package], err error) {
	if err := models.Need(ctx, models.UpgradeRead); err != nil {
		return page, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q, listing := tx.DB.Model(&models.Package{}), "packages"
		if f.ClientType != "" {
			q, listing = q.Where("client_type = ?", f.ClientType), listing+" of "+string(f.ClientType)
		}
		if len(f.States) > 0 {
			q, listing = q.Where("state IN ?", f.States), listing+fmt.Sprint(" in ", f.States)
		}
		page, err = store.List(tx, q, store.Keyset{Listing: listing, Column: "created_at", Desc: true}, p,
			func(p *models.Package) (any, models.ID) { return p.CreatedAt, p.ID })
		return err
	})
	return page, err
}

// ByIDs returns those of the packages that exist. It needs UPGRADE_READ.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Package, err error) {
	if err := models.Need(ctx, models.UpgradeRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(tx.DB, ids, func(p *models.Package) models.ID { return p.ID })
		return err
	})
	return found, err
}
