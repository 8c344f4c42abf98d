package fsm

import (
	"bytes"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// purgeKeysMax and purgeStepsMax bound a piece of a purge: runnable keys that it looks at, and steps of the
	// jobs behind them.
	purgeKeysMax  = 500
	purgeStepsMax = 20_000
)

// causePurged is the reason of a job that was canceled by PurgeQueue, and the cause at its tasks.
const causePurged = "QUEUE_PURGED"

// purgeQueue cancels the jobs that only wait in a queue: nothing of them runs, and whatever of them may run
// is in this queue. Others keep their tasks, and so do jobs that come after the command. The first piece is
// done in this entry, the rest in the ones that follow. Proposed for Client.PurgeQueue.
//
// Refusals: NOT_FOUND.
// Again: what has come since is purged too.
func purgeQueue(t *tx, c *fsmpb.PurgeQueue) Answer {
	q, r := t.knownQueue(c.Namespace, c.Queue)
	if r != nil {
		return Answer{Refusal: r}
	}
	k := t.control(q)
	if k.purgeSeq == 0 {
		k.purged = 0
	} else {
		t.clearTimer(k.purgeDue, dutyPurgeQueue, purgeTimer(q))
	}
	k.purgeSeq, k.purgeCursor = t.m.state.nextSeq, nil
	t.purgePiece(q)
	return Answer{}
}

func purgeTimer(q *queue) TaskRef { return TaskRef{Step: q.id} }

func (t *tx) firePurgeQueue(q *queue) { t.purgePiece(q) }

// purgePiece goes on with a purge from where it stopped.
func (t *tx) purgePiece(q *queue) {
	k := q.control
	prefix := be.AppendUint32([]byte{tagRunnable}, q.id)
	low := prefix
	if k.purgeCursor != nil {
		low = append(bytes.Clone(k.purgeCursor), 0)
	}
	type waiting struct {
		key []byte
		ref TaskRef
	}
	var page []waiting
	t.ascend(low, prefixEnd(prefix), purgeKeysMax, func(key, v []byte) {
		ref, _ := parseRef(v)
		page = append(page, waiting{bytes.Clone(key), ref})
	})
	work := 0
	for n, w := range page {
		if work > purgeStepsMax {
			page = page[:n]
			break
		}
		k.purgeCursor = w.key
		if j := t.job(w.ref.Job); j != nil && !j.state.Ended() {
			work += len(j.steps)
			t.purgeWaiting(q, j, w.ref)
		}
	}
	k.purgeDue = 0
	if len(page) < purgeKeysMax && work <= purgeStepsMax {
		k.purgeSeq, k.purgeCursor = 0, nil
	} else {
		k.purgeDue = t.now + 1
		t.setTimer(k.purgeDue, dutyPurgeQueue, purgeTimer(q))
	}
	t.saveControl(q)
}

// purgeWaiting cancels a job of the queue if it waited when the purge was asked for, and only waits.
func (t *tx) purgeWaiting(q *queue, j *job, ref TaskRef) {
	seq := j.steps[ref.Step].seq
	if g := t.groupOf(j, ref); g != nil {
		seq = g.seq
	}
	if seq > q.control.purgeSeq || !t.onlyWaits(j, q) {
		return
	}
	j.reason = causePurged
	t.cancelLive(j, causePurged)
	t.end(j, JobCanceled)
	q.control.purged++
}

// onlyWaits reports that nothing of a job runs, and that nothing of it waits in another queue.
func (t *tx) onlyWaits(j *job, q *queue) bool {
	for i := range j.steps {
		s, sp := &j.steps[i], &j.plan.steps[i]
		if s.state != TaskPending && s.state != TaskStarted {
			continue
		}
		if sp.step.Kind == dag.StepTask {
			if s.state == TaskStarted || sp.queue != q.id {
				return false
			}
			continue
		}
		g := t.group(j, uint32(i))
		if g == nil {
			continue
		}
		if g.held > 0 || sp.queue != q.id && (g.waiting() > 0 || g.live > g.retry) {
			return false
		}
	}
	return true
}
