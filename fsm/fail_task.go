package fsm

import (
	"encoding/json"

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
		return canceled(ref)
	}
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	e := bounded(c.Error)
	after := min(c.RetryAfterMs, dag.MaxDurationMS) // the sum must not overflow
	if c.Snooze {
		t.m.state.Snoozes++
		t.unhold(j, ref)
		t.enterRetry(j, ref, tk, t.now+max(after, 1))
		return Answer{Job: j.id, State: j.state}
	}
	if c.RateLimitedMs > 0 {
		t.keepAttempt(ref, tk, s, fence, l, EndReleased, nil)
		t.rateLimited(j, ref, tk, l, c.RateLimitedMs)
		return Answer{Job: j.id, State: j.state}
	}
	t.m.state.Failures++
	t.keepAttempt(ref, tk, s, fence, l, EndError, e)
	tk.attempts++
	retry := j.plan.steps[ref.Step].retry
	if c.Permanent || tk.attempts >= retry.MaxAttempts {
		t.dead(j, ref, tk, e)
		return Answer{Job: j.id, State: j.state}
	}
	delay := after
	if delay <= 0 {
		delay = retry.DelayMS(tk.attempts, jitterSeed(j, ref))
	}
	t.unhold(j, ref)
	t.enterRetry(j, ref, tk, t.now+max(delay, 1))
	return Answer{Job: j.id, State: j.state}
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

// dead ends a task for good; e was its last attempt's error. A plain step fails its job; an item of a map does so when the map's
// tolerance is used up, and is a value when the map is settled.
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
	if sp.step.Kind == dag.StepFold || !sp.opts.Settled && g.dead >= sp.opts.Tolerate {
		g.live--
		g.dirty = true
		t.fail(j, ref, nil)
		return
	}
	g.dead++
	if sp.opts.Settled {
		v := settledError(e)
		t.set(keyResult(ref), encodeResult(result{fence: tk.fence, dead: true, value: v}))
		t.charge(j, v)
		t.dropSaved(ref, tk)
		t.dropTask(ref)
	}
	t.shardLeft(j, ref, g)
	t.arrived(j, ref)
	t.groupDone(j, ref.Step, g)
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
