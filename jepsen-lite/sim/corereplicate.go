package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/engine"
)

// replicate sends what the leader has, waits for the disks, and commits what a majority has on them.
func (w *coreWorld) replicate() {
	w.mu.Lock()
	l, term := w.ruler(), w.term
	if l == nil {
		w.mu.Unlock()
		return
	}
	last := len(l.log)
	type sent struct {
		n    *coreNode
		life int
	}
	var to []sent
	for _, n := range w.reachable(l) {
		if n != l && w.chance.IntN(100) < 15 { // it is late
			continue
		}
		if err := n.adopt(l.log[:last]); err != nil {
			w.violate("X2", "what was applied is never taken back", err.Error())
		}
		to = append(to, sent{n, n.lives})
	}
	w.mu.Unlock()
	time.Sleep(time.Duration(1+w.chance.Int64N(1+int64(w.plan.Sync/time.Microsecond))) * time.Microsecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ruler() != l || w.term != term {
		return
	}
	on := 0
	for _, s := range to {
		if s.n.up() && s.n.lives == s.life && (s.n == l || !s.n.away && !l.away) {
			s.n.synced = max(s.n.synced, min(last, len(s.n.log)))
			on++
		}
	}
	if on >= w.majority() && uint64(last) > w.commit {
		w.commit = uint64(last)
		w.decided = append(w.decided, l.log[len(w.decided):last]...)
	}
	w.applyAll(l)
	if w.end == nil && w.err == nil && l.applied() >= w.firstOf(l) {
		w.beginEngine(l)
	}
}

// firstOf is the index of the first entry of the leader's term. Precondition: mu is held.
func (w *coreWorld) firstOf(l *coreNode) uint64 {
	i := len(l.log)
	for i > 0 && l.log[i-1].term == w.term {
		i--
	}
	return uint64(i) + 1
}

// applyAll has the nodes apply what is committed, the followers not always at once. Precondition: mu is held.
func (w *coreWorld) applyAll(l *coreNode) {
	for _, n := range w.reachable(l) {
		to := min(w.commit, uint64(len(n.log)))
		if n != l {
			to = min(to, uint64(n.synced))
			if w.chance.IntN(4) == 0 {
				continue
			}
			if !w.agrees(n, to) {
				continue // it has not heard from this leader yet
			}
		}
		results, err := n.apply(to, 1+w.chance.IntN(4))
		if err != nil {
			w.err = errors.Join(w.err, fmt.Errorf("n%d: %w", n.index+1, err))
			return
		}
		if n != l {
			continue
		}
		for _, index := range sortedIndexes(w.open) {
			if index <= to {
				w.open[index](results[index], nil)
				delete(w.open, index)
			}
		}
		if w.plan.Threshold < 100 && w.commit%w.plan.Threshold == 0 {
			_, err := n.machine.Flush()
			w.err = errors.Join(w.err, err)
		}
	}
}

// agrees reports whether a node's log is the committed one up to an index. Precondition: mu is held.
func (w *coreWorld) agrees(n *coreNode, to uint64) bool {
	return to == 0 || n.log[to-1].term == w.decided[to-1].term
}

// beginEngine begins the leader's work. Precondition: mu is held.
func (w *coreWorld) beginEngine(l *coreNode) {
	e, err := engine.New(engine.Config{
		Log: &coreLog{w, w.term}, Machine: l.machine, EntryCommands: 1 + w.chance.IntN(8),
		Clock: func() time.Time { return time.Now().Add(time.Duration(l.clock.Load())) },
	})
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.engine = e
	w.end = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		if err := e.Run(ctx); err != nil && !errors.Is(err, engine.ErrNotLeader) && !errors.Is(err, engine.ErrOutcomeUnknown) {
			w.mu.Lock()
			w.err = errors.Join(w.err, err)
			w.mu.Unlock()
		}
	}()
}
