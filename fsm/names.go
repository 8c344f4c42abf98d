package fsm

import (
	"maps"
	"slices"
	"strings"
)

// Queues and kinds of tasks are named by users and numbered here: keys and records hold the number.
// All of them are in memory; there are at most namesMax of each.
var namesMax = 100_000 // a variable for tests

// queue is a named lane in a namespace. A task waits in exactly one.
type queue struct {
	id        uint32
	namespace string
	name      string
	pending   uint64            // runnable tasks, the waiting shards of groups included
	started   uint64            // leases
	paused    bool              // grants nothing
	ageingMS  int64             // 0 = default, -1 = off
	weights   map[string]uint32 // of partitions; absent = 1
	vtime     uint64            // the virtual time of its partitions' fairness (partition.go)
	tag       uint64            // the tag of the partition ""
	live      tally             // unfinished jobs
	ended     [len(endedStates)]tally
	dirty     bool

	control *control // a record of its own; nil: nothing is set

	// What follows is derived.

	limits  []*limit              // of scope QUEUE, by id
	classes []*class              // by kind and priority, ascending
	parts   map[string]*partition // named ones that have tasks
	slots   []*slotGroup          // of live sessions, by session id, ascending
	check   bool                  // something may be granted
	parked  []*wake               // lanes that limits hold back
	wakeMS  int64                 // when limits that hold back whole classes have room, as far as match has seen; 0 = none does
	wake    *wake                 // that, once match is done with the queue
}

// kind is a task's name, with the types that it is used with.
type kind struct {
	id        uint32
	namespace string
	name      string
	types     string // fingerprint; "" = not known
	live      uint64 // steps of unfinished jobs
	dirty     bool

	// What follows is derived.

	sessions uint64   // live sessions that offer it
	limits   []*limit // of scope TASK, by id
	queues   []uint32 // that have a class of it, ascending
}

func (q *queue) encode() []byte {
	e := newEnc(32 + len(q.name))
	e.str(q.namespace)
	e.str(q.name)
	e.uint(q.pending)
	e.uint(q.started)
	e.bool(q.paused)
	e.int(q.ageingMS)
	e.uint(q.vtime)
	e.uint(q.tag)
	e.uint(uint64(len(q.weights)))
	for _, name := range slices.Sorted(maps.Keys(q.weights)) {
		e.str(name)
		e.uint(uint64(q.weights[name]))
	}
	e.uint(q.live.jobs)
	e.uint(q.live.bytes)
	for _, n := range q.ended {
		e.uint(n.jobs)
		e.uint(n.bytes)
	}
	return e
}

func decodeQueue(id uint32, b []byte) *queue {
	d := newDec("queue", b)
	q := &queue{id: id, namespace: d.str(), name: d.str(), pending: d.uint(), started: d.uint()}
	q.paused, q.ageingMS, q.vtime, q.tag = d.bool(), d.int(), d.uint(), d.uint()
	for n := d.uint(); n > 0 && !d.bad; n-- {
		if q.weights == nil {
			q.weights = make(map[string]uint32)
		}
		name := d.str()
		q.weights[name] = d.u32()
	}
	q.live = tally{d.uint(), d.uint()}
	for i := range q.ended {
		q.ended[i] = tally{d.uint(), d.uint()}
	}
	d.end()
	return q
}

func (k *kind) encode() []byte {
	e := newEnc(32 + len(k.name) + len(k.types))
	e.str(k.namespace)
	e.str(k.name)
	e.str(k.types)
	e.uint(k.live)
	return e
}

func decodeKind(id uint32, b []byte) *kind {
	d := newDec("kind", b)
	k := &kind{id: id, namespace: d.str(), name: d.str(), types: d.str(), live: d.uint()}
	d.end()
	return k
}

// names finds queues and kinds by name and by number.
type names struct {
	queues     []*queue // by id; id 0 is not used
	kinds      []*kind
	queueIDs   map[[2]string]uint32
	kindIDs    map[[2]string]uint32
	dirtyQueue []*queue
	dirtyKind  []*kind

	total      tally    // unfinished jobs, and the bytes of all jobs: the sum over the queues
	budget     *control // of the cluster; nil: none
	controlled int      // queues with a control
}

func newNames() names {
	return names{
		queues: make([]*queue, 1), kinds: make([]*kind, 1),
		queueIDs: make(map[[2]string]uint32), kindIDs: make(map[[2]string]uint32),
	}
}

// queue finds a queue or makes it.
func (n *names) queue(namespace, name string) *queue {
	if id, ok := n.queueIDs[[2]string{namespace, name}]; ok {
		return n.queues[id]
	}
	q := &queue{id: uint32(len(n.queues)), namespace: namespace, name: name}
	n.addQueue(q)
	n.touchQueue(q)
	return q
}

// kind finds a kind or makes it.
func (n *names) kind(namespace, name string) *kind {
	if id, ok := n.kindIDs[[2]string{namespace, name}]; ok {
		return n.kinds[id]
	}
	k := &kind{id: uint32(len(n.kinds)), namespace: namespace, name: name}
	n.addKind(k)
	n.touchKind(k)
	return k
}

func (n *names) addQueue(q *queue) {
	n.queues = append(n.queues, q)
	n.queueIDs[[2]string{q.namespace, q.name}] = q.id
	n.total.jobs += q.live.jobs
	n.total.bytes += q.stored()
}

func (n *names) addKind(k *kind) {
	n.kinds = append(n.kinds, k)
	n.kindIDs[[2]string{k.namespace, k.name}] = k.id
}

func (n *names) touchQueue(q *queue) {
	if !q.dirty {
		q.dirty = true
		n.dirtyQueue = append(n.dirtyQueue, q)
	}
}

func (n *names) touchKind(k *kind) {
	if !k.dirty {
		k.dirty = true
		n.dirtyKind = append(n.dirtyKind, k)
	}
}

// flushNames writes the changed queues and kinds.
func (m *Machine) flushNames(t *tx) {
	for _, q := range m.names.dirtyQueue {
		q.dirty = false
		t.set(keyQueue(q.id), q.encode())
	}
	for _, k := range m.names.dirtyKind {
		k.dirty = false
		t.set(keyKind(k.id), k.encode())
	}
	m.names.dirtyQueue = m.names.dirtyQueue[:0]
	m.names.dirtyKind = m.names.dirtyKind[:0]
}

// checkTypes refuses a use of a task under types that differ from those of unfinished jobs or live
// workers: it would fail later, in the decoder, at night. When nobody uses the task the new types
// simply replace the old.
func (m *Machine) checkTypes(namespace, name, types string) *Refusal {
	id, ok := m.names.kindIDs[[2]string{namespace, name}]
	if !ok || types == "" {
		return nil
	}
	k := m.names.kinds[id]
	if k.types == "" || k.types == types || k.live == 0 && k.sessions == 0 {
		return nil
	}
	return refuse(CodeTypeMismatch, "task %q is in use with other types: here %s, there %s (%d unfinished steps, %d workers): give the changed task a new name (%s.v2), or let those end first",
		name, types, k.types, k.live, k.sessions, name)
}

// checkNames refuses queues and kinds that would be more than namesMax of either: all names are in memory,
// for ever. (Names may be given twice; near the bound that refuses a little early.)
func (m *Machine) checkNames(namespace string, queues, kinds []string) *Refusal {
	unknown := func(names []string, ids map[[2]string]uint32) (n int) {
		for _, name := range names {
			if _, ok := ids[[2]string{namespace, name}]; !ok {
				n++
			}
		}
		return n
	}
	if q := unknown(queues, m.names.queueIDs); q > 0 && len(m.names.queues)+q > namesMax {
		return refuse(CodeTooLarge, "the cluster has %d queues, and at most %d: use the ones that are there, a queue is not made for each job", len(m.names.queues)-1, namesMax)
	}
	if k := unknown(kinds, m.names.kindIDs); k > 0 && len(m.names.kinds)+k > namesMax {
		return refuse(CodeTooLarge, "the cluster knows %d names of tasks, and at most %d: a task's name must not hold data", len(m.names.kinds)-1, namesMax)
	}
	return nil
}

// useTypes records the types of a task. Precondition: checkTypes accepted them.
func (m *Machine) useTypes(k *kind, types string) {
	if types != "" && k.types != types {
		k.types = types
		m.names.touchKind(k)
	}
}

// validName reports whether s can name a namespace, queue, task, worker or key: 1 to 255 bytes without
// control characters.
func validName(s string) bool {
	return len(s) > 0 && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
