package fsm

import (
	"github.com/fanfold/fanfold/dag"
)

// plan is a graph made ready for one namespace: numbers instead of names, defaults filled in. It is
// derived from the graph alone and cached.
type plan struct {
	graph *dag.Graph
	steps []stepPlan
}

type stepPlan struct {
	step     *dag.Step
	queue    uint32
	kind     uint32
	merge    uint32 // kind of a fold's inner nodes
	priority uint8
	opts     dag.Options
	retry    dag.Retry
}

func (s *stepPlan) plain() bool { return s.step.Kind == dag.StepTask }

// kindOf is the kind of a task of the step.
func (s *stepPlan) kindOf(ref TaskRef) uint32 {
	if s.step.Kind == dag.StepFold && ref.Shard != groupShard && dag.NodeOf(ref.Shard).Level > 1 {
		return s.merge
	}
	return s.kind
}

type planKey struct {
	graph     graphHash
	namespace string
}

const (
	// planCacheMax bounds the caches of graphs and plans; at the bound a cache is emptied and fills again.
	planCacheMax = 1024
	// planCacheSmall: a graph of more steps empties the cache too, so that it never holds many large ones.
	planCacheSmall = 500
)

// planOf makes the plan of a stored graph.
func (m *Machine) planOf(r reader, h graphHash, namespace string) *plan {
	key := planKey{h, namespace}
	if p := m.plans[key]; p != nil {
		return p
	}
	g, err := dag.Decode(r.mustGet(keyGraph(h)))
	must(err)
	return m.newPlan(key, g)
}

func (m *Machine) newPlan(key planKey, g *dag.Graph) *plan {
	if len(m.plans) >= planCacheMax || g.Len() > planCacheSmall {
		clear(m.plans)
	}
	p := &plan{graph: g, steps: make([]stepPlan, g.Len())}
	for i := range p.steps {
		s := g.Step(dag.StepID(i))
		o := s.Options.WithDefaults()
		sp := stepPlan{step: s, opts: o, retry: o.Retry.WithDefaults(), priority: o.Priority}
		sp.queue = m.names.queue(key.namespace, o.Queue).id
		sp.kind = m.names.kind(key.namespace, s.Task).id
		sp.merge = sp.kind
		if s.Merge != "" {
			sp.merge = m.names.kind(key.namespace, s.Merge).id
		}
		p.steps[i] = sp
	}
	m.plans[key] = p
	return p
}

func queuesOf(g *dag.Graph) []string {
	names := make([]string, len(g.Steps))
	for i := range g.Steps {
		names[i] = g.Steps[i].Options.WithDefaults().Queue
	}
	return names
}

func kindsOf(g *dag.Graph) (names []string) {
	kinds(g, func(name, _ string) { names = append(names, name) })
	return names
}

// kinds calls f for every task name that a graph uses, with its types.
func kinds(g *dag.Graph, f func(name, types string)) {
	for i := range g.Steps {
		s := &g.Steps[i]
		f(s.Task, s.Types)
		if s.Merge != "" {
			f(s.Merge, s.MergeTypes)
		}
	}
}
