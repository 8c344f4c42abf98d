package engine

import (
	"context"
	"maps"
	"sync"

	"github.com/fanfold/fanfold/fsm"
)

// Progress is what a worker says of an attempt that it runs. It is kept like a heartbeat: in the
// leader's memory, not in the log. A new leader hears it with the worker's next word.
type Progress struct {
	Done, Total uint64
	Note        string
}

// progressBoard is the latest progress of a session's attempts.
type progressBoard struct {
	mu     sync.Mutex // guards what follows
	all    map[fsm.Fence]Progress
	pulses map[fsm.Fence]*pulse // pulse.go
}

// Progress notes what the worker says of an attempt. At most twice as many attempts are noted as the
// session has slots; then all are forgotten, and the living ones are heard of again.
func (s *Stream) Progress(f fsm.Fence, p Progress) {
	one := s.session.Load()
	b := &one.progress
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, noted := b.all[f]; b.all == nil || !noted && len(b.all) >= 2*one.slots {
		b.all = make(map[fsm.Fence]Progress)
	}
	b.all[f] = p
	if pulse := b.pulses[f]; pulse != nil {
		pulse.heard = s.e.mono()
	}
}

// forget drops the progress of attempts that were reported on.
func (b *progressBoard) forget(fences []fsm.Fence) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) > 0 || len(b.pulses) > 0 {
		for _, f := range fences {
			delete(b.all, f)
			delete(b.pulses, f)
		}
	}
}

func (b *progressBoard) copy() map[fsm.Fence]Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.all)
}

// ProgressOf returns what the workers of these sessions have said of their attempts in this term.
func (e *Engine) ProgressOf(ctx context.Context, sessions []uint64) (map[fsm.Fence]Progress, error) {
	m := &progressRequest{sessions: sessions, reply: make(chan map[fsm.Fence]Progress, 1)}
	e.inbox.post(m)
	select {
	case all, ok := <-m.reply:
		if !ok {
			return nil, ErrNotLeader
		}
		return all, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type progressRequest struct {
	sessions []uint64
	reply    chan map[fsm.Fence]Progress // capacity 1; closed: refused
}

func (m *progressRequest) deliver(e *Engine) {
	all := make(map[fsm.Fence]Progress)
	for _, id := range m.sessions {
		if one := e.sessions.byID[id]; one != nil {
			maps.Copy(all, one.progress.copy())
		}
	}
	m.reply <- all
}

func (m *progressRequest) refuse(error) { close(m.reply) }
