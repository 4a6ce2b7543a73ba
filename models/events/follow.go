package events

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	// headTopic wakes the loop that reads for followers, after new positions were given.
	headTopic = "log head"
	// recent is how many of the newest events are kept in memory while somebody follows.
	recent = 2_048
	// followPage is how many events a follower gets at once.
	followPage = 64
	// maxFilter bounds each list of a follower's filter, which is looked through at every event.
	maxFilter = 500
)

// Entry is an event as followers share it: nobody may change it. Its cursor is valid in Read and Follow.
type Entry struct {
	models.Event
	Cursor string
}

// live is the newest part of the log, read once a process for all who follow. A follower is only a place in it, so that a thousand of them cost
// little and a slow one, who falls behind what is kept here, reads from the database and holds up nobody.
type live struct {
	mu    sync.Mutex
	epoch int64
	// entries are all numbered events after the position base up to the position through.
	base, through int64
	entries       []*Entry
	followers     map[*Follower]struct{}
}

// Follower is one reader of the log from a cursor on, first what is there, then what comes.
type Follower struct {
	log    *Log
	filter Filter
	wake   func()

	// The rest is guarded by log.live.mu.
	actor    models.Actor
	scope    models.Scope
	epoch    int64
	position int64 // everything up to it was handed out or does not match
	waiting  bool  // has caught up and wants to be woken
	err      error
}

// Follow begins after the cursor, as Read does. Wake is called each time something has come after Next had nothing left; it must not block and may
// come once too often. Each follower is closed by Close. Errors: FORBIDDEN without EVENT_READ; CURSOR_EXPIRED, with the horizon; BAD_USER_INPUT for
// a text that is no cursor of this log or a filter with a list of more than 500.
func (l *Log) Follow(ctx context.Context, f Filter, after string, wake func()) (*Follower, error) {
	if err := models.Need(ctx, models.EventRead); err != nil {
		return nil, err
	}
	if f.longest() > maxFilter {
		return nil, models.E(models.BadUserInput, fmt.Sprintf("a list of the filter has at most %d values", maxFilter), "filter")
	}
	var (
		h    head
		from int64
	)
	err := l.store.View(ctx, func(tx *store.Tx) (err error) {
		var horizon int64
		if h, horizon, err = bounds(tx); err != nil {
			return err
		}
		from, err = h.resolve(after, horizon)
		return err
	})
	if err != nil {
		return nil, err
	}
	actor := models.ActorFrom(ctx)
	follower := &Follower{log: l, filter: f, wake: wake, actor: actor, scope: actor.Scope(models.EventRead), epoch: h.Epoch, position: from}
	l.live.mu.Lock()
	defer l.live.mu.Unlock()
	if len(l.live.followers) == 0 {
		l.live.reset(h)
		l.live.followers = map[*Follower]struct{}{}
	}
	l.live.followers[follower] = struct{}{}
	return follower, nil
}

// Next returns the next events, oldest first, at most 64; none when there is nothing more now, and wake will be called. One goroutine at a time may
// call it. An error is the end: the follower may be taken up again after the last event's cursor.
func (f *Follower) Next(ctx context.Context) ([]*Entry, error) {
	for {
		entries, reached, err := f.recent()
		if reached || err != nil {
			return entries, err
		}
		f.log.live.mu.Lock()
		actor, after := f.actor, f.position
		f.log.live.mu.Unlock()
		batch, err := f.log.Read(models.WithActor(ctx, actor), f.filter, cursorAt(f.epoch, after), followPage)
		if err != nil {
			return nil, err
		}
		f.log.live.mu.Lock()
		f.position = batch.through
		f.log.live.mu.Unlock()
		if len(batch.Events) == 0 {
			continue
		}
		for i := range batch.Events {
			entries = append(entries, &Entry{Event: batch.Events[i], Cursor: batch.Cursors[i]})
		}
		return entries, nil
	}
}

// Cursor is the follower's place: everything up to it was handed out or does not match.
func (f *Follower) Cursor() string {
	f.log.live.mu.Lock()
	defer f.log.live.mu.Unlock()
	return cursorAt(f.epoch, f.position)
}

// recent returns what is in memory after the follower's place; reached is false if its place is further back than that.
func (f *Follower) recent() (entries []*Entry, reached bool, err error) {
	l := &f.log.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.err != nil {
		return nil, true, f.err
	}
	if f.position < l.base {
		return nil, false, nil
	}
	first, _ := slices.BinarySearchFunc(l.entries, f.position+1, func(e *Entry, position int64) int { return cmp.Compare(*e.Position, position) })
	for _, e := range l.entries[first:] {
		if f.position = *e.Position; f.matches(e) {
			if entries = append(entries, e); len(entries) == followPage {
				break
			}
		}
	}
	f.waiting = len(entries) == 0
	return entries, true, nil
}

// As lets the follower go on as the actor is now; FORBIDDEN ends one who may not read events any more.
func (f *Follower) As(actor models.Actor) {
	l := &f.log.live
	l.mu.Lock()
	f.actor, f.scope = actor, actor.Scope(models.EventRead)
	refused := !actor.Can(models.EventRead)
	if refused {
		f.err = models.E(models.Forbidden, "permission "+string(models.EventRead)+" is needed")
	}
	l.mu.Unlock()
	if refused {
		f.wake()
	}
}

// Close ends the follower. Wake may still be called once, by somebody who was about to.
func (f *Follower) Close() {
	l := &f.log.live
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, f)
}

// Followers tells how many there are in this process.
func (l *Log) Followers() int {
	l.live.mu.Lock()
	defer l.live.mu.Unlock()
	return len(l.live.followers)
}

func (f *Follower) matches(e *Entry) bool {
	return f.scope.Covers(e.Region) && f.filter.matches(&e.Event)
}

// matches is apply for an event in memory.
func (f *Filter) matches(e *models.Event) bool {
	return in(f.Types, e.Type) && in(f.Subjects, e.Subject.ID) && in(f.ClientTypes, e.ClientType) && in(f.Accounts, e.AccountID) &&
		in(f.Devices, e.DeviceID) && in(f.Regions, e.Region)
}

func in[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func (f *Filter) longest() int {
	return max(len(f.Types), len(f.Subjects), len(f.ClientTypes), len(f.Accounts), len(f.Devices), len(f.Regions))
}

// reset forgets what is in memory and goes on at the head.
func (l *live) reset(h head) {
	l.epoch, l.base, l.through, l.entries = h.Epoch, h.Position, h.Position, nil
}

// deliver reads what is new and hands it to the followers; nobody follows, nothing is read.
func (l *Log) deliver(ctx context.Context) {
	for {
		l.live.mu.Lock()
		following, through := len(l.live.followers) > 0, l.live.through
		if !following {
			l.live.entries = nil
		}
		l.live.mu.Unlock()
		if !following {
			return
		}
		h, events, err := l.after(ctx, through)
		if err != nil {
			if ctx.Err() == nil {
				slog.ErrorContext(ctx, "read the log for its followers", "error", err)
			}
			return
		}
		for _, wake := range l.live.publish(h, events) {
			wake()
		}
		if len(events) < chunk {
			return
		}
	}
}

// after reads the next chunk of the log, whoever it is for.
func (l *Log) after(ctx context.Context, position int64) (h head, events []models.Event, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		if h, err = readHead(tx.DB); err != nil || h.Position == position {
			return err
		}
		events, err = gorm.G[models.Event](tx.DB).Where("position > ?", position).Order("position").Limit(chunk).Find(ctx)
		return err
	})
	return h, events, err
}

// publish appends the events and returns how to wake the followers for whom there is something.
func (l *live) publish(h head, events []models.Event) (wakes []func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.followers) == 0 {
		return nil
	}
	if h.Epoch != l.epoch {
		l.reset(h)
		for f := range l.followers {
			f.err = models.E(models.Unavailable, "the database was restored: go on from your last cursor")
			wakes = append(wakes, f.wake)
		}
		return wakes
	}
	// Those that came and went in the meantime may have moved the head on.
	events = slices.DeleteFunc(events, func(e models.Event) bool { return *e.Position <= l.through })
	if len(events) == 0 {
		return nil
	}
	fresh := make([]*Entry, len(events))
	for i := range events {
		fresh[i] = &Entry{Event: events[i], Cursor: cursorAt(l.epoch, *events[i].Position)}
	}
	l.keep(fresh)
	for f := range l.followers {
		if f.waiting && f.pass(fresh) {
			f.waiting = false
			wakes = append(wakes, f.wake)
		}
	}
	return wakes
}

// keep appends to what is in memory and drops what is too old.
func (l *live) keep(fresh []*Entry) {
	l.entries = append(l.entries, fresh...)
	l.through = *fresh[len(fresh)-1].Position
	if n := len(l.entries); n >= 2*recent {
		l.base = *l.entries[n-recent-1].Position
		l.entries = slices.Clone(l.entries[n-recent:])
	}
}

// pass moves a follower who has caught up over what it does not want, and tells whether there is something that it wants.
func (f *Follower) pass(fresh []*Entry) bool {
	for _, e := range fresh {
		if *e.Position <= f.position {
			continue // read from the database already
		}
		if f.matches(e) {
			return true
		}
		f.position = *e.Position
	}
	return false
}
