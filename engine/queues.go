package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// What operators do with queues, limits and budgets. All of it goes before submissions: most is asked for
// when there are too many. Each may be repeated, and returns the index at which it holds.

// SetQueue changes settings of a queue; the queue is made when it is not there.
func (e *Engine) SetQueue(ctx context.Context, c *fsmpb.SetQueue) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: c}})
}

// PauseQueue stops the grants of a queue.
func (e *Engine) PauseQueue(ctx context.Context, namespace, queue string) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_PauseQueue{PauseQueue: &fsmpb.PauseQueue{Namespace: namespace, Queue: queue}}})
}

// ResumeQueue lets a queue grant again.
func (e *Engine) ResumeQueue(ctx context.Context, namespace, queue string) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_ResumeQueue{ResumeQueue: &fsmpb.ResumeQueue{Namespace: namespace, Queue: queue}}})
}

// DrainQueue makes a queue refuse new jobs.
func (e *Engine) DrainQueue(ctx context.Context, namespace, queue string) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_DrainQueue{DrainQueue: &fsmpb.DrainQueue{Namespace: namespace, Queue: queue}}})
}

// UndrainQueue lets a queue take new jobs again.
func (e *Engine) UndrainQueue(ctx context.Context, namespace, queue string) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_UndrainQueue{UndrainQueue: &fsmpb.UndrainQueue{Namespace: namespace, Queue: queue}}})
}

// PurgeQueue cancels the jobs that only wait in a queue now. It returns when that has begun; the queue says
// when it is done.
func (e *Engine) PurgeQueue(ctx context.Context, namespace, queue string) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_PurgeQueue{PurgeQueue: &fsmpb.PurgeQueue{Namespace: namespace, Queue: queue}}})
}

// SetLimit makes a limit or changes its numbers.
func (e *Engine) SetLimit(ctx context.Context, l *fsmpb.Limit) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_SetLimit{SetLimit: &fsmpb.SetLimit{Limit: l}}})
}

// DeleteLimit removes a limit.
func (e *Engine) DeleteLimit(ctx context.Context, l *fsmpb.Limit) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_DeleteLimit{DeleteLimit: &fsmpb.DeleteLimit{Limit: l}}})
}

// SetBudget bounds what the whole cluster takes in.
func (e *Engine) SetBudget(ctx context.Context, b *fsmpb.Budget) (index uint64, err error) {
	return e.operate(ctx, &fsmpb.Command{Kind: &fsmpb.Command_SetBudget{SetBudget: &fsmpb.SetBudget{Budget: b}}})
}

func (e *Engine) operate(ctx context.Context, c *fsmpb.Command) (index uint64, err error) {
	_, index, err = e.one(ctx, urgent, c)
	return index, err
}
