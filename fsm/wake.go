package fsm

import (
	"cmp"
	"slices"

	"github.com/google/btree"
)

// wake is a lane that a limit holds back, or a queue of which a limit holds back something: when to
// look again. Wakes are derived. A machine that was restarted has none, looks at every lane that could
// be granted, and comes to the same wakes; so they are never stored, and no write is paid for them.
type wake struct {
	at    int64    // 0: when a lease under on ends
	on    *limiter // at 0
	queue uint32
	lane  *lane // nil: the queue
	index int   // in queue.parked
}

func newWakes() *btree.BTreeG[*wake] {
	return btree.NewG(16, func(x, y *wake) bool {
		if c := cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.queue, y.queue)); c != 0 {
			return c < 0
		}
		if x.lane == nil || y.lane == nil {
			return x.lane == nil && y.lane != nil
		}
		return cmp.Or(cmp.Compare(x.lane.kind, y.lane.kind), cmp.Compare(x.lane.prio, y.lane.prio), cmp.Compare(x.lane.partID(), y.lane.partID())) < 0
	})
}

// park takes a named partition's lane out of its trees until the limits that hold it back may have
// room. What is woken stands in its old order again.
func (m *Machine) park(l *lane, f full) {
	l.out()
	q := m.names.queues[l.queue]
	w := &wake{at: f.until, on: f.on, queue: l.queue, lane: l, index: len(q.parked)}
	if w.on != nil {
		w.at = 0
		w.on.parked = append(w.on.parked, w)
	} else {
		m.wakes.ReplaceOrInsert(w)
	}
	q.parked = append(q.parked, w)
	l.parked = w
}

// unpark forgets that a lane was parked; settle puts it back.
func (m *Machine) unpark(l *lane) {
	w := l.parked
	if w == nil {
		return
	}
	l.parked = nil
	if w.on != nil {
		w.on.parked = slices.DeleteFunc(w.on.parked, func(x *wake) bool { return x == w })
	} else {
		m.wakes.Delete(w)
	}
	q := m.names.queues[w.queue]
	last := q.parked[len(q.parked)-1]
	last.index = w.index
	q.parked[w.index] = last
	q.parked = q.parked[:len(q.parked)-1]
}

// unparkAll looks at all lanes of a queue again: a limit has changed. One that is held back as before stays
// where it is: most do when there are very many, and to look is a tenth of the work.
func (t *tx) unparkAll(q *queue) {
	for i := len(q.parked) - 1; i >= 0; i-- { // unpark puts the last one, which was looked at, in its place
		w := q.parked[i]
		l := w.lane
		if f := t.m.narrow(q, t.m.names.kinds[l.kind], l.part.name); f.yes && f.on == w.on && (f.on != nil || f.until == w.at) {
			continue
		}
		t.m.unpark(l)
		t.settle(l)
	}
	t.m.check(q)
}

// wakeDue wakes what a limit held back until now.
func (t *tx) wakeDue() {
	for {
		w, ok := t.m.wakes.Min()
		if !ok || w.at > t.now {
			return
		}
		q := t.m.names.queues[w.queue]
		if w.lane != nil {
			t.m.unpark(w.lane)
			t.settle(w.lane)
		} else {
			t.m.wakes.DeleteMin()
			q.wake = nil
		}
		t.m.check(q)
	}
}

// setWake says when match looks at a queue again though nothing changes in it; 0 = not.
func (m *Machine) setWake(q *queue, at int64) {
	if q.wake != nil {
		m.wakes.Delete(q.wake)
		q.wake = nil
	}
	if at > 0 {
		q.wake = &wake{at: at, queue: q.id}
		m.wakes.ReplaceOrInsert(q.wake)
	}
}
