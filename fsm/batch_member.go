package fsm

import (
	"encoding/json"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// batchJobsMax bounds the jobs of a batch.
const batchJobsMax = 10_000_000

// mayJoin refuses a job whose batch does not take it. It changes nothing.
func (t *tx) mayJoin(c *fsmpb.SubmitJob, raw []byte) *Refusal {
	id, ok := jobIDOf(raw)
	if !ok {
		return refuse(CodeInvalid, "a batch id has 16 bytes that are not all zero (a ULID)")
	}
	b := t.batch(id)
	switch {
	case b == nil || b.namespace != c.Namespace:
		return unknownBatch(raw).Refusal
	case b.state.Ended() || b.ending != 0:
		return refuse(CodeConflict, "batch %s has ended or is being canceled: create a new one", id)
	case b.total >= batchJobsMax:
		return refuse(CodeTooLarge, "batch %s has %d jobs: begin another", id, b.total)
	}
	return nil
}

// batchJoined counts a new job. Until then its batch is not decided (tx.joining): the last job that
// lives in it may be the one that the new job replaces.
// A job whose id was purged and comes again is the same member.
func (t *tx) batchJoined(j *job) {
	t.joining = BatchID{}
	b := t.batch(BatchID(j.opts.Batch))
	key := keyMember(b.id, j.id)
	if old := t.get(key); old != nil {
		*b.count(decodeMember(old))--
	} else {
		b.total++
	}
	b.live++
	t.set(key, encodeMember(JobRunning))
	t.setBatch(b)
}

// batchEnded counts a job that has ended, once: its member key says whether it was counted.
func (t *tx) batchEnded(j *job) {
	b := t.batch(BatchID(j.opts.Batch))
	if b == nil {
		return
	}
	key := keyMember(b.id, j.id)
	if raw := t.get(key); raw == nil || decodeMember(raw).Ended() {
		return
	}
	t.set(key, encodeMember(j.state))
	b.live--
	*b.count(j.state)++
	if j.state == JobFailure && b.died.IsZero() {
		b.died = j.id
		b.owe(onDeath)
	}
	t.decide(b)
}

// mayReopenMember refuses to run a job again whose batch is being canceled.
func (t *tx) mayReopenMember(j *job) *Refusal {
	if b := t.batch(BatchID(j.opts.Batch)); b != nil && b.ending != 0 && !b.state.Ended() {
		return refuse(CodeConflict, "batch %s of job %s is being canceled: try again when that is done", b.id, j.id)
	}
	return nil
}

// batchReopened: a job that had ended runs again, so the batch is not complete. A batch that was
// canceled or has expired stays so.
func (t *tx) batchReopened(j *job) {
	b := t.batch(BatchID(j.opts.Batch))
	if b == nil {
		return
	}
	key := keyMember(b.id, j.id)
	raw := t.get(key)
	if raw == nil || !decodeMember(raw).Ended() {
		return
	}
	*b.count(decodeMember(raw))--
	b.live++
	t.set(key, encodeMember(JobRunning))
	if b.state == BatchComplete {
		b.state, b.finishedMS = BatchClosed, 0
	}
	t.setBatch(b)
}

func encodeMember(s JobState) []byte {
	e := newEnc(2)
	e.byte(byte(s))
	return e
}

func decodeMember(raw []byte) JobState {
	d := newDec("batch member", raw)
	s := JobState(d.byte())
	d.end()
	return s
}

// owe notes a callback that has to be made, if it was asked for and not made before.
func (b *batch) owe(callback int) {
	if b.has&(1<<callback) != 0 && b.made[callback].IsZero() {
		b.owed |= 1 << callback
	}
}

// decide ends a batch whose last job has ended, makes the callbacks that are owed, and writes it.
func (t *tx) decide(b *batch) {
	if b.state == BatchClosed && b.live == 0 && b.id != t.joining {
		b.finishedMS = t.now
		b.owe(onComplete)
		switch {
		case b.ending != 0:
			b.state = b.ending
		case b.succeeded == b.total:
			b.state = BatchSuccess
			b.owe(onSuccess)
		default:
			b.state = BatchComplete
		}
	}
	for c := range callbacks {
		if b.owed&(1<<c) != 0 {
			t.makeCallback(b, c)
		}
	}
	t.setBatch(b)
}

// makeCallback makes the job of a callback. It is no member of a batch and has no unique key, so it
// ends nothing but itself here. A refusal (its task is in use with other types, its queue is full)
// must not lose it: it is tried again.
func (t *tx) makeCallback(b *batch, callback int) {
	cb := decodeCallbacks(t.mustGet(keyBatchCallbacks(b.id)))[callback]
	id := derivedID(t.now, "batch", string(b.id[:]), callbackNames[callback])
	asked := t.asked
	t.asked = false // admission is for what comes from outside
	a := submitJob(t, &fsmpb.SubmitJob{
		Job: id[:], Namespace: b.namespace, Graph: cb.Graph, RetainMs: cb.RetainMs,
		Input: &fsmpb.Value{Inline: b.outcome(callback, cb.Data)},
	})
	t.asked = asked
	if a.Refusal != nil {
		b.error = truncate(a.Refusal.Message, 1024)
		return
	}
	b.owed &^= 1 << callback
	b.made[callback] = id
	b.error = ""
	t.m.state.BatchCallbacks++
}

// outcome is the input of a callback. encoding/json writes a struct's fields in their order, so every
// replica writes the same bytes.
func (b *batch) outcome(callback int, data []byte) []byte {
	var job string
	if callback == onDeath {
		job = b.died.String()
	}
	doc, err := json.Marshal(struct {
		Event     string          `json:"event"`
		Batch     string          `json:"batch"`
		Name      string          `json:"name"`
		State     string          `json:"state"`
		Total     uint64          `json:"total"`
		Succeeded uint64          `json:"succeeded"`
		Failed    uint64          `json:"failed"`
		Canceled  uint64          `json:"canceled"`
		Job       string          `json:"job,omitempty"`
		Data      json.RawMessage `json:"data"`
	}{callbackNames[callback], b.id.String(), b.name, b.state.String(), b.total, b.succeeded, b.failed, b.canceled, job, data})
	must(err)
	return doc
}
