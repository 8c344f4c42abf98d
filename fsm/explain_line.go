package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// pending explains a task, or a group's cursor, that is in its lane: match could grant it, and does not.
func (x *explainer) pending(ref TaskRef) {
	w, err := x.v.WhyNot(ref)
	must(err)
	q, err := x.v.Queue(x.j.namespace, w.Queue)
	paused := w.QueuePaused || err == nil && q.Paused
	if paused {
		x.add(Reason{Why: WhyQueuePaused, Queue: w.Queue, Text: "queue " + w.Queue + " is paused; `fanfold queue resume` lets it go on"})
	}
	place := w.Ahead + 1
	if w.PausedUntil > x.v.NowMS() {
		x.add(Reason{Why: WhyRateLimited, Queue: w.Queue, UntilMS: w.PausedUntil, Position: place,
			Text: "a handler of task " + w.Kind + " was told to slow down" + inPartition(w.Partition)})
	}
	for _, l := range w.Limits {
		x.add(Reason{Why: WhyLimitFull, Queue: w.Queue, Limit: l.Limit, UntilMS: l.UntilMS, Position: place, Text: limitText(l, w.Partition)})
	}
	free := x.workers(&w, x.kindOf(ref), place)
	if free && len(x.e.Reasons) == 0 {
		x.add(Reason{Why: WhyInLine, Queue: w.Queue, Position: place, Text: fmt.Sprintf("it waits for its turn in queue %s, place %s", w.Queue, placeText(&w))})
	}
}

func (x *explainer) kindOf(ref TaskRef) string {
	if s := x.sp.step; s.Kind == dag.StepFold && s.Merge != "" && ref.Shard != groupShard && dag.NodeOf(ref.Shard).Level > 1 {
		return s.Merge
	}
	return x.sp.step.Task
}

func inPartition(p string) string {
	if p == "" {
		return ""
	}
	return " in partition " + p
}

func placeText(w *WhyNot) string {
	if w.AheadMore {
		return fmt.Sprintf("after more than %d", w.Ahead)
	}
	return fmt.Sprint(w.Ahead + 1)
}

// limitText says which limit is full.
func limitText(l LimitFull, partition string) string {
	where := l.Limit.GetName()
	switch l.Limit.GetScope() {
	case fsmpb.LimitScope_LIMIT_SCOPE_QUEUE:
		where = "queue " + where
	case fsmpb.LimitScope_LIMIT_SCOPE_TASK:
		where = "task " + where
	}
	if l.Limit.GetPerPartition() {
		where += inPartition(cmp.Or(partition, `""`))
	}
	switch l.Limit.GetKind() {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		return fmt.Sprintf("%s may have %d attempts running at once, and has them", where, l.Limit.GetN())
	default:
		return fmt.Sprintf("%s may begin %d attempts in %d ms, and has", where, l.Limit.GetN(), l.Limit.GetPeriodMs())
	}
}

// workers explains whether somebody could take a task of the kind; true: somebody could, now.
func (x *explainer) workers(w *WhyNot, kind string, place uint64) (free bool) {
	all, err := x.v.Sessions()
	must(err)
	var serving, elsewhere, draining []string
	var slots, left uint64
	for i := range all {
		s := &all[i]
		if s.Namespace != x.j.namespace || !slices.ContainsFunc(s.Kinds, func(k *fsmpb.TaskKind) bool { return k.GetName() == kind }) {
			continue
		}
		at := slices.IndexFunc(s.Queues, func(q QueueSlots) bool { return q.Queue == w.Queue })
		switch {
		case at < 0:
			elsewhere = append(elsewhere, s.Worker)
		case s.Draining:
			draining = append(draining, s.Worker)
		default:
			serving = append(serving, s.Worker)
			slots += uint64(s.Queues[at].Slots)
			left += uint64(s.Queues[at].Slots - min(s.Queues[at].Slots, s.Queues[at].Used))
		}
	}
	if w.Workers > 0 {
		slots, left = w.Slots, w.Free
	}
	switch {
	case len(serving) == 0:
		x.add(Reason{Why: WhyNoWorker, Queue: w.Queue, Position: place, Text: noWorkerText(kind, w.Queue, elsewhere, draining)})
	case left == 0:
		x.add(Reason{Why: WhyNoFreeSlot, Queue: w.Queue, Position: place, Text: fmt.Sprintf(
			"all %d slots of the %d workers that offer task %s in queue %s are busy; place %s in line", slots, len(serving), kind, w.Queue, placeText(w))})
	}
	return left > 0
}

func noWorkerText(kind, queue string, elsewhere, draining []string) string {
	text := "no live worker offers task " + kind + " in queue " + queue
	if len(draining) > 0 {
		text += "; shutting down: " + some(draining)
	}
	if len(elsewhere) > 0 {
		text += "; it is offered in other queues by " + some(elsewhere)
	}
	return text
}

// some lists a few of many names.
func some(names []string) string {
	slices.Sort(names)
	if n := len(names); n > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", n-5)
	}
	return strings.Join(names, ", ")
}

// group explains a map or fold step as a whole.
func (x *explainer) group() {
	s := &x.j.steps[x.step]
	b := x.v.disk.get(keyGroup(x.j.id, x.step))
	if b == nil || s.state.Ended() || s.state == TaskBlocked || s.state == TaskScheduled {
		x.task(x.j.ref(x.step), &s.task)
		return
	}
	g := decodeGroup(b)
	if g.queued {
		x.pending(TaskRef{Job: x.j.id, Step: x.step, Shard: groupShard})
	} else if g.waiting() > 0 {
		x.parallel(g)
	}
	x.live(g)
}

func (x *explainer) parallel(g *group) {
	x.add(Reason{Why: WhyParallel, Text: fmt.Sprintf("%d items of the step are live, as many as MaxParallel allows", g.live)})
}

// live says what the tasks of a group do that have records.
func (x *explainer) live(g *group) {
	if g.retry > 0 {
		x.add(Reason{Why: WhyRetry, Text: fmt.Sprintf("%d of its tasks wait for another attempt", g.retry)})
	}
	if g.held > 0 {
		x.add(Reason{Why: WhyRunning, Queue: x.sp.opts.Queue, Text: fmt.Sprintf("%d of its tasks are running, %d are done", g.held, g.ok)})
	}
	if waits := g.live - g.held - g.retry; waits > 0 && len(x.e.Reasons) == 0 {
		x.add(Reason{Why: WhyInLine, Queue: x.sp.opts.Queue, Text: fmt.Sprintf("%d of its tasks wait for a slot", waits)})
	}
	if len(x.e.Reasons) == 0 {
		x.add(Reason{Why: WhyChildren, Text: "the values that it folds are not there yet"})
	}
}

// shard explains one item of a map, or one node of a fold.
func (x *explainer) shard(n uint64) error {
	s, ref := &x.j.steps[x.step], TaskRef{Job: x.j.id, Step: x.step, Shard: n}
	x.e.Shard = n
	if b := x.v.disk.get(keyTask(ref)); b != nil {
		x.task(ref, decodeTask(slices.Clone(b)))
		return nil
	}
	if b := x.v.disk.get(keyResult(ref)); b != nil {
		x.e.State = TaskSuccess
		x.add(Reason{Why: WhyDone, Text: "it has succeeded"})
		return nil
	}
	b := x.v.disk.get(keyGroup(x.j.id, x.step))
	if b == nil {
		x.task(x.j.ref(x.step), &s.task) // the step has not begun
		x.e.Shard = n
		return nil
	}
	g := decodeGroup(b)
	at := n
	if x.sp.step.Kind == dag.StepFold {
		node := dag.NodeOf(n)
		tree := g.tree(&x.sp.opts)
		if node.Level < 1 || node.Level > tree.Levels() || node.Index >= max(1, tree.Width(node.Level)) {
			return ErrNotFound
		}
		if node.Level > 1 || g.limit == 0 {
			x.e.State = TaskBlocked
			x.add(Reason{Why: WhyChildren, Text: "the values that it folds are not there yet"})
			return nil
		}
		at = node.Index
	} else if n >= g.total {
		return ErrNotFound
	}
	x.e.State = TaskPending
	if s.state.Ended() {
		x.e.State = s.state
	}
	if at > g.next {
		x.add(Reason{Why: WhyNotMade, Position: at - g.next + 1, Text: fmt.Sprintf("%d items of the list come before it", at-g.next)})
	}
	switch {
	case s.state.Ended():
	case g.queued:
		x.pending(TaskRef{Job: x.j.id, Step: x.step, Shard: groupShard})
	case g.waiting() > 0:
		x.parallel(g)
	}
	return nil
}
