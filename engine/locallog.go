package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/fanfold/fanfold/fsm"
)

// LocalLog is a Log over a machine without Raft: for tests, and for a process that wants the engine
// and no cluster. It keeps nothing: an entry lives in the machine's state alone, which is durable as
// far as the machine was flushed.
type LocalLog struct {
	machine *fsm.Machine
	wake    chan struct{} // capacity 1

	mu      sync.Mutex // guards what follows
	waiting []proposal
	closed  bool
	next    uint64 // index of the next entry
}

type proposal struct {
	entry fsm.LogEntry
	done  func(*fsm.Result, error)
}

const localTerm = 1

// NewLocalLog makes a log that goes on after what the machine has applied. Run makes it work.
func NewLocalLog(m *fsm.Machine) *LocalLog {
	index, _ := m.Applied()
	return &LocalLog{machine: m, wake: make(chan struct{}, 1), next: index + 1}
}

// Propose appends an entry. See Log.
func (l *LocalLog) Propose(data []byte, done func(*fsm.Result, error)) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		done(nil, ErrNotLeader)
		return
	}
	l.waiting = append(l.waiting, proposal{fsm.LogEntry{Index: l.next, Term: localTerm, Data: data}, done})
	l.next++
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// VerifyLeader returns nil while the log runs: nobody else could lead.
func (l *LocalLog) VerifyLeader(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrNotLeader
	}
	return nil
}

// Run applies what is proposed until ctx is cancelled, and then refuses. It returns the machine's
// fault if there is one: nothing can go on then.
func (l *LocalLog) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			for _, p := range l.close() {
				p.done(nil, ErrNotLeader)
			}
			return nil
		case <-l.wake:
			if err := l.apply(); err != nil {
				return err
			}
		}
	}
}

func (l *LocalLog) take() []proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting
	l.waiting = nil
	return all
}

func (l *LocalLog) close() []proposal {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.take()
}

func (l *LocalLog) apply() error {
	all := l.take()
	entries := make([]fsm.LogEntry, len(all))
	for i, p := range all {
		entries[i] = p.entry
	}
	results, err := l.machine.Apply(entries)
	if err != nil {
		for _, p := range append(all, l.close()...) {
			p.done(nil, ErrOutcomeUnknown)
		}
		return fmt.Errorf("engine: local log: %w", err)
	}
	for i, p := range all {
		p.done(results[i], nil)
	}
	return nil
}
