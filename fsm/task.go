package fsm

import "fmt"

// task is the state of one task. A plain step's task lives in its job's record; a shard's or fold
// node's has a record of its own only while it is live, dead or canceled: a shard that has not been
// leased yet is part of its group's cursor, and one that succeeded is its result.
type task struct {
	state    TaskState
	attempts uint32 // attempts charged: they ended in success or failure
	crashes  uint32 // attempts that lost their worker
	session  uint64 // STARTED: the holder
	fence    Fence  // of the last attempt; kept after it, to recognise its late reports
	seq      uint64 // PENDING: its place in the lane
	part     uint64 // PENDING, STARTED: its partition; 0 = ""
	due      int64  // SCHEDULED, RETRY: unix ms
	cursor   []uint64
	tries    uint32 // attempts recorded (keepAttempt)
	since    int64  // first lease, unix ms: only when the retries have a deadline

	saves      uint32 // slots that it has saved in; only the first may be empty
	savedBytes uint64 // in them, names included

	dirty bool
}

// set moves the task. Precondition: the move is legal (Moves); otherwise it is a bug, and both
// states are in the panic.
func (t *task) set(ref TaskRef, to TaskState) {
	if !legalMove(t.state, to) {
		panic(fmt.Sprintf("fsm: task %s cannot go from %s to %s", ref, t.state, to))
	}
	if to != TaskPending && to != TaskStarted {
		t.part = 0
	}
	t.state = to
	t.dirty = true
}

func (t *task) encode(e *enc) {
	e.byte(byte(t.state))
	e.uint(uint64(t.attempts))
	e.uint(uint64(t.crashes))
	e.uint(t.session)
	e.fence(t.fence)
	e.uint(t.seq)
	e.int(t.due)
	e.uints(t.cursor)
	e.uint(t.part)
	e.uint(uint64(t.tries))
	e.int(t.since)
	e.uint(uint64(t.saves))
	if t.saves > 0 {
		e.uint(t.savedBytes)
	}
}

func (t *task) decode(d *dec) {
	t.state = TaskState(d.byte())
	t.attempts = d.u32()
	t.crashes = d.u32()
	t.session = d.uint()
	t.fence = d.fence()
	t.seq = d.uint()
	t.due = d.int()
	t.cursor = d.uints()
	t.part = d.uint()
	t.tries = d.u32()
	t.since = d.int()
	if t.saves = d.u32(); t.saves > 0 {
		t.savedBytes = d.uint()
	}
}

// taskBytes is a good guess of an encoded task's size.
const taskBytes = 26

func encodeTask(t *task) []byte {
	e := newEnc(1 + taskBytes)
	t.encode(&e)
	return e
}

func decodeTask(b []byte) *task {
	d := newDec("task", b)
	t := new(task)
	t.decode(d)
	d.end()
	return t
}
