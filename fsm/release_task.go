package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// releaseTask hands an attempt back unfinished: the task returns to its place, nothing is charged.
// Proposed when a draining worker gives up what it could not finish.
//
// Refusals: STALE, CANCELED, INVALID, as for completeTask.
func releaseTask(t *tx, c *fsmpb.ReleaseTask) Answer {
	ref, fence, s, l, refusal := t.reported(c.Session, c.Fence, c.Task)
	if refusal != nil {
		return Answer{Refusal: refusal}
	}
	if l == nil {
		return t.stale(ref, fence)
	}
	t.dropLease(s, fence, l)
	if l.revoked {
		return t.withdrawn(ref, fence, l)
	}
	j := t.job(ref.Job)
	t.handBack(j, ref, t.task(j, ref), s, fence, l)
	return Answer{Job: j.id, State: j.state}
}
