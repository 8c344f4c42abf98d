package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// CreateBatch makes a batch of jobs. Creating it again under the same id changes nothing: existing.
func (e *Engine) CreateBatch(ctx context.Context, c *fsmpb.CreateBatch) (existing bool, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_CreateBatch{CreateBatch: c}})
	return a.Existing, index, err
}

// CloseBatch says that no more jobs of a batch come from outside.
func (e *Engine) CloseBatch(ctx context.Context, id fsm.BatchID) (fsm.BatchState, uint64, error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_CloseBatch{
		CloseBatch: &fsmpb.CloseBatch{Batch: id[:]}}})
	return a.Batch, index, err
}

// ReopenBatch takes CloseBatch back, while a job of the batch lives.
func (e *Engine) ReopenBatch(ctx context.Context, id fsm.BatchID) (fsm.BatchState, uint64, error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_ReopenBatch{
		ReopenBatch: &fsmpb.ReopenBatch{Batch: id[:]}}})
	return a.Batch, index, err
}

// CancelBatch cancels the living jobs of a batch. It goes before submissions; many jobs are canceled over
// several entries.
func (e *Engine) CancelBatch(ctx context.Context, id fsm.BatchID, reason string) (fsm.BatchState, uint64, error) {
	a, index, err := e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_CancelBatch{
		CancelBatch: &fsmpb.CancelBatch{Batch: id[:], Reason: reason}}})
	return a.Batch, index, err
}

// PurgeBatch removes a batch that has ended; its jobs stay.
func (e *Engine) PurgeBatch(ctx context.Context, id fsm.BatchID) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_PurgeBatch{
		PurgeBatch: &fsmpb.PurgeBatch{Batch: id[:]}}})
	return index, err
}
