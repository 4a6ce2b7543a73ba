package server

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/models"
)

// Why a session ended before the platform had nothing left to ask.
var (
	errReplaced = errors.New("a newer session of the device began")
	errIdle     = errors.New("the session's time is over")
	errStopping = errors.New("the platform stops")
	errPanic    = errors.New("a panic in the session")
)

// entry is one session in the table, under its cookie.
type entry struct {
	id        string
	requestID models.ID
	in        *models.Inform
	device    *models.Device
	trust     models.Trust
	session   *session.Session
	opened    models.Time
	ended     atomic.Bool // well or not

	// gate is held while a POST is handled or the session is ended. waiting counts who wants it.
	gate    chan struct{}
	waiting atomic.Int32
	// Guarded by gate.
	conn  *conn // on which the client was last seen, authenticated if that is needed
	posts int
	gone  bool // out of the table
	// recording is nil unless the device is traced.
	recording *recording

	// Guarded by table.mu.
	deadline models.Time
	index    int // in the heap; -1: not there
	finished *list.Element
}

// maxWaiting is how many POSTs of one session may wait for another.
const maxWaiting = 3

// errBusy says that too many POSTs of a session come at a time, or that one takes too long.
var errBusy = errors.New("session busy")

// lock waits for the end of the POST that is being handled.
func (e *entry) lock(ctx context.Context) error {
	defer e.waiting.Add(-1)
	if e.waiting.Add(1) > maxWaiting {
		return errBusy
	}
	select {
	case e.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

func (e *entry) tryLock() bool {
	select {
	case e.gate <- struct{}{}:
		return true
	default:
		return false
	}
}

func (e *entry) unlock() { <-e.gate }

// table holds every session of this process. Its memory is bounded: sessions, and Informs that are about to become one, are never more than
// max. A session that ended well stays, so that a client that lost our last answer gets it again, until its time is over or its place is needed.
type table struct {
	max int

	mu       sync.Mutex
	byID     map[string]*entry
	byDevice map[models.DeviceKey]*entry // of those that are at L1 or above
	byTime   timeHeap
	finished list.List // entries, the one that ended first in front
	reserved int
	drained  chan struct{} // closed when nothing is open any more; nil unless somebody waits
}

func newTable(limit int) *table {
	return &table{max: limit, byID: map[string]*entry{}, byDevice: map[models.DeviceKey]*entry{}}
}

// reserve takes a place for a session; false if all are taken. It is given back by release or filled by insert.
func (t *table) reserve() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byID)+t.reserved >= t.max {
		oldest := t.finished.Front()
		if oldest == nil {
			return false
		}
		t.drop(oldest.Value.(*entry))
	}
	t.reserved++
	return true
}

func (t *table) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reserved--
	t.tellDrained()
}

// insert fills a reserved place. From L1 on it returns the session of the same device that was open, which has to be ended.
func (t *table) insert(e *entry, deadline models.Time) (older *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reserved--
	t.byID[e.id] = e
	e.deadline = deadline
	heap.Push(&t.byTime, e)
	if e.trust >= models.L1 {
		older = t.byDevice[e.in.Key]
		t.byDevice[e.in.Key] = e
	}
	return older
}

// find returns the session of the first cookie that names one.
func (t *table) find(cookies []string) *entry {
	if len(cookies) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range cookies {
		if e := t.byID[id]; e != nil {
			return e
		}
	}
	return nil
}

// ofDevice returns the session of a device at L1 or above.
func (t *table) ofDevice(key models.DeviceKey) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byDevice[key]
}

// touch notes until when a session lives, and whether it ended well.
func (t *table) touch(e *entry, deadline models.Time, finished bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[e.id] != e {
		return
	}
	e.deadline = deadline
	if e.index >= 0 {
		heap.Fix(&t.byTime, e.index)
	} else {
		heap.Push(&t.byTime, e)
	}
	if finished && e.finished == nil {
		e.finished = t.finished.PushBack(e)
		t.tellDrained()
	}
}

// remove takes a session out.
func (t *table) remove(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(e)
	t.tellDrained()
}

func (t *table) drop(e *entry) {
	if t.byID[e.id] != e {
		return
	}
	delete(t.byID, e.id)
	if t.byDevice[e.in.Key] == e {
		delete(t.byDevice, e.in.Key)
	}
	if e.index >= 0 {
		heap.Remove(&t.byTime, e.index)
	}
	if e.finished != nil {
		t.finished.Remove(e.finished)
		e.finished = nil
	}
}

// overdue takes the next session whose deadline is before now off the clock, nil if there is none; touch puts it back.
func (t *table) overdue(now models.Time) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byTime) == 0 || t.byTime[0].deadline >= now {
		return nil
	}
	return heap.Pop(&t.byTime).(*entry)
}

// all returns every session that has not ended.
func (t *table) all() []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	var open []*entry
	for _, e := range t.byID {
		if e.finished == nil {
			open = append(open, e)
		}
	}
	return open
}

// drain returns a channel that is closed as soon as no session is open.
func (t *table) drain() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drained == nil {
		t.drained = make(chan struct{})
	}
	t.tellDrained()
	return t.drained
}

func (t *table) open() int { return len(t.byID) + t.reserved - t.finished.Len() }

func (t *table) tellDrained() {
	if t.drained == nil || t.open() > 0 {
		return
	}
	select {
	case <-t.drained:
	default:
		close(t.drained)
	}
}

// size counts the sessions that are open, Informs in the making included, and those that ended well and are kept.
func (t *table) size() (open, finished int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open(), t.finished.Len()
}

// newCookie is a session's id: 128 random bits.
func newCookie() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// timeHeap has the session whose time is over first in front.
type timeHeap []*entry

func (h timeHeap) Len() int           { return len(h) }
func (h timeHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h timeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timeHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *timeHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	e.index = -1
	*h = old[:len(old)-1]
	return e
}
