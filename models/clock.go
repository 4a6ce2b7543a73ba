package models

import (
	"context"
	"time"
)

// Clock tells the time and waits. The system's clock is the only one outside tests.
type Clock interface {
	Now() Time
	// Wait returns after d, or with the context's error as soon as that ends.
	Wait(ctx context.Context, d time.Duration) error
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now returns the machine's time in whole milliseconds.
func (SystemClock) Now() Time { return TimeOf(time.Now()) }

// Wait sleeps for d or until ctx ends.
func (SystemClock) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
