package store

import (
	"context"
	"sync"
	"time"
)

// wakes tells waiting loops of this process that there is something to do. It carries no data: the rows are the truth, and every loop also polls.
type wakes struct {
	mu     sync.Mutex
	topics map[string]map[chan struct{}]struct{}
}

// Wakes returns a channel that gets a value after each commit that woke topic; several wakes may arrive as one. stop ends it.
func (s *Store) Wakes(topic string) (wake <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	if s.wakes.topics == nil {
		s.wakes.topics = map[string]map[chan struct{}]struct{}{}
	}
	if s.wakes.topics[topic] == nil {
		s.wakes.topics[topic] = map[chan struct{}]struct{}{}
	}
	s.wakes.topics[topic][c] = struct{}{}
	return c, func() {
		s.wakes.mu.Lock()
		defer s.wakes.mu.Unlock()
		delete(s.wakes.topics[topic], c)
	}
}

// Loop calls f at once, after each commit of this process that woke topic, and at least every so often by the store's clock, until ctx ends.
func (s *Store) Loop(ctx context.Context, topic string, every time.Duration, f func(ctx context.Context)) {
	wake, stop := s.Wakes(topic)
	defer stop()
	for ctx.Err() == nil {
		f(ctx)
		waiting, cancel := context.WithCancel(ctx)
		go func() {
			defer cancel()
			_ = s.clock.Wait(waiting, every)
		}()
		select {
		case <-wake:
		case <-waiting.Done():
		}
		cancel()
	}
}

// Wake wakes the loops that wait for topic, once the transaction has committed.
func (tx *Tx) Wake(topic string) {
	tx.AfterCommit(func() { tx.store.wake(topic) })
}

func (s *Store) wake(topic string) {
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	for c := range s.wakes.topics[topic] {
		select {
		case c <- struct{}{}:
		default: // it has one to take already
		}
	}
}
