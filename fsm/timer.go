package fsm

// duty is what a timer does when it is due. The numbers are on disk: append only.
type duty uint8

const (
	dutyUnique  duty = 17 // ref.Job is a key's hash: a unique key's period is over
	dutyUserKey duty = 18 // ref.Job is a key's hash: an idempotency key's 24 h are over
	dutyBatch   duty = 19 // ref.Job is a batch id: it expires, goes on being canceled, tries a callback again, or is removed

	dutyTask    duty = 1  // ref: a task in RETRY becomes PENDING
	dutyStart   duty = 2  // ref.Job: a scheduled job begins
	dutyPurge   duty = 3  // ref.Job: an ended job's retention is over
	dutyBlob    duty = 4  // ref.Job is a blob id: an unused upload is removed
	dutyTick    duty = 10 // ref.Job is a schedule's id: its next tick is due
	dutyRelease duty = 11 // ref.Job is a schedule's id: the tick that waited may make its job

	dutyReceipt    duty = 20 // ref.Job is a hash: a webhook's message is forgotten
	dutyRetain     duty = 23 // ref.Step: a queue whose ended jobs of the state ref.Shard are above a bound, or are being listed
	dutyPurgeQueue duty = 24 // ref.Step: a queue that is being purged
	dutyRedrive    duty = 12 // ref.Job is a redrive's id: its next jobs
	dutyAttempt    duty = 13 // ref: an attempt is out of time
	dutyQueueWait  duty = 14 // ref: a task has waited for too long
	dutyStartBy    duty = 15 // ref.Job: a job that has not started expires
	dutyJobLimit   duty = 16 // ref.Job: a job is out of time
)

const (
	timerWindow = 4096
	// fireMax bounds the timers that one entry fires; what is left fires in the next.
	fireMax = 1000
	// fireWork bounds their work: the ticks that schedules step over, and the steps of the jobs that they make. After an
	// outage a thousand schedules have hundreds of ticks each to look at. The duty that passes it is the last.
	fireWork = 50_000
)

// setTimer arranges for duty d. Times not after the machine's clock fire with the next entry.
func (t *tx) setTimer(due int64, d duty, ref TaskRef) {
	t.set(keyTimer(due, d, ref), nil)
	t.m.timers.push(item{a: uint64(due), b: uint64(d), ref: ref})
}

func (t *tx) clearTimer(due int64, d duty, ref TaskRef) {
	t.del(keyTimer(due, d, ref))
	t.m.timers.remove(item{a: uint64(due), b: uint64(d), ref: ref})
}

func (t *tx) firstTimer() (item, bool) {
	return t.m.timers.first(func(after item, n int) []item {
		low := append(keyTimer(int64(after.a), duty(after.b), after.ref), 0)
		var items []item
		t.ascend(low, []byte{tagTimer + 1}, n, func(k, _ []byte) {
			due, d, ref := parseTimer(k)
			items = append(items, item{a: uint64(due), b: uint64(d), ref: ref})
		})
		return items
	})
}

// fire does what is due by the machine's time, up to fireMax duties and fireWork, earliest first.
func (t *tx) fire() {
	t.work = 0
	for n := 0; ; n++ {
		i, ok := t.firstTimer()
		if !ok || int64(i.a) > t.now {
			return
		}
		if n == fireMax || t.work >= fireWork {
			t.res.More = true
			return
		}
		t.clearTimer(int64(i.a), duty(i.b), i.ref)
		t.m.state.TimersFired++
		switch duty(i.b) {
		case dutyUnique:
			t.fireUnique(keyHash(i.ref.Job))
		case dutyUserKey:
			t.fireUserKey(keyHash(i.ref.Job))
		case dutyBatch:
			t.fireBatch(i.ref.Job)
		case dutyTask:
			t.fireTask(i.ref)
		case dutyStart:
			t.fireStart(i.ref.Job)
		case dutyPurge:
			t.firePurge(i.ref.Job)
		case dutyBlob:
			t.dropBlob(blobID(i.ref.Job))
		case dutyReceipt:
			t.fireReceipt(i.ref.Job)
		case dutyRetain:
			t.fireRetain(t.m.names.queues[i.ref.Step], JobState(i.ref.Shard))
		case dutyPurgeQueue:
			t.firePurgeQueue(t.m.names.queues[i.ref.Step])
		case dutyTick:
			t.fireTick(scheduleID(i.ref.Job))
		case dutyRelease:
			t.fireRelease(scheduleID(i.ref.Job))
		case dutyRedrive:
			t.fireRedrive(redriveID(i.ref.Job))
		case dutyAttempt:
			t.fireAttempt(i.ref)
		case dutyQueueWait:
			t.fireQueueWait(i.ref)
		case dutyStartBy:
			t.fireStartBy(i.ref.Job)
		case dutyJobLimit:
			t.fireJobLimit(i.ref.Job)
		}
	}
}

// fireTask ends a task's backoff. Invariant: the timer exists only while the task is in RETRY.
func (t *tx) fireTask(ref TaskRef) {
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	t.leaveRetry(j, ref, tk)
	tk.seq = 0 // a plain task waits behind those that came meanwhile
	t.runnable(j, ref, tk)
}

func (t *tx) fireStart(id JobID) {
	if j := t.job(id); j != nil && !j.state.Ended() {
		t.start(j)
	}
}

func (t *tx) firePurge(id JobID) {
	if j := t.job(id); j != nil {
		t.purge(j)
	}
}
