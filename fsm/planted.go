package fsm

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// What the planted bugs do that do not fit into their line. Nothing here is in a release: nothing calls it.

// anyLease is the lease that a task has, whoever asks.
func (t *tx) anyLease(ref TaskRef) (Fence, *session, *lease) {
	j := t.job(ref.Job)
	if j == nil {
		return Fence{}, nil, nil
	}
	tk := t.task(j, ref)
	if tk == nil || tk.state != TaskStarted {
		return Fence{}, nil, nil
	}
	s := t.m.sessions[tk.session]
	return tk.fence, s, s.leases[tk.fence]
}

// rescue puts back one node of each fold under way whose result the session has delivered.
func (t *tx) rescue(s *session) {
	t.scan([]byte{tagJob}, func(k, _ []byte) bool {
		j := t.job(parseJobKey(k))
		if j == nil || j.state.Ended() {
			return true
		}
		for i := range j.steps {
			g := t.group(j, uint32(i))
			if sp := &j.plan.steps[i]; g != nil && sp.step.Kind == dag.StepFold && !j.steps[i].state.Ended() {
				t.rescueNode(j, sp, uint32(i), g, s.id)
			}
		}
		return true
	})
}

func (t *tx) rescueNode(j *job, sp *stepPlan, step uint32, g *group, by uint64) {
	tree := g.tree(&sp.opts)
	t.scan(be.AppendUint32(keyData(j.id, partResult), step), func(k, v []byte) bool {
		n := dag.NodeOf(parseTaskPart(k).Shard)
		if n.Level >= tree.Levels() || decodeResult(v).by.session != by {
			return true
		}
		parent := dag.Node{Level: n.Level + 1, Index: n.Index / uint64(sp.opts.FanIn)}
		if _, children := tree.Children(parent); children < 3 { // else the parent would come twice
			return true
		}
		t.makeNode(j, sp, j.ref(step), g, n)
		return false
	})
}

// loseItems skips the next item of every map that has some to give out.
func (t *tx) loseItems() {
	t.scan([]byte{tagRunnable}, func(_, v []byte) bool {
		ref, _ := parseRef(v)
		j := t.job(ref.Job)
		if ref.Shard != groupShard || j.plan.steps[ref.Step].step.Kind != dag.StepMap {
			return true
		}
		g := t.group(j, ref.Step)
		l, err := t.list(j, ref.Step)
		if err != nil || g.waiting() < 2 {
			return true
		}
		if _, g.cursor, _, err = l.Next(g.cursor); err == nil {
			g.next++
			g.dirty = true
			t.pending(&j.plan.steps[ref.Step], -1)
		}
		return true
	})
}

// refill forgets what limits on a rate or a window have counted.
func (t *tx) refill() {
	for _, l := range t.m.limits {
		if l.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
			continue
		}
		for name, s := range l.states {
			t.m.expiries.Delete(expiry{at: s.expires, limit: l.id, name: name})
			t.del(keyLimiter(l.id, name))
			for _, b := range s.times {
				t.del(keyBegan(l.id, name, b.ms))
			}
			delete(l.states, name)
		}
	}
}

// splitBatch writes what a call has changed, and returns a batch of its own for the applied index.
func (m *Machine) splitBatch(b *pebble.Batch) *pebble.Batch {
	must(m.write(b))
	planted.Pause()
	return m.db.NewBatch()
}
