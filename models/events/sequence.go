package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// head is the one row of log_head: its lock is the mutex of all sequencers.
type head struct {
	Epoch         int64
	Position      int64
	AuditSequence int64
	AuditHash     []byte
}

func readHead(db *gorm.DB) (h head, err error) {
	if err := db.Table("log_head").Where("id = 1").Take(&h).Error; err != nil {
		return h, fmt.Errorf("read the head of the log: %w", err)
	}
	return h, nil
}

// A cursor is epoch and position, opaque to the north.
func cursorAt(epoch, position int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", epoch, position))
}

// resolve returns the position after which to read; the start of what is kept for no cursor.
func (h head) resolve(cursor string, horizon int64) (int64, error) {
	if cursor == "" {
		return horizon, nil
	}
	var epoch, position int64
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d.%d", &epoch, &position)
	}
	if err != nil || cursorAt(epoch, position) != cursor || epoch < 1 || position < 0 || epoch > h.Epoch || epoch == h.Epoch && position > h.Position {
		return 0, models.E(models.BadUserInput, "this is not a cursor of this event log", "after")
	}
	expired := &models.Error{Code: models.CursorExpired, Message: "events after this cursor are no longer kept", Field: []string{"after"}, Horizon: cursorAt(h.Epoch, horizon), Reason: "RETENTION"}
	switch {
	case epoch < h.Epoch:
		expired.Message, expired.Reason = "the database was restored after this cursor was given out", "RESTORED"
		return 0, expired
	case position < horizon:
		return 0, expired
	}
	return position, nil
}

const (
	pollEvery = 250 * time.Millisecond
	chunk     = 500
)

// Run sequences after each commit of this process and every 250 ms, and reads what was sequenced here or elsewhere for those who follow, until ctx
// ends; then it sequences once more, so that what was committed is readable.
func (l *Log) Run(ctx context.Context) {
	sequence := func(ctx context.Context) {
		if err := l.Sequence(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "sequence the log", "error", err)
		}
	}
	var delivering sync.WaitGroup
	delivering.Go(func() { l.store.Loop(ctx, headTopic, pollEvery, l.deliver) })
	l.store.Loop(ctx, topic, pollEvery, sequence)
	delivering.Wait()
	sequence(context.WithoutCancel(ctx))
}

// Sequence numbers everything that is committed and unnumbered. Any replica may run it at any time: a row that commits late gets a later
// position, so a reader who saw position p has seen every event up to p.
func (l *Log) Sequence(ctx context.Context) error {
	for {
		waiting, err := l.unnumbered(ctx)
		if err != nil || !waiting {
			return err
		}
		if err := l.store.InTx(ctx, sequence); err != nil {
			return fmt.Errorf("sequence: %w", err)
		}
	}
}

// unnumbered looks before it locks: an idle log costs two index probes a poll and no write.
func (l *Log) unnumbered(ctx context.Context) (waiting bool, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		const probe = "SELECT EXISTS(SELECT 1 FROM events WHERE position IS NULL) OR EXISTS(SELECT 1 FROM audit_entries WHERE sequence IS NULL)"
		return tx.DB.Raw(probe).Scan(&waiting).Error
	})
	return waiting, err
}

func sequence(tx *store.Tx) error {
	// The write comes first: it takes the row's lock before anything is read.
	if err := tx.DB.Exec("UPDATE log_head SET position = position WHERE id = 1").Error; err != nil {
		return err
	}
	h, err := readHead(tx.DB)
	if err != nil {
		return err
	}
	if err := numberEvents(tx, &h); err != nil {
		return err
	}
	if err := chainAudit(tx, &h); err != nil {
		return err
	}
	return tx.DB.Table("log_head").Where("id = 1").Updates(map[string]any{
		"position": h.Position, "audit_sequence": h.AuditSequence, "audit_hash": h.AuditHash,
	}).Error
}

func numberEvents(tx *store.Tx, h *head) error {
	var ns []int64
	if err := tx.DB.Model(&models.Event{}).Where("position IS NULL").Order("n").Limit(chunk).Pluck("n", &ns).Error; err != nil {
		return err
	}
	if len(ns) == 0 {
		return nil
	}
	tx.Wake(headTopic)
	// One statement for all of them: UPDATE … SET position = CASE n WHEN … THEN … END.
	var cases strings.Builder
	args := make([]any, 0, 2*len(ns)+1)
	for _, n := range ns {
		h.Position++
		cases.WriteString(" WHEN ? THEN ?")
		args = append(args, n, h.Position)
	}
	return tx.DB.Exec("UPDATE events SET position = CASE n"+cases.String()+" END WHERE n IN ?", append(args, ns)...).Error
}

func chainAudit(tx *store.Tx, h *head) error {
	entries, err := gorm.G[models.AuditEntry](tx.DB).Where("sequence IS NULL").Order("n").Limit(chunk).Find(tx.Context())
	if err != nil {
		return err
	}
	for _, e := range entries {
		h.AuditSequence++
		hash, err := hashEntry(h.AuditHash, h.AuditSequence, e)
		if err != nil {
			return err
		}
		err = tx.DB.Model(&models.AuditEntry{}).Where("n = ?", e.N).
			Updates(map[string]any{"sequence": h.AuditSequence, "previous_hash": h.AuditHash, "hash": hash}).Error
		if err != nil {
			return err
		}
		h.AuditHash = hash
	}
	return nil
}

// hashEntry is SHA-256(previous hash ‖ canonical entry); the canonical entry is a JSON array of the columns in their order.
func hashEntry(previous []byte, sequence int64, e models.AuditEntry) ([]byte, error) {
	canonical, err := json.Marshal([]any{sequence, e.ID, e.At, e.ActorKind, e.ActorID, e.ActorName, e.OnBehalfOf, e.Action,
		e.Subject.Kind, e.Subject.ID, e.Outcome, e.ErrorCode, e.Changes, e.RemoteAddress, e.RequestID})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(append([]byte{}, previous...), canonical...))
	return sum[:], nil
}

// AuditHead is the newest entry of the audit chain. Whoever keeps a copy of it elsewhere can tell later that nothing before it was changed or
// taken away.
type AuditHead struct {
	Sequence int64
	Hash     [sha256.Size]byte
}

// String is the sequence, a colon and the hash in hex.
func (h AuditHead) String() string { return fmt.Sprintf("%d:%x", h.Sequence, h.Hash) }

// ParseAuditHead reads what String wrote.
func ParseAuditHead(text string) (h AuditHead, err error) {
	sequence, hash, _ := strings.Cut(text, ":")
	raw, hexErr := hex.DecodeString(hash)
	h.Sequence, err = strconv.ParseInt(sequence, 10, 64)
	if err != nil || hexErr != nil || len(raw) != len(h.Hash) || h.Sequence < 0 {
		return h, fmt.Errorf("%q is not a sequence, a colon and 64 hex digits", text)
	}
	copy(h.Hash[:], raw)
	return h, nil
}

// BrokenChain says where the audit chain does not hold.
type BrokenChain struct {
	Sequence int64 // of the first entry that was changed or is missing
	Why      string
}

func (e *BrokenChain) Error() string { return fmt.Sprintf("audit entry %d %s", e.Sequence, e.Why) }

// VerifyAudit walks the audit log from its start to its end and returns the last entry that holds. A *BrokenChain names the first that does
// not: one that was changed, one that is missing, the ones at the end too as long as log_head knows of them, or one that is not what its copy
// in kept says; the zero kept says nothing.
func (l *Log) VerifyAudit(ctx context.Context, kept AuditHead) (held AuditHead, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		// What is written during the walk only comes after this head.
		newest, err := readHead(tx.DB)
		if err != nil {
			return err
		}
		ends := []AuditHead{{Sequence: newest.AuditSequence, Hash: [sha256.Size]byte(newest.AuditHash)}, kept}
		for {
			entries, err := gorm.G[models.AuditEntry](tx.DB).Where("sequence > ?", held.Sequence).Order("sequence").Limit(chunk).Find(ctx)
			if err != nil {
				return fmt.Errorf("read the audit log: %w", err)
			}
			for _, e := range entries {
				next := held.Sequence + 1
				hash, err := hashEntry(held.Hash[:], next, e)
				switch {
				case err != nil:
					return err
				case *e.Sequence != next:
					return &BrokenChain{Sequence: next, Why: "is missing"}
				case !bytes.Equal(e.PreviousHash, held.Hash[:]) || !bytes.Equal(e.Hash, hash):
					return &BrokenChain{Sequence: next, Why: "was changed, or one before it was"}
				}
				for _, end := range ends {
					if end.Sequence == next && !bytes.Equal(end.Hash[:], hash) {
						return &BrokenChain{Sequence: next, Why: "is not the one that was once the newest"}
					}
				}
				held = AuditHead{Sequence: next, Hash: [sha256.Size]byte(hash)}
			}
			if len(entries) == 0 {
				break
			}
		}
		if held.Sequence < max(newest.AuditSequence, kept.Sequence) {
			return &BrokenChain{Sequence: held.Sequence + 1, Why: "is missing: entries were cut off at the end"}
		}
		return nil
	})
	return held, err
}
