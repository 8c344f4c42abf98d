package fsm

import (
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// retryJob runs a failed or canceled job again from where it stopped: steps and shards that succeeded
// are kept, the others start over with fresh attempts. Proposed for Client.Retry.
//
// Items of a map that died within its tolerance stay dead: folds have counted them already.
//
// Refusals: NOT_FOUND, NOT_ENDED (it is running), CONFLICT (it has succeeded), TYPE_MISMATCH (its tasks
// are in use with other types by now), EXISTS (another job has its unique key by now).
func retryJob(t *tx, c *fsmpb.RetryJob) Answer {
	j := t.lookup(c.Job)
	switch {
	case j == nil:
		return unknownJob(c.Job)
	case !j.state.Ended():
		return no(CodeNotEnded, "job %s is running: only a failed or canceled job can be retried; cancel it first", j.id)
	case j.state == JobSuccess:
		return no(CodeConflict, "job %s has succeeded: submit a new job to run it again", j.id)
	}
	if r := t.checkKinds(j.plan.graph, j.namespace); r != nil {
		return Answer{Refusal: r}
	}
	if r := t.mayReopen(j); r != nil {
		return Answer{Refusal: r}
	}
	t.clearTimer(j.purgeMS, dutyPurge, TaskRef{Job: j.id})
	t.unretain(j)
	t.exhumeJob(j)
	j.state, j.finishedMS, j.purgeMS, j.reason = JobRunning, 0, 0, ""
	j.round++
	j.notBefore = 0
	j.dirty = true
	j.left = 0
	for i := range j.steps {
		t.resetStep(j, uint32(i))
	}
	kinds(j.plan.graph, func(name, types string) {
		k := t.m.names.kind(j.namespace, name)
		k.live++
		t.m.useTypes(k, types)
		t.m.names.touchKind(k)
	})
	if key := keyAttempt(j.failedAt, stepErrorNumber); j.failed && t.get(key) != nil {
		t.del(key)
		j.failedAt = TaskRef{} // the step has failed and no item of it: those that are dead stay so
	}
	t.saw(j.id)
	t.jobReopened(j)
	t.start(j)
	if j.state != JobFailure { // else it has failed again at once: its input is no list
		j.failed, j.failedAt = false, TaskRef{}
	}
	return Answer{Job: j.id, State: j.state}
}

// resetStep puts a step that did not succeed back to its beginning.
func (t *tx) resetStep(j *job, i uint32) {
	s := &j.steps[i]
	s.waiting = 0
	for _, d := range j.plan.graph.Dependencies(dag.StepID(i)) {
		if j.steps[d].state != TaskSuccess {
			s.waiting++
		}
	}
	j.touch(i)
	if s.state == TaskSuccess {
		return
	}
	j.left++
	s.set(j.ref(i), TaskBlocked)
	s.attempts, s.crashes, s.seq, s.due, s.since = 0, 0, 0, 0, 0
}
