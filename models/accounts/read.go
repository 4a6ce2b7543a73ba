package accounts

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// first runs q for one account; nil if there is none.
func first(q *gorm.DB) (*models.Account, error) {
	var rows []models.Account
	if err := q.Limit(1).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read an account: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// Load reads an account by its id; nil if there is none. It asks nobody's permission: it is for the south.
func Load(tx *store.Tx, id models.ID) (*models.Account, error) {
	return first(tx.DB.Where("id = ?", id))
}

// ForNumber finds the account that a number means: the one that has it, else the one that last had it; nil if nobody ever did. It asks
// nobody's permission: it is for the south.
func ForNumber(tx *store.Tx, n models.Number) (*models.Account, error) { return forNumber(tx.DB, n) }

// LockForNumber is ForNumber and holds the row until the commit.
func LockForNumber(tx *store.Tx, n models.Number) (*models.Account, error) {
	return forNumber(tx.Locked(), n)
}

func forNumber(q *gorm.DB, n models.Number) (*models.Account, error) {
	return first(q.Where("msisdn = ?", n).Order("CASE WHEN live_msisdn IS NULL THEN 1 ELSE 0 END, state_changed_at DESC, id DESC"))
}

// find finds what ref names; nil if nothing.
func find(q *gorm.DB, ref Ref) (*models.Account, error) {
	switch {
	case !ref.ID.IsZero():
		return first(q.Where("id = ?", ref.ID))
	case ref.ExternalID != "":
		return first(q.Where("external_id = ?", ref.ExternalID))
	case ref.Msisdn != "":
		return forNumber(q, ref.Msisdn)
	case ref.IMPU != "":
		return first(q.Where("id IN (SELECT account_id FROM account_impus WHERE impu = ?)", ref.IMPU))
	}
	return nil, nil
}

// ByRef returns the account that ref names; nil if there is none in the regions in which the actor may read accounts.
func (r *Room) ByRef(ctx context.Context, ref Ref) (a *models.Account, err error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		a, err = find(tx.DB, ref)
		return err
	})
	if err != nil || a == nil || !models.ActorFrom(ctx).Scope(models.AccountRead).Covers(a.Region) {
		return nil, err
	}
	return a, nil
}

// ByIDs returns those of the accounts that exist in the regions in which the actor may read accounts, by id.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Account, err error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(inScope(ctx, tx.DB), ids, func(row *models.Account) models.ID { return row.ID })
		return err
	})
	return found, err
}

func inScope(ctx context.Context, q *gorm.DB) *gorm.DB {
	return store.InScope(q, "region", models.ActorFrom(ctx).Scope(models.AccountRead))
}

// Filter narrows a list; what is empty does not.
type Filter struct {
	States []models.AccountState
	Region string
	// MsisdnPrefix is the beginning of a number, with or without its plus.
	MsisdnPrefix string
	// Text is looked for in the external id, the number, the name and the private identity.
	Text string
	// UpdatedFrom is inclusive, UpdatedTo is not.
	UpdatedFrom, UpdatedTo models.Time
}

var prefix = regexp.MustCompile(`^\+?[0-9]{0,15}$`)

// maxText is the longest text that any of the columns could contain.
const maxText = maxDisplayName

func (f Filter) apply(q *gorm.DB) (*gorm.DB, error) {
	if utf8.RuneCountInString(f.Text) > maxText { // SQLite refuses long patterns
		return nil, models.E(models.BadUserInput, fmt.Sprintf("the text to look for has at most %d characters", maxText), "filter", "text")
	}
	if !prefix.MatchString(f.MsisdnPrefix) {
		return nil, models.E(models.BadUserInput, "the beginning of a number is up to 15 digits", "filter", "msisdnPrefix")
	}
	if len(f.States) > 0 {
		q = q.Where("state IN ?", f.States)
	}
	if f.Region != "" {
		q = q.Where("region = ?", f.Region)
	}
	if digits := strings.TrimPrefix(f.MsisdnPrefix, "+"); digits != "" {
		q = q.Where("msisdn LIKE ? ESCAPE '!'", store.LikePrefix(digits))
	}
	if f.Text != "" {
		like := store.LikeContains(strings.ToLower(f.Text)) // SQLite's LIKE ignores case, MySQL's does not
		q = q.Where("(LOWER(external_id) LIKE ? ESCAPE '!' OR msisdn LIKE ? ESCAPE '!' OR LOWER(display_name) LIKE ? ESCAPE '!' OR LOWER(impi) LIKE ? ESCAPE '!')",
			like, store.LikeContains(strings.TrimPrefix(f.Text, "+")), like, like)
	}
	if !f.UpdatedFrom.IsZero() {
		q = q.Where("updated_at >= ?", f.UpdatedFrom)
	}
	if !f.UpdatedTo.IsZero() {
		q = q.Where("updated_at < ?", f.UpdatedTo)
	}
	return q, nil
}

// Sort orders a list.
type Sort string

// The orders of the schema.
const (
	ByCreation Sort = "CREATED_AT"
	ByChange   Sort = "UPDATED_AT"
	ByMsisdn   Sort = "MSISDN"
)

// orders says by which column and value a list is ordered.
var orders = map[Sort]struct {
	column string
	key    func(*models.Account) (any, models.ID)
}{
	ByCreation: {"created_at", func(a *models.Account) (any, models.ID) { return a.CreatedAt, a.ID }},
	ByChange:   {"updated_at", func(a *models.Account) (any, models.ID) { return a.UpdatedAt, a.ID }},
	ByMsisdn:   {"msisdn", func(a *models.Account) (any, models.ID) { return string(a.Msisdn), a.ID }},
}

// List returns a page of the accounts in the regions in which the actor may read accounts.
func (r *Room) List(ctx context.Context, f Filter, sort Sort, descending bool, page store.Page) (list store.Slice[models.Account], err error) {
	order, known := orders[sort]
	if !known {
		return list, models.E(models.BadUserInput, "accounts cannot be sorted by that", "sort")
	}
	err = r.query(ctx, f, func(tx *store.Tx, q *gorm.DB) (err error) {
		keyset := store.Keyset{Listing: "accounts by " + string(sort), Column: order.column, Desc: descending}
		list, err = store.List(tx, q, keyset, page, order.key)
		return err
	})
	return list, err
}

// maxCount is how far a total is counted (resolutions 76).
const maxCount = 10_000

// Count counts the accounts that List would list; nil if there are more than 10,000.
func (r *Room) Count(ctx context.Context, f Filter) (total *int64, err error) {
	err = r.query(ctx, f, func(tx *store.Tx, q *gorm.DB) error {
		n, exact, err := store.CountTo(tx, q.Model(&models.Account{}), maxCount)
		if exact {
			total = &n
		}
		return err
	})
	return total, err
}

func (r *Room) query(ctx context.Context, f Filter, run func(tx *store.Tx, q *gorm.DB) error) error {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return err
	}
	return r.store.View(ctx, func(tx *store.Tx) error {
		q, err := f.apply(inScope(ctx, tx.DB))
		if err != nil {
			return err
		}
		return run(tx, q)
	})
}
