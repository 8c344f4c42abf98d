package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

const (
	// sweepMax bounds the jobs of a batch that one entry cancels.
	sweepMax = 100
	// forgetMax bounds the members of a batch that one entry removes.
	forgetMax = 1000
)

// lookupBatch finds the batch that a command names.
func (t *tx) lookupBatch(raw []byte) *batch {
	if id, ok := jobIDOf(raw); ok {
		return t.batch(id)
	}
	return nil
}

func unknownBatch(raw []byte) Answer {
	if id, ok := jobIDOf(raw); ok {
		return no(CodeNotFound, "there is no batch %s: it was never created, or was removed when its retention ended", id)
	}
	return no(CodeInvalid, "a batch id has 16 bytes that are not all zero (a ULID)")
}

// closeBatch says that no more jobs come from outside: the batch is decided when its last job has
// ended, at once if none lives. Its own jobs may still add some.
//
// Refusals: NOT_FOUND.
// Again, or on a batch that has ended: answers its state and changes nothing.
func closeBatch(t *tx, c *fsmpb.CloseBatch) Answer {
	b := t.lookupBatch(c.Batch)
	if b == nil {
		return unknownBatch(c.Batch)
	}
	if b.state == BatchOpen {
		b.state = BatchClosed
		t.decide(b)
	}
	return Answer{Job: b.id, Batch: b.state}
}

// reopenBatch takes back closeBatch, while a job of the batch lives.
//
// Refusals: NOT_FOUND, CONFLICT (it has ended, or is being canceled).
func reopenBatch(t *tx, c *fsmpb.ReopenBatch) Answer {
	b := t.lookupBatch(c.Batch)
	switch {
	case b == nil:
		return unknownBatch(c.Batch)
	case b.state.Ended() || b.ending != 0:
		return no(CodeConflict, "batch %s has ended or is being canceled: create a new one", b.id)
	}
	b.state = BatchOpen
	t.setBatch(b)
	return Answer{Job: b.id, Batch: b.state}
}

// cancelBatch cancels the living jobs of a batch, a piece in each entry. The batch has ended when all of
// them have: it is complete then, and has not succeeded.
//
// Refusals: NOT_FOUND.
// Again, or on a batch that has ended: answers its state and changes nothing.
func cancelBatch(t *tx, c *fsmpb.CancelBatch) Answer {
	b := t.lookupBatch(c.Batch)
	if b == nil {
		return unknownBatch(c.Batch)
	}
	if !b.state.Ended() && b.ending == 0 {
		t.endBatch(b, BatchCanceled, truncate(c.Reason, 1024))
		b = t.batch(b.id)
	}
	return Answer{Job: b.id, Batch: b.state}
}

// endBatch begins the end of a batch before its time.
func (t *tx) endBatch(b *batch, as BatchState, reason string) {
	b.state, b.ending, b.reason = BatchClosed, as, reason
	t.decide(b)
	t.sweepBatch(b.id)
}

// sweepBatch cancels the next living jobs of a batch that ends before its time.
func (t *tx) sweepBatch(id BatchID) {
	b := t.batch(id)
	if b.state.Ended() {
		return
	}
	low := append(keyMember(id, b.cursor), 0)
	var live []JobID
	t.ascend(low, prefixEnd(keyMembers(id)), 10*sweepMax, func(k, v []byte) {
		if len(live) < sweepMax {
			b.cursor = parseMember(k)
			if !decodeMember(v).Ended() {
				live = append(live, b.cursor)
			}
		}
	})
	reason := "batch " + id.String() + " was canceled: " + b.reason
	if b.ending == BatchExpired {
		reason = "batch " + id.String() + " has expired"
	}
	t.setBatch(b)
	for _, member := range live { // each end of a job changes the batch: see batchEnded
		if j := t.job(member); j != nil && !j.state.Ended() {
			j.reason = truncate(reason, 1024)
			t.cancelLive(j, "JOB_CANCELED")
			t.end(j, JobCanceled)
		}
	}
}

// purgeBatch removes a batch that has ended; its jobs stay. What is many goes a piece in each entry.
//
// Refusals: NOT_FOUND, NOT_ENDED.
func purgeBatch(t *tx, c *fsmpb.PurgeBatch) Answer {
	b := t.lookupBatch(c.Batch)
	switch {
	case b == nil:
		return unknownBatch(c.Batch)
	case !b.state.Ended():
		return no(CodeNotEnded, "batch %s is %s: cancel it before it can be removed", b.id, b.state)
	}
	t.forgetBatch(b)
	return Answer{Job: b.id, Batch: b.state}
}

// forgetBatch removes the next members of a batch, and with the last of them the batch.
func (t *tx) forgetBatch(b *batch) {
	b.gone = true
	var keys [][]byte
	low := keyMembers(b.id)
	t.ascend(low, prefixEnd(low), forgetMax, func(k, _ []byte) {
		keys = append(keys, append([]byte(nil), k...))
	})
	for _, k := range keys {
		t.del(k)
	}
	if len(keys) == forgetMax {
		t.setBatch(b)
		return
	}
	if b.due != 0 {
		t.clearTimer(b.due, dutyBatch, TaskRef{Job: b.id})
	}
	t.del(keyBatch(b.id))
	t.del(keyBatchCallbacks(b.id))
}

// fireBatch does what a batch has to do by itself.
func (t *tx) fireBatch(id BatchID) {
	b := decodeBatch(id, t.mustGet(keyBatch(id)))
	b.due = 0
	if b.gone {
		t.forgetBatch(b)
		return
	}
	t.decide(b)
	switch {
	case b.state.Ended() && b.finishedMS+b.retainMS <= t.now:
		t.forgetBatch(b)
	case b.state.Ended():
	case b.ending != 0:
		t.sweepBatch(id)
	case b.expiresMS != 0 && b.expiresMS <= t.now:
		t.endBatch(b, BatchExpired, "")
	}
}
