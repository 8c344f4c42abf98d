package checker

import (
	"fmt"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// order folds the log over what may run when. total is how many tasks a map or fold step has, as the last state
// has it; ok is false when that is not known.
func order(all []event, total func(fsm.JobID, uint32) (n uint64, ok bool)) []evidence.Verdict {
	parents := evidence.Verdict{ID: "D1", Rule: "no task is granted before what it takes is done"}
	over := evidence.Verdict{ID: "D5", Rule: "nothing of a job is granted after its end, unless it is retried"}
	stop := evidence.Verdict{ID: "S7", Rule: "no task is granted after its job was canceled"}
	due := evidence.Verdict{ID: "T1", Rule: "no task is granted before its job's start time"}
	items := evidence.Verdict{ID: "D2", Rule: "a map gives out each of its items, in order, without one left out"}
	once := evidence.Verdict{ID: "S1", Rule: "a job ends once, unless it is retried"}
	p := progress{graph: graphs(all), total: total, done: map[fsm.TaskRef]bool{}, missed: map[fsm.TaskRef]bool{}, sums: map[stepRef]uint64{}}
	cancels, ends, start := map[fsm.JobID]uint64{}, map[fsm.JobID]event{}, map[fsm.JobID]int64{}
	reopened := map[fsm.JobID]uint64{}
	redrives := false
	given := map[stepRef]uint64{} // items of a map, so far
	for _, e := range all {
		switch e.what {
		case submitted:
			start[e.job] = e.submit.NotBeforeMs
		case canceled:
			cancels[e.job] = e.index
		case retried:
			delete(cancels, e.job)
			delete(ends, e.job)
			delete(start, e.job)
			reopened[e.job] = e.index
		case redriven:
			redrives = true
		case ended:
			once.Count++
			if was, ok := ends[e.job]; ok && !(redrives && was.state != fsm.JobSuccess) {
				once.Violate(fmt.Sprintf("index %d: job %s ended in %s; at index %d it had ended in %s", e.index, e.job, e.state, was.index, was.state))
			}
			if reopened[e.job] != e.index { // else it was retried in the entry of its end
				ends[e.job] = e
			}
		case completed:
			p.complete(e.ref)
		case failed:
			p.miss(e.ref)
		case revoked:
			p.miss(e.ref)
		case closed:
			p.closed = p.closed || e.lost
		case granted:
			over.Count++
			stop.Count++
			due.Count++
			if at, ok := cancels[e.job]; ok {
				stop.Violate(fmt.Sprintf("index %d: task %s is granted; its job was canceled at index %d", e.index, e.ref, at))
			}
			if was, ok := ends[e.job]; ok && !(redrives && was.state != fsm.JobSuccess) {
				over.Violate(fmt.Sprintf("index %d: task %s is granted; its job ended at index %d in %s", e.index, e.ref, was.index, was.state))
			}
			if e.nowMS < start[e.job] {
				due.Violate(fmt.Sprintf("index %d: task %s is granted %d ms before its job's start time", e.index, e.ref, start[e.job]-e.nowMS))
			}
			if g := p.graph[e.job]; g != nil {
				if of := (stepRef{e.job, e.ref.Step}); g.Step(dag.StepID(e.ref.Step)).Kind == dag.StepMap && e.ref.Shard >= given[of] {
					items.Count++
					if e.ref.Shard > given[of] {
						items.Violate(fmt.Sprintf("index %d: task %s is granted; %d items of its map were given out before it", e.index, e.ref, given[of]))
					}
					given[of] = e.ref.Shard + 1
				}
				parents.Count++
				if what := p.lacks(e.ref); what != "" {
					parents.Violate(fmt.Sprintf("index %d: task %s is granted before %s", e.index, e.ref, what))
				}
			}
		}
	}
	return []evidence.Verdict{parents, items, over, stop, due, once}
}

type stepRef struct {
	job  fsm.JobID
	step uint32
}

// progress is which tasks are done.
type progress struct {
	graph  map[fsm.JobID]*dag.Graph
	total  func(fsm.JobID, uint32) (uint64, bool)
	done   map[fsm.TaskRef]bool
	missed map[fsm.TaskRef]bool // an attempt has failed, and it is not done: a map may go on without it
	sums   map[stepRef]uint64   // done or missed tasks of a step
	closed bool                 // a worker was lost, so that any task may be missed
}

func (p *progress) complete(ref fsm.TaskRef) {
	if !p.done[ref] && !p.missed[ref] {
		p.sums[stepRef{ref.Job, ref.Step}]++
	}
	p.done[ref] = true
}

// miss counts a failed item of a map that tolerates failures as one that later steps need not wait for.
func (p *progress) miss(ref fsm.TaskRef) {
	g := p.graph[ref.Job]
	if g == nil || p.done[ref] || p.missed[ref] {
		return
	}
	if s := g.Step(dag.StepID(ref.Step)); s.Kind == dag.StepMap && tolerant(s) {
		p.missed[ref] = true
		p.sums[stepRef{ref.Job, ref.Step}]++
	}
}

func tolerant(s *dag.Step) bool {
	return s.Options.Tolerate > 0 || s.Options.Settled || len(s.Options.Retry.DiscardOn) > 0
}

// lacks says what a task that is granted should have waited for; "" = all that it takes is done.
func (p *progress) lacks(ref fsm.TaskRef) string {
	g := p.graph[ref.Job]
	s := g.Step(dag.StepID(ref.Step))
	streams := g.Streams(dag.StepID(ref.Step)) && len(g.Dependencies(dag.StepID(ref.Step))) == 1
	for _, d := range g.Dependencies(dag.StepID(ref.Step)) {
		if streams {
			continue // node by node: below
		}
		from := fsm.TaskRef{Job: ref.Job, Step: uint32(d)}
		if g.Step(d).Kind == dag.StepTask {
			if !p.done[from] {
				return "step " + g.Step(d).Name + " is done"
			}
			continue
		}
		n, ok := p.total(ref.Job, uint32(d))
		if have := p.sums[stepRef{ref.Job, uint32(d)}]; ok && have < n && !(p.closed && tolerant(g.Step(d))) {
			return fmt.Sprintf("step %s is done: %d of %d tasks are", g.Step(d).Name, have, n)
		}
	}
	if s.Kind != dag.StepFold {
		return ""
	}
	return p.lacksChildren(g, s, ref, streams)
}

// lacksChildren is lacks of a node of a fold that takes the items of its map as they land.
func (p *progress) lacksChildren(g *dag.Graph, s *dag.Step, ref fsm.TaskRef, streams bool) string {
	node := dag.NodeOf(ref.Shard)
	if !streams {
		return "" // its leaves are a list that was there, and how wide the tree over them is is not in the log
	}
	from := ref
	source := g.Dependencies(dag.StepID(ref.Step))[0]
	n, ok := p.total(ref.Job, uint32(source))
	if !ok || tolerant(g.Step(source)) {
		return ""
	}
	if node.Level == 1 {
		from.Step = uint32(source)
	}
	first, count := dag.Tree{Leaves: n, FanIn: s.Options.FanIn}.Children(node)
	for i := first; i < first+uint64(count); i++ {
		from.Shard = i
		if node.Level > 1 {
			from.Shard = dag.Node{Level: node.Level - 1, Index: i}.Shard()
		}
		if !p.done[from] {
			return fmt.Sprintf("its child %s is done", from)
		}
	}
	return ""
}
