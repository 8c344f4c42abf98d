package fsm

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/fsm/planted"
)

// load rebuilds the memory state: the names, the sessions and their leases, the lanes' and the timers'
// windows. It reads the names and sessions whole, and of each lane only where it begins, so it takes
// the same time with a backlog of ten tasks and of ten million.
func (m *Machine) load() {
	if b := m.disk.get(keyState()); b != nil {
		m.state = decodeState(b)
		if planted.DoubleApply {
			m.state.index -= min(m.state.index, 3)
		}
	}
	if b := m.disk.get(keyConf()); b != nil {
		m.confIdx, m.conf = decodeConf(b)
	}
	m.loadNames()
	m.loadPartitions()
	m.loadLimits()
	m.loadControls()
	m.loadSessions()
	m.loadLanes()
	m.timers.more = true
	m.loadNewest()
	m.loadHooks()
	for _, q := range m.names.queues[1:] {
		m.check(q)
	}
	m.publish()
}

func (m *Machine) loadNames() {
	m.disk.scan([]byte{tagQueue}, []byte{tagQueue + 1}, func(k, v []byte) bool {
		m.names.addQueue(decodeQueue(be.Uint32(k[1:]), v))
		return true
	})
	m.disk.scan([]byte{tagKind}, []byte{tagKind + 1}, func(k, v []byte) bool {
		m.names.addKind(decodeKind(be.Uint32(k[1:]), v))
		return true
	})
}

func (m *Machine) loadSessions() {
	m.disk.scan([]byte{tagSession}, []byte{tagSession + 1}, func(k, v []byte) bool {
		m.attach(decodeSession(be.Uint64(k[1:]), append([]byte(nil), v...)))
		return true
	})
	m.disk.scan([]byte{tagLease}, []byte{tagLease + 1}, func(k, v []byte) bool {
		id, f := parseLease(k)
		s, l := m.sessions[id], decodeLease(v)
		s.leases[f] = l
		g := s.group(l.queue)
		g.used++
		s.used++
		m.loadHeld(l)
		return true
	})
}

// loadLanes finds the lanes by jumping from the head of each to the next.
func (m *Machine) loadLanes() {
	it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagRunnable}, UpperBound: []byte{tagRunnable + 1}})
	must(err)
	for ok := it.First(); ok; {
		p := parseRunnable(it.Key())
		v, err := it.ValueAndErr()
		must(err)
		ref, _ := parseRef(v)
		l := m.class(m.names.queues[p.queue], p.kind, p.prio).lane(m.parts[p.part])
		l.w.last = item{a: uint64(p.prio), b: p.seq, ref: ref}
		l.w.more = true
		l.w.tree.ReplaceOrInsert(l.w.last)
		if l.part != nil {
			l.in(l.w.last)
		}
		ok = it.SeekGE(prefixEnd(keyLane(p.queue, p.kind, p.part, p.prio)))
	}
	must(it.Error())
	must(it.Close())
}

// loadNewest finds the greatest job id: a greater one is new.
func (m *Machine) loadNewest() {
	it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagJob}, UpperBound: []byte{tagJob + 1}})
	must(err)
	if it.Last() {
		m.recent.floor = parseJobKey(it.Key())
	}
	must(it.Close())
}
