package fsm

import "github.com/cockroachdb/pebble/v2"

// load rebuilds the memory state: the names, the sessions and their leases, the lanes' and the timers'
// windows. It reads the names and sessions whole, and of each lane only where it begins, so it takes
// the same time with a backlog of ten tasks and of ten million.
func (m *Machine) load() {
	if b := m.disk.get(keyState()); b != nil {
		m.state = decodeState(b)
	}
	if b := m.disk.get(keyConf()); b != nil {
		m.confIdx, m.conf = decodeConf(b)
	}
	m.loadNames()
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
		s.group(l.queue).used++
		return true
	})
}

// loadLanes finds the lanes by jumping from each to the next.
func (m *Machine) loadLanes() {
	low := []byte{tagRunnable}
	for {
		var lane []byte
		m.disk.scan(low, []byte{tagRunnable + 1}, func(k, _ []byte) bool {
			lane = append([]byte(nil), k[:9]...)
			return false
		})
		if lane == nil {
			return
		}
		l := m.names.queues[be.Uint32(lane[1:])].lane(be.Uint32(lane[5:]))
		l.w.more = true
		low = prefixEnd(lane)
	}
}

// loadNewest finds the greatest job id.
func (m *Machine) loadNewest() {
	it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagJob}, UpperBound: []byte{tagJob + 1}})
	must(err)
	if it.Last() {
		m.newest = parseJobKey(it.Key())
	}
	must(it.Close())
}
