package events

import (
	"context"
	"fmt"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Lag is what is committed and not yet readable.
type Lag struct {
	Events int64
	// Age is that of the oldest such event.
	Age time.Duration
}

// Lag reads how far the sequencer is behind; it costs one statement over the unnumbered events alone.
func (l *Log) Lag(ctx context.Context) (lag Lag, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		var row struct {
			Events int64
			Oldest models.Time
		}
		const unnumbered = "SELECT COUNT(*) AS events, COALESCE(MIN(occurred_at), 0) AS oldest FROM events WHERE position IS NULL"
		if err := tx.DB.Raw(unnumbered).Scan(&row).Error; err != nil {
			return fmt.Errorf("read the lag of the log: %w", err)
		}
		if lag.Events = row.Events; row.Events > 0 {
			lag.Age = max(tx.Now.Sub(row.Oldest), 0)
		}
		return nil
	})
	return lag, err
}
