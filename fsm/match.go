package fsm

import (
	"cmp"
	"slices"

	"github.com/fanfold/fanfold/fsm/planted"
)

// grantMax bounds the leases that one entry gives; what is left follows in the next.
const grantMax = 2000

// check marks a queue in which a slot or a task has become free: match looks at it.
//
// It only narrows down where to look. match finds by itself what can be granted, from the state
// alone, so a replica that was restarted, and marks all queues, grants the same.
func (m *Machine) check(q *queue) {
	m.again = append(m.again, q.id)
	if !q.check {
		q.check = true
		i, _ := slices.BinarySearch(m.checks, q.id)
		m.checks = slices.Insert(m.checks, i, q.id)
	}
}

// match gives runnable tasks to free slots, in the entry that made them so. Before an entry no task
// waits that a free slot could run, except what grantMax left; so only queues in which something
// changed need a look. First the slots that belong to one queue are filled, then those that a worker's
// queues share, for these can take what the others cannot.
func (t *tx) match() {
	t.wakeDue()
	m := t.m
	if len(m.checks) == 0 {
		return
	}
	for m.again = m.again[:0]; ; m.again = m.again[:0] {
		own := t.matchOwn
		if m.taskLimits > 0 {
			own = t.matchJoint
		}
		if !own() || !t.matchShared() {
			t.res.More = true
			return
		}
		if len(m.again) == 0 {
			break // a grant made no other task runnable
		}
	}
	for _, id := range m.checks {
		q := m.names.queues[id]
		q.check = false
		m.setWake(q, q.wakeMS)
		q.wakeMS = 0
	}
	m.checks = m.checks[:0]
}

// matchOwn fills the slots that belong to one queue, queue after queue. It returns false at the bound.
func (t *tx) matchOwn() bool {
	for last := uint32(0); ; {
		i, found := slices.BinarySearch(t.m.checks, last+1)
		if !found && i == len(t.m.checks) {
			return true
		}
		last = t.m.checks[i]
		if !t.matchQueue(t.m.names.queues[last]) {
			return false
		}
	}
}

// matchQueue grants until no head of a lane has a session that could take it. It returns false at
// the bound.
func (t *tx) matchQueue(q *queue) bool {
	free := t.m.freeSlots(q)
	for len(free) > 0 {
		l, i, g := t.best(q, free)
		if l == nil {
			return true
		}
		if len(t.res.Grants) >= grantMax {
			return false
		}
		t.grant(q, l, i, g)
		if g.free() == 0 {
			free = slices.DeleteFunc(free, func(x *slotGroup) bool { return x == g })
		}
	}
	return true
}

// matchJoint does what matchOwn does when limits on tasks tie queues together: the oldest place of all
// queues goes first. Queue after queue, the first would take all that such a limit allows, for ever.
func (t *tx) matchJoint() bool {
	m := t.m
	picks := make(map[uint32]pick)
	ids := slices.Clone(m.checks)
	look := func(id uint32) {
		q := m.names.queues[id]
		l, i, g := t.best(q, m.freeSlots(q))
		if l == nil {
			delete(picks, id)
			return
		}
		if _, ok := slices.BinarySearch(ids, id); !ok {
			ids = append(ids, id)
			slices.Sort(ids)
		}
		picks[id] = pick{lane: l, head: i, taker: g, rank: l.rank(i, q.ageing())}
	}
	for _, id := range m.checks {
		look(id)
	}
	for {
		var best *pick
		for _, id := range ids {
			if p, ok := picks[id]; ok && (best == nil || p.before(best)) {
				best = &p
			}
		}
		if best == nil {
			return true
		}
		if len(t.res.Grants) >= grantMax {
			return false
		}
		l := best.lane
		kind, queue := m.names.kinds[l.kind], l.queue
		m.again = m.again[:0]
		t.grant(m.names.queues[queue], l, best.head, best.taker)
		look(queue)
		if len(kind.limits) > 0 {
			for _, id := range kind.queues {
				if _, ok := picks[id]; ok && id != queue {
					look(id)
				}
			}
		}
		for _, id := range slices.Clone(m.again) {
			look(id)
		}
	}
}

// freeSlots lists the sessions with a free slot of the queue's own, by id. The slice is reused.
func (m *Machine) freeSlots(q *queue) []*slotGroup {
	m.free = m.free[:0]
	for _, g := range q.slots {
		if g.s.shared == 0 && g.free() > 0 {
			m.free = append(m.free, g)
		}
	}
	if planted.MapOrder {
		planted.Disorder(m.free)
	}
	return m.free
}

// mostFree chooses the session: the most free slots, then the most room beyond them, then the oldest. So no
// task waits in one worker for a slot that another has. Tasks under a limit begin when they are granted: only a slot
// will do for them. Room that a limit gives is not there to wait in a worker, and perhaps to be handed back unused.
func mostFree(free []*slotGroup, kind uint32, limited bool) *slotGroup {
	var best *slotGroup
	for _, g := range free {
		if limited && g.s.shared == 0 && g.idle() == 0 {
			continue
		}
		if g.s.kindID[kind] && (best == nil || cmp.Or(cmp.Compare(g.idle(), best.idle()), cmp.Compare(g.free(), best.free())) > 0) {
			best = g
		}
	}
	return best
}

// limited reports whether a limit is on the tasks of a kind in a queue.
func (m *Machine) limited(q *queue, kind uint32) bool {
	return len(q.limits)+len(m.names.kinds[kind].limits) > 0
}

// grant leases the task at the head of a lane to a session.
func (t *tx) grant(q *queue, from *lane, head item, g *slotGroup) {
	ref := head.ref
	j := t.job(ref.Job)
	sp := &j.plan.steps[ref.Step]
	var tk *task
	var input []byte
	if ref.Shard == groupShard {
		var ok bool
		if ref, tk, input, ok = t.nextShard(j, ref.Step, t.group(j, ref.Step)); !ok {
			return
		}
		t.pending(sp, -1)
	} else {
		tk = t.task(j, ref)
		t.unqueue(j, ref, tk)
	}
	tk.set(ref, TaskStarted)
	tk.session, tk.fence = g.s.id, Fence{Index: t.index, Pos: t.pos}
	t.pos++
	t.mark(j, ref, tk)
	t.stepStarted(j, ref)
	t.jobGranted(j)

	l := &lease{ref: ref, queue: q.id, kind: from.kind, part: tk.part}
	t.leaseBegan(sp, ref, tk, l)
	g.s.leases[tk.fence] = l
	t.useSlot(g)
	t.setNew(keyLease(g.s.id, tk.fence), encodeLease(l))
	q.started++
	t.m.names.touchQueue(q)
	if from.part != nil {
		from.part.leased++
	}
	t.served(q, from.part)
	t.took(q, from.kind, from.partName())
	t.m.state.Grants++
	gr := t.m.grantOf(j, ref, tk)
	gr.Input = input
	if input == nil {
		gr.Input, gr.stored = t.input(j, ref)
	}
	t.res.Grants = append(t.res.Grants, gr)
}

// stepStarted moves a map or fold step to STARTED with its first lease.
func (t *tx) stepStarted(j *job, ref TaskRef) {
	g := t.groupOf(j, ref)
	if g == nil {
		return
	}
	g.held++
	g.dirty = true
	if s := &j.steps[ref.Step]; s.state == TaskPending {
		s.set(j.ref(ref.Step), TaskStarted)
		j.touch(ref.Step)
	}
}

// grantOf describes a lease to the engine.
func (m *Machine) grantOf(j *job, ref TaskRef, tk *task) Grant {
	sp := &j.plan.steps[ref.Step]
	return Grant{
		Session: tk.session, Fence: tk.fence, Task: ref,
		Kind: m.names.kinds[sp.kindOf(ref)].name, Step: sp.step.Name, Workflow: j.plan.graph.Name,
		Queue: m.names.queues[sp.queue].name, Attempt: tk.attempts + 1, Crashes: tk.crashes, TimeoutMS: sp.opts.TimeoutMS, HeartbeatMS: sp.opts.HeartbeatMS,
		Saved: tk.saves > 0, Headers: j.opts.GetHeaders(),
		Schedule: j.opts.GetSchedule(), TickMS: j.opts.GetTickMs(),
	}
}
