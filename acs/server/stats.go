package server

import (
	"maps"
	"sync"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/models"
)

// Outcome is how a session ended.
type Outcome string

// The outcomes.
const (
	Completed Outcome = "completed" // the platform had nothing left to ask
	TimedOut  Outcome = "timeout"   // the client went away
	Replaced  Outcome = "replaced"  // the device began a newer one
	Refused   Outcome = "refused"   // the client broke the protocol
	Failed    Outcome = "failed"    // the platform could not go on
	Stopped   Outcome = "stopped"   // the process stopped
)

// Stats is what happened since the start.
type Stats struct {
	// Open sessions, and finished ones that are kept for clients that lost the last answer.
	Open, Finished int
	Sessions       map[Outcome]uint64
	Trust          map[models.Trust]uint64 // sessions with a visit by trust
	Answers        map[int]uint64          // by HTTP status
	Warnings       map[i4.Warning]uint64
	Floods         uint64 // heartbeats that came too often
	Strangers      uint64 // Informs of unknown generic devices
	Impostors      uint64 // devices that presented the credentials of another one
	Panics         uint64
	Refusals       map[Refusal]uint64 // POSTs that were told to come again later
	// Limit is how many sessions there may be.
	Limit int
}

// Refusal is why a POST was told to come again later.
type Refusal string

// The refusals.
const (
	NoPlace   Refusal = "sessions" // the table of sessions is full
	Stopping  Refusal = "stopping" // the process stops
	OverLimit Refusal = "limit"    // an address, or all together, send too many Informs without credentials
	Busy      Refusal = "busy"     // other POSTs of the session have not been answered
)

// counters is Stats while it is counted.
type counters struct {
	mu    sync.Mutex
	stats Stats
}

func newCounters() *counters {
	return &counters{stats: Stats{Sessions: map[Outcome]uint64{}, Trust: map[models.Trust]uint64{}, Answers: map[int]uint64{},
		Warnings: map[i4.Warning]uint64{}, Refusals: map[Refusal]uint64{}}}
}

func (c *counters) count(change func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

func (c *counters) read() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Sessions, s.Trust = maps.Clone(s.Sessions), maps.Clone(s.Trust)
	s.Answers, s.Warnings, s.Refusals = maps.Clone(s.Answers), maps.Clone(s.Warnings), maps.Clone(s.Refusals)
	return s
}
