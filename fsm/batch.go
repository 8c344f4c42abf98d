package fsm

// BatchID names a batch: a ULID, as a job's id.
type BatchID = JobID

// BatchState is the state of a batch. The numbers are on disk: append only.
type BatchState uint8

const (
	BatchOpen     BatchState = 1 // takes jobs, and is not decided while it is open
	BatchClosed   BatchState = 2 // decided when its last job has ended
	BatchComplete BatchState = 3 // all jobs have ended, not all with success
	BatchSuccess  BatchState = 4 // all jobs have succeeded
	BatchCanceled BatchState = 5
	BatchExpired  BatchState = 6
)

var batchStateNames = map[BatchState]string{
	BatchOpen: "OPEN", BatchClosed: "CLOSED", BatchComplete: "COMPLETE", BatchSuccess: "SUCCESS",
	BatchCanceled: "CANCELED", BatchExpired: "EXPIRED",
}

// String returns the name that users see.
func (s BatchState) String() string { return batchStateNames[s] }

// Ended reports whether all of the batch's jobs have ended.
func (s BatchState) Ended() bool { return s >= BatchComplete }

// ParseBatchState reads a name as String prints it.
func ParseBatchState(name string) (BatchState, bool) {
	for s := BatchOpen; s <= BatchExpired; s++ {
		if batchStateNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

// Callbacks of a batch, in the order in which they are made when one entry decides several.
const (
	onDeath = iota
	onComplete
	onSuccess
	callbacks
)

var callbackNames = [callbacks]string{"death", "complete", "success"}

// batch is a group of jobs. Its members have a key each, with the state in which they ended; the counts
// follow those keys, one step for a change of one key, so that no report that comes twice counts twice
// (research: task-queues.md, pain 6).
//
// Invariant: total, live and the counts are those of the member keys; due is not 0 exactly while the
// batch has a timer.
type batch struct {
	id         BatchID
	namespace  string
	name       string
	state      BatchState
	createdMS  int64
	expiresMS  int64 // 0 = never
	finishedMS int64
	retainMS   int64
	due        int64

	total, live, succeeded, failed, canceled uint64

	ending BatchState // CANCELED or EXPIRED from when its jobs are being canceled on
	reason string
	cursor JobID // ending: members up to this one have been canceled
	gone   bool  // its members are being removed, and then it

	has   uint8 // callbacks that were asked for, by bit
	owed  uint8 // decided, and could not be made yet
	made  [callbacks]JobID
	error string // why one could not be made
	died  JobID  // the first job that failed
}

func (b *batch) encode() []byte {
	e := newEnc(160 + len(b.name) + len(b.reason) + len(b.error))
	e.str(b.namespace)
	e.str(b.name)
	e.byte(byte(b.state))
	e.int(b.createdMS)
	e.int(b.expiresMS)
	e.int(b.finishedMS)
	e.int(b.retainMS)
	e.int(b.due)
	for _, n := range []uint64{b.total, b.live, b.succeeded, b.failed, b.canceled} {
		e.uint(n)
	}
	e.byte(byte(b.ending))
	e.str(b.reason)
	e.raw(b.cursor[:])
	e.bool(b.gone)
	e.byte(b.has)
	e.byte(b.owed)
	for _, id := range b.made {
		e.raw(id[:])
	}
	e.str(b.error)
	e.raw(b.died[:])
	return e
}

func decodeBatch(id BatchID, raw []byte) *batch {
	d := newDec("batch", raw)
	b := &batch{id: id, namespace: d.str(), name: d.str(), state: BatchState(d.byte())}
	b.createdMS = d.int()
	b.expiresMS = d.int()
	b.finishedMS = d.int()
	b.retainMS = d.int()
	b.due = d.int()
	for _, n := range []*uint64{&b.total, &b.live, &b.succeeded, &b.failed, &b.canceled} {
		*n = d.uint()
	}
	b.ending = BatchState(d.byte())
	b.reason = d.str()
	copy(b.cursor[:], d.raw(16))
	b.gone = d.bool()
	b.has = d.byte()
	b.owed = d.byte()
	for i := range b.made {
		copy(b.made[i][:], d.raw(16))
	}
	b.error = d.str()
	copy(b.died[:], d.raw(16))
	d.end()
	return b
}

// batch reads a batch, or returns nil. Every caller that changes it puts it back with setBatch before it
// does anything that can end a job.
func (t *tx) batch(id BatchID) *batch {
	if raw := t.get(keyBatch(id)); raw != nil {
		if b := decodeBatch(id, raw); !b.gone {
			return b
		}
	}
	return nil
}

// setBatch writes a batch and moves its timer to where the batch says.
func (t *tx) setBatch(b *batch) {
	if due := b.wake(t.now); due != b.due {
		if b.due != 0 {
			t.clearTimer(b.due, dutyBatch, TaskRef{Job: b.id})
		}
		if b.due = due; due != 0 {
			t.setTimer(due, dutyBatch, TaskRef{Job: b.id})
		}
	}
	t.set(keyBatch(b.id), b.encode())
}

// callbackRetryMS is the pause before a callback that was refused is tried again: 10 s.
const callbackRetryMS = 10_000

// wake is when the batch has something to do by itself, 0 = never.
func (b *batch) wake(now int64) (due int64) {
	switch {
	case b.gone, b.ending != 0 && !b.state.Ended():
		return now // the next piece
	case b.state.Ended():
		due = b.finishedMS + b.retainMS
	default:
		due = b.expiresMS
	}
	if b.owed == 0 {
		return due
	}
	retry := now + callbackRetryMS
	if b.due > now {
		retry = min(retry, b.due)
	}
	if due == 0 {
		return retry
	}
	return min(due, retry)
}

// count is where members are counted that have ended in a state.
func (b *batch) count(s JobState) *uint64 {
	switch s {
	case JobSuccess:
		return &b.succeeded
	case JobFailure:
		return &b.failed
	default:
		return &b.canceled
	}
}
