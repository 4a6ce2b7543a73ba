package events

import (
	"context"
	"fmt"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// What happened is read backwards by time, not by position: events and audit rows have no position in common. Each branch below reads at most
// one page from the end of one range of an index, so what is examined grows with the page and not with the log.

// HistoryFilter narrows the history of an account.
type HistoryFilter struct {
	// Types of events; none: no events.
	Types []models.EventType
	// Deeds: what people and programs, not devices, did to the account, from the audit log.
	Deeds bool
	// From is inclusive, To is not; zero: open.
	From, To models.Time
}

// Moment is one line of a history: an event or an audit row, the other is nil.
type Moment struct {
	Event *models.Event
	// EventCursor is the event's place in the log, empty until it has one.
	EventCursor string
	Audit       *models.AuditEntry
}

// when is the line's place in time.
func (e Moment) when() (models.Time, models.ID) {
	if e.Event != nil {
		return e.Event.OccurredAt, e.Event.ID
	}
	return e.Audit.At, e.Audit.ID
}

// branch is one range of an index.
type branch struct {
	table, at string
	where     string
	args      []any
}

// line is what a branch yields: the row n of a table.
type line struct {
	Source string
	N      int64
}

// place bounds what is read: before an item, and within a span of time.
type place struct {
	from, to models.Time
	beforeAt models.Time
	before   models.ID
	behind   bool // an item is given
}

// newest reads the newest lines of all branches together, at most limit, in one statement.
func newest(tx *store.Tx, branches []branch, p place, limit int) (lines []line, err error) {
	if len(branches) == 0 {
		return nil, nil
	}
	parts, args := make([]string, len(branches)), []any(nil)
	for i, b := range branches {
		where := b.where
		args = append(args, b.args...)
		and := func(condition string, values ...any) {
			where += " AND " + strings.ReplaceAll(condition, "AT", b.at)
			args = append(args, values...)
		}
		if !p.from.IsZero() {
			and("AT >= ?", p.from)
		}
		if !p.to.IsZero() {
			and("AT < ?", p.to)
		}
		if p.behind { // the first half bounds the range of the index
			and("AT <= ? AND (AT < ? OR id < ?)", p.beforeAt, p.beforeAt, p.before[:])
		}
		parts[i] = fmt.Sprintf("SELECT '%s' AS source, n, moment, id FROM (SELECT n, %s AS moment, id FROM %s WHERE %s ORDER BY %s DESC, id DESC LIMIT %d) AS part%d",
			b.table, b.at, b.table, where, b.at, limit, i)
	}
	query := "SELECT source, n FROM (" + strings.Join(parts, " UNION ALL ") + ") AS lines_found ORDER BY moment DESC, id DESC LIMIT ?"
	if err := tx.DB.Raw(query, append(args, limit)...).Scan(&lines).Error; err != nil {
		return nil, fmt.Errorf("read the log backwards: %w", err)
	}
	return lines, nil
}

const (
	tableEvents = "events"
	tableAudit  = "audit_entries"
)

// auditOutcomes lists every outcome of the schema.
var auditOutcomes = []models.AuditOutcome{models.AuditSuccess, models.AuditDenied, models.AuditFailed, models.AuditDisclosed}

// History returns what happened to an account, newest first: its events, and what was done to it. It needs EVENT_READ in the account's region, else
// FORBIDDEN: the history goes with the account, wherever it was when something happened. A forged cursor is BAD_USER_INPUT.
func (l *Log) History(ctx context.Context, a *models.Account, f HistoryFilter, first int, after string) (page store.Slice[Moment], err error) {
	if !models.ActorFrom(ctx).Scope(models.EventRead).Covers(a.Region) {
		return page, models.E(models.Forbidden, "permission EVENT_READ is needed in the account's region")
	}
	listing := "history of " + a.ID.String()
	p := place{from: f.From, to: f.To}
	if p.beforeAt, p.before, p.behind, err = l.store.After(listing, after); err != nil {
		return page, err
	}
	var branches []branch
	for _, t := range f.Types {
		branches = append(branches, branch{table: tableEvents, at: "occurred_at", where: "account_id = ? AND type = ?", args: []any{a.ID, t}})
	}
	if f.Deeds {
		branches = append(branches, branch{table: tableAudit, at: "at", where: "subject_id = ? AND outcome = ? AND actor_kind <> ?",
			args: []any{a.ID, models.AuditSuccess, models.DeviceActor}}) // what a device did is in its events
	}
	err = l.store.View(ctx, func(tx *store.Tx) error {
		lines, err := newest(tx, branches, p, first+1)
		if err != nil {
			return err
		}
		page = store.Slice[Moment]{HasPrevious: p.behind, HasNext: len(lines) > first}
		page.Items, err = moments(tx, lines[:min(len(lines), first)])
		return err
	})
	for _, e := range page.Items {
		at, id := e.when()
		cursor, err := l.store.Cursor(listing, at, id)
		if err != nil {
			return page, err
		}
		page.Cursors = append(page.Cursors, cursor)
	}
	return page, err
}

// moments reads the rows of lines, in their order.
func moments(tx *store.Tx, lines []line) ([]Moment, error) {
	var happened []models.Event
	var done []models.AuditEntry
	numbers := map[string][]int64{}
	for _, x := range lines {
		numbers[x.Source] = append(numbers[x.Source], x.N)
	}
	h := head{}
	if n := numbers[tableEvents]; len(n) > 0 {
		if err := tx.DB.Where("n IN ?", n).Find(&happened).Error; err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		var err error
		if h, err = readHead(tx.DB); err != nil {
			return nil, err
		}
	}
	if n := numbers[tableAudit]; len(n) > 0 {
		if err := tx.DB.Where("n IN ?", n).Find(&done).Error; err != nil {
			return nil, fmt.Errorf("read audit entries: %w", err)
		}
	}
	found := make(map[line]Moment, len(lines))
	for i := range happened {
		e := Moment{Event: &happened[i]}
		if position := happened[i].Position; position != nil {
			e.EventCursor = cursorAt(h.Epoch, *position)
		}
		found[line{tableEvents, happened[i].N}] = e
	}
	for i := range done {
		found[line{tableAudit, done[i].N}] = Moment{Audit: &done[i]}
	}
	list := make([]Moment, 0, len(lines))
	for _, x := range lines {
		if e, ok := found[x]; ok { // retention may have been faster
			list = append(list, e)
		}
	}
	return list, nil
}
