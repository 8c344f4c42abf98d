package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// SetSchedule makes a schedule, or changes the one of that name: existing. Again it changes nothing.
func (e *Engine) SetSchedule(ctx context.Context, c *fsmpb.SetSchedule) (existing bool, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_SetSchedule{SetSchedule: c}})
	return a.Existing, index, err
}

// DeleteSchedule removes a schedule. Its jobs go on.
func (e *Engine) DeleteSchedule(ctx context.Context, namespace, name string) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_DeleteSchedule{
		DeleteSchedule: &fsmpb.DeleteSchedule{Namespace: namespace, Name: name}}})
	return index, err
}

// PauseSchedule stops a schedule's ticks. When it has returned none is fired any more. It goes before
// submissions.
func (e *Engine) PauseSchedule(ctx context.Context, namespace, name, note string) (index uint64, err error) {
	_, index, err = e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_PauseSchedule{
		PauseSchedule: &fsmpb.PauseSchedule{Namespace: namespace, Name: name, Note: note}}})
	return index, err
}

// ResumeSchedule lets a schedule's ticks go on from now.
func (e *Engine) ResumeSchedule(ctx context.Context, namespace, name string) (index uint64, err error) {
	_, index, err = e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_PauseSchedule{
		PauseSchedule: &fsmpb.PauseSchedule{Namespace: namespace, Name: name, Resume: true}}})
	return index, err
}

// TriggerSchedule makes a job of a schedule at once, under an id of the caller's. existing: it was made
// before.
func (e *Engine) TriggerSchedule(ctx context.Context, namespace, name string, job fsm.JobID, tickMS int64) (existing bool, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_TriggerSchedule{
		TriggerSchedule: &fsmpb.TriggerSchedule{Namespace: namespace, Name: name, Job: job[:], TickMs: tickMS}}})
	return a.Existing, index, err
}

// BackfillSchedule makes the jobs of the ticks in [fromMS, toMS) that are not there. nextMS says where to go
// on when there were too many for one call; 0 = done.
func (e *Engine) BackfillSchedule(ctx context.Context, namespace, name string, fromMS, toMS int64) (made, present uint64, nextMS int64, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_BackfillSchedule{
		BackfillSchedule: &fsmpb.BackfillSchedule{Namespace: namespace, Name: name, FromMs: fromMS, ToMs: toMS}}})
	return a.Made, a.Present, a.NextMS, index, err
}
