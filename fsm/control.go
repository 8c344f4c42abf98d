package fsm

import (
	"bytes"
	"fmt"
	"strings"
)

// control is what an operator has set for a queue, and what is under way for it. Most queues have none.
// Queue 0 is the cluster, of which only the budget is used.
type control struct {
	draining bool
	budget   fsmBudget
	keep     [len(endedStates)]keep

	// A purge under way, or the last one.

	purgeSeq    uint64 // places up to this are purged; 0: no purge is under way
	purgeCursor []byte // the runnable key that it has come to
	purgeDue    int64  // when it goes on, unix ms
	purged      uint64 // jobs that it has canceled so far
}

type fsmBudget struct{ jobs, bytes uint64 }

// keep bounds the ended jobs of one state.
type keep struct {
	ageMS        int64
	count, bytes uint64

	due    int64 // when the timer fires that lists or purges, unix ms; 0: nothing to do
	listed bool  // all ended jobs are in the index; until then the walk is at cursor
	cursor JobID

	from int64 // derived: the oldest job in the index ended no earlier
}

// bounded says that there is a bound for which the jobs must be listed.
func (k *keep) bounded() bool { return k.count > 0 || k.bytes > 0 }

func (k *keep) exceeded(n *tally) bool {
	return k.count > 0 && n.jobs > k.count || k.bytes > 0 && n.bytes > k.bytes
}

func (c *control) encode() []byte {
	e := newEnc(64 + len(c.purgeCursor))
	e.bool(c.draining)
	e.uint(c.budget.jobs)
	e.uint(c.budget.bytes)
	for i := range c.keep {
		k := &c.keep[i]
		e.int(k.ageMS)
		e.uint(k.count)
		e.uint(k.bytes)
		e.int(k.due)
		e.bool(k.listed)
		e.raw(k.cursor[:])
	}
	e.uint(c.purgeSeq)
	e.bytes(c.purgeCursor)
	e.int(c.purgeDue)
	e.uint(c.purged)
	return e
}

func decodeControl(b []byte) *control {
	d := newDec("queue control", b)
	c := &control{draining: d.bool(), budget: fsmBudget{d.uint(), d.uint()}}
	for i := range c.keep {
		k := &c.keep[i]
		k.ageMS = d.int()
		k.count = d.uint()
		k.bytes = d.uint()
		k.due = d.int()
		k.listed = d.bool()
		copy(k.cursor[:], d.raw(len(k.cursor)))
	}
	c.purgeSeq = d.uint()
	c.purgeCursor = d.bytes()
	c.purgeDue = d.int()
	c.purged = d.uint()
	d.end()
	return c
}

// control returns what is set for a queue, for changing it; the caller ends with saveControl.
func (t *tx) control(q *queue) *control {
	if q.control == nil {
		q.control = new(control)
		t.m.names.controlled++
	}
	return q.control
}

func (t *tx) saveControl(q *queue) { t.set(keyControl(q.id), q.control.encode()) }

// loadControls reads all of them; there are at most as many as queues.
func (m *Machine) loadControls() {
	m.disk.scan([]byte{tagControl}, []byte{tagControl + 1}, func(k, v []byte) bool {
		c := decodeControl(append([]byte(nil), v...))
		if id := be.Uint32(k[1:]); id == 0 {
			m.names.budget = c
		} else {
			m.names.queues[id].control = c
			m.names.controlled++
		}
		return true
	})
}

// knownQueue finds the queue that an operator names. A name that nothing has used is a mistake more often
// than a wish.
func (t *tx) knownQueue(namespace, name string) (*queue, *Refusal) {
	if id, ok := t.m.names.queueIDs[[2]string{namespace, name}]; ok {
		return t.m.names.queues[id], nil
	}
	return nil, refuse(CodeNotFound, "there is no queue %q in namespace %q: no job and no worker has named it yet; `fanfold queue list` shows those there are, `fanfold queue set` makes one", truncate(name, 64), truncate(namespace, 64))
}

// dumpControls prints what is set, after the queues.
func (v *View) dumpControls(b *strings.Builder, queues map[uint32]*queue) {
	v.disk.scan([]byte{tagControl}, []byte{tagControl + 1}, func(k, val []byte) bool {
		c, name := decodeControl(bytes.Clone(val)), "of the cluster"
		if q := queues[be.Uint32(k[1:])]; q != nil {
			name = "queue " + q.name
			fmt.Fprintf(b, "jobs %s unfinished %v", name, q.live)
			for i, s := range endedStates {
				fmt.Fprintf(b, " %s %v", s, q.ended[i])
			}
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "control %s draining %v budget %v", name, c.draining, c.budget)
		for i, s := range endedStates {
			if k := &c.keep[i]; k.ageMS > 0 || k.bounded() {
				fmt.Fprintf(b, " %s age %d count %d bytes %d listed %v due %d", s, k.ageMS, k.count, k.bytes, k.listed, k.due)
			}
		}
		fmt.Fprintf(b, " purge to %d, %d purged\n", c.purgeSeq, c.purged)
		return true
	})
}
