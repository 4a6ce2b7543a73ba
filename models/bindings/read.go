package bindings

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// parent is the column by which a list of bindings belongs to a node.
type parent string

const (
	ofAccount parent = "account_id"
	ofDevice  parent = "device_id"
)

func (p parent) of(b *models.Binding) models.ID {
	if p == ofAccount {
		return b.AccountID
	}
	return b.DeviceID
}

// listing is what a cursor is good for: the bindings of one node, in any state.
func (p parent) listing(id models.ID) string { return "bindings by " + string(p) + " " + id.String() }

func position(b *models.Binding) (any, models.ID) { return b.CreatedAt, b.ID }

// ByAccount lists the bindings of an account, the oldest first; an empty state means all. It needs DEVICE_READ.
func (r *Room) ByAccount(ctx context.Context, account models.ID, state models.BindingState, page store.Page) (store.Slice[models.Binding], error) {
	return r.list(ctx, ofAccount, account, state, page)
}

// ByDevice is ByAccount for a device.
func (r *Room) ByDevice(ctx context.Context, device models.ID, state models.BindingState, page store.Page) (store.Slice[models.Binding], error) {
	return r.list(ctx, ofDevice, device, state, page)
}

func (r *Room) list(ctx context.Context, p parent, id models.ID, state models.BindingState, page store.Page) (list store.Slice[models.Binding], err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return list, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := inScope(ctx, tx.DB.Where(string(p)+" = ?", id))
		if state != "" {
			q = q.Where("state = ?", state)
		}
		list, err = store.List(tx, q, store.Keyset{Listing: p.listing(id), Column: "created_at"}, page, position)
		return err
	})
	return list, err
}

// ForAccounts returns the first page of ByAccount for each account, in one statement; an account without bindings is left out.
func (r *Room) ForAccounts(ctx context.Context, accounts []models.ID, state models.BindingState, first int) (map[models.ID]store.Slice[models.Binding], error) {
	return r.firstOfEach(ctx, ofAccount, accounts, state, first)
}

// ForDevices is ForAccounts for devices.
func (r *Room) ForDevices(ctx context.Context, devices []models.ID, state models.BindingState, first int) (map[models.ID]store.Slice[models.Binding], error) {
	return r.firstOfEach(ctx, ofDevice, devices, state, first)
}

func (r *Room) firstOfEach(ctx context.Context, p parent, ids []models.ID, state models.BindingState, first int) (map[models.ID]store.Slice[models.Binding], error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return nil, err
	}
	if first <= 0 {
		return nil, models.E(models.BadUserInput, "first must be positive", "first")
	}
	found := make(map[models.ID]store.Slice[models.Binding], len(ids))
	err := r.store.View(ctx, func(tx *store.Tx) error {
		ranked := inScope(ctx, tx.DB.Model(&models.Binding{}).
			Select(fmt.Sprintf("bindings.*, ROW_NUMBER() OVER (PARTITION BY %s ORDER BY created_at, id) AS place", p)).
			Where(string(p)+" IN ?", ids))
		if state != "" {
			ranked = ranked.Where("state = ?", state)
		}
		var rows []models.Binding
		if err := tx.DB.Table("(?) AS ranked", ranked).Where("place <= ?", first+1).Order("created_at, id").Find(&rows).Error; err != nil {
			return fmt.Errorf("read bindings: %w", err)
		}
		for i := range rows {
			id := p.of(&rows[i])
			page := found[id]
			if page.HasNext = len(page.Items) == first; !page.HasNext {
				cursor, err := r.store.Cursor(p.listing(id), rows[i].CreatedAt, rows[i].ID)
				if err != nil {
					return err
				}
				page.Items, page.Cursors = append(page.Items, rows[i]), append(page.Cursors, cursor)
			}
			found[id] = page
		}
		return nil
	})
	return found, err
}

// ByIDs returns the bindings that exist in the regions in which the actor may read devices.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Binding, err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(inScope(ctx, tx.DB), ids, func(row *models.Binding) models.ID { return row.ID })
		return err
	})
	return found, err
}
