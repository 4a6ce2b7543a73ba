package sms

import (
	"maps"
	"sync"

	"github.com/softacs/softacs/models"
)

// Stats are the counters of this process since its start.
type Stats struct {
	// Sent are the messages that left or may have left; Busy and Unsent the attempts with which none did, because the provider wanted to hear
	// less and for any other reason.
	Sent, Busy, Unsent uint64
	Ended              map[models.SmsState]uint64
	Receipts           map[ReceiptOutcome]uint64
	Incoming           map[IncomingOutcome]uint64
	// Up tells whether there is a sender and, if it has a connection, that it is connected.
	Up bool
}

// ReceiptOutcome is what became of a receipt.
type ReceiptOutcome string

// The outcomes of receipts.
const (
	TakenReceipt        ReceiptOutcome = "taken"
	IntermediateReceipt ReceiptOutcome = "intermediate" // the message has not ended
	DuplicateReceipt    ReceiptOutcome = "duplicate"    // it had ended before
	UnknownReceipt      ReceiptOutcome = "unknown"      // nobody knows the message
)

// IncomingOutcome is what became of a message of a subscriber.
type IncomingOutcome string

// The outcomes of incoming messages.
const (
	TakenMessage   IncomingOutcome = "taken"
	IgnoredMessage IncomingOutcome = "ignored" // nobody wants to hear them
	FailedMessage  IncomingOutcome = "failed"  // the provider was told to send it again
)

type counters struct {
	mu    sync.Mutex
	stats Stats
}

func (c *counters) count(change func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

func plus[K comparable](counts *map[K]uint64, key K) {
	if *counts == nil {
		*counts = map[K]uint64{}
	}
	(*counts)[key]++
}

func (s *Stats) ended(state models.SmsState)      { plus(&s.Ended, state) }
func (s *Stats) receipt(outcome ReceiptOutcome)   { plus(&s.Receipts, outcome) }
func (s *Stats) incoming(outcome IncomingOutcome) { plus(&s.Incoming, outcome) }

// Stats reads the counters.
func (r *Room) Stats() Stats {
	r.counters.mu.Lock()
	defer r.counters.mu.Unlock()
	s := r.counters.stats
	s.Ended, s.Receipts, s.Incoming = maps.Clone(s.Ended), maps.Clone(s.Receipts), maps.Clone(s.Incoming)
	s.Up = r.connected()
	return s
}
