package fsm

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// laneWindow is how many runnable tasks of a lane are in memory, at least.
const laneWindow = 256

// lane is the runnable tasks of one kind in one queue, in hand-out order: priority, then age. A
// queue is split by kind so that a task that no live worker offers never stands in the way of others.
type lane struct {
	queue, kind uint32
	w           *window
}

func newLane(queue, kind uint32) *lane {
	return &lane{queue: queue, kind: kind, w: newWindow(laneWindow)}
}

// first returns the head of the lane.
func (l *lane) first(t *tx) (item, bool) {
	return l.w.first(func(after item, n int) []item {
		low := append(keyRunnable(l.queue, l.kind, uint8(after.a), after.b, after.ref.Shard), 0)
		var items []item
		t.ascend(low, prefixEnd(keyLane(l.queue, l.kind)), n, func(k, v []byte) {
			_, _, prio, seq := parseRunnable(k)
			ref, _ := parseRef(v)
			items = append(items, item{a: uint64(prio), b: seq, ref: ref})
		})
		t.preload(items)
		return items
	})
}

// preload reads the jobs of a lane's next tasks into the cache by one iterator. Tasks that wait in
// line were mostly submitted in line, so their jobs lie side by side: stepping on costs a fraction of
// a look-up each.
func (t *tx) preload(items []item) {
	ids := make([]JobID, 0, len(items))
	for _, i := range items {
		if _, ok := t.m.jobs[i.ref.Job]; !ok {
			ids = append(ids, i.ref.Job)
		}
	}
	if len(ids) < 8 {
		return
	}
	slices.SortFunc(ids, func(a, b JobID) int { return bytes.Compare(a[:], b[:]) })
	it, err := t.m.db.NewIter(&pebble.IterOptions{LowerBound: keyJob(ids[0]), UpperBound: []byte{tagJob + 1}})
	must(err)
	for _, id := range slices.Compact(ids) {
		key := keyJob(id)
		if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
			continue // it has come in this call, and is in the cache by the time that it is needed
		}
		v, err := it.ValueAndErr()
		must(err)
		if j := decodeJob(id, bytes.Clone(v)); j.blocks() <= 1 {
			t.m.jobs[id] = j
			t.loaded = append(t.loaded, j)
		}
	}
	must(it.Error())
	must(it.Close())
}

// nextSeq is a new place at the end of every lane. Places only grow.
func (t *tx) nextSeq() uint64 {
	t.m.state.nextSeq++
	return t.m.state.nextSeq
}

// enqueue makes a task (or a group) runnable at a place of its lane.
func (t *tx) enqueue(sp *stepPlan, ref TaskRef, seq uint64) {
	q, kind := t.m.names.queues[sp.queue], sp.kindOf(ref)
	t.setNew(keyRunnable(sp.queue, kind, sp.priority, seq, ref.Shard), appendRef(nil, ref))
	q.lane(kind).w.push(item{a: uint64(sp.priority), b: seq, ref: ref})
	t.m.check(q)
}

// dequeue takes it out of its lane.
func (t *tx) dequeue(sp *stepPlan, ref TaskRef, seq uint64) {
	kind := sp.kindOf(ref)
	t.del(keyRunnable(sp.queue, kind, sp.priority, seq, ref.Shard))
	t.m.names.queues[sp.queue].lane(kind).w.remove(item{a: uint64(sp.priority), b: seq, ref: ref})
}

// pending counts runnable tasks of a queue.
func (t *tx) pending(sp *stepPlan, delta int64) {
	q := t.m.names.queues[sp.queue]
	q.pending = uint64(int64(q.pending) + delta)
	t.m.names.touchQueue(q)
}
