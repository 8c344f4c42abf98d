package fsm

import (
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// blockSteps is how many steps share one record. A job of up to 32 steps is one record, overwritten
// in place as it goes on; a larger graph rewrites only the block of the step that moved, so that a
// completion costs the same in a graph of 10 and of 10,000 steps.
const blockSteps = 32

// job is a run of a workflow.
type job struct {
	id         JobID
	namespace  string
	graph      graphHash
	state      JobState
	createdMS  int64
	notBefore  int64 // unix ms; 0 = at once
	finishedMS int64
	retainMS   int64
	purgeMS    int64  // when it will be purged, once it has ended
	key        string // the user's idempotency key
	reason     string // of the cancel
	left       uint32 // steps that are not done
	failed     bool   // failedAt says which task ended the job
	failedAt   TaskRef
	round      uint32 // how often RetryJob ran: part of the jitter's seed and of nothing else

	blobs  uint32 // uploads that it owns
	logged bool   // its tasks have written to its log
	bytes  uint64 // of its input and results

	limitMS int64 // when it is out of time, unix ms; 0 = never

	raw  []byte            // opts as they were submitted; nil = none
	opts *fsmpb.JobOptions // never nil

	steps []step

	// What follows is not stored.

	plan   *plan           // derived from graph and namespace
	groups []*group        // by step; nil until read
	dirty  bool            // the header or the first block has to be written
	far    map[uint32]bool // further blocks that have to be written
	listed bool            // in tx.jobs
	begun  bool            // uniqueStarted has seen it
	purged bool
}

// step is a step of a job. For a map or fold step the task's state is the step's, and its group
// record holds the rest.
type step struct {
	task
	waiting uint32 // dependencies that are not done
}

func (j *job) ref(step uint32) TaskRef { return TaskRef{Job: j.id, Step: step} }

// touch marks the record of a step for writing.
func (j *job) touch(step uint32) {
	if step < blockSteps {
		j.dirty = true
		return
	}
	if j.far == nil {
		j.far = make(map[uint32]bool)
	}
	j.far[step/blockSteps] = true
}

func (j *job) encode() []byte {
	n := min(len(j.steps), blockSteps)
	e := newEnc(80 + len(j.key) + len(j.reason) + len(j.raw) + n*(taskBytes+2))
	e.str(j.namespace)
	e.raw(j.graph[:])
	e.byte(byte(j.state))
	e.int(j.createdMS)
	e.int(j.notBefore)
	e.int(j.finishedMS)
	e.int(j.retainMS)
	e.int(j.purgeMS)
	e.str(j.key)
	e.str(j.reason)
	e.uint(uint64(j.left))
	e.bool(j.failed)
	if j.failed {
		e.uint(uint64(j.failedAt.Step))
		e.uint(j.failedAt.Shard)
	}
	e.uint(uint64(j.round))
	e.uint(uint64(j.blobs))
	e.int(j.limitMS)
	e.bool(j.logged)
	e.uint(j.bytes)
	e.bytes(j.raw)
	e.uint(uint64(len(j.steps)))
	encodeSteps(&e, j.steps[:n])
	return e
}

func decodeJob(id JobID, b []byte) *job {
	d := newDec("job", b)
	j := &job{id: id}
	j.namespace = d.str()
	copy(j.graph[:], d.raw(len(j.graph)))
	j.state = JobState(d.byte())
	j.createdMS = d.int()
	j.notBefore = d.int()
	j.finishedMS = d.int()
	j.retainMS = d.int()
	j.purgeMS = d.int()
	j.key = d.str()
	j.reason = d.str()
	j.left = d.u32()
	if j.failed = d.bool(); j.failed {
		j.failedAt = TaskRef{Job: id, Step: d.u32(), Shard: d.uint()}
	}
	j.round = d.u32()
	j.blobs = d.u32()
	j.limitMS = d.int()
	j.logged = d.bool()
	j.bytes = d.uint()
	if j.raw = d.bytes(); len(j.raw) == 0 {
		j.raw = nil
	}
	var err error
	j.opts, err = parseOptions(j.raw)
	d.bad = d.bad || err != nil
	n := d.uint()
	if n > 1<<20 {
		d.bad = true
		n = 0
	}
	j.steps = make([]step, n)
	decodeSteps(d, j.steps[:min(len(j.steps), blockSteps)])
	d.end()
	return j
}

// noOptions are those of most jobs. Read only.
var noOptions = new(fsmpb.JobOptions)

func parseOptions(raw []byte) (*fsmpb.JobOptions, error) {
	if len(raw) == 0 {
		return noOptions, nil
	}
	o := new(fsmpb.JobOptions)
	return o, proto.Unmarshal(raw, o)
}

// graphOf reads no more of a job's record than its graph.
func graphOf(b []byte) (h graphHash) {
	d := newDec("job", b)
	d.bytes()
	copy(h[:], d.raw(len(h)))
	d.end()
	return h
}

func (j *job) block(n uint32) []step {
	return j.steps[n*blockSteps : min(len(j.steps), int(n+1)*blockSteps)]
}

func (j *job) blocks() uint32 { return uint32((len(j.steps) + blockSteps - 1) / blockSteps) }

func encodeBlock(steps []step) []byte {
	e := newEnc(1 + len(steps)*(taskBytes+2))
	encodeSteps(&e, steps)
	return e
}

func decodeBlock(b []byte, steps []step) {
	d := newDec("job block", b)
	decodeSteps(d, steps)
	d.end()
}

func encodeSteps(e *enc, steps []step) {
	for i := range steps {
		steps[i].encode(e)
		e.uint(uint64(steps[i].waiting))
	}
}

func decodeSteps(d *dec, steps []step) {
	for i := range steps {
		steps[i].decode(d)
		steps[i].waiting = d.u32()
	}
}

// readJob loads a job's header and all of its blocks.
func readJob(r reader, id JobID) *job {
	b := r.get(keyJob(id))
	if b == nil {
		return nil
	}
	j := decodeJob(id, b)
	for n := uint32(1); n < j.blocks(); n++ {
		decodeBlock(r.mustGet(keyBlock(id, n)), j.block(n))
	}
	return j
}
