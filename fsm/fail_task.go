package fsm

import (
	"encoding/json"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// failTask ends an attempt with an error: the task waits for its backoff, or is dead when its attempts
// are used up. Proposed when a worker reports a failure.
//
// Refusals: STALE, CANCELED, INVALID, as for completeTask.
// Again: the fence of the attempt that failed last is acknowledged as Duplicate.
func failTask(t *tx, c *fsmpb.FailTask) Answer {
	ref, fence, s, l, refusal := t.reported(c.Session, c.Fence, c.Task)
	if refusal != nil {
		return Answer{Refusal: refusal}
	}
	if l == nil {
		return t.lateFailure(ref, fence)
	}
	t.dropLease(s, fence, l)
	if l.revoked {
		return t.withdrawn(ref, fence, l)
	}
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	after := min(c.RetryAfterMs, dag.MaxDurationMS) // the sum must not overflow
	if c.Snooze {
		t.m.state.Snoozes++
		t.unhold(j, ref)
		t.enterRetry(j, ref, tk, t.now+max(after, 1))
		return Answer{Job: j.id, State: j.state}
	}
	if c.RateLimitedMs > 0 {
		t.rateLimited(j, ref, tk, l, c.RateLimitedMs)
		return Answer{Job: j.id, State: j.state}
	}
	a := failedAttempt{why: EndError, err: bounded(c.Error), permanent: c.Permanent, discard: c.Discard, after: after}
	if c.Timeout {
		a.why = EndTimeout
	}
	t.failed(j, ref, tk, s, fence, l, a)
	return Answer{Job: j.id, State: j.state}
}

// failedAttempt says how an attempt failed, and what its function asked for.
type failedAttempt struct {
	why       End
	err       *fsmpb.Error
	permanent bool  // no further attempt
	discard   bool  // the task is not wanted any more
	after     int64 // ms before the next attempt; 0 = the policy's
}

// failed charges an attempt whose lease is over, and decides what becomes of its task.
func (t *tx) failed(j *job, ref TaskRef, tk *task, s *session, f Fence, l *lease, a failedAttempt) {
	retry := &j.plan.steps[ref.Step].retry
	if a.discard || slices.Contains(retry.DiscardOn, a.err.Type) {
		t.keepAttempt(ref, tk, s, f, l, EndDiscarded, a.err)
		t.discarded(j, ref, tk, a.err)
		return
	}
	t.m.state.Failures++
	t.keepAttempt(ref, tk, s, f, l, a.why, a.err)
	tk.attempts++
	delay := a.after
	if delay <= 0 {
		delay = retry.DelayMS(tk.attempts, jitterSeed(j, ref))
	}
	delay = max(delay, 1)
	late := retry.DeadlineMS > 0 && t.now+delay > tk.since+retry.DeadlineMS
	if a.permanent || late || tk.attempts >= retry.MaxAttempts || slices.Contains(retry.PermanentOn, a.err.Type) {
		t.dead(j, ref, tk, a.err)
		return
	}
	t.unhold(j, ref)
	t.enterRetry(j, ref, tk, t.now+delay)
}

func (t *tx) lateFailure(ref TaskRef, f Fence) Answer {
	if j := t.job(ref.Job); j != nil {
		if tk := t.task(j, ref); tk != nil && tk.fence == f && (tk.state == TaskRetry || tk.state == TaskDead) {
			t.m.state.Duplicates++
			return Answer{Job: j.id, Duplicate: true, State: j.state}
		}
	}
	return t.stale(ref, f)
}

// jitterSeed spreads the retries of tasks that failed together; it depends on ids alone.
func jitterSeed(j *job, ref TaskRef) uint64 {
	return be.Uint64(ref.Job[8:]) ^ uint64(ref.Step)<<40 ^ ref.Shard ^ uint64(j.round)<<56
}

// dead ends a task for good; e was its last attempt's error. A plain step fails its job; an item of a map
// does so when the map's tolerance is used up, and is a value when the map is settled.
func (t *tx) dead(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	t.m.state.Dead++
	tk.set(ref, TaskDead)
	tk.session = 0
	t.mark(j, ref, tk)
	t.taskDead(j, ref, tk, e)
	sp := &j.plan.steps[ref.Step]
	if sp.plain() {
		t.fail(j, ref, nil)
		return
	}
	t.unhold(j, ref)
	g := t.group(j, ref.Step)
	if sp.step.Kind == dag.StepFold || !sp.opts.Settled && g.dead-g.discarded >= sp.opts.Tolerate {
		g.live--
		g.dirty = true
		t.fail(j, ref, nil)
		return
	}
	if sp.opts.Settled {
		t.keepError(j, ref, tk, e)
		t.dropSaved(ref, tk)
		t.dropTask(ref)
	}
	t.itemLost(j, ref, g)
}

// itemLost goes on without an item of a map.
func (t *tx) itemLost(j *job, ref TaskRef, g *group) {
	g.dead++
	t.shardLeft(j, ref, g)
	t.arrived(j, ref)
	t.groupDone(j, ref.Step, g)
}

// discarded ends a task that is not wanted any more: its job is CANCELED and not among the dead. An item of a
// map is missing in the results (a settled map has its error), without a charge to the map's tolerance.
func (t *tx) discarded(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	t.m.state.Discards++
	tk.set(ref, TaskCanceled)
	tk.session = 0
	t.mark(j, ref, tk)
	t.unhold(j, ref)
	sp := &j.plan.steps[ref.Step]
	if sp.step.Kind == dag.StepMap {
		if sp.opts.Settled {
			t.keepError(j, ref, tk, e)
		}
		t.dropSaved(ref, tk)
		t.dropTask(ref) // a canceled item would run again when its job is retried
		g := t.group(j, ref.Step)
		g.discarded++
		t.itemLost(j, ref, g)
		return
	}
	if g := t.groupOf(j, ref); g != nil {
		g.live--
		g.dirty = true
	}
	j.failed, j.failedAt = true, ref
	j.reason = truncate("DISCARDED: "+e.Message, 1024)
	t.cancelLive(j, causeFailed)
	t.end(j, JobCanceled)
}

// keepError makes the error of an item of a settled map its result.
func (t *tx) keepError(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	v := settledError(e)
	t.set(keyResult(ref), encodeResult(result{fence: tk.fence, dead: true, value: v}))
	t.charge(j, v)
}

// settledError is a dead item of a settled map as a value. encoding/json writes a struct's fields in
// their order, so every replica writes the same bytes.
func settledError(e *fsmpb.Error) value {
	type errorDoc struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	b, err := json.Marshal(struct {
		Error errorDoc `json:"error"`
	}{errorDoc{e.Type, e.Message}})
	must(err)
	return value{inline: b}
}

// bounded cuts an error to what is stored of it.
func bounded(e *fsmpb.Error) *fsmpb.Error {
	return &fsmpb.Error{Type: truncate(e.GetType(), 255), Message: truncate(e.GetMessage(), 4<<10), Stack: truncate(e.GetStack(), 16<<10)}
}
