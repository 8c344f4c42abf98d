package sdk

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/fanfold/fanfold/dag"
)

// builder collects the steps of one workflow while its build function runs. It belongs to that one
// goroutine. Mistakes are collected with the line that made them, so that a person sees all at once.
type builder struct {
	name     string
	defaults settings // from the workflow's options
	steps    []dag.Step
	where    []string        // per step: file:line
	names    map[string]bool // steps, and prefixes of nested workflows with a slash at the end
	tasks    []*taskCore
	errs     []error
	done     bool // build has returned: Refs of this builder are dead
}

func newBuilder(name string, opts []WorkflowOption, at string) *builder {
	b := &builder{name: name, names: map[string]bool{}}
	if !validName(name) {
		b.fail(at, "workflow name %q: %s", name, nameRule)
	}
	for _, o := range opts {
		o.workflowOption(&b.defaults)
	}
	b.failAll(at, b.defaults.errs)
	b.defaults.errs = nil
	return b
}

func (b *builder) fail(at, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func (b *builder) failAll(at string, errs []error) {
	for _, err := range errs {
		b.errs = append(b.errs, fmt.Errorf("%s: %w", at, err))
	}
}

// failed is the value of a verb that could not do its work: the mistake is recorded here, and what is
// built on the value adds nothing to it.
func (b *builder) failed() anchor { return anchor{b: b, err: errReported} }

// errReported marks a value whose mistake is in a live builder's list already.
var errReported = errors.New("sdk: reported")

// stepSpec is a verb's step, before defaults and name.
type stepSpec struct {
	kind  dag.StepKind
	core  *taskCore
	merge *taskCore // FoldTo
	list  error     // what is wrong with the input as a list
	task  func(*settings)
	step  func(*settings)
}

func applyTask(opts []TaskOption) func(*settings) {
	return func(s *settings) {
		for _, o := range opts {
			o.taskOption(s)
		}
	}
}

func applyStep(opts []StepOption) func(*settings) {
	return func(s *settings) {
		for _, o := range opts {
			o.stepOption(s)
		}
	}
}

// addStep appends a step over the value in, and returns the value that it makes.
func addStep(in anchor, at string, spec stepSpec) anchor {
	b, err := in.live(at)
	if err != nil {
		return anchor{b: in.b, err: err}
	}
	s := settings{options: b.defaults.options}
	spec.task(&s)
	spec.step(&s)
	if spec.list != nil {
		s.errs = append(s.errs, spec.list)
	}
	b.failAll(at, s.errs)
	step := dag.Step{
		Name: b.stepName(at, s.name, spec.core.name), Kind: spec.kind,
		Task: spec.core.name, Types: spec.core.types,
		Input: in.expr, Options: s.options, After: b.afterNames(at, s.after),
	}
	b.addTask(spec.core)
	if spec.merge != nil {
		step.Merge, step.MergeTypes = spec.merge.name, spec.merge.types
		b.addTask(spec.merge)
	}
	b.steps = append(b.steps, step)
	b.where = append(b.where, at)
	return anchor{b: b, expr: dag.Expr{Op: dag.OpStep, Step: step.Name}}
}

func (b *builder) addTask(core *taskCore) {
	if !slices.Contains(b.tasks, core) {
		b.tasks = append(b.tasks, core)
	}
}

// stepName takes the name that was asked for, or makes one from fallback.
func (b *builder) stepName(at, asked, fallback string) string {
	if asked != "" && b.names[asked] {
		b.fail(at, "step name %s is taken", asked)
	}
	name := asked
	if name == "" {
		name = fallback
		for n := 2; b.names[name]; n++ {
			name = fallback + "-" + strconv.Itoa(n)
		}
	}
	b.names[name] = true
	return name
}

func (b *builder) afterNames(at string, after []anchor) []string {
	var names []string
	for _, a := range after {
		switch other, err := a.live(at); {
		case errors.Is(err, errReported):
		case err != nil:
			b.errs = append(b.errs, err)
		case other != b:
			b.fail(at, "After has a Ref of workflow %s", other.name)
		default:
			walkSteps(&a.expr, func(name string) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			})
		}
	}
	slices.Sort(names)
	return names
}

// finish checks the whole and makes the graph.
func (b *builder) finish(out anchor) (*dag.Graph, []byte, error) {
	switch owner, err := out.live("result"); {
	case errors.Is(err, errReported):
	case err != nil:
		b.errs = append(b.errs, err)
	case owner != b:
		b.errs = append(b.errs, fmt.Errorf("the returned Ref belongs to workflow %s", owner.name))
	default:
		b.findUnused(&out.expr)
	}
	b.done = true
	if len(b.errs) > 0 {
		return nil, nil, errors.Join(b.errs...)
	}
	return encodeGraph(&dag.Graph{Name: b.name, Steps: b.steps, Output: out.expr})
}

// findUnused reports steps that the output does not need: work for nothing, most often a forgotten line.
func (b *builder) findUnused(out *dag.Expr) {
	used := map[string]bool{}
	mark := func(name string) { used[name] = true }
	walkSteps(out, mark)
	for i := len(b.steps) - 1; i >= 0; i-- {
		if s := &b.steps[i]; used[s.Name] {
			walkSteps(&s.Input, mark)
			for _, name := range s.After {
				used[name] = true
			}
		}
	}
	for i, s := range b.steps {
		if !used[s.Name] {
			b.fail(b.where[i], "step %s is not used: return its value, pass it on, or order a later step by After", s.Name)
		}
	}
}

// walkSteps calls f for every step that e refers to.
func walkSteps(e *dag.Expr, f func(name string)) {
	if e.Op == dag.OpStep {
		f(e.Step)
	}
	for i := range e.Fields {
		walkSteps(&e.Fields[i].Of, f)
	}
	if e.Of != nil {
		walkSteps(e.Of, f)
	}
}

// caller is where the user called the exported function that is skip frames above, as dir/file.go:line.
func caller(skip int) string {
	_, file, line, ok := runtime.Caller(skip + 1)
	if !ok {
		return "unknown place"
	}
	dir, base := filepath.Split(file)
	return filepath.Base(dir) + "/" + base + ":" + strconv.Itoa(line)
}
