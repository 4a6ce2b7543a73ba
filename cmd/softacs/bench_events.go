package main

import (
	"context"
)

// eventResult is what one event to many subscribers costs.
type eventResult struct{}

func (e *eventResult) String() string { return "" }

func (b *benchRun) events(context.Context) error { return nil }
