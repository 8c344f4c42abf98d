package dag

import (
	"fmt"
	"slices"
	"strings"
)

// Parse makes a graph of its text form; errors of all steps and edges are reported together.
//
// The text form is two lines, for tests and documents:
//
//	wordcount: plan:task:wc.plan count:map merge:fold
//	plan < count < merge, plan << merge
//
// The first line has the workflow's name and the steps, each as name:kind, :task when the task has
// another name than the step, and :merge after it for a fold with one. In the second line a < b means
// that b takes the value of a, and a << b that b only comes after a; a < b < c is a < b, b < c. The
// line may be left out when there are no edges.
//
// What edges cannot say is filled in: a step without a < takes the job's input, a step with one takes
// that result, a step with several takes an object of them, named as the steps. The job returns the
// results of the steps that no other takes, by the same rule. Options and other expressions have no
// text; String shows which steps they refer to.
func Parse(text string) (*Graph, error) {
	first, second, _ := strings.Cut(strings.TrimSpace(text), "\n")
	name, list, ok := strings.Cut(first, ":")
	var p problems
	if !ok {
		p.addf(nil, "the first line has no colon: write \"name: step:kind step:kind\"")
		return nil, p.join()
	}
	var steps []Step
	for word := range strings.FieldsSeq(list) {
		part := strings.Split(word, ":")
		if len(part) < 2 || len(part) > 4 {
			p.addf(nil, "%.80q is not a step: write name:kind, name:kind:task or name:fold:task:merge", word)
			continue
		}
		s := Step{Name: part[0], Kind: StepKind(part[1]), Task: part[0]}
		if len(part) > 2 {
			s.Task = part[2]
		}
		if len(part) > 3 {
			s.Merge = part[3]
		}
		steps = append(steps, s)
	}
	takes, taken := parseEdges(second, steps, &p)
	if err := p.join(); err != nil {
		return nil, err
	}
	b := NewBuilder(strings.TrimSpace(name))
	var last []string
	for _, s := range steps {
		s.Input = resultsOf(takes[s.Name])
		b.steps = append(b.steps, s)
		if !taken[s.Name] {
			last = append(last, s.Name)
		}
	}
	b.Output(resultsOf(last))
	return b.Build()
}

// parseEdges adds the edges a << b to the steps, and returns the edges a < b.
func parseEdges(line string, steps []Step, p *problems) (takes map[string][]string, taken map[string]bool) {
	takes, taken = map[string][]string{}, map[string]bool{}
	if strings.TrimSpace(line) == "" {
		return takes, taken
	}
	for chain := range strings.SplitSeq(line, ",") {
		words := strings.Fields(chain)
		if len(words) < 3 || len(words)%2 == 0 {
			p.addf(nil, "%.80q is not a chain of edges: write a < b, with space around the sign", strings.TrimSpace(chain))
			continue
		}
		for i := 0; i+2 < len(words); i += 2 {
			from, sign, to := words[i], words[i+1], words[i+2]
			at := slices.IndexFunc(steps, func(s Step) bool { return s.Name == to })
			switch {
			case at < 0:
				p.addf(nil, "the edge %s %s %s leads to no step: add %s to the first line", from, sign, to, to)
			case sign == "<":
				takes[to] = append(takes[to], from)
				taken[from] = true
			case sign == "<<":
				steps[at].After = append(steps[at].After, from)
			default:
				p.addf(nil, "%.80q is not an edge: write < for a value, << for order only", sign)
			}
		}
	}
	return takes, taken
}

func resultsOf(steps []string) Expr {
	switch len(steps) {
	case 0:
		return Input()
	case 1:
		return Result(steps[0])
	}
	all := Expr{Op: OpObject}
	for _, s := range steps {
		all.Fields = append(all.Fields, Field{Name: s, Of: Result(s)})
	}
	return all
}

// String is the text form of the graph's structure. Parse reads it back: the names, kinds, tasks and
// edges are the same.
func (g *Graph) String() string {
	var b strings.Builder
	b.WriteString(g.Name + ":")
	for i := range g.Steps {
		s := &g.Steps[i]
		fmt.Fprintf(&b, " %s:%s", s.Name, s.Kind)
		if s.Task != s.Name || s.Merge != "" {
			b.WriteString(":" + s.Task)
		}
		if s.Merge != "" {
			b.WriteString(":" + s.Merge)
		}
	}
	if edges := g.edges(); len(edges) > 0 {
		b.WriteString("\n" + strings.Join(edges, ", "))
	}
	return b.String()
}

// edges are the edges in the order of the step they lead to; an edge goes on the chain that ends
// with its start, when that is the last one.
func (g *Graph) edges() []string {
	var chains []string
	end := ""
	edge := func(from, sign, to string) {
		if from == end {
			chains[len(chains)-1] += " " + sign + " " + to
		} else {
			chains = append(chains, from+" "+sign+" "+to)
		}
		end = to
	}
	for i := range g.Steps {
		s := &g.Steps[i]
		seen := map[string]bool{}
		s.Input.walk(func(e *Expr) {
			if e.Op == OpStep && !seen[e.Step] {
				seen[e.Step] = true
				edge(e.Step, "<", s.Name)
			}
		})
		for _, name := range s.After {
			edge(name, "<<", s.Name)
		}
	}
	return chains
}
