package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// StartRedrive begins to retry, or discard, dead jobs at a rate. existing: the id was there before.
func (e *Engine) StartRedrive(ctx context.Context, c *fsmpb.StartRedrive) (existing bool, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_StartRedrive{StartRedrive: c}})
	return a.Existing, index, err
}

// StopRedrive ends a redrive where it is. It goes before submissions. ended: it had ended before.
func (e *Engine) StopRedrive(ctx context.Context, namespace string, id fsm.JobID) (ended bool, index uint64, err error) {
	a, index, err := e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_StopRedrive{
		StopRedrive: &fsmpb.StopRedrive{Id: id[:], Namespace: namespace}}})
	return a.Existing, index, err
}

// DiscardJob removes a dead job for good.
func (e *Engine) DiscardJob(ctx context.Context, job fsm.JobID, reason string) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_DiscardJob{
		DiscardJob: &fsmpb.DiscardJob{Job: job[:], Reason: reason}}})
	return index, err
}
