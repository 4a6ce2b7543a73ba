package store

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
)

// Page asks for a part of a listing: First after After, or Last before Before. One of First and Last is positive.
type Page struct {
	First, Last   int
	After, Before string
}

// Keyset names a listing and the column it is ordered by; ties are ordered by id.
type Keyset struct {
	// Listing is what a cursor is good for, e.g. "accounts by MSISDN"; a cursor of another one is refused.
	Listing string
	// Column and ID are column names of the query; ID defaults to id.
	Column, ID string
	Desc       bool
}

// Slice is a page of a listing with a cursor for each item.
type Slice[T any] struct {
	Items                []T
	Cursors              []string
	HasNext, HasPrevious bool
}

// position is what a cursor holds: the sort value, a number or a text, and the id.
type position struct {
	Number *int64    `json:"n,omitempty"`
	Text   *string   `json:"t,omitempty"`
	ID     models.ID `json:"i"`
}

// List runs q for one page. key tells the sort value (models.Time, int64 or string) and the id of an item. A forged, foreign or stale
// cursor is BAD_USER_INPUT.
func List[T any](tx *Tx, q *gorm.DB, k Keyset, p Page, key func(*T) (any, models.ID)) (Slice[T], error) {
	if k.ID == "" {
		k.ID = "id"
	}
	backward := p.First == 0 && p.Last > 0
	size := p.First + p.Last
	if p.First > 0 && p.Last > 0 || size <= 0 {
		return Slice[T]{}, models.E(models.BadUserInput, "exactly one of first and last is needed, and it must be positive", "first")
	}
	for name, cursor := range map[string]string{"after": p.After, "before": p.Before} {
		if cursor == "" {
			continue
		}
		at, err := tx.store.openCursor(k.Listing, cursor)
		if err != nil {
			return Slice[T]{}, models.E(models.BadUserInput, "this is not a cursor of this list", name)
		}
		sign := ">"
		if k.Desc != (name == "before") {
			sign = "<"
		}
		q = q.Where(fmt.Sprintf("(%s %s ? OR (%s = ? AND %s %s ?))", k.Column, sign, k.Column, k.ID, sign), at.value(), at.value(), at.ID[:])
	}
	direction := "ASC"
	if k.Desc != backward {
		direction = "DESC"
	}
	var items []T
	if err := q.Order(fmt.Sprintf("%s %s, %s %s", k.Column, direction, k.ID, direction)).Limit(size + 1).Find(&items).Error; err != nil {
		return Slice[T]{}, fmt.Errorf("list %s: %w", k.Listing, err)
	}
	more := len(items) > size
	if more {
		items = items[:size]
	}
	s := Slice[T]{Items: items, HasNext: more, HasPrevious: p.After != ""}
	if backward {
		slices.Reverse(items)
		s.HasNext, s.HasPrevious = p.Before != "", more
	}
	for i := range items {
		value, id := key(&items[i])
		cursor, err := tx.store.Cursor(k.Listing, value, id)
		if err != nil {
			return Slice[T]{}, err
		}
		s.Cursors = append(s.Cursors, cursor)
	}
	return s, nil
}

// ByID returns those of the rows of q that have one of the ids. No id is no statement.
func ByID[T any](q *gorm.DB, ids []models.ID, id func(*T) models.ID) (map[models.ID]*T, error) {
	found := make(map[models.ID]*T, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var rows []T
	if err := q.Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read %T by id: %w", *new(T), err)
	}
	for i := range rows {
		found[id(&rows[i])] = &rows[i]
	}
	return found, nil
}

func (p position) value() any {
	if p.Text != nil {
		return *p.Text
	}
	return *p.Number
}

const cursorTag = 8

// Cursor makes the opaque cursor of an item: its position under a tag that only this deployment can make.
func (s *Store) Cursor(listing string, value any, id models.ID) (string, error) {
	p := position{ID: id}
	switch v := value.(type) {
	case string:
		p.Text = &v
	case int64:
		p.Number = &v
	case models.Time:
		n := int64(v)
		p.Number = &n
	default:
		return "", fmt.Errorf("list %s: cannot order by %T", listing, value)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(s.cursorTag(listing, body), body...)), nil
}

// After is the time and the id of the item whose cursor, made of a models.Time, After of the page holds: for listings that List cannot run.
// ok is false for no cursor; a forged or foreign one is BAD_USER_INPUT.
func (s *Store) After(listing, cursor string) (at models.Time, id models.ID, ok bool, err error) {
	if cursor == "" {
		return 0, id, false, nil
	}
	p, err := s.openCursor(listing, cursor)
	if err != nil || p.Number == nil {
		return 0, id, false, models.E(models.BadUserInput, "this is not a cursor of this list", "after")
	}
	return models.Time(*p.Number), p.ID, true, nil
}

func (s *Store) openCursor(listing, cursor string) (p position, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < cursorTag || !hmac.Equal(raw[:cursorTag], s.cursorTag(listing, raw[cursorTag:])) {
		return p, fmt.Errorf("list %s: a forged or foreign cursor", listing)
	}
	if err := json.Unmarshal(raw[cursorTag:], &p); err != nil || (p.Number == nil) == (p.Text == nil) {
		return p, fmt.Errorf("list %s: a cursor without position", listing)
	}
	return p, nil
}

func (s *Store) cursorTag(listing string, body []byte) []byte {
	sum := s.HMAC("cursor", listing+"\x00"+string(body))
	return sum[:cursorTag]
}

// CountTo counts the rows of q up to limit; exact is false if there are more.
func CountTo(tx *Tx, q *gorm.DB, limit int) (n int64, exact bool, err error) {
	inner := q.Session(&gorm.Session{}).Select("1").Limit(limit + 1)
	if err := tx.DB.Table("(?) AS counted", inner).Count(&n).Error; err != nil {
		return 0, false, fmt.Errorf("count: %w", err)
	}
	return min(n, int64(limit)), n <= int64(limit), nil
}
