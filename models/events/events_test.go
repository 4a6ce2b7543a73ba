package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

func append1(ctx context.Context, s *store.Store, code, region string) error {
	return s.InTx(ctx, func(tx *store.Tx) error { return appendIn(tx, code, region) })
}

func appendIn(tx *store.Tx, code, region string) error {
	return events.Append(tx, models.Event{
		Type: models.AccountChanged, Subject: models.Subject{Kind: models.KindAccount, ID: models.NewID()}, Region: region,
		Payload: models.DocOf(map[string]any{"code": code}),
	})
}

func codes(b events.Batch) []string {
	var list []string
	for _, e := range b.Events {
		list = append(list, e.Payload.V["code"].(string))
	}
	return list
}

func read(t *testing.T, l *events.Log, ctx context.Context, after string, first int) events.Batch {
	t.Helper()
	b, err := l.Read(ctx, events.Filter{}, after, first)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadInOrderAndByRegion(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		if head, err := log.Head(ctx); err != nil || head != "" {
			t.Fatalf("head of an empty log: %q, %v", head, err)
		}
		for i, region := range []string{"east", "west", "", "east"} {
			if err := append1(ctx, s, fmt.Sprint(i), region); err != nil {
				t.Fatal(err)
			}
		}
		if b := read(t, log, ctx, "", 10); len(b.Events) != 0 {
			t.Fatalf("unnumbered events were read: %v", codes(b))
		}
		if err := log.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		first := read(t, log, ctx, "", 3)
		second := read(t, log, ctx, first.End, 3)
		if got := fmt.Sprint(codes(first), first.HasNext, codes(second), second.HasNext); got != "[0 1 2] true [3] false" {
			t.Error(got)
		}
		if end := read(t, log, ctx, second.End, 3); end.End != second.End || len(end.Events) != 0 {
			t.Errorf("an empty page does not end where it began: %+v", end)
		}
		if head, err := log.Head(ctx); err != nil || head != second.End {
			t.Errorf("head %q, last cursor %q, %v", head, second.End, err)
		}
		east := read(t, log, storetest.In(t, []string{"east"}, models.EventRead), "", 10)
		if got := fmt.Sprint(codes(east)); got != "[0 3]" {
			t.Error("east sees", got)
		}
		if _, err := log.Read(storetest.As(t, models.AccountRead), events.Filter{}, "", 1); models.CodeOf(err) != models.Forbidden {
			t.Error("without EVENT_READ:", err)
		}
		for _, forged := range []string{"x", "MS45OQ", "MS4w!", "Mi4x", "MS4tMQ"} {
			if _, err := log.Read(ctx, events.Filter{}, forged, 1); models.CodeOf(err) != models.BadUserInput {
				t.Errorf("cursor %q: %v", forged, err)
			}
		}
	})
}

// Two connections: the first inserts and commits late. A reader who has seen the second's event must still see the first's.
func TestLateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	url := storetest.MariaDB(t)
	clock := storetest.NewClock()
	s, other := storetest.Open(t, url, clock), storetest.Open(t, url, clock)
	ctx, log := storetest.As(t), events.New(s, clock)
	inserted, commit := make(chan struct{}), make(chan struct{})
	late := make(chan error, 1)
	go func() {
		late <- other.InTx(ctx, func(tx *store.Tx) error {
			if err := appendIn(tx, "late", ""); err != nil {
				return err
			}
			close(inserted)
			<-commit
			return nil
		})
	}()
	<-inserted
	if err := append1(ctx, s, "early", ""); err != nil {
		t.Fatal(err)
	}
	if err := log.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	seen := read(t, log, ctx, "", 10)
	close(commit)
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if err := log.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(codes(seen), codes(read(t, log, ctx, seen.End, 10))); got != "[early] [late]" {
		t.Error(got)
	}
}

func TestSequencersInParallelNumberEachRowOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, log := storetest.As(t), events.New(s, clock)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 20 {
					if err := errors.Join(append1(ctx, s, fmt.Sprintf("%d.%d", w, i), ""), log.Sequence(ctx)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := log.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		b := read(t, log, ctx, "", 200)
		next := map[byte]int{}
		for i, e := range b.Events {
			if *e.Position != int64(i+1) {
				t.Fatalf("event %d has position %d", i, *e.Position)
			}
			code := e.Payload.V["code"].(string)
			if code != fmt.Sprintf("%c.%d", code[0], next[code[0]]) {
				t.Errorf("%s came instead of %d", code, next[code[0]])
			}
			next[code[0]]++
		}
		if len(b.Events) != 80 {
			t.Errorf("%d events", len(b.Events))
		}
	})
}

func TestAuditChain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx := models.WithOrigin(storetest.As(t), models.Origin{RequestID: "r1", RemoteAddress: "192.0.2.7"})
		log := events.New(s, clock)
		for i := range 3 {
			err := s.InTx(ctx, func(tx *store.Tx) error {
				return events.Audit(tx, models.AuditEntry{Action: "modifyAccount", Subject: models.Subject{Kind: models.KindAccount, ID: models.NewID()},
					Changes: models.DocOf(map[string]any{"maxDevices": []int{i, i + 1}, "region": []string{"a", "b"}})})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		whole, err := log.VerifyAudit(ctx, events.AuditHead{})
		if err != nil || whole.Sequence != 3 {
			t.Fatalf("%s holds, %v", whole, err)
		}
		if copied, err := events.ParseAuditHead(whole.String()); err != nil || copied != whole {
			t.Errorf("%s is read as %s, %v", whole, copied, err)
		}
		for _, wrong := range []string{"", "3", "3:ab", "x" + whole.String(), whole.String() + "00", "-1" + whole.String()[1:]} {
			if _, err := events.ParseAuditHead(wrong); err == nil {
				t.Errorf("%q was read", wrong)
			}
		}
		verify := func(kept events.AuditHead) (held, broken int64) {
			t.Helper()
			head, err := log.VerifyAudit(ctx, kept)
			var chain *events.BrokenChain
			if err != nil && !errors.As(err, &chain) {
				t.Fatal(err)
			}
			if chain != nil {
				broken = chain.Sequence
			}
			return head.Sequence, broken
		}
		if held, broken := verify(whole); held != 3 || broken != 0 {
			t.Errorf("against its own head: %d hold, %d is broken", held, broken)
		}
		forged := whole
		forged.Hash[0] ^= 1
		if _, broken := verify(forged); broken != 3 {
			t.Errorf("against another head: %d is broken", broken)
		}
		tamperings := []struct {
			statement, undo string
			broken          int64
		}{
			{"UPDATE audit_entries SET remote_address = '192.0.2.8' WHERE sequence = 2", "UPDATE audit_entries SET remote_address = '192.0.2.7' WHERE sequence = 2", 2},
			{"UPDATE audit_entries SET sequence = 9 WHERE sequence = 2", "UPDATE audit_entries SET sequence = 2 WHERE sequence = 9", 2},
			{"UPDATE audit_entries SET previous_hash = hash WHERE sequence = 1", "UPDATE audit_entries SET previous_hash = X'" + strings.Repeat("00", 32) + "' WHERE sequence = 1", 1},
			{"UPDATE audit_entries SET sequence = NULL WHERE sequence = 3", "UPDATE audit_entries SET sequence = 3 WHERE sequence IS NULL", 3},
			{"DELETE FROM audit_entries WHERE sequence = 3", "", 3}, // the newest
		}
		for _, x := range tamperings {
			execute(t, s, x.statement)
			if held, broken := verify(events.AuditHead{}); held != x.broken-1 || broken != x.broken {
				t.Errorf("%s: %d hold, %d is broken", x.statement, held, broken)
			}
			if x.undo != "" {
				execute(t, s, x.undo)
			}
		}
		// Who cuts the end off and mends log_head too is found by the copy of the head only.
		execute(t, s, "UPDATE log_head SET audit_sequence = 2, audit_hash = (SELECT hash FROM audit_entries WHERE sequence = 2)")
		if held, broken := verify(events.AuditHead{}); held != 2 || broken != 0 {
			t.Errorf("without a copy of the head: %d hold, %d is broken", held, broken)
		}
		if held, broken := verify(whole); held != 2 || broken != 3 {
			t.Errorf("with a copy of the head: %d hold, %d is broken", held, broken)
		}
	})
}

// keepSecret keeps a secret of a mutation and reads it again.
func keepSecret(t *testing.T, s *store.Store) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		id, err := events.Keep(tx, "once only")
		if err != nil {
			return err
		}
		if secret, err := events.Kept(tx, id); err != nil || secret.Reveal() != "once only" {
			t.Errorf("%q, %v", secret.Reveal(), err)
		}
		if secret, err := events.Kept(tx, models.ID{}); err != nil || secret != "" {
			t.Errorf("nothing was kept, but %q, %v", secret.Reveal(), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, s *store.Store, statement string) {
	t.Helper()
	if err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.DB.Exec(statement).Error }); err != nil {
		t.Fatal(err)
	}
}

type outcome struct{ Account models.ID }

func once(ctx context.Context, s *store.Store, key, input string, did func()) (out outcome, replayed bool, err error) {
	err = s.InTx(ctx, func(tx *store.Tx) error {
		prior, err := events.Once[outcome](tx, "provisionAccount", key, input)
		if err != nil {
			return err
		}
		if prior != nil {
			out, replayed = *prior, true
			return nil
		}
		tx.AfterCommit(did)
		out = outcome{Account: models.NewID()}
		return events.Done(tx, "provisionAccount", key, out)
	})
	return out, replayed, err
}

func TestOnceInParallel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx := storetest.As(t)
		var mu sync.Mutex
		did, answers := 0, map[models.ID]int{}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				out, _, err := once(ctx, s, "k", "same", func() { mu.Lock(); defer mu.Unlock(); did++ })
				mu.Lock()
				defer mu.Unlock()
				answers[out.Account]++
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if did != 1 || len(answers) != 1 {
			t.Errorf("done %d times, %d different answers", did, len(answers))
		}
		if _, _, err := once(ctx, s, "k", "other", nil); models.CodeOf(err) != models.IdempotencyKeyReused {
			t.Error("other input:", err)
		}
		stranger := models.WithActor(ctx, models.Actor{Kind: models.APIClientActor, ID: models.ID{2}})
		if _, replayed, err := once(stranger, s, "k", "other", func() {}); replayed || err != nil {
			t.Error("another client's key:", replayed, err)
		}
		clock.Advance(8 * 24 * time.Hour)
		if _, replayed, err := once(ctx, s, "k", "other", func() {}); replayed || err != nil {
			t.Error("after a week:", replayed, err)
		}
		keepSecret(t, s)
		clock.Advance(8 * 24 * time.Hour)
		if err := events.New(s, clock).Clean(ctx); err != nil {
			t.Fatal(err)
		}
		err := s.View(ctx, func(tx *store.Tx) error {
			for _, table := range []string{"deeds", "deed_secrets"} {
				var left int64
				if err := tx.DB.Table(table).Count(&left).Error; err != nil || left != 0 {
					t.Error("left after cleaning:", table, left, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestOnceForgetsWhatRolledBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		ctx, refused := storetest.As(t), models.E(models.Invalid, "no")
		err := s.InTx(ctx, func(tx *store.Tx) error {
			if _, err := events.Once[outcome](tx, "provisionAccount", "k", "in"); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if _, replayed, err := once(ctx, s, "k", "corrected", func() {}); replayed || err != nil {
			t.Error("a refusal was recorded:", replayed, err)
		}
	})
}

func TestRunSequencesAfterACommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		ctx, cancel := context.WithCancel(storetest.As(t))
		log := events.New(s, clock)
		ended := make(chan struct{})
		go func() { defer close(ended); log.Run(ctx) }()
		if err := append1(ctx, s, "one", ""); err != nil {
			t.Fatal(err)
		}
		storetest.Eventually(t, "the event is readable", func() bool { return len(read(t, log, ctx, "", 10).Events) == 1 })
		cancel()
		<-ended
	})
}
