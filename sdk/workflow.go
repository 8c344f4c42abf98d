package sdk

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/fanfold/fanfold/dag"
)

// Unit is what can be a step of a workflow by Then: a *Task or a *Workflow. It cannot be implemented
// outside this package.
type Unit[In, Out any] interface {
	Registrable
	// Name is the unit's name.
	Name() string
	unit(In) Out
	addTo(in anchor, at string, opts []StepOption) anchor
}

// Workflow is a typed graph of steps. It is a value: built once, immutable, safe for concurrent use. A
// job keeps the graph that it was submitted with, whatever later versions of the program say.
type Workflow[In, Out any] struct {
	name     string
	graph    *dag.Graph
	encoded  []byte
	tasks    []*taskCore
	defaults []SubmitOption // of all its jobs
}

// NewWorkflow builds a workflow. build is called once, now; it connects steps and must do nothing
// else. NewWorkflow panics when the graph is wrong, with every mistake and where it was made; in a
// test, Check returns them instead.
func NewWorkflow[In, Out any](name string, build func(in Ref[In]) Ref[Out], opts ...WorkflowOption) *Workflow[In, Out] {
	w, err := buildWorkflow(name, build, opts, caller(1))
	if err != nil {
		panic(err.Error())
	}
	return w
}

// Check is NewWorkflow that returns all mistakes, joined, in place of a panic.
func Check[In, Out any](name string, build func(in Ref[In]) Ref[Out], opts ...WorkflowOption) error {
	_, err := buildWorkflow(name, build, opts, caller(1))
	return err
}

func buildWorkflow[In, Out any](name string, build func(in Ref[In]) Ref[Out], opts []WorkflowOption, at string) (*Workflow[In, Out], error) {
	b := newBuilder(name, opts, at)
	out := build(Ref[In]{at: anchor{b: b, expr: dag.Expr{Op: dag.OpInput}}})
	graph, encoded, err := b.finish(out.at)
	if err != nil {
		return nil, fmt.Errorf("sdk: workflow %s:\n%w", name, err)
	}
	return &Workflow[In, Out]{name: name, graph: graph, encoded: encoded, tasks: b.tasks, defaults: defaultsOf(b.defaults.job)}, nil
}

// Name is the workflow's name.
func (w *Workflow[In, Out]) Name() string { return w.name }

// Graph is the workflow as it is stored: the JSON of its graph.
func (w *Workflow[In, Out]) Graph() []byte { return append([]byte(nil), w.encoded...) }

// Submit starts a job. When it returns without an error the job is stored by a majority of the cluster
// and will reach an end, whoever dies. Submit draws an id first and keeps it through all its retries, so
// a job is created once or not at all. An error that Is ErrOutcomeUnknown says that the deadline came
// between the two: submitting again with the same JobID is safe. Without a deadline in ctx the call
// gives up after 30 s. Concurrent calls travel in one message.
func (w *Workflow[In, Out]) Submit(ctx context.Context, c *Client, in In, opts ...SubmitOption) (*Job[Out], error) {
	return submit[In, Out](ctx, c, w.encoded, in, append(w.submitDefaults(), opts...))
}

// Attach is the handle of a job that was submitted before, maybe by another program. It asks nothing:
// an unknown id shows at the first call.
func (w *Workflow[In, Out]) Attach(c *Client, id string) *Job[Out] {
	return &Job[Out]{id: id, client: c}
}

func (w *Workflow[In, Out]) submitDefaults() []SubmitOption { return w.defaults }

func (w *Workflow[In, Out]) encodedGraph() ([]byte, error) { return w.encoded, nil }

func (w *Workflow[In, Out]) unit(In) (out Out)  { return out }
func (w *Workflow[In, Out]) cores() []*taskCore { return w.tasks }

func (w *Workflow[In, Out]) addTo(in anchor, at string, opts []StepOption) anchor {
	return inline(in, at, w.graph, w.tasks, applyStep(opts))
}

// Ref stands for a value that a job will have: the input, or what a step returns. It exists only while
// its workflow is built.
type Ref[T any] struct {
	_  [0]func(T) // two Refs of different types do not convert into each other
	at anchor
}

// Anchor is any Ref, where only the place in the graph matters.
type Anchor interface{ anchor() anchor }

func (r Ref[T]) anchor() anchor { return r.at }

// anchor is a Ref without its type. A bad one carries what is wrong with it along, until a verb or the
// end of a live builder can report it.
type anchor struct {
	b    *builder
	expr dag.Expr
	err  error
}

// live returns the builder to which a step over this value belongs, or what is wrong with the value.
func (a anchor) live(at string) (*builder, error) {
	switch {
	case a.err != nil:
		return nil, a.err
	case a.b == nil:
		return nil, fmt.Errorf("%s: the Ref is a zero value: it belongs to no workflow", at)
	case a.b.done:
		return nil, fmt.Errorf("%s: the Ref belongs to workflow %s, which is finished; pass values between workflows by Then", at, a.b.name)
	}
	return a.b, nil
}

func ref[T any](a anchor) Ref[T] { return Ref[T]{at: a} }

// encodeGraph checks a graph by reading back what was written, as the server does.
func encodeGraph(g *dag.Graph) (*dag.Graph, []byte, error) {
	data := dag.Encode(g)
	checked, err := dag.Decode(data)
	if err != nil {
		return nil, nil, err
	}
	return checked, data, nil
}

// checkList reports why values of a type cannot be gone over as a list.
func checkList(t reflect.Type) error {
	switch {
	case isBytes(t):
		return errors.New("a []byte is one JSON string and not a list; use a slice of another type")
	case implements(t, jsonMarshaler), implements(t, textMarshaler):
		return fmt.Errorf("%v encodes itself, so it cannot be gone over as a list", t)
	}
	return nil
}
