package passwords_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// ask is a GETPWD: it is recorded if it is admitted.
func (h *house) ask(q passwords.Request) (prior *models.PasswordRequest, retryAfter int) {
	h.Helper()
	h.tx(func(tx *store.Tx) (err error) {
		if prior, retryAfter, err = h.AdmitRequest(tx, q); err != nil || prior != nil || retryAfter > 0 {
			return err
		}
		return h.Record(tx, q, h.account.ID, models.ResultOK, 60)
	})
	return prior, retryAfter
}

func TestARequestIdIsAnsweredOnce(t *testing.T) {
	each(t, config(), func(h *house) {
		q := passwords.Request{Device: pc, RequestID: "r1", Number: number, Mobile: mobile}
		prior, wait := h.ask(q)
		h.want("the first", [2]any{prior == nil, wait}, [2]any{true, 0})
		for range 3 {
			prior, wait = h.ask(q)
			if prior == nil || wait != 0 || prior.Status != "OK" || prior.RetryAfter != 60 || prior.AccountID != h.account.ID {
				h.Fatalf("a repeat got %+v and %d", prior, wait)
			}
		}
		q.Device = other
		if prior, _ = h.ask(q); prior != nil {
			h.Error("the same RequestId of another device is another request")
		}
		q.Device = pc
		h.clock.Advance(24 * time.Hour)
		prior, wait = h.ask(q)
		h.want("a day later", [2]any{prior == nil, wait}, [2]any{true, 0})
		if prior, _ = h.ask(q); prior == nil || prior.CreatedAt != h.clock.Now() {
			h.Error("the new answer was not kept")
		}
	})
}

func TestLimitsOfRequests(t *testing.T) {
	for name, c := range map[string]struct {
		limits passwords.Limits
		// allowed is how many requests pass, step apart; then the next waits.
		allowed int
		step    time.Duration
		vary    func(q *passwords.Request, i int)
		wait    time.Duration
	}{
		"seconds of a number": {passwords.Limits{NumberSeconds: 60}, 1, 10 * time.Second, func(q *passwords.Request, i int) {}, 50 * time.Second},
		"day of a number":     {passwords.Limits{NumberDay: 5}, 5, time.Hour, func(q *passwords.Request, i int) { q.Device = models.DeviceKey(fmt.Sprint("d", i)) }, 19 * time.Hour},
		"day of a mobile": {passwords.Limits{MDNDay: 5}, 5, time.Hour, func(q *passwords.Request, i int) {
			q.Device, q.Number = models.DeviceKey(fmt.Sprint("d", i)), models.Number(fmt.Sprint("86216234000", i))
		}, 19 * time.Hour},
		"ten minutes of a device": {passwords.Limits{Device10Min: 3}, 3, time.Minute, func(q *passwords.Request, i int) { q.Number = models.Number(fmt.Sprint("86216234000", i)) }, 7 * time.Minute},
		"day of a device": {passwords.Limits{DeviceDay: 10}, 10, time.Hour, func(q *passwords.Request, i int) {
			q.Number, q.Mobile = models.Number(fmt.Sprint("86216234000", i)), ""
		}, 14 * time.Hour},
		"off": {passwords.Limits{}, 30, time.Second, func(q *passwords.Request, i int) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.Limits = c.limits
			each(t, cfg, func(h *house) {
				request := func(i int) passwords.Request {
					q := passwords.Request{Device: pc, RequestID: fmt.Sprint("r", i), Number: number, Mobile: mobile}
					c.vary(&q, i)
					return q
				}
				for i := range c.allowed {
					if _, wait := h.ask(request(i)); wait != 0 {
						h.Fatalf("request %d has to wait %d s", i, wait)
					}
					h.clock.Advance(c.step)
				}
				next := request(c.allowed)
				_, wait := h.ask(next)
				h.want("the next", wait, int(c.wait/time.Second))
				h.clock.Advance(c.wait)
				_, wait = h.ask(next)
				h.want("the same RequestId after that", wait, 0)
			})
		})
	}
}

func TestOneOfManyParallelRequestsIsAdmitted(t *testing.T) {
	each(t, config(), func(h *house) {
		var wg sync.WaitGroup
		var admitted, limited, sent atomic.Int64
		for i := range 20 {
			wg.Go(func() {
				q := passwords.Request{Device: models.DeviceKey(fmt.Sprint("d", i)), RequestID: "r", Number: number, Mobile: mobile}
				err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
					_, wait, err := h.AdmitRequest(tx, q)
					if err != nil {
						return err
					}
					if wait > 0 {
						tx.AfterCommit(func() { limited.Add(1) })
						return nil
					}
					tx.AfterCommit(func() { admitted.Add(1) })
					return h.Record(tx, q, h.account.ID, models.ResultOK, 60)
				})
				if err != nil {
					h.Error(err)
				}
			})
			wg.Go(func() { // the same request over and over, for another number
				q := passwords.Request{Device: pc, RequestID: "again", Number: "862160000000"}
				err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
					prior, wait, err := h.AdmitRequest(tx, q)
					if err != nil || prior != nil {
						return err
					}
					if wait > 0 {
						return fmt.Errorf("a repeat was limited")
					}
					tx.AfterCommit(func() { sent.Add(1) })
					return h.Record(tx, q, models.ID{}, models.ResultOK, 60)
				})
				if err != nil {
					h.Error(err)
				}
			})
		}
		wg.Wait()
		h.want("admitted", admitted.Load(), int64(1))
		h.want("limited", limited.Load(), int64(19))
		h.want("one request sent 20 times", sent.Load(), int64(1))
	})
}

func TestAddressLimits(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	c := passwords.Defaults()
	room := passwords.New(nil, clock, c)
	admit := func(ip string, n int) (last int) {
		t.Helper()
		for range n {
			if last = room.AdmitIP(ip); last > 0 {
				return last
			}
		}
		return last
	}
	if wait := admit("192.0.2.1", 20); wait != 0 {
		t.Errorf("the 20th waits %d s", wait)
	}
	clock.Advance(20 * time.Minute)
	for ip, want := range map[string]int{"192.0.2.1": 2400, "::ffff:192.0.2.1": 2400, "192.0.2.2": 0, "2001:db8::1": 0} {
		if got := admit(ip, 1); got != want {
			t.Errorf("%s waits %d s, want %d", ip, got, want)
		}
	}
	admit("2001:db8::2", 19)
	if admit("2001:db8::ffff:1", 1) == 0 || admit("2001:db8:0:1::1", 1) != 0 {
		t.Error("an IPv6 /64 counts as one address")
	}
	if admit("127.0.0.1", 21) == 0 {
		t.Error("loopback counts outside the lab")
	}
	clock.Advance(time.Hour)
	if wait := admit("192.0.2.1", 1); wait != 0 {
		t.Errorf("an hour later it waits %d s", wait)
	}

	for i := range 49 {
		if wait := admit(fmt.Sprintf("198.51.100.%d", i), 1); wait != 0 {
			t.Fatalf("%d of 50 in a second wait %d s", i, wait)
		}
	}
	if wait := admit("198.51.100.99", 1); wait != 1 {
		t.Errorf("the 51st in a second waits %d s", wait)
	}
	clock.Advance(time.Second)
	if wait := admit("198.51.100.99", 1); wait != 0 {
		t.Errorf("a second later it waits %d s", wait)
	}

	for range 49 {
		room.IPFailed("203.0.113.7")
	}
	if room.IPBlocked("203.0.113.7") {
		t.Error("blocked after 49 failures")
	}
	room.IPFailed("203.0.113.7")
	if !room.IPBlocked("203.0.113.7") || room.IPBlocked("203.0.113.8") {
		t.Error("50 failures block that address")
	}
	clock.Advance(time.Hour)
	if room.IPBlocked("203.0.113.7") {
		t.Error("blocked for more than an hour")
	}

	c.LoopbackExempt = true
	lab := passwords.New(nil, clock, c)
	for range 200 {
		lab.IPFailed("::1")
		if lab.AdmitIP("127.0.0.1") != 0 || lab.IPBlocked("::1") {
			t.Fatal("the lab limits loopback")
		}
	}
}

// The clock was set back ten minutes, and for ten minutes everybody who asked for a password was told to wait.
func TestLimitOfAllAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	room := passwords.New(nil, clock, passwords.Defaults())
	room.AdmitIP("192.0.2.1")
	clock.Advance(-10 * time.Minute)
	if wait := room.AdmitIP("192.0.2.2"); wait != 0 {
		t.Errorf("the first after the clock was set back waits %d s", wait)
	}
}

// Behind a carrier's NAT are many subscribers (i4.md C.3).
func TestLimitsBehindCarrierNAT(t *testing.T) {
	t.Parallel()
	c := passwords.Defaults()
	c.Limits = passwords.Limits{IPHour: 2}
	c.Lockout.IPHour = 1
	c.CGN, c.CGNFactor = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("2001:db8:cafe::/48")}, 3
	room := passwords.New(nil, storetest.NewClock(), c)
	for ip, want := range map[string]int{
		"100.64.0.1": 6, "100.127.255.255": 6, "100.128.0.1": 2, "192.0.2.1": 2, "::ffff:100.64.0.2": 6, "2001:db8:cafe::1": 6, "2001:db8:cafd::1": 2, "nonsense": 2,
	} {
		admitted, failed := 0, 0
		for room.AdmitIP(ip) == 0 {
			admitted++
		}
		for !room.IPBlocked(ip) {
			room.IPFailed(ip)
			failed++
		}
		if admitted != want || failed != want/2 {
			t.Errorf("%s: %d requests and %d failures, not %d and %d", ip, admitted, failed, want, want/2)
		}
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	if err := passwords.Defaults().Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, change := range map[string]func(c *passwords.Config){
		"iterations": func(c *passwords.Config) { c.Iterations = 9999 },
		"length":     func(c *passwords.Config) { c.OTPLength = 5 },
		"alphabet":   func(c *passwords.Config) { c.OTPAlphabet = "0123456788" },
		"symbols":    func(c *passwords.Config) { c.OTPAlphabet = "一二三四五六七八九十" },
		"ttl":        func(c *passwords.Config) { c.OTPTTL = 0 },
		"template":   func(c *passwords.Config) { c.Template = "your code" },
		"workers":    func(c *passwords.Config) { c.Workers = 0 },
		"lockout":    func(c *passwords.Config) { c.Lockout.MaxHours = 0 },
		"codeTtl":    func(c *passwords.Config) { c.CodeTTL = 0 },
		"codeTries":  func(c *passwords.Config) { c.CodeTries = 0 },
		"code text":  func(c *passwords.Config) { c.CodeTemplate = "your code" },
		"reset.ttl":  func(c *passwords.Config) { c.ResetTTL = 0 },
		"reset.day":  func(c *passwords.Config) { c.ResetDay = -1 },
		"grace":      func(c *passwords.Config) { c.ChangeGrace = 25 * time.Hour },
		"least":      func(c *passwords.Config) { c.MinIterations = 9999 },
		"most":       func(c *passwords.Config) { c.Iterations = 1_000_001 },
		"window":     func(c *passwords.Config) { c.Window = 0 },
		"realm":      func(c *passwords.Config) { c.Realm = "a|b" },
		"cgn.factor": func(c *passwords.Config) { c.CGNFactor = 0 },
		"alarms":     func(c *passwords.Config) { c.AlarmRate = -1 },
	} {
		c := passwords.Defaults()
		change(&c)
		if c.Check() == nil {
			t.Errorf("a bad %s passes", name)
		}
	}
}
