package fsm

import (
	"bytes"
	"slices"
)

// Retention by count and bytes. A queue that has a bound for a state lists its ended jobs of that state by
// the time of their end (keyRetained); what is above the bound is purged from the old end, in the entries after
// the one that went over it. A queue without such a bound, as most are, lists nothing: its jobs have only
// the timer of their age.
//
// A bound that is set on a queue that has ended jobs already needs the list first. It is made by a walk over
// all jobs, retireMax an entry, and nothing is purged before it is complete: the oldest would not be known.

// retireMax bounds how many jobs one entry lists or purges for retention, in all queues.
const retireMax = 1000

// retain takes note of a job that has ended.
func (t *tx) retain(j *job) {
	q := t.home(j)
	q.live.sub(j.bytes)
	q.endedTally(j.state).add(j.bytes)
	t.m.names.total.jobs--
	t.m.names.touchQueue(q)
	if k := q.keep(j.state); k.bounded() {
		t.set(keyRetained(q.id, j.state, j.finishedMS, j.id), nil)
		t.checkRetention(q, j.state)
	}
}

// unretain forgets an ended job: it is purged, or runs again.
func (t *tx) unretain(j *job) {
	q := t.home(j)
	t.tallyOut(j)
	if q.keep(j.state).bounded() {
		t.del(keyRetained(q.id, j.state, j.finishedMS, j.id))
	}
}

var keepDefault keep

// keep is the bounds for a state's ended jobs. Read only.
func (q *queue) keep(s JobState) *keep {
	if q.control == nil {
		return &keepDefault
	}
	return &q.control.keep[s-JobSuccess]
}

// ageMS is how long an ended job of the queue is kept unless it says so itself; 0: the state's default.
func (q *queue) ageMS(s JobState) int64 { return q.keep(s).ageMS }

func retainTimer(q *queue, s JobState) TaskRef { return TaskRef{Step: q.id, Shard: uint64(s)} }

// checkRetention arranges for a purge when there is more than the bound. It comes a millisecond later: who
// waits for a job has its result by then.
func (t *tx) checkRetention(q *queue, s JobState) {
	k := &q.control.keep[s-JobSuccess]
	if k.due == 0 && k.listed && k.exceeded(q.endedTally(s)) {
		t.armRetention(q, s, k)
	}
}

func (t *tx) armRetention(q *queue, s JobState, k *keep) {
	k.due = t.now + 1
	t.setTimer(k.due, dutyRetain, retainTimer(q, s))
	t.saveControl(q)
}

// setRetention changes the bounds of a state. The caller saves the control.
func (t *tx) setRetention(q *queue, s JobState, to keep) {
	k := &q.control.keep[s-JobSuccess]
	was := k.bounded()
	k.ageMS, k.count, k.bytes = to.ageMS, to.count, to.bytes
	switch {
	case k.bounded() && !was:
		k.cursor, k.from = JobID{}, 0
		if k.listed = q.endedTally(s).jobs == 0; !k.listed {
			t.armRetention(q, s, k)
		}
	case was && !k.bounded():
		if k.due != 0 {
			t.clearTimer(k.due, dutyRetain, retainTimer(q, s))
		}
		t.dropPrefix(keyRetainedAll(q.id, s))
		k.due, k.listed, k.cursor = 0, false, JobID{}
	case was:
		t.checkRetention(q, s)
	}
}

// fireRetain goes on with listing, or with purging.
func (t *tx) fireRetain(q *queue, s JobState) {
	k := &q.control.keep[s-JobSuccess]
	k.due = 0
	if !k.listed {
		t.listEnded(q, s, k)
	} else {
		t.retire(q, s, k)
	}
	if !k.listed || k.exceeded(q.endedTally(s)) {
		t.armRetention(q, s, k)
	}
	t.saveControl(q)
}

// retire purges the oldest jobs while there are more than the bound.
func (t *tx) retire(q *queue, s JobState, k *keep) {
	for k.exceeded(q.endedTally(s)) && t.retired < retireMax {
		low := be.AppendUint64(keyRetainedAll(q.id, s), uint64(k.from))
		var page []JobID
		t.ascend(low, prefixEnd(keyRetainedAll(q.id, s)), min(100, retireMax-t.retired), func(key, _ []byte) {
			_, id := parseRetained(key)
			page = append(page, id)
		})
		for _, id := range page {
			if !k.exceeded(q.endedTally(s)) {
				return
			}
			j := t.job(id)
			k.from = j.finishedMS
			t.clearTimer(j.purgeMS, dutyPurge, TaskRef{Job: id})
			t.purge(j)
			t.retired++
		}
	}
}

// listEnded goes on with the walk that lists the ended jobs of a state. Those that end meanwhile list
// themselves.
func (t *tx) listEnded(q *queue, s JobState, k *keep) {
	n := retireMax - t.retired
	if n == 0 {
		return
	}
	page := t.jobsAfter(k.cursor, n)
	for _, j := range page {
		k.cursor = j.id
		t.retired++
		if j.state != s {
			continue
		}
		if p := t.m.planOf(t, j.graph, j.namespace); p.steps[0].queue == q.id {
			t.set(keyRetained(q.id, s, j.finishedMS, j.id), nil)
		}
	}
	if len(page) < n {
		k.listed, k.cursor = true, JobID{}
	}
}

// jobsAfter returns the first n jobs with a greater id, in order, as this call has left them. A job that the
// call has made is not stored yet; pages must not depend on how entries are grouped into calls.
func (t *tx) jobsAfter(id JobID, n int) []*job {
	var page []*job
	low := keyJob(id)
	if !id.IsZero() {
		low = append(low, 0)
	}
	t.ascend(low, []byte{tagJob + 1}, n, func(key, v []byte) {
		j := parseJobKey(key)
		if t.m.jobs[j] == nil {
			page = append(page, decodeJob(j, bytes.Clone(v)))
		} else if !t.m.jobs[j].listed {
			page = append(page, t.m.jobs[j])
		}
	})
	for _, j := range t.jobs {
		if !j.purged && bytes.Compare(j.id[:], id[:]) > 0 {
			page = append(page, j)
		}
	}
	slices.SortFunc(page, func(a, b *job) int { return bytes.Compare(a.id[:], b.id[:]) })
	return page[:min(n, len(page))]
}
