package sms

import (
	"context"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// connectWithin is how long a Line may take to connect after the start before its absence is an alarm.
const connectWithin = 5 * time.Second

// alarm tells operators that no SMS leaves, which is why clients hear Status 22. Only the loop of Run touches it.
type alarm struct {
	began  models.Time
	wasUp  bool
	raised bool
}

// tellOfOutage raises the alarm when this process cannot send, and clears it when it can.
func (o *outbox) tellOfOutage(ctx context.Context) error {
	down := o.sender != nil && !o.Available()
	o.alarm.wasUp = o.alarm.wasUp || !down
	if down && !o.alarm.wasUp && o.clock.Now().Sub(o.alarm.began) < connectWithin {
		return nil
	}
	return o.setAlarm(ctx, down)
}

func (o *outbox) setAlarm(ctx context.Context, on bool) error {
	if on == o.alarm.raised {
		return nil
	}
	err := o.store.InTx(ctx, func(tx *store.Tx) error { return events.Alarm(tx, on, "sms.unavailable", nil) })
	if err == nil {
		o.alarm.raised = on
	}
	return err
}
