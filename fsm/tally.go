package fsm

// What jobs there are and what they hold, counted as they come and go, so that admission and retention
// never have to look. A job belongs to the queue of its first step. Its bytes are those of its input and of
// its results; a graph is shared, and errors are small and bounded.

// tally counts jobs and their bytes.
type tally struct{ jobs, bytes uint64 }

func (a *tally) add(bytes uint64) { a.jobs++; a.bytes += bytes }
func (a *tally) sub(bytes uint64) { a.jobs--; a.bytes -= bytes }

// endedStates are the states that a queue counts ended jobs by, in the stored order.
var endedStates = [...]JobState{JobSuccess, JobFailure, JobCanceled}

func (q *queue) endedTally(s JobState) *tally { return &q.ended[s-JobSuccess] }

// stored is the bytes of all jobs of a queue.
func (q *queue) stored() uint64 {
	n := q.live.bytes
	for i := range q.ended {
		n += q.ended[i].bytes
	}
	return n
}

// home is the queue that a job belongs to.
func (t *tx) home(j *job) *queue { return t.m.names.queues[j.plan.steps[0].queue] }

// tallyIn adds a job to its queue's tally, under the state that it has now.
func (t *tx) tallyIn(j *job) {
	q := t.home(j)
	if j.state.Ended() {
		q.endedTally(j.state).add(j.bytes)
	} else {
		q.live.add(j.bytes)
		t.m.names.total.jobs++
	}
	t.m.names.total.bytes += j.bytes
	t.m.names.touchQueue(q)
}

// tallyOut takes it out again.
func (t *tx) tallyOut(j *job) {
	q := t.home(j)
	if j.state.Ended() {
		q.endedTally(j.state).sub(j.bytes)
	} else {
		q.live.sub(j.bytes)
		t.m.names.total.jobs--
	}
	t.m.names.total.bytes -= j.bytes
	t.m.names.touchQueue(q)
}

// charge counts a value that a running job has taken in.
func (t *tx) charge(j *job, v value) {
	n := v.size()
	q := t.home(j)
	j.bytes += n
	j.dirty = true
	q.live.bytes += n
	t.m.names.total.bytes += n
	t.m.names.touchQueue(q)
}

// size is how many bytes a value has.
func (v value) size() uint64 {
	if v.blob != nil {
		return v.blob.size
	}
	return uint64(len(v.inline))
}
