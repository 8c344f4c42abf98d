package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
)

// raftLog is engine.Log over one Raft instance.
//
// What an error means decides whether a client may be told "no" (it did not happen) or must be told
// "unknown" (it may happen yet). Only what Raft refused before it touched the log is a no.
type raftLog struct {
	raft   *raft.Raft
	pauses *pauses
	fail   func(code int, reason string)
	lease  time.Duration // how old a contact the leader lives on
	stuck  time.Duration // how long a leadership transfer may block proposals

	mu           sync.Mutex
	open         map[*proposal]bool
	closed       bool
	blockedSince time.Time // proposals are refused because a transfer is under way
}

var _ engine.Log = (*raftLog)(nil)

type proposal struct {
	done func(*fsm.Result, error)
}

func newRaftLog(r *raft.Raft, p *pauses, fail func(int, string), lease, election time.Duration) *raftLog {
	return &raftLog{raft: r, pauses: p, fail: fail, lease: lease, stuck: 4*election + 5*time.Second, open: map[*proposal]bool{}}
}

// Propose appends an entry. Raft's channel for proposals has room for many more than an engine has
// in flight, so it does not block.
func (l *raftLog) Propose(data []byte, done func(*fsm.Result, error)) {
	p := &proposal{done: done}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.open[p] = true
	}
	l.mu.Unlock()
	if closed {
		go done(nil, engine.ErrNotLeader)
		return
	}
	future := l.raft.Apply(data, 0)
	go func() { // an entry carries hundreds of commands: one goroutine each is nothing
		err := future.Error()
		result, _ := future.Response().(*fsm.Result)
		if err == nil && result == nil {
			err = fmt.Errorf("cluster: the entry was not applied here: %v", future.Response())
		}
		l.settle(p, result, l.classify(err))
	}()
}

// settle answers a proposal once. A future that Raft has forgotten at its shutdown is answered by
// close instead; its goroutine ends with the process.
func (l *raftLog) settle(p *proposal, result *fsm.Result, err error) {
	l.mu.Lock()
	open := l.open[p]
	delete(l.open, p)
	l.mu.Unlock()
	if open {
		p.done(result, err)
	}
}

// classify turns Raft's errors into the two that an engine knows.
func (l *raftLog) classify(err error) error {
	l.noteTransfer(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return engine.ErrNotLeader
	}
	// ErrLeadershipLost, ErrRaftShutdown (also given to entries that are committed), a failed append:
	return fmt.Errorf("%w: %v", engine.ErrOutcomeUnknown, err)
}

// noteTransfer ends the process when a transfer of leadership never ends: hashicorp/raft can leave
// its mark set when it steps down at the wrong moment, and then refuses every entry as leader (#696).
func (l *raftLog) noteTransfer(err error) {
	l.mu.Lock()
	if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		l.blockedSince = time.Time{}
	} else if l.blockedSince.IsZero() {
		l.blockedSince = time.Now()
	}
	long := !l.blockedSince.IsZero() && time.Since(l.blockedSince) > l.stuck
	l.mu.Unlock()
	if long && l.raft.State() == raft.Leader {
		l.fail(ExitInvariant, "Raft has been refusing entries since a transfer of leadership that did not end")
	}
}

// close answers every proposal that is still open, after Raft has shut down.
func (l *raftLog) close() {
	l.mu.Lock()
	open := l.open
	l.open, l.closed = map[*proposal]bool{}, true
	l.mu.Unlock()
	for p := range open {
		p.done(nil, engine.ErrOutcomeUnknown)
	}
}

// VerifyLeader asks a majority whether this node leads, in a round that begins after the call.
//
// Raft's own check may take the answer to an older heartbeat for the answer to this one. As long as
// the process runs that is harmless: the older heartbeat is at most a lease old, or the leader would
// have stepped down, and a follower elects nobody for twice that long after a heartbeat. A process
// that was stopped and continued finds very old answers in its sockets, though (etcd #20418 is of
// this family). So a check that ran into a pause, or near one, is repeated through the log.
func (l *raftLog) VerifyLeader(ctx context.Context) error {
	start, term := time.Now(), l.raft.CurrentTerm()
	if err := l.wait(ctx, l.raft.VerifyLeader); err != nil {
		return err
	}
	if l.pauses.since(start.Add(-4 * l.lease)) {
		if err := l.wait(ctx, func() raft.Future { return l.raft.Barrier(0) }); err != nil {
			return err
		}
	}
	if l.raft.CurrentTerm() != term || l.raft.State() != raft.Leader {
		return engine.ErrNotLeader
	}
	return nil
}

// wait waits for a future, or for ctx.
func (l *raftLog) wait(ctx context.Context, begin func() raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- begin().Error() }()
	select {
	case err := <-done:
		l.noteTransfer(err)
		if err != nil {
			return fmt.Errorf("%w: %v", engine.ErrNotLeader, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
