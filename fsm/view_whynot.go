package fsm

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// WhyNot says what stands between a task and its lease. Of a task that is not PENDING only State, and
// the names, are set.
type WhyNot struct {
	State       TaskState
	Queue, Kind string
	Partition   string
	Priority    uint8       // 0-9, 0 first
	QueuePaused bool        // the queue grants nothing
	Workers     int         // live sessions that take from the queue and offer the kind
	Slots, Free uint64      // of these sessions, for this queue; draining ones have none that are free
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

// WhyNot reads why a task is not running, or ErrNotFound for a task that has no record. The next item of a
// map, which has none yet, is asked for by the map's plain reference (shard 0) while there is no such task.
func (v *View) WhyNot(ref TaskRef) (w WhyNot, err error) {
	defer catch(&err)
	j := readJob(v.disk, ref.Job)
	if j == nil || int(ref.Step) >= len(j.steps) {
		return w, ErrNotFound
	}
	sp := &v.plan(j).steps[ref.Step]
	w = WhyNot{Queue: sp.opts.Queue, Kind: sp.step.Task, Partition: j.opts.Partition, Priority: j.priority(sp) - 1}
	at := v.waiting(j, sp, ref)
	if at == nil {
		return w, ErrNotFound
	}
	if w.State = at.state; w.State != TaskPending {
		return w, nil
	}
	if sp.step.Merge != "" && at.ref.Shard != groupShard && dag.NodeOf(at.ref.Shard).Level > 1 {
		w.Kind = sp.step.Merge
	}
	if sp.plain() || at.part != 0 {
		w.Partition = v.partName(at.part)
	}
	n := v.limitNames()
	q, k := n.find(j.namespace, w.Queue, w.Kind)
	if q == nil || k == nil {
		return w, nil
	}
	w.QueuePaused = q.paused
	v.workersFor(&w, q, k)
	v.limitsFor(&w, q, k, n)
	low := keyLane(q.id, k.id, at.part, j.priority(sp))
	v.disk.scan(low, keyRunnable(q.id, k.id, at.part, j.priority(sp), at.seq, at.ref.Shard), func(_, _ []byte) bool {
		if w.Ahead == aheadMax {
			w.AheadMore = true
			return false
		}
		w.Ahead++
		return true
	})
	return w, nil
}

// standing is where a task, or a group, waits.
type standing struct {
	ref   TaskRef
	state TaskState
	seq   uint64
	part  uint64
}

func (v *View) waiting(j *job, sp *stepPlan, ref TaskRef) *standing {
	st := &j.steps[ref.Step].task
	if sp.plain() {
		return &standing{ref, st.state, st.seq, st.part}
	}
	var seq, part uint64
	if b := v.disk.get(keyGroup(j.id, ref.Step)); b != nil {
		gr := decodeGroup(bytes.Clone(b))
		seq, part = gr.seq, gr.part
	}
	if b := v.disk.get(keyTask(ref)); b != nil {
		tk := decodeTask(bytes.Clone(b))
		return &standing{ref, tk.state, seq, tk.part}
	}
	if ref.Shard != 0 && ref.Shard != groupShard {
		return nil
	}
	ref.Shard = groupShard
	return &standing{ref, st.state, seq, part}
}

func (n limitNames) find(namespace, queueName, kindName string) (q *queue, k *kind) {
	for _, x := range n.queues {
		if x.namespace == namespace && x.name == queueName {
			q = x
		}
	}
	for _, x := range n.kinds {
		if x.namespace == namespace && x.name == kindName {
			k = x
		}
	}
	return q, k
}

// workersFor counts the sessions that could run a task, and their slots.
func (v *View) workersFor(w *WhyNot, q *queue, k *kind) {
	v.disk.scan([]byte{tagSession}, []byte{tagSession + 1}, func(key, b []byte) bool {
		s := decodeSession(be.Uint64(key[1:]), bytes.Clone(b))
		g := s.group(q.id)
		if g == nil || s.namespace != q.namespace || !slices.ContainsFunc(s.kinds, func(x *fsmpb.TaskKind) bool { return x.Name == k.name }) {
			return true
		}
		w.Workers++
		slots, used := uint64(g.slots), uint64(0)
		v.eachLease(s.id, func(_ Fence, l *lease) {
			if l.queue == q.id || s.shared > 0 {
				used++
			}
		})
		if s.shared > 0 {
			slots = uint64(s.shared)
		}
		w.Slots += slots
		if !s.draining {
			w.Free += slots - min(slots, used)
		}
		return true
	})
}

// limitsFor finds what is full for a task.
func (v *View) limitsFor(w *WhyNot, q *queue, k *kind, n limitNames) {
	if b := v.disk.get(keyPause(k.id, w.Partition)); b != nil {
		if until := decodePause(b); until > v.state.nowMS {
			w.PausedUntil = until
		}
	}
	v.disk.scan([]byte{tagLimit}, []byte{tagLimit + 1}, func(key, b []byte) bool {
		l := decodeLimit(be.Uint32(key[1:]), bytes.Clone(b))
		if !l.bounds(q, k) {
			return true
		}
		v.count(l, n)
		partition := ""
		if l.per {
			partition = w.Partition
		}
		if s := l.states[partition]; s != nil {
			if ok, until := s.room(v.state.nowMS); !ok {
				w.Limits = append(w.Limits, LimitFull{Limit: l.proto(), UntilMS: until})
			}
		}
		return true
	})
	slices.SortStableFunc(w.Limits, func(x, y LimitFull) int { return cmp.Compare(y.UntilMS, x.UntilMS) })
}
