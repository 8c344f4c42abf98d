package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// The dead set is the jobs in FAILURE, by namespace and the time of their end. Its entries hold what people
// look for, so that neither a list nor a redrive reads the jobs themselves.

// deadJob is an entry of the dead set.
type deadJob struct {
	namespace   string
	finishedMS  int64
	id          JobID
	workflow    string
	step        string
	queue       string
	errorType   string
	message     string // at most deadMessageMax bytes
	fingerprint uint64
}

// deadMessageMax is how much of an error's message an entry of the dead set has.
const deadMessageMax = 200

func (e *deadJob) encode() []byte {
	b := newEnc(64 + len(e.workflow) + len(e.step) + len(e.queue) + len(e.errorType) + len(e.message))
	b.uint(e.fingerprint)
	b.str(e.workflow)
	b.str(e.step)
	b.str(e.queue)
	b.str(e.errorType)
	b.str(e.message)
	return b
}

func decodeDead(k, v []byte) *deadJob {
	e := parseDead(k)
	d := newDec("dead job", v)
	e.fingerprint = d.uint()
	e.workflow, e.step, e.queue = d.str(), d.str(), d.str()
	e.errorType, e.message = d.str(), d.str()
	d.end()
	return e
}

// matches reports whether a filter selects the entry.
func (e *deadJob) matches(f *fsmpb.DeadFilter) bool {
	return (f.GetWorkflow() == "" || f.Workflow == e.workflow) &&
		(f.GetQueue() == "" || f.Queue == e.queue) &&
		(f.GetErrorType() == "" || f.ErrorType == e.errorType) &&
		(f.GetFingerprint() == 0 || f.Fingerprint == e.fingerprint) &&
		e.finishedMS >= f.GetSinceMs() &&
		(f.GetUntilMs() == 0 || e.finishedMS < f.UntilMs)
}

// buryJob adds a job that has failed to the dead set.
func (t *tx) buryJob(j *job) {
	if j.state == JobFailure {
		e := deadOf(j, t.deathOf(j), func(id uint32) string { return t.m.names.queues[id].name })
		t.set(e.key(), e.encode())
	}
}

// exhumeJob takes a job out of the dead set. Precondition: it still has the time of its end.
func (t *tx) exhumeJob(j *job) {
	if j.state == JobFailure {
		t.del(keyDead(j.namespace, j.finishedMS, j.id))
	}
}

func (e *deadJob) key() []byte { return keyDead(e.namespace, e.finishedMS, e.id) }

// deadOf makes the entry of a job; e is the error that ended it.
func deadOf(j *job, e *fsmpb.Error, queueName func(uint32) string) *deadJob {
	sp := &j.plan.steps[j.failedAt.Step]
	return &deadJob{
		namespace: j.namespace, finishedMS: j.finishedMS, id: j.id,
		workflow: j.plan.graph.Name, step: sp.step.Name, queue: queueName(sp.queue),
		errorType: e.GetType(), message: truncate(e.GetMessage(), deadMessageMax), fingerprint: fingerprint(e),
	}
}

// deathOf is the error that ended a job: of the step itself, or of the last attempt there.
func (t *tx) deathOf(j *job) *fsmpb.Error {
	if b := t.get(keyAttempt(j.failedAt, stepErrorNumber)); b != nil {
		return decodeAttempt(b).err
	}
	if tk := t.task(j, j.failedAt); tk != nil && tk.tries > 0 {
		return decodeAttempt(t.mustGet(keyAttempt(j.failedAt, tk.tries))).err
	}
	return nil
}

// discardJob removes a dead job for good. Proposed for Client.DiscardDead, by people who have seen it and
// say why.
//
// Refusals: NOT_FOUND, CONFLICT (it is not dead), INVALID (there is no reason).
func discardJob(t *tx, c *fsmpb.DiscardJob) Answer {
	j := t.lookup(c.Job)
	switch {
	case j == nil:
		return unknownJob(c.Job)
	case j.state != JobFailure:
		return no(CodeConflict, "job %s is %s: only a dead job (FAILURE) is discarded", j.id, j.state)
	case c.Reason == "" || len(c.Reason) > reasonMax:
		return no(CodeInvalid, "a discard needs a reason of 1 to %d bytes: it removes a job that was never done", reasonMax)
	}
	t.discard(j)
	return Answer{Job: j.id, State: JobFailure}
}

// reasonMax bounds the reasons that people give, in bytes.
const reasonMax = 1024

func (t *tx) discard(j *job) {
	t.clearTimer(j.purgeMS, dutyPurge, TaskRef{Job: j.id})
	t.purge(j)
	t.m.state.JobsDiscarded++
}
