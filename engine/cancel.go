package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Cancel ends a job. When it has returned no task of the job is granted any more; workers that run
// one are told. A job that has ended keeps its state, which is the answer. It goes before submissions.
func (e *Engine) Cancel(ctx context.Context, job fsm.JobID, reason string) (fsm.JobState, uint64, error) {
	a, index, err := e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_CancelJob{
		CancelJob: &fsmpb.CancelJob{Job: job[:], Reason: reason}}})
	return a.State, index, err
}

// Retry runs the failed and canceled steps of an ended job again.
func (e *Engine) Retry(ctx context.Context, job fsm.JobID) (fsm.JobState, uint64, error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_RetryJob{
		RetryJob: &fsmpb.RetryJob{Job: job[:]}}})
	return a.State, index, err
}

// Purge removes an ended job with its results and blobs.
func (e *Engine) Purge(ctx context.Context, job fsm.JobID) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_PurgeJob{
		PurgeJob: &fsmpb.PurgeJob{Job: job[:]}}})
	return index, err
}

// HashState makes every replica compute the hash of its state at the index that is returned.
func (e *Engine) HashState(ctx context.Context) (index uint64, err error) {
	_, index, err = e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_HashState{HashState: &fsmpb.HashState{}}})
	return index, err
}
