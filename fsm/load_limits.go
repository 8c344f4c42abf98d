package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// loadLimits reads the limits and what they have counted; what concurrency limits have, the leases say
// (loadHeld).
func (m *Machine) loadLimits() {
	m.disk.scan([]byte{tagLimit}, []byte{tagLimit + 1}, func(k, v []byte) bool {
		m.addLimit(decodeLimit(be.Uint32(k[1:]), v))
		return true
	})
	m.disk.scan([]byte{tagLimiter}, []byte{tagLimiter + 1}, func(k, v []byte) bool {
		if id := be.Uint32(k[1:]); id > 0 {
			s := m.limit(id).state(string(k[5:]))
			s.tat, s.n = decodeRate(v)
			m.setExpiry(s)
			return true
		}
		m.setPause(pauseKey{be.Uint32(k[5:]), string(k[9:])}, 0, decodePause(v))
		return true
	})
	m.disk.scan([]byte{tagBegan}, []byte{tagBegan + 1}, func(k, v []byte) bool {
		id, name, ms := parseBegan(k)
		s := m.limit(id).state(name)
		b := began{ms: ms, n: decodeBegan(v)}
		s.times = append(s.times, b)
		s.total += b.n
		m.setExpiry(s)
		return true
	})
}

// loadHeld counts a lease in the concurrency limits that bound it.
func (m *Machine) loadHeld(l *lease) {
	for _, all := range [][]*limit{m.names.queues[l.queue].limits, m.names.kinds[l.kind].limits} {
		for _, x := range all {
			if x.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
				x.state(m.partName(l.part)).held++
			}
		}
	}
}

func encodeRate(tat, n uint64) []byte {
	e := newEnc(24)
	e.uint(tat)
	e.uint(n)
	return e
}

func decodeRate(b []byte) (tat, n uint64) {
	d := newDec("rate", b)
	tat, n = d.uint(), d.uint()
	d.end()
	return tat, n
}

func decodeBegan(b []byte) uint64 { return decodeCount("window", b) }

func encodePause(until int64) []byte {
	e := newEnc(10)
	e.int(until)
	return e
}

func decodePause(b []byte) int64 {
	d := newDec("pause", b)
	until := d.int()
	d.end()
	return until
}
