package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// The turns of a job's life, and who else has a stake in each. Whatever hangs on jobs (unique keys,
// batches, schedules, webhooks, the dead set) is told here and nowhere else, in this order.

// admit decides on a submission that is valid by itself, before anything of it is stored. done: the
// answer is final, and no job is made.
func (t *tx) admit(id JobID, c *fsmpb.SubmitJob, o *fsmpb.JobOptions) (a Answer, done bool) {
	if r := t.admitPartition(c, o); r != nil {
		return Answer{Refusal: r}, true
	}
	if t.asked {
		if r := t.overBudget(c); r != nil {
			return Answer{Refusal: r}, true
		}
	}
	if r := t.checkTimes(c, o); r != nil {
		return Answer{Refusal: r}, true
	}
	if len(o.Batch) > 0 {
		if r := t.mayJoin(c, o.Batch); r != nil {
			return Answer{Refusal: r}, true
		}
	}
	if o.Unique != nil { // the last of all: it may cancel the job that holds the key
		if r := checkUnique(o.Unique, c); r != nil {
			return Answer{Refusal: r}, true
		}
		t.joining = BatchID{}
		copy(t.joining[:], o.Batch)
		if a, done := t.admitUnique(id, c, o.Unique); done {
			t.joining = BatchID{}
			return a, true
		}
	}
	return Answer{}, false
}

// jobCreated is called when a job has its record and has not started yet.
func (t *tx) jobCreated(j *job) {
	if j.opts.Unique != nil {
		t.uniqueCreated(j)
	}
	if len(j.opts.Batch) > 0 {
		t.batchJoined(j)
	}
	t.tallyIn(j)
	t.scheduledRuns(j)
	t.watchTime(j)
}

// jobEnded is called when a job has reached a terminal state.
func (t *tx) jobEnded(j *job) {
	t.userKeyEnded(j)
	if j.opts.Unique != nil {
		t.uniqueEnded(j)
	}
	if len(j.opts.Batch) > 0 {
		t.batchEnded(j)
	}
	t.retain(j)
	t.scheduledEnds(j)
	t.unwatchTime(j)
	t.buryJob(j)
	t.hookJobEnded(j)
}

// mayReopen decides whether RetryJob may make an ended job run again. It changes nothing.
func (t *tx) mayReopen(j *job) *Refusal {
	if j.opts.Unique != nil {
		if r := t.mayReopenUnique(j); r != nil {
			return r
		}
	}
	if len(j.opts.Batch) > 0 {
		if r := t.mayReopenMember(j); r != nil {
			return r
		}
	}
	return nil
}

// jobGranted is called when a task of a job is leased.
func (t *tx) jobGranted(j *job) {
	if j.opts.Unique != nil {
		t.uniqueStarted(j)
	}
}

// taskDead is called when a task is dead: its attempts or crashes are used up, or its error is permanent.
func (t *tx) taskDead(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	t.hookTaskDead(j, ref, tk, e)
}

// jobReopened is called when RetryJob makes an ended job run again, before it starts.
func (t *tx) jobReopened(j *job) {
	if j.opts.Unique != nil {
		t.uniqueReopened(j)
	}
	if len(j.opts.Batch) > 0 {
		t.batchReopened(j)
	}
	t.tallyIn(j)
	t.scheduledRuns(j)
	t.watchTime(j)
}

// jobPurged is called when an ended job is removed.
func (t *tx) jobPurged(j *job) {
	t.unretain(j)
	t.exhumeJob(j)
}
