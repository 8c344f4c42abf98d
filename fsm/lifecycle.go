package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// The turns of a job's life, and who else has a stake in each. Whatever hangs on jobs (unique keys,
// batches, schedules, webhooks, the dead set) is told here and nowhere else, in this order.

// admit decides on a submission that is valid by itself, before anything of it is stored. done: the
// answer is final, and no job is made.
func (t *tx) admit(id JobID, c *fsmpb.SubmitJob, o *fsmpb.JobOptions) (a Answer, done bool) {
	if r := t.admitPartition(o); r != nil {
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
	return Answer{}, false
}

// jobCreated is called when a job has its record and has not started yet.
func (t *tx) jobCreated(j *job) {
	t.tallyIn(j)
	t.scheduledRuns(j)
	t.watchTime(j)
}

// jobEnded is called when a job has reached a terminal state.
func (t *tx) jobEnded(j *job) {
	t.retain(j)
	t.scheduledEnds(j)
	t.unwatchTime(j)
	t.buryJob(j)
	t.hookJobEnded(j)
}

// taskDead is called when a task is dead: its attempts or crashes are used up, or its error is permanent.
func (t *tx) taskDead(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	t.hookTaskDead(j, ref, tk, e)
}

// jobReopened is called when RetryJob makes an ended job run again, before it starts.
func (t *tx) jobReopened(j *job) {
	t.tallyIn(j)
	t.scheduledRuns(j)
	t.watchTime(j)
}

// jobPurged is called when an ended job is removed.
func (t *tx) jobPurged(j *job) {
	t.unretain(j)
	t.exhumeJob(j)
}
