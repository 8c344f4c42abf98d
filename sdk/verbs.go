package sdk

import (
	"errors"
	"reflect"

	"github.com/fanfold/fanfold/dag"
)

// Then runs a task, or a nested workflow, on one value. A nested workflow's steps become steps of this
// workflow, named "nested/step".
func Then[In, Out any](in Ref[In], u Unit[In, Out], opts ...StepOption) Ref[Out] {
	return ref[Out](u.addTo(in.at, caller(1), opts))
}

// Each runs a task on every item of a list, side by side; the result is the list of results in the
// order of the items. How many items there are may be known only at run time: a million cost one log
// entry. An item that dies fails the job, unless Tolerate lets it go missing.
//
// Each takes a task and not a workflow: a nested workflow per item is not supported yet, and the
// parameter's type says so to the compiler.
func Each[In, Out any](in Ref[[]In], task *Task[In, Out], opts ...EachOption) Ref[[]Out] {
	return ref[[]Out](addEach(in.at, caller(1), task.core, task.opts, reflect.TypeFor[[]In](), opts, false))
}

// EachSettled is Each where dead items are values and not the end of the job: every item of the result
// has either its Value or its Error.
func EachSettled[In, Out any](in Ref[[]In], task *Task[In, Out], opts ...EachOption) Ref[[]Settled[Out]] {
	return ref[[]Settled[Out]](addEach(in.at, caller(1), task.core, task.opts, reflect.TypeFor[[]In](), opts, true))
}

func addEach(in anchor, at string, core *taskCore, task []TaskOption, list reflect.Type, opts []EachOption, settled bool) anchor {
	return addStep(in, at, stepSpec{
		kind: dag.StepMap, core: core, list: checkList(list), task: applyTask(task),
		step: func(s *settings) {
			for _, o := range opts {
				o.eachOption(s)
			}
			s.options.Settled = settled
			if settled && s.options.Tolerate > 0 {
				s.fail("EachSettled has no use for Tolerate: all dead items are values")
			}
		},
	})
}

// Settled is the outcome of one item of EachSettled.
type Settled[T any] struct {
	Value T             `json:"value,omitzero"`
	Error *SettledError `json:"error,omitempty"`
}

// Get returns the value, or the error of an item that died.
func (s Settled[T]) Get() (T, error) {
	if s.Error != nil {
		return s.Value, s.Error
	}
	return s.Value, nil
}

// SettledError is why an item died: its last failure.
type SettledError struct {
	Type    string `json:"type,omitempty"` // Go type of the error
	Message string `json:"message,omitempty"`
	Stack   string `json:"stack,omitempty"` // of a panic
}

func (e *SettledError) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Message
}

// Fold reduces a list to one value by a tree of tasks: each takes up to FanIn values, in order, and
// returns one. The function must be associative and take an empty list, which is what an empty input
// gives it. Directly over an Each, the fold runs while the map still does. A list of one item goes
// through the task once, too.
func Fold[T any](in Ref[[]T], task *Task[[]T, T], opts ...FoldOption) Ref[T] {
	return ref[T](addFold(in.at, caller(1), task.core, nil, task.opts, reflect.TypeFor[[]T](), opts))
}

// FoldTo is Fold into another type: leaf takes the list's items, merge what leaf and merge return. The
// step has one set of options for both: those of leaf, and the ones given here.
func FoldTo[T, A any](in Ref[[]T], leaf *Task[[]T, A], merge *Task[[]A, A], opts ...FoldOption) Ref[A] {
	return ref[A](addFold(in.at, caller(1), leaf.core, merge.core, leaf.opts, reflect.TypeFor[[]T](), opts))
}

func addFold(in anchor, at string, leaf, merge *taskCore, task []TaskOption, list reflect.Type, opts []FoldOption) anchor {
	return addStep(in, at, stepSpec{
		kind: dag.StepFold, core: leaf, merge: merge, list: checkList(list), task: applyTask(task),
		step: func(s *settings) {
			for _, o := range opts {
				o.foldOption(s)
			}
		},
	})
}

// Chunk cuts a list into lists of n items, the last one shorter. The engine does it while it reads:
// no task, no copy.
func Chunk[T any](in Ref[[]T], n int) Ref[[][]T] {
	at := caller(1)
	if b, err := in.at.live(at); err == nil {
		if n < 1 || n > 1<<20 {
			b.fail(at, "Chunk: %d items is not between 1 and 1,048,576", n)
			return ref[[][]T](b.failed())
		}
	}
	return ref[[][]T](listExpr(in.at, at, checkList(reflect.TypeFor[[]T]()), dag.Expr{Op: dag.OpChunk, N: uint32(n)}))
}

// Flatten makes one list of a list of lists. The engine does it while it reads: no task, no copy.
func Flatten[T any](in Ref[[][]T]) Ref[[]T] {
	check := errors.Join(checkList(reflect.TypeFor[[][]T]()), checkList(reflect.TypeFor[[]T]()))
	return ref[[]T](listExpr(in.at, caller(1), check, dag.Expr{Op: dag.OpFlatten}))
}

func listExpr(in anchor, at string, check error, e dag.Expr) anchor {
	b, err := in.live(at)
	if err != nil {
		return anchor{b: in.b, err: err}
	}
	if check != nil {
		b.failAll(at, []error{check})
		return b.failed()
	}
	e.Of = &in.expr
	return anchor{b: b, expr: e}
}
