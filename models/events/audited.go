package events

import (
	"context"
	"fmt"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// AuditFilter narrows the audit log; what is empty does not.
type AuditFilter struct {
	// Actor and Subject are nil for any; the zero ID is nobody's.
	Actor, Subject *models.ID
	Actions        []string
	Outcomes       []models.AuditOutcome
	// From is inclusive, To is not; zero: open.
	From, To models.Time
}

// maxActions bounds the branches of one statement.
const maxActions = 20

// branches are the ranges of the index that leads with the most telling of the filters; the others are looked at in the rows.
func (f AuditFilter) branches() []branch {
	var lead string
	leading := []any{nil}
	var rest []string
	var args []any
	take := func(column string, values []any) {
		switch {
		case len(values) == 0:
		case lead == "":
			lead, leading = column, values
		default:
			rest, args = append(rest, column+" IN ?"), append(args, values)
		}
	}
	if f.Subject != nil {
		take("subject_id", []any{f.Subject[:]})
	}
	if f.Actor != nil {
		take("actor_id", []any{f.Actor[:]})
	}
	actions := make([]any, len(f.Actions))
	for i, a := range f.Actions {
		actions[i] = a
	}
	take("action", actions)
	outcomes := f.Outcomes
	if len(outcomes) == 0 {
		outcomes = auditOutcomes
	}
	var list []branch
	for _, value := range leading {
		for _, outcome := range outcomes {
			// Only what is part of the chain is shown; written so that no engine takes the index of the sequence for the way to it.
			b := branch{table: tableAudit, at: "at", where: "outcome = ? AND COALESCE(sequence, 0) > 0", args: []any{outcome}}
			if lead != "" {
				b.where, b.args = lead+" = ? AND "+b.where, append([]any{value}, b.args...)
			}
			if len(rest) > 0 {
				b.where, b.args = b.where+" AND "+strings.Join(rest, " AND "), append(b.args, args...)
			}
			list = append(list, b)
		}
	}
	return list
}

// Audited returns a page of the audit log, the newest first. Audit rows have no region, so it needs AUDIT_READ in all of them, else FORBIDDEN.
// BAD_USER_INPUT says which part of the filter is too long, or that a cursor is not of this list.
func (l *Log) Audited(ctx context.Context, f AuditFilter, first int, after string) (page store.Slice[models.AuditEntry], err error) {
	if err := mayAudit(ctx); err != nil {
		return page, err
	}
	if len(f.Actions) > maxActions {
		return page, models.E(models.BadUserInput, fmt.Sprintf("at most %d actions can be looked for at a time", maxActions), "filter", "actions")
	}
	const listing = "audit entries"
	p := place{from: f.From, to: f.To}
	if p.beforeAt, p.before, p.behind, err = l.store.After(listing, after); err != nil {
		return page, err
	}
	err = l.store.View(ctx, func(tx *store.Tx) error {
		lines, err := newest(tx, f.branches(), p, first+1)
		if err != nil {
			return err
		}
		page = store.Slice[models.AuditEntry]{HasPrevious: p.behind, HasNext: len(lines) > first}
		rows, err := moments(tx, lines[:min(len(lines), first)])
		for _, e := range rows {
			page.Items = append(page.Items, *e.Audit)
		}
		return err
	})
	for _, e := range page.Items {
		cursor, err := l.store.Cursor(listing, e.At, e.ID)
		if err != nil {
			return page, err
		}
		page.Cursors = append(page.Cursors, cursor)
	}
	return page, err
}

// AuditByIDs returns those of the entries that exist and are part of the chain. Errors as Audited.
func (l *Log) AuditByIDs(ctx context.Context, ids []models.ID) (found map[models.ID]*models.AuditEntry, err error) {
	if err := mayAudit(ctx); err != nil {
		return nil, err
	}
	err = l.store.View(ctx, func(tx *store.Tx) error {
		found, err = store.ByID(tx.DB.Where("sequence IS NOT NULL"), ids, func(e *models.AuditEntry) models.ID { return e.ID })
		return err
	})
	return found, err
}

func mayAudit(ctx context.Context) error {
	if models.ActorFrom(ctx).Scope(models.AuditRead).All {
		return nil
	}
	return models.E(models.Forbidden, "permission AUDIT_READ is needed in all regions")
}
