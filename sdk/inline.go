package sdk

import (
	"reflect"
	"strconv"

	"github.com/fanfold/fanfold/dag"
)

// inline puts a copy of a finished workflow's steps into the builder of in, so that a nested workflow
// costs nothing at run time: no job of its own, no hand-over, and one place to look at. Its steps get
// the prefix "name/"; its input becomes the value in.
func inline(in anchor, at string, g *dag.Graph, tasks []*taskCore, step func(*settings)) anchor {
	b, err := in.live(at)
	if err != nil {
		return anchor{b: in.b, err: err}
	}
	var s settings
	step(&s)
	b.failAll(at, s.errs)
	after := b.afterNames(at, s.after)
	c := copier{prefix: b.prefix(at, s.name, g.Name), input: in.expr}
	for i := range g.Steps {
		copied := c.step(&g.Steps[i])
		if len(copied.After) == 0 && !refersToSteps(&g.Steps[i].Input) {
			copied.After = after // a first step of the nested workflow: the others wait for it
		}
		overlay(&copied.Options, b.defaults.options, s.options)
		b.names[copied.Name] = true
		b.steps = append(b.steps, copied)
		b.where = append(b.where, at)
	}
	for _, t := range tasks {
		b.addTask(t)
	}
	return anchor{b: b, expr: c.expr(&g.Output)}
}

// prefix makes the unique prefix of a nested workflow's steps.
func (b *builder) prefix(at, asked, fallback string) string {
	if asked != "" && b.names[asked+"/"] {
		b.fail(at, "step name %s is taken", asked)
	}
	name := asked
	if name == "" {
		name = fallback
		for n := 2; b.names[name+"/"]; n++ {
			name = fallback + "-" + strconv.Itoa(n)
		}
	}
	b.names[name+"/"] = true
	return name + "/"
}

func refersToSteps(e *dag.Expr) bool {
	found := false
	walkSteps(e, func(string) { found = true })
	return found
}

// copier rewrites a nested workflow for its new place.
type copier struct {
	prefix string
	input  dag.Expr
}

func (c copier) step(s *dag.Step) dag.Step {
	copied := *s
	copied.Name = c.prefix + s.Name
	copied.Input = c.expr(&s.Input)
	copied.After = nil
	for _, name := range s.After {
		copied.After = append(copied.After, c.prefix+name)
	}
	return copied
}

func (c copier) expr(e *dag.Expr) dag.Expr {
	switch e.Op {
	case dag.OpInput:
		return c.input
	case dag.OpStep:
		return dag.Expr{Op: dag.OpStep, Step: c.prefix + e.Step}
	}
	copied := dag.Expr{Op: e.Op, Value: e.Value, N: e.N}
	for _, f := range e.Fields {
		copied.Fields = append(copied.Fields, dag.Field{Name: f.Name, Of: c.expr(&f.Of)})
	}
	if e.Of != nil {
		of := c.expr(e.Of)
		copied.Of = &of
	}
	return copied
}

// overlay fills what the nested step leaves open from the outer workflow's defaults, and replaces what
// the options at the nested workflow's place say. Only options that are allowed there matter.
func overlay(o *dag.Options, defaults, given dag.Options) {
	pick(&o.Queue, defaults.Queue, given.Queue)
	pick(&o.Priority, defaults.Priority, given.Priority)
	pick(&o.TimeoutMS, defaults.TimeoutMS, given.TimeoutMS)
	pick(&o.HardTimeoutMS, defaults.HardTimeoutMS, given.HardTimeoutMS)
	pick(&o.HeartbeatMS, defaults.HeartbeatMS, given.HeartbeatMS)
	pick(&o.Retry, defaults.Retry, given.Retry)
}

func pick[T any](field *T, fallback, given T) {
	if reflect.ValueOf(field).Elem().IsZero() {
		*field = fallback
	}
	if !reflect.ValueOf(&given).Elem().IsZero() {
		*field = given
	}
}
