package dag

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// sortSteps orders steps 0..len(needs)-1 so that each comes after those it needs, and otherwise the
// one with the smallest number first: the order depends on nothing but the graph. When there is no
// order, it returns a cycle instead: each step of it needs the next, and the last needs the first.
func sortSteps(needs [][]StepID) (order, cycle []StepID) {
	left := make([]int, len(needs))
	wanted := make([][]StepID, len(needs))
	var ready idHeap
	for i, deps := range needs {
		left[i] = len(deps)
		for _, d := range deps {
			wanted[d] = append(wanted[d], StepID(i))
		}
		if len(deps) == 0 {
			ready = append(ready, StepID(i)) // ascending, so already a heap
		}
	}
	for len(ready) > 0 {
		next := heap.Pop(&ready).(StepID)
		order = append(order, next)
		for _, w := range wanted[next] {
			if left[w]--; left[w] == 0 {
				heap.Push(&ready, w)
			}
		}
	}
	if len(order) == len(needs) {
		return order, nil
	}
	return nil, findCycle(needs, left)
}

// findCycle walks from the first step that is still waiting to a step it waits for, and so on. Every
// waiting step waits for another waiting one, so the walk must come back to a step it has seen.
func findCycle(needs [][]StepID, left []int) []StepID {
	at := StepID(slices.IndexFunc(left, func(n int) bool { return n > 0 }))
	seen := map[StepID]int{}
	var path []StepID
	for {
		if from, ok := seen[at]; ok {
			return path[from:]
		}
		seen[at] = len(path)
		path = append(path, at)
		next := slices.IndexFunc(needs[at], func(d StepID) bool { return left[d] > 0 })
		at = needs[at][next]
	}
}

// maxCycleNames bounds the names in an error about a cycle.
const maxCycleNames = 20

func cycleText(g *Graph, cycle []StepID) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the steps wait for each other in a cycle, so none can start: ")
	for _, id := range cycle[:min(len(cycle), maxCycleNames)] {
		b.WriteString(g.Steps[id].Name + " -> ")
	}
	if len(cycle) > maxCycleNames {
		fmt.Fprintf(&b, "(%d more) -> ", len(cycle)-maxCycleNames)
	}
	b.WriteString(g.Steps[cycle[0]].Name + ": take out one of these dependencies")
	return b.String()
}

// needs lists, per step, the steps that its expressions and After name: ascending, without repeats.
// Names that do not exist are left out; validate reports them. Of two steps of one name, the first
// is meant.
func needs(g *Graph) [][]StepID {
	index := indexSteps(g)
	all := make([][]StepID, len(g.Steps))
	for i := range g.Steps {
		s := &g.Steps[i]
		var deps []StepID
		add := func(name string) {
			if id, ok := index[name]; ok {
				deps = append(deps, id)
			}
		}
		s.Input.walk(func(e *Expr) {
			if e.Op == OpStep {
				add(e.Step)
			}
		})
		for _, name := range s.After {
			add(name)
		}
		slices.Sort(deps)
		all[i] = slices.Compact(deps)
	}
	return all
}

func indexSteps(g *Graph) map[string]StepID {
	index := make(map[string]StepID, len(g.Steps))
	for i := range g.Steps {
		if _, twice := index[g.Steps[i].Name]; !twice {
			index[g.Steps[i].Name] = StepID(i)
		}
	}
	return index
}

// checkOrder reports a cycle, or else every step that comes before one it needs.
func checkOrder(g *Graph, p *problems) {
	all := needs(g)
	if _, cycle := sortSteps(all); cycle != nil {
		p.addf(nil, "%s", cycleText(g, cycle))
		return
	}
	for i, deps := range all {
		if n := len(deps); n > 0 && int(deps[n-1]) > i {
			p.addf(&g.Steps[i], "comes before the step %q that it needs: list the steps in order, as Builder.Build does", g.Steps[deps[n-1]].Name)
		}
	}
}

// link fills what is derived from Steps and Output. Precondition: the graph is valid and in order.
func (g *Graph) link() {
	g.index = indexSteps(g)
	g.deps = needs(g)
	g.dependents = make([][]StepID, len(g.Steps))
	resolve := func(e *Expr) {
		if e.Op == OpStep {
			e.id = g.index[e.Step]
		}
	}
	for i := range g.Steps {
		g.Steps[i].Input.walk(resolve)
		for _, d := range g.deps[i] {
			g.dependents[d] = append(g.dependents[d], StepID(i))
		}
	}
	g.Output.walk(resolve)
}

// idHeap is a heap with the smallest id on top.
type idHeap []StepID

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(StepID)) }
func (h *idHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
