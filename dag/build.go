package dag

import "fmt"

// Builder collects the steps of a graph. Nothing fails before Build, which reports every problem
// together, so that a workflow is mended in one go. The zero value is not usable; see NewBuilder.
//
// Steps may be added in any order: a step may name one that is added later.
type Builder struct {
	name   string
	steps  []Step
	output Expr
}

// NewBuilder starts a graph of the name, 1-255 bytes of [A-Za-z0-9._/-].
func NewBuilder(name string) *Builder {
	return &Builder{name: name}
}

// Task adds a step of one task and returns the expression of its result. s.Name and s.Kind are set
// from the call.
func (b *Builder) Task(name string, s Step) Expr {
	return b.add(name, StepTask, s)
}

// Map adds a step with one task for each item of s.Input, and returns the list of their results in
// item order.
func (b *Builder) Map(name string, s Step) Expr {
	return b.add(name, StepMap, s)
}

// Fold adds a step that reduces the list s.Input to one value by a tree of tasks, and returns it.
func (b *Builder) Fold(name string, s Step) Expr {
	return b.add(name, StepFold, s)
}

func (b *Builder) add(name string, kind StepKind, s Step) Expr {
	s.Name, s.Kind = name, kind
	b.steps = append(b.steps, s)
	return Result(name)
}

// Output says what the job returns. The last call counts; without one, Build reports it.
func (b *Builder) Output(e Expr) {
	b.output = e
}

// Build checks everything that was added and returns the graph with its steps in order: each step
// after those that it needs, and otherwise as early as it was added. The error joins all problems.
// The graph shares no memory with the builder, which may be used on.
func (b *Builder) Build() (*Graph, error) {
	var p problems
	g := &Graph{Name: b.name, Steps: make([]Step, len(b.steps))}
	for i, s := range b.steps {
		s.Input = copyExpr(s.Input, &p, &s)
		s.After = append([]string(nil), s.After...)
		g.Steps[i] = s
	}
	g.Output = copyExpr(b.output, &p, output)
	if err := p.join(); err != nil {
		return nil, err // expressions that cannot even be walked
	}
	validate(g, &p)
	order, cycle := sortSteps(needs(g))
	if cycle != nil {
		p.addf(nil, "%s", cycleText(g, cycle))
		return nil, p.join()
	}
	if err := p.join(); err != nil {
		return nil, err
	}
	sorted := make([]Step, len(order))
	for at, i := range order {
		sorted[at] = g.Steps[i]
	}
	g.Steps = sorted
	g.link()
	if size := len(Encode(g)); size > MaxEncoded {
		return nil, fmt.Errorf("dag: the graph takes %d bytes, the limit is %d: pass large constants as the job's input", size, MaxEncoded)
	}
	return g, nil
}
