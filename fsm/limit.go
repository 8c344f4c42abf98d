package fsm

import (
	"cmp"
	"slices"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// limit bounds what may be granted of a queue or a kind of task, as a whole or for each partition. Limits
// are in memory whole; there are at most limitsMax.
type limit struct {
	id        uint32
	namespace string
	scope     fsmpb.LimitScope
	name      string
	per       bool // each partition has its own n
	kind      fsmpb.LimitKind
	n, burst  uint64
	period    int64 // ms

	states map[string]*limiter // what it has counted, by partition; derived, or stored apart
}

func (l *limit) encode() []byte {
	e := newEnc(48 + len(l.name))
	e.str(l.namespace)
	e.byte(byte(l.scope))
	e.str(l.name)
	e.bool(l.per)
	e.byte(byte(l.kind))
	e.uint(l.n)
	e.uint(l.burst)
	e.int(l.period)
	return e
}

func decodeLimit(id uint32, b []byte) *limit {
	d := newDec("limit", b)
	l := &limit{
		id: id, namespace: d.str(), scope: fsmpb.LimitScope(d.byte()), name: d.str(), per: d.bool(),
		kind: fsmpb.LimitKind(d.byte()), n: d.uint(), burst: d.uint(), period: d.int(),
	}
	d.end()
	return l
}

// same reports whether c names this limit.
func (l *limit) same(c *fsmpb.Limit) bool {
	return l.namespace == c.Namespace && l.scope == c.Scope && l.name == c.Name && l.per == c.PerPartition && l.kind == c.Kind
}

// limit finds a limit by its number.
func (m *Machine) limit(id uint32) *limit {
	i, ok := slices.BinarySearchFunc(m.limits, id, func(l *limit, id uint32) int { return cmp.Compare(l.id, id) })
	if !ok {
		return nil
	}
	return m.limits[i]
}

// addLimit hangs a limit on its queue or kind.
func (m *Machine) addLimit(l *limit) {
	l.states = make(map[string]*limiter)
	put := func(all []*limit) []*limit {
		i, _ := slices.BinarySearchFunc(all, l.id, func(x *limit, id uint32) int { return cmp.Compare(x.id, id) })
		return slices.Insert(all, i, l)
	}
	m.limits = put(m.limits)
	if l.scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE {
		q := m.names.queue(l.namespace, l.name)
		q.limits = put(q.limits)
		return
	}
	m.taskLimits++
	k := m.names.kind(l.namespace, l.name)
	k.limits = put(k.limits)
}

func (m *Machine) removeLimit(l *limit) {
	cut := func(all []*limit) []*limit { return slices.DeleteFunc(all, func(x *limit) bool { return x == l }) }
	m.limits = cut(m.limits)
	if l.scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE {
		q := m.names.queue(l.namespace, l.name)
		q.limits = cut(q.limits)
		return
	}
	m.taskLimits--
	k := m.names.kind(l.namespace, l.name)
	k.limits = cut(k.limits)
}

// limitChanged looks again at all that a limit bounds.
func (t *tx) limitChanged(l *limit) {
	n := &t.m.names
	if l.scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE {
		t.unparkAll(n.queue(l.namespace, l.name))
		return
	}
	for _, id := range n.kind(l.namespace, l.name).queues {
		t.unparkAll(n.queues[id])
	}
}
