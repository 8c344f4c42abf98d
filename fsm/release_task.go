package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// releaseTask hands an attempt back unfinished: the task returns to its place, nothing is charged.
// Proposed when a draining worker gives up what it could not finish.
//
// Refusals: STALE, CANCELED, INVALID, as for completeTask.
func releaseTask(t *tx, c *fsmpb.ReleaseTask) Answer {
	ref, ok := taskRefOf(c.Task)
	if !ok {
		return no(CodeInvalid, "a task is named by its job's 16 bytes, its step and its shard")
	}
	fence := fenceOf(c.Fence)
	s, l := t.lease(c.Session, fence, ref)
	if l == nil {
		return t.stale(ref, fence)
	}
	t.dropLease(s, fence, l)
	if l.revoked {
		return canceled(ref)
	}
	j := t.job(ref.Job)
	t.handBack(j, ref, t.task(j, ref))
	return Answer{Job: j.id, State: j.state}
}
