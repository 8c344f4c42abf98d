package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/fanfold/fanfold/dag"
)

// Func is what a task does. It may run more than once for one task: a worker can die after the effect
// and before the report. Key gives outside systems what they need to tell a second try from a second
// wish. Any error is retried by the task's policy; Permanent, RetryAfter and Snooze say otherwise.
type Func[In, Out any] func(ctx context.Context, in In) (Out, error)

// Task is a named function with the types of its input and output. It is immutable and safe for
// concurrent use. Tasks are declared once, usually as package variables.
type Task[In, Out any] struct {
	core     *taskCore
	fn       Func[In, Out]
	opts     []TaskOption
	options  dag.Options    // of its step
	defaults []SubmitOption // of all jobs of this task

	single sync.Once // guards graph and err, which the first Submit makes
	graph  []byte
	err    error
}

// taskCore is what copies of a task (With) share, without the types.
type taskCore struct {
	name  string
	types string // fingerprint
	// run decodes, calls and encodes. nil: the task is only declared. Its errors are outcomes, not faults.
	run func(ctx context.Context, input []byte) ([]byte, error)
	// bound: made by Bind, it takes the place of the task's own function in a worker.
	bound bool
}

// NewTask declares a task and its function. The name is the contract between programs, stored with
// every job: it must not change while jobs are alive. NewTask panics on a bad name, on a bad option,
// and on types that JSON cannot carry, because each is a mistake in the program's text.
func NewTask[In, Out any](name string, fn Func[In, Out], opts ...TaskOption) *Task[In, Out] {
	if fn == nil {
		panic(fmt.Sprintf("sdk: %s: task %s has no function; use Declare for a contract alone", caller(1), name))
	}
	return newTask(name, fn, opts, caller(1))
}

// Declare is a task without its function: for a program that submits and does not run it, for a
// function in another language, or to be bound later. Mistakes panic as in NewTask.
func Declare[In, Out any](name string, opts ...TaskOption) *Task[In, Out] {
	return newTask[In, Out](name, nil, opts, caller(1))
}

func newTask[In, Out any](name string, fn Func[In, Out], opts []TaskOption, at string) *Task[In, Out] {
	in, out := reflect.TypeFor[In](), reflect.TypeFor[Out]()
	var bad []string
	if !validName(name) {
		bad = append(bad, fmt.Sprintf("name %q: %s", name, nameRule))
	}
	for _, t := range []reflect.Type{in, out} {
		if strings.Contains(shapeOf(t), "invalid:") {
			bad = append(bad, fmt.Sprintf("type %v holds a channel, function or complex number, which JSON cannot carry", t))
		}
	}
	t := &Task[In, Out]{core: &taskCore{name: name, types: fingerprint(in, out)}, opts: opts}
	for _, err := range t.settle() {
		bad = append(bad, err.Error())
	}
	if len(bad) > 0 {
		panic(fmt.Sprintf("sdk: %s: task %s: %s", at, name, strings.Join(bad, "; ")))
	}
	if fn != nil {
		t.fn, t.core.run = fn, runner(fn)
	}
	return t
}

// Bind gives a declared task its function, for a worker's Register. The function may be a closure over
// what it needs. A task that has a function already gets this one in its place, for that worker.
func (t *Task[In, Out]) Bind(fn Func[In, Out]) Registrable {
	core := *t.core
	core.run, core.bound = runner(fn), true
	return bound{&core}
}

// With is a copy of the task with further options: same name, same function.
func (t *Task[In, Out]) With(opts ...TaskOption) *Task[In, Out] {
	all := append(append([]TaskOption(nil), t.opts...), opts...)
	c := &Task[In, Out]{core: t.core, fn: t.fn, opts: all}
	if errs := c.settle(); len(errs) > 0 {
		panic(fmt.Sprintf("sdk: %s: task %s: %v", caller(1), t.core.name, errs))
	}
	return c
}

// Name is the task's name.
func (t *Task[In, Out]) Name() string { return t.core.name }

// Func is the task's function, nil if it is only declared. A unit test may call it without a cluster.
func (t *Task[In, Out]) Func() Func[In, Out] { return t.fn }

// Submit runs the task by itself: a job of one step. See Workflow.Submit for what it guarantees.
func (t *Task[In, Out]) Submit(ctx context.Context, c *Client, in In, opts ...SubmitOption) (*Job[Out], error) {
	graph, err := t.encodedGraph()
	if err != nil {
		return nil, err
	}
	return submit[In, Out](ctx, c, graph, in, append(t.submitDefaults(), opts...))
}

// Attach is the handle of a job of this task that was submitted before, maybe by another program. It
// asks nothing: an unknown id shows at the first call.
func (t *Task[In, Out]) Attach(c *Client, id string) *Job[Out] { return &Job[Out]{id: id, client: c} }

// encodedGraph is the graph of the job of one step.
func (t *Task[In, Out]) encodedGraph() ([]byte, error) {
	t.single.Do(func() {
		step := dag.Step{
			Name: t.core.name, Kind: dag.StepTask, Task: t.core.name, Types: t.core.types,
			Input: dag.Expr{Op: dag.OpInput}, Options: t.options,
		}
		out := dag.Expr{Op: dag.OpStep, Step: step.Name}
		_, t.graph, t.err = encodeGraph(&dag.Graph{Name: t.core.name, Steps: []dag.Step{step}, Output: out})
	})
	return t.graph, t.err
}

func (t *Task[In, Out]) submitDefaults() []SubmitOption { return t.defaults }

// defaultsOf is what others append to, each for itself.
func defaultsOf(job []JobOption) (opts []SubmitOption) {
	for _, o := range job {
		opts = append(opts, o)
	}
	return slices.Clip(opts)
}

// settle reads the task's options, once: a task is submitted more often than it is declared.
func (t *Task[In, Out]) settle() []error {
	var s settings
	for _, o := range t.opts {
		o.taskOption(&s)
	}
	t.options, t.defaults = s.options, defaultsOf(s.job)
	return s.errs
}

func (t *Task[In, Out]) unit(In) (out Out)  { return out }
func (t *Task[In, Out]) cores() []*taskCore { return []*taskCore{t.core} }

func (t *Task[In, Out]) addTo(in anchor, at string, opts []StepOption) anchor {
	return addStep(in, at, stepSpec{kind: dag.StepTask, core: t.core, task: applyTask(t.opts), step: applyStep(opts)})
}

// Registrable is what a worker can run: a task, a bound task, or a workflow, which stands for its tasks.
type Registrable interface{ cores() []*taskCore }

type bound struct{ core *taskCore }

func (b bound) cores() []*taskCore { return []*taskCore{b.core} }

// runner is the function behind its encoding. A value that does not decode is no reason to try again.
func runner[In, Out any](fn Func[In, Out]) func(context.Context, []byte) ([]byte, error) {
	encode := encoder[Out]()
	return func(ctx context.Context, input []byte) (result []byte, err error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, Permanent(&CodecError{What: "input", Type: reflect.TypeFor[In]().String(), Err: err})
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		result, err = encode(out)
		if err != nil {
			return nil, Permanent(&CodecError{What: "result", Type: reflect.TypeFor[Out]().String(), Err: err})
		}
		return result, nil
	}
}

// CodecError says that a value does not fit its Go type: the task's types have changed under jobs that
// were alive, or a graph was written by hand.
type CodecError struct {
	What string // "input" or "result"
	Type string
	Err  error
}

func (e *CodecError) Error() string {
	return fmt.Sprintf("the %s does not fit %s: %v", e.What, e.Type, e.Err)
}

func (e *CodecError) Unwrap() error { return e.Err }

// PanicError is a panic of a task's function. It is retried like any error.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// encoder returns how T is written. A nil slice becomes [], so that a task which found nothing has
// produced an empty list and not null, over which nobody can map.
func encoder[T any]() func(T) ([]byte, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Slice || isBytes(t) || implements(t, jsonMarshaler) || implements(t, textMarshaler) {
		return func(v T) ([]byte, error) { return json.Marshal(v) }
	}
	return func(v T) ([]byte, error) {
		if reflect.ValueOf(&v).Elem().IsNil() {
			return []byte("[]"), nil
		}
		return json.Marshal(v)
	}
}

// encodeAny is encoder for a value whose type is not known before.
func encodeAny(v any) ([]byte, error) {
	if t := reflect.ValueOf(v); t.Kind() == reflect.Slice && t.IsNil() && !isBytes(t.Type()) &&
		!implements(t.Type(), jsonMarshaler) && !implements(t.Type(), textMarshaler) {
		return []byte("[]"), nil
	}
	return json.Marshal(v)
}

func decode(data []byte, into any) error {
	if len(data) == 0 {
		data = []byte("null")
	}
	return json.Unmarshal(data, into)
}
