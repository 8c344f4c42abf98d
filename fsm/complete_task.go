package fsm

import (
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// completeTask stores the result of an attempt and goes on: the slot is free, what waited for the task
// is runnable, and both may be leased in this very entry. Proposed when a worker reports success.
//
// Refusals: STALE (the lease is over: another attempt has the task, or had it), CANCELED (the job has
// ended; the slot is free now), TOO_LARGE, INVALID, NOT_FOUND (blob).
// Again: the same fence with the same result is acknowledged as Duplicate, for the first reply may
// have been lost.
func completeTask(t *tx, c *fsmpb.CompleteTask) Answer {
	ref, fence, s, l, refusal := t.reported(c.Session, c.Fence, c.Task)
	if refusal != nil {
		return Answer{Refusal: refusal}
	}
	if l == nil {
		return t.lateResult(ref, fence, c.Result)
	}
	if l.revoked {
		t.dropLease(s, fence, l)
		return t.withdrawn(ref, fence, l)
	}
	j := t.job(ref.Job)
	v, r := t.checkValue(c.Result, ref.Job)
	if r != nil {
		// The lease stays: the worker has to say how the attempt ended.
		return Answer{Refusal: r}
	}
	t.dropLease(s, fence, l)
	tk := t.task(j, ref)
	t.set(keyResult(ref), encodeResult(result{fence: fence, value: v, by: t.runOf(tk, s, l)}))
	tk.attempts++
	tk.session = 0
	t.dropSaved(ref, tk)
	t.claim(v, j)
	t.charge(j, v)
	t.m.state.Completions++
	t.saw(j.id)
	if j.plan.steps[ref.Step].plain() {
		t.stepDone(j, ref.Step)
	} else {
		t.unhold(j, ref)
		tk.set(ref, TaskSuccess)
		t.shardDone(j, ref)
	}
	return Answer{Job: j.id, State: j.state}
}

// reported reads what every report names: the task, the fence, and the lease that it is under; l is nil
// when that is over.
func (t *tx) reported(id uint64, f *fsmpb.Fence, task *fsmpb.TaskRef) (ref TaskRef, fence Fence, s *session, l *lease, r *Refusal) {
	ref, ok := taskRefOf(task)
	if !ok {
		return ref, fence, nil, nil, refuse(CodeInvalid, "a task is named by its job's 16 bytes, its step and its shard")
	}
	fence = FenceOf(f)
	s, l = t.lease(id, fence, ref)
	if planted.NoFence && l == nil {
		fence, s, l = t.anyLease(ref)
	}
	return ref, fence, s, l, nil
}

// lease finds the lease that a report names, or nil.
func (t *tx) lease(id uint64, f Fence, ref TaskRef) (*session, *lease) {
	s := t.m.sessions[id]
	if s == nil {
		return nil, nil
	}
	if l := s.leases[f]; l != nil && l.ref == ref {
		return s, l
	}
	return nil, nil
}

// lateResult answers a result whose lease is over. It changes nothing but the counters.
func (t *tx) lateResult(ref TaskRef, f Fence, p *fsmpb.Value) Answer {
	if b := t.get(keyResult(ref)); b != nil {
		if r := decodeResult(b); r.fence == f {
			if v, refusal := t.checkValue(p, ref.Job); refusal == nil && v.equal(r.value) {
				t.m.state.Duplicates++
				if planted.JoinOnce {
					t.arrived(t.job(ref.Job), ref)
				}
				return Answer{Job: ref.Job, Duplicate: true}
			}
		}
	}
	return t.stale(ref, f)
}

func (t *tx) stale(ref TaskRef, f Fence) Answer {
	t.m.state.Stale++
	return no(CodeStale, "the lease %s of task %s is over: another attempt has the task, or had it; drop the result", f, ref)
}

// withdrawn answers a report under a lease of which only the slot was left.
func (t *tx) withdrawn(ref TaskRef, f Fence, l *lease) Answer {
	if l.cause == causeTimeout {
		return t.stale(ref, f)
	}
	return no(CodeCanceled, "job %s has ended: the result is not needed", ref.Job)
}
