package dag

import "fmt"

// Len is the number of steps.
func (g *Graph) Len() int { return len(g.Steps) }

// Step returns the step; it must not be changed. It panics when there is no such id, as an index does.
func (g *Graph) Step(id StepID) *Step { return &g.Steps[id] }

// Lookup finds a step by its name.
func (g *Graph) Lookup(name string) (StepID, bool) {
	id, ok := g.index[name]
	return id, ok
}

// Dependencies are the steps that must be done before this one, ascending, each once. The caller
// must not change the slice.
func (g *Graph) Dependencies(id StepID) []StepID { return g.deps[id] }

// Dependents are the steps that wait for this one, ascending, each once. The caller must not change
// the slice.
func (g *Graph) Dependents(id StepID) []StepID { return g.dependents[id] }

// Streams reports whether a step is a fold directly over a map's results: it may take each result as
// it lands, while the map still runs.
func (g *Graph) Streams(id StepID) bool {
	s := &g.Steps[id]
	return s.Kind == StepFold && s.Input.Op == OpStep && g.Steps[s.Input.id].Kind == StepMap
}

// Release tells what becomes runnable when the step done is done, in ascending order.
//
// The naive way looks at every dependency of every waiting step, which costs the whole graph for each
// completion. Here the caller keeps one number per step, how many dependencies are not done, which
// starts as len(Dependencies(id)); waiting takes one off and returns what is left. A completion costs
// the out-degree of its step, and a job all its edges once.
//
// The caller must release each step once. A number below zero means that it did not, which is a bug,
// and Release panics.
func (g *Graph) Release(done StepID, waiting func(StepID) (left int), ready func(StepID)) {
	for _, d := range g.dependents[done] {
		switch left := waiting(d); {
		case left == 0:
			ready(d)
		case left < 0:
			panic(fmt.Sprintf("dag: step %q was released by %q more often than it has dependencies", g.Steps[d].Name, g.Steps[done].Name))
		}
	}
}
