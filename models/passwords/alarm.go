package passwords

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	// alarmTime is the time in which wrong proofs are counted together, alarmCheck how often that is looked at.
	alarmTime  = 5 * time.Minute
	alarmCheck = 10 * time.Second
)

// alarm notices that many wrong proofs come from wherever: guesses spread over numbers and addresses stay below every other limit
// (resolutions 40). It is memory of the replica.
type alarm struct {
	mu sync.Mutex
	// times are those of the last wrong proofs, as many as raise the alarm; next is the oldest.
	times  []models.Time
	next   int
	raised bool // only Run touches it
	total  atomic.Uint64
}

func (a *alarm) count(now models.Time) {
	a.total.Add(1)
	if len(a.times) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times[a.next] = now
	a.next = (a.next + 1) % len(a.times)
}

// sounds tells whether there were too many within the time.
func (a *alarm) sounds(now models.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest := a.times[a.next]
	return !oldest.IsZero() && oldest <= now && now.Sub(oldest) < alarmTime // one of the future is of a clock that was set back
}

// Refused is how many wrong proofs there were since the start.
func (r *Room) Refused() uint64 { return r.alarm.total.Load() }

// Run raises the alarm about wrong proofs and clears it when it is over, or when ctx ends.
func (r *Room) Run(ctx context.Context) {
	if len(r.alarm.times) == 0 {
		return
	}
	for r.clock.Wait(ctx, alarmCheck) == nil {
		r.setAlarm(ctx, r.alarm.sounds(r.clock.Now()))
	}
	r.setAlarm(context.WithoutCancel(ctx), false)
}

func (r *Room) setAlarm(ctx context.Context, on bool) {
	if on == r.alarm.raised {
		return
	}
	err := r.store.InTx(ctx, func(tx *store.Tx) error {
		return events.Alarm(tx, on, "security.rate", map[string]any{"threshold": len(r.alarm.times), "seconds": int(alarmTime.Seconds())})
	})
	if err != nil { // the next look tries again
		slog.ErrorContext(ctx, "tell of many wrong proofs", "error", err)
		return
	}
	r.alarm.raised = on
}
