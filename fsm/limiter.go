package fsm

import (
	"cmp"
	"math/bits"

	"github.com/google/btree"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// limiter is what a limit has counted: of the whole, or of one partition. There is one only while it
// matters: when a fresh one would allow the same, it is removed (expire).
type limiter struct {
	l    *limit
	name string // of the partition; "" also for the whole

	// RATE: the theoretical arrival time of the next attempt (GCRA), in units of 1/n ms, so that a rate
	// that does not divide the period is exact; n as it was when tat was computed.
	tat, n uint64

	// WINDOW: when attempts began, oldest first, and how many in all.
	times []began
	total uint64

	// CONCURRENCY: leases. Derived from them, not stored.
	held   uint64
	parked []*wake // lanes that wait for one of them to end

	expires int64 // RATE, WINDOW
}

type began struct {
	ms int64
	n  uint64
}

// full says that limits have no room: until a time, or until a lease ends.
type full struct {
	yes   bool
	until int64    // the latest time of those that end by time
	on    *limiter // one that ends with a lease
}

// room reports whether one more attempt may begin now; else when, or 0 when a lease has to end.
func (s *limiter) room(now int64) (ok bool, until int64) {
	switch s.l.kind {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		return s.held < s.l.n, 0
	case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
		return s.roomInWindow(now)
	}
	slack := (s.l.burst - 1) * uint64(s.l.period)
	tat := s.arrival(now)
	if tat-clock(now)*s.l.n <= slack {
		return true, 0
	}
	return false, int64(ceilDiv(tat-slack, s.l.n))
}

// arrivalMax bounds a theoretical arrival time; it is as great as the greatest of clock in units of the
// greatest n. A burst that is used up lies up to centuries ahead, and more in the units of another n.
const arrivalMax = 1 << 63

// arrival is the theoretical arrival time in units of the limit's present n, not before now.
func (s *limiter) arrival(now int64) uint64 {
	tat := s.tat
	if s.n != s.l.n && s.n > 0 {
		hi, lo := bits.Mul64(tat, s.l.n)
		if hi >= s.n {
			return arrivalMax
		}
		var rest uint64
		if tat, rest = bits.Div64(hi, lo, s.n); rest > 0 {
			tat++
		}
	}
	return max(min(tat, arrivalMax), clock(now)*s.l.n)
}

// bringForward lets what waits for a rate that was raised begin by the new one: no burst can have used up more than
// itself. Under 1 an hour the next attempt is up to an hour away, whatever the rate is by then.
func (t *tx) bringForward(s *limiter) {
	spent := clock(t.now)*s.l.n + s.l.burst*uint64(s.l.period)
	if s.arrival(t.now) <= spent {
		return
	}
	s.tat, s.n = spent, s.l.n
	t.set(keyLimiter(s.l.id, s.name), encodeRate(s.tat, s.n))
	t.m.setExpiry(s)
}

// clock is the machine's time where it is multiplied: up to the year 2248.
func clock(now int64) uint64 { return uint64(min(max(now, 0), 1<<43)) }

func ceilDiv(a, b uint64) uint64 { return (a + b - 1) / b }

func (s *limiter) roomInWindow(now int64) (ok bool, until int64) {
	live := s.total
	for _, b := range s.times {
		if b.ms > now-s.l.period {
			if live < s.l.n {
				return true, 0
			}
			if live-b.n < s.l.n {
				return false, b.ms + s.l.period
			}
		}
		live -= b.n
	}
	return true, 0
}

// take counts an attempt that begins now.
func (t *tx) take(s *limiter) {
	switch s.l.kind {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		s.held++
		return
	case fsmpb.LimitKind_LIMIT_KIND_RATE:
		s.tat, s.n = s.arrival(t.now)+uint64(s.l.period), s.l.n
		t.set(keyLimiter(s.l.id, s.name), encodeRate(s.tat, s.n))
	case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
		gone := 0
		for gone < len(s.times) && s.times[gone].ms <= t.now-s.l.period {
			s.total -= s.times[gone].n
			t.del(keyBegan(s.l.id, s.name, s.times[gone].ms))
			gone++
		}
		s.times = s.times[gone:]
		if n := len(s.times); n == 0 || s.times[n-1].ms != t.now {
			s.times = append(s.times, began{ms: t.now})
		}
		last := &s.times[len(s.times)-1]
		last.n++
		s.total++
		t.set(keyBegan(s.l.id, s.name, t.now), encodeCount(last.n))
	}
	t.m.setExpiry(s)
}

// expiry orders what is removed by itself: limiters, and pauses of a kind (limit 0).
type expiry struct {
	at          int64
	limit, kind uint32
	name        string
}

func newExpiries() *btree.BTreeG[expiry] {
	return btree.NewG(16, func(x, y expiry) bool {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.limit, y.limit), cmp.Compare(x.kind, y.kind), cmp.Compare(x.name, y.name)) < 0
	})
}

func (m *Machine) setExpiry(s *limiter) {
	if s.expires > 0 {
		m.expiries.Delete(expiry{at: s.expires, limit: s.l.id, name: s.name})
	}
	if s.l.kind == fsmpb.LimitKind_LIMIT_KIND_RATE {
		s.expires = int64(ceilDiv(s.tat, s.n))
	} else {
		s.expires = s.times[len(s.times)-1].ms + s.l.period
	}
	m.expiries.ReplaceOrInsert(expiry{at: s.expires, limit: s.l.id, name: s.name})
}

// expireMax bounds what one entry removes.
const expireMax = 1000

// expire removes limiters that would allow what a fresh one does, and pauses that are over.
func (t *tx) expire() {
	for n := 0; n < expireMax; n++ {
		e, ok := t.m.expiries.Min()
		if !ok || e.at > t.now {
			return
		}
		t.m.expiries.DeleteMin()
		if e.limit == 0 {
			delete(t.m.pauses, pauseKey{e.kind, e.name})
			t.del(keyPause(e.kind, e.name))
			continue
		}
		l := t.m.limit(e.limit)
		s := l.states[e.name]
		if l.kind == fsmpb.LimitKind_LIMIT_KIND_RATE {
			t.del(keyLimiter(l.id, s.name))
		}
		for _, b := range s.times {
			t.del(keyBegan(l.id, s.name, b.ms))
			n++
		}
		delete(l.states, e.name)
	}
}

// state finds or makes what a limit has counted of a partition.
func (l *limit) state(partition string) *limiter {
	if !l.per {
		partition = ""
	}
	s := l.states[partition]
	if s == nil {
		s = &limiter{l: l, name: partition}
		l.states[partition] = s
	}
	return s
}

// took counts a grant in all the limits that bound it.
func (t *tx) took(q *queue, kind uint32, partition string) {
	for _, l := range q.limits {
		t.take(l.state(partition))
	}
	for _, l := range t.m.names.kinds[kind].limits {
		t.take(l.state(partition))
	}
}

// gaveBack counts the end of a lease, and wakes what waited for it.
func (t *tx) gaveBack(q *queue, l *lease) {
	k := t.m.names.kinds[l.kind]
	if len(q.limits)+len(k.limits) == 0 {
		return
	}
	name := t.m.partName(l.part)
	for _, all := range [][]*limit{q.limits, k.limits} {
		for _, l := range all {
			if l.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
				t.freed(l.state(name))
			}
		}
	}
}

func (t *tx) freed(s *limiter) {
	s.held--
	for len(s.parked) > 0 && !planted.LostWake {
		lane := s.parked[len(s.parked)-1].lane
		t.m.unpark(lane)
		t.settle(lane)
		t.m.check(t.m.names.queues[lane.queue])
	}
	if s.held == 0 {
		delete(s.l.states, s.name)
	}
	// Of the whole, or of the partition "", whose lanes are never parked.
	if s.name == "" && s.l.scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK {
		for _, id := range t.m.names.kind(s.l.namespace, s.l.name).queues {
			t.m.check(t.m.names.queues[id])
		}
	}
}

func (m *Machine) partName(id uint64) string {
	if p := m.parts[id]; p != nil {
		return p.name
	}
	return ""
}

// whole reports which limits of a queue and a kind as a whole are full.
func (m *Machine) whole(q *queue, k *kind) (f full) {
	f.add(q.limits, false, "", m.state.nowMS)
	f.add(k.limits, false, "", m.state.nowMS)
	return f
}

// narrow reports which limits of one partition are full, a pause by a handler among them.
func (m *Machine) narrow(q *queue, k *kind, partition string) (f full) {
	f.add(q.limits, true, partition, m.state.nowMS)
	f.add(k.limits, true, partition, m.state.nowMS)
	if len(m.pauses) > 0 {
		if until := m.pauses[pauseKey{k.id, partition}]; until > m.state.nowMS {
			f.yes, f.until = true, max(f.until, until)
		}
	}
	return f
}

func (f *full) add(limits []*limit, per bool, partition string, now int64) {
	for _, l := range limits {
		if l.per != per {
			continue
		}
		s := l.states[partition]
		if s == nil {
			continue
		}
		if ok, until := s.room(now); !ok {
			f.yes, f.until = true, max(f.until, until)
			if until == 0 {
				f.on = s
			}
		}
	}
}
