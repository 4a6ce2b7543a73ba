package smpp

import (
	"context"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
)

// pace lets through perSecond in any second: a token comes every 1/perSecond seconds and one that nobody takes is not kept, because centres
// count without mercy. 0: no limit.
type pace struct {
	clock     models.Clock
	perSecond int

	mu   sync.Mutex
	next time.Duration // since 1970: when the next token comes
}

func (p *pace) wait(ctx context.Context) error {
	if p.perSecond <= 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	now := p.clock.Now().Sub(0)
	due := max(p.next, now)
	p.next = due + time.Second/time.Duration(p.perSecond)
	p.mu.Unlock()
	if due == now {
		return ctx.Err()
	}
	return p.clock.Wait(ctx, due-now)
}
