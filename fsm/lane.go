package fsm

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/btree"
)

const (
	// laneWindow is how many runnable tasks of a lane are in memory, at least.
	laneWindow = 256
	// laneWindowSmall is that of a named partition's lane: there can be a million of them.
	laneWindowSmall = 8
)

// class is the lanes of one kind and priority in one queue: the lane of the partition "", which is all
// that most queues ever have, and those of the named partitions.
//
// The naive way, looking at every lane for every grant, costs a million looks with a million partitions.
// So the lanes of named partitions that wait for nothing but a slot are in two trees: by their
// partition's tag, which is the order in which they are served, and by place, because the oldest task
// decides how urgent the class is. A lane that a limit holds back is in neither (park).
type class struct {
	queue, kind uint32
	prio        uint8
	plain       *lane
	parts       map[uint64]*lane // by partition; nil until there is one
	byTag       *btree.BTreeG[*lane]
	byPlace     *btree.BTreeG[*lane]
}

// lane is the runnable tasks of one kind and priority, in one queue, of one partition, oldest first. A
// queue is split by kind so that a task that no live worker offers never stands in the way of others.
type lane struct {
	*class
	part *partition // nil: ""
	w    *window

	// Of a named partition's lane. Invariant: it is in the trees, under head and tag, when it has a
	// task and is not parked.

	ready  bool
	head   item
	tag    uint64
	parked *wake
}

func (l *lane) partID() uint64 { return l.part.number() }

func (l *lane) partName() string {
	if l.part == nil {
		return ""
	}
	return l.part.name
}

// class finds or makes the class of a kind and a priority.
func (m *Machine) class(q *queue, kind uint32, prio uint8) *class {
	i, ok := slices.BinarySearchFunc(q.classes, prioKind{kind, prio}, func(c *class, k prioKind) int {
		if c.kind != k.kind {
			return cmp.Compare(c.kind, k.kind)
		}
		return int(c.prio) - int(k.prio)
	})
	if ok {
		return q.classes[i]
	}
	c := &class{queue: q.id, kind: kind, prio: prio}
	c.plain = &lane{class: c, w: newWindow(laneWindow)}
	q.classes = slices.Insert(q.classes, i, c)
	k := m.names.kinds[kind]
	if j, ok := slices.BinarySearch(k.queues, q.id); !ok {
		k.queues = slices.Insert(k.queues, j, q.id)
	}
	return c
}

type prioKind struct {
	kind uint32
	prio uint8
}

// freeNodes is shared by the small trees: each would keep a list of its own.
var freeNodes = btree.NewFreeListG[item](1024)

// lane finds or makes the lane of a partition.
func (c *class) lane(p *partition) *lane {
	if p == nil {
		return c.plain
	}
	l := c.parts[p.id]
	if l != nil {
		return l
	}
	if c.parts == nil {
		c.parts = make(map[uint64]*lane)
		c.byTag = btree.NewG(16, func(x, y *lane) bool {
			if x.tag != y.tag {
				return x.tag < y.tag
			}
			return compareItems(x.head, y.head) < 0
		})
		c.byPlace = btree.NewG(16, func(x, y *lane) bool { return compareItems(x.head, y.head) < 0 })
	}
	w := &window{tree: btree.NewWithFreeListG(4, lessItem, freeNodes), max: laneWindowSmall}
	l = &lane{class: c, part: p, w: w}
	c.parts[p.id] = l
	p.lanes = append(p.lanes, l)
	return l
}

// first returns the head of the lane.
func (l *lane) first(t *tx) (item, bool) {
	return l.w.first(func(after item, n int) []item {
		low := append(keyRunnable(l.queue, l.kind, l.partID(), l.prio, after.b, after.ref.Shard), 0)
		var items []item
		t.ascend(low, prefixEnd(keyLane(l.queue, l.kind, l.partID(), l.prio)), n, func(k, v []byte) {
			ref, _ := parseRef(v)
			items = append(items, item{a: uint64(l.prio), b: parseRunnable(k).seq, ref: ref})
		})
		t.preload(items)
		return items
	})
}

// settle puts a named partition's lane where its head and its partition's tag say, or forgets it when it
// is empty.
func (t *tx) settle(l *lane) {
	head, ok := l.first(t)
	if !ok {
		l.out()
		t.m.unpark(l)
		delete(l.parts, l.part.id)
		l.part.lanes = slices.DeleteFunc(l.part.lanes, func(x *lane) bool { return x == l })
		return
	}
	if l.parked == nil && !(l.ready && l.head == head && l.tag == l.part.tag) {
		l.out()
		l.in(head)
	}
}

// in puts a lane into the trees of its class.
func (l *lane) in(head item) {
	l.ready, l.head, l.tag = true, head, l.part.tag
	l.byTag.ReplaceOrInsert(l)
	l.byPlace.ReplaceOrInsert(l)
}

// out takes it out of them.
func (l *lane) out() {
	if l.ready {
		l.byTag.Delete(l)
		l.byPlace.Delete(l)
		l.ready = false
	}
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

const seqBits = 12

// nextSeq is a new place at the end of every lane. Places only grow, and say when they were given: the
// upper bits are the machine's time in milliseconds (sinceMS), so that a task's age needs no field.
func (t *tx) nextSeq() uint64 {
	now := uint64(min(max(t.now, 0), 1<<50))
	t.m.state.nextSeq = max(t.m.state.nextSeq+1, now<<seqBits)
	return t.m.state.nextSeq
}

// sinceMS is when a place was given. Of more than 4,096 in one millisecond the later ones say a little
// more than the truth.
func sinceMS(seq uint64) int64 { return int64(seq >> seqBits) }

// enqueue makes a task (or a group) runnable at a place of its lane.
func (t *tx) enqueue(j *job, ref TaskRef, seq uint64, p *partition) {
	sp := &j.plan.steps[ref.Step]
	q, kind, prio := t.m.names.queues[sp.queue], sp.kindOf(ref), j.priority(sp)
	l := t.m.class(q, kind, prio).lane(p)
	t.waits(q, p)
	t.setNew(keyRunnable(sp.queue, kind, l.partID(), prio, seq, ref.Shard), appendRef(make([]byte, 0, refBytes), ref))
	l.w.push(item{a: uint64(prio), b: seq, ref: ref})
	if p != nil {
		t.settle(l)
	}
	t.m.check(q)
}

// dequeue takes it out of its lane.
func (t *tx) dequeue(j *job, ref TaskRef, seq uint64, part uint64) {
	sp := &j.plan.steps[ref.Step]
	kind, prio, p := sp.kindOf(ref), j.priority(sp), t.m.parts[part]
	t.del(keyRunnable(sp.queue, kind, part, prio, seq, ref.Shard))
	l := t.m.class(t.m.names.queues[sp.queue], kind, prio).lane(p)
	l.w.remove(item{a: uint64(prio), b: seq, ref: ref})
	if p != nil {
		t.waitsNoMore(p)
		t.settle(l)
	}
}

// pending counts runnable tasks of a queue.
func (t *tx) pending(sp *stepPlan, delta int64) {
	q := t.m.names.queues[sp.queue]
	q.pending = uint64(int64(q.pending) + delta)
	t.m.names.touchQueue(q)
}

// priority of a job's task: 1 (first) to 10.
func (j *job) priority(sp *stepPlan) uint8 {
	if p := j.opts.Priority; p > 0 {
		return uint8(p)
	}
	return sp.priority
}
