package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fanfold/fanfold/sdk"
)

var (
	double = sdk.NewTask("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	add    = sdk.NewTask("add", func(_ context.Context, ns []int) (sum int, _ error) {
		for _, n := range ns {
			sum += n
		}
		return sum, nil
	})
	odd = sdk.NewTask("odd", func(_ context.Context, n int) (int, error) {
		if n%2 == 0 {
			return 0, sdk.Permanent(fmt.Errorf("%d is even", n))
		}
		return n, nil
	})
)

func ExampleThen() {
	quadruple := sdk.NewWorkflow("quadruple", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Then(sdk.Then(n, double), double)
	})
	fmt.Println(run(quadruple, 5))
	// Output: 20 <nil>
}

// A workflow is a step of another as a task is.
func ExampleThen_nested() {
	quadruple := sdk.NewWorkflow("quadruple", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Then(sdk.Then(n, double), double)
	})
	sixteen := sdk.NewWorkflow("sixteen", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Then(sdk.Then(n, quadruple), quadruple)
	})
	fmt.Println(run(sixteen, 1))
	// Output: 16 <nil>
}

func ExampleEach() {
	w := sdk.NewWorkflow("each", func(ns sdk.Ref[[]int]) sdk.Ref[[]int] {
		return sdk.Each(ns, double, sdk.MaxParallel(2))
	})
	fmt.Println(run(w, []int{3, 1, 2}))
	// Output: [6 2 4] <nil>
}

func ExampleEachSettled() {
	w := sdk.NewWorkflow("settled", func(ns sdk.Ref[[]int]) sdk.Ref[[]sdk.Settled[int]] {
		return sdk.EachSettled(ns, odd)
	})
	settled, _ := run(w, []int{1, 2, 3})
	for _, s := range settled {
		fmt.Println(s.Get())
	}
	// Output:
	// 1 <nil>
	// 0 2 is even
	// 3 <nil>
}

// Up to one dead item is left out.
func ExampleTolerate() {
	w := sdk.NewWorkflow("tolerate", func(ns sdk.Ref[[]int]) sdk.Ref[[]int] {
		return sdk.Each(ns, odd, sdk.Tolerate(1))
	})
	fmt.Println(run(w, []int{1, 2, 3}))
	_, err := run(w, []int{1, 2, 4})
	fmt.Println(errors.Is(err, sdk.ErrJobFailed))
	// Output:
	// [1 3] <nil>
	// true
}

func ExampleFold() {
	w := sdk.NewWorkflow("fold", func(ns sdk.Ref[[]int]) sdk.Ref[int] {
		return sdk.Fold(sdk.Each(ns, double), add, sdk.FanIn(2))
	})
	fmt.Println(run(w, []int{1, 2, 3, 4, 5}))
	// Output: 30 <nil>
}

// The mean of numbers needs another type on the way: leaves make it, inner nodes merge it.
func ExampleFoldTo() {
	type mean struct{ Sum, N int }
	leaf := sdk.NewTask("mean.leaf", func(_ context.Context, ns []int) (m mean, _ error) {
		for _, n := range ns {
			m.Sum, m.N = m.Sum+n, m.N+1
		}
		return m, nil
	})
	merge := sdk.NewTask("mean.merge", func(_ context.Context, parts []mean) (m mean, _ error) {
		for _, p := range parts {
			m.Sum, m.N = m.Sum+p.Sum, m.N+p.N
		}
		return m, nil
	})
	w := sdk.NewWorkflow("mean", func(ns sdk.Ref[[]int]) sdk.Ref[mean] {
		return sdk.FoldTo(ns, leaf, merge, sdk.FanIn(2))
	})
	m, err := run(w, []int{4, 8, 15, 16, 23, 42})
	fmt.Println(float64(m.Sum)/float64(m.N), err)
	// Output: 18 <nil>
}

// A diamond: two branches from one value, and a fan-in whose fields the compiler checks.
func ExampleJoin() {
	type report struct {
		Doubled int
		Sum     int `json:"sum"`
	}
	describe := sdk.NewTask("describe", func(_ context.Context, r report) (string, error) {
		return fmt.Sprintf("doubled %d, sum %d", r.Doubled, r.Sum), nil
	})
	upTo := sdk.NewTask("up-to", func(_ context.Context, n int) (list []int, _ error) {
		for i := range n {
			list = append(list, i+1)
		}
		return list, nil
	})
	w := sdk.NewWorkflow("diamond", func(n sdk.Ref[int]) sdk.Ref[string] {
		return sdk.Then(sdk.Join(
			sdk.Into(sdk.Then(n, double), func(r *report) *int { return &r.Doubled }),
			sdk.Into(sdk.Then(sdk.Then(n, upTo), add), func(r *report) *int { return &r.Sum }),
		), describe)
	})
	fmt.Println(run(w, 4))
	// Output: doubled 8, sum 10 <nil>
}

func ExampleZip() {
	repeat := sdk.NewTask("repeat", func(_ context.Context, p sdk.Pair[string, int]) (string, error) {
		return strings.Repeat(p.First, p.Second), nil
	})
	w := sdk.NewWorkflow("zip", func(n sdk.Ref[int]) sdk.Ref[string] {
		return sdk.Then(sdk.Zip(sdk.Const(n, "ho"), sdk.Then(n, double)), repeat)
	})
	fmt.Println(run(w, 1))
	// Output: hoho <nil>
}

// Chunks make one task of several items; Flatten undoes it in the result.
func ExampleChunk() {
	doubleAll := sdk.NewTask("double-all", func(_ context.Context, ns []int) (out []int, _ error) {
		for _, n := range ns {
			out = append(out, 2*n)
		}
		return out, nil
	})
	w := sdk.NewWorkflow("chunks", func(ns sdk.Ref[[]int]) sdk.Ref[sdk.Pair[[][]int, []int]] {
		parts := sdk.Each(sdk.Chunk(ns, 2), doubleAll)
		return sdk.Zip(parts, sdk.Flatten(parts))
	})
	fmt.Println(run(w, []int{1, 2, 3, 4, 5}))
	// Output: {[[2 4] [6 8] [10]] [2 4 6 8 10]} <nil>
}

func ExampleFlatten() {
	pair := sdk.NewTask("pair", func(_ context.Context, n int) ([]int, error) { return []int{n, -n}, nil })
	w := sdk.NewWorkflow("flatten", func(ns sdk.Ref[[]int]) sdk.Ref[int] {
		return sdk.Then(sdk.Flatten(sdk.Each(ns, pair)), add)
	})
	fmt.Println(run(w, []int{1, 2, 3}))
	// Output: 0 <nil>
}

func ExampleConst() {
	w := sdk.NewWorkflow("const", func(in sdk.Ref[struct{}]) sdk.Ref[[]int] {
		return sdk.Each(sdk.Const(in, []int{1, 2, 3}), double)
	})
	fmt.Println(run(w, struct{}{}))
	// Output: [2 4 6] <nil>
}

func ExampleAfter() {
	note := func(text string) sdk.Func[int, int] {
		return func(_ context.Context, n int) (int, error) { fmt.Println(text); return n, nil }
	}
	prepare := sdk.NewTask("prepare", note("prepare"))
	act := sdk.NewTask("act", note("act"))
	w := sdk.NewWorkflow("after", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Then(n, act, sdk.After(sdk.Then(n, prepare)), sdk.StepName("the-act"))
	})
	fmt.Println(run(w, 1))
	// Output:
	// prepare
	// act
	// 1 <nil>
}

// Mistakes in a graph are reported together, each with its line. NewWorkflow panics with the same text.
func ExampleCheck() {
	err := sdk.Check("mistakes", func(n sdk.Ref[int]) sdk.Ref[int] {
		sdk.Then(n, double)
		return sdk.Then(n, double, sdk.Priority(12))
	})
	fmt.Println(strings.Count(err.Error(), "example_workflow_test.go:"), "mistakes")
	// Output: 2 mistakes
}
