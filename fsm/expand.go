package fsm

import (
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// activateMap begins a map step: it counts the items of its list and puts the group, one object
// however many items there are, into its lane. Folds over the map that wait for nothing else begin
// with it, so that they fold as results land.
func (t *tx) activateMap(j *job, sp *stepPlan, ref TaskRef) {
	g := t.group(j, ref.Step)
	if g != nil {
		t.activateStreams(j, ref.Step)
		t.resumeGroup(j, sp, ref, g)
		return
	}
	total, err := t.count(j, &sp.step.Input)
	if err != nil {
		t.badInput(j, ref, err)
		return
	}
	g = t.newGroup(j, ref.Step, &group{total: total, limit: total})
	t.activateStreams(j, ref.Step)
	if total == 0 {
		t.stepDone(j, ref.Step)
		return
	}
	j.steps[ref.Step].set(ref, TaskPending)
	t.queueGroup(j, ref.Step, g)
	t.pending(sp, int64(total))
}

// activateStreams begins the folds that take a map's results as they land.
func (t *tx) activateStreams(j *job, step uint32) {
	for _, d := range j.plan.graph.Dependents(dag.StepID(step)) {
		if t.streams(j, uint32(d)) && j.steps[d].state == TaskBlocked {
			t.activateFold(j, &j.plan.steps[d], j.ref(uint32(d)))
		}
	}
}

// streams reports whether a step is a fold that takes a map's results as they land.
func (t *tx) streams(j *job, step uint32) bool {
	return j.plan.graph.Streams(dag.StepID(step)) && len(j.plan.graph.Dependencies(dag.StepID(step))) == 1
}

// activateFold begins a fold step. Over a map its leaves come one by one (arrived); over a stored list
// a cursor makes the leaf nodes, as in a map.
func (t *tx) activateFold(j *job, sp *stepPlan, ref TaskRef) {
	s := &j.steps[ref.Step]
	if g := t.group(j, ref.Step); g != nil {
		t.resumeGroup(j, sp, ref, g)
		return
	}
	g := &group{}
	if t.streams(j, ref.Step) {
		g.total = t.group(j, uint32(sp.step.Input.StepID())).total
	} else {
		n, err := t.count(j, &sp.step.Input)
		if err != nil {
			t.badInput(j, ref, err)
			return
		}
		g.total = n
		if n > 0 {
			g.limit = g.tree(&sp.opts).Width(1)
		}
	}
	t.newGroup(j, ref.Step, g)
	s.set(ref, TaskPending)
	j.touch(ref.Step)
	switch {
	case g.total == 0:
		t.makeNode(j, sp, ref, g, dag.Node{Level: 1})
	case g.limit > 0:
		t.queueGroup(j, ref.Step, g)
		t.pending(sp, int64(g.limit))
	}
}

func (t *tx) newGroup(j *job, step uint32, g *group) *group {
	t.group(j, step) // makes room
	g.seq = t.nextSeq()
	g.dirty = true
	j.groups[step] = g
	return g
}

// resumeGroup goes on with the group of a retried job: canceled tasks and the one that failed run again.
func (t *tx) resumeGroup(j *job, sp *stepPlan, ref TaskRef, g *group) {
	j.steps[ref.Step].set(ref, TaskPending)
	j.touch(ref.Step)
	g.dirty = true
	if w := g.waiting(); w > 0 {
		t.pending(sp, int64(w))
	}
	t.eachTask(j.id, ref.Step, func(r TaskRef, tk *task) {
		if tk.state == TaskCanceled || tk.state == TaskExpired || r == j.failedAt {
			tk.attempts, tk.crashes, tk.since = 0, 0, 0
			g.live++
			t.runnable(j, r, tk)
		}
	})
	t.queueGroup(j, ref.Step, g)
	t.groupDone(j, ref.Step, g)
}

// queueGroup puts the group's cursor into its lane when it has shards to make and room for them.
func (t *tx) queueGroup(j *job, step uint32, g *group) {
	sp := &j.plan.steps[step]
	if g.queued || g.waiting() == 0 || g.live >= sp.opts.MaxParallel {
		return
	}
	g.queued, g.dirty = true, true
	ref := TaskRef{Job: j.id, Step: step, Shard: groupShard}
	p := t.partitionOf(j, ref)
	g.part = p.number()
	t.enqueue(j, ref, g.seq, p)
}

func (t *tx) unqueueGroup(j *job, step uint32, g *group) {
	if g.queued {
		g.queued, g.dirty = false, true
		t.dequeue(j, TaskRef{Job: j.id, Step: step, Shard: groupShard}, g.seq, g.part)
	}
}

// nextShard makes the record of the next shard of a group that is at the head of its lane, and
// returns its input. ok is false when the input list turned out to be damaged: the job has failed.
func (t *tx) nextShard(j *job, step uint32, g *group) (ref TaskRef, tk *task, input []byte, ok bool) {
	sp := &j.plan.steps[step]
	l, err := t.list(j, step)
	if err == nil {
		var more bool
		tk = &task{cursor: g.cursor, part: g.part}
		if input, g.cursor, more, err = l.Next(g.cursor); err == nil && !more {
			err = dag.ErrNotList
		}
	}
	if err != nil {
		t.fail(j, j.ref(step), &fsmpb.Error{Type: "fanfold.BadInput", Message: err.Error()})
		return ref, nil, nil, false
	}
	shard := g.next
	if sp.step.Kind == dag.StepFold {
		shard = dag.Node{Level: 1, Index: g.next}.Shard()
	}
	ref = TaskRef{Job: j.id, Step: step, Shard: shard}
	g.next++
	g.live++
	g.dirty = true
	t.newTask(ref, tk).set(ref, TaskPending)
	if g.waiting() == 0 || g.live >= sp.opts.MaxParallel {
		t.unqueueGroup(j, step, g)
	}
	return ref, tk, input, true
}

// shardDone counts a shard or node that succeeded, and tells the folds that wait for it.
func (t *tx) shardDone(j *job, ref TaskRef) {
	g := t.group(j, ref.Step)
	g.ok++
	t.shardLeft(j, ref, g)
	t.dropTask(ref)
	t.arrived(j, ref)
	t.groupDone(j, ref.Step, g)
}

// shardLeft counts a task out of its group's live ones.
func (t *tx) shardLeft(j *job, ref TaskRef, g *group) {
	g.live--
	g.dirty = true
	t.queueGroup(j, ref.Step, g)
}

// groupDone ends the step when nothing of its group is left to do.
func (t *tx) groupDone(j *job, step uint32, g *group) {
	sp := &j.plan.steps[step]
	if j.state.Ended() || j.steps[step].state.Ended() || g.live > 0 || g.waiting() > 0 {
		return
	}
	if sp.step.Kind == dag.StepFold {
		root := g.tree(&sp.opts).Root()
		if t.get(keyResult(TaskRef{Job: j.id, Step: step, Shard: root.Shard()})) == nil {
			return
		}
	}
	t.stepDone(j, step)
}

// arrived tells whoever folds over a shard or node that it is there (or, dead and tolerated, will
// never be): the node whose last child it is becomes a task.
func (t *tx) arrived(j *job, ref TaskRef) {
	if j.plan.steps[ref.Step].step.Kind == dag.StepFold {
		t.childDone(j, ref.Step, dag.NodeOf(ref.Shard))
		return
	}
	for _, d := range j.plan.graph.Dependents(dag.StepID(ref.Step)) {
		if t.streams(j, uint32(d)) {
			t.childDone(j, uint32(d), dag.Node{Level: 0, Index: ref.Shard})
		}
	}
}

// childDone counts one child of a fold's node; level 0 are the leaves.
func (t *tx) childDone(j *job, step uint32, child dag.Node) {
	sp, g := &j.plan.steps[step], t.group(j, step)
	if g == nil || j.steps[step].state.Ended() {
		return
	}
	tree := g.tree(&sp.opts)
	if child.Level >= tree.Levels() {
		return // the root
	}
	parent := dag.Node{Level: child.Level + 1, Index: child.Index / uint64(sp.opts.FanIn)}
	key := keyNode(TaskRef{Job: j.id, Step: step, Shard: parent.Shard()})
	_, missing := tree.Children(parent)
	if b := t.get(key); b != nil {
		missing = uint32(decodeCount("fold node", b))
	}
	if missing--; missing > 0 && !(planted.NoParents && missing == 1 && child.Index%4 > 1) {
		t.set(key, encodeCount(uint64(missing)))
		return
	}
	t.del(key)
	t.makeNode(j, sp, j.ref(step), g, parent)
}

// makeNode makes a fold's node a task: its children are there.
func (t *tx) makeNode(j *job, sp *stepPlan, step TaskRef, g *group, n dag.Node) {
	ref := step
	ref.Shard = n.Shard()
	g.live++
	g.dirty = true
	tk := t.newTask(ref, &task{})
	t.runnable(j, ref, tk)
}

// badInput fails a job because a step's input is no list.
func (t *tx) badInput(j *job, ref TaskRef, err error) {
	t.fail(j, ref, &fsmpb.Error{
		Type:    "fanfold.BadInput",
		Message: "step " + j.plan.steps[ref.Step].step.Name + " goes over a list: " + err.Error(),
	})
}
