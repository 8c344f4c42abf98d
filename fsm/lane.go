package fsm

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
		keys := t.keys(low, prefixEnd(keyLane(l.queue, l.kind)), n)
		items := make([]item, len(keys))
		for i, k := range keys {
			_, _, prio, seq := parseRunnable(k)
			ref, _ := parseRef(t.mustGet(k))
			items[i] = item{a: uint64(prio), b: seq, ref: ref}
		}
		return items
	})
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
