package fsm

import (
	"cmp"
	"slices"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	limitsMax      = 10_000 // in the cluster
	limitNMax      = 1_000_000
	limitWindowMax = 10_000              // n of a window: each grant in it is remembered
	limitPeriodMax = 30 * 24 * 3_600_000 // ms
)

// setLimit makes a limit, or changes the one with the same identity. It holds from this entry on, and
// counts what it knows: a concurrency limit all leases that there are, a window and a rate the grants
// since the limit was made. Proposed for Client.SetLimit.
//
// Refusals: INVALID, TOO_LARGE (too many limits or names).
func setLimit(t *tx, c *fsmpb.SetLimit) Answer {
	p, r := checkLimit(c.Limit)
	if r != nil {
		return Answer{Refusal: r}
	}
	if i := slices.IndexFunc(t.m.limits, func(l *limit) bool { return l.same(p) }); i >= 0 {
		t.changeLimit(t.m.limits[i], p)
		return Answer{}
	}
	if len(t.m.limits) >= limitsMax {
		return no(CodeTooLarge, "the cluster has %d limits, and at most that many: a limit per partition needs one, not one for each", limitsMax)
	}
	queues, kinds := []string{p.Name}, []string(nil)
	if p.Scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK {
		queues, kinds = kinds, queues
	}
	if r := t.m.checkNames(p.Namespace, queues, kinds); r != nil {
		return Answer{Refusal: r}
	}
	l := &limit{id: 1, namespace: p.Namespace, scope: p.Scope, name: p.Name, per: p.PerPartition, kind: p.Kind, n: p.N, burst: p.Burst, period: p.PeriodMs}
	if n := len(t.m.limits); n > 0 {
		l.id = t.m.limits[n-1].id + 1
	}
	t.m.addLimit(l)
	t.set(keyLimit(l.id), l.encode())
	if l.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
		t.m.countHeld(l)
	}
	t.limitChanged(l)
	return Answer{}
}

// deleteLimit removes a limit; what waited for it alone is granted in this entry. Proposed for
// Client.DeleteLimit.
//
// Refusals: NOT_FOUND, INVALID.
func deleteLimit(t *tx, c *fsmpb.DeleteLimit) Answer {
	if c.Limit == nil {
		return no(CodeInvalid, "name the limit: its namespace, scope, name, kind, and whether it is per partition")
	}
	i := slices.IndexFunc(t.m.limits, func(l *limit) bool { return l.same(c.Limit) })
	if i < 0 {
		return no(CodeNotFound, "there is no such limit on %q (one of all, and one that each partition has, are two): `fanfold limit list` shows those that are", c.Limit.Name)
	}
	l := t.m.limits[i]
	t.m.removeLimit(l)
	t.limitChanged(l)
	for _, s := range l.states {
		t.m.expiries.Delete(expiry{at: s.expires, limit: l.id, name: s.name})
	}
	t.del(keyLimit(l.id))
	t.dropPrefix(keyLimiter(l.id, ""))
	t.dropPrefix(be.AppendUint32([]byte{tagBegan}, l.id))
	return Answer{}
}

// changeLimit gives a limit other numbers.
func (t *tx) changeLimit(l *limit, p *fsmpb.Limit) {
	l.n, l.burst, l.period = p.N, p.Burst, p.PeriodMs
	t.set(keyLimit(l.id), l.encode())
	for _, s := range l.states {
		switch l.kind {
		case fsmpb.LimitKind_LIMIT_KIND_RATE:
			t.bringForward(s)
		case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
			t.m.setExpiry(s)
		}
	}
	t.limitChanged(l)
}

// countHeld counts the leases that a new concurrency limit bounds.
func (m *Machine) countHeld(l *limit) {
	for _, s := range m.sessions {
		for _, x := range s.leases {
			q, k := m.names.queues[x.queue], m.names.kinds[x.kind]
			if slices.Contains(q.limits, l) || slices.Contains(k.limits, l) {
				l.state(m.partName(x.part)).held++
			}
		}
	}
}

// checkLimit refuses what cannot be a limit, and fills in defaults.
func checkLimit(p *fsmpb.Limit) (*fsmpb.Limit, *Refusal) {
	if p == nil {
		return nil, refuse(CodeInvalid, "the command names no limit")
	}
	l := &fsmpb.Limit{Namespace: p.Namespace, Scope: p.Scope, Name: p.Name, PerPartition: p.PerPartition, Kind: p.Kind, N: p.N}
	switch {
	case !validName(p.Namespace) || !validName(p.Name):
		return nil, refuse(CodeInvalid, "a limit is on a queue or a task, named by 1 to 255 bytes without control characters")
	case p.Scope != fsmpb.LimitScope_LIMIT_SCOPE_QUEUE && p.Scope != fsmpb.LimitScope_LIMIT_SCOPE_TASK:
		return nil, refuse(CodeInvalid, "a limit's scope is QUEUE or TASK")
	case p.N == 0 || p.N > limitNMax:
		return nil, refuse(CodeInvalid, "a limit allows from 1 to %d; to allow none, pause the queue", limitNMax)
	}
	switch p.Kind {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		return l, nil
	case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
		if p.N > limitWindowMax {
			return nil, refuse(CodeInvalid, "a window remembers each attempt in it, and allows at most %d: use a rate", limitWindowMax)
		}
	case fsmpb.LimitKind_LIMIT_KIND_RATE:
		l.Burst = cmp.Or(p.Burst, 1)
		if l.Burst > limitNMax {
			return nil, refuse(CodeInvalid, "a burst is from 1 to %d", limitNMax)
		}
	default:
		return nil, refuse(CodeInvalid, "a limit's kind is RATE, WINDOW or CONCURRENCY")
	}
	l.PeriodMs = p.PeriodMs
	if l.PeriodMs <= 0 || l.PeriodMs > limitPeriodMax {
		return nil, refuse(CodeInvalid, "a limit's period is from 1 ms to %d ms (30 days)", int64(limitPeriodMax))
	}
	return l, nil
}
