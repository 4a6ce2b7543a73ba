package events

import (
	"context"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Disclosures in one audit row; their ids fit its column.
const maxDisclosed = 500

// Disclosed writes to the audit log that the actor was shown sensitive fields of these rows, unmasked. Action is what was asked. One row is
// its own subject, several stand in the changes.
func (l *Log) Disclosed(ctx context.Context, action string, rows []models.Subject, fields []string) error {
	return l.store.InTx(ctx, func(tx *store.Tx) error {
		for part := range slices.Chunk(rows, maxDisclosed) {
			e := models.AuditEntry{Action: clip(action), Outcome: models.AuditDisclosed, Changes: models.DocOf(map[string]any{"fields": fields})}
			if len(part) == 1 {
				e.Subject = part[0]
			} else {
				byKind := map[models.Kind][]models.ID{}
				for _, s := range part {
					byKind[s.Kind] = append(byKind[s.Kind], s.ID)
				}
				e.Changes.V["subjects"] = byKind
			}
			if err := Audit(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// clip cuts to the width of audit_entries.action.
func clip(action string) string { return action[:min(len(action), 64)] }
