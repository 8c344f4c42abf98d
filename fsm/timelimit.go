package fsm

import (
	"fmt"
	"time"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// The time limits that the state itself keeps, each by a timer: how long an attempt may run, how long a
// task may wait for its first one, by when a job must have started, and when it must have ended. They
// hold whatever the workers and the leader do.

// hardGraceMS is how much longer than its soft limit an attempt's lease lasts. A worker gives a function up
// 10 s after the soft limit, and has then as long again to say so.
const hardGraceMS = 20_000

// attemptLimit is how long an attempt's lease lasts, in milliseconds; 0 = without bound.
func attemptLimit(o *dag.Options) int64 {
	switch {
	case o.HardTimeoutMS > 0:
		return o.HardTimeoutMS
	case o.TimeoutMS > 0:
		return o.TimeoutMS + hardGraceMS
	}
	return 0
}

// leaseBegan sets what depends on the beginning of an attempt.
func (t *tx) leaseBegan(sp *stepPlan, ref TaskRef, tk *task, l *lease) {
	l.grantedMS, l.pulseMS = t.now, sp.opts.HeartbeatMS
	if ms := attemptLimit(&sp.opts); ms > 0 {
		l.limitMS = t.now + ms
		t.setTimer(l.limitMS, dutyAttempt, ref)
	}
	if sp.retry.DeadlineMS > 0 && tk.since == 0 {
		tk.since = t.now
	}
}

// leaseOver removes the timer of a lease that ends, or is withdrawn.
func (t *tx) leaseOver(l *lease) {
	if l.limitMS > 0 && !l.revoked {
		t.clearTimer(l.limitMS, dutyAttempt, l.ref)
	}
}

// Causes of a revoke, as workers hear them.
const (
	causeCanceled = "JOB_CANCELED"
	causeFailed   = "JOB_FAILED"
	causeExpired  = "JOB_EXPIRED"
	causeTimeout  = "TIMEOUT"
)

// fireAttempt ends an attempt that has run for too long. Invariant: the timer exists only while the lease does.
func (t *tx) fireAttempt(ref TaskRef) {
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	s := t.m.sessions[tk.session]
	l := s.leases[tk.fence]
	t.timedOut(j, ref, tk, s, l, EndTimeout, fmt.Sprintf("the attempt ran for %v, its limit; its lease ended", msText(t.now-l.grantedMS)))
}

// timedOut withdraws the lease of an attempt and charges it as a failure. The slot stays taken until the
// worker lets go of the attempt; what it reports then is stale.
func (t *tx) timedOut(j *job, ref TaskRef, tk *task, s *session, l *lease, why End, message string) {
	f := tk.fence
	t.withdraw(ref, f, s, l, causeTimeout, message)
	t.failed(j, ref, tk, s, f, l, failedAttempt{why: why, err: &fsmpb.Error{Type: "fanfold.Timeout", Message: message}})
}

// withdraw ends a lease but for its slot, and tells the worker.
func (t *tx) withdraw(ref TaskRef, f Fence, s *session, l *lease, cause, reason string) {
	t.leaseOver(l)
	l.revoked = true
	l.cause = cause
	t.set(keyLease(s.id, f), encodeLease(l))
	t.res.Revokes = append(t.res.Revokes, Revoke{Session: s.id, Fence: f, Task: ref, Cause: cause, Reason: reason})
}

// timeOutTask ends an attempt whose function has given no sign of life for the step's heartbeat limit.
// Proposed by the engine, which hears of the functions and is the only one to: like a session's
// heartbeats theirs are not in the log.
//
// Refusals: STALE (the attempt is over), INVALID.
func timeOutTask(t *tx, c *fsmpb.TimeOutTask) Answer {
	ref, fence, s, l, refusal := t.reported(c.Session, c.Fence, c.Task)
	if refusal != nil {
		return Answer{Refusal: refusal}
	}
	if l == nil || l.revoked {
		return t.stale(ref, fence)
	}
	j := t.job(ref.Job)
	limit := j.plan.steps[ref.Step].opts.HeartbeatMS
	if limit == 0 {
		return no(CodeInvalid, "task %s has no heartbeat limit: set heartbeat_ms on its step", ref)
	}
	t.timedOut(j, ref, t.task(j, ref), s, l, EndSilent, fmt.Sprintf("the attempt gave no sign of life for its heartbeat limit of %v; its lease ended", msText(limit)))
	return Answer{Job: j.id, State: j.state}
}

// msText writes milliseconds as people do.
func msText(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// waitBegan limits the wait of a plain task for its first attempt.
func (t *tx) waitBegan(sp *stepPlan, ref TaskRef, tk *task) {
	if sp.opts.QueueWaitMS > 0 && sp.plain() && tk.fence == (Fence{}) {
		tk.due = t.now + sp.opts.QueueWaitMS
		t.setTimer(tk.due, dutyQueueWait, ref)
	}
}

// waitOver undoes waitBegan. tk is PENDING.
func (t *tx) waitOver(ref TaskRef, tk *task) {
	if tk.due > 0 {
		t.clearTimer(tk.due, dutyQueueWait, ref)
		tk.due = 0
	}
}

// fireQueueWait ends a job of which a task has waited for too long. Invariant: the timer exists only while the
// task is PENDING.
func (t *tx) fireQueueWait(ref TaskRef) {
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	sp := &j.plan.steps[ref.Step]
	t.unqueue(j, ref, tk)
	tk.set(ref, TaskExpired)
	t.mark(j, ref, tk)
	t.expireJob(j, fmt.Sprintf("EXPIRED: step %s waited in its queue for %v, its limit", sp.step.Name, msText(sp.opts.QueueWaitMS)))
}

// expireJob ends a job that has come too late to be wanted.
func (t *tx) expireJob(j *job, reason string) {
	t.m.state.JobsExpired++
	j.reason = reason
	t.cancelLive(j, causeExpired)
	t.end(j, JobCanceled)
}

// startBy is when a job must have started, in unix milliseconds; 0 = it may start at any time. A job that is
// retried by hand is wanted whatever its age.
func (j *job) startBy() int64 {
	switch {
	case j.round > 0:
		return 0
	case j.opts.StartByMs > 0:
		return j.opts.StartByMs
	case j.opts.StartWithinMs > 0:
		return max(j.createdMS, j.notBefore) + j.opts.StartWithinMs
	}
	return 0
}

// checkTimes refuses limits that make no sense.
func (t *tx) checkTimes(c *fsmpb.SubmitJob, o *fsmpb.JobOptions) *Refusal {
	switch {
	case o.StartByMs < 0 || o.StartWithinMs < 0 || o.TimeoutMs < 0 || o.StartWithinMs > dag.MaxDurationMS || o.TimeoutMs > dag.MaxDurationMS:
		return refuse(CodeInvalid, "start_by, start_within and timeout are times from 0 to %d ms", int64(dag.MaxDurationMS))
	case o.StartByMs > 0 && o.StartWithinMs > 0:
		return refuse(CodeInvalid, "start_by and start_within are both given: leave one out")
	case o.StartByMs > 0 && o.StartByMs <= max(t.now, c.NotBeforeMs):
		return refuse(CodeInvalid, "the job must start by %s, which is over (or before its start time): give a later time, or drop the job",
			time.UnixMilli(o.StartByMs).UTC().Format(time.RFC3339))
	}
	return nil
}

// watchTime sets the timers of a job that begins, or begins again.
func (t *tx) watchTime(j *job) {
	at := TaskRef{Job: j.id}
	if by := j.startBy(); by > 0 {
		t.setTimer(by, dutyStartBy, at)
	}
	if !t.waitsForKey(j) {
		t.limitTime(j)
	}
}

// limitTime bounds the time of a job from now on, or from its start.
func (t *tx) limitTime(j *job) {
	if ms := j.opts.TimeoutMs; ms > 0 {
		j.limitMS, j.dirty = max(t.now, j.notBefore)+ms, true
		t.setTimer(j.limitMS, dutyJobLimit, TaskRef{Job: j.id})
	}
}

// unwatchTime removes them when the job ends, or is put off.
func (t *tx) unwatchTime(j *job) {
	at := TaskRef{Job: j.id}
	if by := j.startBy(); by > 0 { // one that is due may not have fired yet
		t.clearTimer(by, dutyStartBy, at)
	}
	if j.limitMS > 0 {
		t.clearTimer(j.limitMS, dutyJobLimit, at)
		j.limitMS = 0
	}
}

func (t *tx) fireStartBy(id JobID) {
	if j := t.job(id); j != nil && !j.state.Ended() && !t.started(j) {
		t.expireJob(j, "EXPIRED: nothing of the job had started by the time given at its submission")
	}
}

// started reports whether any task of a job was ever leased.
func (t *tx) started(j *job) bool {
	for i := range j.steps {
		if j.plan.steps[i].plain() {
			if j.steps[i].fence != (Fence{}) {
				return true
			}
		} else if j.steps[i].state == TaskStarted || j.steps[i].state == TaskSuccess {
			return true
		}
	}
	return false
}

// fireJobLimit ends a job that is out of time. Its error names the first step that was not done.
func (t *tx) fireJobLimit(id JobID) {
	j := t.job(id)
	if j == nil || j.state.Ended() {
		return
	}
	at := TaskRef{Job: id}
	for i := range j.steps {
		if !j.steps[i].state.Ended() {
			at.Step = uint32(i)
			break
		}
	}
	j.limitMS = 0 // this very timer
	j.failed, j.failedAt = true, at
	j.reason = truncate(fmt.Sprintf("the job ran for %v, its limit; step %s was not done", msText(j.opts.TimeoutMs), j.plan.steps[at.Step].step.Name), 1024)
	t.stepError(at, &fsmpb.Error{Type: "fanfold.Timeout", Message: j.reason})
	t.cancelLive(j, causeFailed)
	t.end(j, JobFailure)
}

// leftover is the state of a task that its job's end leaves without work. On a cancel all are CANCELED. When
// the job failed or expired, those that never became runnable are SKIPPED: nobody stopped them.
func leftover(s TaskState, cause string) TaskState {
	switch {
	case cause == causeCanceled || cause == causePurged:
		return TaskCanceled
	case s == TaskBlocked || s == TaskScheduled:
		return TaskSkipped
	case s == TaskPending && cause == causeExpired:
		return TaskExpired
	}
	return TaskCanceled
}
