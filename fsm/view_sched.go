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
	v.disk.scan([]byte{tagLimit}, []byte{tagLimit + 1}, func(k, b []byte) bool {
		if l := decodeLimit(be.Uint32(k[1:]), b); namespace == "" || l.namespace == namespace {
			all = append(all, v.limit(l))
		}
		return true
	})
	return all, nil
}

func (v *View) limit(l *limit) LimitView {
	return LimitView{Limit: l.proto()}
}

func (l *limit) proto() *fsmpb.Limit {
	return &fsmpb.Limit{Namespace: l.namespace, Scope: l.scope, Name: l.name, PerPartition: l.per, Kind: l.kind, N: l.n, PeriodMs: l.period, Burst: l.burst}
}

// Queue returns a queue, or ErrNotFound.
func (v *View) Queue(namespace, name string) (QueueView, error) {
	all, err := v.Queues()
	if err != nil {
		return QueueView{}, err
	}
	for _, q := range all {
		if q.Namespace == namespace && q.Name == name {
			return q, nil
		}
	}
	return QueueView{}, ErrNotFound
}

// WhyNot says what stands between a task and its lease. Of a task that is not PENDING only State, and
// the names, are set.
type WhyNot struct {
	State       TaskState
	Queue, Kind string
	Partition   string
	Priority    uint8       // 0-9, 0 first
	QueuePaused bool        // the queue grants nothing
	Workers     int         // live sessions that take from the queue and offer the kind
	Slots, Free uint64      // of these sessions, in this queue; draining ones have none that are free
	PausedUntil int64       // a handler said RateLimited: the kind grants nothing in this partition until then (unix ms); 0 = it did not
	Limits      []LimitFull // limits that are full for it now
	Ahead       uint64      // tasks of its queue, kind, partition and priority that are before it
	AheadMore   bool        // there are more than were counted
}

// LimitFull is a limit that has no room for a task.
type LimitFull struct {
	Limit   *fsmpb.Limit
	UntilMS int64 // when it has, in unix ms; 0 = when a lease ends
}

// aheadMax bounds how many tasks WhyNot counts before a task.
const aheadMax = 10_000

// WhyNot reads why a task is not running, or ErrNotFound for a task that has no record.
func (v *View) WhyNot(ref TaskRef) (w WhyNot, err error) {
	defer catch(&err)
	j := readJob(v.disk, ref.Job)
	if j == nil || int(ref.Step) >= len(j.steps) {
		return w, ErrNotFound
	}
	j.plan = v.plan(j)
	sp := &j.plan.steps[ref.Step]
	tk := &j.steps[ref.Step].task
	if !sp.plain() && ref.Shard != groupShard {
		b := v.disk.get(keyTask(ref))
		if b == nil {
			return w, ErrNotFound
		}
		tk = decodeTask(bytes.Clone(b))
	}
	w = WhyNot{State: tk.state, Queue: sp.opts.Queue, Kind: sp.step.Task, Partition: j.opts.Partition, Priority: sp.priority - 1}
	return w, nil
}

// plan is for readers: a plan of names, without numbers, that the machine's goroutine never sees.
func (v *View) plan(j *job) *plan {
	g := v.m.graphs.get(v.disk, j.graph)
	p := &plan{graph: g, steps: make([]stepPlan, g.Len())}
	for i := range p.steps {
		s := &g.Steps[i]
		o := s.Options.WithDefaults()
		p.steps[i] = stepPlan{step: s, opts: o, retry: o.Retry.WithDefaults(), priority: o.Priority}
	}
	return p
}
