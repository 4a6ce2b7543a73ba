package graph

import (
	"context"
	"errors"
	"sync"

	"github.com/softacs/softacs/models"
)

// family is the set of rows of one kind that a request has met so far. Whoever resolves a list puts its ids here, so that the first child that
// is loaded brings those of all its siblings, by one statement and without waiting for them to ask.
type family struct {
	mu    sync.Mutex
	ids   []models.ID
	known map[models.ID]bool
}

func (f *family) expect(ids ...models.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[models.ID]bool{}
	}
	for _, id := range ids {
		if !id.IsZero() && !f.known[id] {
			f.known[id] = true
			f.ids = append(f.ids, id)
		}
	}
}

func (f *family) members() []models.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[:len(f.ids):len(f.ids)]
}

// errUnread is what the siblings of a row see whose reading panicked.
var errUnread = errors.New("a sibling could not be read")

// maxBatch bounds the placeholders of one statement.
const maxBatch = 500

// loader reads something of each member of a family, each at most once a request.
type loader[V any] struct {
	family *family
	fetch  func(ctx context.Context, ids []models.ID) (map[models.ID]V, error)

	mu    sync.Mutex
	loads map[models.ID]*load[V]
}

// load is one row that is being read, or was.
type load[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func newLoader[V any](f *family, fetch func(ctx context.Context, ids []models.ID) (map[models.ID]V, error)) *loader[V] {
	return &loader[V]{family: f, fetch: fetch, loads: map[models.ID]*load[V]{}}
}

// get returns what belongs to id; the zero V if there is nothing, or nothing that the actor may see.
func (l *loader[V]) get(ctx context.Context, id models.ID) (V, error) {
	var zero V
	if id.IsZero() {
		return zero, nil
	}
	l.mu.Lock()
	mine := l.loads[id]
	if mine == nil {
		mine = l.begin(ctx, id)
	} else {
		l.mu.Unlock()
	}
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// begin reads id and its siblings. It is entered with the lock and leaves without it.
func (l *loader[V]) begin(ctx context.Context, id models.ID) *load[V] {
	batch := []models.ID{id}
	loads := map[models.ID]*load[V]{id: {done: make(chan struct{})}}
	for _, sibling := range l.family.members() {
		if len(batch) == maxBatch {
			break
		}
		if l.loads[sibling] == nil && loads[sibling] == nil {
			batch = append(batch, sibling)
			loads[sibling] = &load[V]{done: make(chan struct{})}
		}
	}
	for id, one := range loads {
		l.loads[id] = one
	}
	l.mu.Unlock()
	var found map[models.ID]V
	err := errUnread
	defer func() { // a panic in fetch must not leave the siblings waiting
		for id, one := range loads {
			one.value, one.err = found[id], err
			close(one.done)
		}
	}()
	found, err = l.fetch(ctx, batch)
	return loads[id]
}

// put remembers a row that was read by other means.
func (l *loader[V]) put(id models.ID, value V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loads[id] == nil {
		one := &load[V]{done: make(chan struct{}), value: value}
		close(one.done)
		l.loads[id] = one
	}
}
