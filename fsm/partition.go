package fsm

import (
	"crypto/sha256"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// partitionsMax bounds the named partitions that have a task waiting or leased in some queue, together
// with what limits count of partitions: all of them are in memory. At the bound submissions that would
// need one are refused; what jobs that are there already need is still made.
var partitionsMax = 1_000_000 // a variable for tests

// partition is a named partition of a queue while it has tasks there, waiting or leased. Its number is a
// place (nextSeq), so no number comes twice. When nothing of it waits or is leased at the end of an
// entry, it is forgotten.
//
// Fairness is start-time fair queueing. A partition that begins to wait has at least the queue's virtual
// time as its tag; each grant moves the virtual time to the tag of the one that was served, and its tag
// on by an amount that is the smaller the greater its weight. The lowest tag is served next.
type partition struct {
	id      uint64
	queue   uint32
	name    string
	waiting uint64 // runnable keys
	leased  uint64
	tag     uint64
	dirty   bool

	lanes []*lane // those that have tasks; derived
}

// share is how far a grant moves the tag of a partition of weight 1.
const share = 1 << 20

func (p *partition) encode() []byte {
	e := newEnc(40 + len(p.name))
	e.uint(uint64(p.queue))
	e.str(p.name)
	e.uint(p.waiting)
	e.uint(p.leased)
	e.uint(p.tag)
	return e
}

func decodePartition(id uint64, b []byte) *partition {
	d := newDec("partition", b)
	p := &partition{id: id, queue: d.u32(), name: d.str(), waiting: d.uint(), leased: d.uint(), tag: d.uint()}
	d.end()
	return p
}

func (m *Machine) loadPartitions() {
	m.disk.scan([]byte{tagPartition}, []byte{tagPartition + 1}, func(k, v []byte) bool {
		m.addPartition(decodePartition(be.Uint64(k[1:]), v))
		return true
	})
}

func (m *Machine) addPartition(p *partition) {
	q := m.names.queues[p.queue]
	if q.parts == nil {
		q.parts = make(map[string]*partition)
	}
	q.parts[p.name] = p
	m.parts[p.id] = p
}

// partition finds or makes a named partition of a queue; nil is "".
func (t *tx) partition(q *queue, name string) *partition {
	if name == "" {
		return nil
	}
	if p := q.parts[name]; p != nil {
		return p
	}
	p := &partition{id: t.nextSeq(), queue: q.id, name: name}
	t.m.addPartition(p)
	t.touchPartition(p)
	return p
}

// number is what records say of it.
func (p *partition) number() uint64 {
	if p == nil {
		return 0
	}
	return p.id
}

// touchPartition marks a partition for the end of the entry: it is written then, or forgotten.
func (t *tx) touchPartition(p *partition) {
	if !p.dirty {
		p.dirty = true
		t.parts = append(t.parts, p)
	}
}

// partitionInputMax bounds the input that is read for a task's partition: that of a task with more is "".
const partitionInputMax = 1 << 20

// partitionOf is the partition of a task that becomes runnable: its job's, or, for a plain step that
// says so, what its input holds there.
func (t *tx) partitionOf(j *job, ref TaskRef) *partition {
	sp := &j.plan.steps[ref.Step]
	name := j.opts.Partition
	if sp.plain() && sp.opts.PartitionBy != "" {
		w := &limited{max: partitionInputMax}
		if writeTaskInput(w, t, j.plan.graph, ref, nil) == nil {
			name = dag.PartitionOf(w.buf, sp.opts.PartitionBy)
		} else {
			name = ""
		}
	}
	return t.partition(t.m.names.queues[sp.queue], name)
}

// waits counts one more waiting task of a partition. One that begins to wait is not served for the time
// in which it did not.
func (t *tx) waits(q *queue, p *partition) {
	if p == nil {
		if len(q.parts) > 0 && q.tag < q.vtime && !t.plainWaits(q) {
			q.tag = q.vtime
			t.m.names.touchQueue(q)
		}
		return
	}
	if p.waiting == 0 {
		p.tag = max(p.tag, q.vtime)
	}
	p.waiting++
	t.touchPartition(p)
}

func (t *tx) waitsNoMore(p *partition) {
	p.waiting--
	t.touchPartition(p)
}

// plainWaits reports whether a task of the partition "" waits in a queue.
func (t *tx) plainWaits(q *queue) bool {
	for _, c := range q.classes {
		if _, ok := c.plain.first(t); ok {
			return true
		}
	}
	return false
}

// served moves the tags after a grant. While "" is the only partition of a queue there is nothing to be
// fair about, and no tag moves.
func (t *tx) served(q *queue, p *partition) {
	switch {
	case p != nil:
		q.vtime = max(q.vtime, p.tag)
		p.tag += share / q.weight(p.name)
		t.touchPartition(p)
		for _, l := range p.lanes {
			if l.ready {
				l.out()
				l.in(l.head)
			}
		}
	case len(q.parts) > 0:
		q.vtime = max(q.vtime, q.tag)
		q.tag += share / q.weight("")
	}
}

func (q *queue) weight(partition string) uint64 {
	if w := q.weights[partition]; w > 0 {
		return uint64(w)
	}
	return 1
}

// forget ends an entry: partitions that have nothing to do are no more, and a queue that has none but
// "" begins again at zero.
func (t *tx) forget() {
	for _, p := range t.parts {
		p.dirty = false
		if p.waiting+p.leased > 0 {
			t.set(keyPartition(p.id), p.encode())
			continue
		}
		t.del(keyPartition(p.id))
		q := t.m.names.queues[p.queue]
		delete(q.parts, p.name)
		delete(t.m.parts, p.id)
		if len(q.parts) == 0 && q.vtime+q.tag > 0 {
			q.vtime, q.tag = 0, 0
			t.m.names.touchQueue(q)
		}
	}
	t.parts = t.parts[:0]
}

// admitPartition refuses a submission whose tasks could not be told apart.
func (t *tx) admitPartition(c *fsmpb.SubmitJob, o *fsmpb.JobOptions) *Refusal {
	known := len(t.m.parts) + t.m.expiries.Len()
	switch {
	case !validPartition(o.Partition):
		return refuse(CodeInvalid, "a partition is at most 255 bytes without control characters")
	case o.Priority > dag.MaxPriority:
		return refuse(CodeInvalid, "a priority in a job's options is from 1 (first) to %d (last)", dag.MaxPriority)
	case known >= partitionsMax && (o.Partition != "" || t.partitions(c)):
		return refuse(CodeOverloaded, "%d partitions have tasks that wait or run, or are counted by limits, and at most %d can: try again later, or partition by something coarser", known, partitionsMax)
	}
	return nil
}

// partitions reports whether tasks of a submission name their partitions themselves.
func (t *tx) partitions(c *fsmpb.SubmitJob) bool {
	sum := sha256.Sum256(c.Graph)
	g, err := t.graph(graphHash(sum[:16]), c.Graph)
	return err == nil && slices.ContainsFunc(g.Steps, func(s dag.Step) bool { return s.Options.PartitionBy != "" })
}
