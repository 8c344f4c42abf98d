package checker

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// limits folds the log over what was granted under limits. Time is the log's.
func limits(all []event) []evidence.Verdict {
	slots := evidence.Verdict{ID: "T4", Rule: "no more attempts run at a time than a concurrency limit allows, at any index"}
	rates := evidence.Verdict{ID: "T4", Rule: "no more attempts begin in any window than a rate or a window limit allows"}
	b := bounds{limits: map[limitID]*bound{}, live: map[fsm.Fence]holder{}, partition: map[fsm.JobID]string{}, namespace: map[fsm.JobID]string{}, graph: graphs(all)}
	for _, e := range all {
		switch e.what {
		case submitted:
			b.submitted(e)
		case limitSet:
			b.set(e.limit)
		case limitDeleted:
			delete(b.limits, limitIDOf(e.limit))
		case completed, failed, released, revoked:
			delete(b.live, e.fence)
		case closed:
			for f, h := range b.live {
				if h.session == e.session {
					delete(b.live, f)
				}
			}
		case granted:
			h := b.holder(e)
			b.live[e.fence] = h
			for id, l := range b.limits {
				if !id.bounds(h) {
					continue
				}
				if id.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
					slots.Count++
					if n := b.held(id, h); n > l.n {
						slots.Violate(fmt.Sprintf("index %d: task %s is granted as number %d under %s", e.index, e.ref, n, id.text(h, l)))
					}
					continue
				}
				rates.Count++
				if text := l.take(id, h, e.nowMS); text != "" {
					rates.Violate(fmt.Sprintf("index %d: task %s is granted %s", e.index, e.ref, text))
				}
			}
		}
	}
	return []evidence.Verdict{slots, rates}
}

// limitID is what a limit is known by.
type limitID struct {
	namespace, name string
	scope           fsmpb.LimitScope
	per             bool
	kind            fsmpb.LimitKind
}

func limitIDOf(l *fsmpb.Limit) limitID {
	return limitID{l.GetNamespace(), l.GetName(), l.GetScope(), l.GetPerPartition(), l.GetKind()}
}

// bounds reports whether a limit counts a lease.
func (id limitID) bounds(h holder) bool {
	of := h.queue
	if id.scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK {
		of = h.kind
	}
	return id.name == of && id.namespace == h.namespace && (!id.per || h.known)
}

func (id limitID) text(h holder, l *bound) string {
	text := fmt.Sprintf("the limit %s of %d on %s %s", id.kind, l.n, id.scope, id.name)
	if id.per {
		text += fmt.Sprintf(" in partition %q", h.partition)
	}
	return text
}

// holder is a lease, as limits see it.
type holder struct {
	session                uint64
	namespace, queue, kind string
	partition              string
	known                  bool // the partition
}

// bound is a limit with what it has counted.
type bound struct {
	n, burst uint64
	period   int64
	counted  map[string]*counted // by partition; "" of all
}

// counted are the grants of a window, or what a rate needs.
type counted struct {
	times []int64 // WINDOW: of grants within the period, oldest first
	// RATE: of the k-th grant at time t, k*period - t*n; the lowest so far. From there on the grants were the fewest,
	// for their time.
	k, lowest int64
}

type bounds struct {
	limits    map[limitID]*bound
	live      map[fsm.Fence]holder
	partition map[fsm.JobID]string
	namespace map[fsm.JobID]string
	graph     map[fsm.JobID]*dag.Graph
}

func (b *bounds) submitted(e event) {
	var o fsmpb.JobOptions
	if proto.Unmarshal(e.submit.Options, &o) == nil {
		b.partition[e.job], b.namespace[e.job] = o.Partition, e.submit.Namespace
	}
}

// set makes a limit, or gives it other numbers. A window goes on with what it has counted. What a rate with other
// numbers allows begins anew here, which asks for less than what the state machine does.
func (b *bounds) set(l *fsmpb.Limit) {
	id := limitIDOf(l)
	was := b.limits[id]
	now := &bound{n: l.N, burst: max(1, l.Burst), period: l.PeriodMs, counted: map[string]*counted{}}
	if was != nil && (id.kind == fsmpb.LimitKind_LIMIT_KIND_WINDOW || was.n == now.n && was.burst == now.burst && was.period == now.period) {
		now.counted = was.counted
	}
	b.limits[id] = now
}

// holder knows the partition of jobs that were submitted, but of steps that take it from their input. Jobs of
// schedules are of no known partition.
func (b *bounds) holder(e event) holder {
	h := holder{session: e.session, namespace: "default", queue: e.grant.Queue, kind: e.grant.Kind}
	if ns, ok := b.namespace[e.job]; ok {
		h.namespace, h.partition, h.known = ns, b.partition[e.job], true
	}
	if g := b.graph[e.job]; g != nil && g.Step(dag.StepID(e.ref.Step)).Options.PartitionBy != "" {
		h.known = false
	}
	return h
}

// held counts the leases that a concurrency limit counts with h. A lease that was withdrawn is not counted, though the
// state machine keeps it in its slot until the worker lets go.
func (b *bounds) held(id limitID, h holder) (n uint64) {
	for _, other := range b.live {
		if id.bounds(other) && (!id.per || other.partition == h.partition) {
			n++
		}
	}
	return n
}

// take counts a grant, and says what it breaks; "": nothing.
func (l *bound) take(id limitID, h holder, now int64) string {
	name := ""
	if id.per {
		name = h.partition
	}
	c := l.counted[name]
	if c == nil {
		c = &counted{}
		l.counted[name] = c
	}
	if id.kind == fsmpb.LimitKind_LIMIT_KIND_WINDOW {
		for len(c.times) > 0 && c.times[0] <= now-l.period {
			c.times = c.times[1:]
		}
		if c.times = append(c.times, now); uint64(len(c.times)) > l.n {
			return fmt.Sprintf("as number %d in %d ms under %s", len(c.times), l.period, id.text(h, l))
		}
		return ""
	}
	// From the i-th grant to the k-th there may be burst, and n in each period of the time between them:
	// (k-i)*period - (t_k-t_i)*n <= (burst-1)*period.
	v := c.k*l.period - now*int64(l.n)
	if c.k == 0 || v < c.lowest {
		c.lowest = v
	}
	c.k++
	if over := v - c.lowest - int64(l.burst-1)*l.period; over > 0 {
		return fmt.Sprintf("%.1f ms too early under %s in %d ms with a burst of %d", float64(over)/float64(l.n), id.text(h, l), l.period, l.burst)
	}
	return ""
}
