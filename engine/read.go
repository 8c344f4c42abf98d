package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm/planted"
)

// ReadIndex returns a log index such that a read of this node's state at it, or later, is
// linearizable: it contains everything that was acknowledged to anybody before the call, and everything
// that another node had applied by then and may have shown in a stale read. The state has it applied already.
//
// All that was acknowledged in this term was applied here first, and all earlier terms' entries were
// applied before Run. What others may have applied before this node was on its way when the call was made, so
// the answer waits for that. What remains is to make sure, by a round to a quorum, that no later term
// existed when the call was made. Rounds are shared: while one is under way, new callers gather for
// the next. A round never serves a caller who came after it began, because in between another leader
// may have been elected and have acknowledged a write.
func (e *Engine) ReadIndex(ctx context.Context) (uint64, error) {
	m := &readRequest{reply: make(chan readReply, 1)}
	e.inbox.post(m)
	select {
	case r := <-m.reply:
		return r.index, r.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

type readRequest struct{ reply chan readReply } // capacity 1

type readReply struct {
	index uint64
	err   error
}

func (m *readRequest) deliver(e *Engine) {
	e.reads.gathered = append(e.reads.gathered, m)
	e.verify()
}

func (m *readRequest) refuse(err error) { m.reply <- readReply{err: err} }

// reads are the callers of ReadIndex.
type reads struct {
	gathered []*readRequest // wait for a round that has not begun
	served   []*readRequest // wait for the round under way
	until    uint64         // the entries that were proposed when it began have to be applied
	running  bool
	verified bool  // the round has come back ...
	err      error // ... with this
}

// verify begins a round for all who have gathered, unless one is under way.
func (e *Engine) verify() {
	r := &e.reads
	if r.running || len(r.gathered) == 0 {
		return
	}
	r.running, r.verified = true, false
	r.served, r.gathered = r.gathered, r.served[:0]
	r.until = e.proposed
	ctx := e.verifyCtx
	go func() { e.verifiedC <- e.log.VerifyLeader(ctx) }()
}

// verified notes how the round has ended.
func (e *Engine) verified(err error) {
	if planted.SharedVerify && err == nil {
		e.log = trusting{e.log}
	}
	e.reads.verified, e.reads.err = true, err
	e.answerReads()
}

// answerReads answers the callers of a round that has ended, once all is applied that was on its way when it began,
// and begins the next.
func (e *Engine) answerReads() {
	r := &e.reads
	if !r.running || !r.verified || r.err == nil && e.settled < r.until && !planted.SharedVerify {
		return
	}
	index, _ := e.cfg.Machine.Applied()
	for i, m := range r.served {
		m.reply <- readReply{index, r.err}
		r.served[i] = nil
	}
	r.running = false
	e.verify()
}

func (r *reads) end(err error) {
	for _, m := range append(r.gathered, r.served...) {
		if m != nil {
			m.refuse(err)
		}
	}
}
