package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// purgeSmall is up to how many plain steps a job's data is removed key by key; above, by one range.
const purgeSmall = 8

// purgeJob removes an ended job with its results and blobs. Proposed for Client.Purge; a timer does
// the same when the job's retention is over.
//
// Refusals: NOT_FOUND, NOT_ENDED.
func purgeJob(t *tx, c *fsmpb.PurgeJob) Answer {
	j := t.lookup(c.Job)
	switch {
	case j == nil:
		return unknownJob(c.Job)
	case !j.state.Ended():
		return no(CodeNotEnded, "job %s is running: cancel it before it can be purged", j.id)
	}
	t.clearTimer(j.purgeMS, dutyPurge, TaskRef{Job: j.id})
	t.purge(j)
	return Answer{Job: j.id, State: j.state}
}

// purge removes an ended job. Precondition: its purge timer is gone.
func (t *tx) purge(j *job) {
	if j.blobs > 0 {
		t.scan(keyData(j.id, partBlob), func(k, _ []byte) bool {
			t.dropBlob(blobID(k[18:34]))
			return true
		})
	}
	if t.small(j) {
		for i := range j.steps {
			ref := j.ref(uint32(i))
			t.del(keyResult(ref))
			t.dropAttempts(ref, &j.steps[i].task)
			if j.failed && j.failedAt == ref {
				t.del(keyAttempt(ref, stepErrorNumber))
			}
		}
		t.del(keyInput(j.id))
	} else {
		t.dropRange(j.id)
	}
	t.jobPurged(j)
	t.del(keyJob(j.id))
	t.unrefer(j.graph)
	for i := range j.steps {
		delete(t.m.lists, j.ref(uint32(i))) // a job of the same id may come again, with another input
	}
	j.purged = true
	t.m.state.JobsPurged++
	t.saw(j.id)
}

func (t *tx) small(j *job) bool {
	if len(j.steps) > purgeSmall || j.blobs > 0 || j.logged {
		return false
	}
	for i := range j.plan.steps {
		if !j.plan.steps[i].plain() || j.steps[i].saves > 0 {
			return false
		}
	}
	return true
}

// dropRange removes all data of a job by one range tombstone, and what this call has written of it.
// The entry ends the batch (Apply), so that nothing reads below the tombstone.
func (t *tx) dropRange(id JobID) {
	t.dropPrefix(keyData(id, 0)[:17])
	if t.dropped == nil {
		t.dropped = make(map[JobID]bool)
	}
	t.dropped[id] = true
	for _, h := range t.held {
		if h.ref.Job == id {
			h.gone, h.fresh = true, true
		}
	}
}
