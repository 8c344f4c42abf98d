package fsm

import "slices"

// grantMax bounds the leases that one entry gives; what is left follows in the next.
const grantMax = 2000

// check marks a queue in which a slot or a task has become free: match looks at it.
//
// It only narrows down where to look. match finds by itself what can be granted, from the state
// alone, so a replica that was restarted, and marks all queues, grants the same.
func (m *Machine) check(q *queue) {
	if !q.check {
		q.check = true
		m.checks = append(m.checks, q.id)
	}
}

// match gives runnable tasks to free slots, in the entry that made them so. Before an entry no task
// waits that a free slot could run, except what grantMax left; so only queues in which something
// changed need a look.
func (t *tx) match() {
	if len(t.m.checks) == 0 {
		return
	}
	slices.Sort(t.m.checks)
	for len(t.m.checks) > 0 {
		q := t.m.names.queues[t.m.checks[0]]
		if !t.matchQueue(q) {
			t.res.More = true
			return
		}
		q.check = false
		t.m.checks = t.m.checks[1:]
	}
	t.m.checks = t.m.checks[:0]
}

// matchQueue grants until no head of a lane has a session that could take it. It returns false at
// the bound.
func (t *tx) matchQueue(q *queue) bool {
	if q.paused {
		return true
	}
	free := t.m.freeSlots(q)
	for len(free) > 0 {
		l, i, g := t.bestHead(q, free)
		if l == nil {
			return true
		}
		if len(t.res.Grants) >= grantMax {
			return false
		}
		t.grant(q, i, g)
		if g.free() == 0 {
			free = slices.DeleteFunc(free, func(x *slotGroup) bool { return x == g })
		}
	}
	return true
}

// freeSlots lists the sessions with a free slot, by id. The slice is reused.
func (m *Machine) freeSlots(q *queue) []*slotGroup {
	m.free = m.free[:0]
	for _, g := range q.slots {
		if g.free() > 0 {
			m.free = append(m.free, g)
		}
	}
	return m.free
}

// bestHead chooses the task: among the lanes that a free session offers, the lowest priority number,
// then the oldest. And the session: the most free slots, then the oldest.
func (t *tx) bestHead(q *queue, free []*slotGroup) (best *lane, head item, taker *slotGroup) {
	for _, l := range q.lanes {
		g := mostFree(free, l.kind)
		if g == nil {
			continue
		}
		i, ok := l.first(t)
		if ok && (best == nil || compareItems(i, head) < 0) {
			best, head, taker = l, i, g
		}
	}
	return best, head, taker
}

func mostFree(free []*slotGroup, kind uint32) *slotGroup {
	var best *slotGroup
	for _, g := range free {
		if g.s.kindID[kind] && (best == nil || g.free() > best.free()) {
			best = g
		}
	}
	return best
}

// grant leases the task at the head of a lane to a session.
func (t *tx) grant(q *queue, head item, g *slotGroup) {
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

	l := &lease{ref: ref, queue: q.id, grantedMS: t.now}
	g.s.leases[tk.fence] = l
	g.used++
	t.setNew(keyLease(g.s.id, tk.fence), encodeLease(l))
	q.started++
	t.m.names.touchQueue(q)
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
		Queue: m.names.queues[sp.queue].name, Attempt: tk.attempts + 1, Crashes: tk.crashes, TimeoutMS: sp.opts.TimeoutMS,
		Saved: tk.saves > 0, Headers: j.opts.GetHeaders(),
		Schedule: j.opts.GetSchedule(), TickMS: j.opts.GetTickMs(),
	}
}
