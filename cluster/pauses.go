package cluster

import (
	"context"
	"sync"
	"time"
)

// pauses notices when the whole process did not run for a while: SIGSTOP, a suspended machine, a
// frozen container. A leader that wakes up from such a pause may find old answers of its followers in
// its sockets and believe that it still leads (see raftLog.VerifyLeader).
type pauses struct {
	tick time.Duration
	now  func() time.Time // monotonic

	mu       sync.Mutex
	lastTick time.Time
	lastEnd  time.Time // when the last pause was noticed to be over
}

func newPauses(tick time.Duration) *pauses {
	return &pauses{tick: tick, now: time.Now, lastTick: time.Now()}
}

// Run ticks until ctx is done.
func (p *pauses) Run(ctx context.Context) error {
	ticker := time.NewTicker(p.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			p.look()
		}
	}
}

func (p *pauses) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.lastTick) > 3*p.tick {
		p.lastEnd = now
	}
	p.lastTick = now
}

// since reports whether a pause ended after t, or is ending now: the ticker has not run since.
func (p *pauses) since(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now().Sub(p.lastTick) > 3*p.tick || (!p.lastEnd.IsZero() && !p.lastEnd.Before(t))
}
