package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Identity is who a device says it is.
type Identity struct{ OUI, ProductClass, SerialNumber string }

// Ref names a device by its id or by its identity.
type Ref struct {
	ID       models.ID
	Identity *Identity
}

// Where limits q to the device that ref names.
func (ref Ref) Where(q *gorm.DB) *gorm.DB {
	if ref.Identity != nil {
		return q.Where("device_key = ?", models.DeviceKeyOf(ref.Identity.OUI, ref.Identity.ProductClass, ref.Identity.SerialNumber))
	}
	return q.Where("id = ?", ref.ID)
}

// LockByRef reads the device that ref names and holds its row. A device outside the regions in which the actor holds p is NOT_FOUND, like one
// that does not exist (resolutions 68).
func LockByRef(tx *store.Tx, ref Ref, p models.Permission) (*models.Device, error) {
	return take(store.InScope(ref.Where(tx.Locked()), "region", models.ActorFrom(tx.Context()).Scope(p)))
}

// ByRef returns the device, nil if it does not exist or is out of scope.
func (r *Room) ByRef(ctx context.Context, ref Ref) (*models.Device, error) {
	var found []models.Device
	err := r.view(ctx, func(q *gorm.DB) error { return ref.Where(q).Limit(1).Find(&found).Error })
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// ByIDs returns those of the devices that exist and are in scope.
func (r *Room) ByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.Device, err error) {
	err = r.view(ctx, func(q *gorm.DB) (err error) {
		found, err = store.ByID(q, ids, func(d *models.Device) models.ID { return d.ID })
		return err
	})
	return found, err
}

// view runs f on the devices that the actor may read.
func (r *Room) view(ctx context.Context, f func(q *gorm.DB) error) error {
	scope := models.ActorFrom(ctx).Scope(models.DeviceRead)
	err := r.store.View(ctx, func(tx *store.Tx) error { return f(store.InScope(tx.DB.Model(&models.Device{}), "region", scope)) })
	if err != nil {
		return fmt.Errorf("read devices: %w", err)
	}
	return nil
}

// Filter narrows a listing; an empty list does not narrow.
type Filter struct {
	ClientTypes      []models.ClientType
	Models           []string
	SoftwareVersions []string
	TagsAll          []string
	TagsAny          []string
	Reachability     []models.Reachability
	Regions          []string
	// BoundTo is the account of the newest binding that is not removed.
	BoundTo *models.ID
	IDs     []models.ID
	// Text is how the serial number begins.
	Text string
}

// Sort is a column by which devices are listed.
type Sort string

// The sorts of the schema.
const (
	ByCreatedAt    Sort = "CREATED_AT"
	ByLastInformAt Sort = "LAST_INFORM_AT"
	BySerialNumber Sort = "SERIAL_NUMBER"
)

// listed is a device with what it may be sorted by.
type listed struct {
	models.Device `gorm:"embedded"`
	LastInformAt  models.Time
}

// List returns a page of the devices in scope.
func (r *Room) List(ctx context.Context, f Filter, by Sort, desc bool, p store.Page) (page store.Slice[models.Device], err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return page, err
	}
	k := store.Keyset{Listing: "devices by " + string(by), Column: "devices.created_at", ID: "devices.id", Desc: desc}
	key := func(l *listed) (any, models.ID) { return l.CreatedAt, l.ID }
	switch by {
	case BySerialNumber:
		k.Column = "devices.serial_number"
		key = func(l *listed) (any, models.ID) { return l.SerialNumber, l.ID }
	case ByLastInformAt:
		// Both columns are those of the presence index.
		k.Column, k.ID = "device_presence.last_inform_at", "device_presence.device_id"
		key = func(l *listed) (any, models.ID) { return l.LastInformAt, l.ID }
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		rows, err := store.List(tx, r.filtered(tx, f, by == ByLastInformAt), k, p, key)
		if err != nil {
			return err
		}
		page = store.Slice[models.Device]{Cursors: rows.Cursors, HasNext: rows.HasNext, HasPrevious: rows.HasPrevious}
		for _, l := range rows.Items {
			page.Items = append(page.Items, l.Device)
		}
		return nil
	})
	return page, err
}

// countLimit is how far totals are exact (resolutions 76).
const countLimit = 10_000

// Count returns how many devices in scope pass the filter; exact is false beyond 10,000.
func (r *Room) Count(ctx context.Context, f Filter) (n int64, exact bool, err error) {
	if err := models.Need(ctx, models.DeviceRead); err != nil {
		return 0, false, err
	}
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		n, exact, err = store.CountTo(tx, r.filtered(tx, f, false), countLimit)
		return err
	})
	return n, exact, err
}

// Matching selects the devices that pass the filter and that the actor may read, from the table devices; give it the columns to select.
func (r *Room) Matching(tx *store.Tx, f Filter) *gorm.DB { return r.filtered(tx, f, false) }

func (r *Room) filtered(tx *store.Tx, f Filter, withPresence bool) *gorm.DB {
	q := tx.DB.Table("devices")
	if withPresence || len(f.Reachability) > 0 {
		q = q.Joins("JOIN device_presence ON device_presence.device_id = devices.id").Select("devices.*, device_presence.last_inform_at")
	} else {
		q = q.Select("devices.*")
	}
	q = store.InScope(q, "devices.region", models.ActorFrom(tx.Context()).Scope(models.DeviceRead))
	q = oneOf(q, "devices.client_type", f.ClientTypes)
	q = oneOf(q, "devices.model", f.Models)
	q = oneOf(q, "devices.software_version", f.SoftwareVersions)
	q = oneOf(q, "devices.region", f.Regions)
	q = oneOf(q, "devices.id", f.IDs)
	for _, tag := range f.TagsAll {
		q = q.Where("INSTR(devices.tags, ?) > 0", quoted(tag))
	}
	if len(f.TagsAny) > 0 {
		tagged := tx.DB.Where("1 = 0")
		for _, tag := range f.TagsAny {
			tagged = tagged.Or("INSTR(devices.tags, ?) > 0", quoted(tag))
		}
		q = q.Where(tagged)
	}
	if f.BoundTo != nil {
		q = q.Where("devices.account_id = ?", *f.BoundTo)
	}
	if f.Text != "" {
		// A range, not LIKE: it uses the index and both engines compare by character.
		q = q.Where("devices.serial_number >= ? AND devices.serial_number < ?", f.Text, f.Text+"\U0010FFFF")
	}
	if len(f.Reachability) > 0 {
		q = q.Where(r.reachable(tx, f.Reachability))
	}
	return q
}

func oneOf[T any](q *gorm.DB, column string, values []T) *gorm.DB {
	if len(values) == 0 {
		return q
	}
	return q.Where(column+" IN ?", values)
}

// quoted is the tag as it stands in the JSON of devices.tags.
func quoted(tag string) string {
	text, err := json.Marshal(tag)
	if err != nil {
		return `""` // a text always marshals
	}
	return string(text)
}

// reachable is Reachability in SQL: STALE is ONLINE with a heartbeat that is late.
func (r *Room) reachable(tx *store.Tx, wanted []models.Reachability) *gorm.DB {
	interval, grace, intervals, graces := strings.Builder{}, strings.Builder{}, []any{}, []any{}
	interval.WriteString("CASE WHEN devices.heartbeat_seconds > 0 THEN devices.heartbeat_seconds * 1000 ")
	grace.WriteString("CASE ")
	for _, t := range []models.ClientType{models.PC, models.Mobile, models.MagicScreen, models.Generic} {
		interval.WriteString("WHEN devices.client_type = ? THEN ? ")
		grace.WriteString("WHEN devices.client_type = ? THEN ? ")
		intervals = append(intervals, t, r.heartbeat[t].Interval.Milliseconds())
		graces = append(graces, t, r.heartbeat[t].Grace.Milliseconds())
	}
	const heard = "CASE WHEN devices.reachability_at > device_presence.last_inform_at THEN devices.reachability_at ELSE device_presence.last_inform_at END"
	late := heard + " > 0 AND " + heard + " + " + interval.String() + "ELSE 0 END + " +
		grace.String() + "ELSE 0 END < ?"
	args := append(append(intervals, graces...), tx.Now)
	q := tx.DB.Where("1 = 0")
	for _, state := range slices.Compact(slices.Sorted(slices.Values(wanted))) {
		switch state {
		case models.Stale:
			q = q.Or("devices.reachability = ? AND "+late, append([]any{models.Online}, args...)...)
		case models.Online:
			q = q.Or("devices.reachability = ? AND NOT ("+late+")", append([]any{models.Online}, args...)...)
		default:
			q = q.Or("devices.reachability = ?", state)
		}
	}
	return q
}

// Parameters returns a page of the parameters of a device in scope whose path begins with prefix, by path. A parameter whose Type is empty is
// known by name only.
func (r *Room) Parameters(ctx context.Context, deviceID models.ID, prefix string, p store.Page) (page store.Slice[models.DeviceParameter], err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		q := ofDevice(tx, tx.DB.Model(&models.DeviceParameter{}), deviceID)
		if prefix != "" {
			q = q.Where("path >= ? AND path < ?", prefix, prefix+"\U0010FFFF")
		}
		k := store.Keyset{Listing: "parameters of " + deviceID.String(), Column: "path", ID: "device_id"}
		page, err = store.List(tx, q, k, p, func(d *models.DeviceParameter) (any, models.ID) { return d.Path, d.DeviceID })
		return err
	})
	return page, err
}
