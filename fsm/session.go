package fsm

import (
	"maps"
	"slices"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// session is a worker's registration. Sessions and their leases are in memory whole: they are
// bounded by the workers' slots.
type session struct {
	id        uint64
	namespace string
	worker    string
	kinds     []*fsmpb.TaskKind
	labels    map[string]string
	openedMS  int64
	ttlMS     int64
	draining  bool
	nonce     []byte

	shared uint32 // slots that all its queues share; 0 = each queue has its own
	strict bool   // shared: the queue of the greatest weight first, always
	pass   uint64 // shared, not strict: the virtual time of its queues' turns

	slots  []*slotGroup // in the order of the worker's list
	used   uint32       // leases, revoked ones included
	dirty  bool
	open   bool // in the list that openSessions makes
	kindID map[uint32]bool
	leases map[Fence]*lease
}

// slotGroup is the slots that a session has in one queue.
type slotGroup struct {
	s     *session
	queue uint32
	slots uint32 // shared: the weight
	// prefetch is how many leases the session may have beyond its slots: tasks so short that the way to the
	// leader and back takes longer wait in the worker until a slot is free. 0 with shared slots.
	prefetch uint32
	pass     uint64 // shared, not strict: when it is its turn
	used     uint32 // leases, revoked ones included: the worker is still busy with them
}

// free is how many leases more the session may have.
func (g *slotGroup) free() uint32 {
	if g.s.draining || g.used >= g.slots+g.prefetch {
		return 0
	}
	return g.slots + g.prefetch - g.used
}

// idle is how many of them would begin at once.
func (g *slotGroup) idle() uint32 { return g.slots - min(g.slots, g.used) }

// lease is the right of a session to run one attempt of a task.
type lease struct {
	ref     TaskRef
	queue   uint32
	kind    uint32
	part    uint64 // partition; 0 = ""
	revoked bool   // the attempt is over: only the slot is still taken
	cause   string

	grantedMS int64
	limitMS   int64 // when the attempt is out of time; 0 = never
	pulseMS   int64 // its function has to give a sign of life that often; 0 = need not
}

func (s *session) encode() []byte {
	e := newEnc(128)
	e.str(s.namespace)
	e.str(s.worker)
	e.int(s.openedMS)
	e.int(s.ttlMS)
	e.bool(s.draining)
	e.bytes(s.nonce)
	e.uint(uint64(len(s.slots)))
	for _, g := range s.slots {
		e.uint(uint64(g.queue))
		e.uint(uint64(g.slots))
		e.uint(g.pass)
	}
	e.uint(uint64(s.shared))
	e.bool(s.strict)
	e.uint(s.pass)
	e.uint(uint64(len(s.kinds)))
	for _, k := range s.kinds {
		e.str(k.Name)
		e.str(k.Types)
	}
	e.uint(uint64(len(s.labels)))
	for _, k := range slices.Sorted(maps.Keys(s.labels)) {
		e.str(k)
		e.str(s.labels[k])
	}
	if slices.ContainsFunc(s.slots, func(g *slotGroup) bool { return g.prefetch > 0 }) { // rare, and later than the rest
		for _, g := range s.slots {
			e.uint(uint64(g.prefetch))
		}
	}
	return e
}

func decodeSession(id uint64, b []byte) *session {
	d := newDec("session", b)
	s := &session{id: id, namespace: d.str(), worker: d.str(), openedMS: d.int(), ttlMS: d.int(), draining: d.bool(), nonce: d.bytes()}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		s.slots = append(s.slots, &slotGroup{s: s, queue: d.u32(), slots: d.u32(), pass: d.uint()})
	}
	s.shared, s.strict, s.pass = d.u32(), d.bool(), d.uint()
	for n := d.uint(); n > 0 && !d.bad; n-- {
		s.kinds = append(s.kinds, &fsmpb.TaskKind{Name: d.str(), Types: d.str()})
	}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		if s.labels == nil {
			s.labels = make(map[string]string)
		}
		k := d.str()
		s.labels[k] = d.str()
	}
	for i := 0; len(d.b) > 0 && !d.bad && i < len(s.slots); i++ {
		s.slots[i].prefetch = d.u32()
	}
	d.end()
	return s
}

func encodeLease(l *lease) []byte {
	e := newEnc(48)
	e = appendRef(e, l.ref)
	e.uint(uint64(l.queue))
	e.bool(l.revoked)
	e.str(l.cause)
	e.int(l.grantedMS)
	e.int(l.limitMS)
	e.uint(uint64(l.pulseMS))
	e.uint(uint64(l.kind))
	e.uint(l.part)
	return e
}

func decodeLease(b []byte) *lease {
	d := newDec("lease", b)
	l := new(lease)
	l.ref, _ = parseRef(d.raw(refBytes))
	l.queue = d.u32()
	l.revoked = d.bool()
	l.cause = d.str()
	l.grantedMS = d.int()
	l.limitMS = d.int()
	l.pulseMS = int64(d.uint())
	l.kind = d.u32()
	l.part = d.uint()
	d.end()
	return l
}

// attach puts a session into memory: its kinds, its slots.
func (m *Machine) attach(s *session) {
	s.kindID = make(map[uint32]bool, len(s.kinds))
	s.leases = make(map[Fence]*lease)
	for _, k := range s.kinds {
		kd := m.names.kind(s.namespace, k.Name)
		kd.sessions++
		s.kindID[kd.id] = true
	}
	for _, g := range s.slots {
		q := m.names.queues[g.queue]
		q.slots = append(q.slots, g) // ids only grow
		m.check(q)
	}
	if s.shared > 0 {
		m.sharing = append(m.sharing, s) // ids only grow
	}
	m.sessions[s.id] = s
	m.nonces[string(s.nonce)] = s.id
}

// detach takes a session out of memory. Precondition: it holds no leases.
func (m *Machine) detach(s *session) {
	for _, k := range s.kinds {
		m.names.kind(s.namespace, k.Name).sessions--
	}
	for _, g := range s.slots {
		q := m.names.queues[g.queue]
		q.slots = slices.DeleteFunc(q.slots, func(x *slotGroup) bool { return x == g })
	}
	m.sharing = slices.DeleteFunc(m.sharing, func(x *session) bool { return x == s })
	delete(m.sessions, s.id)
	delete(m.nonces, string(s.nonce))
}

func (s *session) group(queue uint32) *slotGroup {
	for _, g := range s.slots {
		if g.queue == queue {
			return g
		}
	}
	return nil
}

// dropLease ends a lease and frees its slot.
func (t *tx) dropLease(s *session, f Fence, l *lease) {
	t.leaseOver(l)
	delete(s.leases, f)
	t.del(keyLease(s.id, f))
	t.freeSlot(s.group(l.queue))
	q := t.m.names.queues[l.queue]
	q.started--
	t.m.names.touchQueue(q)
	if p := t.m.parts[l.part]; p != nil {
		p.leased--
		t.touchPartition(p)
	}
	t.gaveBack(q, l)
}

// fences lists a session's leases in the order of their fences.
func (s *session) fences() []Fence {
	return slices.SortedFunc(maps.Keys(s.leases), Fence.Compare)
}
