package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/softacs/softacs/models"
)

// hookResult is what webhooks deliver to a receiver on the same machine.
type hookResult struct {
	events, posts   int
	platform, floor []float64 // events a second, pair by pair
	cpu             time.Duration
}

// String is a sentence of Markdown.
func (h *hookResult) String() string {
	same := func(v float64) float64 { return v }
	ratios := make([]float64, len(h.platform))
	for i := range ratios {
		ratios[i] = h.platform[i] / h.floor[i]
	}
	return fmt.Sprintf("**webhook**, a backlog of %d events to a local receiver in %d posts: %.0f events a second (target: 2,000), %.2f times what bare HTTP posts of the same "+
		"bodies, one after the other, carry. An event takes %.1f µs of the platform's CPU.",
		h.events, h.posts, median(h.platform, same), median(ratios, same), float64(h.cpu.Nanoseconds())/1000)
}

const benchHookEvents = 20_000

// webhooks measures how fast a backlog is delivered.
func (b *benchRun) webhooks(ctx context.Context) error {
	if err := b.fillLog(ctx); err != nil {
		return err
	}
	s, err := scenarioOf(webhookScenario)
	if err != nil {
		return err
	}
	h := &hookResult{}
	for pair := range b.Pairs + 1 { // the first one warms up
		before, err := b.read(ctx, b.server, false)
		if err != nil {
			return err
		}
		var answer loadAnswer
		if err := b.load.ask(loadRequest{Scenario: s.name, Hook: true}, &answer); err != nil {
			return err
		}
		after, err := b.read(ctx, b.server, false)
		if err != nil {
			return err
		}
		if pair > 0 {
			h.events, h.posts = answer.Hooked.Events, answer.Hooked.Posts
			h.platform = append(h.platform, float64(h.events)/answer.Hooked.Took.Seconds())
			h.floor = append(h.floor, float64(h.events)/answer.Hooked.Floor.Seconds())
			h.cpu += (after.process - before.process) / time.Duration(h.events*b.Pairs)
		}
	}
	b.results = append(b.results, result{scenario: s, hooks: h})
	return nil
}

// fillLog makes the log long enough by copies of what stands there, and waits until they are numbered.
func (b *benchRun) fillLog(ctx context.Context) error {
	pool, driver, err := openPlain(b.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	random := "RANDOM_BYTES(16)"
	if driver == "sqlite" {
		random = "randomblob(16)"
	}
	const columns = "type, occurred_at, subject_kind, subject_id, subject_version, payload, account_id, account_external_id, device_id, client_type, region, actor_kind, " +
		"actor_id, actor_name, on_behalf_of, request_id"
	number := func(where string) (n int, err error) {
		err = pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM events WHERE "+where).Scan(&n)
		return n, err
	}
	for {
		n, err := number("1 = 1")
		if err != nil {
			return err
		}
		if n >= benchHookEvents {
			break
		}
		statement := fmt.Sprintf("INSERT INTO events (id, %s) SELECT %s, %s FROM events ORDER BY n LIMIT %d", columns, random, columns, benchHookEvents-n)
		if _, err := pool.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the log: %w", err)
		}
	}
	for waiting := 1; waiting > 0; {
		if err := (models.SystemClock{}).Wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		if waiting, err = number("position IS NULL"); err != nil {
			return err
		}
	}
	return nil
}

// hooked is what the load generator saw as a receiver.
type hooked struct {
	Events, Posts int
	Took, Floor   time.Duration
}

// hook receives all that the log holds from a new webhook, and then once more by bare posts of the same bodies.
func (l *load) hook(ctx context.Context) (answer loadAnswer, err error) {
	if err := l.bss.authenticate(ctx); err != nil {
		return answer, err
	}
	var head string
	if err := l.do(ctx, `query { eventHead }`, nil, &head); err != nil {
		return answer, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return answer, err
	}
	bodies := make(chan []byte, 1024)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/" {
			bodies <- body
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	target := "http://" + listener.Addr().String()
	save := func(input values) (saved struct {
		Webhook    struct{ ID string }
		UserErrors []struct{ Message string }
	}, err error) {
		err = l.do(ctx, `mutation($input: SaveWebhookInput!) { saveWebhook(input: $input) { webhook { id } userErrors { message } } }`, values{"input": input}, &saved)
		if err == nil && len(saved.UserErrors) > 0 {
			err = errors.New(saved.UserErrors[0].Message)
		}
		return saved, err
	}
	began := time.Now()
	saved, err := save(values{"url": target, "types": []string{}, "secret": benchSecret, "from": ""})
	if err != nil {
		return answer, fmt.Errorf("save a webhook: %w", err)
	}
	var all [][]byte
	for last := ""; last != head; {
		select {
		case body := <-bodies:
			var batch struct{ Events []struct{ Cursor string } }
			if err := json.Unmarshal(body, &batch); err != nil {
				return answer, err
			}
			all = append(all, body)
			answer.Hooked.Events += len(batch.Events)
			last = batch.Events[len(batch.Events)-1].Cursor
		case <-time.After(time.Minute):
			return answer, errors.New("the webhook heard of nothing for a minute")
		}
	}
	answer.Hooked.Took, answer.Hooked.Posts = time.Since(began), len(all)
	if _, err := save(values{"id": saved.Webhook.ID, "url": target, "types": []string{}, "enabled": false}); err != nil {
		return answer, err
	}
	answer.Hooked.Floor, err = barePosts(ctx, target+"/floor", all)
	return answer, err
}

// barePosts sends the bodies one after the other.
func barePosts(ctx context.Context, target string, bodies [][]byte) (took time.Duration, err error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	began := time.Now()
	for _, body := range bodies {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		_ = answer.Body.Close()
	}
	return time.Since(began), nil
}
