package fsm

import (
	"cmp"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// start begins a job, or a retried one, or waits for its time: every step without an unfinished
// dependency becomes runnable.
func (t *tx) start(j *job) {
	if planted.EarlyStart {
		j.notBefore -= 50
	}
	due := j.notBefore <= t.now
	if !due {
		t.setTimer(j.notBefore, dutyStart, TaskRef{Job: j.id})
	} else if t.uniqueDue(j) {
		return // the end of another job starts it
	}
	for i := range j.steps {
		s := &j.steps[i]
		switch {
		case j.state.Ended():
			return // a bad input ended it
		case s.waiting > 0 || s.state != TaskBlocked && s.state != TaskScheduled:
		case due:
			t.activate(j, uint32(i))
		case s.state == TaskBlocked:
			s.set(j.ref(uint32(i)), TaskScheduled)
			s.due = j.notBefore
			j.touch(uint32(i))
		}
	}
	if j.left == 0 {
		t.end(j, JobSuccess)
	}
}

// activate makes a step runnable: its dependencies are done, or it is a fold that streams.
func (t *tx) activate(j *job, i uint32) {
	s, sp, ref := &j.steps[i], &j.plan.steps[i], j.ref(i)
	s.due = 0
	j.touch(i)
	switch sp.step.Kind {
	case dag.StepMap:
		t.activateMap(j, sp, ref)
	case dag.StepFold:
		t.activateFold(j, sp, ref)
	default:
		t.runnable(j, ref, &s.task)
	}
}

// runnable puts a task into its lane: PENDING.
func (t *tx) runnable(j *job, ref TaskRef, tk *task) {
	sp := &j.plan.steps[ref.Step]
	tk.set(ref, TaskPending)
	tk.session, tk.due = 0, 0
	t.mark(j, ref, tk)
	seq := tk.seq
	if !sp.plain() {
		seq = t.group(j, ref.Step).seq
	} else if seq == 0 {
		seq = t.nextSeq()
		tk.seq = seq
	}
	p := t.m.parts[tk.part] // one that comes back stays where it was
	if p == nil {
		p = t.partitionOf(j, ref)
	}
	tk.part = p.number()
	t.enqueue(j, ref, seq, p)
	t.pending(sp, +1)
	t.waitBegan(sp, ref, tk)
}

// unqueue takes a PENDING task out of its lane.
func (t *tx) unqueue(j *job, ref TaskRef, tk *task) {
	sp := &j.plan.steps[ref.Step]
	seq := tk.seq
	if !sp.plain() {
		seq = t.group(j, ref.Step).seq
	}
	t.dequeue(j, ref, seq, tk.part)
	t.pending(sp, -1)
	t.waitOver(ref, tk)
}

// enterRetry puts a task to wait until due.
func (t *tx) enterRetry(j *job, ref TaskRef, tk *task, due int64) {
	if planted.EarlyTimer {
		due -= 50
	}
	tk.set(ref, TaskRetry)
	tk.session = 0
	tk.due = due
	t.setTimer(due, dutyTask, ref)
	if g := t.groupOf(j, ref); g != nil {
		g.retry++
		g.dirty = true
	}
	t.mark(j, ref, tk)
}

// leaveRetry undoes enterRetry's counts; the timer is the caller's.
func (t *tx) leaveRetry(j *job, ref TaskRef, tk *task) {
	tk.due = 0
	if g := t.groupOf(j, ref); g != nil {
		g.retry--
		g.dirty = true
	}
}

// groupOf is the group of a task, nil for a plain step's.
func (t *tx) groupOf(j *job, ref TaskRef) *group {
	if j.plan.steps[ref.Step].plain() {
		return nil
	}
	return t.group(j, ref.Step)
}

// stepDone ends a step with success, and makes runnable what waited for it. The whole of it costs
// the out-degree of the step.
func (t *tx) stepDone(j *job, i uint32) {
	s := &j.steps[i]
	s.set(j.ref(i), TaskSuccess)
	j.touch(i)
	t.saw(j.id)
	j.left--
	j.dirty = true
	var ready []dag.StepID
	j.plan.graph.Release(dag.StepID(i),
		func(d dag.StepID) int {
			j.steps[d].waiting--
			j.touch(uint32(d))
			return int(j.steps[d].waiting)
		},
		func(d dag.StepID) { ready = append(ready, d) })
	for _, d := range ready {
		if s := &j.steps[d]; !j.state.Ended() && s.state == TaskBlocked { // a fold that streams runs already
			t.activate(j, uint32(d))
		}
	}
	if j.left == 0 && !j.state.Ended() {
		t.end(j, JobSuccess)
	}
}

// fail ends a job because one of its tasks is dead. e is an error that no attempt has, nil when the last
// attempt says what was wrong.
func (t *tx) fail(j *job, at TaskRef, e *fsmpb.Error) {
	j.failed, j.failedAt = true, at
	if e != nil {
		t.stepError(at, e)
	}
	if s := &j.steps[at.Step]; !s.state.Ended() {
		if g := t.groupOf(j, at); g != nil {
			t.cancelGroup(j, at.Step, g, causeFailed)
		}
		s.set(j.ref(at.Step), TaskDead)
		j.touch(at.Step)
	}
	t.cancelLive(j, causeFailed)
	t.end(j, JobFailure)
}

const (
	retainSuccessMS = 24 * 3_600_000
	retainFailureMS = 7 * 24 * 3_600_000
)

// end moves a job into a terminal state. What it was and its results stay until they are purged.
func (t *tx) end(j *job, s JobState) {
	j.state = s
	j.finishedMS = t.now
	j.dirty = true
	kinds(j.plan.graph, func(name, _ string) {
		k := t.m.names.kind(j.namespace, name)
		k.live--
		t.m.names.touchKind(k)
	})
	retain := cmp.Or(j.retainMS, t.home(j).ageMS(s))
	switch s {
	case JobSuccess:
		t.m.state.JobsSucceeded++
		retain = cmp.Or(retain, retainSuccessMS)
	case JobFailure:
		t.m.state.JobsFailed++
		retain = cmp.Or(retain, retainFailureMS)
	case JobCanceled:
		t.m.state.JobsCanceled++
		retain = cmp.Or(retain, retainFailureMS)
	}
	retain = min(retain, dag.MaxDurationMS) // the sum must not overflow
	t.setTimer(j.finishedMS+retain, dutyPurge, TaskRef{Job: j.id})
	j.purgeMS = j.finishedMS + retain
	t.saw(j.id)
	t.res.Finished = append(t.res.Finished, Finished{Job: j.id, State: s})
	t.jobEnded(j)
}

// cancelLive takes every task of a job out of work: queued tasks leave their lanes, leases are
// revoked. A revoked lease keeps its slot until the worker says that it is done with it.
func (t *tx) cancelLive(j *job, cause string) {
	for i := range j.steps {
		s, ref := &j.steps[i], j.ref(uint32(i))
		if !j.plan.steps[i].plain() {
			if g := t.group(j, uint32(i)); g != nil {
				t.cancelGroup(j, uint32(i), g, cause)
			}
		} else if !s.state.Ended() {
			t.cancelTask(j, ref, &s.task, cause)
			continue
		}
		if !s.state.Ended() {
			s.set(ref, leftover(s.state, cause))
			s.due = 0
			j.touch(uint32(i))
		}
	}
	if j.notBefore > t.now {
		t.clearTimer(j.notBefore, dutyStart, TaskRef{Job: j.id})
	}
}

func (t *tx) cancelTask(j *job, ref TaskRef, tk *task, cause string) {
	switch tk.state {
	case TaskPending:
		t.unqueue(j, ref, tk)
	case TaskRetry:
		t.clearTimer(tk.due, dutyTask, ref)
		t.leaveRetry(j, ref, tk)
	case TaskStarted:
		t.revoke(j, ref, tk, cause)
	}
	tk.set(ref, leftover(tk.state, cause))
	tk.session, tk.due = 0, 0
	t.mark(j, ref, tk)
}

// cancelReason is what a canceler wrote. A job that failed has an error instead.
func (j *job) cancelReason() string {
	if j.state == JobFailure {
		return ""
	}
	return j.reason
}

// endReason is why a job is not to go on, for the workers that run parts of it.
func (j *job) endReason(g *dag.Graph) string {
	if j.failed && j.reason == "" {
		return "step " + g.Step(dag.StepID(j.failedAt.Step)).Name + " has failed"
	}
	return j.reason
}

// endReason is why a job has ended, "" when it is not known any more.
func (t *tx) endReason(id JobID) string {
	if j := t.job(id); j != nil {
		return j.endReason(j.plan.graph)
	}
	return ""
}

func (t *tx) revoke(j *job, ref TaskRef, tk *task, cause string) {
	s := t.m.sessions[tk.session]
	l := s.leases[tk.fence]
	var e *fsmpb.Error
	if j.failed && j.reason != "" { // the job was out of time: nobody has canceled it
		e = &fsmpb.Error{Type: "fanfold.Timeout", Message: j.reason}
	}
	t.keepAttempt(ref, tk, s, tk.fence, l, EndCanceled, e)
	t.withdraw(ref, tk.fence, s, l, cause, j.endReason(j.plan.graph))
}

// cancelGroup cancels the tasks of a map or fold that have records, and parks its cursor. A step that is
// BLOCKED may have a group: its job is being retried, and the group is not counted yet (resumeGroup).
func (t *tx) cancelGroup(j *job, step uint32, g *group, cause string) {
	sp := &j.plan.steps[step]
	if s := j.steps[step].state; s != TaskPending && s != TaskStarted {
		return
	}
	t.unqueueGroup(j, step, g)
	if w := g.waiting(); w > 0 {
		t.pending(sp, -int64(w))
	}
	t.eachTask(j.id, step, func(ref TaskRef, tk *task) {
		if !tk.state.Ended() {
			t.cancelTask(j, ref, tk, cause)
		}
	})
	g.live, g.held, g.retry = 0, 0, 0
	g.dirty = true
}

// eachTask calls f for every task record of a step, in shard order.
func (t *tx) eachTask(id JobID, step uint32, f func(ref TaskRef, tk *task)) {
	prefix := be.AppendUint32(keyData(id, partTask), step)
	for _, ref := range t.taskRefs(prefix) {
		if h := t.taskRecord(ref); h != nil {
			f(ref, h.task)
		}
	}
}
