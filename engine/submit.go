package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// Submit creates jobs, each all or nothing, and returns one answer for each, in order, with the index
// of the last entry that held one. Many jobs may be spread over several entries. A full queue is
// ErrOverloaded at once. Submitting the same ids again is safe.
func (e *Engine) Submit(ctx context.Context, jobs []*fsmpb.SubmitJob) ([]fsm.Answer, uint64, error) {
	if len(jobs) == 0 {
		index, _ := e.cfg.Machine.Applied()
		return nil, index, nil
	}
	type wrapped struct {
		cmd  fsmpb.Command
		kind fsmpb.Command_SubmitJob
	}
	slab := make([]wrapped, len(jobs)) // one allocation for all wrappers
	cmds := make([]*fsmpb.Command, len(jobs))
	for i, j := range jobs {
		w := &slab[i]
		w.kind.SubmitJob = j
		w.cmd.Kind = &w.kind
		cmds[i] = &w.cmd
	}
	if planted.AckBeforeCommit {
		return e.submitUnheard(jobs, cmds)
	}
	r, err := e.do(ctx, bulk, cmds...)
	if err != nil {
		return nil, 0, err
	}
	return r.answers, r.index, nil
}

// PutChunk uploads a part of a blob. It queues with the submissions.
func (e *Engine) PutChunk(ctx context.Context, c *fsmpb.PutChunk) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_PutChunk{PutChunk: c}})
	return index, err
}
