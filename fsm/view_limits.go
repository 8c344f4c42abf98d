package fsm

import (
	"bytes"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// LimitView is a limit as users see it, with what it counts now: of the whole, or, of a limit per
// partition, summed over the partitions that it knows of.
type LimitView struct {
	Limit      *fsmpb.Limit
	Held       uint64 // CONCURRENCY: leases that count; WINDOW: attempts that began within the last period
	Partitions uint64 // per partition: how many it counts for now
	FreeMS     int64  // not per partition: when the next attempt may begin, in unix ms; 0 = now, or when a lease ends
	Full       bool   // not per partition: no attempt may begin now
}

// Limits lists the limits of a namespace ("" = all) in the order in which they were made.
func (v *View) Limits(namespace string) (all []LimitView, err error) {
	defer catch(&err)
	names := v.limitNames()
	v.disk.scan([]byte{tagLimit}, []byte{tagLimit + 1}, func(k, b []byte) bool {
		if l := decodeLimit(be.Uint32(k[1:]), bytes.Clone(b)); namespace == "" || l.namespace == namespace {
			v.count(l, names)
			all = append(all, v.limit(l))
		}
		return true
	})
	return all, nil
}

func (v *View) limit(l *limit) LimitView {
	view := LimitView{Limit: l.proto()}
	for _, s := range l.states {
		view.Held += s.held
		for _, b := range s.times {
			if b.ms > v.state.nowMS-l.period {
				view.Held += b.n
			}
		}
	}
	if l.per {
		view.Partitions = uint64(len(l.states))
	} else if s := l.states[""]; s != nil {
		ok, until := s.room(v.state.nowMS)
		view.Full, view.FreeMS = !ok, until
	}
	return view
}

func (l *limit) proto() *fsmpb.Limit {
	return &fsmpb.Limit{Namespace: l.namespace, Scope: l.scope, Name: l.name, PerPartition: l.per, Kind: l.kind, N: l.n, PeriodMs: l.period, Burst: l.burst}
}

// limitNames is what leases are counted by.
type limitNames struct {
	queues map[uint32]*queue
	kinds  map[uint32]*kind
	leases []*lease
}

func (v *View) limitNames() limitNames {
	n := limitNames{queues: v.queues(), kinds: make(map[uint32]*kind)}
	v.disk.scan([]byte{tagKind}, []byte{tagKind + 1}, func(k, b []byte) bool {
		id := be.Uint32(k[1:])
		n.kinds[id] = decodeKind(id, bytes.Clone(b))
		return true
	})
	v.disk.scan([]byte{tagLease}, []byte{tagLease + 1}, func(_, b []byte) bool {
		n.leases = append(n.leases, decodeLease(bytes.Clone(b)))
		return true
	})
	return n
}

// bounds reports whether a limit is on a queue or a kind.
func (l *limit) bounds(q *queue, k *kind) bool {
	if q.namespace != l.namespace {
		return false
	}
	if l.scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE {
		return q.name == l.name
	}
	return k.name == l.name
}

// count reads what a limit has counted, as the machine has it in memory.
func (v *View) count(l *limit, n limitNames) {
	l.states = make(map[string]*limiter)
	switch l.kind {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		for _, x := range n.leases {
			if l.bounds(n.queues[x.queue], n.kinds[x.kind]) {
				l.state(v.partName(x.part)).held++
			}
		}
	case fsmpb.LimitKind_LIMIT_KIND_RATE:
		prefix := keyLimiter(l.id, "")
		v.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
			s := l.state(string(k[5:]))
			s.tat, s.n = decodeRate(b)
			return true
		})
	case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
		prefix := be.AppendUint32([]byte{tagBegan}, l.id)
		v.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
			_, name, ms := parseBegan(k)
			s := l.state(name)
			s.times = append(s.times, began{ms: ms, n: decodeBegan(b)})
			s.total += s.times[len(s.times)-1].n
			return true
		})
	}
}

func (v *View) partName(id uint64) string {
	if b := v.disk.get(keyPartition(id)); b != nil {
		return decodePartition(id, b).name
	}
	return ""
}
